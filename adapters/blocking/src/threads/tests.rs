use super::*;
use futures_util::future::{Either, join_all, select};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

#[test]
fn as_many_workers_as_there_is_work_at_once() {
    let threads = Threads::new();
    // Each waits for all the others: with one worker too few this never ends.
    let together = Arc::new(Barrier::new(20));
    let calls: Vec<_> = (0..20)
        .map(|n| {
            let together = together.clone();
            threads.call(move || {
                together.wait();
                n
            })
        })
        .collect();
    let answers: Vec<_> = block_on(join_all(calls)).into_iter().flatten().collect();
    assert_eq!(answers, (0..20).collect::<Vec<_>>());
}

#[test]
fn workers_are_bounded_and_everything_is_done() {
    let threads = Threads::new();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let calls: Vec<_> = (0..3 * MOST_WORKERS)
        .map(|_| {
            let (now, most) = (now.clone(), most.clone());
            threads.call(move || {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(2));
                now.fetch_sub(1, Ordering::SeqCst);
            })
        })
        .collect();
    assert!(block_on(join_all(calls)).iter().all(Option::is_some));
    let most = most.load(Ordering::SeqCst);
    assert!((2..=MOST_WORKERS).contains(&most), "{most}");
}

#[test]
fn work_that_panics_is_told_and_takes_nobody_with_it() {
    let threads = Threads::new();
    for _ in 0..3 {
        let broken: Option<()> = block_on(threads.call(|| std::panic::resume_unwind(Box::new(1))));
        assert_eq!(broken, None);
    }
    assert_eq!(block_on(threads.call(|| 5)), Some(5));
}

#[test]
fn a_call_that_is_given_up_goes_on() {
    let threads = Threads::new();
    let (said, heard) = std::sync::mpsc::channel();
    drop(threads.call(move || said.send(7)));
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)), Ok(7));
}

#[test]
fn every_sleeper_wakes_and_none_is_left_behind() {
    let threads = Threads::new();
    let (woken, order) = std::sync::mpsc::channel();
    for millis in [30, 10, 20] {
        let (sleep, woken) = (threads.sleep(Duration::from_millis(millis)), woken.clone());
        threads.spawn(Box::pin(async move {
            sleep.await;
            woken.send(millis).unwrap();
        }));
    }
    let limit = Duration::from_secs(10);
    let mut woken: Vec<_> = (0..3).map(|_| order.recv_timeout(limit).unwrap()).collect();
    woken.sort_unstable();
    assert_eq!(woken, [10, 20, 30]);

    // The one that lost the race is forgotten.
    let (short, long) = (Duration::from_millis(1), Duration::from_secs(3_600));
    let race = select(threads.sleep(long), threads.sleep(short));
    assert!(matches!(block_on(race), Either::Right(_)));
    assert!(lock(&threads.shared.time).sleeping.is_empty());
    assert_eq!(
        threads.sleep(Duration::MAX).as_mut().poll(&mut noop()),
        Poll::Pending
    );
}

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn sockets_that_wait_for_a_peer_leave_threads_for_storage() {
    let threads = Threads::new();
    let gate = Arc::new(Mutex::new(()));
    let closed = lock(&gate);
    let waiting: Vec<_> = (0..MOST_WORKERS)
        .map(|_| {
            let gate = gate.clone();
            threads.wait(move || drop(lock(&gate)))
        })
        .collect();
    let late = threads.sleep(Duration::from_secs(10));
    let answer = block_on(select(threads.call(|| 5), late));
    assert!(matches!(answer, Either::Left((Some(5), _))));
    drop(closed);
    assert!(block_on(join_all(waiting)).iter().all(Option::is_some));
    assert_eq!(lock(&threads.shared.work).endless, 0);
}
