use super::*;
use crate::address::Options;
use crate::dialer::Dialer;
use crate::store::Store;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stillwire_core::Instant;
use stillwire_core::store::{Reply, RequestId};

/// One thread and a clock of its own: a step polls every task and lets a little time pass.
#[derive(Default)]
struct Steps {
    tasks: Mutex<Vec<BoxFuture<'static, ()>>>,
    millis: AtomicU64,
}

impl Steps {
    fn step(&self) {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap());
        let mut cx = Context::from_waker(Waker::noop());
        for mut task in tasks {
            if task.poll_unpin(&mut cx).is_pending() {
                self.tasks.lock().unwrap().push(task);
            }
        }
        self.millis.fetch_add(20, Ordering::Relaxed);
    }

    fn time(&self) -> Instant {
        Instant::from_millis(self.millis.load(Ordering::Relaxed))
    }

    /// Steps until `future` is ready: at the most for as long as a dialer waits.
    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = Box::pin(future);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..1_000 {
            if let Poll::Ready(value) = future.poll_unpin(&mut cx) {
                return value;
            }
            self.step();
        }
        panic!("not ready");
    }
}

impl Runtime for Arc<Steps> {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.tasks.lock().unwrap().push(task);
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let steps = self.clone();
        let until = steps.time().after(duration);
        poll_fn(move |_| {
            if steps.time() < until {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .boxed()
    }

    fn now(&self) -> Instant {
        self.time()
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        work();
        std::future::ready(()).boxed()
    }
}

/// A carrier that has nothing.
struct Empty;

impl Perform for Empty {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        let reply = match request.operation {
            Operation::ListHandshakes { .. } => Reply::Handshakes {
                entries: Vec::new(),
                next: None,
            },
            _ => Reply::Done,
        };
        std::future::ready(Ok(reply)).boxed()
    }
}

fn request(operation: Operation) -> Request {
    Request {
        id: RequestId(0),
        operation,
        may_have_landed: false,
        timeout: Duration::from_secs(30),
    }
}

#[test]
fn a_crowd_waits_in_storage_until_there_is_room_and_the_clean_up_goes_on() {
    const DIALERS: usize = 2 * MOST_WAITING + 64;
    let steps = Arc::new(Steps::default());
    let platform = Platform::new(steps.clone());
    let config = Config {
        connect_timeout: Duration::from_secs(600),
        ..Config::default()
    };
    let store = Store::from_address("memory:", &Options::default()).unwrap();
    let listening = store.listen(&platform, config.clone());
    let (mut listener, ticket) = steps.run(listening).unwrap();
    let dialed = Arc::new(Mutex::new(Vec::new()));
    for _ in 0..DIALERS {
        let dialer = Dialer::new(&ticket, &platform, config.clone()).unwrap();
        let dialed = dialed.clone();
        steps.spawn(Box::pin(async move {
            let connection = dialer.dial().await.unwrap();
            dialed.lock().unwrap().push(connection);
        }));
    }
    let count = |of: &Mutex<Vec<Connection>>| of.lock().unwrap().len();
    for _ in 0..500 {
        steps.step();
    }
    let waiting = listener.shared.lock().accepted.len();
    let most = MOST_WAITING + 64 + config.handshakes;
    assert!((MOST_WAITING..most).contains(&waiting), "{waiting}");
    assert_eq!(count(&dialed), waiting);

    // While it is full, everything but a listing passes; the listener's own waits as well.
    let own = listener.shared.lock().listing.take();
    assert!(own.is_some());
    let gate = Gate {
        shared: listener.shared.clone(),
        carrier: Arc::new(Empty),
    };
    let name = "somebody".to_owned();
    let removing = gate.perform(request(Operation::DeleteHandshake { name }));
    assert_eq!(removing.now_or_never(), Some(Ok(Reply::Done)));
    let listing = gate.perform(request(Operation::ListHandshakes {
        after: None,
        limit: 1,
    }));
    assert_eq!(listing.now_or_never(), None);
    listener.shared.lock().listing = own;

    let mut accepted = Vec::new();
    while accepted.len() < DIALERS {
        accepted.push(steps.run(listener.accept()).unwrap());
    }
    steps.run(poll_fn(|_| {
        if count(&dialed) == DIALERS {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }));
    drop(accepted);
    dialed.lock().unwrap().clear();
}
