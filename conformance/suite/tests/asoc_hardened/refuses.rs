//! What the Python implementation must refuse, and what we refuse of it. That both agree shows that
//! the book says it.

use crate::peer::{
    COMMUNITY, KEY, OURS, Peer, Run, Start, THEIRS, USUAL, client, config, fresh, identity, server,
};
use std::io::{Read, Write};
use stillwire_core::asoc::{Config, Connection, Suite};
use stillwire_core::{Class, Input, Instant, Machine, Output};

const AES: Suite = Suite::Aes256Gcm;
/// Bytes of the three frames of the handshake.
const HELLO: usize = 135;
const ACCEPT: usize = 134;
const PROOF: usize = 46;

/// The peer refuses us: it ends, without a word, and says why.
fn refused(connection: Connection, start: &Start<'_>, class: &str) -> Option<()> {
    let peer = Peer::start("serve", start, &[])?;
    let mut run = Run::new(connection, peer);
    assert!(!run.until(|run| run.established.is_some()).unwrap());
    let ended = run.connection.handle(Instant::ZERO, Input::End);
    assert_eq!(ended.unwrap_err().class(), Some(Class::Eof));
    run.peer.refuses(class);
    Some(())
}

/// We refuse the peer: nothing is answered.
fn we_refuse(connection: Connection, start: &Start<'_>, class: Class) {
    let peer = Peer::start("dial", start, &[]).unwrap();
    let mut run = Run::new(connection, peer);
    let fault = run.until(|run| run.established.is_some()).unwrap_err();
    assert_eq!(fault.class(), Some(class));
    assert!(run.sent.is_empty());
    run.peer.finds_it_ended();
}

#[test]
fn another_key_or_community_is_refused_by_both() {
    let other = "another key, also long enough";
    for (key, community) in [(other, COMMUNITY), (KEY, "another community")] {
        let start = Start {
            key,
            community,
            ..USUAL
        };
        if refused(client(AES, &[KEY]), &start, "auth").is_none() {
            return;
        }
        we_refuse(server(&[KEY]), &start, Class::Auth);
    }
}

#[test]
fn our_own_uuid_is_refused_by_both() {
    let start = Start {
        node: OURS,
        ..USUAL
    };
    if refused(client(AES, &[KEY]), &start, "identity").is_none() {
        return;
    }
    we_refuse(server(&[KEY]), &start, Class::Identity);
}

#[test]
fn a_clock_that_is_more_than_60_s_off_is_refused_by_both() {
    // Two seconds more than the edge: the other clock goes on meanwhile.
    for (off, theirs, ours) in [(-62, "stale", Class::Future), (62, "future", Class::Stale)] {
        let made =
            Connection::client(config(AES), identity(&[KEY]), fresh(off), Instant::ZERO).unwrap();
        if refused(made, &USUAL, theirs).is_none() {
            return;
        }
        let made = Connection::server(config(AES), identity(&[KEY]), fresh(off), Instant::ZERO);
        we_refuse(made.unwrap(), &USUAL, ours);
    }
}

#[test]
fn a_plain_client_is_a_downgrade_and_a_plain_server_gets_a_clear_error() {
    let plain = Config::default();
    let made = Connection::client(plain.clone(), identity(&[KEY]), fresh(0), Instant::ZERO);
    if refused(made.unwrap(), &USUAL, "downgrade").is_none() {
        return;
    }
    let made = Connection::server(plain, identity(&[KEY]), fresh(0), Instant::ZERO);
    we_refuse(made.unwrap(), &USUAL, Class::Type);
}

#[test]
fn an_accept_of_the_default_profile_is_a_downgrade() {
    let Some(mut peer) = Peer::start("dial", &USUAL, &[]) else {
        return;
    };
    peer.read(HELLO);
    peer.write(&[1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 16]);
    peer.refuses("downgrade");
}

#[test]
fn a_client_that_wants_a_certain_node_takes_no_other() {
    let Some(peer) = Peer::start("dial", &USUAL, &["--expect", THEIRS]) else {
        return;
    };
    let mut run = Run::new(server(&[KEY]), peer);
    assert!(!run.until(|run| run.established.is_some()).unwrap());
    run.peer.refuses("identity");
}

/// A handshake with a Python client, whose answer is kept from us: our ACCEPT.
fn recorded_accept() -> Option<Vec<u8>> {
    let peer = Peer::start("dial", &USUAL, &[])?;
    let mut run = Run::new(server(&[KEY]), peer);
    run.establish();
    assert_eq!(run.sent.len(), ACCEPT);
    run.until(|_| false).unwrap();
    run.peer.expect("established");
    run.peer.ends_well();
    Some(run.sent)
}

#[test]
fn attack_replayed_accept() {
    let Some(accept) = recorded_accept() else {
        return;
    };
    let mut peer = Peer::start("dial", &USUAL, &[]).unwrap();
    peer.read(HELLO);
    peer.write(&accept);
    peer.refuses("auth");
}

