//! Every error's exit code, its one line and what to try: in one place.

use std::borrow::Cow;
use std::io;
use stillwire_core::store::{Failure, FailureKind};
use stillwire_core::{Class, Error, Timer};
use stillwire_tokio::AddressError;

/// The program's exit codes: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Code {
    /// All went well.
    Ok = 0,
    /// File, disk, or a fault of our own.
    Local = 1,
    /// The command line, a ticket or an address.
    Usage = 2,
    /// Authentication or permission.
    Auth = 3,
    /// Network or time-out.
    Network = 4,
    /// The peer, or what stands between us, breaks the protocol.
    Peer = 5,
    /// A budget is used up.
    Budget = 6,
    /// SIGINT or SIGTERM.
    Interrupted = 130,
}

impl Code {
    /// The word for it in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Local => "local",
            Self::Usage => "usage",
            Self::Auth => "auth",
            Self::Network => "network",
            Self::Peer => "peer",
            Self::Budget => "budget",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Why a verb failed: one line for people, a code for scripts, and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Fault {
    code: Code,
    what: String,
    store: Option<String>,
    hint: Option<Cow<'static, str>>,
    /// What the store said, if it was the store.
    kind: Option<FailureKind>,
}

impl Fault {
    /// A fault with its line.
    pub fn new(code: Code, what: impl Into<String>) -> Self {
        Self {
            code,
            what: one_line(&what.into()),
            store: None,
            hint: None,
            kind: None,
        }
    }

    /// The user interrupted us.
    pub fn interrupted() -> Self {
        Self::new(Code::Interrupted, "interrupted")
    }

    /// A local file or device failed.
    pub fn file(action: &str, error: &io::Error) -> Self {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => Some("check the path"),
            io::ErrorKind::PermissionDenied => Some("check the permissions"),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free some room, or use another directory")
            }
            io::ErrorKind::FileTooLarge => {
                Some("raise the file size limit, or use another directory")
            }
            _ => None,
        };
        Self::new(Code::Local, format!("{action}: {}", plain(error))).maybe_try(hint)
    }

    /// A TCP connection that is forwarded failed.
    pub fn tcp(action: &str, error: &io::Error) -> Self {
        let hint = matches!(error.kind(), io::ErrorKind::ConnectionRefused)
            .then_some("is it running there?");
        Self::new(Code::Network, format!("{action}: {}", plain(error))).maybe_try(hint)
    }

    /// A connection's `io::Error`.
    pub fn connection(error: &io::Error) -> Self {
        match stillwire_tokio::source_of(error) {
            Some(error) => error.clone().into(),
            None => Self::new(Code::Local, plain(error)),
        }
    }

    /// Opening a connection failed: an authentication failure is one of the key, not of the bytes.
    pub fn handshake(error: Error) -> Self {
        let wrong_key = error.class() == Some(Class::Auth);
        let fault = Self::from(error);
        if wrong_key {
            Self {
                code: Code::Auth,
                ..fault
            }
            .with_hint("the ticket and the listener do not belong together: get a new ticket")
        } else {
            fault
        }
    }

    /// An address, a ticket or a credential cannot be used.
    pub fn address(error: &AddressError) -> Self {
        use stillwire_azure::Error as Azure;
        let (code, hint) = match error {
            AddressError::Azure(
                Azure::Key
                | Azure::Sas(_)
                | Azure::NoAccount
                | Azure::NoCredential
                | Azure::OtherAccount { .. }
                | Azure::CannotSign,
            ) => (Code::Auth, None),
            AddressError::Exposed => {
                let what = "a key or SAS would go over plain http to another machine";
                return Self::new(Code::Usage, what)
                    .with_hint("use https, or allow it with --allow-http");
            }
            AddressError::Ticket(_) => (Code::Usage, Some("copy it whole, as listen printed it")),
            AddressError::Path(_) => (Code::Local, None),
            _ => (Code::Usage, None),
        };
        Self::new(code, error.to_string()).maybe_try(hint)
    }

    /// True for [`Fault::interrupted`].
    pub fn is_interruption(&self) -> bool {
        self.code == Code::Interrupted
    }

    /// Says which store it was about.
    pub fn over(mut self, store: &str) -> Self {
        // A line that already names it, or its endpoint, needs no second mention.
        let endpoint = store
            .split_once('+')
            .map_or(store, |(_, endpoint)| endpoint);
        if self.code != Code::Interrupted && !self.what.contains(endpoint) {
            self.store.get_or_insert_with(|| store.to_owned());
        }
        // Advice about services and their tickets.
        if is_directory(store) && self.is_misplaced() && self.code == Code::Peer {
            self.hint = None;
        }
        self
    }

    /// Says that the store could not even be opened. A directory that is not there, or is none, is
    /// a fault of this machine; nobody else had a part in it.
    pub fn unopened(mut self, store: &str) -> Self {
        if is_directory(store) && self.is_misplaced() {
            self.code = Code::Local;
            self.hint = None;
        }
        self.over(store)
    }

    /// The same for whoever makes the store: the driver's advice for dialers, to start the
    /// listener first, is not for it.
    pub fn unmade(self, store: &str) -> Self {
        let fault = self.unopened(store);
        if fault.code != Code::Local || fault.kind != Some(FailureKind::NotFound) {
            return fault;
        }
        let what = fault
            .what
            .rsplit_once("; ")
            .map(|(what, _)| what.to_owned());
        Self {
            what: what.unwrap_or_else(|| fault.what.clone()),
            ..fault
        }
        .with_hint("check the path, and that the volume is mounted")
    }

    /// The store is not where it should be, or not what it should be.
    fn is_misplaced(&self) -> bool {
        use FailureKind::{Malformed, NotFound, Refused};
        matches!(self.kind, Some(NotFound | Refused | Malformed))
    }

    /// Says what to try.
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    fn maybe_try(mut self, hint: Option<&'static str>) -> Self {
        self.hint = hint.map(Cow::Borrowed);
        self
    }

    /// The same where nothing says so yet.
    pub fn or_hint(self, hint: &'static str) -> Self {
        if asks(&self.what) {
            self
        } else {
            self.with_hint(hint)
        }
    }

    /// The exit code.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The whole line: what was wrong, with which store, what to try.
    pub fn line(&self) -> String {
        let mut line = self.what.clone();
        if let Some(store) = &self.store {
            line = format!("{line} (store {store})");
        }
        if let Some(hint) = &self.hint {
            line = format!("{line}; {hint}");
        }
        line
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let what = error.to_string();
        let (code, hint) = match &error {
            Error::Store(failure) => return failure.into(),
            Error::Peer {
                class: Class::Eof, ..
            } => (
                Code::Peer,
                Some("the peer went away before its end; what came before it is incomplete"),
            ),
            Error::Peer { .. } => (
                Code::Peer,
                Some("is the other end stillwire or aznet, of a fitting version?"),
            ),
            Error::Limit { .. } => (Code::Budget, Some("open a new connection")),
            Error::Timeout(Timer::Connect) => (
                Code::Network,
                Some("is the listener running, on the same store?"),
            ),
            Error::Timeout(Timer::Idle | Timer::Close) => (
                Code::Network,
                Some("is the other end still running and connected?"),
            ),
            Error::Closed => (Code::Peer, None),
            // Misuse is a fault of this program.
            _ => (Code::Local, Some("please report this")),
        };
        let hint = hint.filter(|_| !asks(&what));
        Self::new(code, what).maybe_try(hint)
    }
}

