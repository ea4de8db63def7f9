//! How each protocol makes its machine from the user's keys.

use crate::args::packetfs::PacketfsOptions;
use crate::args::stream::{CommonwareOptions, StreamKeys, ZitiOptions};
use crate::exit::{Code, Fault};
use crate::key;
use crate::run::Run;
use crate::units;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use stillwire_core::commonware::SynCache;
use stillwire_core::crypto::ed25519::SigningKey;
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::store::Role;
use stillwire_core::ziti::{Dialect, Rekeying};
use stillwire_core::{Error, Instant, UnixTime, commonware, packetfs, ziti};
use stillwire_tokio::Secure;
use zeroize::Zeroizing;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// OpenZiti end to end.
    Ziti,
    /// commonware-stream.
    Commonware,
    /// The PacketFS overlay.
    Packetfs,
}

/// Makes the machines of one protocol.
pub(super) trait Protocol: Send + Sync + 'static {
    type Machine: Secure;

    fn machine(&self, role: Role, now: Instant) -> Result<Self::Machine, Error>;

    /// What is told of an established connection.
    fn told(machine: &Self::Machine) -> (Value, String);
}

/// Handshakes that a commonware listener remembers, of 8 bytes each.
const SEEN: usize = 65_536;

fn random() -> Result<[u8; 32], Fault> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::new(Code::Local, format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// A seed for a machine, as a machine's error where there is none.
fn seed() -> Result<[u8; 32], Error> {
    random().map_err(|_| Error::Misuse("the system gives no randomness"))
}

fn secret(text: &str) -> Result<Secret, Fault> {
    let bytes = key::digits(text)
        .ok()
        .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
    bytes.map(Secret::from).ok_or_else(|| {
        Fault::new(Code::Usage, "the key is not 64 hex digits").with_hint("keygen makes one")
    })
}

fn peers(keys: &StreamKeys) -> Result<Vec<[u8; 32]>, Fault> {
    let read = |text: &String| {
        let bytes = key::digits(text)
            .ok()
            .and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes.ok_or_else(|| Fault::new(Code::Usage, "--peer-key is not 64 hex digits"))
    };
    keys.peer_key.iter().map(read).collect()
}

pub(super) struct Ziti {
    identity: Option<(Secret, Vec<[u8; 32]>)>,
    config: ziti::Config,
}

/// Hardened with a key and the peer's; otherwise anonymous, which is said.
pub(super) fn ziti(keys: &StreamKeys, told: &ZitiOptions, run: &Run) -> Result<Ziti, Fault> {
    const VARIABLE: &str = "STILLWIRE_ZITI_KEY";
    let config = ziti::Config {
        handshake_timeout: keys.patience.span(),
        dialect: told.dialect.into(),
        rekeying: told.rekey.into(),
        ..ziti::Config::default()
    };
    if config.dialect == Dialect::NoRekey && config.rekeying != Rekeying::Never {
        return Err(Fault::new(
            Code::Usage,
            "a peer of the dialect no-rekey does not follow a new key",
        )
        .with_hint("leave out --rekey or --dialect"));
    }
    let options = &keys.key;
    let named = options.key_file.is_some()
        || options.key_command.is_some()
        || std::env::var_os(VARIABLE).is_some_and(|value| !value.is_empty());
    let peers = peers(keys)?;
    let identity = match (named, peers.is_empty()) {
        (true, false) => Some((secret(&options.read(&[VARIABLE], None)?)?, peers)),
        (false, true) => None,
        (true, true) => {
            return Err(Fault::new(Code::Usage, "a key was given and no peer's")
                .with_hint("name the peer's public key with --peer-key"));
        }
        (false, false) => {
            return Err(
                Fault::new(Code::Usage, "--peer-key was given and no key of ours")
                    .with_hint(format!("use --key-file, --key-command or {VARIABLE}")),
            );
        }
    };
    if identity.is_none() {
        run.out.warn(
            "no keys were given: anybody in between could be the peer; compare the transcript at \
             both ends, or use --key-file and --peer-key",
        );
    }
    Ok(Ziti { identity, config })
}

impl Protocol for Ziti {
    type Machine = ziti::Connection;

    fn machine(&self, role: Role, now: Instant) -> Result<ziti::Connection, Error> {
        let identity = match &self.identity {
            Some((own, peers)) => Some(ziti::Identity::new(SigningKey::new(own), peers)?),
            None => None,
        };
        let rng = Rng::from_seed(seed()?);
        let config = self.config.clone();
        ziti::Connection::new(role, ziti::Exchange::Fresh, identity, config, rng, now)
    }

    fn told(machine: &ziti::Connection) -> (Value, String) {
        let transcript = units::hex(&machine.transcript().unwrap_or_default());
        let peer = machine.peer_identity().map(|peer| units::hex(&peer));
        let human = match &peer {
            Some(peer) => format!("connected to {peer}"),
            None => format!("connected, transcript {transcript}"),
        };
        let json = json!({ "event": "connected", "transcript": transcript, "peer": peer });
        (json, human)
    }
}

pub(super) struct Commonware {
    identity: Arc<dyn commonware::Identity>,
    peers: Vec<[u8; 32]>,
    config: commonware::Config,
    door: commonware::Door,
}

/// A dialer must know whom it dials; a listener admits those it was told of, or everybody.
pub(super) fn commonware(
    keys: &StreamKeys,
    told: &CommonwareOptions,
    role: Role,
) -> Result<Commonware, Fault> {
    let dials = role == Role::Dialer;
    let key = secret(&keys.key.read(&["STILLWIRE_COMMONWARE_KEY"], None)?)?;
    let peers = peers(keys)?;
    if dials && peers.len() != 1 {
        return Err(Fault::new(Code::Usage, "dialing needs one --peer-key")
            .with_hint("the listener's keygen told its public key"));
    }
    let admission = if peers.is_empty() {
        commonware::Admission::Anyone
    } else {
        commonware::Admission::Listed(peers.clone().into())
    };
    let seen = if dials {
        None
    } else {
        Some(Arc::new(SynCache::new(SEEN, random()?)))
    };
    let base = if told.hardened {
        commonware::Config::hardened()
    } else {
        commonware::Config::default()
    };
    Ok(Commonware {
        identity: Arc::new(commonware::Ed25519::new(&key)),
        peers,
        config: commonware::Config {
            profile: told.profile.into(),
            namespace: told.namespace.as_bytes().into(),
            handshake_timeout: keys.patience.span(),
            ..base
        },
        door: commonware::Door { admission, seen },
    })
}

impl Protocol for Commonware {
    type Machine = commonware::Connection;

    fn machine(&self, role: Role, now: Instant) -> Result<commonware::Connection, Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let millis = since.unwrap_or_default().as_millis();
        let unix = UnixTime::from_millis(u64::try_from(millis).unwrap_or(u64::MAX));
        let (config, identity) = (self.config.clone(), self.identity.clone());
        match (role, self.peers.first()) {
            (Role::Dialer, Some(peer)) => {
                commonware::Connection::dial(config, identity, peer, seed()?, now, unix)
            }
            (Role::Dialer, None) => Err(Error::Misuse("no listener was named")),
            (Role::Listener, _) => {
                let door = self.door.clone();
                let seed = seed()?;
                Ok(commonware::Connection::listen(
                    config, identity, door, seed, now, unix,
                ))
            }
        }
    }

    fn told(machine: &commonware::Connection) -> (Value, String) {
        let peer = machine.peer().map(|peer| units::hex(&peer));
        let human = format!("connected to {}", peer.as_deref().unwrap_or("somebody"));
        (json!({ "event": "connected", "peer": peer }), human)
    }
}

