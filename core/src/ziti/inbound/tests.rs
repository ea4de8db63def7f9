use super::super::secretstream::{Dialect, Push};
use super::*;
use crate::crypto::Secret;
use std::vec;

const LARGEST: usize = 1 << 20;

fn config() -> Config {
    Config {
        largest_message: LARGEST,
        ..Config::default()
    }
}

fn ends() -> (Push, Pull) {
    let (key, header) = (Secret::from([1; 32]), [2; 24]);
    (
        Push::new(&key, &header),
        Pull::new(&key, &header, Dialect::Sodium),
    )
}

/// Bytes of room made for a frame that is not all there.
fn room(inbound: &Inbound) -> usize {
    match &inbound.frame {
        Frame::None | Frame::Prefix(..) => 0,
        Frame::Body(part, _) => part.capacity(),
    }
}

#[test]
fn a_declared_length_alone_makes_little_room() {
    let (_, mut pull) = ends();
    let mut inbound = Inbound::default();
    let length = u32::try_from(LARGEST + 17).unwrap();
    inbound
        .feed(&length.to_be_bytes(), &mut pull, &config())
        .unwrap();
    assert!((1..=FIRST_ROOM).contains(&room(&inbound)));
}

#[test]
fn a_length_over_the_limit_makes_no_room() {
    for over in [1, 2, u32::MAX - 17 - LARGEST as u32] {
        let (_, mut pull) = ends();
        let mut inbound = Inbound::default();
        let length = LARGEST as u32 + 17 + over;
        let refused = inbound.feed(&length.to_be_bytes(), &mut pull, &config());
        assert_eq!(refused.unwrap_err().class(), Some(Class::Limit));
        assert_eq!(room(&inbound), 0);
    }
}

#[test]
fn a_frame_in_pieces_never_has_more_room_than_it_needs() {
    for size in [1_000, 1_448, 65_536, 100_000] {
        let (mut push, mut pull) = ends();
        let mut frame = vec![0; PREFIX + LARGEST + MAC];
        push.seal(tag::MESSAGE, &[], &mut frame).unwrap();
        let length = u32::try_from(frame.len()).unwrap();
        let wire = [&length.to_be_bytes()[..], &frame].concat();
        let mut inbound = Inbound::default();
        let mut given = 0;
        for piece in wire.chunks(size) {
            inbound.feed(piece, &mut pull, &config()).unwrap();
            given += piece.len();
            // Twice what is there, or the first room; and never past the frame.
            let most = frame.len().min(FIRST_ROOM.max(2 * given));
            assert!(room(&inbound) <= most, "{} at {given}", room(&inbound));
        }
        let message = inbound.message().unwrap();
        assert_eq!(message.len(), LARGEST);
        assert!(message.iter().all(|byte| *byte == 0));
    }
}
