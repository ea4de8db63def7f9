//! Somebody who records, repeats, alters and injects. In the default profile the tests show the
//! documented weaknesses, so that nobody takes them for protection.

use crate::world::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stillwire_core::asoc::rotation::Notice;
use stillwire_core::asoc::{
    Announcement, ApiKey, Connection, ConnectionEvent, Node, NodeConfig, NodeOutput, Profile,
    Suite, Verdict,
};
use stillwire_core::{Class, Instant, UnixTime};

fn somewhere(last: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)), 9000)
}

fn node(id: u8, profile: Profile) -> Node {
    let config = NodeConfig {
        connection: config(profile),
        community: "test-cluster".to_owned(),
        ..NodeConfig::default()
    };
    let key = ApiKey::new(KEY).unwrap();
    Node::new(config, name(id), key, [id; 32], Instant::ZERO, NOW)
}

/// Drains a connection of a node, carrying out its verdicts.
fn drain(node: &mut Node, id: stillwire_core::asoc::ConnectionId, end: &mut End) -> Vec<u8> {
    use stillwire_core::{Machine, Output};
    let mut out = Vec::new();
    loop {
        match end.machine.poll(Instant::ZERO) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(event) => {
                match node.hear(Instant::ZERO, id, &event) {
                    Verdict::Admit => end.machine.admit(Instant::ZERO).unwrap(),
                    Verdict::Refuse(fault) => end.machine.refuse(fault).unwrap(),
                    Verdict::Close(_) => end.machine.close().unwrap(),
                    Verdict::Notify(notice) => end.machine.notify(notice).unwrap(),
                    Verdict::Go => {}
                }
                end.events.push(event);
            }
            _ => return out,
        }
    }
}

/// Hands recorded bytes to a new connection of a node.
fn replay(node: &mut Node, bytes: &[u8]) -> (End, Vec<u8>) {
    let (id, machine) = node.accept(Instant::ZERO, somewhere(66)).unwrap();
    let mut end = End::of(machine);
    // A refusal is among the events.
    let _ = end.take(bytes);
    let out = drain(node, id, &mut end);
    (end, out)
}

#[test]
fn attack_replayed_hello_to_the_same_node_both_profiles() {
    for profile in PROFILES {
        let mut victim = node(2, profile);
        let hello = End::client(1, 1, profile).drain();
        let (_, answer) = replay(&mut victim, &hello);
        assert!(!answer.is_empty());
        let (again, answer) = replay(&mut victim, &hello);
        assert_eq!(again.fault(), Some(Class::Replay), "{profile:?}");
        assert!(answer.is_empty());
    }
}

#[test]
fn attack_replayed_hello_default_profile_another_node_takes_it() {
    let hello = End::client(1, 1, Profile::Default).drain();
    let (_, answer) = replay(&mut node(2, Profile::Default), &hello);
    assert_eq!(answer.len(), 30);
    // The weakness: node 3 has not seen it, and neither has a node that was started anew.
    let (end, _) = replay(&mut node(3, Profile::Default), &hello);
    assert!(end.machine.is_open());
}

#[test]
fn attack_replayed_hello_hardened_profile_no_proof_no_connection() {
    let met = meet(HARDENED, 1);
    // Recorded: HELLO and PROOF of the same client. The answer of another server has another
    // nonce, so the old PROOF fits nothing.
    let (mut end, answer) = replay(&mut node(3, HARDENED), &met.to_server[0]);
    assert!(!answer.is_empty());
    assert!(!end.machine.is_open());
    end.answer(&met.to_server[1]);
    assert_eq!(end.fault(), Some(Class::Auth));
    assert!(end.data().is_empty());
}

#[test]
fn attack_replayed_accept_default_profile_anybody_is_the_server() {
    let met = meet(Profile::Default, 1);
    let mut client = End::client(1, 2, Profile::Default);
    client.drain();
    client.answer(&met.to_client[0]);
    // The weakness, and what is said of it: the server is not proven.
    let established = client.events.iter().find_map(|event| match event {
        ConnectionEvent::Established(established) => Some(*established),
        _ => None,
    });
    let established = established.unwrap();
    assert!(!established.proven);
    assert_eq!(established.peer, None);
}

#[test]
fn attack_replayed_accept_hardened_profile_it_is_bound_to_its_hello() {
    let met = meet(HARDENED, 1);
    let mut client = End::client(1, 2, HARDENED);
    client.drain();
    client.answer(&met.to_client[0]);
    assert_eq!(client.fault(), Some(Class::Auth));
}

#[test]
fn attack_reflection_both_profiles() {
    for profile in PROFILES {
        // To the client itself: not an answer.
        let mut client = End::client(1, 1, profile);
        let hello = client.drain();
        client.answer(&hello);
        assert_eq!(client.fault(), Some(Class::State), "{profile:?}");
        // To the listener of the same node: its own UUID.
        let mut server = End::server(1, 2, profile);
        assert!(server.answer(&hello).is_empty());
        assert_eq!(server.fault(), Some(Class::Identity), "{profile:?}");
    }
}

