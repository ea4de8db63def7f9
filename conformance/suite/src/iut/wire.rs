//! The bytes of aznet: chunks, frames, ids, queue messages, table rows and connection URLs.

use super::args::{Args, number};
use super::{Answer, Fault};
use crate::hex;
use serde_json::{Map, Value, json};
use stillwire_core::Class;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::chunk::{self, OVERHEAD, Opener, PREFIX, Sealer};
use stillwire_core::aznet::wire::frame::{self, Frame};
use stillwire_core::aznet::wire::url::ConnectionUrl;
use stillwire_core::aznet::wire::{queue, table};
use stillwire_core::crypto::Secret;

/// `aznet.chunk.seal`.
pub(super) fn chunk_seal(args: &Args) -> Answer {
    let mut sealer = Sealer::at(Secret::from(args.array("key")?), args.number("n")?);
    let plain = args.bytes("plain")?;
    if plain.len() > args.size("limit")?.saturating_sub(OVERHEAD) || args.size("limit")? < OVERHEAD
    {
        return Err(Fault::new(Class::Limit, "the chunk is larger than `limit`"));
    }
    let mut chunk = vec![0; plain.len() + OVERHEAD];
    chunk[PREFIX..PREFIX + plain.len()].copy_from_slice(&plain);
    sealer.seal(&mut chunk)?;
    Ok(json!({"wire": hex::encode(&chunk)}))
}

/// `aznet.chunk.open`: the first chunk of `wire`.
pub(super) fn chunk_open(args: &Args) -> Answer {
    const TRUNCATED: &str = "the chunk is not all there";
    let mut opener = Opener::at(Secret::from(args.array("key")?), args.number("n")?);
    let mut wire = args.bytes("wire")?;
    let Some((prefix, body)) = wire.split_first_chunk_mut::<PREFIX>() else {
        return Err(Fault::new(Class::Truncated, TRUNCATED));
    };
    let declared = chunk::declared(*prefix, args.size("limit")?)?;
    let Some((body, rest)) = body.split_at_mut_checked(declared) else {
        return Err(Fault::new(Class::Truncated, TRUNCATED));
    };
    let plain = opener.open(body)?;
    Ok(json!({"plain": hex::encode(&body[..plain]), "rest": hex::encode(rest)}))
}

/// `aznet.frames.encode`.
pub(super) fn frames_encode(args: &Args) -> Answer {
    let mut out = Vec::new();
    for value in args.list("frames")? {
        let frame = Args::of(value)?;
        let kind = frame.number("type")?;
        let kind = u8::try_from(kind)
            .map_err(|_| Fault::new(Class::Encoding, "`type` does not fit into a byte"))?;
        let payload = frame.bytes("payload")?;
        frame::encode(
            Frame {
                kind,
                payload: &payload,
            },
            &mut out,
        )?;
    }
    Ok(json!({"bytes": hex::encode(&out)}))
}

/// `aznet.frames.decode`.
pub(super) fn frames_decode(args: &Args) -> Answer {
    let bytes = args.bytes("bytes")?;
    let (frames, rest) = frame::decode(&bytes, args.size("limit")?)?;
    let frames: Vec<Value> = frames
        .iter()
        .map(|frame| json!({"type": frame.kind, "payload": hex::encode(frame.payload)}))
        .collect();
    Ok(json!({"frames": frames, "rest": hex::encode(rest)}))
}

/// `aznet.id.check`.
pub(super) fn id_check(args: &Args) -> Answer {
    ConnectionId::parse(args.text("id")?.as_bytes())?;
    Ok(json!({}))
}

/// `aznet.queue.encode`.
pub(super) fn queue_encode(args: &Args) -> Answer {
    let text = queue::encode(args.number("seq")?, &args.bytes("chunk")?);
    Ok(json!({"text": text}))
}

/// `aznet.queue.decode`.
pub(super) fn queue_decode(args: &Args) -> Answer {
    let (sequence, chunk) = queue::decode(args.text("text")?)?;
    Ok(json!({"seq": number(sequence), "chunk": hex::encode(&chunk)}))
}

/// `aznet.table.encode`.
pub(super) fn table_encode(args: &Args) -> Answer {
    let row = table::encode(args.number("seq")?, &args.bytes("chunk")?)?;
    let properties: Map<String, Value> = row
        .properties
        .into_iter()
        .map(|(name, text)| (name, text.into()))
        .collect();
    Ok(json!({"row": row.key, "properties": properties}))
}

/// `aznet.table.decode`.
pub(super) fn table_decode(args: &Args) -> Answer {
    let properties = args.object("properties")?;
    let find = |name: &str| {
        properties.get(name).map(|value| match value {
            Value::String(text) => table::Value::Text(text),
            _ => table::Value::Other,
        })
    };
    let (sequence, chunk) = table::decode(args.text("row")?, find)?;
    Ok(json!({"seq": number(sequence), "chunk": hex::encode(&chunk)}))
}

/// `aznet.url.parse`.
pub(super) fn url_parse(args: &Args) -> Answer {
    let url = ConnectionUrl::parse(args.text("url")?)?;
    let mut reply = json!({
        "endpoint": url.endpoint,
        "handshake": url.handshake,
        "token": url.token,
    });
    if let Some(driver) = url.host_driver() {
        reply["driver"] = driver.name().into();
    }
    Ok(reply)
}

/// `aznet.url.format`. What [`url_parse`] would refuse as empty is not written.
pub(super) fn url_format(args: &Args) -> Answer {
    let sas = |name: &str| match args.text(name)? {
        "" => Err(Fault::new(Class::Encoding, format!("`{name}` is empty"))),
        text => Ok(text.to_owned()),
    };
    let url = ConnectionUrl::new(args.text("endpoint")?, sas("handshake")?, sas("token")?);
    Ok(json!({"url": url.format().as_str()}))
}
