//! `stillwire listen STORE`

use crate::args::Listen;
use crate::exit::{Code, Fault};
use crate::relay::relay;
use crate::run::Run;
use crate::{echo, stdio, tcp};
use stillwire_tokio::{Connection, Listener};
use tokio::task::JoinSet;

/// What is done with a connection.
#[derive(Clone)]
enum Service {
    Echo,
    Forward(String),
}

/// Serves connections until there is nothing left to serve.
pub(crate) async fn run(verb: &Listen, run: &Run) -> Result<(), Fault> {
    let store = run.open_place(&verb.place)?;
    let service = match &verb.forward {
        Some(address) => Some(Service::Forward(address.clone())),
        None => verb.echo.then_some(Service::Echo),
    };
    let mut listener = run.listen(&store, verb.ticket_file.as_deref()).await?;
    let served = match service {
        None => one_on_stdio(&mut listener, run).await,
        Some(service) if verb.once => match run.accept_one(&mut listener, true).await {
            Ok(connection) => serve_one(connection, &service, run).await,
            Err(fault) => Err(fault),
        },
        Some(service) => serve_all(&mut listener, &service, run).await,
    };
    let stopped = run.stop(listener).await;
    served.and(stopped).map_err(|fault| fault.over(&store.name))
}

async fn one_on_stdio(listener: &mut Listener, run: &Run) -> Result<(), Fault> {
    let connection = run.accept_one(listener, true).await?;
    relay(run, connection, stdio::local()).await
}

async fn serve_all(listener: &mut Listener, service: &Service, run: &Run) -> Result<(), Fault> {
    let mut tasks = JoinSet::new();
    let ended = loop {
        let connection = tokio::select! {
            biased;
            Some(_) = tasks.join_next() => continue,
            accepted = run.accept(listener) => match accepted {
                Ok(connection) => connection,
                Err(fault) => break fault,
            },
        };
        let (run, service) = (run.clone(), service.clone());
        tasks.spawn(async move {
            if let Err(fault) = serve_one(connection, &service, &run).await
                && fault.code() != Code::Interrupted
            {
                run.out.trouble(&fault);
            }
        });
    };
    while tasks.join_next().await.is_some() {}
    Err(ended)
}

async fn serve_one(connection: Connection, service: &Service, run: &Run) -> Result<(), Fault> {
    match service {
        Service::Echo => echo::serve(run, connection).await,
        Service::Forward(address) => {
            let stream = tcp::connect(address).await?;
            tcp::join(run, connection, stream).await
        }
    }
}
