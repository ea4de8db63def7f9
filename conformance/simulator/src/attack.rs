//! Those who mean harm, with the account's own rights: they write straight into the service. And
//! other people's things, which nobody may touch.

use crate::actor::direction;
use crate::scenario::Attack;
use crate::service::Service;
use crate::service::blob::{Blob, Container};
use crate::service::queue::queue_of;
use crate::service::table::table_name;
use crate::world::World;
use base64ct::{Base64, Encoding};
use bytes::BytesMut;
use serde_json::Value;
use stillwire_core::store::Role;

/// The party to which everything belongs that was there before.
pub(crate) const FOREIGNER: usize = usize::MAX;
/// A container of somebody else whose name is a canonical connection id.
const VICTIM: &str = "7f0ab6ce-27a5-4c86-9d3b-0c2a1f1e5d77";
/// Somebody else's entry in a bootstrap that is shared.
pub(crate) const THEIR_ENTRY: &str = "somebody-elses";

const ROLES: [Role; 2] = [Role::Dialer, Role::Listener];

/// Puts other people's things into the account; those that must stay as they are.
pub(crate) fn furnish(service: &mut Service, shared_bootstrap: bool) -> Vec<(String, String)> {
    let mut kept = vec!["photos".to_owned()];
    match service {
        Service::Blob(blobs) => {
            let mut put = |name: &str, found: &[(&str, Blob)]| {
                let found = found.iter().map(|(n, b)| ((*n).to_owned(), b.clone()));
                let container = Container {
                    creator: FOREIGNER,
                    blobs: found.collect(),
                    ..Container::default()
                };
                blobs.containers.insert(name.to_owned(), container);
            };
            put("photos", &[("cat.jpg", blob(false, b"a cat"))]);
            put(
                VICTIM,
                &[
                    ("req-0", blob(true, b"theirs")),
                    ("res-0", blob(true, b"too")),
                ],
            );
            kept.push(VICTIM.to_owned());
            if shared_bootstrap {
                put("handshake", &[]);
                put("token", &[(THEIR_ENTRY, blob(false, b"for somebody else"))]);
            }
        }
        Service::Queue(queues) => {
            queues.furnish(FOREIGNER, "photos", &["a cat"]);
            for role in ROLES {
                let name = queue_of(VICTIM, role);
                queues.furnish(FOREIGNER, &name, &["theirs"]);
                kept.push(name);
            }
            if shared_bootstrap {
                queues.furnish(FOREIGNER, "handshake", &[]);
                queues.furnish(FOREIGNER, "token", &[THEIR_ENTRY]);
            }
        }
        Service::Table(tables) => {
            let their = |row: &str| ("data".to_owned(), row.to_owned(), Value::from("YSBjYXQ="));
            let mut put = |name: &str, (partition, row, data): (String, String, Value)| {
                tables.furnish(FOREIGNER, name).put(&partition, &row, data);
            };
            put("photos", their("cat"));
            for role in ROLES {
                let name = table_name(VICTIM, role);
                put(&name, their("000000000"));
                kept.push(name);
            }
            if shared_bootstrap {
                tables.furnish(FOREIGNER, "handshake");
                let token = tables.furnish(FOREIGNER, "token");
                token.put("token", THEIR_ENTRY, "YSBjYXQ=".into());
            }
        }
    }
    let content = |name: String| Some((name.clone(), service.content(&name)?));
    kept.into_iter().filter_map(content).collect()
}

fn blob(append: bool, content: &[u8]) -> Blob {
    Blob {
        append,
        content: BytesMut::from(content),
        ..Blob::default()
    }
}