#[test]
fn attack_reflection_of_data_default_profile_own_bytes_come_back_as_the_peers() {
    let mut met = meet(Profile::Default, 1);
    let said = met.client.say(b"pay 1");
    met.client.answer(&said);
    assert_eq!(met.client.data(), b"pay 1");
}

#[test]
fn attack_reflection_of_data_hardened_profile_each_direction_has_its_key() {
    for profile in &PROFILES[1..] {
        let mut met = meet(*profile, 1);
        let said = met.client.say(b"pay 1");
        met.client.answer(&said);
        assert_eq!(met.client.fault(), Some(Class::Auth));
        assert!(met.client.data().is_empty());
    }
}

#[test]
fn attack_relay_default_profile_who_carries_the_bytes_can_speak() {
    let mut met = meet(Profile::Default, 1);
    met.server.answer(&frame(1, 1, 0, b"never said"));
    assert_eq!(met.server.data(), b"never said");
}

#[test]
fn attack_relay_hardened_profile_it_is_a_wire_and_nothing_more() {
    for profile in &PROFILES[1..] {
        // Every bit of a sealed frame, header and payload, flipped on the way.
        let length = meet(*profile, 1).client.say(b"never read").len();
        for bit in 0..length * 8 {
            let mut met = meet(*profile, 1);
            let mut said = met.client.say(b"never read");
            assert!(!said.windows(10).any(|part| part == b"never read"));
            said[bit / 8] ^= 1 << (bit % 8);
            met.server.answer(&said);
            assert!(met.server.data().is_empty());
            // Where the length has grown it waits for more; all else is refused.
            let longer = (80..112).contains(&bit) && met.server.fault().is_none();
            assert!(longer || met.server.fault().is_some(), "bit {bit}");
        }
        let mut met = meet(*profile, 1);
        met.server
            .answer(&frame(1, 1, 0, b"never said, but long enough for a tag"));
        assert_eq!(met.server.fault(), Some(Class::Auth));
    }
}

/// Node 1 has discovered node 2 and dials; node 3, which holds the key, answers in its place.
fn misdirected(profile: Profile) -> (Node, End) {
    let mut dialer = node(1, profile);
    let message = Announcement {
        node: name(2),
        port: 9000,
        time: u32::try_from(NOW.as_secs()).unwrap(),
        challenge: 1,
    };
    let bytes = message.encode(&ApiKey::new(KEY).unwrap(), "test-cluster");
    let from = somewhere(2).ip();
    dialer.datagram(Instant::ZERO, from, &bytes).unwrap();
    let dial = loop {
        match dialer.poll(Instant::ZERO) {
            NodeOutput::Dial { dial, .. } => break dial,
            NodeOutput::Wait(_) => panic!("nobody is dialed"),
            _ => {}
        }
    };
    let (id, machine) = dialer.dialed(Instant::ZERO, dial).unwrap();
    let mut client = End::of(machine);
    let mut server = End::server(3, 9, profile);
    let hello = drain(&mut dialer, id, &mut client);
    let accept = server.answer(&hello);
    client.take(&accept).unwrap();
    drain(&mut dialer, id, &mut client);
    (dialer, client)
}

#[test]
fn attack_relay_to_another_node_default_profile_is_not_noticed() {
    let (_, client) = misdirected(Profile::Default);
    assert!(client.machine.is_open());
}

#[test]
fn attack_relay_to_another_node_hardened_profile_the_server_names_itself() {
    let (mut dialer, client) = misdirected(HARDENED);
    assert!(!client.machine.is_open());
    let reported = loop {
        match dialer.poll(Instant::ZERO) {
            NodeOutput::Audit(event) => break event,
            NodeOutput::Wait(_) => panic!("nothing is reported"),
            _ => {}
        }
    };
    assert_eq!(reported.kind.class(), Some(Class::Identity));
    assert_eq!(reported.node, Some(name(3)));
}

#[test]
fn attack_splice_default_profile_frames_of_another_connection_are_taken() {
    let mut first = meet(Profile::Default, 1);
    let mut second = meet(Profile::Default, 2);
    let said = first.client.say(b"from the first");
    second.server.answer(&said);
    assert_eq!(second.server.data(), b"from the first");
}

#[test]
fn attack_splice_hardened_profile_other_frames_and_other_orders_are_refused() {
    for profile in &PROFILES[1..] {
        let mut first = meet(*profile, 1);
        let mut second = meet(*profile, 2);
        let said = first.client.say(b"from the first");
        second.server.answer(&said);
        assert_eq!(second.server.fault(), Some(Class::Auth));
        assert!(second.server.data().is_empty());
        // Within a connection: two streams' frames swapped, one left out, one repeated.
        for order in [&[1, 0][..], &[1], &[0, 0], &[0, 2]] {
            let mut met = meet(*profile, 3);
            let said = [
                met.client.say(b"one"),
                met.client.say(b"two"),
                met.client.say(b"six"),
            ];
            for index in order {
                met.server.answer(&said[*index]);
            }
            assert!(
                matches!(met.server.fault(), Some(Class::Auth | Class::State)),
                "{order:?}"
            );
        }
    }
}

