//! Every adapter dials every other: a stream that is echoed, then whole messages.

use crate::{Make, noise, tokio_runtime};
use futures_util::{AsyncReadExt, AsyncWriteExt, future::join};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use stillwire_core::Error;
use stillwire_core::store::Role;
use stillwire_futures::secure::{MessageReceiver, MessageSender, Secure, SecureStream};

const BYTES: usize = 700_000;

fn messages(longest: usize) -> Vec<Vec<u8>> {
    [0, 1, 0, 70_000, longest, 5]
        .into_iter()
        .map(noise)
        .collect()
}

/// What a connection is used for.
#[derive(Clone, Copy, Debug)]
enum Use {
    Bytes,
    Messages,
}

/// A runtime: one end of a connection, from a TCP connection to its end.
struct Kind<M: Secure> {
    name: &'static str,
    /// Sends back what comes.
    echo: fn(TcpStream, Make<M>, Use),
    /// Sends something and checks that it comes back.
    talk: fn(TcpStream, Make<M>, Use),
}

async fn echo_messages<M: Secure>(mut to: MessageSender<M>, mut from: MessageReceiver<M>) {
    while let Some(message) = from.receive().await.unwrap() {
        to.send(&message).await.unwrap();
    }
    to.close_write().await.unwrap();
    to.closed().await.unwrap();
}

async fn talk_messages<M: Secure>(mut to: MessageSender<M>, mut from: MessageReceiver<M>) {
    let sent = messages(to.longest_message());
    let sending = async {
        for message in &sent {
            to.send(message).await.unwrap();
        }
        to.close_write().await.unwrap();
    };
    let receiving = async {
        let mut got = Vec::new();
        while let Some(message) = from.receive().await.unwrap() {
            got.push(message.to_vec());
        }
        got
    };
    let ((), got) = join(sending, receiving).await;
    assert!(got == sent);
    to.closed().await.unwrap();
}

async fn echo<M: Secure>(stream: SecureStream<M>, usage: Use) {
    match usage {
        Use::Bytes => {
            let (read, mut write) = stream.split();
            futures_util::io::copy(read, &mut write).await.unwrap();
            write.close_write().await.unwrap();
            write.closed().await.unwrap();
        }
        Use::Messages => {
            let (to, from) = stream.into_messages();
            echo_messages(to, from).await;
        }
    }
}

async fn talk<M: Secure>(stream: SecureStream<M>, usage: Use) {
    match usage {
        Use::Bytes => {
            let (mut read, mut write) = stream.split();
            let data = noise(BYTES);
            let sending = async {
                write.write_all(&data).await.unwrap();
                write.close_write().await.unwrap();
            };
            let mut got = Vec::new();
            let ((), received) = join(sending, read.read_to_end(&mut got)).await;
            received.unwrap();
            assert!(got == data);
            write.closed().await.unwrap();
        }
        Use::Messages => {
            let (to, from) = stream.into_messages();
            talk_messages(to, from).await;
        }
    }
}

async fn on_tokio<M: Secure>(
    tcp: TcpStream,
    role: Role,
    make: Make<M>,
) -> Result<stillwire_tokio::SecureStream<M>, Error> {
    tcp.set_nonblocking(true).unwrap();
    let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
    stillwire_tokio::SecureStream::open(tcp, |now| make(role, now)).await
}

async fn on_smol<M: Secure>(tcp: TcpStream, role: Role, make: Make<M>) -> SecureStream<M> {
    let tcp = smol::net::TcpStream::try_from(tcp).unwrap();
    let opened = stillwire_smol::secure::open(tcp, |now| make(role, now)).await;
    opened.unwrap()
}

async fn on_async_std<M: Secure>(tcp: TcpStream, role: Role, make: Make<M>) -> SecureStream<M> {
    let tcp = async_std::net::TcpStream::from(tcp);
    let opened = stillwire_async_std::secure::open(tcp, |now| make(role, now)).await;
    opened.unwrap()
}

fn tokio<M: Secure>() -> Kind<M> {
    Kind {
        name: "tokio",
        echo: |tcp, make, usage| {
            tokio_runtime().block_on(async {
                let stream = on_tokio(tcp, Role::Listener, make).await.unwrap();
                match usage {
                    Use::Bytes => {
                        use tokio::io::AsyncWriteExt;
                        let (mut read, mut write) = stream.split();
                        tokio::io::copy(&mut read, &mut write).await.unwrap();
                        write.shutdown().await.unwrap();
                        write.closed().await.unwrap();
                    }
                    Use::Messages => {
                        let (to, from) = stream.into_messages();
                        echo_messages(to, from).await;
                    }
                }
            });
        },
        talk: |tcp, make, usage| {
            tokio_runtime().block_on(async {
                let stream = on_tokio(tcp, Role::Dialer, make).await.unwrap();
                match usage {
                    Use::Bytes => {
                        use tokio::io::{AsyncReadExt, AsyncWriteExt};
                        let (mut read, mut write) = stream.split();
                        let (data, mut got) = (noise(BYTES), Vec::new());
                        let sending = async {
                            write.write_all(&data).await.unwrap();
                            write.shutdown().await.unwrap();
                        };
                        let ((), received) = tokio::join!(sending, read.read_to_end(&mut got));
                        received.unwrap();
                        assert!(got == data);
                        write.closed().await.unwrap();
                    }
                    Use::Messages => {
                        let (to, from) = stream.into_messages();
                        talk_messages(to, from).await;
                    }
                }
            });
        },
    }
}

