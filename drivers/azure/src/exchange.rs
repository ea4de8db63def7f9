//! What passes between an exchange and whoever sends its requests.

use azure_core::http::headers::Headers;
use azure_core::http::{Request, StatusCode};
use bytes::Bytes;
use core::fmt;
use stillwire_core::store::{Failure, FailureKind, Reply};

/// An HTTP response: status, headers, and the body as far as it came.
pub type Response = (StatusCode, Headers, Bytes);

/// What became of a request that was sent.
pub type Outcome = Result<Response, TransportError>;

/// No response came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// [`FailureKind::Unreachable`], [`FailureKind::Tls`], [`FailureKind::TimedOut`] or
    /// [`FailureKind::Io`].
    pub kind: FailureKind,
    /// False only when no byte of the request can have reached the service.
    pub may_have_landed: bool,
    /// What was wrong, in one line; goes through [`crate::redact`] before anyone sees it.
    pub detail: String,
}

impl TransportError {
    /// A request that never went out: no connection, no such host.
    pub fn unsent(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            may_have_landed: false,
            detail: detail.into(),
        }
    }

    /// A request of which some bytes may have gone out.
    pub fn sent(kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            may_have_landed: true,
            detail: detail.into(),
        }
    }
}

/// What to do next for an exchange.
pub enum Step {
    /// Send this once, wait for the response at most as long as the operation's try may take, and
    /// hand the outcome to `handle`.
    Send(Request),
    /// The operation is over.
    Done(Result<Reply, Failure>),
}

impl fmt::Debug for Step {
    /// Leaves replies out: they may hold grants.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(request) => f.debug_tuple("Send").field(request).finish(),
            Self::Done(Ok(_)) => f.write_str("Done(Ok(..))"),
            Self::Done(Err(failure)) => f.debug_tuple("Done").field(failure).finish(),
        }
    }
}
