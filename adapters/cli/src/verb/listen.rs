//! `stillwire listen STORE`

use crate::args::Listen;
use crate::exit::{Code, Fault};
use crate::metrics::Exporter;
use crate::relay::relay;
use crate::run::Run;
use crate::{echo, exec, stdio, tcp};
use serde_json::json;
use stillwire_tokio::{Config, Connection, Listener, ListenerMonitor};
use tokio::task::{JoinHandle, JoinSet};

/// A task that ends with whoever holds it.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is done with a connection.
#[derive(Clone)]
enum Service {
    Echo,
    Forward(String),
    Exec(String),
}

/// Serves connections until there is nothing left to serve.
pub(crate) async fn run(verb: &Listen, run: &Run) -> Result<(), Fault> {
    let store = run.open_place(&verb.place)?;
    let service = match (&verb.forward, &verb.exec) {
        (Some(address), _) => Some(Service::Forward(address.clone())),
        (None, Some(command)) => Some(Service::Exec(command.clone())),
        (None, None) => verb.echo.then_some(Service::Echo),
    };
    // Taken before anybody is told a ticket: it may be in use.
    let metrics = match &verb.metrics {
        Some(address) => Some(Exporter::bind(address).await?),
        None => None,
    };
    let config = Config {
        connections: verb.connections as usize,
        ..run.config()
    };
    let ticket_file = verb.ticket_file.as_deref();
    let mut listener = run.listen_with(&store, ticket_file, config).await?;
    let _metrics = metrics.map(|metrics| {
        let address = metrics.address.to_string();
        run.out.event(
            &json!({ "event": "metrics", "address": address }),
            &format!("metrics on http://{address}/metrics"),
        );
        AbortOnDrop(tokio::spawn(metrics.serve(listener.monitor())))
    });
    let monitor = listener.monitor();
    let served = match service {
        None => one_on_stdio(&mut listener, run).await,
        Some(service) if verb.once => match run.accept_one(&mut listener, true).await {
            Ok(connection) => serve_one(connection, &service, &monitor, run).await,
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
    let monitor = listener.monitor();
    let ended = loop {
        let connection = tokio::select! {
            biased;
            Some(_) = tasks.join_next() => continue,
            accepted = run.accept(listener) => match accepted {
                Ok(connection) => connection,
                Err(fault) => break fault,
            },
        };
        let (run, service, monitor) = (run.clone(), service.clone(), monitor.clone());
        tasks.spawn(async move {
            if let Err(fault) = serve_one(connection, &service, &monitor, &run).await
                && fault.code() != Code::Interrupted
            {
                run.out.trouble(&fault);
            }
        });
    };
    while tasks.join_next().await.is_some() {}
    Err(ended)
}

async fn serve_one(
    connection: Connection,
    service: &Service,
    monitor: &ListenerMonitor,
    run: &Run,
) -> Result<(), Fault> {
    match service {
        Service::Echo => echo::serve(run, connection).await,
        Service::Exec(command) => {
            run.wait_for_life(&connection).await;
            exec::serve(run, connection, command).await
        }
        Service::Forward(address) => {
            run.wait_for_life(&connection).await;
            match tcp::connect(address).await {
                Ok(stream) => tcp::join(run, connection, stream).await,
                Err(fault) => {
                    monitor.refuse(connection.id());
                    Err(fault)
                }
            }
        }
    }
}
