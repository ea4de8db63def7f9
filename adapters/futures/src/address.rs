//! What can be wrong with an address, a ticket or the environment, and how they are read.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;
use stillwire_core::aznet::wire::url::Driver;

/// Looks up an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How addresses and tickets are read.
#[derive(Clone)]
pub struct Options {
    /// Name of the place for handshakes, if not the default. Listeners on one store need names
    /// of their own.
    pub handshake: Option<String>,
    /// Name of the place for answers, if not the default.
    pub token: Option<String>,
    /// How long a ticket holds. Default: 24 hours.
    pub expiry: Duration,
    /// Send credentials over plain `http` to hosts other than this one. Default: refuse.
    pub allow_http: bool,
    /// Where credentials are looked up: now, and again whenever the service refuses what was found.
    /// Default: the process's environment, where `NAME_FILE` may name a file with the value of
    /// `NAME` in it, so that a key can be changed under a running listener.
    pub environment: Environment,
    /// The service behind a ticket whose host does not name one. Default: as its SAS shows.
    pub driver: Option<Driver>,
    /// Numbers the blob carrier plans with; the defaults are for the real service.
    #[cfg(feature = "azure")]
    pub blob: stillwire_azure::blob::Limits,
    /// Numbers the queue carrier plans with; the defaults are for the real service.
    #[cfg(feature = "azure")]
    pub queue: stillwire_azure::queue::Limits,
    /// Numbers the table carrier plans with; the defaults are for the real service.
    #[cfg(feature = "azure")]
    pub table: stillwire_azure::table::Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            handshake: None,
            token: None,
            expiry: Duration::from_secs(24 * 3600),
            allow_http: false,
            environment: Arc::new(|name| from_environment(name, |name| std::env::var(name).ok())),
            driver: None,
            #[cfg(feature = "azure")]
            blob: stillwire_azure::blob::Limits::default(),
            #[cfg(feature = "azure")]
            queue: stillwire_azure::queue::Limits::default(),
            #[cfg(feature = "azure")]
            table: stillwire_azure::table::Limits::default(),
        }
    }
}

/// Longest file read for a variable.
const LONGEST_FILE: u64 = 64 << 10;

/// A variable, or what is in the file that the variable with `_FILE` at its end names.
fn from_environment(name: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
    if let Some(value) = lookup(name).filter(|value| !value.trim().is_empty()) {
        return Some(value);
    }
    let path = lookup(&format!("{name}_FILE"))?;
    let mut text = String::new();
    let read = File::open(&path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text));
    match read {
        Ok(_) => Some(text.trim().to_owned()),
        Err(error) => {
            tracing::warn!(variable = %name, %error, "the file that holds it cannot be read");
            None
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("handshake", &self.handshake)
            .field("token", &self.token)
            .field("expiry", &self.expiry)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// An address or a ticket that cannot be used. Holds no secret: safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// The text names no store.
    Unknown,
    /// The store exists, but this build or version does not carry it.
    Unsupported(&'static str),
    /// The text is no ticket: what is wrong with it.
    Ticket(&'static str),
    /// The directory's path cannot be used: what is wrong with it.
    Path(String),
    /// The name of a handshake or token place is not allowed.
    Name(String),
    /// A credential would go over plain `http` to another machine.
    Exposed,
    /// What the Azure driver has against it.
    #[cfg(feature = "azure")]
    Azure(stillwire_azure::Error),
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "no such store: expected dir:PATH, memory:, azblob, azqueue, aztable, or one of these three with an endpoint, as azblob+https://ACCOUNT.blob.core.windows.net",
            ),
            Self::Unsupported(name) => write!(f, "{name} is not supported here"),
            Self::Ticket(what) => write!(f, "not a ticket: {what}"),
            Self::Path(what) => write!(f, "not a usable directory: {what}"),
            Self::Name(what) => write!(f, "not a usable name: {what}"),
            Self::Exposed => f.write_str(
                "a credential would go over plain http to another machine: use https, or allow http",
            ),
            #[cfg(feature = "azure")]
            Self::Azure(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AddressError {}

#[cfg(feature = "azure")]
impl From<stillwire_azure::Error> for AddressError {
    fn from(error: stillwire_azure::Error) -> Self {
        Self::Azure(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_wins_over_its_file_which_is_read_each_time() {
        let directory = std::env::temp_dir();
        let path = directory.join(format!("stillwire-key-{}", std::process::id()));
        std::fs::write(&path, "one\n").unwrap();
        let file = path.display().to_string();
        let from_file = |name: &str| (name == "KEY_FILE").then(|| file.clone());
        assert_eq!(from_environment("KEY", from_file).as_deref(), Some("one"));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(from_environment("KEY", from_file).as_deref(), Some("two"));
        let both = |name: &str| match name {
            "KEY" => Some("variable".to_owned()),
            _ => Some(file.clone()),
        };
        assert_eq!(from_environment("KEY", both).as_deref(), Some("variable"));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(from_environment("KEY", from_file), None);
        assert_eq!(from_environment("OTHER", from_file), None);
    }
}
