//! Who is let in, and what is reported.

use super::*;

#[test]
fn trap_02_a_replayed_hello_is_refused_counted_and_reported() {
    let mut node = node(1, config());
    let recorded = hello(2, 77, &key());
    let (open, accept) = knock(&mut node, ms(0), at(2, 1), &recorded);
    assert!(open);
    assert_eq!(accept.len(), 30);
    drain(&mut node, ms(0));
    // From anywhere, at any time within the memory: no reply.
    let (open, answer) = knock(&mut node, ms(3_600_000), at(66, 1), &recorded);
    assert!(!open);
    assert!(answer.is_empty());
    let events = audits(&drain(&mut node, ms(3_600_000)).0);
    assert_eq!(
        events,
        [AuditEvent {
            time: UnixTime::from_secs(EPOCH + 3600),
            kind: AuditKind::Replay,
            node: Some(name(2)),
            address: Some(ip(66)),
        }]
    );
    assert_eq!(node.counters()[&Peer::Node(name(2))].failures, 1);
    let (open, _) = knock(&mut node, ms(0), at(2, 1), &hello(2, 78, &key()));
    assert!(open);
}

#[test]
fn trap_02_a_full_memory_of_hellos_lets_nobody_in() {
    let mut node = node(
        1,
        NodeConfig {
            hello_memory: (Duration::from_secs(300), 2),
            ..config()
        },
    );
    for challenge in 1..=2 {
        assert!(knock(&mut node, ms(0), at(2, 1), &hello(2, challenge, &key())).0);
    }
    assert!(!knock(&mut node, ms(0), at(2, 1), &hello(2, 3, &key())).0);
    let kinds = kinds(&drain(&mut node, ms(0)).0);
    assert_eq!(kinds, ["success", "success", "limited"]);
    assert!(knock(&mut node, ms(300_000), at(2, 1), &hello(2, 3, &key())).0);
}

#[test]
fn trap_03_a_repeated_token_is_flagged() {
    let mut node = node(
        1,
        NodeConfig {
            static_peers: vec![at(2, 9000), at(3, 9000)],
            discovery: false,
            ..config()
        },
    );
    let accept = handshake::Accept { token: [5; 8] }.encode(&key());
    let recorded = handshake::frame(kind::ACCEPT, &accept, Dialect::Octet).unwrap();
    let dials = dials(&drain(&mut node, ms(0)).0);
    assert_eq!(dials.len(), 2);
    for (dial, _) in &dials {
        let (id, mut client) = node.dialed(ms(0), *dial).unwrap();
        client.handle(ms(0), Input::Bytes(&recorded)).unwrap();
        End {
            node: &mut node,
            id,
            connection: &mut client,
        }
        .drain(ms(0));
        assert!(client.is_open());
    }
    let events = audits(&drain(&mut node, ms(0)).0);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["success", "repeated_token", "success"]);
    assert!(
        events
            .iter()
            .all(|event| !matches!(event.kind, AuditKind::Success { proven: true, .. }))
    );
}

#[test]
fn trap_05_sixteen_connections_of_one_node_and_none_replaces_another() {
    let mut node = node(1, config());
    let mut held = Vec::new();
    for challenge in 1..=17 {
        let (id, mut server) = node.accept(ms(0), at(2, 1)).unwrap();
        let bytes = hello(2, challenge, &key());
        server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
        End {
            node: &mut node,
            id,
            connection: &mut server,
        }
        .drain(ms(0));
        assert_eq!(server.is_open(), challenge <= 16, "{challenge}");
        held.push((id, server));
    }
    assert!(held[..16].iter().all(|(_, server)| server.is_open()));
    let together: Vec<usize> = drain(&mut node, ms(0))
        .0
        .iter()
        .filter_map(|output| match output {
            NodeOutput::Event(NodeEvent::Up { together, .. }) => Some(*together),
            _ => None,
        })
        .collect();
    assert_eq!(together, (1..=16).collect::<Vec<_>>());
    // One ends, one may come; another node may come all the time.
    assert!(knock(&mut node, ms(0), at(3, 1), &hello(3, 1, &key())).0);
    let (id, server) = &mut held[0];
    server.close().unwrap();
    End {
        node: &mut node,
        id: *id,
        connection: server,
    }
    .drain(ms(0));
    assert!(knock(&mut node, ms(0), at(2, 1), &hello(2, 18, &key())).0);
}

#[test]
fn a_node_that_is_not_on_the_list_is_unexpected() {
    let mut allowed = config();
    allowed.audit.allowed = Some(BTreeSet::from([name(2)]));
    let mut node = node(1, allowed);
    assert!(knock(&mut node, ms(0), at(2, 1), &hello(2, 1, &key())).0);
    let (open, answer) = knock(&mut node, ms(0), at(3, 1), &hello(3, 1, &key()));
    assert!(!open && answer.is_empty());
    let fault = node.datagram(ms(0), ip(3), &announcement(3, 9000, 0, 1));
    assert_eq!(fault, Err(UNEXPECTED));
    let events = audits(&drain(&mut node, ms(0)).0);
    let kinds: Vec<_> = events.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["success", "unexpected_node", "unexpected_node"]);
    assert_eq!(events[1].node, Some(name(3)));
    assert_eq!(events[1].address, Some(ip(3)));
    assert_eq!(node.address(name(3)), None);
}

