use super::*;
use crate::asoc::audit::UNEXPECTED;
use crate::asoc::{
    Announcement, ConnectionEvent, Established, Hello, handshake, wire::Dialect, wire::kind,
};
use crate::machine::{Input, Machine, Output};
use core::net::Ipv4Addr;
use std::collections::BTreeSet;
use std::vec;

mod admission;
mod dialing;
mod keys;

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const EPOCH: u64 = 1_700_000_000;

fn key() -> ApiKey {
    ApiKey::new(KEY).unwrap()
}

fn name(node: u8) -> NodeId {
    NodeId::from_bytes([node; 16])
}

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn at(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(ip(last), port)
}

fn ms(at: u64) -> Instant {
    Instant::from_millis(at)
}

fn config() -> NodeConfig {
    NodeConfig {
        community: "test-cluster".into(),
        ..NodeConfig::default()
    }
}

fn node(id: u8, config: NodeConfig) -> Node {
    let unix = UnixTime::from_secs(EPOCH);
    Node::new(config, name(id), key(), [id; 32], ms(0), unix)
}

/// Drains a node; the deadline comes last.
fn drain(node: &mut Node, now: Instant) -> (Vec<NodeOutput>, Option<Instant>) {
    let mut out = Vec::new();
    loop {
        match node.poll(now) {
            NodeOutput::Wait(until) => return (out, until),
            output => out.push(output),
        }
    }
}

fn audits(out: &[NodeOutput]) -> Vec<AuditEvent> {
    let audit = |output: &NodeOutput| match output {
        NodeOutput::Audit(event) => Some(event.clone()),
        _ => None,
    };
    out.iter().filter_map(audit).collect()
}

fn kinds(out: &[NodeOutput]) -> Vec<&'static str> {
    audits(out)
        .iter()
        .map(|event| event.kind.as_str())
        .collect()
}

fn dials(out: &[NodeOutput]) -> Vec<(DialId, SocketAddr)> {
    let dial = |output: &NodeOutput| match output {
        NodeOutput::Dial { dial, address } => Some((*dial, *address)),
        _ => None,
    };
    out.iter().filter_map(dial).collect()
}

/// One end of a connection with its node.
struct End<'a> {
    node: &'a mut Node,
    id: ConnectionId,
    connection: &'a mut Connection,
}

impl End<'_> {
    /// Drains the connection, carries out every verdict, and gives what goes to the other end.
    fn drain(&mut self, now: Instant) -> Vec<u8> {
        let mut out = Vec::new();
        loop {
            match self.connection.poll(now) {
                Output::Transmit(bytes) => out.extend_from_slice(&bytes),
                Output::Event(event) => match self.node.hear(now, self.id, &event) {
                    Verdict::Go => {}
                    Verdict::Admit => self.connection.admit(now).unwrap(),
                    Verdict::Refuse(fault) => self.connection.refuse(fault).unwrap(),
                    Verdict::Notify(notice) => self.connection.notify(notice).unwrap(),
                    Verdict::Close(_) => self.connection.close().unwrap(),
                },
                _ => return out,
            }
        }
    }
}

/// Carries bytes between two ends until both are quiet.
fn run(now: Instant, mut a: End<'_>, mut b: End<'_>) {
    loop {
        let (to_b, to_a) = (a.drain(now), b.drain(now));
        if to_a.is_empty() && to_b.is_empty() {
            return;
        }
        // An end that is over does not read; its event tells why.
        let _ = b.connection.handle(now, Input::Bytes(&to_b));
        let _ = a.connection.handle(now, Input::Bytes(&to_a));
    }
}

/// `from` dials `to`, which listens at `address`; gives both connections.
fn connect(
    now: Instant,
    from: &mut Node,
    dial: DialId,
    to: &mut Node,
) -> ((ConnectionId, Connection), (ConnectionId, Connection)) {
    let (client_id, mut client) = from.dialed(now, dial).unwrap();
    let (server_id, mut server) = to.accept(now, at(from.id().as_bytes()[0], 50_000)).unwrap();
    run(
        now,
        End {
            node: from,
            id: client_id,
            connection: &mut client,
        },
        End {
            node: to,
            id: server_id,
            connection: &mut server,
        },
    );
    ((client_id, client), (server_id, server))
}

/// A HELLO frame of a node.
fn hello(node: u8, challenge: u32, key: &ApiKey) -> Vec<u8> {
    let hello = Hello {
        node: name(node),
        challenge,
    };
    handshake::frame(kind::HELLO, &hello.encode(key), Dialect::Octet).unwrap()
}

/// Hands bytes to a new connection from an address; whether it was established, and what went back.
fn knock(to: &mut Node, now: Instant, from: SocketAddr, bytes: &[u8]) -> (bool, Vec<u8>) {
    let (id, mut server) = to.accept(now, from).unwrap();
    let _ = server.handle(now, Input::Bytes(bytes));
    let mut end = End {
        node: to,
        id,
        connection: &mut server,
    };
    let out = end.drain(now);
    (server.is_open(), out)
}

/// A discovery message of a node at a time in seconds since the epoch of the tests.
fn announcement(node: u8, port: u16, second: u64, challenge: u32) -> [u8; 50] {
    let message = Announcement {
        node: name(node),
        port,
        time: u32::try_from(EPOCH + second).unwrap(),
        challenge,
    };
    message.encode(&key(), "test-cluster")
}
