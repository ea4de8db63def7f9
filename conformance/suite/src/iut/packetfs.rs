//! The PacketFS overlay: prefaces, keys, records, the window, blueprints.

use super::args::{Args, number};
use super::{Answer, Fault, Operation};
use crate::hex;
use serde_json::{Value, json};
use stillwire_core::Class;
use stillwire_core::crypto::Secret;
use stillwire_core::packetfs::blueprint::{self, Builder};
use stillwire_core::packetfs::handshake::Key;
use stillwire_core::packetfs::record::{Opener, Sealer, in_order, sealed_length};
use stillwire_core::packetfs::window::Window;
use stillwire_core::packetfs::wire::header::{HEADER, Header, LIMIT};
use stillwire_core::packetfs::wire::preface::Preface;
use stillwire_core::packetfs::{
    Algorithm, Blob, Blueprint, ChannelId, Descriptor, Direction, Psk, Schedule, Seeded, Transform,
};

/// The operations of this protocol.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("packetfs.blueprint.decode", |_, args| {
        blueprint_decode(args)
    }),
    ("packetfs.blueprint.encode", |_, args| {
        blueprint_encode(args)
    }),
    ("packetfs.keys", |_, args| keys(args)),
    ("packetfs.preface.decode", |_, args| preface_decode(args)),
    ("packetfs.preface.encode", |_, args| preface_encode(args)),
    ("packetfs.rebuild", |_, args| rebuild(args)),
    ("packetfs.record.open", |_, args| record_open(args)),
    ("packetfs.record.seal", |_, args| record_seal(args)),
    ("packetfs.window", |_, args| window(args)),
];

/// The largest object that is put together when `limit` does not say: what fits into a line.
const LARGEST_OBJECT: usize = 16 << 20;

/// A number that is a byte on the wire; a larger one is `beyond`.
fn byte(args: &Args, name: &str, beyond: Class) -> Result<u8, Fault> {
    u8::try_from(args.number(name)?)
        .map_err(|_| Fault::new(beyond, format!("`{name}` does not fit into a byte")))
}

fn algorithm(args: &Args) -> Result<Algorithm, Fault> {
    Ok(Algorithm::from_number(byte(args, "alg", Class::Type)?)?)
}

fn channel(args: &Args) -> Result<ChannelId, Fault> {
    Ok(ChannelId::from_number(byte(args, "channel", Class::Type)?)?)
}

fn epoch(args: &Args) -> Result<u32, Fault> {
    u32::try_from(args.number("epoch")?)
        .map_err(|_| Fault::new(Class::Limit, "2^32 - 1 is the last epoch"))
}

/// `limit`, as the length field counts: a larger one than the field can hold is no limit.
fn limit(args: &Args) -> Result<u32, Fault> {
    let limit = args.optional("limit", Args::number)?;
    Ok(limit.map_or(LIMIT, |limit| u32::try_from(limit).unwrap_or(u32::MAX)))
}

/// `packetfs.keys`.
fn keys(args: &Args) -> Answer {
    let psk = Psk::new(args.bytes("psk")?)?;
    let initiator = Preface::decode(&args.bytes("preface_i")?)?;
    let responder = Preface::decode(&args.bytes("preface_r")?)?;
    let dh = args.optional("dh", Args::array)?;
    let schedule = Schedule::derive(&psk, &initiator, &responder, dh.as_ref())?;
    let direction = Direction::from_label(args.text("direction")?)?;
    let key = schedule.key(direction, channel(args)?, epoch(args)?)?;
    let nonce = &key.nonce[..schedule.algorithm().nonce()];
    Ok(json!({"key": hex::encode(key.key.as_bytes()), "nonce": hex::encode(nonce)}))
}

/// `packetfs.preface.encode`.
fn preface_encode(args: &Args) -> Answer {
    let preface = Preface {
        algorithm: algorithm(args)?,
        salt: args.array("salt")?,
        ephemeral: args.optional("epk", Args::array)?,
    };
    Ok(json!({"bytes": hex::encode(&preface.encode())}))
}

/// `packetfs.preface.decode`.
fn preface_decode(args: &Args) -> Answer {
    let preface = Preface::decode(&args.bytes("bytes")?)?;
    let mut reply = json!({
        "alg": preface.algorithm.number(),
        "salt": hex::encode(&preface.salt),
    });
    if let Some(key) = preface.ephemeral {
        reply["epk"] = hex::encode(&key).into();
    }
    Ok(reply)
}

/// `key` and `nonce`, whose lengths are those of the algorithm.
fn key(args: &Args, algorithm: Algorithm) -> Result<Key, Fault> {
    let base = args.bytes("nonce")?;
    if base.len() != algorithm.nonce() {
        let detail = format!("`nonce` is not {} bytes", algorithm.nonce());
        return Err(Fault::new(Class::Length, detail));
    }
    let mut key = Key {
        key: Secret::from(args.array("key")?),
        nonce: [0; 24].into(),
    };
    key.nonce[..base.len()].copy_from_slice(&base);
    Ok(key)
}

/// `packetfs.record.seal`.
fn record_seal(args: &Args) -> Answer {
    let algorithm = algorithm(args)?;
    let key = key(args, algorithm)?;
    let sequence = args.number("seq")?;
    let mut sealer = Sealer::at(algorithm, &key, channel(args)?, epoch(args)?, sequence);
    let plain = args.bytes("plain")?;
    let mut record = vec![0; sealed_length(plain.len())];
    record[HEADER..HEADER + plain.len()].copy_from_slice(&plain);
    sealer.seal(&mut record, limit(args)?)?;
    Ok(json!({"wire": hex::encode(&record)}))
}

