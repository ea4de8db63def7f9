//! What somebody in the middle can do.

use crate::world::{NOW, World, class, drain, end, read_all};
use stillwire_core::ziti::{Config, Role};
use stillwire_core::{Channel, Class, Input, Machine, Streamed};

#[test]
fn case_77_a_weak_key_ends_the_handshake() {
    let mut listener = end(Role::Listener, None, &Config::default());
    for _ in 0..2 {
        let weak = listener.handle(NOW, Input::Bytes(&[0; 32]));
        assert_eq!(class(weak), Class::WeakKey);
    }
    assert!(!listener.is_established());
}

#[test]
fn our_own_key_coming_back_is_refused() {
    let mut dialer = end(Role::Dialer, None, &Config::default());
    let (hello, _) = drain(&mut dialer);
    let reflected = dialer.handle(NOW, Input::Bytes(&hello));
    assert_eq!(class(reflected), Class::Identity);
}

/// The dialer's hello with another frame where the header stands.
fn with_frame(length: u32, frame: &[u8]) -> Vec<u8> {
    let (hello, _) = drain(&mut end(Role::Dialer, None, &Config::default()));
    [&hello[..32], &length.to_be_bytes(), frame].concat()
}

#[test]
fn trap_04_a_framed_header_has_exactly_24_bytes() {
    // Cases 79, 81 and 82: too short, too long, a message with it, a message before it.
    for length in [0, 16, 17, 23, 25, 24 + 17, 64, 1000, u32::MAX] {
        let mut listener = end(Role::Listener, None, &Config::default());
        let hello = with_frame(length, &[]);
        let refused = listener.handle(NOW, Input::Bytes(&hello));
        assert_eq!(class(refused), Class::Length, "{length}");
    }
    let mut listener = end(Role::Listener, None, &Config::default());
    let hello = with_frame(24, &[7; 24]);
    listener.handle(NOW, Input::Bytes(&hello)).unwrap();
    assert!(listener.is_established());
}

#[test]
fn case_80_the_header_again_is_no_message() {
    let mut listener = end(Role::Listener, None, &Config::default());
    let (hello, _) = drain(&mut end(Role::Dialer, None, &Config::default()));
    listener.handle(NOW, Input::Bytes(&hello)).unwrap();
    let again = listener.handle(NOW, Input::Bytes(&hello[32..]));
    assert_eq!(class(again), Class::Auth);
}

/// Frames of three messages from the dialer, and a listener that awaits them.
fn three() -> (Vec<Vec<u8>>, World) {
    let mut world = World::established(&Config::default());
    let frames = [b"one", b"two", b"six"].map(|message| {
        world.dialer.write(NOW, message).unwrap();
        drain(&mut world.dialer).0
    });
    (frames.to_vec(), world)
}

#[test]
fn case_86_replayed_swapped_dropped_and_reflected_messages_are_refused() {
    let orders: [(&[usize], &[u8]); 4] = [
        (&[0, 0], b"one"),
        (&[1, 0], b""),
        (&[0, 2], b"one"),
        (&[0, 1, 1], b"onetwo"),
    ];
    for (order, delivered) in orders {
        let (frames, mut world) = three();
        let (last, before) = order.split_last().unwrap();
        let ordered: Vec<u8> = before.iter().flat_map(|at| frames[*at].clone()).collect();
        let early = world.listener.handle(NOW, Input::Bytes(&ordered));
        let refused = early.and_then(|()| {
            let frame = &frames[*last];
            world.listener.handle(NOW, Input::Bytes(frame))
        });
        assert_eq!(class(refused), Class::Auth, "{order:?}");
        let (got, next) = read_all(&mut world.listener);
        assert_eq!(got, delivered);
        assert_eq!(class(next), Class::Auth);
        // Poisoned: the right one comes too late.
        let right = world.listener.handle(NOW, Input::Bytes(&frames[1]));
        assert_eq!(class(right), Class::Auth);
    }
    let (frames, mut world) = three();
    let reflected = world.dialer.handle(NOW, Input::Bytes(&frames[0]));
    assert_eq!(class(reflected), Class::Auth);
}

#[test]
fn case_84_and_85_every_flipped_bit_of_a_frame_is_refused() {
    let frame = three().0[0].clone();
    for bit in 0..frame.len() * 8 {
        let mut forged = frame.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let (_, mut world) = three();
        let refused = world.listener.handle(NOW, Input::Bytes(&forged));
        let refused = refused.and_then(|()| world.listener.handle(NOW, Input::End));
        // A length over the limit, under a MAC, or of more than there is.
        let expected = match u32::from_be_bytes(forged[..4].try_into().unwrap()) {
            20 => Class::Auth,
            0..17 => Class::Truncated,
            21..=0x0010_0011 => Class::Eof,
            _ => Class::Limit,
        };
        assert_eq!(class(refused), expected, "{bit}");
        assert_eq!(read_all(&mut world.listener).0, b"");
    }
}
