//! The implementation under test: one JSON object per line in, one out, in order.

mod args;
mod asoc;
mod aznet;
mod azure;
mod commonware;
mod noise;
mod packetfs;
mod wire;
mod ziti;

use args::Args;
use serde_json::{Map, Value, json};
use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, BufRead, Read as _, Write};
use stillwire_core::{Class, Error};

/// The longest line that is read: two digits a byte of the largest message that any protocol takes
/// (ASoc's DATA of 16 MiB), and room besides.
pub const LONGEST_LINE: usize = 40 << 20;

/// How many handles may be open at once. Far more than a file of vectors opens, so that a runner
/// that never sends `reset` gets to its end.
const MOST_HANDLES: usize = 1 << 16;

/// Why an operation gave no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    class: Class,
    detail: String,
}

impl Fault {
    pub(crate) fn new(class: Class, detail: impl Into<String>) -> Self {
        Self {
            class,
            detail: detail.into(),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        // Timeouts and storage failures have no class and no operation here can meet them.
        Self::new(error.class().unwrap_or(Class::State), error.to_string())
    }
}

/// The answer of an operation: the keys of the reply.
pub(crate) type Answer = Result<Value, Fault>;

/// The implementation and the handles it has given out.
#[derive(Default)]
pub struct Iut {
    handles: Handles,
}

/// What lives between two lines: dials that wait for message 2, sessions, caches.
#[derive(Default)]
pub(crate) struct Handles {
    given: u64,
    open: BTreeMap<String, Box<dyn Any>>,
}

impl Handles {
    /// Keeps `thing` and names it.
    fn keep<T: Any>(&mut self, kind: &str, thing: T) -> Result<String, Fault> {
        if self.open.len() >= MOST_HANDLES {
            return Err(Fault::new(Class::Limit, "too many handles are open"));
        }
        self.given += 1;
        let handle = format!("{kind}-{}", self.given);
        self.open.insert(handle.clone(), Box::new(thing));
        Ok(handle)
    }

    /// Takes a thing out for its one use. A handle of another kind is left alone.
    fn take<T: Any>(&mut self, handle: &str) -> Result<T, Fault> {
        if !self.open.get(handle).is_some_and(|thing| thing.is::<T>()) {
            return Err(spent());
        }
        let thing = self.open.remove(handle).ok_or_else(spent)?;
        thing.downcast().map(|thing| *thing).map_err(|_| spent())
    }

    /// Uses a thing and keeps it, unless the use fails: then the handle is spent.
    fn with<T: Any, R>(
        &mut self,
        handle: &str,
        run: impl FnOnce(&mut T) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut thing: T = self.take(handle)?;
        let answer = run(&mut thing)?;
        self.open.insert(handle.to_owned(), Box::new(thing));
        Ok(answer)
    }
}

fn spent() -> Fault {
    Fault::new(Class::State, "the handle is spent or was never given")
}

type Operation = fn(&mut Handles, &Args) -> Answer;

/// Every operation besides `hello` and `reset`, by protocol.
const PROTOCOLS: &[&[(&str, Operation)]] = &[
    asoc::OPERATIONS,
    AZNET,
    AZURE,
    COMMONWARE,
    NOISE,
    packetfs::OPERATIONS,
    ZITI,
];

const AZNET: &[(&str, Operation)] = &[
    ("aznet.accept", |_, args| aznet::accept(args)),
    ("aznet.chunk.open", |_, args| wire::chunk_open(args)),
    ("aznet.chunk.seal", |_, args| wire::chunk_seal(args)),
    ("aznet.dial", aznet::dial),
    ("aznet.finish", aznet::finish),
    ("aznet.frames.decode", |_, args| wire::frames_decode(args)),
    ("aznet.frames.encode", |_, args| wire::frames_encode(args)),
    ("aznet.id.check", |_, args| wire::id_check(args)),
    ("aznet.queue.decode", |_, args| wire::queue_decode(args)),
    ("aznet.queue.encode", |_, args| wire::queue_encode(args)),
    ("aznet.table.decode", |_, args| wire::table_decode(args)),
    ("aznet.table.encode", |_, args| wire::table_encode(args)),
    ("aznet.url.format", |_, args| wire::url_format(args)),
    ("aznet.url.parse", |_, args| wire::url_parse(args)),
];

const AZURE: &[(&str, Operation)] = &[
    ("azure.sas", |_, args| azure::sas(args)),
    ("azure.sharedkey", |_, args| azure::shared_key(args)),
];

const COMMONWARE: &[(&str, Operation)] = &[
    ("commonware.dial", commonware::dial),
    ("commonware.dial.finish", commonware::dial_finish),
    ("commonware.listen", commonware::listen),
    ("commonware.listen.finish", commonware::listen_finish),
    ("commonware.record.open", |_, args| commonware::open(args)),
    ("commonware.record.seal", |_, args| commonware::seal(args)),
];

const NOISE: &[(&str, Operation)] = &[("noise.handshake", |_, args| noise::handshake(args))];

const ZITI: &[(&str, Operation)] = &[
    ("ziti.kx", |_, args| ziti::kx(args)),
    ("ziti.multipart.decode", |_, args| {
        ziti::multipart_decode(args)
    }),
    ("ziti.multipart.encode", |_, args| {
        ziti::multipart_encode(args)
    }),
    ("ziti.pull", ziti::pull),
    ("ziti.pull.new", ziti::pull_new),
    ("ziti.push", ziti::push),
    ("ziti.push.new", ziti::push_new),
];

fn operations() -> impl Iterator<Item = &'static (&'static str, Operation)> {
    PROTOCOLS.iter().copied().flatten()
}

