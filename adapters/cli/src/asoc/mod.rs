//! `stillwire asoc`: nodes, streams and keys of ASoc.

mod ca;
mod dial;
mod discover;
mod keygen;
mod listen;
mod node;
mod revoked;

use crate::args::asoc::{AsocIdentity, AsocTls, AsocVerb, Cipher};
use crate::exit::{Code, Fault};
use crate::key::KeyOptions;
use crate::run::Run;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use stillwire_core::{Class, Error};
use stillwire_tls::{Settings, Tls};
use stillwire_tokio::asoc::{ApiKey, AuditEvent, Config, NodeId, Profile, Suite, Wrap};

/// Runs the verb.
pub(crate) async fn run(verb: &AsocVerb, run: &Run) -> Result<(), Fault> {
    match verb {
        AsocVerb::Listen(verb) => listen::run(verb, run).await,
        AsocVerb::Dial(verb) => dial::run(verb, run).await,
        AsocVerb::Node(verb) => node::run(verb, run).await,
        AsocVerb::Discover(verb) => discover::run(verb, run).await,
        AsocVerb::Keygen(verb) => keygen::run(verb, run),
        AsocVerb::Ca(verb) => ca::run(&verb.verb, run),
    }
}

/// The cluster's key, from wherever it is.
fn key(options: &KeyOptions, run: &Run) -> Result<ApiKey, Fault> {
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".asoc/api_key"));
    let text = options.read(&["STILLWIRE_ASOC_KEY", "ASOC_API_KEY"], home.as_deref())?;
    let key =
        ApiKey::new(text.as_bytes()).map_err(|error| Fault::new(Code::Usage, error.to_string()))?;
    if key.is_short() {
        run.out
            .warn("the key is shorter than 32 bytes; stillwire asoc keygen makes a better one");
    }
    Ok(key)
}

/// Our UUID: as given, or a random one.
fn node_id(text: Option<&str>) -> Result<NodeId, Fault> {
    match text {
        Some(text) => NodeId::parse(text).map_err(|_| {
            Fault::new(Code::Usage, format!("{text:?} is no UUID"))
                .with_hint("write it with hyphens, 36 characters")
        }),
        None => Ok(NodeId::from_random(random()?)),
    }
}

fn random<const N: usize>() -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::new(Code::Local, format!("no randomness: {error}")))?;
    Ok(bytes)
}

/// The settings of a connection.
fn config(identity: &AsocIdentity) -> Config {
    let suite = match identity.cipher {
        Cipher::Aes256Gcm => Suite::Aes256Gcm,
        Cipher::ChaCha20Poly1305 => Suite::ChaCha20Poly1305,
    };
    Config {
        profile: if identity.hardened {
            Profile::Hardened(suite)
        } else {
            Profile::Default
        },
        ..Config::default()
    }
}

/// TLS, and the file that may shut a peer out while we run.
struct Secured {
    tls: Tls,
    list: Option<revoked::List>,
}

impl Secured {
    fn wrap(&self) -> Arc<dyn Wrap> {
        Arc::new(self.tls.clone())
    }

    /// Looks after the revocation list from now on.
    fn watch(self, run: &Run) {
        if let Some(list) = self.list {
            tokio::spawn(list.watch(self.tls, run.out));
        }
    }
}

/// TLS, if it was asked for. Whoever listens needs a certificate, and asks for one.
fn tls(options: &AsocTls, listens: bool) -> Result<Option<Secured>, Fault> {
    if !options.tls {
        return Ok(None);
    }
    if listens && options.cert.is_none() {
        return Err(
            Fault::new(Code::Usage, "a node that listens with --tls needs --cert")
                .with_hint("stillwire asoc ca issue makes one"),
        );
    }
    let read = |path: &PathBuf| {
        std::fs::read(path)
            .map_err(|error| Fault::file(&format!("cannot read {:?}", path.display()), &error))
    };
    let identity = options.cert.as_deref().map(crate::key::from_file);
    let identity = identity.transpose()?;
    let list = options.crl.as_deref().map(revoked::List::read);
    let (list, revoked) = list.transpose()?.unzip();
    let settings = Settings {
        identity: identity.map(|pem| pem.as_bytes().to_vec()),
        authorities: options
            .ca
            .as_ref()
            .map(read)
            .transpose()?
            .unwrap_or_default(),
        revoked,
        mutual: true,
        server_name: options.server_name.clone(),
    };
    let tls = Tls::new(&settings).map_err(|error| Fault::new(Code::Usage, error.to_string()))?;
    Ok(Some(Secured { tls, list }))
}

/// Says once that frames of the default profile are open.
fn warn_open(run: &Run) {
    run.out.warn(
        "frames are neither encrypted nor authenticated, and the server is not either; use \
         --hardened where the other end is stillwire",
    );
}

/// An address as the first that its name has.
async fn resolve(address: &str) -> Result<SocketAddr, Fault> {
    let cannot = |error: std::io::Error| Fault::tcp(&format!("cannot find {address}"), &error);
    let mut found = tokio::net::lookup_host(address).await.map_err(cannot)?;
    found
        .next()
        .ok_or_else(|| cannot(std::io::ErrorKind::NotFound.into()))
}

/// A fault of a connection, in the words of ASoc.
fn fault(error: &Error) -> Fault {
    let what = error.to_string();
    match (error, error.class()) {
        // A server closes without a word when the key is wrong.
        (_, Some(Class::Eof)) if what.contains("handshake") => Fault::new(Code::Auth, what),
        (_, Some(Class::Auth | Class::Replay | Class::Identity | Class::Downgrade)) => {
            Fault::new(Code::Auth, what).with_hint("do both ends have the same key and profile?")
        }
        (Error::Peer { .. }, _) => {
            Fault::new(Code::Peer, what).with_hint("is the other end an ASoc node?")
        }
        (Error::Limit { .. }, _) => Fault::new(Code::Budget, what),
        (Error::Timeout(_), _) => {
            Fault::new(Code::Network, what).with_hint("is the other end still there?")
        }
        (Error::Closed, _) => Fault::new(Code::Peer, "the connection was closed"),
        _ => Fault::from(error.clone()),
    }
}

/// An audit event as one JSON object, without a secret.
fn audit(event: &AuditEvent) -> Value {
    json!({
        "time_ms": event.time.as_millis(),
        "event": event.kind.as_str(),
        "class": event.kind.class().map(Class::as_str),
        "node": event.node.map(|node| node.to_string()),
        "address": event.address.map(|address| address.to_string()),
    })
}
