//! Sending a connection's bytes back to it.

use crate::exit::Fault;
use crate::relay::{Ends, Joins, farewell, lost, tell_unauthenticated};
use crate::run::Run;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

const BUFFER: usize = 256 << 10;

/// Echoes until the peer's end, then ends our direction too.
pub(crate) async fn serve(run: &Run, connection: impl Joins) -> Result<(), Fault> {
    let (mut read, mut write) = connection.halves();
    let mut moved = 0;
    let result = tokio::select! {
        biased;
        () = run.interrupt.asked() => Err(Fault::interrupted()),
        result = copy(&mut read, &mut write, |data| moved += data.len() as u64) => result,
    };
    tell_unauthenticated(run, &read);
    if result.as_ref().is_err_and(Fault::is_interruption) {
        farewell(&mut write).await;
    }
    match write.counted() {
        Some(stats) => run.totals.add(&stats),
        None => run.totals.carried(moved, moved),
    }
    result
}

/// Copies to the end and waits until the connection is over; `seen` is shown what went back.
pub(crate) async fn copy(
    read: &mut (impl AsyncRead + Unpin),
    write: &mut impl Ends,
    mut seen: impl FnMut(&[u8]),
) -> Result<(), Fault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = read.read(&mut buffer).await.map_err(lost)?;
        let data = buffer.get(..n).unwrap_or_default();
        if data.is_empty() {
            break;
        }
        write.write_all(data).await.map_err(lost)?;
        seen(data);
    }
    write.close_write().await.map_err(lost)?;
    write.closed().await.map_err(Fault::from)
}
