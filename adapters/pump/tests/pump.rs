//! A pump over a small machine whose every move the test decides.

use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use stillwire_core::store::{Failure, FailureKind, Operation, Reply, Request, RequestId};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read, Timer};
use stillwire_pump::{Action, Pump, source_of};

/// Writes go out one at a time; what a reply brings can be read.
#[derive(Default)]
struct Toy {
    out: Vec<u8>,
    room: usize,
    in_flight: Option<RequestId>,
    next: u64,
    received: Vec<u8>,
    peer_ended: bool,
    closing: bool,
    deadline: Option<Instant>,
    ticks: u32,
    endless: bool,
    error: Option<Error>,
    over: bool,
}

impl Toy {
    fn with_room(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), Error> {
        self.error.clone().map_or(Ok(()), Err)
    }

    fn request(&mut self, bytes: Vec<u8>) -> Output<&'static str> {
        self.next += 1;
        Output::Store(Request {
            id: RequestId(self.next),
            operation: Operation::Write {
                sequence: self.next,
                chunks: vec![u32::try_from(bytes.len()).unwrap()],
                bytes: bytes.into(),
            },
            may_have_landed: false,
            timeout: Duration::from_secs(1),
        })
    }
}

impl Machine for Toy {
    type Event = &'static str;

    fn handle(&mut self, _now: Instant, input: Input<'_>) -> Result<(), Error> {
        match input {
            Input::Reply(id, Ok(reply)) => {
                if self.in_flight == Some(id) {
                    self.in_flight = None;
                }
                match reply {
                    Reply::Data { bytes, .. } => self.received.extend_from_slice(&bytes),
                    Reply::Nothing { .. } => self.peer_ended = true,
                    _ => {}
                }
            }
            Input::Reply(_, Err(failure)) => self.error = Some(Error::Store(failure)),
            Input::Time => self.ticks += 1,
            _ => unreachable!(),
        }
        self.check()
    }

    fn poll(&mut self, _now: Instant) -> Output<&'static str> {
        if self.endless {
            return Output::Event("again");
        }
        if self.in_flight.is_none() && !self.out.is_empty() {
            let bytes = std::mem::take(&mut self.out);
            let output = self.request(bytes);
            self.in_flight = Some(RequestId(self.next));
            return output;
        }
        Output::Wait(self.deadline)
    }
}

impl Channel for Toy {
    fn has_output(&self) -> bool {
        true
    }

    fn write(&mut self, _now: Instant, data: &[u8]) -> Result<usize, Error> {
        self.check()?;
        let n = data.len().min(self.room - self.out.len());
        self.out.extend_from_slice(&data[..n]);
        Ok(n)
    }

    fn is_flushed(&self) -> bool {
        self.out.is_empty() && self.in_flight.is_none()
    }

    fn close_write(&mut self, _now: Instant) -> Result<(), Error> {
        assert!(!self.closing, "closed once only");
        self.closing = true;
        self.out.push(b'.');
        self.check()
    }

    fn read(&mut self, _now: Instant, out: &mut [u8]) -> Result<Read, Error> {
        let n = out.len().min(self.received.len());
        if n > 0 {
            out[..n].copy_from_slice(&self.received[..n]);
            self.received.drain(..n);
            return Ok(Read::Data(n));
        }
        self.check()?;
        Ok(if self.peer_ended {
            Read::End
        } else {
            Read::Pending
        })
    }

    fn is_readable(&self) -> bool {
        !self.received.is_empty() || self.peer_ended || self.error.is_some()
    }

    fn is_writable(&self) -> bool {
        self.out.len() < self.room || self.error.is_some()
    }

    fn is_finished(&self) -> bool {
        self.over
    }

    fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Somebody who waits, and how often they were woken.
struct Sleeper(Arc<Count>, Waker);

impl Sleeper {
    fn new() -> Self {
        let count = Arc::new(Count::default());
        Self(count.clone(), count.into())
    }

    fn cx(&self) -> Context<'_> {
        Context::from_waker(&self.1)
    }

    fn woken(&self) -> usize {
        self.0.0.swap(0, Ordering::SeqCst)
    }
}

const NOW: Instant = Instant::ZERO;

fn performed(action: Poll<Action<&'static str>>) -> (RequestId, Bytes) {
    match action {
        Poll::Ready(Action::Perform(Request {
            id,
            operation: Operation::Write { bytes, .. },
            ..
        })) => (id, bytes),
        other => panic!("no request: {other:?}"),
    }
}

fn assert_waits(pump: &Pump<Toy>, driver: &Sleeper) {
    let action = pump.poll_action(&mut driver.cx(), NOW);
    assert!(matches!(action, Poll::Ready(Action::Wait(_))), "{action:?}");
}