impl Iut {
    /// An implementation without handles.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers one line (without its line feed) with one line (without one).
    pub fn answer(&mut self, line: &[u8]) -> String {
        let reply = match serde_json::from_slice(line) {
            Ok(Value::Object(request)) => self.reply(request),
            Ok(_) => Err(Fault::new(Class::Encoding, "the line is not an object")),
            Err(error) => Err(Fault::new(Class::Encoding, error.to_string())),
        };
        match reply {
            Ok(value) => value.to_string(),
            Err(Fault { class, detail }) => {
                json!({"error": {"class": class.as_str(), "detail": detail}}).to_string()
            }
        }
    }

    fn reply(&mut self, request: Map<String, Value>) -> Answer {
        let args = Args::new(request);
        let op = args.text("op")?;
        match op {
            "hello" => {
                let ops: Vec<&str> = ["hello", "reset"]
                    .into_iter()
                    .chain(operations().map(|(name, _)| *name))
                    .collect();
                Ok(json!({
                    "name": "stillwire",
                    "version": env!("CARGO_PKG_VERSION"),
                    "format": crate::vector::FORMAT,
                    "profiles": [crate::vector::DEFAULT_PROFILE, "hardened"],
                    "ops": ops,
                }))
            }
            "reset" => {
                self.handles = Handles::default();
                Ok(json!({}))
            }
            _ => match operations().find(|(name, _)| *name == op) {
                Some((_, operation)) => operation(&mut self.handles, &args),
                None => Ok(json!({"unsupported": true})),
            },
        }
    }
}

/// Answers every line of `input` on `output` until it ends.
///
/// A line longer than [`LONGEST_LINE`] is read over and answered with class `limit`.
pub fn serve(input: &mut dyn BufRead, output: &mut dyn Write) -> io::Result<()> {
    let mut iut = Iut::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let longest = LONGEST_LINE as u64 + 1;
        if (&mut *input).take(longest).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let answer = if line.last() == Some(&b'\n') {
            line.pop();
            iut.answer(&line)
        } else if line.len() > LONGEST_LINE {
            skip_line(input)?;
            json!({"error": {"class": Class::Limit.as_str(), "detail": "the line is too long"}})
                .to_string()
        } else {
            iut.answer(&line)
        };
        output.write_all(answer.as_bytes())?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

/// Reads up to and with the next line feed, keeping nothing.
fn skip_line(input: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let buffer = input.fill_buf()?;
        if buffer.is_empty() {
            return Ok(());
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}
