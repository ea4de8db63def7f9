//! Sealing and opening 64 KiB messages of OpenZiti's streams, as lines that `cargo xtask bench ziti`
//! compares with libsodium's own.

mod measure;

use measure::{Once, in_turn, megabytes};
use std::hint::black_box;
use std::time::Instant;
use stillwire_core::crypto::Secret;
use stillwire_core::ziti::secretstream::{OVERHEAD, tag};
use stillwire_core::ziti::{Dialect, Pull, Push};

const MESSAGE: usize = 64 << 10;
const HEADER: [u8; 24] = [7; 24];

fn key() -> Secret {
    Secret::from([0x42; 32])
}

fn main() {
    let mut push = Push::new(&key(), &HEADER);
    let mut sealed = vec![0x55; MESSAGE + OVERHEAD];
    let seal: Once<'_> = Box::new(move || {
        let start = Instant::now();
        push.seal(tag::MESSAGE, &[], &mut sealed)
            .expect("it has room");
        black_box(&sealed);
        start.elapsed()
    });
    let mut other = Push::new(&key(), &HEADER);
    let mut pull = Pull::new(&key(), &HEADER, Dialect::Sodium);
    let mut message = vec![0x55; MESSAGE + OVERHEAD];
    let open: Once<'_> = Box::new(move || {
        other
            .seal(tag::MESSAGE, &[], &mut message)
            .expect("it has room");
        let start = Instant::now();
        let opened = pull.open(&[], &mut message);
        let spent = start.elapsed();
        assert_eq!(opened, Ok(tag::MESSAGE));
        spent
    });
    let [push, pull] = in_turn([seal, open]);
    println!("push_mb_per_s {:.0}", megabytes(push, MESSAGE));
    println!("pull_mb_per_s {:.0}", megabytes(pull, MESSAGE));
}
