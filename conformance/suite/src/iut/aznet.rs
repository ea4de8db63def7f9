//! The handshake of aznet, one end at a time.

use super::args::Args;
use super::{Answer, Fault, Handles};
use crate::hex;
use serde_json::{Map, Value, json};
use stillwire_core::Class;
use stillwire_core::aznet::handshake::{
    DialerSecurity, Initiator, ListenerSecurity, Responder, Split,
};
use stillwire_core::crypto::Secret;

fn secret(args: &Args, name: &str) -> Result<Secret, Fault> {
    args.array(name).map(Secret::from)
}

fn unknown_profile() -> Fault {
    Fault::new(Class::Encoding, "no such profile")
}

fn answer(split: &Split, fields: Value) -> Value {
    let mut reply = Map::new();
    reply.insert("hash".to_owned(), hex::encode(&split.hash).into());
    reply.insert("i2r".to_owned(), hex::encode(split.i2r.as_bytes()).into());
    reply.insert("r2i".to_owned(), hex::encode(split.r2i.as_bytes()).into());
    if let Value::Object(fields) = fields {
        reply.extend(fields);
    }
    Value::Object(reply)
}

/// `aznet.dial`. Any text goes as the id: it is the listener that must refuse a bad one.
pub(super) fn dial(handles: &mut Handles, args: &Args) -> Answer {
    let security = match args.text("profile")? {
        "nn" => DialerSecurity::Nn,
        "nnpsk0" => DialerSecurity::NnPsk0 {
            psk: secret(args, "psk")?,
        },
        "nk" => DialerSecurity::Nk {
            listener: args.array("rs")?,
        },
        _ => return Err(unknown_profile()),
    };
    let id = args.text("id")?.as_bytes();
    let (dial, msg1) = Initiator::start_with_payload(id, secret(args, "e")?, &security)?;
    let handle = handles.keep("dial", dial)?;
    Ok(json!({"handle": handle, "msg1": hex::encode(&msg1)}))
}

/// `aznet.accept`.
pub(super) fn accept(args: &Args) -> Answer {
    let security = match args.text("profile")? {
        "nn" => ListenerSecurity::Nn,
        "nnpsk0" => ListenerSecurity::NnPsk0 {
            psk: secret(args, "psk")?,
        },
        "nk" => ListenerSecurity::Nk {
            secret: secret(args, "s")?,
        },
        _ => return Err(unknown_profile()),
    };
    let tokens = args.text("tokens")?.as_bytes();
    let responder = Responder::accept(secret(args, "e")?, &args.bytes("msg1")?, &security)?;
    let id = responder.id().to_string();
    let (msg2, split) = responder.finish(tokens)?;
    Ok(answer(
        &split,
        json!({"id": id, "msg2": hex::encode(&msg2)}),
    ))
}

/// `aznet.finish`: whatever comes of it, the handle is spent.
pub(super) fn finish(handles: &mut Handles, args: &Args) -> Answer {
    let dial: Initiator = handles.take(args.text("handle")?)?;
    let (grants, split) = dial.finish(&args.bytes("msg2")?)?;
    Ok(answer(
        &split,
        json!({"req": grants.req, "res": grants.res}),
    ))
}
