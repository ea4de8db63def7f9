//! Memory and directories as carriers.

use crate::address::{AddressError, Options};
use crate::carrier::{Carrier, Outcome, Perform};
use crate::platform::Platform;
use crate::runtime::{Runtime, unblock};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, ready, select};
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stillwire_core::aznet::ConnectionId;
use stillwire_core::aznet::wire::tokens::Grants;
use stillwire_core::aznet::wire::url::{HANDSHAKE, TOKEN};
use stillwire_core::store::{Failure, FailureKind, Profile, Request, Role};
use stillwire_local::{DirectoryOptions, DirectoryStore, LocalStore, MemoryStore};

/// A store on this machine.
#[derive(Clone)]
pub(crate) enum Local {
    Memory(MemoryStore),
    Directory(Directory),
}

#[derive(Clone)]
pub(crate) struct Directory {
    path: PathBuf,
    handshake: String,
    token: String,
    store: DirectoryStore,
}

impl Local {
    /// Reads `memory:` and `dir:PATH`. [`None`] when the address is neither.
    pub(crate) fn from_address(
        address: &str,
        options: &Options,
    ) -> Option<Result<Self, AddressError>> {
        if address == "memory:" {
            return Some(Ok(Self::Memory(MemoryStore::new())));
        }
        let path = address.strip_prefix("dir:")?;
        let handshake = options.handshake.as_deref().unwrap_or(HANDSHAKE);
        let token = options.token.as_deref().unwrap_or(TOKEN);
        Some(Directory::open(Path::new(path), handshake, token).map(Self::Directory))
    }

    /// Reads what follows `stillwire:` in a ticket.
    pub(crate) fn from_ticket(text: &str) -> Result<Self, AddressError> {
        if text.starts_with("memory:") {
            return Err(AddressError::Ticket(
                "a memory: store is reached only from the process that made it",
            ));
        }
        let text = text
            .strip_prefix("dir:")
            .ok_or(AddressError::Ticket("after stillwire: comes dir:PATH"))?;
        let (path, names) = text.split_once('?').unwrap_or((text, ""));
        let (mut handshake, mut token) = (HANDSHAKE.to_owned(), TOKEN.to_owned());
        for pair in names.split('&') {
            // Parameters of later versions are none of our business.
            match pair.split_once('=') {
                Some(("handshake", name)) => handshake = decode(name)?,
                Some(("token", name)) => token = decode(name)?,
                _ => {}
            }
        }
        Directory::open(Path::new(&decode(path)?), &handshake, &token).map(Self::Directory)
    }

    /// What follows `stillwire:` in this store's ticket.
    pub(crate) fn to_ticket(&self) -> String {
        match self {
            Self::Memory(_) => "memory:".to_owned(),
            Self::Directory(directory) => {
                let mut text = format!("dir:{}", encode(&directory.path.to_string_lossy()));
                if directory.handshake != HANDSHAKE || directory.token != TOKEN {
                    let (handshake, token) = (&directory.handshake, &directory.token);
                    text.push_str("?handshake=");
                    text.push_str(&encode(handshake));
                    text.push_str("&token=");
                    text.push_str(&encode(token));
                }
                text
            }
        }
    }

    pub(crate) fn profile(&self) -> Profile {
        match self {
            Self::Memory(store) => store.profile(),
            Self::Directory(directory) => directory.store.profile(),
        }
    }

    pub(crate) fn carrier(&self, platform: &Platform) -> Arc<dyn Carrier> {
        let runtime = platform.runtime.clone();
        match self {
            Self::Memory(store) => Arc::new(OnThisMachine {
                store: store.clone(),
                session: None,
                worker: Worker::Here,
            }),
            Self::Directory(directory) => Arc::new(OnThisMachine {
                store: directory.store.clone(),
                session: None,
                worker: Worker::Elsewhere(runtime),
            }),
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(_) => f.write_str("memory:"),
            Self::Directory(directory) => write!(f, "dir:{}", directory.path.display()),
        }
    }
}

impl Directory {
    fn open(path: &Path, handshake: &str, token: &str) -> Result<Self, AddressError> {
        // A ticket is read in another working directory; and not every path can be text.
        let path = std::path::absolute(path).map_err(|e| AddressError::Path(e.to_string()))?;
        if path.to_str().is_none() {
            return Err(AddressError::Path("it is not UTF-8".to_owned()));
        }
        let options = DirectoryOptions {
            handshake: handshake.to_owned(),
            token: token.to_owned(),
            ..DirectoryOptions::default()
        };
        let store = DirectoryStore::open_with(&path, options)
            .map_err(|failure| AddressError::Name(failure.detail))?;
        Ok(Self {
            path,
            handshake: handshake.to_owned(),
            token: token.to_owned(),
            store,
        })
    }
}

