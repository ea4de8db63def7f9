//! A peer that holds the keys and keeps to none of the rules, against a connection over a carrier
//! that hands out whatever bytes it likes.

use crate::queue;
use crate::world::{config, pattern, profile};
use bytes::Bytes;
use std::time::Duration;
use stillwire_core::aznet::handshake::Split;
use stillwire_core::aznet::wire::chunk::{OVERHEAD, PREFIX, Sealer, TAG};
use stillwire_core::aznet::wire::frame::{self, HEADER, kind};
use stillwire_core::aznet::{Connection, ConnectionId};
use stillwire_core::store::{Direction, Operation, Profile, Reply, RequestId, Role};
use stillwire_core::{Channel, Class, Error, Input, Instant, Machine, Output, Read};

/// A frame as the wire page draws it.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = (payload.len() as u32).to_be_bytes().to_vec();
    frame.push(kind);
    frame.extend_from_slice(payload);
    frame
}

/// The dialer's direction, sealed by hand.
struct Forger(Sealer);

impl Forger {
    fn new() -> Self {
        Self(Sealer::new([1; 32].into()))
    }

    fn chunk(&mut self, plain: &[u8]) -> Vec<u8> {
        let chunk = [&[0; PREFIX], plain, &[0; TAG]];
        let mut chunk = chunk.concat();
        self.0.seal(&mut chunk).unwrap();
        chunk
    }
}

/// A listener's end, and what it asked its carrier for.
struct End {
    conn: Connection,
    now: Instant,
    rotations: u32,
}

impl End {
    fn over(profile: Profile) -> Self {
        let now = Instant::from_millis(1_000);
        let split = Split {
            i2r: [1; 32].into(),
            r2i: [2; 32].into(),
            hash: [3; 32],
        };
        let id = ConnectionId::from_random([4; 16]);
        let conn = Connection::new(Role::Listener, id, split, profile, config(), now);
        Self {
            conn,
            now,
            rotations: 0,
        }
    }

    fn new() -> Self {
        Self::over(profile())
    }

    /// Polls until it looks for more; everything else it asks for is done.
    fn looks(&mut self) -> RequestId {
        loop {
            self.now = self.now.after(Duration::from_millis(100));
            loop {
                match self.conn.poll(self.now) {
                    Output::Store(request) => match request.operation {
                        Operation::Read { .. } => return request.id,
                        operation => {
                            self.rotations += u32::from(matches!(
                                operation,
                                Operation::Rotate {
                                    direction: Direction::Inbound,
                                    ..
                                }
                            ));
                            let done = Input::Reply(request.id, Ok(Reply::Done));
                            self.conn.handle(self.now, done).unwrap();
                        }
                    },
                    Output::Wait(_) => break,
                    _ => {}
                }
            }
        }
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let look = self.looks();
        let data = Reply::Data {
            bytes: Bytes::copy_from_slice(bytes),
            more: true,
        };
        self.conn.handle(self.now, Input::Reply(look, Ok(data)))
    }

    fn read(&mut self) -> Result<Vec<u8>, Error> {
        let mut read = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            match self.conn.read(self.now, &mut buffer)? {
                Read::Data(n) => read.extend_from_slice(&buffer[..n]),
                Read::Pending | Read::End => return Ok(read),
            }
        }
    }

    /// The fault of these bytes, which must be final and repeat.
    fn fault(&mut self, bytes: &[u8]) -> Option<Class> {
        let fault = self.feed(bytes).unwrap_err();
        for _ in 0..2 {
            assert_eq!(self.read(), Err(fault.clone()));
            assert_eq!(self.conn.write(self.now, b"x"), Err(fault.clone()));
        }
        fault.class()
    }
}

#[test]
fn what_the_forger_seals_is_read() {
    let (mut end, mut forger) = (End::new(), Forger::new());
    end.feed(&forger.chunk(&frame(kind::DATA, b"one"))).unwrap();
    end.feed(&forger.chunk(&frame(kind::DATA, b" two")))
        .unwrap();
    assert_eq!(end.read().unwrap(), b"one two");
}

#[test]
fn case_26_and_split_frames_arrive_in_every_split() {
    let mut forger = Forger::new();
    let data = pattern(40);
    let frames = [
        frame(kind::DATA, &data[..11]),
        frame(kind::PING, b""),
        frame(kind::DATA, &data[11..]),
    ];
    // The frames are cut into chunks without regard to where they begin.
    let plain = frames.concat();
    let stored: Vec<u8> = plain
        .chunks(7)
        .flat_map(|part| forger.chunk(part))
        .collect();
    for at in 0..=stored.len() {
        let mut end = End::new();
        for part in [&stored[..at], &stored[at..]] {
            if !part.is_empty() {
                end.feed(part).unwrap();
            }
        }
        assert_eq!(end.read().unwrap(), data, "split at {at}");
    }
    let mut end = End::new();
    for byte in &stored {
        end.feed(&[*byte]).unwrap();
    }
    assert_eq!(end.read().unwrap(), data);
}

