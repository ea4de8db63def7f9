//! The format of a file, and reading one without believing it. The table is in the crate docs.

use crate::diagnostics::Doubt;
use crate::limits;
use crc32fast::Hasher;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const MAGIC: [u8; 4] = *b"SwSf";
const VERSION: u8 = 1;
const FIXED: usize = 28;
const ENTRY: usize = 8;

/// Enough for the header, the table and a small chunk in one system call.
const BUFFER: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Handshake = 1,
    Token = 2,
    Chunks = 3,
    Mark = 4,
}

/// What precedes the chunks in a file: header and table.
///
/// The lengths must have passed [`limits::check_write`] or [`limits::check_message`].
pub(crate) fn head(kind: Kind, sequence: u64, chunks: &[u32], bytes: &[u8]) -> Vec<u8> {
    let mut table = Vec::with_capacity(chunks.len().saturating_mul(ENTRY));
    let mut rest = bytes;
    for length in chunks {
        let (chunk, after) = rest
            .split_at_checked(*length as usize)
            .unwrap_or((rest, &[]));
        rest = after;
        table.extend_from_slice(&length.to_be_bytes());
        table.extend_from_slice(&crc32fast::hash(chunk).to_be_bytes());
    }
    let mut head = Vec::with_capacity(FIXED.saturating_add(table.len()));
    head.extend_from_slice(&MAGIC);
    head.extend_from_slice(&[VERSION, kind as u8, 0, 0]);
    head.extend_from_slice(&sequence.to_be_bytes());
    head.extend_from_slice(&(chunks.len() as u32).to_be_bytes());
    head.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    let mut crc = Hasher::new();
    crc.update(&head);
    crc.update(&table);
    head.extend_from_slice(&crc.finalize().to_be_bytes());
    head.append(&mut table);
    head
}

/// What a look at a file found.
#[derive(Debug)]
pub(crate) enum Found<T> {
    Missing,
    Doubtful(Doubt),
    Whole(T),
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    length: u32,
    crc: u32,
}

/// A file whose header and table are right; its chunks are checked as they are read.
#[derive(Debug)]
pub(crate) struct Opened {
    reader: BufReader<File>,
    table: Vec<Entry>,
}

/// A run of chunks within a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) chunks: usize,
    pub(crate) bytes: usize,
}

impl Opened {
    /// Opens a file of this kind and sequence number that holds at most `most` bytes of chunks.
    pub(crate) fn open(
        path: &Path,
        kind: Kind,
        sequence: u64,
        most: usize,
    ) -> io::Result<Found<Self>> {
        let file = match open_here(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Missing),
            Err(error) if is_link(&error) => {
                return Ok(Found::Doubtful(Doubt::Malformed("it is a symbolic link")));
            }
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(Found::Doubtful(Doubt::Malformed("it is not a file")));
        }
        let mut reader = BufReader::with_capacity(BUFFER, file);
        Ok(
            match table(&mut reader, metadata.len(), kind, sequence, most)? {
                Ok(table) => Found::Whole(Self { reader, table }),
                Err(doubt) => Found::Doubtful(doubt),
            },
        )
    }

    /// Number of chunks in the file.
    pub(crate) fn chunks(&self) -> usize {
        self.table.len()
    }

    /// The chunks from number `skip` on that fit into `room` bytes.
    pub(crate) fn fitting(&self, skip: usize, room: usize) -> Run {
        let mut run = Run::default();
        for entry in self.table.iter().skip(skip) {
            let bytes = run.bytes.saturating_add(entry.length as usize);
            if bytes > room {
                break;
            }
            run.bytes = bytes;
            run.chunks = run.chunks.saturating_add(1);
        }
        run
    }

    /// Length of chunk number `skip`.
    pub(crate) fn length(&self, skip: usize) -> usize {
        self.table
            .get(skip)
            .map_or(0, |entry| entry.length as usize)
    }

    /// Appends `run`, which begins at chunk `skip`, to `out`: as much of it as is right. A doubt
    /// is about the first chunk that was not appended.
    pub(crate) fn append(
        mut self,
        skip: usize,
        run: Run,
        out: &mut Vec<u8>,
    ) -> io::Result<(Run, Option<Doubt>)> {
        let before: u64 = self
            .table
            .iter()
            .take(skip)
            .map(|e| u64::from(e.length))
            .sum();
        self.reader.seek_relative(before.cast_signed())?;
        let start = out.len();
        // The first file of a reply is mostly the only one: no room to spare.
        if start == 0 {
            out.reserve_exact(run.bytes);
        } else {
            out.reserve(run.bytes);
        }
        let read = self.reader.take(run.bytes as u64).read_to_end(out);
        if let Err(error) = read {
            out.truncate(start);
            return Err(error);
        }
        let mut good = Run::default();
        let mut rest = out.get(start..).unwrap_or_default();
        for entry in self.table.iter().skip(skip).take(run.chunks) {
            let Some((chunk, after)) = rest.split_at_checked(entry.length as usize) else {
                break;
            };
            if crc32fast::hash(chunk) != entry.crc {
                break;
            }
            rest = after;
            good.bytes = good.bytes.saturating_add(chunk.len());
            good.chunks = good.chunks.saturating_add(1);
        }
        out.truncate(start.saturating_add(good.bytes));
        let doubt = (good != run).then_some(Doubt::Torn("a chunk fails its check sum"));
        Ok((good, doubt))
    }
}

