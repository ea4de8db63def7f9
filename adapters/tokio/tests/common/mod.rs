//! What the tests share: stores, quick settings, a pair of connected ends.
#![allow(dead_code, unreachable_pub, reason = "no test uses all of it")]

use std::time::Duration;
use stillwire_tokio::{Config, Connection, Listener, Options, Policy, Store, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A store for one test, and what must outlive it.
pub struct Place {
    pub store: Store,
    _directory: Option<tempfile::TempDir>,
}

pub fn memory() -> Place {
    Place {
        store: Store::from_address("memory:", &Options::default()).unwrap(),
        _directory: None,
    }
}

pub fn directory() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let address = format!("dir:{}", directory.path().display());
    Place {
        store: Store::from_address(&address, &Options::default()).unwrap(),
        _directory: Some(directory),
    }
}

/// Settings that make a test quick; everything else is the default.
pub fn config() -> Config {
    Config {
        policy: Policy::Latency,
        accept_poll: Duration::from_millis(5),
        token_poll: Duration::from_millis(5),
        ..Config::default()
    }
}

pub struct Pair {
    pub listener: Listener,
    pub dialed: Connection,
    pub accepted: Connection,
}

pub async fn pair(place: &Place, config: Config) -> Pair {
    let mut listener = place.store.listen(config.clone()).await.unwrap();
    let ticket = listener.ticket().clone();
    let (dialed, accepted) = tokio::join!(dial(&ticket, config), listener.accept());
    Pair {
        listener,
        dialed: dialed.unwrap(),
        accepted: accepted.unwrap(),
    }
}

/// Bytes that differ everywhere, so that a shift, a gap or a repeat shows.
pub fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = vec![0; len];
    for chunk in bytes.chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    bytes
}

/// Sends everything back, then ends well.
pub async fn echo(connection: Connection) {
    let (mut read, mut write) = connection.split();
    tokio::io::copy(&mut read, &mut write).await.unwrap();
    write.shutdown().await.unwrap();
    write.closed().await.unwrap();
}

/// Writes `data`, ends, reads to the peer's end and waits for the end of it all.
pub async fn exchange(connection: Connection, data: &[u8]) -> Vec<u8> {
    let (mut read, mut write) = connection.split();
    let mut answer = Vec::new();
    let writing = async {
        write.write_all(data).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let reading = async {
        read.read_to_end(&mut answer).await.unwrap();
    };
    tokio::join!(writing, reading);
    write.closed().await.unwrap();
    answer
}

/// Two long byte strings that a failing test should not print.
pub fn assert_same(left: &[u8], right: &[u8]) {
    assert_eq!(left.len(), right.len());
    let differs = left.iter().zip(right).position(|(a, b)| a != b);
    assert_eq!(differs, None, "first difference");
}