pub(super) struct Packetfs {
    psk: Zeroizing<Vec<u8>>,
    config: packetfs::Config,
}

/// Both sides hold one key.
pub(super) fn packetfs(keys: &StreamKeys, told: &PacketfsOptions) -> Result<Packetfs, Fault> {
    if !keys.peer_key.is_empty() {
        return Err(Fault::new(Code::Usage, "packetfs has no public keys")
            .with_hint("give both sides the same key, and no --peer-key"));
    }
    let text = keys.key.read(&["STILLWIRE_PACKETFS_PSK"], None)?;
    let psk = key::digits(&text)
        .ok()
        .filter(|psk| psk.len() >= 32)
        .ok_or_else(|| {
            Fault::new(Code::Usage, "the key is not 64 hex digits or more")
                .with_hint("keygen makes one")
        })?;
    let config = told.config(keys.patience);
    Ok(Packetfs { psk, config })
}

impl Protocol for Packetfs {
    type Machine = packetfs::Connection;

    fn machine(&self, role: Role, now: Instant) -> Result<packetfs::Connection, Error> {
        let psk = packetfs::Psk::new(self.psk.to_vec())?;
        let (config, rng) = (self.config.clone(), Rng::from_seed(seed()?));
        Ok(match role {
            Role::Dialer => packetfs::Connection::initiator(config, psk, rng, now),
            Role::Listener => packetfs::Connection::responder(config, psk, rng, now),
        })
    }

    fn told(_: &packetfs::Connection) -> (Value, String) {
        (json!({ "event": "connected" }), "connected".to_owned())
    }
}

/// `keygen`: the key is the result; its public half, if it has one, is told beside it.
pub(super) fn keygen(kind: Kind, run: &Run) -> Result<(), Fault> {
    let bytes = Zeroizing::new(random()?);
    let text = key::hex(bytes.as_slice());
    if kind == Kind::Packetfs {
        run.out.result(&json!({ "key": *text }), &text);
        return Ok(());
    }
    let public = units::hex(&SigningKey::new(&Secret::from(*bytes)).public());
    run.out
        .result(&json!({ "key": *text, "public": public }), &text);
    if !run.global.json {
        run.out.tell(
            &json!({ "public": public }),
            &format!("public key {public}"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::stream::{Patience, ProfileName};
    use crate::key::KeyOptions;

    #[test]
    fn a_commonware_listener_remembers_handshakes() {
        let keys = StreamKeys {
            key: KeyOptions {
                key_file: None,
                key_command: Some(format!("echo {}", "07".repeat(32))),
            },
            peer_key: vec!["03".repeat(32)],
            patience: Patience {
                handshake_timeout: 10,
            },
        };
        let told = CommonwareOptions {
            profile: ProfileName::V0,
            hardened: false,
            namespace: String::new(),
        };
        let seen = |role| commonware(&keys, &told, role).unwrap().door.seen;
        assert!(seen(Role::Listener).is_some());
        assert!(seen(Role::Dialer).is_none());
    }
}
