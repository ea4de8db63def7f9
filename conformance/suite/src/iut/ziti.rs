//! OpenZiti's key exchange, secretstream and multipart payloads.

use super::args::Args;
use super::{Answer, Fault, Handles};
use crate::hex;
use serde_json::{Value, json};
use stillwire_core::Class;
use stillwire_core::crypto::Secret;
use stillwire_core::ziti::kx::{KeyPair, session_keys};
use stillwire_core::ziti::secretstream::{MAC, OVERHEAD, PREFIX};
use stillwire_core::ziti::{Dialect, Pull, Push, Role, wire};

fn secret(args: &Args, name: &str) -> Result<Secret, Fault> {
    args.array(name).map(Secret::from)
}

/// `ziti.kx`.
pub(super) fn kx(args: &Args) -> Answer {
    let role = match args.text("role")? {
        "client" => Role::Dialer,
        "server" => Role::Listener,
        _ => return Err(Fault::new(Class::Encoding, "no such role")),
    };
    let pair = match args.optional("sk", secret)? {
        Some(secret) => KeyPair::from_secret(secret),
        None => KeyPair::from_seed(&secret(args, "seed")?),
    };
    let keys = session_keys(role, &pair, &args.array("peer_pk")?)?;
    Ok(json!({
        "pk": hex::encode(&pair.public()),
        "rx": hex::encode(keys.rx.as_bytes()),
        "tx": hex::encode(keys.tx.as_bytes()),
    }))
}

/// The number of the next message; they count from 1.
fn counter(args: &Args) -> Result<u32, Fault> {
    let counter = args.optional("counter", Args::number)?.unwrap_or(1);
    match u32::try_from(counter) {
        Ok(counter) if counter > 0 => Ok(counter),
        _ => Err(Fault::new(
            Class::Encoding,
            "`counter` is not between 1 and 2^32 - 1",
        )),
    }
}

/// `ziti.push.new`.
pub(super) fn push_new(handles: &mut Handles, args: &Args) -> Answer {
    let push = Push::at(
        &secret(args, "key")?,
        &args.array("header")?,
        counter(args)?,
    );
    let handle = handles.keep("push", push)?;
    Ok(json!({"handle": handle}))
}

/// `ziti.push`.
pub(super) fn push(handles: &mut Handles, args: &Args) -> Answer {
    handles.with(args.text("handle")?, |push: &mut Push| {
        let tag = u8::try_from(args.number("tag")?)
            .map_err(|_| Fault::new(Class::Encoding, "`tag` does not fit into a byte"))?;
        let plain = args.bytes("plain")?;
        let ad = args.optional("ad", Args::bytes)?.unwrap_or_default();
        let mut message = vec![0; plain.len() + OVERHEAD];
        message[PREFIX..][..plain.len()].copy_from_slice(&plain);
        push.seal(tag, &ad, &mut message)?;
        Ok(json!({"wire": hex::encode(&message)}))
    })
}

/// `ziti.pull.new`.
pub(super) fn pull_new(handles: &mut Handles, args: &Args) -> Answer {
    let dialect = match args.text("dialect")? {
        "sodium" => Dialect::Sodium,
        "norekey" => Dialect::NoRekey,
        _ => return Err(Fault::new(Class::Encoding, "no such dialect")),
    };
    let key = secret(args, "key")?;
    let pull = Pull::at(&key, &args.array("header")?, dialect, counter(args)?);
    let handle = handles.keep("pull", pull)?;
    Ok(json!({"handle": handle}))
}

/// `ziti.pull`.
pub(super) fn pull(handles: &mut Handles, args: &Args) -> Answer {
    handles.with(args.text("handle")?, |pull: &mut Pull| {
        let mut message = args.bytes("wire")?;
        let ad = args.optional("ad", Args::bytes)?.unwrap_or_default();
        let tag = pull.open(&ad, &mut message)?;
        let plain = &message[PREFIX..message.len() - MAC];
        Ok(json!({"tag": tag, "plain": hex::encode(plain)}))
    })
}

/// `ziti.multipart.encode`.
pub(super) fn multipart_encode(args: &Args) -> Answer {
    let parts = args.list("parts")?.iter().map(|part| {
        let bytes = part.as_str().and_then(hex::decode);
        bytes.ok_or_else(|| Fault::new(Class::Encoding, "a part is not lowercase hex"))
    });
    let parts = parts.collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"bytes": hex::encode(&wire::encode_parts(&parts)?)}))
}

/// `ziti.multipart.decode`.
pub(super) fn multipart_decode(args: &Args) -> Answer {
    let bytes = args.bytes("bytes")?;
    let parts: Vec<Value> = wire::decode_parts(&bytes)?
        .map(|part| hex::encode(part).into())
        .collect();
    Ok(json!({"parts": parts}))
}
