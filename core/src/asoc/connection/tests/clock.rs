//! Deadlines.

use super::*;
use crate::error::Timer;

#[test]
fn trap_01_an_empty_control_frame_every_10_s_keeps_a_receiving_peer_alive() {
    let (mut client, mut server) = pair(&Config::default());
    drain(&mut server, Instant::ZERO);
    for second in 1..=40 {
        let now = ms(second * 1000);
        for end in [&mut client, &mut server] {
            end.handle(now, Input::Time).unwrap();
            let out = joined(&drain(end, now).0);
            if second % 10 == 0 {
                assert_eq!(out, hex("0103000000000000000000000000"));
            } else {
                assert!(out.is_empty());
            }
        }
    }
    // No stream is open: silence ends nothing.
    assert!(client.is_open() && server.is_open());
}

#[test]
fn silence_ends_a_connection_only_while_a_stream_of_the_peer_is_open() {
    let (_, mut server) = pair(&Config::default());
    drain(&mut server, ms(0));
    server
        .handle(ms(1_000), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    // A keep-alive is a sign of life.
    server
        .handle(ms(20_000), Input::Bytes(&frame(3, 0, 0, b"")))
        .unwrap();
    server.handle(ms(49_999), Input::Time).unwrap();
    assert_eq!(
        server.handle(ms(50_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
    let (_, mut server) = pair(&Config::default());
    server
        .handle(ms(1_000), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    server
        .handle(ms(1_000), Input::Bytes(&frame(2, 1, 1, b"")))
        .unwrap();
    server.handle(ms(500_000), Input::Time).unwrap();
    // Half a header is the beginning of something.
    server.handle(ms(500_000), Input::Bytes(&[1])).unwrap();
    assert_eq!(
        server.handle(ms(530_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
}

#[test]
fn silence_does_not_count_while_our_own_application_is_slow() {
    let (_, mut server) = pair(&Config::default());
    server
        .handle(ms(0), Input::Bytes(&frame(1, 1, 0, b"x")))
        .unwrap();
    server.pause(ms(0), true);
    server.handle(ms(100_000), Input::Time).unwrap();
    server.pause(ms(100_000), false);
    server.handle(ms(129_999), Input::Time).unwrap();
    assert_eq!(
        server.handle(ms(130_000), Input::Time),
        Err(Error::Timeout(Timer::Idle))
    );
}

#[test]
fn what_is_not_taken_within_10_s_ends_the_connection() {
    let (mut client, _) = pair(&Config::default());
    let stream = client.open().unwrap();
    client.write(stream, &Bytes::from_static(b"x")).unwrap();
    let Output::Transmit(_) = client.poll(ms(1_000)) else {
        panic!("nothing to send");
    };
    assert_eq!(client.deadline(), Some(ms(10_000)));
    client.handle(ms(10_999), Input::Time).unwrap();
    assert_eq!(
        client.handle(ms(11_000), Input::Time),
        Err(Error::Timeout(Timer::Send))
    );
}

#[test]
fn the_handshake_has_10_s_whatever_has_come_of_it() {
    for (asked, cut) in [(false, 0), (false, 49), (true, 50)] {
        let mut server =
            Connection::server(Config::default(), identity(2), fresh(), ms(0)).unwrap();
        let hello = Hello {
            node: NodeId::from_bytes([1; 16]),
            challenge: 1,
        };
        let bytes = frame(4, 0, 0, &hello.encode(&ApiKey::new(KEY).unwrap()));
        server
            .handle(ms(9_000), Input::Bytes(&bytes[..cut]))
            .unwrap();
        assert_eq!(matches!(server.stage, Stage::Asked(_)), asked);
        assert_eq!(server.deadline(), Some(ms(10_000)));
        let late = Err(Error::Timeout(Timer::Connect));
        if asked {
            assert_eq!(server.admit(ms(10_000)), late);
        } else {
            assert_eq!(server.handle(ms(10_000), Input::Bytes(&bytes[cut..])), late);
        }
        let (out, events) = drain(&mut server, ms(10_000));
        assert!(out.is_empty());
        let closed = ConnectionEvent::Closed(Some(Error::Timeout(Timer::Connect)));
        assert_eq!(events.last(), Some(&closed));
    }
}
