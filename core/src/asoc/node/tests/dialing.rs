//! Discovery, dialing and back-off.

use super::*;

fn quiet() -> NodeConfig {
    NodeConfig {
        discovery: false,
        ..config()
    }
}

/// Fails every dial until `count` were made; gives the pauses before each.
fn pauses(node: &mut Node, count: usize) -> Vec<u64> {
    let (mut now, mut failed, mut pauses) = (ms(0), ms(0), Vec::new());
    while pauses.len() < count {
        let (out, _) = drain(node, now);
        for (dial, _) in dials(&out) {
            pauses.push(now.since(failed).as_micros().try_into().unwrap());
            node.dial_failed(now, dial).unwrap();
            failed = now;
        }
        match drain(node, now).1 {
            Some(until) if until > now => now = until,
            Some(_) => {}
            None => break,
        }
    }
    pauses
}

#[test]
fn static_peers_are_dialed_for_ever_after_1_to_5_s_then_doubling_up_to_60_s() {
    let mut first = BTreeSet::new();
    for seed in 1..40 {
        let mut node = node(
            seed,
            NodeConfig {
                static_peers: vec![at(9, 9000)],
                ..quiet()
            },
        );
        let pauses = pauses(&mut node, 30);
        assert_eq!(pauses[0], 0);
        assert!((1_000_000..=5_000_000).contains(&pauses[1]));
        first.insert(pauses[1]);
        for pair in pauses[1..].windows(2) {
            assert_eq!(pair[1], (pair[0] * 2).min(60_000_000));
        }
        assert_eq!(pauses.len(), 30);
    }
    assert_eq!(first.len(), 39);
}

#[test]
fn discovered_peers_are_dropped_after_3_failures() {
    let mut node = node(1, config());
    node.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    let (out, _) = drain(&mut node, ms(0));
    assert!(out.contains(&NodeOutput::Event(NodeEvent::Found {
        node: name(2),
        address: at(2, 9000)
    })));
    let mut failures = 0;
    let (mut lost, mut again) = (None, None);
    let mut first = dials(&out);
    for second in 0..200 {
        let now = ms(second * 1000);
        let mut out = drain(&mut node, now).0;
        for (dial, _) in first.drain(..).chain(dials(&out)) {
            assert_eq!(lost, None, "dialed after it was dropped");
            node.dial_failed(now, dial).unwrap();
            failures += 1;
        }
        out.extend(drain(&mut node, now).0);
        if out.contains(&NodeOutput::Event(NodeEvent::Lost { node: name(2) })) {
            lost = Some(second);
        }
        if node
            .datagram(
                now,
                ip(2),
                &announcement(2, 9000, second, 100 + second as u32),
            )
            .is_ok()
            && lost.is_some()
            && node.address(name(2)).is_some()
        {
            again = Some(second);
            break;
        }
    }
    assert_eq!(failures, 3);
    assert_eq!(again.unwrap() - lost.unwrap(), 60);
}

#[test]
fn an_attempt_that_takes_10_s_is_given_up() {
    let mut node = node(
        1,
        NodeConfig {
            static_peers: vec![at(9, 9000)],
            ..quiet()
        },
    );
    let (out, until) = drain(&mut node, ms(0));
    let (dial, _) = dials(&out)[0];
    assert_eq!(until, Some(ms(10_000)));
    assert_eq!(drain(&mut node, ms(9_999)).0, vec![]);
    assert_eq!(
        drain(&mut node, ms(10_000)).0,
        vec![NodeOutput::Abandon(dial)]
    );
    assert!(matches!(
        node.dialed(ms(10_000), dial),
        Err(Error::Misuse(_))
    ));
    assert!(matches!(
        node.dial_failed(ms(10_000), dial),
        Err(Error::Misuse(_))
    ));
}