/// Percent-encodes what would end or blur a ticket.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '%' | '?' | '#') || char.is_whitespace() || char.is_control() {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                let _ = write!(out, "%{byte:02X}");
            }
        } else {
            out.push(char);
        }
    }
    out
}

fn decode(text: &str) -> Result<String, AddressError> {
    const FAULT: AddressError = AddressError::Ticket("a % is not followed by two hex digits");
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2).ok_or(FAULT)?;
            let digits = std::str::from_utf8(digits).map_err(|_| FAULT)?;
            out.push(u8::from_str_radix(digits, 16).map_err(|_| FAULT)?);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).map_err(|_| AddressError::Ticket("its path is not UTF-8"))
}

/// Where the work is done.
#[derive(Clone)]
enum Worker {
    /// At once: memory never blocks.
    Here,
    /// On a thread that may block.
    Elsewhere(Arc<dyn Runtime>),
}

/// A local store, or one end of one of its sessions.
struct OnThisMachine<S: LocalStore> {
    store: S,
    session: Option<S::Session>,
    worker: Worker,
}

impl<S: LocalStore> Perform for OnThisMachine<S> {
    fn perform(&self, request: Request) -> BoxFuture<'static, Outcome> {
        let runtime = match &self.worker {
            Worker::Here => {
                let outcome = self.store.perform(self.session.as_ref(), &request);
                return ready(outcome).boxed();
            }
            Worker::Elsewhere(runtime) => runtime,
        };
        let (store, session) = (self.store.clone(), self.session.clone());
        let timeout = request.timeout;
        let work = unblock(runtime.as_ref(), move || {
            store.perform(session.as_ref(), &request)
        });
        let time = runtime.sleep(timeout);
        async move {
            match select(work, time).await {
                Either::Left((Some(outcome), _)) => outcome,
                Either::Left((None, _)) => {
                    let detail = "the work was dropped: the runtime is shutting down";
                    Err(Failure::new(FailureKind::Io, detail).maybe_landed())
                }
                // The thread goes on, and no harm comes of it: requests are idempotent, and
                // files have names of their own that nothing replaces.
                Either::Right(_) => {
                    let secs = timeout.as_secs_f32();
                    let detail = format!("the file system did not answer within {secs} s");
                    Err(Failure::new(FailureKind::TimedOut, detail).maybe_landed())
                }
            }
        }
        .boxed()
    }
}

impl<S: LocalStore> Carrier for OnThisMachine<S> {
    fn profile(&self) -> Profile {
        self.store.profile()
    }

    fn session(
        &self,
        id: ConnectionId,
        role: Role,
        _: Option<&Grants>,
    ) -> Result<Arc<dyn Perform>, Failure> {
        Ok(Arc::new(Self {
            store: self.store.clone(),
            session: Some(self.store.session(id, role)),
            worker: self.worker.clone(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_survives_its_ticket() {
        for path in ["/tmp/a", "/tmp/a b/ü?c#d%20e&f=g", "/tmp/new\nline"] {
            let options = Options {
                handshake: Some("hand-2".to_owned()),
                token: Some("tok-2".to_owned()),
                ..Options::default()
            };
            for options in [Options::default(), options] {
                let local = Local::from_address(&format!("dir:{path}"), &options);
                let text = local.unwrap().unwrap().to_ticket();
                assert!(!text.contains(char::is_whitespace), "{text:?}");
                let again = Local::from_ticket(&text).unwrap();
                assert_eq!(again.to_ticket(), text);
                let Local::Directory(directory) = again else {
                    panic!("no directory");
                };
                assert_eq!(directory.path, Path::new(path));
                let name = options.handshake.as_deref().unwrap_or("handshake");
                assert_eq!(directory.handshake, name);
            }
        }
    }

    #[test]
    fn a_relative_path_becomes_absolute() {
        let local = Local::from_address("dir:here", &Options::default());
        let shown = local.unwrap().unwrap().to_string();
        assert!(Path::new(&shown["dir:".len()..]).is_absolute(), "{shown}");
    }

    #[test]
    fn tickets_that_cannot_work_are_refused() {
        for text in ["memory:", "dir:/a%2", "dir:/a%zz", "dir:/a%ff", "ftp:", ""] {
            assert!(Local::from_ticket(text).is_err(), "{text}");
        }
        assert!(Local::from_address("azblob", &Options::default()).is_none());
    }
}
