//! A rotation between nodes.

use super::*;

const NEW: &[u8] = b"the next key of the whole cluster";

fn new() -> ApiKey {
    ApiKey::new(NEW).unwrap()
}

fn quiet(peers: Vec<SocketAddr>) -> NodeConfig {
    NodeConfig {
        discovery: false,
        static_peers: peers,
        key_grace: Duration::from_secs(60),
        ..config()
    }
}

/// Passes on what a node wants said on its connection.
fn notify(node: &mut Node, connection: &mut Connection, now: Instant) -> Vec<&'static str> {
    let out = drain(node, now).0;
    for output in &out {
        if let NodeOutput::Notify { notice, .. } = output {
            connection.notify(*notice).unwrap();
        }
    }
    kinds(&out)
}

#[test]
fn a_rotation_is_announced_acknowledged_activated_and_the_old_key_purged() {
    let (mut one, mut two) = (node(1, quiet(vec![at(2, 9000)])), node(2, quiet(vec![])));
    let (dial, _) = dials(&drain(&mut one, ms(0)).0)[0];
    let ((a, mut client), (b, mut server)) = connect(ms(0), &mut one, dial, &mut two);
    drain(&mut one, ms(0));
    drain(&mut two, ms(0));
    for node in [&mut one, &mut two] {
        node.install_key(new()).unwrap();
        assert_eq!(node.key_ids(), [key().id(), new().id()]);
    }
    one.announce_key(UnixTime::from_secs(EPOCH + 100)).unwrap();
    assert!(notify(&mut one, &mut client, ms(1000)).is_empty());
    run(
        ms(1000),
        End {
            node: &mut one,
            id: a,
            connection: &mut client,
        },
        End {
            node: &mut two,
            id: b,
            connection: &mut server,
        },
    );
    assert_eq!(kinds(&drain(&mut one, ms(1000)).0), ["key_acknowledged"]);
    for node in [&mut one, &mut two] {
        assert!(drain(node, ms(99_999)).0.is_empty());
        let (out, until) = drain(node, ms(100_000));
        assert_eq!(kinds(&out), ["key_activated"]);
        assert_eq!(node.key_ids(), [new().id(), key().id()]);
        assert_eq!(until, Some(ms(160_000)));
    }
    // Both keys are let in during the grace period, then the new one only.
    assert!(knock(&mut two, ms(159_999), at(7, 1), &hello(7, 1, &key())).0);
    assert!(knock(&mut two, ms(159_999), at(7, 1), &hello(7, 2, &new())).0);
    assert_eq!(
        kinds(&drain(&mut two, ms(160_000)).0),
        ["success", "success", "key_purged"]
    );
    assert!(!knock(&mut two, ms(160_000), at(7, 1), &hello(7, 3, &key())).0);
    assert!(knock(&mut two, ms(160_000), at(7, 1), &hello(7, 4, &new())).0);
    // Connections that were there go on.
    assert!(client.is_open() && server.is_open());
}

#[test]
fn attack_replayed_rotation_default_profile() {
    let mut node = node(1, quiet(vec![]));
    let (id, mut server) = node.accept(ms(0), at(2, 1)).unwrap();
    let bytes = hello(2, 1, &key());
    server.handle(ms(0), Input::Bytes(&bytes)).unwrap();
    let mut end = End {
        node: &mut node,
        id,
        connection: &mut server,
    };
    end.drain(ms(0));
    let mut say = |node: &mut Node, key: KeyId, second: u64| {
        let activation = UnixTime::from_secs(EPOCH + second);
        let payload = Notice::Announce { key, activation }.encode();
        let bytes = handshake::frame(kind::CONTROL, &payload, Dialect::Octet).unwrap();
        let now = ms(0);
        server.handle(now, Input::Bytes(&bytes)).unwrap();
        End {
            node,
            id,
            connection: &mut server,
        }
        .drain(now);
    };
    // A key that is not installed: reported, not acknowledged, and it changes nothing.
    say(&mut node, new().id(), 50);
    assert_eq!(node.key_ids(), [key().id()]);
    node.install_key(new()).unwrap();
    say(&mut node, new().id(), 50);
    // Repeated, and altered: the first one stands.
    say(&mut node, new().id(), 50);
    say(&mut node, new().id(), 5);
    assert_eq!(
        kinds(&drain(&mut node, ms(49_999)).0),
        ["success", "unknown_key", "different_activation"]
    );
    assert_eq!(kinds(&drain(&mut node, ms(50_000)).0), ["key_activated"]);
    assert_eq!(kinds(&drain(&mut node, ms(110_000)).0), ["key_purged"]);
    // After it: the old key does not come back.
    say(&mut node, key().id(), 1);
    assert_eq!(kinds(&drain(&mut node, ms(200_000)).0), ["unknown_key"]);
    assert_eq!(node.key_ids(), [new().id()]);
}

#[test]
fn who_connects_during_a_rotation_is_told_of_it() {
    let mut node = node(1, quiet(vec![]));
    node.install_key(new()).unwrap();
    node.announce_key(UnixTime::from_secs(EPOCH + 100)).unwrap();
    let (_, out) = knock(&mut node, ms(0), at(2, 1), &hello(2, 1, &key()));
    // ACCEPT, then the announcement.
    let announced = Notice::Announce {
        key: new().id(),
        activation: UnixTime::from_secs(EPOCH + 100),
    };
    assert_eq!(out[30 + 14..], announced.encode());
}