#[test]
fn we_announce_ourselves_every_3_s_and_ignore_our_own_broadcast() {
    let mut one = node(1, config());
    let mut two = node(2, config());
    let mut sent = Vec::new();
    for second in 0..10 {
        for output in drain(&mut one, ms(second * 1000)).0 {
            if let NodeOutput::Broadcast(bytes) = output {
                sent.push((second, bytes));
            }
        }
    }
    let times: Vec<u64> = sent.iter().map(|(second, _)| *second).collect();
    assert_eq!(times, [0, 3, 6, 9]);
    for (second, bytes) in sent {
        let now = ms(second * 1000);
        let own = one.datagram(now, ip(1), &bytes).unwrap_err();
        assert_eq!(own.class(), Some(Class::Identity));
        two.datagram(now, ip(1), &bytes).unwrap();
        let again = two.datagram(now, ip(7), &bytes).unwrap_err();
        assert_eq!(again.class(), Some(Class::Replay));
    }
    assert!(one.address(name(1)).is_none());
    assert!(kinds(&drain(&mut one, ms(9_000)).0).is_empty());
    assert_eq!(two.address(name(1)), Some(at(1, 9000)));
    let replays = kinds(&drain(&mut two, ms(9_000)).0);
    assert_eq!(replays, ["replay"; 4]);
}

#[test]
fn a_peer_is_stale_after_15_s_and_port_0_is_not_dialed() {
    let mut node = node(1, config());
    node.datagram(ms(0), ip(2), &announcement(2, 0, 0, 1))
        .unwrap();
    assert!(dials(&drain(&mut node, ms(14_999)).0).is_empty());
    assert!(node.address(name(2)).is_some());
    node.datagram(ms(14_999), ip(2), &announcement(2, 0, 14, 2))
        .unwrap();
    drain(&mut node, ms(29_998));
    assert!(node.address(name(2)).is_some());
    let (out, _) = drain(&mut node, ms(29_999));
    assert!(out.contains(&NodeOutput::Event(NodeEvent::Lost { node: name(2) })));
    assert!(dials(&out).is_empty());
    assert!(node.address(name(2)).is_none());
}

#[test]
fn discovered_peers_can_be_told_of_and_left_alone() {
    let mut node = node(
        1,
        NodeConfig {
            dial_discovered: false,
            ..config()
        },
    );
    drain(&mut node, ms(0));
    // Another address does not move it, for nobody dials there.
    for (second, from) in [(0, 9), (2, 9), (4, 8)] {
        let message = announcement(2, 7_000, second, u32::try_from(second).unwrap());
        let said = node.datagram(ms(second * 1_000), ip(from), &message);
        assert_eq!(said, Ok(()), "{second}");
    }
    let mut told = drain(&mut node, ms(5_000)).0;
    told.extend(drain(&mut node, ms(16_999)).0);
    let event = |output: &NodeOutput| matches!(output, NodeOutput::Event(_));
    let found = NodeEvent::Found {
        node: name(2),
        address: at(9, 7_000),
    };
    let events: Vec<_> = told.iter().filter(|output| event(output)).collect();
    assert_eq!(events, [&NodeOutput::Event(found)]);
    assert!(dials(&told).is_empty());
    assert_eq!(kinds(&told), ["moving"]);
    let (told, _) = drain(&mut node, ms(17_000));
    assert!(told.contains(&NodeOutput::Event(NodeEvent::Lost { node: name(2) })));
}

#[test]
fn one_message_a_second_of_a_node_and_ten_of_an_address() {
    let mut node = node(1, config());
    node.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    let fault = node.datagram(ms(999), ip(2), &announcement(2, 9000, 0, 2));
    assert_eq!(fault.unwrap_err().class(), Some(Class::Limit));
    for count in 0..8 {
        assert!(node.datagram(ms(999), ip(2), &[count; 3]).is_err());
    }
    drain(&mut node, ms(999));
    let fault = node.datagram(ms(999), ip(2), b"eleventh").unwrap_err();
    assert_eq!(fault.class(), Some(Class::Limit));
    assert_eq!(kinds(&drain(&mut node, ms(999)).0), ["limited"]);
    node.datagram(ms(1000), ip(3), &announcement(2, 9000, 1, 3))
        .unwrap();
}

