//! Those who mean harm, with the account's own rights: they write straight into the service.

use crate::scenario::Attack;
use crate::service::Blob;
use crate::watch::VICTIM;
use crate::world::World;
use base64ct::{Base64, Encoding};
use bytes::BytesMut;
use stillwire_core::store::Role;

pub(crate) fn attack(world: &mut World, attack: Attack) {
    let name = |world: &World, dial: usize| world.dials[dial].id.map(|id| id.to_string());
    match attack {
        Attack::Append(dial, role) => {
            if let Some(blob) = last_blob(world, dial, role) {
                // Shorter than any block of ours, so that it is never taken for one.
                blob.content.extend_from_slice(b"foreign");
                blob.blocks += 1;
            }
        }
        Attack::Corrupt(dial, role) => {
            let at = world.rng.next();
            if let Some(blob) = last_blob(world, dial, role)
                && !blob.content.is_empty()
            {
                let at = at as usize % blob.content.len();
                blob.content[at] ^= 1 << (at % 8);
            }
        }
        Attack::DeleteSession(dial) => {
            if let Some(name) = name(world, dial) {
                world.service.containers.remove(&name);
            }
        }
        Attack::ForgeToken(dial) => {
            let junk: [u8; 90] = world.rng.bytes();
            if let Some(name) = name(world, dial)
                && let Some(tokens) = world.service.containers.get_mut("token")
            {
                tokens.blobs.insert(name, entry(&junk, None));
            }
        }
        Attack::Replay(dial) => {
            if let Some((name, payload)) = name(world, dial).zip(world.seen.get(&dial).cloned()) {
                put(world, &name, Some(payload));
            }
        }
        Attack::ReplayRenamed(dial) => {
            if let Some(payload) = world.seen.get(&dial).cloned() {
                put(world, "0b7e9a52-9c1d-4f0e-8a66-3d1c5b2f4e90", Some(payload));
            }
        }
        Attack::Junk(kind) => junk(world, kind),
    }
}

/// The blob that is written now.
fn last_blob(world: &mut World, dial: usize, role: Role) -> Option<&mut Blob> {
    let name = world.dials[dial].id?.to_string();
    let prefix = match role {
        Role::Dialer => "req-",
        Role::Listener => "res-",
    };
    let blobs = &mut world.service.containers.get_mut(&name)?.blobs;
    let number = |name: &str| name.strip_prefix(prefix)?.parse::<u32>().ok();
    let (_, blob) = blobs
        .iter_mut()
        .filter_map(|(name, blob)| Some((number(name)?, blob)))
        .max_by_key(|(number, _)| *number)?;
    Some(blob)
}

fn entry(content: &[u8], payload: Option<String>) -> Blob {
    Blob {
        content: BytesMut::from(content),
        metadata: payload
            .map(|p| ("payload".to_owned(), p))
            .into_iter()
            .collect(),
        ..Blob::default()
    }
}

fn put(world: &mut World, name: &str, payload: Option<String>) {
    if let Some(handshakes) = world.service.containers.get_mut("handshake") {
        handshakes
            .blobs
            .insert(name.to_owned(), entry(b"", payload));
    }
}

/// Message 1: an ephemeral key and a connection id.
fn message(key: [u8; 32], id: &str) -> String {
    let mut message = key.to_vec();
    message.extend_from_slice(id.as_bytes());
    Base64::encode_string(&message)
}

fn junk(world: &mut World, kind: u8) {
    const GHOST: &str = "c0ffee00-1234-4abc-9def-0123456789ab";
    const LOW: &str = "00000000-0000-4000-8000-000000000000";
    let key: [u8; 32] = world.rng.bytes();
    let mut one = [0; 32];
    one[0] = 1;
    let long = "x".repeat(1024);
    let (name, payload) = match kind {
        0 => ("../photos", Some(message(key, "../photos"))),
        1 => ("photos", Some(message(key, "photos"))),
        2 => ("handshake", Some(message(key, "handshake"))),
        3 => {
            let name = "C0FFEE00-1234-4ABC-9DEF-0123456789AB";
            (name, Some(message(key, name)))
        }
        4 => (VICTIM, Some(message(key, VICTIM))),
        5 => (GHOST, Some(Base64::encode_string(&key))),
        6 => (LOW, Some(message([0; 32], LOW))),
        7 => (LOW, Some(message(one, LOW))),
        8 => (GHOST, Some("not base64!".to_owned())),
        9 => (GHOST, None),
        10 => (GHOST, Some(message(key, VICTIM))),
        11 => (GHOST, Some(message(key, GHOST))),
        12 => ("a&<b>\"'c ?#%2F", Some(message(key, GHOST))),
        13 => (long.as_str(), None),
        14 => (GHOST, Some(Base64::encode_string(&[7; 6000]))),
        _ => ("..", Some(message(key, ".."))),
    };
    put(world, name, payload);
}
