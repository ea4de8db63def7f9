//! What the examples share: where their two ends meet.

use stillwire_tokio::Options;

/// The store's address and how to open it, from the command line: `STORE [HANDSHAKE TOKEN]`.
/// Without a store, this process's memory; without names, the usual ones.
pub fn place() -> (String, Options) {
    let mut words = std::env::args().skip(1);
    let store = words.next().unwrap_or_else(|| "memory:".to_owned());
    let options = Options {
        handshake: words.next(),
        token: words.next(),
        ..Options::default()
    };
    (store, options)
}
