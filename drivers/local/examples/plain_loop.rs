//! Both ends of an encrypted connection, each a plain loop in a thread of its own: no async
//! runtime, and nothing between the two but a directory.
//!
//! `cargo run -p stillwire-local --example plain_loop`

use std::error::Error;
use std::ops::Range;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use stillwire_core::aznet::{
    Config, Connected, Connection, Dialer, DialerEvent, DialerSecurity, Listener, ListenerEvent,
    ListenerSecurity, Stats,
};
use stillwire_core::store::Role;
use stillwire_core::{Channel, Input, Instant, Machine, Output, Read};
use stillwire_local::{DirectoryStore, LocalStore};

/// An error that may cross from one thread to the other.
type Fault = Box<dyn Error + Send + Sync>;

/// How much goes there and comes back.
const BYTES: usize = 32 << 20;

// ANCHOR: world
/// Monotonic time as the machines want it: since an origin that stays the same.
#[derive(Clone, Copy)]
struct Clock(std::time::Instant);

impl Clock {
    fn now(self) -> Instant {
        let micros = self.0.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Nobody but time can wake a loop that performs its own requests.
    fn sleep_until(self, until: Option<Instant>) -> Result<(), Fault> {
        let until = until.ok_or("the machine waits, but for nothing")?;
        thread::sleep(until.since(self.now()));
        Ok(())
    }
}

/// Randomness for one machine, used for nothing else.
fn seed() -> Result<[u8; 32], Fault> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(seed)
}
// ANCHOR_END: world

// ANCHOR: run
/// Runs a machine until it waits; says at which instant it wants to be polled again.
fn run<M: Machine, S: LocalStore>(
    machine: &mut M,
    store: &S,
    session: Option<&S::Session>,
    clock: Clock,
    mut tell: impl FnMut(M::Event),
) -> Option<Instant> {
    loop {
        match machine.poll(clock.now()) {
            Output::Store(request) => {
                let result = store.perform(session, &request);
                // An error is final, repeats on every call, and comes as an event too.
                let _ = machine.handle(clock.now(), Input::Reply(request.id, result));
            }
            Output::Event(event) => tell(event),
            Output::Wait(until) => return until,
            _ => unreachable!("a protocol over storage does not transmit"),
        }
    }
}
// ANCHOR_END: run

// ANCHOR: dial
/// Leaves message 1, looks for message 2, and has a connection.
fn dial<S: LocalStore>(store: &S, config: Config, clock: Clock) -> Result<Connection, Fault> {
    let security = DialerSecurity::Nn;
    let mut dialer = Dialer::new(config, store.profile(), &security, seed()?, clock.now());
    loop {
        let mut outcome = None;
        let until = run(&mut dialer, store, None, clock, |event| {
            outcome = Some(event);
        });
        match outcome {
            // Here would be the grants to open an Azure session with; a directory needs none.
            Some(DialerEvent::Connected(connected)) => {
                let Connected { connection, .. } = *connected;
                return Ok(connection);
            }
            Some(DialerEvent::Failed(error)) => return Err(error.into()),
            None => clock.sleep_until(until)?,
        }
    }
}
// ANCHOR_END: dial

// ANCHOR: exchange
/// Sends `data`, ends our direction, and reads until the peer has ended its own.
fn exchange<S: LocalStore>(
    connection: &mut Connection,
    store: &S,
    clock: Clock,
    data: &[u8],
) -> Result<Vec<u8>, Fault> {
    let session = store.session(connection.id(), Role::Dialer);
    let mut rest = data;
    let mut closing = false;
    let mut received = Vec::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        // The machine's turn.
        let until = run(connection, store, Some(&session), clock, |_| {});
        // The application's turn: give what fits, take what is there.
        let mut moved = false;
        if !rest.is_empty() {
            let taken = connection.write(clock.now(), rest)?;
            rest = &rest[taken..];
            moved |= taken > 0;
        } else if !closing {
            connection.close_write(clock.now())?;
            closing = true;
            moved = true;
        }
        while let Read::Data(length) = connection.read(clock.now(), &mut buffer)? {
            received.extend_from_slice(&buffer[..length]);
            moved = true;
        }
        // A finished machine may still have held bytes to read: only now is it really over.
        if connection.is_finished() {
            return match connection.error() {
                Some(error) => Err(error.clone().into()),
                None => Ok(received),
            };
        }
        // Sleep only if the application changed nothing: else `until` is out of date.
        if !moved {
            clock.sleep_until(until)?;
        }
    }
}
// ANCHOR_END: exchange

// ANCHOR: listen
/// What the listening end saw.
struct Echoed {
    binding: [u8; 32],
    stats: Stats,
}

