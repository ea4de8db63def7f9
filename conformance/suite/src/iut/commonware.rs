//! The handshake and the records of commonware-stream, one end at a time.

use super::args::Args;
use super::{Answer, Fault, Handles};
use crate::hex;
use serde_json::{Value, json};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;
use stillwire_core::commonware::handshake::{AwaitAck, Dialer, IDENTITY, Keys, Listener, Terms};
use stillwire_core::commonware::record::{LONGEST, Opener, Sealer};
use stillwire_core::commonware::wire::split_frame;
use stillwire_core::commonware::{Ed25519, Profile, Window};
use stillwire_core::crypto::Secret;
use stillwire_core::{Class, UnixTime};

fn profile(args: &Args) -> Result<Profile, Fault> {
    let profile = Profile::from_name(args.text("profile")?);
    profile.ok_or_else(|| Fault::new(Class::Encoding, "no such profile"))
}

fn terms(args: &Args) -> Result<Terms, Fault> {
    let millis = |name| args.number(name).map(Duration::from_millis);
    Ok(Terms {
        profile: profile(args)?,
        namespace: args.bytes("namespace")?.into(),
        identity: Arc::new(Ed25519::new(&Secret::from(args.array("sk")?))),
        window: Window {
            max_age: millis("max_age_ms")?,
            synchrony: millis("synchrony_ms")?,
        },
        // An extension: the hardened profile, which the operations have no other word for.
        refuse_self: args.optional("refuse_self", Args::flag)?.unwrap_or(false),
    })
}

fn time(args: &Args) -> Result<UnixTime, Fault> {
    args.number("time_ms").map(UnixTime::from_millis)
}

fn truncated() -> Fault {
    Fault::new(Class::Truncated, "the bytes end before the frame does")
}

/// The first frame of `bytes`, which hold all there will be, and what follows it.
fn frame(
    profile: Profile,
    bytes: &[u8],
    sizes: RangeInclusive<usize>,
) -> Result<(&[u8], &[u8]), Fault> {
    split_frame(profile.prefix(), bytes, &sizes)?.ok_or_else(truncated)
}

fn keys(keys: &Keys) -> Value {
    json!({
        "d2l": hex::encode(keys.d2l.as_bytes()),
        "l2d": hex::encode(keys.l2d.as_bytes()),
    })
}

/// `commonware.dial`.
pub(super) fn dial(handles: &mut Handles, args: &Args) -> Answer {
    let terms = terms(args)?;
    let ephemeral = Secret::from(args.array("esk")?);
    let listener = args.array("listener")?;
    let (dialer, out) = Dialer::start(&terms, &listener, ephemeral, time(args)?)?;
    let handle = handles.keep("commonware-dial", (terms.profile, dialer))?;
    Ok(json!({"handle": handle, "out": hex::encode(&out)}))
}

/// `commonware.listen`. Bytes behind the first signed message are left unread, as on a stream.
pub(super) fn listen(handles: &mut Handles, args: &Args) -> Answer {
    let terms = terms(args)?;
    let (profile, now) = (terms.profile, time(args)?);
    let ephemeral = Secret::from(args.array("esk")?);
    let bytes = args.bytes("bytes")?;
    let (wait, rest) = match Listener::start(&terms) {
        Listener::Identity(wait) => {
            let (body, rest) = frame(profile, &bytes, IDENTITY..=IDENTITY)?;
            (wait.take(body)?, rest)
        }
        Listener::Message(wait) => (wait, &bytes[..]),
    };
    let (body, _) = frame(profile, rest, wait.sizes())?;
    let verified = wait.open(body, now)?.verify()?;
    let dialer = verified.dialer();
    let (out, ack) = verified.answer(ephemeral, now)?;
    let handle = handles.keep("commonware-listen", (profile, ack))?;
    Ok(json!({
        "handle": handle,
        "dialer": hex::encode(&dialer),
        "out": hex::encode(&out),
    }))
}

/// `commonware.dial.finish`: whatever comes of it, the handle is spent.
pub(super) fn dial_finish(handles: &mut Handles, args: &Args) -> Answer {
    let (profile, dialer): (Profile, Dialer) = handles.take(args.text("handle")?)?;
    let bytes = args.bytes("bytes")?;
    let (body, _) = frame(profile, &bytes, dialer.sizes())?;
    let (out, derived) = dialer.finish(body, time(args)?)?;
    let mut reply = keys(&derived);
    reply["out"] = hex::encode(&out).into();
    Ok(reply)
}

/// `commonware.listen.finish`: whatever comes of it, the handle is spent.
pub(super) fn listen_finish(handles: &mut Handles, args: &Args) -> Answer {
    let (profile, ack): (Profile, AwaitAck) = handles.take(args.text("handle")?)?;
    let bytes = args.bytes("bytes")?;
    let (body, _) = frame(profile, &bytes, ack.sizes())?;
    Ok(keys(&ack.finish(body)?))
}

fn limit(args: &Args) -> Result<usize, Fault> {
    let limit = args.optional("limit", Args::number)?;
    Ok(limit.map_or(LONGEST, |limit| usize::try_from(limit).unwrap_or(LONGEST)))
}

/// `commonware.record.seal`.
pub(super) fn seal(args: &Args) -> Answer {
    let key = Secret::from(args.array("key")?);
    let number = args.number("n")?.into();
    let mut sealer = Sealer::at(profile(args)?, key, number, limit(args)?);
    let mut wire = Vec::new();
    sealer.seal(&args.bytes("plain")?, &mut wire)?;
    Ok(json!({"wire": hex::encode(&wire)}))
}

/// `commonware.record.open`: the first record of `wire`, and how much follows it.
pub(super) fn open(args: &Args) -> Answer {
    let key = Secret::from(args.array("key")?);
    let number = args.number("n")?.into();
    let mut opener = Opener::at(profile(args)?, key, number, limit(args)?);
    let wire = args.bytes("wire")?;
    let mut rest = &wire[..];
    let plain = opener.open(&mut rest)?.ok_or_else(truncated)?;
    Ok(json!({"plain": hex::encode(&plain), "rest": hex::encode(rest)}))
}
