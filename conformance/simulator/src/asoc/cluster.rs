//! The nodes, the network between them, and what happens next.

use super::attacker::Attacker;
use super::record::Record;
use super::scene::{ATTACKER, EPOCH, KEY, SECOND, Scene, address, name};
use super::tcp::{End, Side, Tcp, Touch, Who, Wire};
use super::{Run, Weakness};
use crate::Violation;
use crate::rng::{Rng, mix};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use stillwire_core::asoc::{
    ApiKey, Connection, ConnectionEvent, ConnectionId, DialId, Node, NodeOutput, Verdict,
};
use stillwire_core::{Input, Instant, Machine, Output, UnixTime};

/// One more event than any run has: a run that does not end is a fault.
const MOST_EVENTS: u64 = 5_000_000;

pub(super) struct Member {
    pub(super) node: Node,
    pub(super) life: u64,
    /// The next wake-up that is planned.
    wake: u64,
}

/// Something that is to happen.
pub(super) enum Act {
    Datagram(usize, IpAddr, Vec<u8>),
    Dial(usize, u64, DialId, SocketAddr),
    Bytes(Wire, Side, Vec<u8>),
    Cut(Wire),
    WakeNode(usize),
    WakeEnd(Wire, Side),
    Talk(Wire, Side),
    Restart,
    Attack,
    /// A HELLO that nobody has said goes to this node.
    Forge(usize),
    /// The cluster's key is changed.
    Rotate,
    AnnounceKey,
}

pub(super) struct Cluster {
    pub(super) scene: Scene,
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) nodes: Vec<Member>,
    pub(super) wires: BTreeMap<Wire, Tcp>,
    pub(super) attacker: Attacker,
    pub(super) weaknesses: BTreeSet<Weakness>,
    pub(super) admitted: BTreeSet<(usize, u64, Vec<u8>)>,
    pub(super) record: Record,
    pub(super) streams: u64,
    pub(super) handshakes: u64,
    pub(super) attacks: u64,
    plan: BTreeMap<(u64, u64), Act>,
    given: u64,
    events: u64,
    hash: u64,
    trace: bool,
}