fn blocking<M: Secure>() -> Kind<M> {
    fn open<M: Secure>(
        tcp: TcpStream,
        role: Role,
        make: Make<M>,
    ) -> stillwire_blocking::SecureStream<M> {
        stillwire_blocking::SecureStream::open(tcp, |now| make(role, now)).unwrap()
    }
    Kind {
        name: "blocking",
        echo: |tcp, make, usage| {
            let stream = open(tcp, Role::Listener, make);
            match usage {
                Use::Bytes => {
                    std::io::copy(&mut &stream, &mut &stream).unwrap();
                    stream.close_write().unwrap();
                    stream.closed().unwrap();
                }
                Use::Messages => {
                    let (to, from) = stream.into_messages();
                    while let Some(message) = from.receive().unwrap() {
                        to.send(&message).unwrap();
                    }
                    to.close_write().unwrap();
                    to.closed().unwrap();
                }
            }
        },
        talk: |tcp, make, usage| {
            let stream = open(tcp, Role::Dialer, make);
            match usage {
                Use::Bytes => {
                    let (data, mut got) = (noise(BYTES), Vec::new());
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            (&stream).write_all(&data).unwrap();
                            stream.close_write().unwrap();
                        });
                        (&stream).read_to_end(&mut got).unwrap();
                    });
                    assert!(got == data);
                    stream.closed().unwrap();
                }
                Use::Messages => {
                    let (to, from) = stream.into_messages();
                    let (sent, mut got) = (messages(to.longest_message()), Vec::new());
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            for message in &sent {
                                to.send(message).unwrap();
                            }
                            to.close_write().unwrap();
                        });
                        while let Some(message) = from.receive().unwrap() {
                            got.push(message.to_vec());
                        }
                    });
                    assert!(got == sent);
                    to.closed().unwrap();
                }
            }
        },
    }
}

fn kinds<M: Secure>() -> [Kind<M>; 4] {
    let smol = Kind {
        name: "smol",
        echo: |tcp, make, usage| {
            smol::block_on(async { echo(on_smol(tcp, Role::Listener, make).await, usage).await });
        },
        talk: |tcp, make, usage| {
            smol::block_on(async { talk(on_smol(tcp, Role::Dialer, make).await, usage).await });
        },
    };
    let async_std = Kind {
        name: "async-std",
        echo: |tcp, make, usage| {
            async_std::task::block_on(async {
                echo(on_async_std(tcp, Role::Listener, make).await, usage).await;
            });
        },
        talk: |tcp, make, usage| {
            async_std::task::block_on(async {
                talk(on_async_std(tcp, Role::Dialer, make).await, usage).await;
            });
        },
    };
    [tokio(), smol, async_std, blocking()]
}

fn every_adapter_with_every_other<M: Secure>(make: Make<M>) {
    for usage in [Use::Bytes, Use::Messages] {
        for listening in kinds::<M>() {
            for dialing in kinds::<M>() {
                println!("{usage:?}: {} dials {}", dialing.name, listening.name);
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (accepted, _) = listener.accept().unwrap();
                thread::scope(|scope| {
                    scope.spawn(|| (listening.echo)(accepted, make, usage));
                    (dialing.talk)(dialed, make, usage);
                });
            }
        }
    }
}

#[test]
fn ziti_through_every_adapter() {
    every_adapter_with_every_other(crate::ziti);
}

#[test]
fn commonware_through_every_adapter() {
    every_adapter_with_every_other(crate::commonware);
}

#[test]
fn packetfs_through_every_adapter() {
    every_adapter_with_every_other(crate::packetfs);
}

/// The carrier of the one is the secure stream of the other.
#[test]
fn one_protocol_rides_another() {
    let (left, right) = pipe();
    let dialing = async {
        let outer = stillwire_smol::secure::open(left, |now| crate::packetfs(Role::Dialer, now));
        let outer = outer.await.unwrap();
        let inner = stillwire_smol::secure::open(outer, |now| crate::ziti(Role::Dialer, now));
        talk(inner.await.unwrap(), Use::Bytes).await;
    };
    let listening = async {
        let outer = stillwire_smol::secure::open(right, |now| crate::packetfs(Role::Listener, now));
        let outer = outer.await.unwrap();
        let inner = stillwire_smol::secure::open(outer, |now| crate::ziti(Role::Listener, now));
        echo(inner.await.unwrap(), Use::Bytes).await;
    };
    smol::block_on(join(dialing, listening));
}

fn pipe() -> (smol::net::TcpStream, smol::net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let made = |tcp| smol::net::TcpStream::try_from(tcp).unwrap();
    (made(dialed), made(accepted))
}
