//! `stillwire asoc listen ADDR`

use super::{Secured, config, fault, key, node_id, resolve, warn_open};
use crate::args::asoc::AsocListen;
use crate::exit::{Code, Fault};
use crate::relay::is_gone;
use crate::run::Run;
use bytes::Bytes;
use serde_json::json;
use std::sync::Arc;
use stillwire_tokio::asoc::{Connection, NodeConfig, Options, ReceiveStream, start};
use tokio::io::{AsyncWriteExt, Stdout};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

/// Where whole streams go, one after another.
#[derive(Clone)]
enum Sink {
    Back { limit: usize },
    Stdout(Arc<Mutex<Stdout>>),
}

/// Why streams are no longer printed.
pub(super) enum Ended {
    /// Whoever read our stdout has enough: no fault.
    ReaderGone,
    Failed(Fault),
}

/// Bytes of streams, for `--stats`.
#[derive(Default)]
pub(super) struct Moved {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

pub(super) async fn run(verb: &AsocListen, run: &Run) -> Result<(), Fault> {
    let identity = &verb.identity;
    let key = key(&identity.key, run)?;
    let mut options = Options::new(node_id(identity.uuid.as_deref())?, key);
    options.config = NodeConfig {
        connection: config(identity),
        community: identity.community.clone(),
        ..options.config
    };
    let secured = super::tls(&identity.tls, true)?;
    options.wrap = secured.as_ref().map(Secured::wrap);
    options.listen = Some(resolve(&verb.address).await?);
    let out = run.out;
    options.audit = Some(Arc::new(move |event| {
        let json = super::audit(event);
        let node = event.node.map(|node| format!(" node {node}"));
        let address = event.address.map(|address| format!(" from {address}"));
        let human = format!(
            "stillwire: {}{}{}",
            event.kind.as_str(),
            node.unwrap_or_default(),
            address.unwrap_or_default()
        );
        out.event(&json, &human);
    }));
    let node = start(options).await.map_err(|error| fault(&error))?;
    if let Some(secured) = secured {
        secured.watch(run);
    }
    if !identity.hardened && !identity.tls.tls {
        warn_open(run);
    }
    let at = node
        .local_addr()
        .map(|at| at.to_string())
        .unwrap_or_default();
    run.out.event(
        &json!({ "event": "listening", "address": at, "node": node.id().to_string() }),
        &format!("listening on {at} as node {}", node.id()),
    );
    let sink = if verb.echo {
        Sink::Back {
            limit: usize::try_from(verb.limit).unwrap_or(usize::MAX),
        }
    } else {
        Sink::Stdout(Arc::new(Mutex::new(tokio::io::stdout())))
    };
    let mut tasks = JoinSet::new();
    loop {
        let connection = tokio::select! {
            biased;
            () = run.interrupt.asked() => return Err(Fault::interrupted()),
            Some(reader_gone) = tasks.join_next() => match reader_gone {
                Ok(true) => return Ok(()),
                _ => continue,
            },
            next = node.accept() => match next {
                Some(connection) => connection,
                None => return Ok(()),
            },
        };
        if verb.once {
            let mut moved = Moved::default();
            let served = async {
                match serve(connection, sink, &mut moved).await {
                    Ok(()) | Err(Ended::ReaderGone) => Ok(()),
                    Err(Ended::Failed(fault)) => Err(fault),
                }
            };
            let served = run.interrupt.or(served).await;
            run.totals.carried(moved.sent, moved.received);
            return served;
        }
        let (out, totals, sink) = (run.out, run.totals.clone(), sink.clone());
        tasks.spawn(async move {
            let mut moved = Moved::default();
            let served = serve(connection, sink, &mut moved).await;
            totals.carried(moved.sent, moved.received);
            match served {
                Ok(()) => false,
                Err(Ended::ReaderGone) => true,
                Err(Ended::Failed(fault)) => {
                    out.trouble(&fault);
                    false
                }
            }
        });
    }
}

async fn serve(connection: Connection, sink: Sink, moved: &mut Moved) -> Result<(), Ended> {
    while let Some(stream) = connection.accept().await.map_err(|error| fault(&error))? {
        match &sink {
            Sink::Back { limit } => {
                let message = stream
                    .message(*limit)
                    .await
                    .map_err(|error| fault(&error))?;
                let length = message.len() as u64;
                moved.received += length;
                let sent = connection.send_message(Bytes::from(message)).await;
                sent.map_err(|error| fault(&error))?;
                moved.sent += length;
            }
            Sink::Stdout(stdout) => {
                print(stream, &mut *stdout.lock().await, &mut moved.received).await?;
            }
        }
    }
    Ok(())
}

/// Copies a stream to stdout, and counts it. Streams of other connections wait meanwhile.
pub(super) async fn print(
    mut stream: ReceiveStream,
    stdout: &mut Stdout,
    received: &mut u64,
) -> Result<(), Ended> {
    let cannot = |error: std::io::Error| {
        if is_gone(&error) {
            return Ended::ReaderGone;
        }
        Fault::file("cannot write to stdout", &error).into()
    };
    while let Some(piece) = stream.chunk().await.map_err(|error| {
        let fault = fault(&error);
        if fault.code() == Code::Peer {
            fault.with_hint("what was printed of the stream is incomplete")
        } else {
            fault
        }
    })? {
        *received += piece.len() as u64;
        stdout.write_all(&piece).await.map_err(cannot)?;
        // A reader that has gone shows now, not with the next piece.
        stdout.flush().await.map_err(cannot)?;
    }
    Ok(())
}
