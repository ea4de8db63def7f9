//! A node, a friend whose connection must not be disturbed, and strangers.

use crate::world::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use stillwire_core::asoc::{
    ApiKey, AuditEvent, Config, ConnectionId, Node, NodeConfig, NodeOutput, Profile, Verdict,
};
use stillwire_core::{Class, Input, Instant, Machine, Output};

/// The only instant here; [`NOW`] is the wall clock at it.
pub(crate) const START: Instant = Instant::ZERO;
pub(crate) const MOST: usize = 1_000;

pub(crate) fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

pub(crate) fn key() -> ApiKey {
    ApiKey::new(KEY).unwrap()
}

/// A node under test, and a connection that must not be disturbed.
pub(crate) struct House {
    pub(crate) node: Node,
    healthy: (ConnectionId, End),
    friend: End,
}

impl House {
    pub(crate) fn new(profile: Profile) -> Self {
        let config = NodeConfig {
            connection: Config {
                profile,
                max_frame: MOST,
                max_streams: 3,
                ..Config::default()
            },
            community: "test-cluster".to_owned(),
            static_peers: vec![SocketAddr::new(ip(9), 9000)],
            ..NodeConfig::default()
        };
        let mut node = Node::new(config, name(1), key(), [1; 32], START, NOW);
        let (id, machine) = node.accept(START, SocketAddr::new(ip(2), 5000)).unwrap();
        let mut house = Self {
            node,
            healthy: (id, End::of(machine)),
            friend: End::client(2, 2, profile),
        };
        house.carry();
        assert!(house.friend.machine.is_open());
        house
    }

    /// Carries bytes between the friend and the node until both are quiet.
    fn carry(&mut self) {
        loop {
            let said = self.friend.drain();
            self.healthy.1.take(&said).unwrap();
            let answer = drain(&mut self.node, self.healthy.0, &mut self.healthy.1);
            if said.is_empty() && answer.is_empty() {
                return;
            }
            self.friend.take(&answer).unwrap();
        }
    }

    /// A stranger's connection to the node: the class of the error that ended it, and what the last
    /// piece was answered with.
    pub(crate) fn knock(&mut self, pieces: &[Vec<u8>]) -> (Option<Class>, Vec<u8>) {
        let (id, machine) = self.node.accept(START, SocketAddr::new(ip(66), 1)).unwrap();
        self.feed(id, End::of(machine), pieces)
    }

    /// The same to a server that the node has dialed.
    pub(crate) fn answer(&mut self, pieces: &[Vec<u8>]) -> (Option<Class>, Vec<u8>) {
        let dial = loop {
            match self.node.poll(START) {
                NodeOutput::Dial { dial, .. } => break dial,
                NodeOutput::Wait(_) => panic!("nobody is dialed"),
                _ => {}
            }
        };
        let (id, machine) = self.node.dialed(START, dial).unwrap();
        let mut end = End::of(machine);
        // HELLO goes first, whatever comes.
        drain(&mut self.node, id, &mut end);
        self.feed(id, end, pieces)
    }

    fn feed(
        &mut self,
        id: ConnectionId,
        mut end: End,
        pieces: &[Vec<u8>],
    ) -> (Option<Class>, Vec<u8>) {
        let mut last = Vec::new();
        for piece in pieces {
            let met = end.take(piece);
            last = drain(&mut self.node, id, &mut end);
            if let Err(fault) = met {
                // Final, and it repeats.
                assert_eq!(end.take(b"more"), Err(fault));
            }
        }
        if !end.machine.is_over() {
            let _ = end.machine.handle(START, Input::End);
            last.extend(drain(&mut self.node, id, &mut end));
        }
        (end.fault(), last)
    }

    pub(crate) fn audits(&mut self) -> Vec<AuditEvent> {
        let mut events = Vec::new();
        loop {
            match self.node.poll(START) {
                NodeOutput::Audit(event) => events.push(event),
                NodeOutput::Wait(_) => return events,
                _ => {}
            }
        }
    }

    /// A stream goes over the healthy connection, and nothing was said about it.
    pub(crate) fn goes_on(&mut self) {
        let before = self.healthy.1.data().len();
        let stream = self.friend.machine.open().unwrap();
        let machine = &mut self.friend.machine;
        machine.write(stream, &b"still here"[..].into()).unwrap();
        machine.end(stream).unwrap();
        self.carry();
        assert_eq!(&self.healthy.1.data()[before..], b"still here");
    }
}

/// Drains a connection of a node, carrying out its verdicts.
fn drain(node: &mut Node, id: ConnectionId, end: &mut End) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        match end.machine.poll(START) {
            Output::Transmit(bytes) => out.extend_from_slice(&bytes),
            Output::Event(event) => {
                match node.hear(START, id, &event) {
                    // What stands behind the HELLO may fail at once; its event tells.
                    Verdict::Admit => drop(end.machine.admit(START)),
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
