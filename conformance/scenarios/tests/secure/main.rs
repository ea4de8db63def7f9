//! The protocols that ride a byte stream, through every adapter with every other, over TCP on the
//! loopback; and PacketFS over UDP, through a proxy that loses, doubles, reorders and alters.

mod datagrams;
mod line;
mod streams;
mod told;

use std::sync::Arc;
use std::time::Duration;
use stillwire_core::commonware::{self, Admission, Door, Ed25519, Identity};
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::store::Role;
use stillwire_core::{Error, Instant, UnixTime, packetfs, ziti};

/// Makes either end of a connection.
type Make<M> = fn(Role, Instant) -> Result<M, Error>;

const PATIENCE: Duration = Duration::from_secs(60);

fn side(role: Role) -> u8 {
    match role {
        Role::Dialer => 1,
        Role::Listener => 2,
    }
}

fn rng(role: Role) -> Rng {
    Rng::from_seed([side(role); 32])
}

fn ziti(role: Role, now: Instant) -> Result<ziti::Connection, Error> {
    let (exchange, config) = (ziti::Exchange::Fresh, ziti::Config::default());
    ziti::Connection::new(role, exchange, None, config, rng(role), now)
}

fn commonware(role: Role, now: Instant) -> Result<commonware::Connection, Error> {
    let who = |role| Arc::new(Ed25519::new(&Secret::from([side(role); 32])));
    let (config, seed) = (commonware::Config::default(), [side(role); 32]);
    let unix = UnixTime::from_secs(1_780_000_000);
    let listener = who(Role::Listener).public();
    match role {
        Role::Dialer => commonware::Connection::dial(config, who(role), &listener, seed, now, unix),
        Role::Listener => {
            let door = Door {
                admission: Admission::Anyone,
                seen: None,
            };
            let identity = who(role);
            let made = commonware::Connection::listen(config, identity, door, seed, now, unix);
            Ok(made)
        }
    }
}

fn psk() -> packetfs::Psk {
    packetfs::Psk::new(vec![6; 32]).unwrap()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of `Make`")]
fn packetfs(role: Role, now: Instant) -> Result<packetfs::Connection, Error> {
    let config = packetfs::Config::default();
    Ok(match role {
        Role::Dialer => packetfs::Connection::initiator(config, psk(), rng(role), now),
        Role::Listener => packetfs::Connection::responder(config, psk(), rng(role), now),
    })
}

fn noise(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    Rng::from_seed([9; 32]).fill(&mut bytes);
    bytes
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}
