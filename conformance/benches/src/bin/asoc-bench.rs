//! ASoc over loopback: a stream beside a bare TCP copy, handshakes, idle connections.
//!
//! ```text
//! asoc-bench stream [--bytes N] [--rounds N]   one line of JSON for each kind and round
//! asoc-bench handshakes [--count N] [--rounds N]
//! asoc-bench idle [--count N]          the other ends are in a process of their own
//! asoc-bench idle-bare [--count N]
//! ```
//!
//! The bare copy runs in the same process on the same runtime, one task for each end, and writes
//! and reads in pieces of the same size. Kinds take turns, so that a slow moment of the machine
//! does not hit one of them alone.

use serde_json::{Value, json};
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use stillwire_tokio::asoc::{
    ApiKey, Config, Connection, Identity, Node, NodeId, Options, Profile, Suite, connect, start,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Problem = Box<dyn Error + Send + Sync>;

/// Bytes of one write, and of one frame.
const CHUNK: usize = 1 << 20;

fn main() -> Result<(), Problem> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str, default: u64| {
        let at = arguments.iter().position(|argument| argument == name);
        let value = at.and_then(|at| arguments.get(at + 1));
        value.map_or(Ok(default), |value| value.parse())
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments.first().map(String::as_str) {
        Some("stream") => {
            let (bytes, rounds) = (option("--bytes", 1 << 30)?, option("--rounds", 5)?);
            runtime.block_on(streams(bytes, rounds))
        }
        Some("handshakes") => {
            let (count, rounds) = (option("--count", 1_000)?, option("--rounds", 5)?);
            runtime.block_on(handshakes(count, rounds))
        }
        Some("idle") => runtime.block_on(idle(option("--count", 10_000)?)),
        Some("idle-bare") => runtime.block_on(idle_bare(option("--count", 10_000)?)),
        Some(verb @ ("hold" | "hold-bare")) => {
            let port = u16::try_from(option("--port", 0)?)?;
            let count = option("--count", 0)?;
            if verb == "hold" {
                runtime.block_on(hold(port, count))
            } else {
                runtime.block_on(hold_bare(port, count))
            }
        }
        _ => Err("asoc-bench stream|handshakes|idle|idle-bare".into()),
    }
}

fn key() -> Result<ApiKey, Problem> {
    Ok(ApiKey::new(b"a key of the cluster, 32 bytes..")?)
}

fn identity() -> Result<Identity, Problem> {
    Ok(Identity {
        node: NodeId::from_bytes([2; 16]),
        keys: vec![key()?],
        community: String::new(),
    })
}

fn config(profile: Profile) -> Config {
    Config {
        profile,
        ..Config::default()
    }
}

async fn listening(profile: Profile) -> Result<(Node, SocketAddr), Problem> {
    let mut options = Options::new(NodeId::from_bytes([1; 16]), key()?);
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options.config.connection = config(profile);
    // One peer here stands for many.
    options.config.limits.connections = 1 << 20;
    options.config.limits.connections_per_hour = 1 << 20;
    options.config.limits.connections_per_node = 1 << 20;
    options.audit = Some(std::sync::Arc::new(|_| {}));
    let node = start(options).await?;
    let at = node.local_addr().ok_or("the node does not listen")?;
    Ok((node, at))
}

fn say(kind: &str, fields: Value) {
    let mut line = json!({ "kind": kind });
    if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
        line.extend(fields);
    }
    println!("{line}");
}

async fn streams(bytes: u64, rounds: u64) -> Result<(), Problem> {
    let hardened = |suite| Profile::Hardened(suite);
    // The first runs warm the machine up and are not told.
    bare(bytes / 4).await?;
    asoc(bytes / 4, Profile::Default).await?;
    for round in 0..rounds {
        let told = |kind: &str, bytes: u64, time: Duration| {
            let rate = bytes as f64 / time.as_secs_f64() / f64::from(1 << 20);
            say(kind, json!({ "round": round, "mib_per_second": rate }));
        };
        told("bare TCP", bytes, bare(bytes).await?);
        told("default", bytes, asoc(bytes, Profile::Default).await?);
        let aes = asoc(bytes, hardened(Suite::Aes256Gcm)).await?;
        told("hardened AES-256-GCM", bytes, aes);
        // The slow one, and nobody's target: a quarter is enough.
        let few = bytes / 4;
        let chacha = asoc(few, hardened(Suite::ChaCha20Poly1305)).await?;
        told("hardened ChaCha20-Poly1305", few, chacha);
    }
    Ok(())
}

/// A copy over TCP with the same writes and a buffer of the same size.
async fn bare(bytes: u64) -> Result<Duration, Problem> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let at = listener.local_addr()?;
    let reading = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await?;
        let mut buffer = vec![0; CHUNK];
        let mut total = 0;
        loop {
            match socket.read(&mut buffer).await? {
                0 => return Ok::<u64, std::io::Error>(total),
                n => total += n as u64,
            }
        }
    });
    let mut socket = TcpStream::connect(at).await?;
    socket.set_nodelay(true)?;
    let chunk = vec![7; CHUNK];
    let start = Instant::now();
    for _ in 0..bytes / CHUNK as u64 {
        socket.write_all(&chunk).await?;
    }
    socket.shutdown().await?;
    let total = reading.await??;
    let time = start.elapsed();
    (total == bytes)
        .then_some(time)
        .ok_or_else(|| "bytes are missing".into())
}