#[test]
fn attack_replayed_hello() {
    let Some(peer) = Peer::start("serve", &USUAL, &["--port", "0"]) else {
        return;
    };
    let port = peer.expect("listening")["port"].clone();
    let mut machine = client(AES, &[KEY]);
    let mut said = Vec::new();
    while let Output::Transmit(bytes) = machine.poll(Instant::ZERO) {
        said.extend_from_slice(&bytes);
    }
    assert_eq!(said.len(), HELLO);
    let mut first = Peer::connect(&port);
    first.write_all(&said).unwrap();
    let mut accept = [0; ACCEPT];
    first.read_exact(&mut accept).unwrap();
    // The same again, while the first connection is up: it ends without a byte.
    let mut again = Peer::connect(&port);
    again.write_all(&said).unwrap();
    let mut answer = Vec::new();
    again.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty());
    let said = peer.expect("refused");
    assert_eq!(said["class"], "replay");
    // And the first is not disturbed.
    machine
        .handle(Instant::ZERO, Input::Bytes(&accept))
        .unwrap();
    while let Output::Transmit(bytes) = machine.poll(Instant::ZERO) {
        first.write_all(&bytes).unwrap();
    }
    assert_eq!(peer.expect("established")["peer"], OURS);
}

#[test]
fn attack_reflection() {
    let Some(mut peer) = Peer::start("dial", &USUAL, &[]) else {
        return;
    };
    let hello = peer.read(HELLO);
    peer.write(&hello);
    peer.refuses("state");

    // Its own sealed frames do not open under the other direction's key.
    let mut peer = Peer::start("dial", &USUAL, &["--sizes", "100"]).unwrap();
    let mut machine = server(&[KEY]);
    machine
        .handle(Instant::ZERO, Input::Bytes(&peer.read(HELLO)))
        .unwrap();
    assert!(matches!(machine.poll(Instant::ZERO), Output::Event(_)));
    machine.admit(Instant::ZERO).unwrap();
    while let Output::Transmit(bytes) = machine.poll(Instant::ZERO) {
        peer.write(&bytes);
    }
    // PROOF, then DATA and END.
    let said = peer.read(PROOF + 14 + 116 + 14 + 16);
    peer.expect("established");
    peer.write(&said[PROOF..]);
    peer.refuses("auth");
}

/// An established client of ours, and the frames that it would send next.
fn with_frames() -> Option<(Run, Vec<Vec<u8>>)> {
    let peer = Peer::start("serve", &USUAL, &[])?;
    let mut run = Run::new(client(AES, &[KEY]), peer);
    run.establish();
    run.peer.expect("established");
    run.send(&[7; 5_000]);
    let mut parts = Vec::new();
    while let Output::Transmit(bytes) = run.connection.poll(Instant::ZERO) {
        parts.push(bytes.to_vec());
    }
    let bytes = parts.concat();
    // Two DATA frames and END.
    let (one, rest) = bytes.split_at(14 + 4_016);
    let (two, end) = rest.split_at(14 + 1_016);
    assert_eq!(end.len(), 14 + 16);
    Some((run, vec![one.to_vec(), two.to_vec(), end.to_vec()]))
}

#[test]
fn frames_that_are_altered_swapped_or_repeated_are_refused() {
    let flipped = |at: usize| {
        move |frames: &mut Vec<Vec<u8>>| {
            let length = frames[0].len();
            frames[0][at.min(length - 1)] ^= 1;
        }
    };
    type Change = Box<dyn Fn(&mut Vec<Vec<u8>>)>;
    let changes: [(&str, Change); 8] = [
        // A body, a tag, and in the header what the page lets be judged before the seal or not.
        ("auth", Box::new(flipped(14))),
        ("auth", Box::new(flipped(usize::MAX))),
        ("auth", Box::new(flipped(4))),
        ("state", Box::new(flipped(9))),
        ("version", Box::new(flipped(0))),
        ("state", Box::new(|frames| frames.swap(0, 1))),
        (
            "state",
            Box::new(|frames| frames.insert(1, frames[0].clone())),
        ),
        ("state", Box::new(|frames| drop(frames.remove(0)))),
    ];
    for (class, change) in changes {
        let Some((mut run, mut frames)) = with_frames() else {
            return;
        };
        change(&mut frames);
        run.peer.write(&frames.concat());
        run.peer.refuses(class);
    }
    // As they are they are fine.
    let (mut run, frames) = with_frames().unwrap();
    run.peer.write(&frames.concat());
    assert_eq!(run.peer.expect("stream")["bytes"], 5_000);
}

#[test]
fn a_proof_that_is_altered_or_missing_opens_nothing() {
    let Some(mut peer) = Peer::start("serve", &USUAL, &[]) else {
        return;
    };
    let mut machine = client(AES, &[KEY]);
    let transmits = |machine: &mut Connection| {
        let mut out = Vec::new();
        while let Output::Transmit(bytes) = machine.poll(Instant::ZERO) {
            out.extend_from_slice(&bytes);
        }
        out
    };
    peer.write(&transmits(&mut machine));
    machine
        .handle(Instant::ZERO, Input::Bytes(&peer.read(ACCEPT)))
        .unwrap();
    let mut proof = transmits(&mut machine);
    assert_eq!(proof.len(), PROOF);
    proof[PROOF - 1] ^= 0x80;
    peer.write(&proof);
    peer.refuses("auth");

    let mut peer = Peer::start("serve", &USUAL, &[]).unwrap();
    let mut machine = client(AES, &[KEY]);
    peer.write(&transmits(&mut machine));
    machine
        .handle(Instant::ZERO, Input::Bytes(&peer.read(ACCEPT)))
        .unwrap();
    transmits(&mut machine);
    let stream = machine.open().unwrap();
    machine.write(stream, &vec![1; 10].into()).unwrap();
    let data = transmits(&mut machine);
    peer.write(&data);
    peer.refuses("state");
}

#[test]
fn a_stream_that_is_cut_off_is_no_stream() {
    let Some((mut run, frames)) = with_frames() else {
        return;
    };
    run.peer.write(&frames[..2].concat());
    run.peer.finds_it_ended();
}