impl Cluster {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut rng = Rng::new(mix(seed ^ 0xa50c));
        let scene = Scene::draw(seed, &mut rng);
        let mut made = Self {
            now: 0,
            nodes: Vec::new(),
            wires: BTreeMap::new(),
            attacker: Attacker::default(),
            weaknesses: BTreeSet::new(),
            admitted: BTreeSet::new(),
            record: Record::default(),
            streams: 0,
            handshakes: 0,
            attacks: 0,
            plan: BTreeMap::new(),
            given: 0,
            events: 0,
            hash: seed,
            trace,
            rng,
            scene,
        };
        for index in 0..made.scene.nodes {
            let member = made.member(index);
            made.nodes.push(member);
            made.plan(0, Act::WakeNode(index));
        }
        if let Some(at) = made.scene.rotation {
            made.plan(at, Act::Rotate);
        }
        for (count, act) in [(made.scene.restarts, 0), (made.scene.attacks, 1)] {
            for _ in 0..count {
                let at = made.rng.below(made.scene.trouble);
                made.plan(at, if act == 0 { Act::Restart } else { Act::Attack });
            }
        }
        made
    }

    pub(super) fn member(&mut self, index: usize) -> Member {
        let clock = EPOCH + self.now / SECOND + self.scene.clocks[index] - 100;
        let key = ApiKey::new(KEY).expect("the key is long enough");
        let node = Node::new(
            self.scene.config(index),
            name(index),
            key,
            self.rng.bytes(),
            self.instant(),
            UnixTime::from_secs(clock),
        );
        self.given += 1;
        Member {
            node,
            life: self.given,
            wake: 0,
        }
    }

    pub(super) fn instant(&self) -> Instant {
        Instant::from_micros(self.now)
    }

    pub(super) fn plan(&mut self, at: u64, act: Act) {
        self.given += 1;
        self.plan.insert((at.max(self.now), self.given), act);
    }

    pub(super) fn add(&mut self, tcp: Tcp) -> Wire {
        self.given += 1;
        self.wires.insert(self.given, tcp);
        self.given
    }

    pub(super) fn end(&self, node: usize, id: ConnectionId, machine: Connection) -> Who {
        Who::Node(Box::new(End {
            node,
            life: self.nodes[node].life,
            id,
            machine,
            up: false,
            sent: BTreeMap::new(),
            got: BTreeMap::new(),
        }))
    }

    pub(super) fn troubled(&self) -> bool {
        self.now < self.scene.trouble
    }

    pub(super) fn later(&mut self) -> u64 {
        let longest = if self.troubled() {
            self.scene.delay
        } else {
            20_000
        };
        self.now + self.rng.range(50, longest.max(51))
    }

    /// Runs to the end of the scene.
    pub(super) fn run(&mut self) -> Result<(), Violation> {
        while let Some(((at, order), act)) = self.plan.pop_first() {
            if at > self.scene.end {
                break;
            }
            self.now = at;
            self.events += 1;
            self.hash = mix(self.hash ^ at ^ order << 20);
            if self.events > MOST_EVENTS {
                return Err(Violation::new("a run ends", "too many events"));
            }
            self.act(act)?;
        }
        self.check_found()
    }

    fn act(&mut self, act: Act) -> Result<(), Violation> {
        match act {
            Act::Datagram(to, from, bytes) => {
                // A bad one is reported by the node itself.
                let now = self.instant();
                let taken = self.nodes[to].node.datagram(now, from, &bytes).is_ok();
                self.say(format_args!("datagram from {from} to {to}, taken: {taken}"));
                if taken {
                    self.check_datagram(to, &bytes)?;
                }
                self.drain_node(to)
            }
            Act::Dial(node, life, dial, to) => self.connect(node, life, dial, to),
            Act::Bytes(wire, side, bytes) => self.deliver(wire, side, &bytes),
            Act::Cut(wire) => self.cut(wire),
            Act::WakeNode(node) => self.drain_node(node),
            Act::WakeEnd(wire, side) => {
                let now = self.instant();
                if let Some(end) = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side)) {
                    // Its end comes as an event.
                    let _ = end.machine.handle(now, Input::Time);
                }
                self.drain_end(wire, side)
            }
            Act::Talk(wire, side) => self.talk(wire, side),
            Act::Restart => self.restart(),
            Act::Attack => self.attack(),
            Act::Forge(to) => self.forge_client(to),
            Act::Rotate => {
                self.rotate();
                Ok(())
            }
            Act::AnnounceKey => self.announce_key(),
        }
    }

    pub(super) fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.trace {
            println!("{:>12} {what}", self.now);
        }
    }

    fn connect(
        &mut self,
        node: usize,
        life: u64,
        dial: DialId,
        to: SocketAddr,
    ) -> Result<(), Violation> {
        if self.nodes[node].life != life {
            return Ok(());
        }
        let now = self.instant();
        let meant = (0..self.nodes.len()).find(|index| address(*index) == to);
        let there = meant.map(|meant| self.routed(meant));
        let lost = self.troubled() && self.rng.chance(self.scene.lose);
        let other = match there {
            Some(there) if !lost => {
                let accepted = self.nodes[there].node.accept(now, address(node));
                accepted
                    .ok()
                    .map(|(id, machine)| self.end(there, id, machine))
            }
            None if to.ip() == ATTACKER && self.troubled() => Some(self.dialed()),
            _ => None,
        };
        let Some(other) = other else {
            // The attempt may have been given up meanwhile.
            let _ = self.nodes[node].node.dial_failed(now, dial);
            return self.drain_node(node);
        };
        let Ok((id, machine)) = self.nodes[node].node.dialed(now, dial) else {
            if let Who::Node(end) = other {
                self.nodes[end.node].node.lost(now, end.id);
            }
            return self.drain_node(node);
        };
        let own = self.end(node, id, machine);
        let mut tcp = Tcp::new([own, other]);
        let configured = self.scene.config(node).static_peers.contains(&to);
        tcp.meant = meant.filter(|_| !configured);
        tcp.routed = meant != there;
        let wire = self.add(tcp);
        self.say(format_args!("wire {wire}: {node} to {to}"));
        self.drain_end(wire, 0)?;
        self.drain_end(wire, 1)
    }

    /// Puts bytes on their way from one side to the other.
    pub(super) fn carry(&mut self, wire: Wire, from: Side, mut bytes: Vec<u8>) {
        let at = self.later();
        let (troubled, alter, cut) = (self.troubled(), self.scene.alter, self.scene.cut);
        // A bit that was changed already must not be changed back.
        let forged = self.wires.get(&wire).is_some_and(|tcp| tcp.forged);
        let attacked = troubled && self.rng.chance(alter) && !forged;
        let touch = if attacked {
            self.tamper(wire, from, &mut bytes)
        } else {
            Touch::None
        };
        let split = self.rng.below(bytes.len() as u64 + 1) as usize;
        let Some(tcp) = self.wires.get_mut(&wire) else {
            return;
        };
        if tcp.tape[from].len() < 64 {
            tcp.tape[from].push(bytes.clone());
        }
        tcp.altered[from] |= touch == Touch::Altered;
        tcp.repeated[from] |= touch == Touch::Repeated;
        let at = at.max(tcp.busy[from]);
        tcp.busy[from] = at;
        let rest = bytes.split_off(split);
        self.plan(at, Act::Bytes(wire, 1 - from, bytes));
        self.plan(at, Act::Bytes(wire, 1 - from, rest));
        if troubled && self.rng.chance(cut) {
            let at = self.later();
            self.plan(at, Act::Cut(wire));
        }
    }

    fn deliver(&mut self, wire: Wire, side: Side, bytes: &[u8]) -> Result<(), Violation> {
        let now = self.instant();
        let Some(tcp) = self.wires.get_mut(&wire) else {
            return Ok(());
        };
        match &mut tcp.ends[side] {
            Who::Node(end) => {
                // An error comes as an event too.
                let _ = end.machine.handle(now, Input::Bytes(bytes));
                self.drain_end(wire, side)
            }
            Who::Attacker(_) => {
                self.heard(wire, side);
                Ok(())
            }
            Who::Mirror => {
                self.carry(wire, side, bytes.to_vec());
                Ok(())
            }
            Who::Gone(_) => Ok(()),
        }
    }

    /// The connection breaks, for both ends.
    fn cut(&mut self, wire: Wire) -> Result<(), Violation> {
        let now = self.instant();
        for side in [0, 1] {
            let Some(tcp) = self.wires.get_mut(&wire) else {
                return Ok(());
            };
            if let Some(end) = tcp.end(side) {
                let _ = end.machine.handle(now, Input::End);
                self.drain_end(wire, side)?;
            }
        }
        self.wires.remove(&wire);
        Ok(())
    }

    pub(super) fn drain_node(&mut self, index: usize) -> Result<(), Violation> {
        let now = self.instant();
        loop {
            match self.nodes[index].node.poll(now) {
                NodeOutput::Broadcast(bytes) => self.broadcast(index, &bytes),
                NodeOutput::Dial { dial, address } => {
                    let at = self.later();
                    let life = self.nodes[index].life;
                    self.plan(at, Act::Dial(index, life, dial, address));
                }
                NodeOutput::Notify { connection, notice } => {
                    self.notify(index, connection, notice)?;
                }
                NodeOutput::Audit(event) => {
                    self.say(format_args!("node {index}: {event:?}"));
                    self.check_audit(index, &event)?;
                }
                NodeOutput::Wait(until) => {
                    let at = until.map_or(u64::MAX, Instant::as_micros);
                    let wake = self.nodes[index].wake;
                    if at < u64::MAX && (wake <= self.now || at < wake) {
                        self.nodes[index].wake = at;
                        self.plan(at, Act::WakeNode(index));
                    }
                    return Ok(());
                }
                output => self.say(format_args!("node {index}: {output:?}")),
            }
        }
    }

    fn broadcast(&mut self, from: usize, bytes: &Bytes) {
        self.attacker.hear(bytes);
        self.record.announced.insert(bytes.to_vec());
        let (troubled, lose, repeat) = (self.troubled(), self.scene.lose, self.scene.repeat);
        for to in 0..self.nodes.len() {
            if troubled && self.rng.chance(lose) {
                continue;
            }
            let copies = 1 + usize::from(troubled && self.rng.chance(repeat));
            for _ in 0..copies {
                let at = self.later();
                self.plan(at, Act::Datagram(to, address(from).ip(), bytes.to_vec()));
            }
        }
    }

    pub(super) fn drain_end(&mut self, wire: Wire, side: Side) -> Result<(), Violation> {
        let now = self.instant();
        loop {
            let Some(end) = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side)) else {
                return Ok(());
            };
            let (node, life, id) = (end.node, end.life, end.id);
            let event = match end.machine.poll(now) {
                Output::Transmit(bytes) => {
                    self.check_said(wire, side, &bytes)?;
                    self.carry(wire, side, bytes.to_vec());
                    continue;
                }
                Output::Event(event) => event,
                Output::Wait(until) => {
                    if let Some(until) = until {
                        self.plan(until.as_micros(), Act::WakeEnd(wire, side));
                    }
                    return self.drain_node(node);
                }
                Output::Store(_) => {
                    return Err(Violation::new(
                        "a connection has no store",
                        "a request came",
                    ));
                }
                _ => continue,
            };
            self.say(format_args!("wire {wire}, end {side}: {event:?}"));
            if let ConnectionEvent::Announced { key, activation } = event {
                self.heard_key(node, key, activation);
            }
            let verdict = self.nodes[node].node.hear(now, id, &event);
            match &event {
                ConnectionEvent::Hello {
                    peer, challenge, ..
                } if verdict == Verdict::Admit => {
                    let mut hello = peer.as_bytes().to_vec();
                    hello.extend_from_slice(&challenge.to_be_bytes());
                    self.check_admitted(node, life, &hello)?;
                }
                ConnectionEvent::Established(told)
                    if matches!(verdict, Verdict::Go | Verdict::Notify(_)) =>
                {
                    self.check_established(wire, side, told)?;
                    self.set_up(wire, side, true);
                    let at = self.now + self.rng.below(20 * SECOND);
                    self.plan(at, Act::Talk(wire, side));
                }
                ConnectionEvent::Data { .. } | ConnectionEvent::End { .. } => {
                    self.check_delivered(wire, side, &event)?;
                }
                ConnectionEvent::Closed(fault) => {
                    self.check_fault(wire, side, fault.as_ref())?;
                    self.set_up(wire, side, false);
                    // Whoever closes takes the socket along.
                    let at = self.later();
                    self.plan(at, Act::Cut(wire));
                }
                _ => {}
            }
            let end = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side));
            let Some(end) = end else {
                return Ok(());
            };
            // What these refuse has come as an event before.
            let _ = match verdict {
                Verdict::Go => Ok(()),
                Verdict::Admit => end.machine.admit(now),
                Verdict::Refuse(fault) => end.machine.refuse(fault),
                Verdict::Close(_) => end.machine.close(),
                Verdict::Notify(notice) => end.machine.notify(notice),
            };
        }
    }

    fn set_up(&mut self, wire: Wire, side: Side, up: bool) {
        if let Some(end) = self.wires.get_mut(&wire).and_then(|tcp| tcp.end(side)) {
            end.up = up;
        }
    }

    pub(super) fn finish(self, violation: Option<Violation>) -> Run {
        Run {
            hash: mix(self.hash ^ self.streams ^ self.handshakes << 32),
            events: self.events,
            nodes: self.scene.nodes,
            hardened: self.scene.hardened,
            streams: self.streams,
            handshakes: self.handshakes,
            attacks: self.attacks,
            weaknesses: self.weaknesses,
            violation,
        }
    }
}
