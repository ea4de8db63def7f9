//! PacketFS under faults: sessions on datagrams that are lost, doubled, reordered and altered, and on
//! streams that are split, delayed, attacked and cut. Virtual time and a seed, as everywhere here.

mod datagrams;
mod line;
mod objects;
mod streams;

use crate::Violation;
use crate::rng::Rng;
use std::panic::{AssertUnwindSafe, catch_unwind};
use stillwire_core::packetfs::{Algorithm, Config, Psk};

/// What a seed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// Messages both ways over a bad line.
    Datagrams,
    /// Bytes both ways over an ordered stream that somebody may sit on.
    Streams,
    /// Objects by reference to a blob that is damaged at the receiver.
    Objects,
}

/// What came of one seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Messages or bytes of the application that arrived.
    pub delivered: u64,
    /// Faults that the line or an attacker made.
    pub faults: u64,
    /// Attacks among them on what the responder, or the receiver of objects, says.
    pub backwards: u64,
    /// Epochs that were advanced.
    pub epochs: u64,
    /// Ends that closed cleanly.
    pub clean: u64,
    /// Ends that met an error.
    pub failed: u64,
}

/// Runs one seed of a scene; an error is the invariant that did not hold.
pub fn run(scene: Scene, seed: u64) -> Result<Outcome, Violation> {
    let scene = match scene {
        Scene::Datagrams => datagrams::run,
        Scene::Streams => streams::run,
        Scene::Objects => objects::run,
    };
    catch_unwind(AssertUnwindSafe(|| scene(Rng::new(seed)))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation::new("nothing panics", text.unwrap_or("?")))
    })
}

/// Settings of a session, some of them extreme.
fn config(rng: &mut Rng) -> Config {
    Config {
        algorithm: rng.pick(&[Algorithm::Aes256Gcm, Algorithm::XChaCha20Poly1305]),
        forward_secrecy: rng.chance(500),
        epoch_records: rng.pick(&[7, 30, 1 << 32]),
        epoch_bytes: rng.pick(&[5_000, 200_000, 1 << 36]),
        record: rng.pick(&[1, 100, 65_536]),
        receive_buffer: rng.pick(&[1_000, 1 << 20]),
        send_buffer: rng.pick(&[1_000, 1 << 20]),
        ..Config::default()
    }
}

fn psk() -> Psk {
    Psk::new(vec![0x42; 32]).expect("32 bytes are long enough")
}

fn seed(rng: &mut Rng) -> stillwire_core::crypto::Rng {
    stillwire_core::crypto::Rng::from_seed(rng.bytes())
}
