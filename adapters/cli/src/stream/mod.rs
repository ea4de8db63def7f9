//! `stillwire ziti`, `commonware` and `packetfs`: a byte stream over TCP. All three are run by the
//! same code; what differs is how each makes its machine ([`protocol`]).

mod protocol;

use crate::args::packetfs::PacketfsOptions;
use crate::args::stream::{
    CommonwareOptions, StreamDial, StreamKeys, StreamListen, StreamVerb, ZitiOptions,
};
use crate::exit::{Code, Fault};
use crate::relay::relay;
use crate::run::Run;
use crate::{echo, stdio, tcp};
use clap::Args;
use protocol::{Kind, Protocol, keygen};
use serde_json::json;
use std::sync::Arc;
use stillwire_core::store::Role;
use stillwire_core::{Class, Error};
use stillwire_tokio::SecureStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections served at once.
const MOST: usize = 1_024;

/// `stillwire ziti …`
pub(crate) async fn ziti(verb: &StreamVerb<ZitiOptions>, run: &Run) -> Result<(), Fault> {
    let make = |keys: &_, options: &_, _| protocol::ziti(keys, options, run);
    perform(Kind::Ziti, verb, make, run).await
}

/// `stillwire commonware …`
pub(crate) async fn commonware(
    verb: &StreamVerb<CommonwareOptions>,
    run: &Run,
) -> Result<(), Fault> {
    perform(Kind::Commonware, verb, protocol::commonware, run).await
}

/// What `stillwire packetfs …` has in common with the others.
pub(crate) async fn packetfs(verb: &StreamVerb<PacketfsOptions>, run: &Run) -> Result<(), Fault> {
    let make = |keys: &_, options: &_, _| protocol::packetfs(keys, options);
    perform(Kind::Packetfs, verb, make, run).await
}

/// Runs the verb of one protocol, which `make` makes from keys and options.
async fn perform<O: Args, P: Protocol>(
    kind: Kind,
    verb: &StreamVerb<O>,
    make: impl FnOnce(&StreamKeys, &O, Role) -> Result<P, Fault>,
    run: &Run,
) -> Result<(), Fault> {
    match verb {
        StreamVerb::Keygen => keygen(kind, run),
        StreamVerb::Listen(verb) => {
            let protocol = make(&verb.keys, &verb.options, Role::Listener)?;
            listen(verb, protocol, run).await
        }
        StreamVerb::Dial(verb) => {
            let protocol = make(&verb.keys, &verb.options, Role::Dialer)?;
            dial(verb, protocol, run).await
        }
    }
}

/// Opening a connection failed.
fn refused(error: &Error) -> Fault {
    let fault = match error.class() {
        Some(Class::Auth | Class::Identity | Class::Downgrade) => {
            return Fault::new(Code::Auth, error.to_string())
                .with_hint("check that each side has the other's key and runs the same profile");
        }
        _ => Fault::from(error.clone()),
    };
    match error.class() {
        Some(Class::Eof) => fault.or_hint("the peer hung up: is its key another?"),
        _ => fault,
    }
}

async fn open<P: Protocol>(
    protocol: &P,
    role: Role,
    tcp: TcpStream,
    run: &Run,
) -> Result<SecureStream<P::Machine>, Fault> {
    // Without it TCP is only slower.
    let _ = tcp.set_nodelay(true);
    let opened = SecureStream::open(tcp, |now| protocol.machine(role, now));
    let stream = tokio::select! {
        biased;
        () = run.interrupt.asked() => return Err(Fault::interrupted()),
        opened = opened => opened.map_err(|error| refused(&error))?,
    };
    let (json, human) = stream.with(|machine| P::told(machine));
    run.out.event(&json, &human);
    Ok(stream)
}

async fn bind(address: &str, run: &Run) -> Result<TcpListener, Fault> {
    let cannot = |error| Fault::tcp(&format!("cannot listen on {address}"), &error);
    let listener = TcpListener::bind(address).await.map_err(cannot)?;
    let bound = listener.local_addr().map_err(cannot)?;
    run.out.tell(
        &json!({ "event": "listening", "address": bound.to_string() }),
        &format!("listening on {bound}"),
    );
    Ok(listener)
}

/// The next TCP connection, while there is room for it.
async fn accept(
    listener: &TcpListener,
    tasks: &mut JoinSet<()>,
    run: &Run,
) -> Result<TcpStream, Fault> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = run.interrupt.asked() => return Err(Fault::interrupted()),
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept(), if tasks.len() < MOST => accepted,
        };
        match accepted {
            Ok((stream, _)) => return Ok(stream),
            // Out of descriptors, or a caller that hung up: neither ends the others.
            Err(error) => {
                run.out
                    .trouble(&Fault::tcp("cannot accept a connection", &error));
                tokio::time::sleep(tcp::BREATH).await;
            }
        }
    }
}

fn report(result: Result<(), Fault>, run: &Run) {
    if let Err(fault) = result
        && fault.code() != Code::Interrupted
    {
        run.out.trouble(&fault);
    }
}

async fn listen<O: Args, P: Protocol>(
    verb: &StreamListen<O>,
    protocol: P,
    run: &Run,
) -> Result<(), Fault> {
    let listener = bind(&verb.address, run).await?;
    let protocol = Arc::new(protocol);
    let mut tasks = JoinSet::new();
    let serving = verb.echo || verb.forward.is_some();
    let ended = loop {
        let tcp = match accept(&listener, &mut tasks, run).await {
            Ok(tcp) => tcp,
            Err(fault) => break fault,
        };
        if !serving {
            // Whoever fails the handshake has not been the one.
            match open(&*protocol, Role::Listener, tcp, run).await {
                Ok(stream) => return relay(run, stream, stdio::local()).await,
                Err(fault) if fault.is_interruption() => break fault,
                Err(fault) => run.out.trouble(&fault),
            }
            continue;
        }
        let (protocol, run, forward) = (protocol.clone(), run.clone(), verb.forward.clone());
        tasks.spawn(async move {
            let served = async {
                let stream = open(&*protocol, Role::Listener, tcp, &run).await?;
                match forward {
                    None => echo::serve(&run, stream).await,
                    Some(address) => tcp::join(&run, stream, tcp::connect(&address).await?).await,
                }
            };
            report(served.await, &run);
        });
    };
    while tasks.join_next().await.is_some() {}
    Err(ended)
}

async fn dial<O: Args, P: Protocol>(
    verb: &StreamDial<O>,
    protocol: P,
    run: &Run,
) -> Result<(), Fault> {
    let Some(address) = &verb.forward else {
        let tcp = tokio::select! {
            biased;
            () = run.interrupt.asked() => return Err(Fault::interrupted()),
            tcp = tcp::connect(&verb.address) => tcp?,
        };
        let stream = open(&protocol, Role::Dialer, tcp, run).await?;
        return relay(run, stream, stdio::local()).await;
    };
    let listener = bind(address, run).await?;
    let protocol = Arc::new(protocol);
    let mut tasks = JoinSet::new();
    let ended = loop {
        let local = match accept(&listener, &mut tasks, run).await {
            Ok(local) => local,
            Err(fault) => break fault,
        };
        let (protocol, run, address) = (protocol.clone(), run.clone(), verb.address.clone());
        tasks.spawn(async move {
            let served = async {
                let tcp = tcp::connect(&address).await?;
                let stream = open(&*protocol, Role::Dialer, tcp, &run).await?;
                tcp::join(&run, stream, local).await
            };
            report(served.await, &run);
        });
    };
    while tasks.join_next().await.is_some() {}
    Err(ended)
}