/// True for a text that says what to try itself, as drivers and machines do where they know.
fn asks(text: &str) -> bool {
    let asked = ["?", "check ", "free some ", "raise "];
    asked.iter().any(|asked| text.contains(asked))
}

impl From<&Failure> for Fault {
    fn from(failure: &Failure) -> Self {
        let (code, hint) = match failure.kind {
            FailureKind::Unreachable => (
                Code::Network,
                // The driver names the endpoint.
                Some(check_way(failure.detail.contains(" at http://"))),
            ),
            FailureKind::Tls => (Code::Network, Some("check the host name and SSL_CERT_FILE")),
            FailureKind::TimedOut => (Code::Network, Some("check the network")),
            FailureKind::Busy => (Code::Network, Some("try again later")),
            FailureKind::Denied => (Code::Auth, None),
            FailureKind::NotFound => (
                Code::Peer,
                Some("the listener has gone, or somebody removed what it made: get a new ticket"),
            ),
            FailureKind::Refused | FailureKind::Malformed => (
                Code::Peer,
                Some("is this the right endpoint, and the right kind of service?"),
            ),
            FailureKind::Full => (Code::Local, Some("free some room")),
            FailureKind::Io => (Code::Local, None),
            FailureKind::Exists | FailureKind::Conflict | FailureKind::TooLarge => {
                (Code::Peer, None)
            }
        };
        let hint = hint.filter(|_| !asks(&failure.detail));
        let fault = Self::new(code, failure.detail.clone()).maybe_try(hint);
        Self {
            kind: Some(failure.kind),
            ..fault
        }
    }
}

/// What to look at when an address cannot be reached: plain http has a proxy of its own.
pub(crate) fn check_way(plain: bool) -> &'static str {
    if plain {
        "check the address, the network and HTTP_PROXY"
    } else {
        "check the address, the network and HTTPS_PROXY"
    }
}

fn is_directory(store: &str) -> bool {
    store.starts_with("dir:")
}

/// Text from elsewhere as one printable line: no control characters, and not without end.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        if line.len() + word.len() > LONGEST {
            line.push('…');
            break;
        }
        line.push_str(word);
    }
    line
}

