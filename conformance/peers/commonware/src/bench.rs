//! What the crate itself can do, on one thread and without a socket.

use super::{Problem, Storage, versions};
use commonware_cryptography::ed25519::PrivateKey;
use commonware_cryptography::handshake::sake::{
    Context, dial_end, dial_start, listen_end, listen_start,
};
use commonware_cryptography::{ChaCha20Poly1305, Signer as _};
use commonware_runtime::{Runner as _, Supervisor as _, mocks, tokio};
use commonware_stream::Upgrader as _;
use commonware_stream::cups::Cups;
use commonware_stream::sake::Sake;
use std::time::{Duration, Instant};

const SPAN: Duration = Duration::from_secs(2);

fn handshakes(profile: &str) -> Result<f64, Problem> {
    let (version, _) = versions(profile)?;
    let (dialer, listener) = (PrivateKey::from_seed(1), PrivateKey::from_seed(2));
    let mut rng = rand::rng();
    let (start, mut done) = (Instant::now(), 0);
    while start.elapsed() < SPAN {
        let (ours, theirs) = (dialer.public_key(), listener.public_key());
        let dialing = Context::new(b"bench", 5, 0..10, dialer.clone(), theirs, version);
        let listening = Context::new(b"bench", 5, 0..10, listener.clone(), ours, version);
        let (dial, syn) = dial_start(&mut rng, dialing);
        let (listen, answer) = listen_start(&mut rng, listening, syn)?;
        let (ack, _) = dial_end(dial, answer)?;
        listen_end(listen, ack)?;
        done += 1;
    }
    Ok(f64::from(done) / start.elapsed().as_secs_f64())
}

/// Megabytes a second, sealed by one end and opened by the other, in turn.
fn records(profile: &str, size: usize, storage: &Storage) -> Result<f64, Problem> {
    let (sake, cups) = versions(profile)?;
    let channel = |seed| {
        let handshake = Sake {
            signer: PrivateKey::from_seed(seed),
            synchrony_bound: Duration::from_secs(5),
            max_handshake_age: Duration::from_secs(10),
            version: sake,
        };
        Cups::<_, ChaCha20Poly1305>::new(handshake, cups)
    };
    let (dialer, listener) = (channel(1), channel(2));
    tokio::Runner::new(storage.config(1)).start(|context| async move {
        let (to_listener, from_dialer) = mocks::Channel::init_with_buffer_size(4 << 20);
        let (to_dialer, from_listener) = mocks::Channel::init_with_buffer_size(4 << 20);
        let limit = 2 << 20;
        let peer = PrivateKey::from_seed(2).public_key();
        let contexts = [context.child("dial"), context.child("listen")];
        let [dialing, listening] = contexts;
        let dial = dialer.dial(dialing, b"bench", limit, peer, from_listener, to_listener);
        let bouncer = |_| async { true };
        let listen = listener.listen(listening, b"bench", limit, bouncer, from_dialer, to_dialer);
        let (dialed, listened) = futures::join!(dial, listen);
        let ((mut sender, _receiver), (_, _sender, mut receiver)) = (dialed?, listened?);
        let message = vec![7; size];
        let (start, mut done) = (Instant::now(), 0);
        while start.elapsed() < SPAN {
            sender.send(message.clone()).await?;
            done += receiver.recv().await?.len();
        }
        Ok(done as f64 / 1e6 / start.elapsed().as_secs_f64())
    })
}

pub fn run(profile: &str, storage: &Storage) -> Result<(), Problem> {
    println!("handshakes_per_s {:.0}", handshakes(profile)?);
    for size in [64 << 10, 1 << 20] {
        let rate = records(profile, size, storage)?;
        println!("records_{size}_mb_per_s {rate:.0}");
    }
    Ok(())
}
