//! Every adapter, every service, both roles: 5 MB there and back, and a half-close.

use std::thread;
use std::time::{Duration, Instant};
use stillwire_scenarios::bytes::{echo, exchange, pattern, read_to_end};
use stillwire_scenarios::go::{self, Go, number};
use stillwire_scenarios::{Adapter, Place, Store, adapters, stores};
use stillwire_tokio::Config;

const SERVICES: [&Store; 3] = [&stores::azblob, &stores::azqueue, &stores::aztable];
const ECHO: usize = 5_000_000;
const ONE_WAY: usize = 1_000_000;

type Cell = fn(&str, &'static dyn Adapter, &Store) -> Result<(), String>;

const ROLES: [(&str, Cell); 2] = [("Go dials us", go_dials_us), ("we dial Go", we_dial_go)];

fn config() -> Config {
    Config {
        connect_timeout: Duration::from_secs(90),
        // A Go dialer does not say when it has read everything: its session stays for so long.
        close_timeout: Duration::from_secs(10),
        ping_interval: Duration::from_secs(5),
        accept_poll: Duration::from_millis(100),
        ..Config::default()
    }
}

#[test]
fn matrix() {
    let cells = adapters::ALL.len() * ROLES.len();
    let program = match go::program() {
        Ok(program) => program,
        Err(why) => {
            println!(
                "skipped: the matrix of {} cells: {why}",
                cells * SERVICES.len()
            );
            return;
        }
    };
    let mut services = Vec::new();
    for service in SERVICES {
        match (service.open)() {
            Ok(_) => services.push(service),
            Err(why) => println!(
                "skipped: {cells} cells of the matrix, {}: {why}",
                service.name
            ),
        }
    }
    // The adapters side by side: a cell mostly waits for Go.
    let rows: Vec<_> = thread::scope(|scope| {
        let row = |adapter| {
            let (program, services) = (&program, &services);
            scope.spawn(move || row(program, adapter, services))
        };
        let rows = adapters::ALL.map(row);
        rows.into_iter().map(|row| row.join().unwrap()).collect()
    });
    println!("{:10} {:9} {:12} outcome", "adapter", "service", "role");
    for (line, _) in rows.iter().flatten() {
        println!("{line}");
    }
    let failed = rows.iter().flatten().filter(|(_, ok)| !ok).count();
    assert_eq!(failed, 0, "cells of the matrix failed");
}

/// The cells of one adapter: a line of the table each, and whether it is good.
fn row(program: &str, adapter: &'static dyn Adapter, services: &[&Store]) -> Vec<(String, bool)> {
    let mut lines = Vec::new();
    for &service in services {
        for (role, cell) in ROLES {
            let begun = Instant::now();
            let outcome = cell(program, adapter, service);
            let told = match &outcome {
                Ok(()) => format!("ok {:.1} s", begun.elapsed().as_secs_f32()),
                Err(why) => format!("FAILED {why}"),
            };
            let (adapter, service) = (adapter.name(), service.name);
            let line = format!("{adapter:10} {service:9} {role:12} {told}");
            lines.push((line, outcome.is_ok()));
        }
    }
    lines
}

/// In a thread, so that what panics there is one cell's failure.
fn guarded<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let told = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "a panic".to_owned())
    };
    thread::spawn(work)
        .join()
        .unwrap_or_else(|panic| Err(told(panic)))
}

fn go_dials_us(
    program: &str,
    adapter: &'static dyn Adapter,
    service: &Store,
) -> Result<(), String> {
    let place: Place = (service.open)()?;
    let (driver, program) = (service.name, program.to_owned());
    guarded(move || {
        let text = |error| format!("{error}");
        let mut listener = adapter.listen(&place, config()).map_err(text)?;
        let url = listener.ticket().to_string();
        let dial = |arguments: &[&str]| {
            let arguments = [arguments, &[&url]].concat();
            Go::start(&program, "dial", driver, &place, &arguments)
        };

        // Go checks what comes back.
        let go = dial(&["--mode", "echo", "--bytes", &ECHO.to_string()])?;
        let (length, mut write) = echo(listener.accept().map_err(text)?);
        let done = go.next("done")?;
        expect("echoed", length, ECHO)?;
        expect(
            "received by Go",
            number(&done, "received"),
            Some(ECHO as u64),
        )?;
        write.closed().map_err(text)?;
        drop(write);

        // Go ends first, and still receives.
        let go = dial(&["--mode", "connect"])?;
        let mut end = listener.accept().map_err(text)?;
        expect("before Go's end", end.read.read(&mut [0; 8]).ok(), Some(0))?;
        end.write
            .write_all(&pattern(1, ONE_WAY))
            .map_err(|e| e.to_string())?;
        end.write.close_write().map_err(|e| e.to_string())?;
        let done = go.next("done")?;
        expect(
            "received after the half-close",
            number(&done, "received"),
            Some(ONE_WAY as u64),
        )?;
        drop(end);
        listener.stop().map_err(text)
    })
}

fn we_dial_go(program: &str, adapter: &'static dyn Adapter, service: &Store) -> Result<(), String> {
    // The second listener is one of its own.
    let (place, other): (Place, Place) = ((service.open)()?, (service.open)()?);
    let (driver, program) = (service.name, program.to_owned());
    guarded(move || {
        let text = |error| format!("{error}");
        let go = Go::start(&program, "listen", driver, &place, &["--mode", "echo"])?;
        let ticket = go.ticket()?;
        let dialed = adapter.dial(&ticket, config()).map_err(text)?;
        let data = pattern(2, ECHO);
        let (back, mut write) = exchange(dialed, data.clone());
        expect("came back", back == data, true)?;
        write.closed().map_err(text)?;
        drop((write, go));

        // We end first, and still receive.
        let arguments = [
            "--mode",
            "source",
            "--seed",
            "3",
            "--bytes",
            &ONE_WAY.to_string(),
        ];
        let go = Go::start(&program, "listen", driver, &other, &arguments)?;
        let ticket = go.ticket()?;
        let mut dialed = adapter.dial(&ticket, config()).map_err(text)?;
        dialed.write.close_write().map_err(|e| e.to_string())?;
        let received = read_to_end(dialed.read.as_mut());
        expect(
            "received after our half-close",
            received == pattern(3, ONE_WAY),
            true,
        )?;
        dialed.write.closed().map_err(text)
    })
}

fn expect<T: Copy + PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    wanted: T,
) -> Result<(), String> {
    if got == wanted {
        Ok(())
    } else {
        Err(format!("{what}: {got:?}, not {wanted:?}"))
    }
}
