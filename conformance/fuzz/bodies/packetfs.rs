//! Everything of the PacketFS overlay that reads bytes of a peer: prefaces, blueprints, and
//! sessions on streams and datagrams that are fed garbage in any split.

use stillwire_core::crypto::Rng;
use stillwire_core::packetfs::object::{Receiver, Role, Sender};
use stillwire_core::packetfs::wire::preface::Preface;
use stillwire_core::packetfs::{Blueprint, Config, Connection, Datagrams, Psk};
use stillwire_core::{
    Channel, Datagrammed, Input, Instant, Machine, Messages, Output, Read, Received,
};

const NOW: Instant = Instant::ZERO;

fn psk() -> Psk {
    Psk::new(vec![1; 32]).unwrap()
}

fn rng() -> Rng {
    Rng::from_seed([1; 32])
}

fn drain<M: Machine>(machine: &mut M) {
    while !matches!(machine.poll(NOW), Output::Wait(_)) {}
}

fn feed<M: Machine>(mut machine: M, data: &[u8], step: usize) -> M {
    for part in data.chunks(step) {
        let _ = machine.handle(NOW, Input::Bytes(part));
        drain(&mut machine);
    }
    let _ = machine.handle(NOW, Input::End);
    drain(&mut machine);
    machine
}

/// One input.
pub(crate) fn fuzz(data: &[u8]) {
    let Some((step, data)) = data.split_first() else {
        return;
    };
    let step = usize::from(*step).max(1);
    if let Ok(preface) = Preface::decode(data) {
        assert_eq!(preface.encode(), data);
    }
    if let Ok(blueprint) = Blueprint::decode(data.to_vec().into()) {
        let total: u64 = blueprint.descriptors().map(|one| one.length()).sum();
        assert_eq!(total, blueprint.size());
        assert_eq!(blueprint.digests().count() as u64, blueprint.windows());
    }
    let config = Config::default();
    for connection in [
        Connection::initiator(config.clone(), psk(), rng(), NOW),
        Connection::responder(config.clone(), psk(), rng(), NOW),
    ] {
        // Without the key nothing is ever delivered, and no end is authentic.
        let mut connection = feed(connection, data, step);
        assert!(!matches!(
            connection.read(NOW, &mut [0]),
            Ok(Read::Data(_) | Read::End)
        ));
        assert!(connection.error().is_some());
    }
    for role in [Role::Initiator, Role::Responder] {
        let sender = Sender::<Vec<u8>>::new(role, config.clone(), psk(), rng(), NOW).unwrap();
        assert!(feed(sender, data, step).error().is_some());
        let receiver = Receiver::new(role, config.clone(), psk(), rng(), vec![7; 99], NOW);
        let mut receiver = feed(receiver.unwrap(), data, step);
        assert!(receiver.window().is_err());
    }
    for mut session in [
        Datagrams::initiator(config.clone(), psk(), rng(), NOW),
        Datagrams::responder(config, psk(), rng(), NOW),
    ] {
        for part in data.chunks(step) {
            session.handle(NOW, Input::Datagram(part)).unwrap();
            drain(&mut session);
        }
        assert_eq!(session.receive(NOW), Ok(Received::Pending));
        assert!(!session.is_established());
    }
}