#[test]
fn attack_splice_hardened_profile_a_stream_that_is_cut_off_is_an_error() {
    use stillwire_core::{Input, Machine};
    let mut met = meet(HARDENED, 1);
    let said = met.client.say(b"the end is missing");
    met.server.answer(&said);
    let cut = met.server.machine.handle(Instant::ZERO, Input::End);
    assert_eq!(cut.unwrap_err().class(), Some(Class::Eof));
}

#[test]
fn attack_splice_both_profiles_a_cut_between_two_streams_is_not_noticed() {
    use stillwire_core::{Input, Machine};
    for profile in PROFILES {
        let mut met = meet(profile, 1);
        let stream = met.client.machine.open().unwrap();
        met.client.machine.end(stream).unwrap();
        let whole = met.client.drain();
        met.server.answer(&whole);
        // The second stream was sent, and does not arrive.
        assert!(!met.client.say(b"kept back").is_empty());
        met.server
            .machine
            .handle(Instant::ZERO, Input::End)
            .unwrap();
        met.server.drain();
        assert_eq!(met.server.fault(), None);
        assert_eq!(
            met.server.events.last(),
            Some(&ConnectionEvent::Closed(None))
        );
    }
}

#[test]
fn attack_downgrade_a_hardened_end_never_speaks_the_default_profile() {
    let hello = End::client(1, 1, Profile::Default).drain();
    let mut server = End::server(2, 2, HARDENED);
    assert!(server.answer(&hello).is_empty());
    assert_eq!(server.fault(), Some(Class::Downgrade));
    let met = meet(Profile::Default, 1);
    let mut client = End::client(1, 1, HARDENED);
    client.drain();
    assert!(client.answer(&met.to_client[0]).is_empty());
    assert_eq!(client.fault(), Some(Class::Downgrade));
}

#[test]
fn attack_downgrade_a_plain_end_that_meets_a_hardened_one_says_so() {
    let hello = End::client(1, 1, HARDENED).drain();
    let mut server = End::server(2, 2, Profile::Default);
    let fault = server.take(&hello).unwrap_err();
    assert_eq!(fault.class(), Some(Class::Type));
    assert!(fault.to_string().contains("hardened"), "{fault}");
    assert!(server.drain().is_empty());
}

#[test]
fn attack_downgrade_of_the_cipher_is_under_the_mac() {
    let mut hello = End::client(1, 1, Profile::Hardened(Suite::ChaCha20Poly1305)).drain();
    assert_eq!(hello[14], 2);
    hello[14] = 1;
    let mut server = End::server(2, 2, HARDENED);
    assert!(server.answer(&hello).is_empty());
    assert_eq!(server.fault(), Some(Class::Auth));
}

#[test]
fn attack_replayed_rotation_hardened_profile_an_old_notice_does_not_open() {
    let key = ApiKey::new(b"the next key of the cluster").unwrap().id();
    let notice = Notice::Announce {
        key,
        activation: UnixTime::from_secs(1),
    };
    let heard = |end: &End| {
        let heard = |event: &&ConnectionEvent| matches!(event, ConnectionEvent::Announced { .. });
        end.events.iter().filter(heard).count()
    };
    let mut met = meet(HARDENED, 1);
    met.client.machine.notify(notice).unwrap();
    let said = met.client.drain();
    met.server.answer(&said);
    assert_eq!(heard(&met.server), 1);
    // Again on the same connection, and on another one.
    met.server.answer(&said);
    assert_eq!(met.server.fault(), Some(Class::Auth));
    assert_eq!(heard(&met.server), 1);
    let mut other = meet(HARDENED, 2);
    other.server.answer(&said);
    assert_eq!(other.server.fault(), Some(Class::Auth));
    assert_eq!(heard(&other.server), 0);
    // In the default profile it is heard again; that it changes nothing is the node's part.
    let mut plain = meet(Profile::Default, 1);
    plain.client.machine.notify(notice).unwrap();
    let said = plain.client.drain();
    plain.server.answer(&said);
    plain.server.answer(&said);
    assert_eq!(heard(&plain.server), 2);
}

#[test]
fn a_stolen_cluster_key_does_not_open_what_was_recorded_before() {
    // The keys of both directions come from key shares too: same key, same nonces, other shares.
    let talk = |share: u8| {
        let identity = identity(1);
        let mut fresh = fresh(1);
        fresh.ephemeral = [share; 32].into();
        let client = Connection::client(config(HARDENED), identity, fresh, Instant::ZERO);
        let mut client = End::of(client.unwrap());
        let mut server = End::server(2, 2, HARDENED);
        let hello = client.drain();
        let accept = server.answer(&hello);
        client.answer(&accept);
        client.say(b"secret")
    };
    let (one, two) = (talk(1), talk(2));
    assert_eq!(one[..14], two[..14]);
    assert_ne!(one[14..], two[14..]);
}
