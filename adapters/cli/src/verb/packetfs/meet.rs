//! Meeting the other end: the one that we call, or the first caller that proves itself.

use super::drive::{Wire, fault};
use super::key;
use crate::args::packetfs::PacketfsEnd;
use crate::exit::{Code, Fault};
use crate::output::Output;
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::thread::sleep;
use std::time::Duration;
use stillwire_core::Streamed;
use stillwire_core::crypto::Rng;
use stillwire_core::packetfs::object::Role;
use stillwire_core::packetfs::{Config, Psk};

/// Callers heard at once; one more displaces the one that came first.
const CALLERS: usize = 16;

/// Longest wait for a caller's next bytes while others wait too.
const TURN: Duration = Duration::from_millis(5);

/// Between two looks for callers while there is none.
const LOOK: Duration = Duration::from_millis(20);

/// What a session is made of.
pub(super) struct Terms {
    pub(super) role: Role,
    pub(super) config: Config,
    pub(super) psk: Psk,
    pub(super) rng: Rng,
}

/// Reads the key, and meets the other end; `make` makes a session for each that may be it.
pub(super) fn meet<M: Streamed>(
    end: &PacketfsEnd,
    out: Output,
    make: impl Fn(Terms) -> Result<M, Fault>,
) -> Result<(M, Wire), Fault> {
    let secret = key::bytes(end)?;
    let config = end.options.config(end.patience);
    let make = |role| {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| Fault::new(Code::Local, format!("no randomness: {error}")))?;
        make(Terms {
            role,
            config: config.clone(),
            psk: key::psk(&secret)?,
            rng: Rng::from_seed(seed),
        })
    };
    // One that is too short is told before anybody is called or waited for.
    key::psk(&secret)?;
    if let Some(address) = &end.connect {
        let socket = TcpStream::connect(address)
            .map_err(|error| Fault::tcp(&format!("cannot connect to {address}"), &error))?;
        return Ok((make(Role::Initiator)?, wire(socket)));
    }
    let address = end.listen.as_deref().unwrap_or_default();
    let cannot = |error| Fault::tcp(&format!("cannot listen on {address}"), &error);
    let listener = TcpListener::bind(address).map_err(cannot)?;
    listener.set_nonblocking(true).map_err(cannot)?;
    let local = listener.local_addr().map_err(cannot)?.to_string();
    let json = serde_json::json!({"event": "listening", "address": local});
    out.event(&json, &format!("listening on {local}"));
    let mut callers = VecDeque::new();
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                // Some systems hand the listener's mode on.
                socket.set_nonblocking(false).map_err(cannot)?;
                if callers.len() >= CALLERS {
                    callers.pop_front();
                }
                callers.push_back((make(Role::Responder)?, wire(socket)));
            }
            Err(error) if is_passing(error.kind()) => {}
            Err(error) => return Err(cannot(error)),
        }
        if callers.is_empty() {
            sleep(LOOK);
        }
        if let Some(met) = hear(&mut callers, out) {
            return Ok(met);
        }
    }
}

/// Gives each caller a turn, and the first that has proved itself back. Who cannot is turned away.
fn hear<M: Streamed>(callers: &mut VecDeque<(M, Wire)>, out: Output) -> Option<(M, Wire)> {
    for _ in 0..callers.len() {
        let (mut machine, mut wire) = callers.pop_front()?;
        let heard = wire
            .flush(&mut machine, |_| {})
            .and_then(|_| wire.wait(&mut machine, Some(TURN)).map_err(fault));
        if machine.is_established() {
            // An error comes again, and is then the session's.
            return Some((machine, wire));
        }
        match heard {
            Ok(()) => callers.push_back((machine, wire)),
            Err(fault) => out.trouble(&fault),
        }
    }
    None
}

/// Nobody called, or somebody who has gone again.
fn is_passing(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::WouldBlock
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
    )
}

fn wire(socket: TcpStream) -> Wire {
    let _ = socket.set_nodelay(true);
    Wire::new(socket)
}
