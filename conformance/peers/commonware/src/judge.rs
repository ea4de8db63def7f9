//! What the crate says of a dialer's identity and Syn, for vectors: one line in, one word out.
//!
//! In: profile, namespace, listener's secret, now, max age, synchrony, identity, Syn; bytes in hex
//! (`-` for none). Out: `accepts` or `refuses`.

use super::{Problem, unhex, versions};
use commonware_codec::DecodeExt as _;
use commonware_cryptography::ed25519::{PrivateKey, PublicKey, Signature};
use commonware_cryptography::handshake::sake::{Context, Syn, listen_start};
use commonware_runtime::IoBuf;

fn accepts(line: &str) -> Result<bool, Problem> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [profile, namespace, secret, now, age, ahead, identity, syn] = words[..] else {
        return Err(format!("eight words: {line}").into());
    };
    let (version, _) = versions(profile)?;
    let namespace = unhex(namespace.trim_matches('-'))?;
    let signer = PrivateKey::decode(IoBuf::from(unhex(secret)?))?;
    let (now, age, ahead): (u64, u64, u64) = (now.parse()?, age.parse()?, ahead.parse()?);
    let window = now.saturating_sub(age)..now.saturating_add(ahead);
    let Ok(identity) = PublicKey::decode(IoBuf::from(unhex(identity)?)) else {
        return Ok(false);
    };
    let Ok(syn) = Syn::<Signature>::decode(IoBuf::from(unhex(syn)?)) else {
        return Ok(false);
    };
    let context = Context::new(&namespace, now, window, signer, identity, version);
    Ok(listen_start(rand::rng(), context, syn).is_ok())
}

pub fn run() -> Result<(), Problem> {
    for line in std::io::stdin().lines() {
        let accepts = accepts(&line?)?;
        println!("{}", if accepts { "accepts" } else { "refuses" });
    }
    Ok(())
}
