//! The hardened profile: its key schedule, and single sealed frames.

use crate::hex;
use crate::iut::args::Args;
use crate::iut::{Answer, Fault};
use serde_json::{Value, json};
use stillwire_core::Class;
use stillwire_core::asoc::hardened::{Schedule, Sealer, TAG};
use stillwire_core::asoc::{Dialect, Header, Profile, Role, Suite};
use stillwire_core::crypto::Secret;

/// `profile` of a session. A server takes whatever suite the client chooses.
pub(super) fn profile(args: &Args, role: Role) -> Result<Profile, Fault> {
    match args.optional("profile", Args::text)? {
        None | Some("default") => Ok(Profile::Default),
        Some("hardened") if role == Role::Server => Ok(Profile::Hardened(Suite::default())),
        Some("hardened") => Ok(Profile::Hardened(suite(args)?)),
        Some(_) => Err(Fault::new(Class::Encoding, "no such profile")),
    }
}

fn suite(args: &Args) -> Result<Suite, Fault> {
    Ok(Suite::from_number(super::field(args, "suite")?)?)
}

/// A member of a list of texts.
pub(super) fn text(value: &Value) -> Result<&str, Fault> {
    let text = value.as_str();
    text.ok_or_else(|| Fault::new(Class::Encoding, "a key is not text"))
}

/// `asoc.hardened.keys`.
pub(super) fn keys(args: &Args) -> Answer {
    let (key, community) = (super::key(args)?, args.text("community")?);
    let (hello, accept) = (args.array("hello")?, args.array("accept")?);
    let shared = Secret::from(args.array("shared")?);
    let schedule = Schedule::derive(&key, community, &hello, &accept, &shared)?;
    Ok(json!({
        "mac": hex::encode(schedule.mac.as_bytes()),
        "transcript": hex::encode(&schedule.transcript),
        "proof": hex::encode(&schedule.proof()),
        "c2s": hex::encode(schedule.client_to_server.as_bytes()),
        "s2c": hex::encode(schedule.server_to_client.as_bytes()),
    }))
}

/// The direction whose next frame is number `n`, after `used` bytes.
fn sealer(args: &Args) -> Result<Sealer, Fault> {
    let key = Secret::from(args.array("key")?);
    let used = args.optional("used", Args::number)?.unwrap_or(0);
    Ok(Sealer::at(suite(args)?, &key, args.number("n")?, used))
}

/// `asoc.hardened.seal`.
pub(super) fn seal(args: &Args) -> Answer {
    let mut payload = args.bytes("plain")?;
    let length = payload.len().saturating_add(TAG);
    let header = Header {
        kind: super::field(args, "type")?,
        stream: super::field(args, "stream")?,
        sequence: super::field(args, "seq")?,
        length: u32::try_from(length)
            .map_err(|_| Fault::new(Class::Length, "`plain` is 4 GiB or longer"))?,
    };
    let mut wire = header.encode(Dialect::Octet)?.to_vec();
    sealer(args)?.seal(&wire, &mut payload)?;
    wire.append(&mut payload);
    Ok(json!({"wire": hex::encode(&wire)}))
}

/// `asoc.hardened.open`: exactly one frame.
pub(super) fn open(args: &Args) -> Answer {
    let wire = args.bytes("wire")?;
    let (header, sealed) = Header::split(&wire, Dialect::Octet)?;
    let length = usize::try_from(header.length).unwrap_or(usize::MAX);
    if length < TAG {
        return Err(Fault::new(Class::Length, "shorter than a tag"));
    }
    if sealed.len() < length {
        return Err(Fault::new(Class::Truncated, "the frame is not all there"));
    }
    if sealed.len() > length {
        return Err(Fault::new(
            Class::Length,
            "there are bytes behind the frame",
        ));
    }
    let mut payload = sealed.to_vec();
    sealer(args)?.open(&header.encode(Dialect::Octet)?, &mut payload)?;
    Ok(json!({
        "type": header.kind,
        "stream": header.stream,
        "seq": header.sequence,
        "plain": hex::encode(&payload),
    }))
}
