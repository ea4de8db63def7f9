//! The revocation list, read again when its file changes.

use crate::exit::Fault;
use crate::output::Output;
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use stillwire_tls::Tls;

/// How often the file is looked at.
const EVERY: Duration = Duration::from_secs(1);

/// Tells one state of the file from another: a list that takes the other's place is another file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<SystemTime>, u64, u64);

impl Stamp {
    fn of(path: &Path) -> io::Result<Self> {
        let meta = fs::metadata(path)?;
        #[cfg(unix)]
        let file = std::os::unix::fs::MetadataExt::ino(&meta);
        #[cfg(not(unix))]
        let file = 0;
        Ok(Self(meta.modified().ok(), meta.len(), file))
    }
}

/// The file, as it was when it was read.
#[derive(Debug)]
pub(super) struct List {
    path: PathBuf,
    stamp: Option<Stamp>,
}

impl List {
    /// Reads it for the first time.
    pub(super) fn read(path: &Path) -> Result<(Self, Vec<u8>), Fault> {
        // Before the file is read: what changes meanwhile is noticed.
        let stamp = Stamp::of(path).ok();
        let read = fs::read(path);
        let pem = read
            .map_err(|error| Fault::file(&format!("cannot read {:?}", path.display()), &error))?;
        let path = path.to_owned();
        Ok((Self { path, stamp }, pem))
    }

    /// Hands the list to `tls` whenever the file changes, for ever. While it cannot be used, the
    /// last one that could be holds.
    pub(super) async fn watch(mut self, tls: Tls, out: Output) {
        let path = format!("{:?}", self.path.display());
        let mut told = String::new();
        loop {
            tokio::time::sleep(EVERY).await;
            let stamp = match Stamp::of(&self.path) {
                Ok(stamp) if self.stamp.as_ref() == Some(&stamp) => continue,
                other => other,
            };
            let read = stamp.and_then(|stamp| Ok((stamp, fs::read(&self.path)?)));
            let used = read.map_err(|error| error.to_string());
            let used = used.and_then(|(stamp, pem)| {
                let closed = tls.reload(&pem).map_err(|error| error.to_string())?;
                Ok((stamp, closed))
            });
            match used {
                Ok((stamp, closed)) => {
                    self.stamp = Some(stamp);
                    told.clear();
                    out.event(
                        &json!({ "event": "revocations", "list": &path, "closed": closed }),
                        &format!("read {path} again; connections closed: {closed}"),
                    );
                }
                Err(why) if why != told => {
                    out.event(
                        &json!({ "event": "warning", "message": &why, "list": &path }),
                        &format!(
                            "warning: {path} cannot be used: {why}; the revocation list \
                             read before still holds"
                        ),
                    );
                    told = why;
                }
                Err(_) => {}
            }
        }
    }
}
