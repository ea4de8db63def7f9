//! `--metrics ADDR`: counters as Prometheus reads them, over plain HTTP.
//!
//! What is counted is listed in `stillwire_futures`' feature `metrics`; a listener adds figures of
//! its own.

use crate::exit::Fault;
use ::metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit, gauge,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use stillwire_tokio::ListenerMonitor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// Longest head of a request that is read.
const LONGEST_HEAD: usize = 8_192;
/// How long one scrape may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Scrapes at once; more wait.
const AT_ONCE: usize = 8;
/// Pause after a failed accept.
const BREATH: Duration = Duration::from_millis(100);

type Values = BTreeMap<(String, String), Arc<AtomicU64>>;

/// All counters and gauges that anybody has touched.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<(Values, Values)>>);

impl Registry {
    fn lock(&self) -> MutexGuard<'_, (Values, Values)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As text, in the order of names.
    fn text(&self) -> String {
        let values = self.lock();
        let mut text = String::new();
        let mut last = String::new();
        let counters = values.0.iter().map(|entry| ("counter", entry));
        let gauges = values.1.iter().map(|entry| ("gauge", entry));
        for (kind, ((name, labels), value)) in counters.chain(gauges) {
            if *name != last {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "# TYPE {name} {kind}");
                last.clone_from(name);
            }
            let value = value.load(Ordering::Relaxed);
            let _ = match kind {
                "gauge" => writeln!(text, "{name}{labels} {}", f64::from_bits(value)),
                _ => writeln!(text, "{name}{labels} {value}"),
            };
        }
        text
    }
}

fn place(values: &mut Values, key: &Key) -> Arc<AtomicU64> {
    let labels: Vec<_> = key
        .labels()
        .map(|label| format!("{}=\"{}\"", label.key(), escape(label.value())))
        .collect();
    let labels = match labels.as_slice() {
        [] => String::new(),
        labels => format!("{{{}}}", labels.join(",")),
    };
    values
        .entry((key.name().to_owned(), labels))
        .or_default()
        .clone()
}

fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

impl Recorder for Registry {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(place(&mut self.lock().0, key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(place(&mut self.lock().1, key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Counters that are served for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Exporter {
    socket: TcpListener,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Exporter {
    /// Takes the address.
    pub(crate) async fn bind(address: &str) -> Result<Self, Fault> {
        let cannot = |error| Fault::file(&format!("cannot serve metrics on {address}"), &error);
        let socket = TcpListener::bind(address).await.map_err(cannot)?;
        let address = socket.local_addr().map_err(cannot)?;
        Ok(Self { socket, address })
    }

    /// Serves the counters of this process, and the figures of a listener, until dropped.
    pub(crate) async fn serve(self, listener: ListenerMonitor) {
        let registry = Registry::default();
        // Nobody else installs one in this program; a second listener would share it.
        let _ = ::metrics::set_global_recorder(registry.clone());
        let room = Arc::new(Semaphore::new(AT_ONCE));
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else {
                return;
            };
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    update(&listener);
                    let text = registry.text();
                    tokio::spawn(async move {
                        // A scraper that goes away is no news.
                        let _ = timeout(PATIENCE, answer(stream, &text)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a scrape");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }
}

/// What only the listener knows.
fn update(listener: &ListenerMonitor) {
    let stats = listener.stats();
    for (name, value) in [
        ("stillwire_listener_connections", listener.connections()),
        ("stillwire_listener_half_open", listener.half_open()),
        ("stillwire_listener_waiting", listener.waiting()),
    ] {
        gauge!(name).set(value as f64);
    }
    for (name, value) in [
        ("stillwire_listener_accepted_total", stats.accepted),
        ("stillwire_listener_overdue_total", stats.overdue),
        ("stillwire_listener_listings_total", stats.listings),
        ("stillwire_listener_requests_total", stats.requests()),
    ] {
        ::metrics::counter!(name).absolute(value);
    }
}

/// Answers one request and hangs up.
async fn answer(mut stream: TcpStream, text: &str) -> io::Result<()> {
    let mut head = Vec::new();
    let mut part = [0; 1_024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let n = stream.read(&mut part).await?;
        if n == 0 || head.len() > LONGEST_HEAD {
            return Ok(());
        }
        head.extend_from_slice(part.get(..n).unwrap_or_default());
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, text) = match line {
        line if line.starts_with(b"GET /metrics ") || line.starts_with(b"GET / ") => {
            ("200 OK", text)
        }
        line if line.starts_with(b"GET ") => ("404 Not Found", "see /metrics\n"),
        _ => ("405 Method Not Allowed", "only GET\n"),
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::metrics::Label;

    const METADATA: Metadata<'static> = Metadata::new("", ::metrics::Level::INFO, None);

    #[test]
    fn counters_and_gauges_are_written_as_prometheus_reads_them() {
        let registry = Registry::default();
        let key = |name: &'static str, labels: Vec<Label>| Key::from_parts(name, labels);
        let odd = vec![Label::new("operation", "a\"b\\c\nd")];
        registry
            .register_counter(&key("x_total", odd.clone()), &METADATA)
            .increment(2);
        registry
            .register_counter(&key("x_total", odd), &METADATA)
            .increment(3);
        registry
            .register_counter(&key("x_total", Vec::new()), &METADATA)
            .increment(1);
        let gauge = registry.register_gauge(&key("y", Vec::new()), &METADATA);
        gauge.increment(2.0);
        gauge.decrement(0.5);
        assert_eq!(
            registry.text(),
            "# TYPE x_total counter\nx_total 1\nx_total{operation=\"a\\\"b\\\\c\\nd\"} 5\n\
             # TYPE y gauge\ny 1.5\n"
        );
    }
}
