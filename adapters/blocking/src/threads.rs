//! Plain threads as a [`Runtime`]: a task is a thread, time is a thread, work that blocks is done
//! by threads that are kept for a while.

use crate::bell::block_on;
use futures_util::future::BoxFuture;
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant as Clock};
use stillwire_core::Instant;
use stillwire_futures::Runtime;

/// Threads that wait for storage, at the most; more work queues up. Those that wait for a peer come on
/// top, one for each socket that listens.
const MOST_WORKERS: usize = 256;
/// How long one without work stays.
const IDLE_TIME: Duration = Duration::from_secs(10);

/// The threads of this process. Clones share them.
#[derive(Clone)]
pub struct Threads {
    shared: Arc<Shared>,
}

struct Shared {
    origin: Clock,
    work: Mutex<Work>,
    more_work: Condvar,
    time: Mutex<Time>,
    new_time: Condvar,
}

#[derive(Default)]
struct Work {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    workers: usize,
    idle: usize,
    /// Pieces of work, begun or not, that may last for ever.
    endless: usize,
}

#[derive(Default)]
struct Time {
    sleeping: BTreeMap<(Clock, u64), Waker>,
    next: u64,
    running: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread, or nothing where the system has none left: whoever waits for it is told then,
/// because what it should have run is dropped.
fn start(name: &str, run: impl FnOnce() + Send + 'static) -> bool {
    let started = thread::Builder::new().name(name.to_owned()).spawn(run);
    if let Err(error) = &started {
        tracing::error!(%error, "no thread for {name}");
    }
    started.is_ok()
}

impl Threads {
    /// Those that every dialer and listener of this process shares; they start when needed.
    pub fn shared() -> Self {
        static THREADS: OnceLock<Threads> = OnceLock::new();
        THREADS.get_or_init(Self::new).clone()
    }

    fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                origin: Clock::now(),
                work: Mutex::default(),
                more_work: Condvar::new(),
                time: Mutex::default(),
                new_time: Condvar::new(),
            }),
        }
    }

    /// Does work on a thread that may block. [`None`] when it panicked or was never begun.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        let answer = Arc::new(Mutex::new(Answer {
            state: State::Open,
            waker: None,
        }));
        let promise = Promise(answer.clone());
        self.queue(Box::new(move || {
            let value = work();
            promise.keep(value);
        }));
        Box::pin(Called(answer))
    }

    /// As [`Self::call`], for work that waits until a peer comes: it takes nobody's place.
    pub(crate) fn wait<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Option<T>> {
        lock(&self.shared.work).endless += 1;
        let endless = Endless(self.shared.clone());
        self.call(move || {
            let _endless = endless;
            work()
        })
    }

    fn queue(&self, work: Box<dyn FnOnce() + Send>) {
        let mut state = lock(&self.shared.work);
        state.waiting.push_back(work);
        // Those idle may have been told of work already that they have not taken yet.
        if state.idle >= state.waiting.len() {
            drop(state);
            self.shared.more_work.notify_one();
        } else if state.workers < MOST_WORKERS + state.endless {
            state.workers += 1;
            drop(state);
            let shared = self.shared.clone();
            if !start("stillwire work", move || shared.work()) {
                self.without_a_worker();
            }
        }
    }

    /// Nobody may be there to do what waits: it is dropped, which its callers see.
    fn without_a_worker(&self) {
        let mut state = lock(&self.shared.work);
        state.workers -= 1;
        if state.workers == 0 {
            let undone = std::mem::take(&mut state.waiting);
            drop(state);
            drop(undone);
        }
    }
}

