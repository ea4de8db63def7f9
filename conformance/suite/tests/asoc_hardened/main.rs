//! The hardened profile of ASoc against a second implementation, in Python, which is written from
//! the book alone. Where there is no Python with `cryptography` the tests say so and skip.

mod peer;
mod refuses;
mod vectors;

use peer::{
    COMMUNITY, KEY, NEXT, OURS, Peer, Run, SUITES, Start, THEIRS, USUAL, client, config, fresh,
    identity, server, unix,
};
use stillwire_core::asoc::rotation::Notice;
use stillwire_core::asoc::{ApiKey, Config, Connection, NodeId, Suite};
use stillwire_core::{Instant, UnixTime};

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn we_dial_a_python_server() {
    for (suite, _) in SUITES {
        let Some(peer) = Peer::start("serve", &USUAL, &[]) else {
            return;
        };
        let mut run = Run::new(client(suite, &[KEY]), peer);
        let established = run.establish();
        assert!(established.proven);
        assert_eq!(established.peer, Some(NodeId::parse(THEIRS).unwrap()));
        assert_eq!(run.peer.expect("established")["peer"], OURS);
        for size in [0, 1, 4_000, 4_001, 200_003] {
            let seen = run.streams.len();
            echoed(&mut run, size);
            assert_eq!(run.streams[seen].0 as usize, 2 * (seen + 1));
        }
        run.peer.ends_well();
    }
}

/// A stream of ours comes back as it is.
fn echoed(run: &mut Run, size: usize) {
    let sent = pattern(size);
    run.send(&sent);
    let seen = run.streams.len();
    let complete = |run: &Run| run.streams.get(seen).is_some_and(|stream| stream.2);
    assert!(run.until(complete).unwrap());
    let back = &run.streams[seen].1;
    assert!(*back == sent, "{size} bytes came back changed");
    assert_eq!(run.peer.expect("stream")["bytes"], size);
}

#[test]
fn several_megabytes_both_ways_in_chunks_of_a_megabyte() {
    for (suite, _) in SUITES {
        let Some(peer) = Peer::start("serve", &USUAL, &[]) else {
            return;
        };
        let wide = Config {
            chunk: 1 << 20,
            ..config(suite)
        };
        let made = Connection::client(wide, identity(&[KEY]), fresh(0), Instant::ZERO);
        let mut run = Run::new(made.unwrap(), peer);
        run.establish();
        run.peer.expect("established");
        echoed(&mut run, 7_000_001);
        run.peer.ends_well();
    }
}

#[test]
fn a_python_client_dials_us() {
    let sizes = [0, 1, 16, 4_999, 5_000, 5_001, 123_457, 3_000_001];
    let listed = sizes.map(|size| size.to_string()).join(",");
    for (_, number) in SUITES {
        let more = ["--suite", number, "--sizes", &listed, "--expect", OURS];
        let Some(peer) = Peer::start("dial", &USUAL, &more) else {
            return;
        };
        let mut run = Run::new(server(&[KEY]), peer);
        let mut echoed = 0;
        loop {
            let complete = |run: &Run| run.streams.get(echoed).is_some_and(|stream| stream.2);
            if !run.until(complete).unwrap() {
                break;
            }
            let stream = run.streams[echoed].1.clone();
            run.send(&stream);
            echoed += 1;
        }
        let came: Vec<usize> = run.streams.iter().map(|stream| stream.1.len()).collect();
        assert_eq!(came, sizes);
        assert!(run.established.unwrap().proven);
        assert_eq!(run.peer.expect("established")["peer"], OURS);
        for size in sizes {
            let back = run.peer.expect("back");
            assert_eq!(
                (&back["bytes"], &back["same"]),
                (&size.into(), &true.into())
            );
        }
        run.peer.ends_well();
    }
}

#[test]
fn a_python_node_hears_of_a_new_key_and_acknowledges_it() {
    let Some(peer) = Peer::start("serve", &USUAL, &[]) else {
        return;
    };
    let mut run = Run::new(client(Suite::Aes256Gcm, &[KEY]), peer);
    run.establish();
    run.peer.expect("established");
    let activation = UnixTime::from_secs(unix() + 100);
    let unknown = ApiKey::new(b"a key that the peer does not have").unwrap();
    for key in [unknown.id(), ApiKey::new(NEXT.as_bytes()).unwrap().id()] {
        run.connection
            .notify(Notice::Announce { key, activation })
            .unwrap();
    }
    let one = |run: &Run| !run.acknowledged.is_empty();
    assert!(run.until(one).unwrap());
    // The unknown key came first, and only the known one is acknowledged.
    let next = ApiKey::new(NEXT.as_bytes()).unwrap().id();
    assert_eq!(run.acknowledged, [next]);
    assert_eq!(run.peer.expect("announced")["known"], false);
    let known = run.peer.expect("announced");
    assert_eq!(known["known"], true);
    assert_eq!(known["key"], next.to_string());
    assert_eq!(known["unix_s"], activation.as_secs());
    run.peer.ends_well();
}

#[test]
fn a_python_node_announces_a_new_key_and_hears_our_acknowledgement() {
    let at = (unix() + 100).to_string();
    let Some(peer) = Peer::start("dial", &USUAL, &["--announce", &at]) else {
        return;
    };
    let mut run = Run::new(server(&[KEY]), peer);
    assert!(run.until(|run| !run.announced.is_empty()).unwrap());
    let (key, activation) = run.announced[0];
    assert_eq!(key, ApiKey::new(NEXT.as_bytes()).unwrap().id());
    assert_eq!(activation.as_secs().to_string(), at);
    run.connection.notify(Notice::Acknowledge { key }).unwrap();
    assert!(!run.until(|_| false).unwrap());
    run.peer.expect("established");
    assert_eq!(run.peer.expect("acknowledged")["key"], key.to_string());
    run.peer.ends_well();
}

#[test]
fn while_a_key_is_rotated_both_keys_are_taken_by_both() {
    for spoken in [KEY, NEXT] {
        let Some(peer) = Peer::start("serve", &USUAL, &[]) else {
            return;
        };
        let mut run = Run::new(client(Suite::ChaCha20Poly1305, &[spoken]), peer);
        let key = ApiKey::new(spoken.as_bytes()).unwrap().id();
        assert_eq!(run.establish().key, key);
        run.peer.expect("established");
        echoed(&mut run, 10);
        run.peer.ends_well();

        let start = Start {
            key: spoken,
            ..USUAL
        };
        let peer = Peer::start("dial", &start, &["--sizes", "10"]).unwrap();
        let mut run = Run::new(server(&[KEY, NEXT]), peer);
        assert_eq!(run.establish().key, key);
        assert!(
            run.until(|run| run.streams.iter().any(|stream| stream.2))
                .unwrap()
        );
        let stream = run.streams[0].1.clone();
        run.send(&stream);
        assert!(!run.until(|_| false).unwrap());
        run.peer.ends_well();
    }
}

#[test]
fn the_community_is_not_a_secret_and_not_optional() {
    let start = Start {
        community: "",
        ..USUAL
    };
    let Some(peer) = Peer::start("serve", &start, &[]) else {
        return;
    };
    let mut run = Run::new(client(Suite::Aes256Gcm, &[KEY]), peer);
    assert_ne!(COMMUNITY, "");
    assert!(!run.until(|run| run.established.is_some()).unwrap());
    run.peer.refuses("auth");
}
