//! `stillwire asoc dial ADDR`

use super::listen::{self, Ended, Moved};
use super::{config, fault, key, node_id, resolve, tls, warn_open};
use crate::args::asoc::AsocDial;
use crate::exit::{Code, Fault};
use crate::run::{FAREWELL, Run};
use bytes::BytesMut;
use stillwire_tokio::asoc::{Connection, Identity, connect};
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

/// Bytes read from stdin at once.
const PIECE: usize = 1 << 20;

pub(super) async fn run(verb: &AsocDial, run: &Run) -> Result<(), Fault> {
    let options = &verb.identity;
    let identity = Identity {
        node: node_id(options.uuid.as_deref())?,
        keys: vec![key(&options.key, run)?],
        community: options.community.clone(),
    };
    let tls = tls(&options.tls, false)?.map(|secured| secured.wrap());
    let mut moved = Moved::default();
    let work = async {
        let to = resolve(&verb.address).await?;
        let connection = connect(to, identity, config(options), tls)
            .await
            .map_err(|error| fault(&error))?;
        if !options.hardened && !options.tls.tls {
            warn_open(run);
        }
        match exchange(&connection, verb.no_answer, &mut moved).await {
            Ok(()) => connection.close().await.map_err(|error| fault(&error)),
            // The rest of the answer is for nobody.
            Err(Ended::ReaderGone) => {
                let _ = timeout(FAREWELL, connection.close()).await;
                Ok(())
            }
            Err(Ended::Failed(fault)) => Err(fault),
        }
    };
    let done = run.interrupt.or(work).await;
    if moved.sent + moved.received > 0 || done.is_ok() {
        run.totals.carried(moved.sent, moved.received);
    }
    done
}

async fn exchange(
    connection: &Connection,
    no_answer: bool,
    moved: &mut Moved,
) -> Result<(), Ended> {
    let Moved { sent, received } = moved;
    let receiving = async {
        if no_answer {
            return Ok(());
        }
        match connection.accept().await.map_err(|error| fault(&error))? {
            Some(stream) => listen::print(stream, &mut tokio::io::stdout(), received).await,
            None => Err(
                Fault::new(Code::Peer, "the peer closed without a stream of its own")
                    .with_hint("if it never answers, dial with --no-answer")
                    .into(),
            ),
        }
    };
    let sending = async { send(connection, sent).await.map_err(Ended::from) };
    tokio::try_join!(sending, receiving)?;
    Ok(())
}

/// Standard input as one stream, counted.
async fn send(connection: &Connection, sent: &mut u64) -> Result<(), Fault> {
    let mut stream = connection.open().map_err(|error| fault(&error))?;
    let mut stdin = tokio::io::stdin();
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        let read = stdin.read_buf(&mut buffer).await;
        let length = read.map_err(|error| Fault::file("cannot read stdin", &error))?;
        if length == 0 {
            break;
        }
        let piece = buffer.split().freeze();
        stream.send(piece).await.map_err(|error| fault(&error))?;
        *sent += length as u64;
    }
    stream.finish().map_err(|error| fault(&error))
}