#[test]
fn a_flood_of_datagrams_drowns_no_other_event() {
    let mut node = node(1, config());
    for _ in 0..10_000 {
        assert!(node.datagram(ms(0), ip(66), b"flood").is_err());
    }
    let wrong = ApiKey::new(b"not the key of this cluster").unwrap();
    knock(&mut node, ms(1), at(2, 1), &hello(2, 1, &wrong));
    node.datagram(ms(1_000), ip(66), b"flood").unwrap_err();
    let kinds = kinds(&drain(&mut node, ms(1_000)).0);
    // Ten of a second are looked at.
    let mut expected = vec!["failure"; 10];
    expected.extend(["limited", "failure", "failure"]);
    assert_eq!(kinds, expected);
}

#[test]
fn trap_06_a_message_from_another_address_moves_nobody_before_it_is_dialed() {
    let mut node = node(1, config());
    let mut other = super::node(2, config());
    node.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    let (dial, _) = dials(&drain(&mut node, ms(0)).0)[0];
    node.dial_failed(ms(0), dial).unwrap();
    // Somebody at 66 sends a message of the node once more, before the node has been reached.
    node.datagram(ms(1000), ip(66), &announcement(2, 9000, 1, 2))
        .unwrap();
    assert_eq!(node.address(name(2)), Some(at(2, 9000)));
    let (out, _) = drain(&mut node, ms(1000));
    assert_eq!(kinds(&out), ["moving"]);
    let tried: Vec<_> = dials(&out);
    assert_eq!(tried[0].1, at(66, 9000));
    // Nobody with the key is there: nothing changes, and it is not tried again at once.
    node.dial_failed(ms(1000), tried[0].0).unwrap();
    node.datagram(ms(2000), ip(66), &announcement(2, 9000, 2, 3))
        .unwrap();
    let (out, _) = drain(&mut node, ms(2000));
    assert!(kinds(&out).is_empty());
    assert!(
        dials(&out)
            .iter()
            .all(|(_, address)| *address == at(2, 9000))
    );
    assert_eq!(node.address(name(2)), Some(at(2, 9000)));
    // A node that has really moved answers there.
    let mut moved = super::node(1, config());
    moved
        .datagram(ms(0), ip(2), &announcement(2, 9000, 0, 4))
        .unwrap();
    let (dial, _) = dials(&drain(&mut moved, ms(0)).0)[0];
    moved.dial_failed(ms(0), dial).unwrap();
    moved
        .datagram(ms(1000), ip(3), &announcement(2, 9000, 1, 5))
        .unwrap();
    let (dial, address) = dials(&drain(&mut moved, ms(1000)).0)[0];
    assert_eq!(address, at(3, 9000));
    connect(ms(1000), &mut moved, dial, &mut other);
    assert_eq!(moved.address(name(2)), Some(at(3, 9000)));
    let (out, _) = drain(&mut moved, ms(1000));
    assert!(kinds(&out).contains(&"moved"), "{out:?}");
}

#[test]
fn trap_06_where_a_connection_is_up_nobody_is_moved() {
    let (mut one, mut two) = (node(1, config()), node(2, config()));
    one.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    let (dial, _) = dials(&drain(&mut one, ms(0)).0)[0];
    let _ends = connect(ms(0), &mut one, dial, &mut two);
    one.datagram(ms(2000), ip(66), &announcement(2, 9000, 2, 2))
        .unwrap();
    let (out, _) = drain(&mut one, ms(2000));
    assert_eq!(kinds(&out), ["success", "moving"]);
    assert!(dials(&out).is_empty());
    // Connected, it is not stale either.
    drain(&mut one, ms(100_000));
    assert_eq!(one.address(name(2)), Some(at(2, 9000)));
}

#[test]
fn of_two_nodes_that_discover_each_other_one_dials_at_once() {
    let (mut one, mut two) = (node(1, config()), node(2, config()));
    one.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    two.datagram(ms(0), ip(1), &announcement(1, 9000, 0, 1))
        .unwrap();
    let (dial, _) = dials(&drain(&mut one, ms(0)).0)[0];
    assert!(dials(&drain(&mut two, ms(0)).0).is_empty());
    let _ends = connect(ms(0), &mut one, dial, &mut two);
    // Who was dialed has no need to dial.
    for second in 0..30 {
        let now = ms(second * 1000);
        assert!(dials(&drain(&mut two, now).0).is_empty());
    }
}

