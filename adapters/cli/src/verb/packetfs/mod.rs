//! `stillwire packetfs send|recv FILE --blob BLOB`; its other verbs are those of [`crate::stream`].

mod drive;
mod file;
mod key;
mod recv;
mod send;

use crate::args::packetfs::{PacketfsEnd, PacketfsVerb};
use crate::exit::{Code, Fault};
use crate::key::digits;
use crate::run::Run;
use crate::stream;
use file::FileBlob;
use std::net::{TcpListener, TcpStream};
use stillwire_core::crypto::{Rng, Secret};
use stillwire_core::packetfs::object::Role;
use stillwire_core::packetfs::{Blob, Config, Psk, Seeded};
use tokio::task::spawn_blocking;

/// Bytes of a file that are one object: its blueprint stays within the default limit even when
/// nothing of it is in the blob.
const OBJECT: u64 = 32 << 20;

pub(crate) async fn run(verb: PacketfsVerb, run: &Run) -> Result<(), Fault> {
    let out = run.out;
    // The files and the socket block; an interruption leaves them to the end of the process.
    let work = match verb {
        PacketfsVerb::Stream(verb) => return stream::packetfs(&verb, run).await,
        PacketfsVerb::Send(verb) => spawn_blocking(move || send::run(&verb, out)),
        PacketfsVerb::Recv(verb) => spawn_blocking(move || recv::run(&verb, out)),
    };
    let ended = async {
        work.await
            .unwrap_or_else(|_| Err(Fault::new(Code::Local, "the transfer broke off")))
    };
    run.interrupt.or(ended).await
}

/// What a session is made of.
struct Session {
    role: Role,
    config: Config,
    psk: Psk,
    rng: Rng,
    socket: TcpStream,
}

impl Session {
    /// Reads the key, and meets the other end.
    fn meet(end: &PacketfsEnd, out: crate::output::Output) -> Result<Self, Fault> {
        let psk = key::psk(end)?;
        let config = end.options.config(end.patience);
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Fault::new(Code::Local, format!("no randomness: {error}")))?;
        let (role, socket) = connect(end, out)?;
        let _ = socket.set_nodelay(true);
        Ok(Self {
            role,
            config,
            psk,
            rng: Rng::from_seed(seed),
            socket,
        })
    }
}

fn connect(end: &PacketfsEnd, out: crate::output::Output) -> Result<(Role, TcpStream), Fault> {
    if let Some(address) = &end.connect {
        let socket = TcpStream::connect(address)
            .map_err(|error| Fault::tcp(&format!("cannot connect to {address}"), &error))?;
        return Ok((Role::Initiator, socket));
    }
    let address = end.listen.as_deref().unwrap_or_default();
    let cannot = |error| Fault::tcp(&format!("cannot listen on {address}"), &error);
    let listener = TcpListener::bind(address).map_err(cannot)?;
    let local = listener.local_addr().map_err(cannot)?.to_string();
    let json = serde_json::json!({"event": "listening", "address": local});
    out.event(&json, &format!("listening on {local}"));
    let (socket, _) = listener.accept().map_err(cannot)?;
    Ok((Role::Responder, socket))
}

/// The blob, from a file or from a seed.
fn blob(end: &PacketfsEnd) -> Result<Box<dyn Blob>, Fault> {
    if let Some(path) = &end.blob {
        return Ok(Box::new(FileBlob::open(path)?));
    }
    let path = end.seed_file.as_deref().unwrap_or_else(|| "".as_ref());
    let seed = digits(&crate::key::from_file(path)?)?;
    let seed = <[u8; 32]>::try_from(seed.as_slice()).map_err(|_| {
        let what = format!("{} does not hold 64 hexadecimal digits", path.display());
        Fault::new(Code::Usage, what)
    })?;
    let size = end.blob_size.unwrap_or_default();
    Seeded::new(Secret::from(seed), size)
        .map(|blob| Box::new(blob) as Box<dyn Blob>)
        .map_err(|error| Fault::new(Code::Usage, error.to_string()))
}
