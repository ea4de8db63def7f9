//! Joins a secure stream to something local, both ways, until both directions have ended.

use crate::exit::Fault;
use crate::relay::Local;
use crate::run::{FAREWELL, Run};
use std::io;
use std::pin::pin;
use stillwire_tokio::{Secure, SecureReader, SecureStream, SecureWriter};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const BUFFER: usize = 64 << 10;

/// What is on our side.
pub(super) struct Ends<R, W>(Local<R, W>);

impl<R, W> Ends<R, W> {
    pub(super) fn of(local: Local<R, W>) -> Self {
        Self(local)
    }
}

/// Copies both ways, ends both directions, and waits until the connection is over.
pub(super) async fn join<M, R, W>(
    run: &Run,
    stream: SecureStream<M>,
    ends: Ends<R, W>,
) -> Result<(), Fault>
where
    M: Secure,
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut read, mut write) = stream.split();
    let local = ends.0;
    let ends_with_peer = local.ends_with_peer;
    let result = {
        let mut up = pin!(copy_up(local.source, &mut write, local.fault));
        let mut down = pin!(copy_down(&mut read, local.sink, local.fault));
        let (mut up_ended, mut down_ended) = (false, false);
        loop {
            tokio::select! {
                biased;
                () = run.interrupt.asked() => break Err(Fault::interrupted()),
                result = &mut up, if !up_ended => match result {
                    Ok(()) => up_ended = true,
                    Err(fault) => break Err(fault),
                },
                result = &mut down, if !down_ended => match result {
                    Ok(()) => down_ended = true,
                    Err(fault) => break Err(fault),
                },
            }
            if down_ended && (up_ended || ends_with_peer) {
                break Ok(());
            }
        }
    };
    finish(run, &mut write, result).await
}

/// Sends everything back until the peer's end.
pub(super) async fn echo<M: Secure>(run: &Run, stream: SecureStream<M>) -> Result<(), Fault> {
    let (mut read, mut write) = stream.split();
    let copy = async {
        let mut buffer = vec![0; BUFFER];
        loop {
            let n = read.read(&mut buffer).await.map_err(lost)?;
            let data = buffer.get(..n).unwrap_or_default();
            if data.is_empty() {
                return Ok(());
            }
            write.write_all(data).await.map_err(lost)?;
        }
    };
    let result = tokio::select! {
        biased;
        () = run.interrupt.asked() => Err(Fault::interrupted()),
        result = copy => result,
    };
    finish(run, &mut write, result).await
}

/// Joins a TCP connection. One of ours that fails resets it, so that its other end does not take a
/// part for the whole.
pub(super) async fn with_tcp<M: Secure>(
    run: &Run,
    stream: SecureStream<M>,
    mut tcp: TcpStream,
) -> Result<(), Fault> {
    // Without it TCP is only slower.
    let _ = tcp.set_nodelay(true);
    let (source, sink) = tcp.split();
    let local = Local {
        source,
        sink,
        ends_with_peer: false,
        fault: Fault::tcp,
    };
    let result = join(run, stream, Ends(local)).await;
    if result.is_err() {
        let _ = tcp.set_zero_linger();
    }
    result
}

/// Ends our direction if all went well or the user asked for the end; otherwise the peer must not
/// take what it got for the whole.
async fn finish<M: Secure>(
    run: &Run,
    write: &mut SecureWriter<M>,
    result: Result<(), Fault>,
) -> Result<(), Fault> {
    match result {
        Ok(()) => {
            write.close_write().await.map_err(lost)?;
            tokio::select! {
                biased;
                closed = write.closed() => closed.map_err(Fault::from),
                () = run.interrupt.asked() => Err(Fault::interrupted()),
            }
        }
        Err(fault) if fault.is_interruption() => {
            let end = async {
                if write.close_write().await.is_ok() {
                    let _ = write.closed().await;
                }
            };
            let _ = timeout(FAREWELL, end).await;
            Err(fault)
        }
        Err(fault) => Err(fault),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn lost(error: io::Error) -> Fault {
    Fault::connection(&error)
}

async fn copy_up<M: Secure>(
    mut source: impl AsyncRead + Unpin,
    write: &mut SecureWriter<M>,
    fault: fn(&str, &io::Error) -> Fault,
) -> Result<(), Fault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = tokio::select! {
            biased;
            read = source.read(&mut buffer) => {
                read.map_err(|error| fault("cannot read what to send", &error))?
            }
            // Before our end it can only have ended badly; the source may stay silent for ever.
            ended = write.closed() => return ended.map_err(Fault::from),
        };
        match buffer.get(..n).filter(|data| !data.is_empty()) {
            Some(data) => write.write_all(data).await.map_err(lost)?,
            None => return write.close_write().await.map_err(lost),
        }
    }
}

async fn copy_down<M: Secure>(
    read: &mut SecureReader<M>,
    mut sink: impl AsyncWrite + Unpin,
    fault: fn(&str, &io::Error) -> Fault,
) -> Result<(), Fault> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let n = read.read(&mut buffer).await.map_err(lost)?;
        let delivered = match buffer.get(..n).filter(|data| !data.is_empty()) {
            Some(data) => async { sink.write_all(data).await.and(sink.flush().await) }.await,
            None => sink.shutdown().await,
        };
        delivered.map_err(|error| fault("cannot write what arrived", &error))?;
        if n == 0 {
            return Ok(());
        }
    }
}
