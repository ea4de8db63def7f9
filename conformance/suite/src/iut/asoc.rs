//! ASoc: headers, handshake and discovery messages, the replay cache, and sessions.

use super::args::{Args, number};
use super::{Answer, Fault, Handles, Operation};
use crate::hex;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use stillwire_core::asoc::handshake::{frame, refuse_own, verify_accept, verify_hello};
use stillwire_core::asoc::rotation::Notice;
use stillwire_core::asoc::wire::kind;
use stillwire_core::asoc::{
    Accept, Announcement, ApiKey, Config, Connection, ConnectionEvent, Dialect, Fresh, Header,
    Hello, Identity, KeyId, NodeId, Profile, Receiver, Role, Seen, cluster_key, community_hash,
};
use stillwire_core::crypto::Secret;
use stillwire_core::{Class, Error, Input, Instant, Machine, Output, UnixTime};

mod hardened;

/// Every operation of this protocol.
pub(super) const OPERATIONS: &[(&str, Operation)] = &[
    ("asoc.accept.encode", |_, args| accept_encode(args)),
    ("asoc.accept.verify", |_, args| accept_verify(args)),
    ("asoc.cluster_key", |_, args| cluster(args)),
    ("asoc.discovery.encode", |_, args| discovery_encode(args)),
    ("asoc.discovery.verify", discovery_verify),
    ("asoc.end", end),
    ("asoc.header.decode", |_, args| header_decode(args)),
    ("asoc.header.encode", |_, args| header_encode(args)),
    ("asoc.hello.encode", |_, args| hello_encode(args)),
    ("asoc.hello.verify", hello_verify),
    ("asoc.hardened.keys", |_, args| hardened::keys(args)),
    ("asoc.hardened.open", |_, args| hardened::open(args)),
    ("asoc.hardened.seal", |_, args| hardened::seal(args)),
    ("asoc.input", input),
    ("asoc.notify", notify),
    ("asoc.open", open),
    ("asoc.seen.new", seen_new),
    ("asoc.session", session),
    ("asoc.tick", tick),
    ("asoc.write", write),
];

/// A number that fits into the wire's field.
fn field<T: TryFrom<u64>>(args: &Args, name: &str) -> Result<T, Fault> {
    let number = args.number(name)?;
    T::try_from(number)
        .map_err(|_| Fault::new(Class::Encoding, format!("`{name}` does not fit its field")))
}

/// A key of any length: only a session refuses short ones.
fn key(args: &Args) -> Result<ApiKey, Fault> {
    Ok(ApiKey::of_any_length(args.text("key")?.as_bytes()))
}

fn node(args: &Args, name: &str) -> Result<NodeId, Fault> {
    Ok(NodeId::parse(args.text(name)?)?)
}

fn now(args: &Args) -> Result<UnixTime, Fault> {
    Ok(UnixTime::from_secs(args.number("unix_s")?))
}

fn dialect(args: &Args) -> Result<Dialect, Fault> {
    match args.text("dialect")? {
        "octet" => Ok(Dialect::Octet),
        "nibble" => Ok(Dialect::Nibble),
        _ => Err(Fault::new(Class::Encoding, "no such dialect")),
    }
}

fn header_encode(args: &Args) -> Answer {
    let header = Header {
        kind: field(args, "type")?,
        stream: field(args, "stream")?,
        sequence: field(args, "seq")?,
        length: field(args, "length")?,
    };
    let bytes = header.encode(dialect(args)?)?;
    Ok(json!({"bytes": hex::encode(&bytes)}))
}

fn header_decode(args: &Args) -> Answer {
    let header = Header::decode(&args.bytes("bytes")?, dialect(args)?)?;
    Ok(json!({
        "type": header.kind,
        "stream": header.stream,
        "seq": header.sequence,
        "length": header.length,
    }))
}

fn hello_encode(args: &Args) -> Answer {
    let hello = Hello {
        node: node(args, "uuid")?,
        challenge: field(args, "challenge")?,
    };
    let bytes = frame(kind::HELLO, &hello.encode(&key(args)?), Dialect::Octet)?;
    Ok(json!({"bytes": hex::encode(&bytes)}))
}

/// A replay cache, which several sessions may share.
type Memory = Rc<RefCell<Seen>>;

/// The cache that the request names, if any.
fn memory(handles: &mut Handles, args: &Args) -> Result<Option<Memory>, Fault> {
    let handle = args.optional("seen", Args::text)?;
    let shared = |handle| handles.with(handle, |memory: &mut Memory| Ok(Rc::clone(memory)));
    handle.map(shared).transpose()
}

/// Runs `check` with the cache that the request names, if any. The cache outlives what it refuses.
fn with_seen<R>(
    handles: &mut Handles,
    args: &Args,
    check: impl FnOnce(Option<&mut Seen>) -> Result<R, Fault>,
) -> Result<R, Fault> {
    match memory(handles, args)? {
        None => check(None),
        Some(seen) => check(Some(&mut seen.borrow_mut())),
    }
}

