//! ASoc through every adapter: nodes of one kind with peers of every kind, in both profiles.

use bytes::Bytes;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::thread;
use stillwire_blocking::asoc as blocking;
use stillwire_futures::asoc::{
    ApiKey, Config, Connection, Identity, Node, NodeId, Options, Profile, Suite,
};
use stillwire_futures::{Class, Error};

const LIMIT: usize = 64 << 20;

fn options(config: &Config) -> Options {
    let mut options = Options::new(NodeId::from_bytes([1; 16]), key());
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options.config.connection = config.clone();
    options
}

fn key() -> ApiKey {
    ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap()
}

fn identity() -> Identity {
    Identity {
        node: NodeId::from_bytes([2; 16]),
        keys: vec![key()],
        community: String::new(),
    }
}

fn messages() -> impl Iterator<Item = Vec<u8>> {
    let bytes = |length: u32| (0..length).map(|i| i.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    [0, 1, 3_000_000]
        .into_iter()
        .map(move |length| bytes(length).collect())
}

async fn serve(node: Node) {
    while let Some(connection) = node.accept().await {
        assert_eq!(connection.peer(), Some(NodeId::from_bytes([2; 16])));
        while let Some(message) = connection.receive_message(LIMIT).await.unwrap() {
            connection.send_message(Bytes::from(message)).await.unwrap();
        }
    }
}

async fn talk(connection: Connection) {
    for message in messages() {
        connection
            .send_message(Bytes::from(message.clone()))
            .await
            .unwrap();
        let back = connection.receive_message(LIMIT).await.unwrap().unwrap();
        assert!(back == message, "{} bytes came back changed", message.len());
    }
    connection.close().await.unwrap();
}

type Dialing = Pin<Box<dyn Future<Output = Result<Connection, Error>>>>;

/// A runtime: starts a node, and dials one.
struct Kind {
    name: &'static str,
    node: fn(Options) -> SocketAddr,
    dial: fn(SocketAddr, Config),
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

const KINDS: [Kind; 4] = [
    Kind {
        name: "tokio",
        node: |options| {
            let runtime = tokio_runtime();
            let node = runtime
                .block_on(stillwire_tokio::asoc::start(options))
                .unwrap();
            let at = node.local_addr().unwrap();
            thread::spawn(move || runtime.block_on(serve(node)));
            at
        },
        dial: |at, config| {
            tokio_runtime().block_on(async {
                let dialing: Dialing =
                    Box::pin(stillwire_tokio::asoc::connect(at, identity(), config, None));
                talk(dialing.await.unwrap()).await;
            });
        },
    },
    Kind {
        name: "smol",
        node: |options| {
            let node = smol::block_on(stillwire_smol::asoc::start(options)).unwrap();
            let at = node.local_addr().unwrap();
            smol::spawn(serve(node)).detach();
            at
        },
        dial: |at, config| {
            smol::block_on(async {
                let dialed = stillwire_smol::asoc::connect(at, identity(), config, None).await;
                talk(dialed.unwrap()).await;
            });
        },
    },
    Kind {
        name: "async-std",
        node: |options| {
            let node = stillwire_async_std::asoc::start(options);
            let node = async_std::task::block_on(node).unwrap();
            let at = node.local_addr().unwrap();
            async_std::task::spawn(serve(node));
            at
        },
        dial: |at, config| {
            async_std::task::block_on(async {
                let dialed = stillwire_async_std::asoc::connect(at, identity(), config, None);
                talk(dialed.await.unwrap()).await;
            });
        },
    },
    Kind {
        name: "blocking",
        node: |options| {
            let node = blocking::Node::start(options).unwrap();
            let at = node.local_addr().unwrap();
            thread::spawn(move || {
                while let Some(connection) = node.accept() {
                    while let Some(message) = connection.receive_message(LIMIT).unwrap() {
                        connection.send_message(Bytes::from(message)).unwrap();
                    }
                }
            });
            at
        },
        dial: |at, config| {
            use std::io::{Read, Write};
            let connection = blocking::connect(at, identity(), config, None).unwrap();
            for message in messages() {
                let mut stream = connection.open().unwrap();
                stream.write_all(&message).unwrap();
                stream.finish().unwrap();
                let mut back = Vec::new();
                let mut answer = connection.accept().unwrap().unwrap();
                answer.read_to_end(&mut back).unwrap();
                assert!(back == message, "{} bytes came back changed", message.len());
            }
            connection.close().unwrap();
        },
    },
];

#[test]
fn every_adapter_with_every_other_in_both_profiles() {
    for profile in [Profile::Default, Profile::Hardened(Suite::Aes256Gcm)] {
        let config = Config {
            profile,
            ..Config::default()
        };
        for listening in &KINDS {
            let at = (listening.node)(options(&config));
            for dialing in &KINDS {
                println!("{profile:?}: {} dials {}", dialing.name, listening.name);
                (dialing.dial)(at, config.clone());
            }
        }
    }
}

#[test]
fn a_plain_peer_that_meets_a_hardened_one_gets_an_error_and_no_downgrade() {
    let hardened = Config {
        profile: Profile::Hardened(Suite::Aes256Gcm),
        ..Config::default()
    };
    let at = (KINDS[0].node)(options(&hardened));
    let refused = blocking::connect(at, identity(), Config::default(), None).unwrap_err();
    assert!(
        matches!(refused.class(), Some(Class::Eof | Class::Downgrade)),
        "{refused}"
    );
    let at = (KINDS[1].node)(options(&Config::default()));
    let refused = blocking::connect(at, identity(), hardened, None).unwrap_err();
    assert!(
        matches!(refused.class(), Some(Class::Eof | Class::Downgrade)),
        "{refused}"
    );
}
