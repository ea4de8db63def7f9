//! `stillwire packetfs send|recv FILE --blob BLOB`; its other verbs are those of [`crate::stream`].

mod drive;
mod file;
mod key;
mod meet;
mod recv;
mod send;

use crate::args::packetfs::{PacketfsEnd, PacketfsVerb};
use crate::exit::{Code, Fault};
use crate::key::digits;
use crate::run::Run;
use crate::stream;
use file::FileBlob;
use stillwire_core::crypto::Secret;
use stillwire_core::packetfs::{Blob, Seeded};
use tokio::task::spawn_blocking;

/// Bytes of a file that are one object: its blueprint stays within the default limit even when
/// nothing of it is in the blob.
const OBJECT: u64 = 32 << 20;

pub(crate) async fn run(verb: PacketfsVerb, run: &Run) -> Result<(), Fault> {
    let out = run.out;
    match verb {
        PacketfsVerb::Stream(verb) => stream::packetfs(&verb, run).await,
        PacketfsVerb::Send(verb) => {
            let sent = block(run, move || send::run(&verb, out)).await?;
            run.totals.carried(sent, 0);
            Ok(())
        }
        PacketfsVerb::Recv(verb) => recv::run(verb, run).await,
    }
}

/// Runs what blocks, as files and the socket do. An interruption leaves it to the end of the
/// process: whatever must be cleaned up belongs to the caller.
async fn block<T: Send + 'static>(
    run: &Run,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    let work = spawn_blocking(work);
    let ended = async {
        work.await
            .unwrap_or_else(|_| Err(Fault::new(Code::Local, "the transfer broke off")))
    };
    run.interrupt.or(ended).await
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
