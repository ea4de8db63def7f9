//! As much of HTTP/1.1 as a proxy and a bare client need: heads are read whole, bodies
//! pass through a fixed buffer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// Bytes moved at once.
const BUFFER: usize = 256 * 1024;

/// Longest head taken; Azure's own limit is far below.
const LONGEST_HEAD: u64 = 64 * 1024;

/// A connection, read through a buffer.
pub type Stream = BufReader<TcpStream>;

/// Wraps a connection for reading; small writes go out at once.
///
/// # Errors
/// Those of the socket.
pub fn stream(socket: TcpStream) -> io::Result<Stream> {
    socket.set_nodelay(true)?;
    Ok(BufReader::with_capacity(BUFFER, socket))
}

/// The first line and the headers of a message, as they came.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Everything up to and with the empty line.
    pub bytes: Vec<u8>,
}

/// How much body follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// This many bytes.
    Length(u64),
    /// Chunks that say their sizes.
    Chunked,
    /// All until the connection closes.
    UntilClose,
}

impl Head {
    /// Reads a head; nothing when the peer closed before its first byte.
    ///
    /// # Errors
    /// Those of the socket, a head cut short, and one longer than 64 KiB.
    pub fn read(from: &mut Stream) -> io::Result<Option<Self>> {
        let mut bytes = Vec::with_capacity(1024);
        let mut limited = from.take(LONGEST_HEAD);
        loop {
            let start = bytes.len();
            let n = limited.read_until(b'\n', &mut bytes)?;
            if n == 0 && bytes.is_empty() {
                return Ok(None);
            }
            if !bytes.ends_with(b"\n") {
                let why = "an HTTP head that is cut short or too long";
                return Err(io::Error::new(io::ErrorKind::InvalidData, why));
            }
            if matches!(&bytes[start..], b"\r\n" | b"\n") {
                return Ok(Some(Self { bytes }));
            }
        }
    }

    /// The words of the first line.
    fn words(&self) -> impl Iterator<Item = &str> {
        let line = self
            .bytes
            .split(|&byte| byte == b'\r')
            .next()
            .unwrap_or_default();
        std::str::from_utf8(line).unwrap_or_default().split(' ')
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.words().next().unwrap_or_default()
    }

    /// A request's target: path and query.
    pub fn target(&self) -> &str {
        self.words().nth(1).unwrap_or_default()
    }

    /// A response's status, 0 for something else.
    pub fn status(&self) -> u16 {
        self.words()
            .nth(1)
            .and_then(|word| word.parse().ok())
            .unwrap_or(0)
    }

    /// The value of a header, its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.bytes)
            .ok()?
            .lines()
            .skip(1)
            .find_map(|line| {
                let (found, value) = line.split_once(':')?;
                found.eq_ignore_ascii_case(name).then(|| value.trim())
            })
    }

    fn framing(&self) -> Option<Body> {
        if self
            .header("transfer-encoding")
            .is_some_and(|value| value.contains("chunked"))
        {
            return Some(Body::Chunked);
        }
        self.header("content-length")?
            .parse()
            .ok()
            .map(Body::Length)
    }

    /// What follows a request.
    pub fn request_body(&self) -> Body {
        self.framing().unwrap_or(Body::Length(0))
    }

    /// What follows a response to a request of this method.
    pub fn response_body(&self, method: &str) -> Body {
        if method == "HEAD" || matches!(self.status(), 100..=199 | 204 | 304) {
            return Body::Length(0);
        }
        self.framing().unwrap_or(Body::UntilClose)
    }

    /// Whether the connection ends after this message.
    pub fn closes(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// Passes a body on as it comes and says how many bytes of content it had.
///
/// # Errors
/// Those of either side, and a body cut short.
pub fn relay(body: Body, from: &mut Stream, to: &mut impl Write) -> io::Result<u64> {
    match body {
        Body::Length(length) => relay_length(length, from, to),
        Body::UntilClose => relay_until(None, from, to),
        Body::Chunked => {
            let mut content = 0;
            loop {
                let line = relay_line(from, to)?;
                let size = line
                    .split(|&byte| matches!(byte, b';' | b'\r' | b'\n'))
                    .next();
                let size = size
                    .and_then(|digits| {
                        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
                    })
                    .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no chunk size"))?;
                if size == 0 {
                    // Trailers, mostly none, up to the empty line.
                    while !matches!(relay_line(from, to)?.as_slice(), b"\r\n" | b"\n") {}
                    return Ok(content);
                }
                content += size;
                relay_length(size, from, to)?;
                relay_line(from, to)?;
            }
        }
    }
}

fn relay_length(length: u64, from: &mut Stream, to: &mut impl Write) -> io::Result<u64> {
    let moved = relay_until(Some(length), from, to)?;
    if moved < length {
        Err(io::ErrorKind::UnexpectedEof.into())
    } else {
        Ok(moved)
    }
}

fn relay_until(limit: Option<u64>, from: &mut Stream, to: &mut impl Write) -> io::Result<u64> {
    let mut moved = 0;
    loop {
        let left = limit.map_or(u64::MAX, |limit| limit - moved);
        if left == 0 {
            return Ok(moved);
        }
        let ready = from.fill_buf()?;
        if ready.is_empty() {
            return Ok(moved);
        }
        let n = ready.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        to.write_all(&ready[..n])?;
        from.consume(n);
        moved += n as u64;
    }
}

fn relay_line(from: &mut Stream, to: &mut impl Write) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(32);
    from.take(LONGEST_HEAD).read_until(b'\n', &mut line)?;
    if !line.ends_with(b"\n") {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    to.write_all(&line)?;
    Ok(line)
}