pub(crate) fn attack(world: &mut World, attack: Attack) {
    let name = |world: &World, dial: usize| world.dials[dial].id.map(|id| id.to_string());
    match attack {
        Attack::Append(dial, role) => {
            if let Some(id) = world.dials[dial].id {
                append(world, &id.to_string(), role);
                let over_tables = matches!(world.service, Service::Table(_));
                world.streams(id)[direction(role)].usurped |= over_tables;
            }
        }
        Attack::Poison(dial, role) => {
            if let Some(name) = name(world, dial) {
                poison(world, &name, role);
            }
        }
        Attack::Corrupt(dial, role) => {
            let at = world.rng.next();
            if let Some(name) = name(world, dial) {
                corrupt(&mut world.service, &name, role, at);
            }
        }
        Attack::DeleteSession(dial) => {
            if let Some(name) = name(world, dial) {
                match &mut world.service {
                    Service::Blob(blobs) => drop(blobs.containers.remove(&name)),
                    Service::Queue(queues) => {
                        for role in ROLES {
                            queues.all.remove(&queue_of(&name, role));
                        }
                    }
                    Service::Table(tables) => {
                        for role in ROLES {
                            tables.all.remove(&table_name(&name, role));
                        }
                    }
                }
            }
        }
        Attack::ForgeToken(dial) => {
            let junk: [u8; 90] = world.rng.bytes();
            if let Some(name) = name(world, dial) {
                forge(&mut world.service, name, &junk);
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

/// Something of somebody else's where only one end writes.
fn append(world: &mut World, name: &str, role: Role) {
    let next = world.rng.below(4);
    // A chunk of sixteen bytes that nobody has sealed.
    let mut forged = vec![0, 0, 0, 16];
    forged.extend_from_slice(&world.rng.bytes::<16>());
    match &mut world.service {
        Service::Blob(_) => {
            if let Some(blob) = last_blob(&mut world.service, name, role) {
                // Shorter than any block of ours, so that it is never taken for one.
                blob.content.extend_from_slice(b"foreign");
                blob.blocks += 1;
            }
        }
        Service::Queue(queues) => {
            let queue = queue_of(name, role);
            let stored = queues.all.get(&queue).map_or(0, |q| q.messages.len());
            let mut text = (stored as u64 + next).to_be_bytes().to_vec();
            text.extend_from_slice(&forged);
            queues.add(&queue, &Base64::encode_string(&text), u64::MAX);
        }
        Service::Table(tables) => {
            if let Some(table) = tables.all.get_mut(&table_name(name, role)) {
                let stored = table.rows.keys().filter(|(p, _)| p == "data").count();
                let key = format!("{:09}", stored as u64 + next);
                table.put("data", &key, Base64::encode_string(&forged).into());
            }
        }
    }
}

/// What readers pass by.
fn poison(world: &mut World, name: &str, role: Role) {
    let kind = world.rng.below(4);
    let bytes: [u8; 40] = world.rng.bytes();
    match &mut world.service {
        Service::Blob(_) => {}
        Service::Queue(queues) => {
            let text = match kind {
                0 => "no base64!".to_owned(),
                1 => String::new(),
                // A number alone, and a chunk that is not as long as it says.
                2 => Base64::encode_string(&bytes[..8]),
                _ => Base64::encode_string(&bytes),
            };
            queues.add(&queue_of(name, role), &text, u64::MAX);
        }
        Service::Table(tables) => {
            // Before the mark is in it, a table with rows in it is somebody else's.
            if let Some(table) = tables.all.get_mut(&table_name(name, role))
                && table
                    .rows
                    .keys()
                    .any(|(partition, _)| partition == "stillwire")
            {
                let partition = ["dat", "data ", "Data", "poison"][kind as usize];
                table.put(partition, "000000000", Base64::encode_string(&bytes).into());
            }
        }
    }
}

fn corrupt(service: &mut Service, name: &str, role: Role, at: u64) {
    match service {
        Service::Blob(_) => {
            if let Some(blob) = last_blob(service, name, role)
                && !blob.content.is_empty()
            {
                let at = at as usize % blob.content.len();
                blob.content[at] ^= 1 << (at % 8);
            }
        }
        Service::Queue(queues) => queues.corrupt(&queue_of(name, role), at),
        Service::Table(tables) => tables.corrupt(&table_name(name, role), at),
    }
}

fn forge(service: &mut Service, name: String, junk: &[u8]) {
    match service {
        Service::Blob(blobs) => {
            if let Some(tokens) = blobs.containers.get_mut("token") {
                tokens.blobs.insert(name, entry(junk, None));
            }
        }
        Service::Queue(queues) => queues.forge(&name, junk),
        Service::Table(tables) => {
            if let Some(tokens) = tables.all.get_mut("token") {
                tokens.put("token", &name, Base64::encode_string(junk).into());
            }
        }
    }
}

/// The blob that is written now.
fn last_blob<'a>(service: &'a mut Service, name: &str, role: Role) -> Option<&'a mut Blob> {
    let prefix = match role {
        Role::Dialer => "req-",
        Role::Listener => "res-",
    };
    let Service::Blob(blobs) = service else {
        return None;
    };
    let blobs = &mut blobs.containers.get_mut(name)?.blobs;
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

/// Leaves a handshake.
fn put(world: &mut World, name: &str, payload: Option<String>) {
    match &mut world.service {
        Service::Blob(blobs) => {
            if let Some(handshakes) = blobs.containers.get_mut("handshake") {
                let entry = entry(b"", payload);
                handshakes.blobs.insert(name.to_owned(), entry);
            }
        }
        // Messages have no names.
        Service::Queue(queues) => {
            queues.add("handshake", &payload.unwrap_or_default(), u64::MAX);
        }
        Service::Table(tables) => {
            if let Some(table) = tables.all.get_mut("handshake") {
                let data = payload.map_or(Value::Null, Value::from);
                table.put("handshake", name, data);
            }
        }
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
