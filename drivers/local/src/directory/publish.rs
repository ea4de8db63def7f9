//! Making files and directories: whole or not at all, and never over something that is there.

use super::is_directory;
use crate::failure::failure;
use crate::file;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use stillwire_core::store::{Failure, FailureKind};

/// Tries at a temporary name; one is taken only where two hosts share a directory and a number.
const NAMES: usize = 64;

pub(super) struct Publisher {
    root: PathBuf,
    durable: bool,
    /// The group's permission bits on the root, as its owner set them.
    group: OnceLock<u32>,
}

impl Publisher {
    pub(super) fn new(root: PathBuf, durable: bool) -> Self {
        Self {
            root,
            durable,
            group: OnceLock::new(),
        }
    }

    /// Leaves a file with this content at `path`; one that is there already with the very same
    /// content is as good. Another content there is a [`FailureKind::Conflict`].
    pub(super) fn publish(&self, path: &Path, head: &[u8], bytes: &[u8]) -> Result<(), Failure> {
        let Some(directory) = path.parent() else {
            return Err(failure("write", path, &io::ErrorKind::InvalidInput.into()));
        };
        let (temporary, mut file) = self.temporary(directory)?;
        let written = write_all(&mut file, head, bytes).and_then(|()| {
            if self.durable {
                file.sync_data()
            } else {
                Ok(())
            }
        });
        drop(file);
        if let Err(error) = written {
            drop(fs::remove_file(&temporary));
            return Err(failure("write", path, &error));
        }
        let placed = place(&temporary, path);
        if placed.is_err() {
            drop(fs::remove_file(&temporary));
        }
        match placed {
            Ok(()) => self
                .settle(directory)
                .map_err(|error| failure("force to the disk", path, &error).maybe_landed()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                match file::is_same(path, head, bytes) {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(Failure::new(
                        FailureKind::Conflict,
                        format!("somebody else wrote {path:?}; it was left untouched"),
                    )),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::new(
                        FailureKind::Busy,
                        format!("{path:?} was removed while it was looked at; try again"),
                    )
                    .maybe_landed()),
                    Err(error) => Err(failure("compare", path, &error).maybe_landed()),
                }
            }
            Err(error) => {
                let failure = failure("name", path, &error);
                // Over a network the answer can get lost after the deed.
                Err(match failure.kind {
                    FailureKind::Io | FailureKind::TimedOut => failure.maybe_landed(),
                    _ => failure,
                })
            }
        }
    }

    /// Makes a directory that nobody else can read; false when one is there already.
    pub(super) fn directory(&self, path: &Path) -> Result<bool, Failure> {
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700 | self.group());
        }
        match builder.create(path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                is_directory(path).map(|_| false)
            }
            Err(error) => Err(failure("create", path, &error)),
        }
    }

    /// Makes the root and what is missing above it; false when it is there already.
    pub(super) fn root(&self) -> Result<bool, Failure> {
        if self.root.is_dir() {
            return Ok(false);
        }
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder
            .create(&self.root)
            .map_err(|error| failure("create", &self.root, &error))?;
        Ok(true)
    }

    fn temporary(&self, directory: &Path) -> Result<(PathBuf, File), Failure> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600 | (self.group() & 0o060));
        }
        let mut last = io::ErrorKind::AlreadyExists.into();
        for _ in 0..NAMES {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = directory.join(format!(".{}-{number}", std::process::id()));
            match options.open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(failure("write in", directory, &error)),
            }
        }
        Err(failure("write in", directory, &last))
    }

    #[cfg(unix)]
    fn group(&self) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        let mode = |root: &Path| root.metadata().map(|found| found.permissions().mode());
        if let Some(group) = self.group.get() {
            return *group;
        }
        match mode(&self.root) {
            Ok(mode) => *self.group.get_or_init(|| mode & 0o070),
            Err(_) => 0,
        }
    }

    /// Forces a new name in `directory` to the disk, when that was asked for.
    fn settle(&self, directory: &Path) -> io::Result<()> {
        if self.durable && cfg!(unix) {
            File::open(directory)?.sync_all()?;
        }
        Ok(())
    }
}

/// Both parts in one system call, as a rule.
fn write_all(file: &mut File, head: &[u8], bytes: &[u8]) -> io::Result<()> {
    let mut parts = [IoSlice::new(head), IoSlice::new(bytes)];
    let mut parts = &mut parts[..];
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        match file.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Gives a finished file its name, unless something bears that name.
fn place(temporary: &Path, path: &Path) -> io::Result<()> {
    if let Some(result) = rename_new(temporary, path) {
        return result;
    }
    match fs::hard_link(temporary, path) {
        Ok(()) => {
            drop(fs::remove_file(temporary));
            Ok(())
        }
        Err(error) if matters(&error) => Err(error),
        Err(_) if path.symlink_metadata().is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => fs::rename(temporary, path),
    }
}

/// False when the file system only says that it cannot do such a thing.
fn matters(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotFound
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::TimedOut
    )
}

/// [`None`] where there is no such call, or not on this file system.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_new(from: &Path, to: &Path) -> Option<io::Result<()>> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => None,
        result => Some(result.map_err(io::Error::from)),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_new(_: &Path, _: &Path) -> Option<io::Result<()>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn nothing_is_ever_replaced() {
        let dir = TempDir::new().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        for step in [place, |from: &Path, to: &Path| {
            rename_new(from, to).unwrap_or_else(|| place(from, to))
        }] {
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();
            let error = step(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&to).unwrap(), b"old");
            fs::remove_file(&to).unwrap();
            step(&from, &to).unwrap();
            assert_eq!(fs::read(&to).unwrap(), b"new");
            assert!(!from.exists());
        }
    }

    #[test]
    fn a_conflict_leaves_the_other_file_and_no_temporary_one() {
        let dir = TempDir::new().unwrap();
        let publisher = Publisher::new(dir.path().into(), true);
        let path = dir.path().join("f");
        publisher.publish(&path, b"head", b"bytes").unwrap();
        publisher.publish(&path, b"head", b"bytes").unwrap();
        let failure = publisher.publish(&path, b"head", b"other").unwrap_err();
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert_eq!(fs::read(&path).unwrap(), b"headbytes");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