#[test]
fn cases_22_24_25_lengths_are_refused_at_the_prefix() {
    let largest = profile().largest_chunk as u32;
    let most = largest - PREFIX as u32;
    for (length, class) in (0..16)
        .map(|length| (length, Class::Length))
        .chain([most + 1, u32::MAX].map(|length| (length, Class::Limit)))
    {
        let prefix = length.to_be_bytes();
        assert_eq!(End::new().fault(&prefix), Some(class), "{length}");
        // Its last byte may come later.
        let mut end = End::new();
        end.feed(&prefix[..3]).unwrap();
        assert_eq!(end.fault(&prefix[3..]), Some(class), "{length}");
    }
    for length in [16, most] {
        End::new().feed(&length.to_be_bytes()).unwrap();
    }
}

#[test]
fn cases_27_to_30_replayed_swapped_dropped_and_reflected_chunks_deliver_nothing() {
    let mut forger = Forger::new();
    let one = forger.chunk(&frame(kind::DATA, b"one"));
    let two = forger.chunk(&frame(kind::DATA, b"two"));
    let mut replayed = End::new();
    replayed.feed(&one).unwrap();
    assert_eq!(replayed.fault(&one), Some(Class::Auth));
    assert_eq!(End::new().fault(&two), Some(Class::Auth));
    let mut reflected = Forger(Sealer::new([2; 32].into()));
    let own = reflected.chunk(&frame(kind::DATA, b"own"));
    assert_eq!(End::new().fault(&own), Some(Class::Auth));
}

#[test]
fn case_34_a_frame_beyond_the_mtu_is_refused_at_its_header() {
    let mtu = profile().largest_chunk - OVERHEAD - HEADER;
    let header = |length: usize| frame::header(length as u32, kind::DATA).to_vec();
    for length in [mtu + 1, 1 << 24, u32::MAX as usize] {
        let chunk = Forger::new().chunk(&header(length));
        assert_eq!(End::new().fault(&chunk), Some(Class::Limit), "{length}");
    }
    let (mut end, mut forger) = (End::new(), Forger::new());
    let data = pattern(mtu);
    end.feed(&forger.chunk(&frame(kind::DATA, &data))).unwrap();
    assert_eq!(end.read().unwrap(), data);
}

#[test]
fn case_35_unknown_types_are_skipped_with_their_payload() {
    let (mut end, mut forger) = (End::new(), Forger::new());
    let mut wanted = Vec::new();
    for kind in 4..=u8::MAX {
        let plain = [frame(kind, b"unknown"), frame(kind::DATA, &[kind])];
        end.feed(&forger.chunk(&plain.concat())).unwrap();
        wanted.push(kind);
    }
    assert_eq!(end.read().unwrap(), wanted);
}

#[test]
fn case_36_nothing_but_pings_and_unknown_frames_follows_a_fin() {
    let fin = || frame(kind::FIN, b"");
    for (after, fault) in [
        (frame(kind::DATA, b"x"), true),
        (frame(kind::DATA, b""), true),
        (frame(kind::FIN, b""), true),
        (frame(kind::ROTATE, b""), true),
        (frame(kind::PING, b""), false),
        (frame(0x77, b"x"), false),
    ] {
        let mut forger = Forger::new();
        let together = forger.chunk(&[fin(), after.clone()].concat());
        let mut forger = Forger::new();
        let apart = [forger.chunk(&fin()), forger.chunk(&after)].concat();
        for stored in [together, apart] {
            let mut end = End::new();
            if fault {
                assert_eq!(end.fault(&stored), Some(Class::State), "{after:?}");
            } else {
                end.feed(&stored).unwrap();
                assert_eq!(end.conn.read(end.now, &mut [0; 8]), Ok(Read::End));
            }
        }
    }
}

#[test]
fn case_37_a_rotate_frame_is_refused_where_a_carrier_does_not_rotate() {
    let rotate = frame(kind::ROTATE, b"");
    let mut queue = End::over(queue::profile());
    let chunk = Forger::new().chunk(&rotate);
    assert_eq!(queue.fault(&chunk), Some(Class::State));
    assert_eq!(queue.rotations, 0);

    let (mut blob, mut forger) = (End::new(), Forger::new());
    blob.feed(&forger.chunk(&rotate)).unwrap();
    blob.feed(&forger.chunk(&frame(kind::DATA, b"next place")))
        .unwrap();
    assert_eq!(blob.rotations, 1);
    assert_eq!(blob.read().unwrap(), b"next place");
}

#[test]
fn nothing_follows_a_rotate_frame_in_its_place() {
    let rotate = frame(kind::ROTATE, b"");
    let mut forger = Forger::new();
    let with = [rotate.clone(), frame(kind::PING, b"")].concat();
    let with_a_frame = forger.chunk(&with);
    let mut forger = Forger::new();
    let last = forger.chunk(&rotate);
    let next = forger.chunk(&frame(kind::DATA, b"x"));
    let with_a_chunk = [last.clone(), next.clone()].concat();
    let with_a_byte = [&*last, &next[..1]].concat();
    for (what, stored) in [
        ("a frame", with_a_frame),
        ("a chunk", with_a_chunk),
        ("a byte", with_a_byte),
    ] {
        assert_eq!(End::new().fault(&stored), Some(Class::State), "{what}");
    }
}
