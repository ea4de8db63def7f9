//! A machine on a byte stream, driven by hand.

use std::io;
use std::task::{Context, Poll, Waker};
use stillwire_core::crypto::Secret;
use stillwire_core::ziti::handshake::Session;
use stillwire_core::ziti::{Config, Connection, Dialect, Pull, Push};
use stillwire_core::{Channel, Error, Input, Instant, Machine, Output, Read};
use stillwire_pump::{Action, Pump, source_of};

const NOW: Instant = Instant::ZERO;

fn end(push: u8, pull: u8) -> Connection {
    let (header, key) = ([7; 24], |seed| Secret::from([seed; 32]));
    let session = Session {
        push: Push::new(&key(push), &header),
        pull: Pull::new(&key(pull), &header, Dialect::Sodium),
        transcript: [0; 32],
        peer: None,
    };
    Connection::established(session, Config::default(), NOW)
}

/// A pump whose peer has ended and whose own end its driver has taken, and not handed on.
fn last_bytes_in_transit(cx: &mut Context<'_>) -> (Pump<Connection>, Connection, Vec<u8>) {
    let (pump, mut peer) = (Pump::streamed(end(1, 2)), end(2, 1));
    peer.close_write(NOW).unwrap();
    loop {
        match peer.poll(NOW) {
            Output::Transmit(bytes) => pump.receive(NOW, &bytes),
            Output::Wait(_) => break,
            _ => {}
        }
    }
    assert!(matches!(
        pump.poll_read(cx, NOW, &mut [0; 8]),
        Poll::Ready(Ok(0))
    ));
    assert!(pump.poll_close_write(cx, NOW).is_pending());
    let mut taken = Vec::new();
    loop {
        match pump.poll_action(cx, NOW) {
            Poll::Ready(Action::Transmit(bytes)) => taken.extend_from_slice(&bytes),
            Poll::Ready(Action::Finished) => return (pump, peer, taken),
            Poll::Ready(Action::Event(_)) | Poll::Pending => {}
            other @ Poll::Ready(_) => panic!("{other:?}"),
        }
    }
}

fn closed(result: Poll<io::Result<()>>) -> bool {
    let Poll::Ready(Err(error)) = result else {
        return false;
    };
    source_of(&error) == Some(&Error::Closed)
}

#[test]
fn an_end_that_finishes_the_machine_is_flushed_when_the_carrier_has_it() {
    let mut cx = Context::from_waker(Waker::noop());
    let (pump, mut peer, taken) = last_bytes_in_transit(&mut cx);
    assert!(pump.poll_close_write(&mut cx, NOW).is_pending());
    assert!(pump.poll_flush(&mut cx).is_pending());
    pump.transmitted();
    assert!(matches!(
        pump.poll_close_write(&mut cx, NOW),
        Poll::Ready(Ok(()))
    ));
    peer.handle(NOW, Input::Bytes(&taken)).unwrap();
    assert_eq!(peer.read(NOW, &mut [0; 8]), Ok(Read::End));
}

#[test]
fn an_end_that_the_carrier_never_took_is_an_error_once_nobody_carries_it() {
    let mut cx = Context::from_waker(Waker::noop());
    let (pump, ..) = last_bytes_in_transit(&mut cx);
    pump.end();
    assert!(closed(pump.poll_close_write(&mut cx, NOW)));
    assert!(closed(pump.poll_flush(&mut cx)));
}