fn hello_verify(handles: &mut Handles, args: &Args) -> Answer {
    let (bytes, key) = (args.bytes("bytes")?, key(args)?);
    let own = args.optional("own", node)?;
    let hello = with_seen(handles, args, |seen| {
        let hello = verify_hello(&bytes, &key)?;
        if let Some(own) = own {
            refuse_own(hello.node, own)?;
        }
        if let Some(seen) = seen {
            seen.admit(hello.node, u64::from(hello.challenge), now(args)?)?;
        }
        Ok(hello)
    })?;
    Ok(json!({"uuid": hello.node.to_string(), "challenge": hello.challenge}))
}

fn accept_encode(args: &Args) -> Answer {
    let accept = Accept {
        token: args.array("token")?,
    };
    let bytes = frame(kind::ACCEPT, &accept.encode(&key(args)?), Dialect::Octet)?;
    Ok(json!({"bytes": hex::encode(&bytes)}))
}

fn accept_verify(args: &Args) -> Answer {
    let accept = verify_accept(&args.bytes("bytes")?, &key(args)?)?;
    Ok(json!({"token": hex::encode(&accept.token)}))
}

fn discovery_encode(args: &Args) -> Answer {
    let message = Announcement {
        node: node(args, "uuid")?,
        port: field(args, "port")?,
        time: field(args, "unix_s")?,
        challenge: field(args, "challenge")?,
    };
    let bytes = message.encode(&key(args)?, args.text("community")?);
    Ok(json!({"bytes": hex::encode(&bytes)}))
}

fn discovery_verify(handles: &mut Handles, args: &Args) -> Answer {
    let receiver = Receiver {
        keys: &[key(args)?],
        community: community_hash(args.text("community")?),
        own: args.optional("own", node)?,
        now: now(args)?,
    };
    let bytes = args.bytes("bytes")?;
    let message = with_seen(handles, args, |seen| {
        Ok(Announcement::verify(&bytes, &receiver, seen)?)
    })?;
    Ok(json!({
        "uuid": message.node.to_string(),
        "port": message.port,
        "unix_s": message.time,
        "challenge": message.challenge,
    }))
}

fn seen_new(handles: &mut Handles, args: &Args) -> Answer {
    let ttl = Duration::from_secs(args.number("ttl_s")?);
    let seen = Seen::new(args.size("capacity")?, ttl);
    let seen: Memory = Rc::new(RefCell::new(seen));
    Ok(json!({"handle": handles.keep("seen", seen)?}))
}

fn cluster(args: &Args) -> Answer {
    let key = cluster_key(args.text("master")?, args.text("name")?);
    Ok(json!({"key": hex::encode(key.as_bytes())}))
}

/// A connection and its clock.
struct Session {
    connection: Connection,
    now: Instant,
    /// The DATA frame that has not come to its end.
    frame: Vec<u8>,
    over: bool,
    /// Which HELLOs have come before, and the wall clock at the session's start.
    seen: Option<Memory>,
    unix: UnixTime,
    /// Whether notices of a key rotation are events.
    notices: bool,
}

impl Session {
    /// Lets a HELLO in that has not been seen before.
    fn hello(&mut self, peer: NodeId, challenge: u64) -> Result<(), Fault> {
        let unix = self.unix.after(self.now.since(Instant::ZERO));
        if let Some(seen) = &self.seen
            && let Err(replay) = seen.borrow_mut().admit(peer, challenge, unix)
        {
            self.connection.refuse(replay.clone())?;
            return Err(replay.into());
        }
        Ok(self.connection.admit(self.now)?)
    }

    /// Drains the machine. An error that it met is the answer; HELLOs are let in.
    fn drain(&mut self, met: Result<(), Error>) -> Result<(Vec<u8>, Vec<Value>), Fault> {
        met?;
        let (mut out, mut events) = (Vec::new(), Vec::new());
        loop {
            let event = match self.connection.poll(self.now) {
                Output::Transmit(bytes) => {
                    out.extend_from_slice(&bytes);
                    continue;
                }
                Output::Event(event) => event,
                _ => return Ok((out, events)),
            };
            match event {
                ConnectionEvent::Hello {
                    peer, challenge, ..
                } => self.hello(peer, challenge)?,
                ConnectionEvent::Established(established) => {
                    let mut event = json!({"event": "established"});
                    if let Some(peer) = established.peer {
                        event["peer"] = peer.to_string().into();
                    }
                    if established.peer.is_none() || established.proven {
                        event["token"] = hex::encode(&established.token).into();
                    }
                    events.push(event);
                }
                ConnectionEvent::Announced { key, activation } if self.notices => {
                    events.push(json!({
                        "event": "announced",
                        "key": hex::encode(&key.0),
                        "unix_s": number(activation.as_secs()),
                    }));
                }
                ConnectionEvent::Acknowledged { key } if self.notices => {
                    events.push(json!({"event": "acknowledged", "key": hex::encode(&key.0)}));
                }
                ConnectionEvent::Data {
                    stream,
                    bytes,
                    rest,
                } => {
                    self.frame.extend_from_slice(&bytes);
                    if rest == 0 {
                        events.push(json!({
                            "event": "data",
                            "stream": stream,
                            "bytes": hex::encode(&self.frame),
                        }));
                        self.frame.clear();
                    }
                }
                ConnectionEvent::End { stream } => {
                    events.push(json!({"event": "end", "stream": stream}));
                }
                ConnectionEvent::Closed(_) => self.over = true,
                _ => {}
            }
        }
    }