async fn asoc(bytes: u64, profile: Profile) -> Result<Duration, Problem> {
    let (node, at) = listening(profile).await?;
    let reading = tokio::spawn(async move {
        let connection = node.accept().await.ok_or("the node stopped")?;
        let mut stream = connection.accept().await?.ok_or("there is no stream")?;
        let mut total = 0;
        while let Some(piece) = stream.chunk().await? {
            total += piece.len() as u64;
        }
        Ok::<u64, Problem>(total)
    });
    let connection = connect(at, identity()?, config(profile), None).await?;
    let chunk = bytes::Bytes::from(vec![7; CHUNK]);
    let mut stream = connection.open()?;
    let start = Instant::now();
    for _ in 0..bytes / CHUNK as u64 {
        stream.send(chunk.clone()).await?;
    }
    stream.finish()?;
    let total = reading.await??;
    let time = start.elapsed();
    (total == bytes)
        .then_some(time)
        .ok_or_else(|| "bytes are missing".into())
}

/// One connection after another, each dropped once its handshake is done.
async fn handshakes(count: u64, rounds: u64) -> Result<(), Problem> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let bare = listener.local_addr()?;
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let mut nodes = Vec::new();
    for (kind, profile) in [
        ("default", Profile::Default),
        ("hardened", Profile::Hardened(Suite::Aes256Gcm)),
    ] {
        let (node, at) = listening(profile).await?;
        tokio::spawn(async move { while node.accept().await.is_some() {} });
        nodes.push((kind, profile, at));
    }
    for round in 0..rounds {
        let told = |kind: &str, start: Instant| {
            let rate = count as f64 / start.elapsed().as_secs_f64();
            say(
                kind,
                json!({ "round": round, "connections_per_second": rate }),
            );
        };
        let start = Instant::now();
        for _ in 0..count {
            drop(TcpStream::connect(bare).await?);
        }
        told("bare TCP", start);
        for (kind, profile, at) in &nodes {
            let start = Instant::now();
            for _ in 0..count {
                drop(connect(*at, identity()?, config(*profile), None).await?);
            }
            told(kind, start);
        }
    }
    Ok(())
}

/// Resident memory, in KiB.
fn resident() -> Result<u64, Problem> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(number.ok_or("there is no VmRSS")?.parse()?)
}

/// Dials `count` times from a process of its own, and holds them until its standard input ends.
fn holder(verb: &str, at: SocketAddr, count: u64) -> Result<std::process::Child, Problem> {
    let (port, count) = (at.port().to_string(), count.to_string());
    let mut holder = std::process::Command::new(std::env::current_exe()?);
    holder.args([verb, "--port", &port, "--count", &count]);
    Ok(holder.stdin(std::process::Stdio::piped()).spawn()?)
}

fn told_idle(kind: &str, open: usize, before: u64) -> Result<(), Problem> {
    let after = resident()?;
    let each = after.saturating_sub(before) as f64 / open as f64;
    let total = after / 1024;
    say(
        kind,
        json!({ "connections": open, "resident_mib": total, "kib_each": each }),
    );
    Ok(())
}

/// Connections on which nothing is said, all in this process.
async fn idle(count: u64) -> Result<(), Problem> {
    let (node, at) = listening(Profile::Default).await?;
    let before = resident()?;
    let mut other = holder("hold", at, count)?;
    let mut held = Vec::new();
    while (held.len() as u64) < count {
        held.push(node.accept().await.ok_or("the node stopped")?);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let open = held.iter().filter(|held| held.peer().is_some()).count();
    told_idle("idle default", open, before)?;
    drop(other.stdin.take());
    other.wait()?;
    Ok(())
}

/// The same with bare TCP, a task for each that reads.
async fn idle_bare(count: u64) -> Result<(), Problem> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let before = resident()?;
    let mut other = holder("hold-bare", listener.local_addr()?, count)?;
    let mut tasks = tokio::task::JoinSet::new();
    while (tasks.len() as u64) < count {
        let (mut socket, _) = listener.accept().await?;
        tasks.spawn(async move { socket.read_u8().await });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    told_idle("idle bare TCP", tasks.len(), before)?;
    drop(other.stdin.take());
    other.wait()?;
    Ok(())
}

async fn hold_bare(port: u16, count: u64) -> Result<(), Problem> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(TcpStream::connect(("127.0.0.1", port)).await?);
    }
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    drop(held);
    Ok(())
}

/// The other ends: dialed, and held until standard input ends.
async fn hold(port: u16, count: u64) -> Result<(), Problem> {
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    let mut held: Vec<Connection> = Vec::new();
    for _ in 0..count {
        held.push(connect(at, identity()?, Config::default(), None).await?);
    }
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    drop(held);
    Ok(())
}