/// A system error in plain words, without `(os error 2)`.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let words = text.split(" (os error ").next().unwrap_or_default();
    let mut chars = words.chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => "unknown error".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(kind: FailureKind) -> Code {
        Fault::from(Error::Store(Failure::new(kind, "detail"))).code()
    }

    #[test]
    fn store_failures_have_their_codes() {
        assert_eq!(code(FailureKind::Denied), Code::Auth);
        assert_eq!(code(FailureKind::Unreachable), Code::Network);
        assert_eq!(code(FailureKind::Tls), Code::Network);
        assert_eq!(code(FailureKind::TimedOut), Code::Network);
        assert_eq!(code(FailureKind::Busy), Code::Network);
        assert_eq!(code(FailureKind::NotFound), Code::Peer);
        assert_eq!(code(FailureKind::Conflict), Code::Peer);
        assert_eq!(code(FailureKind::Refused), Code::Peer);
        assert_eq!(code(FailureKind::Full), Code::Local);
        assert_eq!(code(FailureKind::Io), Code::Local);
    }

    #[test]
    fn protocol_errors_have_their_codes() {
        let code = |error: Error| Fault::from(error).code();
        assert_eq!(code(Error::auth()), Code::Peer);
        assert_eq!(code(Error::peer(Class::Eof, "gone")), Code::Peer);
        assert_eq!(code(Error::limit(Class::DataLimit, "used")), Code::Budget);
        assert_eq!(code(Error::Timeout(Timer::Idle)), Code::Network);
        assert_eq!(code(Error::Misuse("x")), Code::Local);
        assert_eq!(Fault::handshake(Error::auth()).code(), Code::Auth);
    }

    #[test]
    fn a_fault_is_one_line_that_names_the_store_once() {
        let fault = Fault::new(Code::Local, "two\nlines\u{1b}[31m").over("dir:/x");
        assert_eq!(fault.line(), "two lines [31m (store dir:/x)");
        let fault = Fault::new(Code::Local, "dir:/x is full").over("dir:/x");
        assert_eq!(fault.with_hint("tidy up").line(), "dir:/x is full; tidy up");
        assert!(one_line(&"long ".repeat(1_000)).len() < 410);
    }

    #[test]
    fn a_driver_that_says_what_to_try_is_not_talked_over() {
        let line = |detail: &str| Fault::from(&Failure::new(FailureKind::NotFound, detail)).line();
        assert_eq!(line("no file; check the path"), "no file; check the path");
        assert!(line("no file").ends_with("get a new ticket"));
        let full = |detail: &str| Fault::from(&Failure::new(FailureKind::Full, detail)).line();
        assert_eq!(full("full; free some space"), "full; free some space");
        assert_eq!(full("full"), "full; free some room");
        assert_eq!(full("full; raise the limit"), "full; raise the limit");
        let gone = |what: &'static str| Fault::from(Error::peer(Class::Eof, what));
        assert!(gone("over").line().ends_with(
            "over; the peer went away before its end; what came before it is incomplete"
        ));
        let asked = gone("over; is the key the same?");
        assert!(asked.line().ends_with("over; is the key the same?"));
        assert_eq!(asked.clone().or_hint("and?"), asked);
        assert!(gone("over").or_hint("and?").line().ends_with("over; and?"));
    }

    #[test]
    fn a_directory_that_cannot_be_opened_is_a_local_fault_without_advice_about_services() {
        for kind in [FailureKind::NotFound, FailureKind::Refused] {
            let fault = || Fault::from(&Failure::new(kind, "cannot open /x; use another"));
            let opening = fault().unopened("dir:/x");
            assert_eq!(opening.code(), Code::Local);
            assert_eq!(opening.line(), "cannot open /x; use another (store dir:/x)");
            let making = fault().unmade("dir:/x");
            assert_eq!(making.code(), Code::Local);
            assert!(making.line().starts_with("cannot open /x"));
            assert!(!making.line().contains("listener"), "{}", making.line());
            assert_eq!(fault().over("dir:/x").code(), Code::Peer);
            assert!(!fault().over("dir:/x").line().contains("ticket"));
            assert_eq!(fault().unopened("azblob").code(), Code::Peer);
            assert!(fault().unopened("azblob").hint.is_some());
        }
    }

    #[test]
    fn who_cannot_be_reached_is_told_of_the_proxy_in_the_way() {
        let hint = |detail: &str| {
            let failure = Failure::new(FailureKind::Unreachable, detail);
            Fault::from(&failure).hint.unwrap()
        };
        assert!(hint("knocking at http://h/acc: refused").ends_with(" HTTP_PROXY"));
        assert!(hint("knocking at https://h/acc: refused").ends_with(" HTTPS_PROXY"));
    }

    #[test]
    fn system_errors_are_plain() {
        let missing = io::Error::from_raw_os_error(2);
        let fault = Fault::file("cannot open \"x\"", &missing);
        assert_eq!(
            fault.line(),
            "cannot open \"x\": no such file or directory; check the path"
        );
    }
}
