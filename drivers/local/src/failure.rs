//! From the system's errors to the core's failures: one line with the path and what to try.

use std::io::{Error, ErrorKind};
use std::path::Path;
use stillwire_core::store::{Failure, FailureKind};

/// A failed call that certainly had no effect.
pub(crate) fn failure(action: &str, path: &Path, error: &Error) -> Failure {
    let (kind, hint) = classify(error);
    // The path in quotes with control characters escaped: it stays one line.
    Failure::new(kind, format!("cannot {action} {path:?}: {error}; {hint}"))
}

fn classify(error: &Error) -> (FailureKind, &'static str) {
    match error.kind() {
        ErrorKind::NotFound => (
            FailureKind::NotFound,
            "check the path, that the volume is mounted and that the listener was started first",
        ),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => (
            FailureKind::Denied,
            "run as the directory's owner or ask for write access",
        ),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => (
            FailureKind::Full,
            "free some space or choose another directory",
        ),
        ErrorKind::FileTooLarge => (
            // A limit of this machine's. Nobody asked for more than the store takes.
            FailureKind::Full,
            "raise the file size limit or choose another file system",
        ),
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => (
            FailureKind::Exists,
            "it is not ours and was left untouched; choose another directory",
        ),
        ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput
        | ErrorKind::InvalidFilename
        | ErrorKind::Unsupported => (
            FailureKind::Refused,
            "something else is there; choose another directory",
        ),
        ErrorKind::TimedOut => (FailureKind::TimedOut, "check the network volume"),
        ErrorKind::ResourceBusy | ErrorKind::WouldBlock => {
            (FailureKind::Busy, "another program holds it")
        }
        _ => (FailureKind::Io, "check the disk or the network volume"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_lines() {
        for (error, kind) in [
            (ErrorKind::NotFound, FailureKind::NotFound),
            (ErrorKind::PermissionDenied, FailureKind::Denied),
            (ErrorKind::ReadOnlyFilesystem, FailureKind::Denied),
            (ErrorKind::StorageFull, FailureKind::Full),
            (ErrorKind::QuotaExceeded, FailureKind::Full),
            (ErrorKind::FileTooLarge, FailureKind::Full),
            (ErrorKind::NotADirectory, FailureKind::Refused),
            (ErrorKind::Other, FailureKind::Io),
        ] {
            let failure = failure("write", Path::new("/a\nb"), &error.into());
            assert_eq!(failure.kind, kind);
            assert!(!failure.may_have_landed);
            assert!(failure.detail.contains("/a\\nb"), "{failure}");
            assert!(!failure.detail.contains('\n'), "{failure}");
        }
    }
}