#[test]
fn five_failed_authentications_close_the_door_to_an_address() {
    let mut node = node(1, config());
    let wrong = ApiKey::new(b"not the key of this cluster").unwrap();
    for count in 1..=5 {
        let (open, answer) = knock(&mut node, ms(0), at(66, 1), &hello(2, count, &wrong));
        assert!(!open && answer.is_empty());
    }
    let refused = node.accept(ms(299_999), at(66, 2)).err().unwrap();
    assert_eq!(refused.class(), Some(Class::Limit));
    assert!(knock(&mut node, ms(0), at(2, 1), &hello(2, 9, &key())).0);
    assert!(knock(&mut node, ms(300_000), at(66, 1), &hello(2, 10, &key())).0);
    let kinds = kinds(&drain(&mut node, ms(300_000)).0);
    assert_eq!(
        kinds,
        [
            "failure",
            "failure",
            "failure",
            "failure",
            "failure",
            "locked_out",
            "limited",
            "success",
            "success",
        ]
    );
    let counters = node.counters();
    assert_eq!(counters[&Peer::Address(ip(66))].failures, 5);
    assert_eq!(counters[&Peer::Node(name(2))].connections, 2);
}

#[test]
fn many_failures_raise_one_alert() {
    let mut node = node(1, config());
    let wrong = ApiKey::new(b"not the key of this cluster").unwrap();
    for caller in 1..=30 {
        let second = u64::from(caller);
        knock(
            &mut node,
            ms(second * 1000),
            at(caller, 1),
            &hello(2, u32::from(caller), &wrong),
        );
    }
    let alerts: Vec<AuditEvent> = audits(&drain(&mut node, ms(30_000)).0)
        .into_iter()
        .filter(|event| event.kind.as_str() == "alert")
        .collect();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0].kind, AuditKind::Alert { failures: 10 });
    assert_eq!(alerts[0].time, UnixTime::from_secs(EPOCH + 10));
}

#[test]
fn events_name_node_address_and_time_and_hold_no_secret() {
    let mut node = node(1, config());
    knock(&mut node, ms(5_000), at(2, 1), &hello(2, 1, &key()));
    let wrong = ApiKey::new(b"not the key of this cluster").unwrap();
    knock(&mut node, ms(6_000), at(3, 1), &hello(2, 2, &wrong));
    let events = audits(&drain(&mut node, ms(6_000)).0);
    assert_eq!(
        events,
        [
            AuditEvent {
                time: UnixTime::from_secs(EPOCH + 5),
                kind: AuditKind::Success {
                    incoming: true,
                    proven: false,
                    key: key().id(),
                },
                node: Some(name(2)),
                address: Some(ip(2)),
            },
            // A UUID behind a wrong MAC is nobody's.
            AuditEvent {
                time: UnixTime::from_secs(EPOCH + 6),
                kind: AuditKind::Failure(Error::auth()),
                node: None,
                address: Some(ip(3)),
            },
        ]
    );
    let text = std::format!("{events:?}");
    assert!(!text.contains(core::str::from_utf8(KEY).unwrap()));
}

#[test]
fn bytes_of_both_directions_are_counted() {
    let mut node = node(1, config());
    let (id, mut server) = node.accept(ms(0), at(2, 1)).unwrap();
    let mut bytes = hello(2, 1, &key());
    bytes.extend_from_slice(&[1, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 7, 8, 9]);
    server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
    End {
        node: &mut node,
        id,
        connection: &mut server,
    }
    .drain(ms(0));
    node.sent(id, 11);
    assert_eq!(
        node.counters()[&Peer::Node(name(2))],
        Counters {
            failures: 0,
            connections: 1,
            received: 3,
            sent: 11,
        }
    );
}

#[test]
fn trap_04_and_hardened_a_server_that_tells_who_it_is_must_be_whom_we_wanted() {
    let mut node = node(1, config());
    node.datagram(ms(0), ip(2), &announcement(2, 9000, 0, 1))
        .unwrap();
    let (dial, _) = dials(&drain(&mut node, ms(0)).0)[0];
    let (id, _client) = node.dialed(ms(0), dial).unwrap();
    let established = ConnectionEvent::Established(Established {
        peer: Some(name(3)),
        token: [0; 8],
        key: key().id(),
        proven: true,
    });
    let Verdict::Close(fault) = node.hear(ms(0), id, &established) else {
        panic!("another node was taken");
    };
    assert_eq!(fault.class(), Some(Class::Identity));
    assert_eq!(kinds(&drain(&mut node, ms(0)).0), ["failure"]);
}

#[test]
fn a_hundred_connections_at_once_and_a_hundred_an_hour() {
    let mut node = node(1, config());
    let mut held = Vec::new();
    for caller in 0..100 {
        held.push(node.accept(ms(0), at(caller, 1)).unwrap().0);
    }
    assert!(node.accept(ms(0), at(200, 1)).is_err());
    for id in held {
        node.lost(ms(0), id);
    }
    for _ in 0..100 {
        let (id, _) = node.accept(ms(0), at(200, 1)).unwrap();
        node.lost(ms(0), id);
    }
    assert!(node.accept(ms(0), at(200, 1)).is_err());
    assert!(node.accept(ms(0), at(201, 1)).is_ok());
    assert_eq!(kinds(&drain(&mut node, ms(0)).0), ["limited"; 2]);
}

#[test]
fn what_is_no_failed_authentication_locks_nobody_out() {
    let mut node = node(1, config());
    let mut later = hello(2, 1, &key());
    later[0] = 2;
    let silent = Vec::new();
    for bytes in [&later, &silent].repeat(5) {
        let (open, answer) = knock(&mut node, ms(0), at(66, 1), bytes);
        assert!(!open && answer.is_empty());
    }
    assert!(knock(&mut node, ms(0), at(66, 1), &hello(2, 9, &key())).0);
}