#[test]
fn trap_02_a_hello_replayed_from_elsewhere_keeps_nobody_from_dialing_the_node() {
    // Where it is from; whether the node is dialed.
    for (from, dialed) in [(66, true), (2, false)] {
        let mut one = node(1, config());
        one.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
            .unwrap();
        // Not seen here before: the default profile takes it.
        let (open, _) = knock(&mut one, ms(0), at(from, 50_000), &hello(2, 7, &key()));
        assert!(open);
        let dials = dials(&drain(&mut one, ms(0)).0);
        let to: Vec<SocketAddr> = dials.iter().map(|(_, address)| *address).collect();
        let expected: &[SocketAddr] = if dialed { &[at(2, 9000)] } else { &[] };
        assert_eq!(to, expected, "from {from}");
    }
}

#[test]
fn who_has_proven_itself_is_not_dialed_whatever_its_address() {
    let hardened = || NodeConfig {
        connection: Config {
            profile: crate::asoc::Profile::Hardened(crate::asoc::Suite::Aes256Gcm),
            ..Default::default()
        },
        ..config()
    };
    let (mut one, mut two) = (node(1, hardened()), node(2, hardened()));
    two.datagram(ms(0), ip(1), &announcement(1, 9000, 0, 1))
        .unwrap();
    let (dial, _) = dials(&drain(&mut two, ms(6000)).0)[0];
    let ends = connect(ms(6000), &mut two, dial, &mut one);
    assert!(ends.0.1.is_open() && ends.1.1.is_open());
    one.datagram(ms(6000), ip(9), &announcement(2, 9000, 6, 1))
        .unwrap();
    assert_eq!(one.address(name(2)), Some(at(9, 9000)));
    assert!(dials(&drain(&mut one, ms(6000)).0).is_empty());
}

#[test]
fn no_more_peers_are_discovered_than_there_is_room_for() {
    let mut node = node(
        1,
        NodeConfig {
            discovered_peers: 2,
            ..config()
        },
    );
    let mut hear = |peer: u8, second: u64| {
        let message = announcement(peer, 9000, second, u32::from(peer));
        node.datagram(ms(second * 1_000), ip(peer), &message)
            .map_err(|fault| fault.class())
    };
    assert_eq!(hear(2, 0), Ok(()));
    assert_eq!(hear(3, 0), Ok(()));
    assert_eq!(hear(4, 0), Err(Some(Class::Limit)));
    assert_eq!(
        hear(2, 1),
        Err(Some(Class::Replay)),
        "known, and still judged"
    );
    assert!(node.address(name(3)).is_some() && node.address(name(4)).is_none());
    // A place that becomes free is taken.
    drain(&mut node, ms(15_000));
    let message = announcement(4, 9000, 15, 44);
    assert_eq!(node.datagram(ms(15_000), ip(4), &message), Ok(()));
    assert!(node.address(name(4)).is_some());
}

#[test]
fn a_node_without_discovery_neither_listens_nor_tells() {
    let mut node = node(1, quiet());
    assert_eq!(
        node.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1)),
        Ok(())
    );
    assert_eq!(drain(&mut node, ms(60_000)).0, []);
    assert_eq!(node.address(name(2)), None);
}

#[test]
fn a_dial_that_succeeds_when_all_connections_are_taken_is_refused() {
    let mut config = NodeConfig {
        static_peers: vec![at(2, 9000)],
        ..quiet()
    };
    config.limits.connections = 1;
    let mut node = node(1, config);
    let (dial, _) = dials(&drain(&mut node, ms(0)).0)[0];
    let _taken = node.accept(ms(0), at(3, 50_000)).unwrap();
    let refused = node.dialed(ms(0), dial).err().unwrap();
    assert_eq!(refused.class(), Some(Class::Limit));
    // It is tried again later.
    let (_, until) = drain(&mut node, ms(1));
    assert!(!dials(&drain(&mut node, until.unwrap()).0).is_empty());
}
