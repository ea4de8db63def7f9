//! The sending end.

use super::{
    BUFFER, DIGEST, END, ENTRY, LONGEST_REASON, MAGIC, REFUSED, STORED, Transferred, check_name,
};
use crate::exit::{Code, Fault, one_line};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::pin;
use stillwire_tokio::{ReadHalf, WriteHalf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::block_in_place;

/// A file to send, open already, so that what is missing shows before anything is sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    path: PathBuf,
    pub(crate) name: String,
    pub(crate) bytes: u64,
    file: File,
}

impl Outgoing {
    /// Opens a regular file.
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let shown = path.display().to_string();
        let cannot = |error| Fault::file(&format!("cannot read {shown:?}"), &error);
        let file = File::open(path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if metadata.is_dir() {
            return Err(Fault::new(Code::Local, format!("{shown:?} is a directory"))
                .with_hint("name its files, or send an archive of it"));
        }
        if !metadata.is_file() {
            return Err(
                Fault::new(Code::Local, format!("{shown:?} is not a regular file"))
                    .with_hint("pipe it: stillwire dial TICKET < it"),
            );
        }
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or("it is not UTF-8").and_then(|name| {
            check_name(name)?;
            Ok(name.to_owned())
        });
        let name = name.map_err(|why| {
            Fault::new(
                Code::Local,
                format!("cannot send the name of {shown:?}: {why}"),
            )
            .with_hint("rename the file")
        })?;
        Ok(Self {
            path: path.to_owned(),
            name,
            bytes: metadata.len(),
            file,
        })
    }
}

/// Sends files and waits until the receiver has stored them all.
pub(crate) async fn send(
    files: Vec<Outgoing>,
    read: &mut ReadHalf,
    write: &mut WriteHalf,
    mut progress: impl FnMut(&Outgoing, u64),
) -> Result<Vec<Transferred>, Fault> {
    let mut sending = pin!(async {
        let mut sent = Vec::new();
        put(write, &MAGIC).await?;
        for file in files {
            sent.push(send_one(file, write, &mut progress).await?);
        }
        put(write, &[END]).await?;
        let ended = write.close_write().await;
        ended.map_err(|error| Fault::connection(&error))?;
        Ok(sent)
    });
    // A refusal may come while we are still sending; and the last word of a receiver that is
    // content may overtake our own store's word that our end is written.
    let mut verdict = pin!(verdict(read));
    tokio::select! {
        biased;
        early = &mut verdict => {
            early?;
            sending.await
        }
        sent = &mut sending => {
            let sent = sent?;
            verdict.await?;
            Ok(sent)
        }
    }
}

async fn send_one(
    mut outgoing: Outgoing,
    write: &mut WriteHalf,
    progress: &mut impl FnMut(&Outgoing, u64),
) -> Result<Transferred, Fault> {
    let shown = outgoing.path.display().to_string();
    let name = outgoing.name.as_bytes();
    let mut header = vec![ENTRY];
    header.extend(u16::try_from(name.len()).unwrap_or(u16::MAX).to_be_bytes());
    header.extend(name);
    header.extend(outgoing.bytes.to_be_bytes());
    put(write, &header).await?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut left = outgoing.bytes;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(BUFFER).min(BUFFER);
        let space = buffer.get_mut(..most).unwrap_or_default();
        let n = block_in_place(|| {
            let n = outgoing.file.read(space)?;
            digest.update(space.get(..n).unwrap_or_default());
            Ok(n)
        })
        .map_err(|error| Fault::file(&format!("cannot read {shown:?}"), &error))?;
        if n == 0 {
            let what = format!("{shown:?} became shorter while it was being sent");
            return Err(Fault::new(Code::Local, what).with_hint("send it again"));
        }
        put(write, space.get(..n).unwrap_or_default()).await?;
        left -= n as u64;
        progress(&outgoing, outgoing.bytes - left);
    }
    let sha256: [u8; DIGEST] = digest.finalize().into();
    put(write, &sha256).await?;
    Ok(Transferred {
        name: outgoing.name,
        bytes: outgoing.bytes,
        sha256,
    })
}

async fn put(write: &mut WriteHalf, data: &[u8]) -> Result<(), Fault> {
    let written = write.write_all(data).await;
    written.map_err(|error| Fault::connection(&error))
}

/// Waits for what the receiver says of it all.
async fn verdict(read: &mut ReadHalf) -> Result<(), Fault> {
    let strange = |what: &str| {
        Fault::new(Code::Peer, what.to_owned()).with_hint("is the other end a stillwire recv?")
    };
    let lost = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof if stillwire_tokio::source_of(&error).is_none() => {
            strange("the other end finished without saying whether it has the files")
        }
        _ => Fault::connection(&error),
    };
    let mut first = [0];
    read.read_exact(&mut first).await.map_err(lost)?;
    match first {
        [STORED] => Ok(()),
        [REFUSED] => {
            let mut length = [0; 2];
            read.read_exact(&mut length).await.map_err(lost)?;
            let length = usize::from(u16::from_be_bytes(length));
            if length > LONGEST_REASON {
                return Err(strange("the other end refuses at inordinate length"));
            }
            let mut reason = vec![0; length];
            read.read_exact(&mut reason).await.map_err(lost)?;
            let reason = one_line(&String::from_utf8_lossy(&reason));
            Err(Fault::new(
                Code::Peer,
                format!("the receiver refused: {reason}"),
            ))
        }
        _ => Err(strange("the other end does not speak of files")),
    }
}