/// Accepts one connection, echoes it, and cleans up: two machines in one loop.
fn listen<S: LocalStore>(
    store: &S,
    config: Config,
    clock: Clock,
    ready: &mpsc::Sender<()>,
) -> Result<Echoed, Fault> {
    let security = ListenerSecurity::Nn;
    let mut listener = Listener::new(config, store.profile(), security, seed()?, clock.now());
    let mut serving = None;
    let mut echoed = Err("no connection came".into());
    loop {
        let mut failed = None;
        let mut until = run(&mut listener, store, None, clock, |event| match event {
            // From now on a dialer finds us. It may have gone: that is its affair.
            ListenerEvent::Ready => drop(ready.send(())),
            ListenerEvent::Accepted(connection) => {
                let session = store.session(connection.id(), Role::Listener);
                serving = Some((connection, session, Echo::default()));
            }
            ListenerEvent::Rejected { error, .. } => eprintln!("refused a handshake: {error}"),
            // Whoever has many connections aborts this one. Here there is room for all.
            ListenerEvent::Overdue(id) => eprintln!("{id} has not shown that it is alive"),
            ListenerEvent::Trouble(failure) => eprintln!("trying again: {failure}"),
            ListenerEvent::Failed(error) => failed = Some(error),
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        if listener.is_finished() {
            return echoed;
        }
        let mut moved = false;
        if let Some((connection, session, echo)) = &mut serving {
            let its = run(connection.as_mut(), store, Some(session), clock, |_| {});
            until = [until, its].into_iter().flatten().min();
            if connection.is_finished() {
                echoed = match connection.error() {
                    Some(error) => Err(error.clone().into()),
                    None => Ok(Echoed {
                        binding: connection.channel_binding(),
                        stats: *connection.stats(),
                    }),
                };
                // The janitor removes what the connection could not.
                let (id, clean) = (connection.id(), connection.is_clean());
                listener.connection_ended(clock.now(), id, clean);
                listener.stop(clock.now());
                serving = None;
                moved = true;
            } else {
                // An error here comes again as the connection's own.
                moved = echo.step(connection, clock.now()).unwrap_or(true);
            }
        }
        if !moved {
            clock.sleep_until(until)?;
        }
    }
}

/// An application that sends back what it gets.
#[derive(Default)]
struct Echo {
    buffer: Vec<u8>,
    /// What of the buffer is still to be sent.
    held: Range<usize>,
    closing: bool,
}

impl Echo {
    /// Does what can be done now; true if that was anything.
    fn step(&mut self, connection: &mut Connection, now: Instant) -> Result<bool, Fault> {
        let mut moved = false;
        loop {
            // No reading ahead of a full writer: back-pressure goes through to the sender.
            while !self.held.is_empty() {
                match connection.write(now, &self.buffer[self.held.clone()])? {
                    0 => return Ok(moved),
                    taken => self.held.start += taken,
                }
                moved = true;
            }
            self.buffer.resize(256 << 10, 0);
            match connection.read(now, &mut self.buffer)? {
                Read::Data(length) => self.held = 0..length,
                Read::End if !self.closing => {
                    connection.close_write(now)?;
                    self.closing = true;
                    return Ok(true);
                }
                Read::Pending | Read::End => return Ok(moved),
            }
        }
    }
}
// ANCHOR_END: listen

// ANCHOR: main
fn main() -> Result<(), Fault> {
    let directory = tempfile::tempdir()?;
    let store = DirectoryStore::open(directory.path())?;
    let clock = Clock(std::time::Instant::now());
    // Both ends are here: no need to look only once a second for each other.
    let config = Config {
        accept_poll: Duration::from_millis(20),
        token_poll: Duration::from_millis(20),
        ..Config::default()
    };
    let data: Vec<u8> = (0..BYTES)
        .map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8)
        .collect();

    let (ready, is_ready) = mpsc::channel();
    let (its_store, its_config) = (store.clone(), config.clone());
    let listener = thread::spawn(move || listen(&its_store, its_config, clock, &ready));
    is_ready
        .recv()
        .map_err(|_| "the listener did not come up")?;
    let mut connection = dial(&store, config, clock)?;
    let started = std::time::Instant::now();
    let received = exchange(&mut connection, &store, clock, &data)?;
    let took = started.elapsed();
    let echoed = listener.join().map_err(|_| "the listener panicked")??;

    if received != data {
        return Err("what came back is not what was sent".into());
    }
    if connection.channel_binding() != echoed.binding {
        return Err("the two ends disagree about the handshake".into());
    }
    let moved = 2.0 * BYTES as f64;
    println!(
        "echo       {} MiB there and back in {:.2} s, {:.0} MB/s",
        BYTES >> 20,
        took.as_secs_f64(),
        moved / 1e6 / took.as_secs_f64()
    );
    println!(
        "requests   {} by the dialer, {} by the listener",
        connection.stats().requests(),
        echoed.stats.requests()
    );
    println!("binding    equal at both ends");
    Ok(())
}
// ANCHOR_END: main

#[cfg(test)]
mod tests {
    #[test]
    fn both_ends_meet_and_agree() -> Result<(), super::Fault> {
        super::main()
    }
}
