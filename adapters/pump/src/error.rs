//! Machine errors as `std::io::Error`.

use std::io;
use stillwire_core::store::FailureKind;
use stillwire_core::{Class, Error};

/// Wraps a machine's error: the kind says what a generic caller can act upon, the typed error is
/// the source (see [`source_of`]).
pub fn io_error(error: Error) -> io::Error {
    io::Error::new(kind(&error), error)
}

/// The typed error inside an `io::Error` made by [`io_error`].
pub fn source_of(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

fn kind(error: &Error) -> io::ErrorKind {
    match error {
        Error::Misuse(_) => io::ErrorKind::InvalidInput,
        Error::Peer {
            class: Class::Eof, ..
        } => io::ErrorKind::UnexpectedEof,
        Error::Peer { .. } => io::ErrorKind::InvalidData,
        Error::Limit { .. } => io::ErrorKind::QuotaExceeded,
        Error::Timeout(_) => io::ErrorKind::TimedOut,
        Error::Store(failure) => match failure.kind {
            FailureKind::Unreachable => io::ErrorKind::HostUnreachable,
            FailureKind::TimedOut => io::ErrorKind::TimedOut,
            FailureKind::Busy => io::ErrorKind::ResourceBusy,
            FailureKind::NotFound => io::ErrorKind::NotFound,
            FailureKind::Exists => io::ErrorKind::AlreadyExists,
            FailureKind::Denied => io::ErrorKind::PermissionDenied,
            FailureKind::Refused => io::ErrorKind::Unsupported,
            FailureKind::TooLarge => io::ErrorKind::FileTooLarge,
            FailureKind::Full => io::ErrorKind::StorageFull,
            FailureKind::Malformed => io::ErrorKind::InvalidData,
            FailureKind::Tls | FailureKind::Conflict => io::ErrorKind::ConnectionAborted,
            FailureKind::Io => io::ErrorKind::Other,
        },
        Error::Closed => io::ErrorKind::ConnectionAborted,
        _ => io::ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stillwire_core::Timer;
    use stillwire_core::store::Failure;

    #[test]
    fn kinds_and_the_typed_source_survive() {
        let store = |kind| Error::Store(Failure::new(kind, "detail"));
        for (error, kind) in [
            (Error::Closed, io::ErrorKind::ConnectionAborted),
            (Error::Timeout(Timer::Idle), io::ErrorKind::TimedOut),
            (Error::auth(), io::ErrorKind::InvalidData),
            (
                Error::peer(Class::Eof, "no end mark"),
                io::ErrorKind::UnexpectedEof,
            ),
            (store(FailureKind::Denied), io::ErrorKind::PermissionDenied),
            (
                store(FailureKind::Conflict),
                io::ErrorKind::ConnectionAborted,
            ),
            (store(FailureKind::Full), io::ErrorKind::StorageFull),
        ] {
            let io = io_error(error.clone());
            assert_eq!(io.kind(), kind, "{error:?}");
            assert_eq!(source_of(&io), Some(&error));
        }
        assert_eq!(source_of(&io::Error::other("foreign")), None);
    }
}