/// Reads a file that holds one message.
pub(crate) fn message(path: &Path, kind: Kind) -> io::Result<Found<Vec<u8>>> {
    let opened = match Opened::open(path, kind, 0, limits::MESSAGE)? {
        Found::Whole(opened) => opened,
        Found::Missing => return Ok(Found::Missing),
        Found::Doubtful(doubt) => return Ok(Found::Doubtful(doubt)),
    };
    let mut out = Vec::new();
    let all = opened.fitting(0, limits::MESSAGE);
    Ok(match opened.append(0, all, &mut out)? {
        (_, None) => Found::Whole(out),
        (_, Some(doubt)) => Found::Doubtful(doubt),
    })
}

/// True when the file at `path` holds exactly `head` and `bytes`.
pub(crate) fn is_same(path: &Path, head: &[u8], bytes: &[u8]) -> io::Result<bool> {
    let mut file = match open_here(path) {
        Ok(file) => file,
        Err(error) if is_link(&error) => return Ok(false),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let length = (head.len() as u64).saturating_add(bytes.len() as u64);
    if !metadata.is_file() || metadata.len() != length {
        return Ok(false);
    }
    let mut buffer = vec![0; 64 * 1_024];
    for mut expected in [head, bytes] {
        while !expected.is_empty() {
            let want = buffer.len().min(expected.len());
            let Some(part) = buffer.get_mut(..want) else {
                return Ok(false);
            };
            file.read_exact(part)?;
            let Some(rest) = expected.strip_prefix(&*part) else {
                return Ok(false);
            };
            expected = rest;
        }
    }
    Ok(true)
}

/// Checks header and table against each other and against the file's length.
fn table(
    reader: &mut impl Read,
    length: u64,
    kind: Kind,
    sequence: u64,
    most: usize,
) -> io::Result<Result<Vec<Entry>, Doubt>> {
    const SHORT: Doubt = Doubt::Torn("it is shorter than it says");
    const BROKEN: Doubt = Doubt::Torn("its header fails the check sum");
    let table_most = limits::CHUNKS.saturating_mul(ENTRY);
    if length
        > (FIXED as u64)
            .saturating_add(table_most as u64)
            .saturating_add(most as u64)
    {
        return Ok(Err(Doubt::Malformed("it is too large")));
    }
    let mut fixed = Vec::with_capacity(FIXED);
    reader.take(FIXED as u64).read_to_end(&mut fixed)?;
    // Zeros where the magic should be are a file on its way; anything else is not ours.
    let ours = |(is, magic): (&u8, &u8)| is == magic || *is == 0;
    if !fixed.iter().zip(&MAGIC).all(ours) {
        return Ok(Err(Doubt::Malformed("it is no file of ours")));
    }
    if fixed.len() < FIXED {
        return Ok(Err(SHORT));
    }
    let mut fields = Fields(&fixed);
    if fields.take(MAGIC.len()) != MAGIC {
        return Ok(Err(Doubt::Torn("it begins with zeros")));
    }
    let (version, is_kind) = (fields.u8(), fields.u8());
    let _reserved = fields.take(2);
    let first = fields.u64();
    let (count, total, crc) = (fields.u32(), fields.u32(), fields.u32());
    if version > VERSION {
        return Ok(Err(Doubt::Malformed("it is of a version we do not know")));
    }
    // Nothing above is to be believed before the check sum: bound it, then read the table.
    let table = (count as usize).saturating_mul(ENTRY);
    let expected = [FIXED as u64, table as u64, u64::from(total)]
        .into_iter()
        .fold(0_u64, u64::saturating_add);
    if count as usize > limits::CHUNKS || (FIXED.saturating_add(table) as u64) > length {
        return Ok(Err(SHORT));
    }
    let Some(table) = exactly(reader, table)? else {
        return Ok(Err(SHORT));
    };
    let mut hasher = Hasher::new();
    hasher.update(fixed.get(..FIXED.saturating_sub(4)).unwrap_or_default());
    hasher.update(&table);
    if hasher.finalize() != crc {
        return Ok(Err(BROKEN));
    }
    if version != VERSION || is_kind != kind as u8 || first != sequence {
        return Ok(Err(Doubt::Malformed("it belongs somewhere else")));
    }
    if total as usize > most || expected < length {
        return Ok(Err(Doubt::Malformed("it is larger than it may be")));
    }
    if expected > length {
        return Ok(Err(SHORT));
    }
    let mut fields = Fields(&table);
    let entries: Vec<Entry> = (0..count)
        .map(|_| Entry {
            length: fields.u32(),
            crc: fields.u32(),
        })
        .collect();
    let sum: u64 = entries.iter().map(|entry| u64::from(entry.length)).sum();
    let chunk = 1..=limits::CHUNK as u32;
    let sound = kind != Kind::Chunks || entries.iter().all(|entry| chunk.contains(&entry.length));
    if count == 0 || sum != u64::from(total) || !sound {
        return Ok(Err(Doubt::Malformed("its lengths do not agree")));
    }
    Ok(Ok(entries))
}

/// Exactly `length` bytes, or [`None`] when the file ends before.
fn exactly(reader: &mut impl Read, length: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::with_capacity(length);
    reader.take(length as u64).read_to_end(&mut bytes)?;
    Ok((bytes.len() == length).then_some(bytes))
}

/// Big-endian fields one after another; what is not there reads as zero.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(length).unwrap_or((&[], &[]));
        self.0 = rest;
        taken
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        self.take(N).try_into().unwrap_or([0; N])
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }
}

/// Opens for reading what bears this very name: follows no link, waits for no pipe's other end.
#[cfg(unix)]
fn open_here(path: &Path) -> io::Result<File> {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    File::options()
        .read(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}

#[cfg(not(unix))]
fn open_here(path: &Path) -> io::Result<File> {
    let file = path.symlink_metadata()?;
    if file.is_symlink() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    File::open(path)
}

#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    // Linux and macOS say ELOOP, the BSDs EMLINK or EFTYPE.
    [rustix::io::Errno::LOOP, rustix::io::Errno::MLINK]
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(not(unix))]
fn is_link(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput
}

#[cfg(test)]
mod tests;
