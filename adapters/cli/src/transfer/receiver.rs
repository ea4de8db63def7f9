//! The receiving end.

use super::{
    BUFFER, DIGEST, END, ENTRY, GOODBYE, LONGEST_NAME, LONGEST_REASON, MAGIC, REFUSED, STORED,
    Transferred, check_name,
};
use crate::exit::{Code, Fault};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use stillwire_tokio::{ReadHalf, WriteHalf};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::block_in_place;
use tokio::time::timeout;

/// Where files go.
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    /// Replace what exists.
    pub(crate) force: bool,
}

/// Receives files until the sender's end, tells it the verdict and ends our direction. What has
/// arrived whole before a fault stays; `arrived` is told of each file.
pub(crate) async fn receive(
    directory: &Directory,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    mut progress: impl FnMut(&str, u64, u64),
    mut arrived: impl FnMut(&Transferred),
) -> Result<(), Fault> {
    let result = receive_all(directory, read, &mut progress, &mut arrived).await;
    let verdict = match &result {
        Ok(()) => vec![STORED],
        Err(fault) => {
            let mut reason = fault.line();
            while reason.len() > LONGEST_REASON {
                reason.pop();
            }
            let length = u16::try_from(reason.len()).unwrap_or(u16::MAX);
            let mut verdict = vec![REFUSED];
            verdict.extend(length.to_be_bytes());
            verdict.extend(reason.as_bytes());
            verdict
        }
    };
    let goodbye = async {
        write.write_all(&verdict).await?;
        write.close_write().await?;
        // A sender that is refused in the middle still has bytes under way before its end.
        let mut rest = vec![0; BUFFER];
        while read.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match (result, timeout(GOODBYE, goodbye).await) {
        (Err(fault), _) => Err(fault),
        (Ok(()), Ok(Ok(())) | Err(_)) => Ok(()),
        // Everything is stored; but the sender may not know.
        (Ok(()), Ok(Err(error))) => Err(Fault::connection(&error)),
    }
}

async fn receive_all(
    directory: &Directory,
    read: &mut ReadHalf,
    progress: &mut impl FnMut(&str, u64, u64),
    arrived: &mut impl FnMut(&Transferred),
) -> Result<(), Fault> {
    let magic: [u8; MAGIC.len()] = array(read).await?;
    if magic != MAGIC {
        return Err(
            Fault::new(Code::Peer, "the other end sends a plain stream, no files")
                .with_hint("receive it with stillwire listen STORE > FILE"),
        );
    }
    loop {
        match array(read).await? {
            [ENTRY] => arrived(&receive_one(directory, read, progress).await?),
            [END] => return Ok(()),
            _ => return Err(Fault::new(Code::Peer, "the sender breaks the file framing")),
        }
    }
}

async fn receive_one(
    directory: &Directory,
    read: &mut ReadHalf,
    progress: &mut impl FnMut(&str, u64, u64),
) -> Result<Transferred, Fault> {
    let name = receive_name(read).await?;
    let bytes = u64::from_be_bytes(array(read).await?);
    let path = directory.path.join(&name);
    if !directory.force && path.symlink_metadata().is_ok() {
        return Err(exists(&name));
    }
    let cannot = |error: io::Error| Fault::file(&format!("cannot write {name:?}"), &error);
    // Removed again on every way out but the last.
    let mut file = temporary(&directory.path).map_err(cannot)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut left = bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let space = buffer.get_mut(..most).unwrap_or_default();
        let n = read.read(space).await.map_err(|e| Fault::connection(&e))?;
        if n == 0 {
            return Err(cut_short());
        }
        let data = space.get(..n).unwrap_or_default();
        block_in_place(|| {
            digest.update(data);
            file.write_all(data)
        })
        .map_err(cannot)?;
        left -= n as u64;
        progress(&name, bytes - left, bytes);
    }
    let announced: [u8; DIGEST] = array(read).await?;
    let sha256: [u8; DIGEST] = digest.finalize().into();
    if announced != sha256 {
        let what = format!("the digest of {name:?} is not what the sender says");
        return Err(Fault::new(Code::Peer, what).with_hint("send it again"));
    }
    block_in_place(|| store(file, &path, directory.force)).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => exists(&name),
        _ => cannot(error),
    })?;
    Ok(Transferred {
        name,
        bytes,
        sha256,
    })
}

async fn receive_name(read: &mut ReadHalf) -> Result<String, Fault> {
    let length = usize::from(u16::from_be_bytes(array(read).await?));
    if length > LONGEST_NAME {
        return Err(refused_name("…", "it is longer than 255 bytes"));
    }
    let mut name = vec![0; length];
    exactly(read, &mut name).await?;
    let name = String::from_utf8(name)
        .map_err(|error| refused_name(&error.to_string(), "it is not UTF-8"))?;
    match check_name(&name) {
        Ok(()) => Ok(name),
        Err(why) => Err(refused_name(&name, why)),
    }
}

/// A file beside its future place, as readable as any new file of the user's.
fn temporary(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".stillwire-").suffix(".part");
    #[cfg(unix)]
    let permissions = {
        use std::os::unix::fs::PermissionsExt;
        std::fs::Permissions::from_mode(0o666)
    };
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(directory)
}

/// Gives a whole file its name; durable before the sender is told so.
fn store(file: NamedTempFile, path: &Path, force: bool) -> io::Result<()> {
    file.as_file().sync_all()?;
    let stored = if force {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    stored.map(drop).map_err(|error| error.error)
}

async fn array<const N: usize>(read: &mut ReadHalf) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    exactly(read, &mut bytes).await?;
    Ok(bytes)
}

async fn exactly(read: &mut ReadHalf, bytes: &mut [u8]) -> Result<(), Fault> {
    match read.read_exact(bytes).await {
        Ok(_) => Ok(()),
        Err(error) if stillwire_tokio::source_of(&error).is_some() => {
            Err(Fault::connection(&error))
        }
        Err(_) => Err(cut_short()),
    }
}

fn cut_short() -> Fault {
    Fault::new(Code::Peer, "the sender ended before all was sent")
}

fn exists(name: &str) -> Fault {
    Fault::new(Code::Local, format!("{name:?} exists already"))
        .with_hint("remove it, receive into another directory, or use --force")
}

fn refused_name(name: &str, why: &str) -> Fault {
    Fault::new(Code::Peer, format!("refused the file name {name:?}: {why}"))
}