#[test]
fn writing_wakes_an_idle_driver_once() {
    let pump = Pump::new(Toy::with_room(100));
    let (driver, app) = (Sleeper::new(), Sleeper::new());
    assert_waits(&pump, &driver);
    for _ in 0..3 {
        let n = pump.poll_write(&mut app.cx(), NOW, b"abc");
        assert!(matches!(n, Poll::Ready(Ok(3))));
    }
    assert_eq!(driver.woken(), 1);
    let (_, bytes) = performed(pump.poll_action(&mut driver.cx(), NOW));
    assert_eq!(&bytes[..], b"abcabcabc");
    assert_eq!(app.woken(), 0);
}

#[test]
fn a_flush_that_waits_hides_no_write_that_waits_with_the_same_waker() {
    let pump = Pump::new(Toy::with_room(4));
    let (driver, app) = (Sleeper::new(), Sleeper::new());
    assert!(pump.poll_write(&mut app.cx(), NOW, b"abcd").is_ready());
    assert!(pump.poll_write(&mut app.cx(), NOW, b"e").is_pending());
    assert!(pump.poll_flush(&mut app.cx()).is_pending());
    let (id, _) = performed(pump.poll_action(&mut driver.cx(), NOW));
    assert_eq!(
        app.woken(),
        1,
        "there is room, though nothing is stored yet"
    );
    pump.complete(NOW, id, Ok(Reply::Done));
    assert_eq!(app.woken(), 1, "now it is");
}

#[test]
fn a_full_buffer_holds_the_writer_until_there_is_room() {
    let pump = Pump::new(Toy::with_room(4));
    let (driver, app, reader) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
    assert!(pump.poll_read(&mut reader.cx(), NOW, &mut [0]).is_pending());
    assert!(matches!(
        pump.poll_write(&mut app.cx(), NOW, b"abcdef"),
        Poll::Ready(Ok(4))
    ));
    assert!(pump.poll_write(&mut app.cx(), NOW, b"ef").is_pending());
    assert_eq!(app.woken(), 0);
    let (id, bytes) = performed(pump.poll_action(&mut driver.cx(), NOW));
    assert_eq!(&bytes[..], b"abcd");
    assert_eq!(app.woken(), 1, "room again");
    assert!(matches!(
        pump.poll_write(&mut app.cx(), NOW, b"ef"),
        Poll::Ready(Ok(2))
    ));
    pump.complete(NOW, id, Ok(Reply::Done));
    assert_eq!(reader.woken(), 0, "nothing to read");
}

#[test]
fn flush_is_ready_when_the_carrier_has_stored_it() {
    let pump = Pump::new(Toy::with_room(100));
    let (driver, app) = (Sleeper::new(), Sleeper::new());
    assert!(matches!(
        pump.poll_flush(&mut app.cx()),
        Poll::Ready(Ok(()))
    ));
    let _ = pump.poll_write(&mut app.cx(), NOW, b"abc");
    assert!(pump.poll_flush(&mut app.cx()).is_pending());
    let (id, _) = performed(pump.poll_action(&mut driver.cx(), NOW));
    assert!(pump.poll_flush(&mut app.cx()).is_pending());
    assert_eq!(app.woken(), 0, "writable is not what it waits for");
    pump.complete(NOW, id, Ok(Reply::Done));
    assert_eq!(app.woken(), 1);
    assert!(matches!(
        pump.poll_flush(&mut app.cx()),
        Poll::Ready(Ok(()))
    ));
}

#[test]
fn closing_queues_the_end_once_however_often_it_is_polled() {
    let pump = Pump::new(Toy::with_room(100));
    let (driver, app) = (Sleeper::new(), Sleeper::new());
    assert_waits(&pump, &driver);
    assert!(pump.poll_close_write(&mut app.cx(), NOW).is_pending());
    assert_eq!(driver.woken(), 1);
    assert!(pump.poll_close_write(&mut app.cx(), NOW).is_pending());
    let (id, bytes) = performed(pump.poll_action(&mut driver.cx(), NOW));
    assert_eq!(&bytes[..], b".");
    pump.complete(NOW, id, Ok(Reply::Done));
    let closed = pump.poll_close_write(&mut app.cx(), NOW);
    assert!(matches!(closed, Poll::Ready(Ok(()))));
    match pump.poll_write(&mut app.cx(), NOW, b"x") {
        Poll::Ready(Err(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reply_wakes_the_reader_and_not_the_writer() {
    let pump = Pump::new(Toy::with_room(1));
    let (driver, reader, writer) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
    let _ = pump.poll_write(&mut writer.cx(), NOW, b"a");
    let (id, _) = performed(pump.poll_action(&mut driver.cx(), NOW));
    let _ = pump.poll_write(&mut writer.cx(), NOW, b"b");
    assert!(pump.poll_write(&mut writer.cx(), NOW, b"c").is_pending());
    let mut buffer = [0; 8];
    assert!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer)
            .is_pending()
    );
    let bytes = Bytes::from_static(b"hello");
    pump.complete(NOW, RequestId(99), Ok(Reply::Data { bytes, more: false }));
    assert_eq!((reader.woken(), writer.woken()), (1, 0));
    assert!(matches!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer[..0]),
        Poll::Ready(Ok(0))
    ));
    assert!(matches!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer),
        Poll::Ready(Ok(5))
    ));
    assert_eq!(&buffer[..5], b"hello");
    pump.complete(NOW, id, Ok(Reply::Nothing { missing: false }));
    assert!(matches!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer),
        Poll::Ready(Ok(0))
    ));
}