/// `packetfs.record.open`.
fn record_open(args: &Args) -> Answer {
    let algorithm = algorithm(args)?;
    let key = key(args, algorithm)?;
    let channel = channel(args)?;
    let opener = Opener::new(algorithm, &key, channel, epoch(args)?);
    let mut wire = args.bytes("wire")?;
    let (header, bytes, body) = Header::split(&mut wire, limit(args)?)?;
    if let Some(expected) = args.optional("seq", Args::number)? {
        in_order(header.sequence, expected)?;
    }
    let length = opener.open(&bytes, body)?;
    Ok(json!({
        "plain": hex::encode(&body[..length]),
        "seq": number(header.sequence),
        "channel": channel.number(),
    }))
}

/// `packetfs.window`.
fn window(args: &Args) -> Answer {
    let mut window = Window::new();
    let mut accepted = Vec::new();
    for value in args.list("seqs")? {
        let sequence = super::args::integer(value)
            .ok_or_else(|| Fault::new(Class::Encoding, "a sequence is not a whole number"))?;
        accepted.push(window.accept(sequence).is_ok());
    }
    Ok(json!({"accepted": accepted}))
}

/// `blob`, or `seed` and `size`.
fn blob(args: &Args) -> Result<Box<dyn Blob>, Fault> {
    let bytes = args.optional("blob", Args::bytes)?;
    let seed = args.optional("seed", Args::array)?;
    match (bytes, seed) {
        (Some(bytes), None) => Ok(Box::new(bytes)),
        (None, Some(seed)) => {
            let seeded = Seeded::new(Secret::from(seed), args.number("size")?)?;
            Ok(Box::new(seeded))
        }
        _ => Err(Fault::new(
            Class::Encoding,
            "there is either `blob`, or `seed` and `size`",
        )),
    }
}

fn descriptors(args: &Args) -> Result<Vec<Descriptor>, Fault> {
    let read = |value| descriptor(&Args::of(value)?);
    args.list("descriptors")?.iter().map(read).collect()
}

fn descriptor(args: &Args) -> Result<Descriptor, Fault> {
    match args.text("kind")? {
        "literal" => Ok(Descriptor::Literal(args.bytes("bytes")?.into())),
        "ref" => Ok(Descriptor::Reference {
            offset: args.number("offset")?,
            length: u32::try_from(args.number("length")?).map_err(|_| {
                Fault::new(Class::Length, "a reference is longer than 32 bits can say")
            })?,
            transform: transform(args)?,
        }),
        _ => Err(Fault::new(Class::Type, "no such kind of descriptor")),
    }
}

fn transform(args: &Args) -> Result<Transform, Fault> {
    let value = |name| byte(args, name, Class::Encoding);
    match args.text("transform")? {
        "none" => match args.optional("value", Args::number)? {
            None | Some(0) => Ok(Transform::None),
            Some(_) => Err(Fault::new(
                Class::Encoding,
                "a reference without a transform has a value",
            )),
        },
        "xor" => Ok(Transform::Xor(value("value")?)),
        "add" => Ok(Transform::Add(value("value")?)),
        _ => Err(Fault::new(Class::Type, "no such transform")),
    }
}

/// `packetfs.rebuild`.
fn rebuild(args: &Args) -> Answer {
    let limit = args.optional("limit", Args::size)?;
    let limit = limit.unwrap_or(LARGEST_OBJECT).min(LARGEST_OBJECT);
    let object = blueprint::rebuild(&blob(args)?, &descriptors(args)?, limit)?;
    Ok(json!({"object": hex::encode(&object)}))
}

/// `packetfs.blueprint.encode`.
fn blueprint_encode(args: &Args) -> Answer {
    let descriptors = descriptors(args)?;
    let object = blueprint::rebuild(&blob(args)?, &descriptors, LARGEST_OBJECT)?;
    let mut builder = Builder::new(usize::MAX);
    for descriptor in &descriptors {
        builder.push(descriptor)?;
    }
    let blueprint = builder.finish(&blueprint::digests(&object))?;
    Ok(json!({"bytes": hex::encode(blueprint.bytes())}))
}

/// `packetfs.blueprint.decode`.
fn blueprint_decode(args: &Args) -> Answer {
    let blueprint = Blueprint::decode(args.bytes("bytes")?.into())?;
    let descriptors: Vec<Value> = blueprint.descriptors().map(|d| described(&d)).collect();
    let digests: Vec<String> = blueprint.digests().map(|d| hex::encode(&d)).collect();
    Ok(json!({
        "size": number(blueprint.size()),
        "descriptors": descriptors,
        "digests": digests,
    }))
}

fn described(descriptor: &Descriptor) -> Value {
    match descriptor {
        Descriptor::Literal(bytes) => json!({"kind": "literal", "bytes": hex::encode(bytes)}),
        Descriptor::Reference {
            offset,
            length,
            transform,
        } => {
            let (offset, length) = (number(*offset), *length);
            let mut value = json!({"kind": "ref", "offset": offset, "length": length});
            value["transform"] = match transform {
                Transform::None => "none",
                Transform::Xor(_) => "xor",
                Transform::Add(_) => "add",
            }
            .into();
            if let Transform::Xor(byte) | Transform::Add(byte) = transform {
                value["value"] = (*byte).into();
            }
            value
        }
    }
}