impl Shared {
    /// One worker, until there was nothing to do for a while.
    fn work(&self) {
        let _worker = Worker(self);
        let mut state = lock(&self.work);
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                work();
                state = lock(&self.work);
                continue;
            }
            state.idle += 1;
            let (back, waited) = self
                .more_work
                .wait_timeout_while(state, IDLE_TIME, |state| state.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                return;
            }
        }
    }

    /// Wakes who has slept long enough; ends when nobody sleeps.
    fn keep_time(&self) {
        let mut time = lock(&self.time);
        loop {
            let now = Clock::now();
            let Some((&(first, _), _)) = time.sleeping.first_key_value() else {
                time.running = false;
                return;
            };
            if first > now {
                time = self
                    .new_time
                    .wait_timeout(time, first - now)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                continue;
            }
            let later = time.sleeping.split_off(&(now, u64::MAX));
            let due = std::mem::replace(&mut time.sleeping, later);
            drop(time);
            due.into_values().for_each(Waker::wake);
            time = lock(&self.time);
        }
    }
}

/// Counts a worker out, even one whose work panicked.
struct Worker<'a>(&'a Shared);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        lock(&self.0.work).workers -= 1;
    }
}

/// Counts work without an end, until it ends or is dropped undone.
struct Endless(Arc<Shared>);

impl Drop for Endless {
    fn drop(&mut self) {
        lock(&self.0.work).endless -= 1;
    }
}

enum State<T> {
    Open,
    Done(T),
    Broken,
}

struct Answer<T> {
    state: State<T>,
    waker: Option<Waker>,
}

/// Somebody's answer, or the news that there will be none.
struct Promise<T>(Arc<Mutex<Answer<T>>>);

impl<T> Promise<T> {
    fn keep(self, value: T) {
        lock(&self.0).state = State::Done(value);
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        let mut answer = lock(&self.0);
        if let State::Open = answer.state {
            answer.state = State::Broken;
        }
        let waker = answer.waker.take();
        drop(answer);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct Called<T>(Arc<Mutex<Answer<T>>>);

impl<T> Future for Called<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut answer = lock(&self.0);
        match std::mem::replace(&mut answer.state, State::Open) {
            State::Done(value) => Poll::Ready(Some(value)),
            State::Broken => Poll::Ready(None),
            State::Open => {
                let old = answer.waker.replace(cx.waker().clone());
                drop(answer);
                drop(old);
                Poll::Pending
            }
        }
    }
}

/// A place in the list of sleepers, from the first poll on.
struct Sleep {
    shared: Arc<Shared>,
    until: Option<Clock>,
    key: Option<(Clock, u64)>,
}

impl Sleep {
    fn leave(&mut self) {
        if let Some(key) = self.key.take() {
            let waker = lock(&self.shared.time).sleeping.remove(&key);
            drop(waker);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Past the end of time nobody wakes.
        let Some(until) = self.until else {
            return Poll::Pending;
        };
        if until <= Clock::now() {
            self.leave();
            return Poll::Ready(());
        }
        let shared = self.shared.clone();
        let mut time = lock(&shared.time);
        let key = *self.key.get_or_insert_with(|| {
            time.next += 1;
            (until, time.next)
        });
        let old = time.sleeping.insert(key, cx.waker().clone());
        let is_first = time.sleeping.first_key_value().map(|(first, _)| *first) == Some(key);
        let is_needed = !std::mem::replace(&mut time.running, true);
        drop(time);
        drop(old);
        if is_needed {
            let keeper = shared.clone();
            if !start("stillwire time", move || keeper.keep_time()) {
                lock(&shared.time).running = false;
            }
        } else if is_first {
            shared.new_time.notify_one();
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Runtime for Threads {
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        start("stillwire", move || block_on(task));
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(Sleep {
            shared: self.shared.clone(),
            until: Clock::now().checked_add(duration),
            key: None,
        })
    }

    fn now(&self) -> Instant {
        let micros = self.shared.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    fn unblock(&self, work: Box<dyn FnOnce() + Send>) -> BoxFuture<'static, ()> {
        let called = self.call(work);
        Box::pin(async move {
            // Work that panicked or never ran left no result, which the caller sees.
            let _ = called.await;
        })
    }
}

impl std::fmt::Debug for Threads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Threads")
    }
}

#[cfg(test)]
mod tests;
