//! What machines tell and ask through every adapter: whether to talk to a commonware dialer, and
//! what kind of end was read.

use crate::{Make, tokio_runtime};
use futures_util::AsyncReadExt;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;
use stillwire_blocking::source_of;
use stillwire_core::commonware::{
    Admission, Config, Connection, ConnectionEvent, Door, Ed25519, Identity, PublicKey,
};
use stillwire_core::crypto::Secret;
use stillwire_core::store::Role;
use stillwire_core::{Class, Error, Instant, Timer, UnixTime};
use stillwire_futures::secure::{Control, Secure};

type Start<M> = Box<dyn FnOnce(Instant) -> Result<M, Error>>;
type OnEvent<M> = Box<dyn FnMut(&Control<M>, <M as stillwire_core::Machine>::Event) + Send>;

/// What a listener read, how its reading ended, and what it then knew of the end.
struct Heard {
    data: Vec<u8>,
    ended: std::io::Result<usize>,
    authentically: [Option<bool>; 2],
}

/// Opens a connection on one runtime and reads it to its end.
type Hear<M> = fn(TcpStream, Start<M>, OnEvent<M>) -> Result<Heard, Error>;

fn runtimes<M: Secure>() -> [(&'static str, Hear<M>); 4] {
    [
        ("tokio", on_tokio),
        ("smol", on_smol),
        ("async-std", on_async_std),
        ("blocking", on_threads),
    ]
}

fn on_tokio<M: Secure>(tcp: TcpStream, make: Start<M>, told: OnEvent<M>) -> Result<Heard, Error> {
    use tokio::io::AsyncReadExt;
    tokio_runtime().block_on(async {
        tcp.set_nonblocking(true).unwrap();
        let tcp = tokio::net::TcpStream::from_std(tcp).unwrap();
        let mut stream = stillwire_tokio::SecureStream::open_with(tcp, make, told).await?;
        let (before, mut data) = (stream.ended_authentically(), Vec::new());
        let ended = stream.read_to_end(&mut data).await;
        let authentically = [before, stream.ended_authentically()];
        // Our end, for the dialer that waits for it; where the line was cut, for nobody.
        let _ = stream.close_write().await;
        Ok(Heard {
            data,
            ended,
            authentically,
        })
    })
}

async fn hear<M: Secure>(
    mut stream: stillwire_futures::secure::SecureStream<M>,
) -> Result<Heard, Error> {
    let (before, mut data) = (stream.ended_authentically(), Vec::new());
    let ended = stream.read_to_end(&mut data).await;
    let authentically = [before, stream.ended_authentically()];
    let _ = stream.close_write().await;
    Ok(Heard {
        data,
        ended,
        authentically,
    })
}

fn on_smol<M: Secure>(tcp: TcpStream, make: Start<M>, told: OnEvent<M>) -> Result<Heard, Error> {
    smol::block_on(async {
        let tcp = smol::net::TcpStream::try_from(tcp).unwrap();
        hear(stillwire_smol::secure::open_with(tcp, make, told).await?).await
    })
}

fn on_async_std<M: Secure>(
    tcp: TcpStream,
    make: Start<M>,
    told: OnEvent<M>,
) -> Result<Heard, Error> {
    async_std::task::block_on(async {
        let tcp = async_std::net::TcpStream::from(tcp);
        hear(stillwire_async_std::secure::open_with(tcp, make, told).await?).await
    })
}

fn on_threads<M: Secure>(tcp: TcpStream, make: Start<M>, told: OnEvent<M>) -> Result<Heard, Error> {
    let stream = stillwire_blocking::SecureStream::open_with(tcp, make, told)?;
    let (before, mut data) = (stream.ended_authentically(), Vec::new());
    let ended = (&stream).read_to_end(&mut data);
    let authentically = [before, stream.ended_authentically()];
    let _ = stream.close_write();
    Ok(Heard {
        data,
        ended,
        authentically,
    })
}

fn tcp() -> [TcpStream; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dialed = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    [dialed, listener.accept().unwrap().0]
}

const UNIX: UnixTime = UnixTime::from_secs(1_780_000_000);
const LISTENER: u8 = 2;
const FRIEND: u8 = 3;
const STRANGER: u8 = 4;

fn identity(who: u8) -> Arc<Ed25519> {
    Arc::new(Ed25519::new(&Secret::from([who; 32])))
}

/// A listener that asks about whoever dials.
fn asking(config: Config) -> Start<Connection> {
    Box::new(move |now| {
        let door = Door {
            admission: Admission::Ask,
            seen: None,
        };
        let (identity, seed) = (identity(LISTENER), [LISTENER; 32]);
        Ok(Connection::listen(config, identity, door, seed, now, UNIX))
    })
}

/// Dials as this one, says hello and ends.
fn dial(tcp: TcpStream, who: u8) -> Result<(), Error> {
    let config = Config {
        // Whether it is let in is the listener's to decide, however long that takes.
        handshake_timeout: crate::PATIENCE,
        ..Config::default()
    };
    let stream = stillwire_blocking::SecureStream::open(tcp, |now| {
        let (listener, seed) = (identity(LISTENER).public(), [who; 32]);
        Connection::dial(config, identity(who), &listener, seed, now, UNIX)
    })?;
    (&stream).write_all(b"hello").unwrap();
    stream.close_write().unwrap();
    Ok(())
}

/// Lets the friend in and nobody else; notes of whom it was asked.
fn judge(asked: Arc<Mutex<Vec<(PublicKey, bool)>>>) -> OnEvent<Connection> {
    let friend = identity(FRIEND).public();
    Box::new(move |control, event| {
        if let ConnectionEvent::Asked { dialer, proven } = event {
            asked.lock().unwrap().push((dialer, proven));
            control.update(|machine, now| {
                let answered = if dialer == friend {
                    machine.accept(now)
                } else {
                    machine.refuse()
                };
                answered.unwrap();
            });
        }
    })
}

#[test]
fn the_application_accepts_and_refuses_dialers_by_their_public_key() {
    for (name, listen) in runtimes() {
        for (config, proof) in [(Config::default(), false), (Config::hardened(), true)] {
            for who in [FRIEND, STRANGER] {
                let ([dialed, accepted], asked) = (tcp(), Arc::default());
                let dialer = thread::spawn(move || dial(dialed, who));
                let heard = listen(accepted, asking(config.clone()), judge(Arc::clone(&asked)));
                let dialed = dialer.join().unwrap();
                if who == FRIEND {
                    let heard = heard.unwrap_or_else(|error| panic!("{name}: {error}"));
                    assert_eq!(heard.data, b"hello", "{name}");
                    assert_eq!(dialed, Ok(()), "{name}");
                } else {
                    let refused = heard.err().unwrap();
                    assert_eq!(refused.class(), Some(Class::Identity), "{name}: {refused}");
                    let class = dialed.unwrap_err().class();
                    assert_eq!(class, Some(Class::Eof), "{name}");
                }
                let asked = asked.lock().unwrap().clone();
                assert_eq!(asked, [(identity(who).public(), proof)], "{name}");
            }
        }
    }
}

#[test]
fn an_answer_may_come_later_and_from_another_thread() {
    for (name, listen) in runtimes() {
        let ([dialed, accepted], (ask, asked)) = (tcp(), mpsc::channel());
        let dialer = thread::spawn(move || dial(dialed, FRIEND));
        let answerer = thread::spawn(move || {
            let control: Control<Connection> = asked.recv().unwrap();
            assert!(control.with(|machine| machine.peer().is_none()));
            control.update(Connection::accept).unwrap();
            // There was one question, and it is answered.
            let again = control.update(Connection::accept);
            assert!(matches!(again, Err(Error::Misuse(_))), "{again:?}");
        });
        let told: OnEvent<Connection> = Box::new(move |control, event| {
            if let ConnectionEvent::Asked { .. } = event {
                ask.send(control.clone()).unwrap();
            }
        });
        let heard = listen(accepted, asking(Config::default()), told);
        assert_eq!(heard.unwrap().data, b"hello", "{name}");
        answerer.join().unwrap();
        assert_eq!(dialer.join().unwrap(), Ok(()), "{name}");
    }
}

#[test]
fn nobody_is_let_in_by_silence() {
    for (name, listen) in runtimes() {
        let [dialed, accepted] = tcp();
        let dialer = thread::spawn(move || dial(dialed, FRIEND));
        let config = Config {
            handshake_timeout: Duration::from_millis(200),
            ..Config::default()
        };
        let heard = listen(accepted, asking(config), Box::new(|_, _| {}));
        let silent = heard.err().unwrap();
        assert_eq!(silent, Error::Timeout(Timer::Connect), "{name}");
        let class = dialer.join().unwrap().unwrap_err().class();
        assert_eq!(class, Some(Class::Eof), "{name}");
    }
}

/// A dialer writes; then it ends its stream, or somebody cuts the TCP connection.
fn end<M: Secure>(make: Make<M>, cut: bool, hear: Hear<M>, told: OnEvent<M>) -> Heard {
    let [dialed, accepted] = tcp();
    let cutter = dialed.try_clone().unwrap();
    let dialer = thread::spawn(move || {
        let dialed =
            stillwire_blocking::SecureStream::open(dialed, |now| make(Role::Dialer, now)).unwrap();
        (&dialed).write_all(b"all that I say").unwrap();
        (&dialed).flush().unwrap();
        if cut {
            cutter.shutdown(Shutdown::Both).unwrap();
        } else {
            dialed.close_write().unwrap();
        }
        dialed
    });
    let heard = hear(
        accepted,
        Box::new(move |now| make(Role::Listener, now)),
        told,
    );
    drop(dialer.join().unwrap());
    heard.unwrap()
}

fn authentic_ends<M: Secure>(make: Make<M>) {
    for (name, hear) in runtimes::<M>() {
        let whole = end(make, false, hear, Box::new(|_, _| {}));
        assert_eq!(whole.data, b"all that I say", "{name}");
        assert_eq!(whole.ended.unwrap(), whole.data.len(), "{name}");
        assert_eq!(whole.authentically, [None, Some(true)], "{name}");
        let cut = end(make, true, hear, Box::new(|_, _| {}));
        assert_eq!(cut.data, b"all that I say", "{name}");
        let error = cut.ended.unwrap_err();
        let class = source_of(&error).unwrap().class();
        assert_eq!(class, Some(Class::Eof), "{name}");
        assert_eq!(cut.authentically, [None, None], "{name}");
    }
}

#[test]
fn a_stream_of_ziti_that_was_cut_never_ends_authentically() {
    authentic_ends(crate::ziti);
}

#[test]
fn a_stream_of_packetfs_that_was_cut_never_ends_authentically() {
    authentic_ends(crate::packetfs);
}

#[test]
fn commonware_trap_6_an_end_is_unauthenticated_and_is_said_to_be() {
    for (name, hear) in runtimes() {
        for cut in [false, true] {
            let (tell, told) = mpsc::channel();
            let on_event: OnEvent<Connection> = Box::new(move |_, event| {
                let _ = tell.send(matches!(event, ConnectionEvent::EndedUnauthenticated));
            });
            let heard = end(crate::commonware, cut, hear, on_event);
            assert_eq!(heard.data, b"all that I say", "{name}");
            // It looks whole, cut or not, and only this tells that it need not be.
            assert_eq!(heard.ended.unwrap(), heard.data.len(), "{name}");
            assert_eq!(heard.authentically, [None, Some(false)], "{name}");
            assert!(told.into_iter().any(|unauthenticated| unauthenticated));
        }
    }
}
