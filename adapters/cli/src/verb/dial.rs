//! `stillwire dial TICKET`

use crate::args::Dial;
use crate::exit::{Code, Fault};
use crate::relay::relay;
use crate::run::Run;
use crate::{source, stdio, tcp};
use serde_json::json;
use stillwire_tokio::Dialer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Opens a connection for stdin and stdout, or one for every TCP connection.
pub(crate) async fn run(verb: &Dial, run: &Run) -> Result<(), Fault> {
    let ticket = source::ticket(verb.ticket.as_deref(), verb.ticket_file.as_deref())?;
    let (dialer, place) = run.dialer(&ticket, verb.connect_timeout)?;
    run.warn_anonymous();
    match &verb.forward {
        None => {
            let joined = async {
                let connection = run.dial(&dialer, &place).await?;
                relay(run, connection, stdio::local()).await
            };
            joined.await.map_err(|fault| fault.over(&place))
        }
        Some(address) => forward(address, &dialer, &place, run).await,
    }
}

async fn forward(address: &str, dialer: &Dialer, place: &str, run: &Run) -> Result<(), Fault> {
    let cannot = |error| {
        let fault = Fault::file(&format!("cannot listen on {address}"), &error);
        match error.kind() {
            std::io::ErrorKind::AddrInUse => fault.with_hint("use another port"),
            _ => fault,
        }
    };
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    run.out.tell(
        &json!({ "event": "listening", "address": bound.to_string() }),
        &format!("listening on {bound}"),
    );
    let mut tasks = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = run.interrupt.asked() => break,
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            // Out of descriptors, or a caller that hung up: neither ends the others.
            Err(error) => {
                run.out
                    .trouble(&Fault::file("cannot accept a TCP connection", &error));
                tokio::time::sleep(tcp::BREATH).await;
                continue;
            }
        };
        let (run, dialer, place) = (run.clone(), dialer.clone(), place.to_owned());
        tasks.spawn(async move {
            let served = async {
                let connection = run.dial(&dialer, &place).await?;
                tcp::join(&run, connection, stream).await
            };
            if let Err(fault) = served.await
                && fault.code() != Code::Interrupted
            {
                run.out.trouble(&fault.over(&place));
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Err(Fault::interrupted())
}