#[test]
fn an_error_reaches_everybody_and_stays() {
    let pump = Pump::new(Toy::with_room(1));
    let (driver, reader, writer) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
    let _ = pump.poll_write(&mut writer.cx(), NOW, b"a");
    let (id, _) = performed(pump.poll_action(&mut driver.cx(), NOW));
    let mut buffer = [0; 8];
    assert!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer)
            .is_pending()
    );
    assert!(pump.poll_flush(&mut writer.cx()).is_pending());
    let failure = Failure::new(FailureKind::Denied, "the SAS has expired");
    pump.complete(NOW, id, Err(failure.clone()));
    assert_eq!((reader.woken(), writer.woken()), (1, 1));
    for _ in 0..2 {
        let results = [
            pump.poll_read(&mut reader.cx(), NOW, &mut buffer)
                .map_ok(|_| ()),
            pump.poll_write(&mut writer.cx(), NOW, b"b").map_ok(|_| ()),
            pump.poll_flush(&mut writer.cx()),
        ];
        for result in results {
            let Poll::Ready(Err(error)) = result else {
                panic!("{result:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(source_of(&error), Some(&Error::Store(failure.clone())));
        }
    }
}

#[test]
fn the_end_is_told_with_its_error() {
    let pump = Pump::new(Toy::with_room(1));
    let (driver, app) = (Sleeper::new(), Sleeper::new());
    assert!(pump.poll_closed(&mut app.cx()).is_pending());
    pump.update(|toy| {
        toy.error = Some(Error::Timeout(Timer::Idle));
        toy.over = true;
    });
    assert_eq!(app.woken(), 0, "not before the driver says so");
    assert!(matches!(
        pump.poll_action(&mut driver.cx(), NOW),
        Poll::Ready(Action::Finished)
    ));
    pump.end();
    assert_eq!(app.woken(), 1);
    let closed = pump.poll_closed(&mut app.cx());
    assert_eq!(closed, Poll::Ready(Err(Error::Timeout(Timer::Idle))));
}

#[test]
fn nobody_waits_for_a_driver_that_is_gone() {
    let pump = Pump::new(Toy::with_room(1));
    let (reader, writer) = (Sleeper::new(), Sleeper::new());
    let _ = pump.poll_write(&mut writer.cx(), NOW, b"a");
    let mut buffer = [0; 8];
    assert!(pump.poll_write(&mut writer.cx(), NOW, b"b").is_pending());
    assert!(
        pump.poll_read(&mut reader.cx(), NOW, &mut buffer)
            .is_pending()
    );
    pump.end();
    assert_eq!((reader.woken(), writer.woken()), (1, 1));
    let read = pump.poll_read(&mut reader.cx(), NOW, &mut buffer);
    let flushed = pump.poll_flush(&mut writer.cx());
    for result in [read.map_ok(|_| ()), flushed] {
        match result {
            Poll::Ready(Err(e)) => assert_eq!(e.kind(), io::ErrorKind::ConnectionAborted),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        pump.poll_closed(&mut reader.cx()),
        Poll::Ready(Err(Error::Closed))
    );
}

#[test]
fn a_busy_machine_lets_others_run() {
    let pump = Pump::new(Toy {
        endless: true,
        ..Toy::default()
    });
    let driver = Sleeper::new();
    let turn = || {
        let mut events = 0;
        while pump.poll_action(&mut driver.cx(), NOW).is_ready() {
            events += 1;
            assert!(events < 1_000, "never yields");
        }
        events
    };
    assert_eq!((turn(), turn()), (32, 32));
    assert_eq!(driver.woken(), 2, "it goes on at once afterwards");
}

#[test]
fn time_is_told_at_the_deadline_and_not_before() {
    let pump = Pump::new(Toy {
        deadline: Some(Instant::from_millis(10)),
        ..Toy::default()
    });
    let driver = Sleeper::new();
    let ticks = |millis| {
        let _ = pump.poll_action(&mut driver.cx(), Instant::from_millis(millis));
        pump.with(|toy| toy.ticks)
    };
    assert_eq!([ticks(0), ticks(9), ticks(10), ticks(11)], [0, 0, 1, 2]);
}