    fn answer(&mut self, met: Result<(), Error>) -> Answer {
        let (out, events) = self.drain(met)?;
        Ok(json!({"out": hex::encode(&out), "events": events}))
    }
}

fn session(handles: &mut Handles, args: &Args) -> Answer {
    let role = match args.text("role")? {
        "client" => Role::Client,
        "server" => Role::Server,
        _ => return Err(Fault::new(Class::Encoding, "no such role")),
    };
    let profile = hardened::profile(args, role)?;
    let sealed = matches!(profile, Profile::Hardened(_));
    let config = Config {
        profile,
        max_frame: args.size("max_frame")?,
        send_buffer: usize::MAX,
        ..Config::default()
    };
    let texts = args.optional("keys", Args::list)?;
    let texts = match texts {
        Some(texts) => texts.iter().map(hardened::text).collect::<Result<_, _>>()?,
        None => vec![args.text("key")?],
    };
    let keys = texts.iter().map(|text| ApiKey::new(text.as_bytes()));
    let identity = Identity {
        node: node(args, "uuid")?,
        keys: keys.collect::<Result<_, _>>()?,
        community: args
            .optional("community", Args::text)?
            .unwrap_or_default()
            .to_owned(),
    };
    let (mut fresh, start) = (
        Fresh {
            challenge: 0,
            token: [0; 8],
            // Only the hardened profile uses these.
            nonce: [0; 32],
            ephemeral: Secret::from([0; 32]),
            unix: UnixTime::default(),
        },
        Instant::ZERO,
    );
    match role {
        _ if sealed => {
            fresh.nonce = args.array("nonce")?;
            fresh.ephemeral = Secret::from(args.array("esk")?);
            fresh.unix = now(args)?;
        }
        Role::Client => fresh.challenge = field(args, "challenge")?,
        Role::Server => fresh.token = args.array("token")?,
    }
    let (unix, seen) = (fresh.unix, memory(handles, args)?);
    let connection = match role {
        Role::Client => Connection::client(config, identity, fresh, start),
        Role::Server => Connection::server(config, identity, fresh, start),
    };
    let mut session = Session {
        connection: connection?,
        now: start,
        frame: Vec::new(),
        over: false,
        seen,
        unix,
        notices: args.optional("notices", Args::flag)?.unwrap_or(false),
    };
    let (out, _) = session.drain(Ok(()))?;
    let handle = handles.keep("session", session)?;
    Ok(json!({"handle": handle, "out": hex::encode(&out)}))
}

/// Uses a session. After an error, or its end, the handle answers `state`. What `run` is asked to do
/// is read inside it: a request that cannot be read is an error like any other.
fn with_session(
    handles: &mut Handles,
    args: &Args,
    run: impl FnOnce(&mut Session) -> Answer,
) -> Answer {
    handles.with(args.text("handle")?, |session: &mut Session| {
        if session.over {
            return Err(Fault::new(Class::State, "the session is over"));
        }
        run(session)
    })
}

fn input(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let bytes = args.bytes("bytes")?;
        let met = session.connection.handle(session.now, Input::Bytes(&bytes));
        session.answer(met)
    })
}

fn open(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let stream = session.connection.open()?;
        let mut answer = session.answer(Ok(()))?;
        answer["stream"] = stream.into();
        Ok(answer)
    })
}

fn write(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let (stream, plain) = (field(args, "stream")?, args.bytes("plain")?.into());
        let met = session.connection.write(stream, &plain).map(|_| ());
        session.answer(met)
    })
}

fn end(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let stream = field(args, "stream")?;
        let met = session.connection.end(stream);
        session.answer(met)
    })
}

fn notify(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let notice = match args.optional("acknowledge", Args::array)? {
            Some(key) => Notice::Acknowledge { key: KeyId(key) },
            None => Notice::Announce {
                key: KeyId(args.array("announce")?),
                activation: now(args)?,
            },
        };
        let met = session.connection.notify(notice);
        session.answer(met)
    })
}

fn tick(handles: &mut Handles, args: &Args) -> Answer {
    with_session(handles, args, |session| {
        let now = Instant::from_millis(args.number("now_ms")?);
        session.now = session.now.max(now);
        match session.connection.handle(session.now, Input::Time) {
            Err(Error::Timeout(_)) => {
                session.over = true;
                let (out, mut events) = session.drain(Ok(()))?;
                events.push(json!({"event": "closed", "reason": "timeout"}));
                Ok(json!({"out": hex::encode(&out), "events": events}))
            }
            met => session.answer(met),
        }
    })
}
