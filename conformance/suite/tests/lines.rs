//! Whatever line comes, the implementation under test answers with one JSON object.

use serde_json::{Map, Value, json};
use std::io::Cursor;
use std::path::Path;
use stillwire_conformance::iut::{Iut, LONGEST_LINE, serve};
use stillwire_conformance::vector;

/// xorshift64*: the same lines in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn value(&mut self, depth: u32) -> Value {
        match self.below(if depth == 0 { 8 } else { 10 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 0),
            2 => json!(self.next()),
            3 => json!(-1),
            4 => json!(1.5e300),
            5 => json!("18446744073709551615"),
            6 => {
                let size = [0, 1, 2, 31, 32, 64, 96][self.below(7)];
                let digit = |random: &mut Self| char::from(b"0123456789abcdef"[random.below(16)]);
                json!((0..size * 2).map(|_| digit(self)).collect::<String>())
            }
            7 => json!(["", "$x", "\u{0}", "é", "nn", "nk", "blob", "7d0c3ba1"][self.below(8)]),
            8 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => {
                let fields: Map<_, _> = (0..self.below(4))
                    .map(|at| {
                        (
                            ["type", "payload", "Data", "x"][at].to_owned(),
                            self.value(depth - 1),
                        )
                    })
                    .collect();
                Value::Object(fields)
            }
        }
    }
}

fn object(answer: &str) -> Map<String, Value> {
    assert!(!answer.contains('\n'), "{answer}");
    match serde_json::from_str(answer).unwrap() {
        Value::Object(fields) => fields,
        other => panic!("{other}"),
    }
}

/// Requests of the small vectors.
fn requests() -> Vec<Map<String, Value>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors");
    let files = vector::find(&folder).unwrap();
    let tests = files.iter().flat_map(|file| vector::load(file).unwrap());
    let asked = tests.flat_map(|test| test.steps.into_iter().map(|step| step.ask));
    asked
        .filter(|ask| Value::Object(ask.clone()).to_string().len() < 2_000)
        .collect()
}

#[test]
fn altered_requests_are_answered() {
    let requests = requests();
    let mut random = Random(0x5711_1111);
    let mut iut = Iut::new();
    for _ in 0..30_000 {
        let mut request = requests[random.below(requests.len())].clone();
        for _ in 0..=random.below(2) {
            let keys: Vec<String> = request.keys().filter(|key| *key != "op").cloned().collect();
            if keys.is_empty() {
                break;
            }
            let key = &keys[random.below(keys.len())];
            match random.below(5) {
                0 => {
                    request.remove(key);
                }
                1 if request[key].is_string() => {
                    let mut text: Vec<char> = request[key].as_str().unwrap().chars().collect();
                    let at = random.below(text.len() + 1);
                    text.insert(at, ['0', 'f', '=', '\u{0}', 'é', '&', '%'][random.below(7)]);
                    request[key] = text.into_iter().collect::<String>().into();
                }
                2 if request[key].is_string() => {
                    let mut text: Vec<char> = request[key].as_str().unwrap().chars().collect();
                    text.truncate(random.below(text.len() + 1));
                    request[key] = text.into_iter().collect::<String>().into();
                }
                _ => request[key] = random.value(2),
            }
        }
        object(&iut.answer(Value::Object(request).to_string().as_bytes()));
    }
}

#[test]
fn altered_lines_are_answered() {
    let requests = requests();
    let mut random = Random(0x0dd_ba11);
    let mut iut = Iut::new();
    for _ in 0..10_000 {
        let mut line = Value::Object(requests[random.below(requests.len())].clone())
            .to_string()
            .into_bytes();
        for _ in 0..=random.below(3) {
            let at = random.below(line.len());
            line[at] = u8::try_from(random.below(256)).unwrap();
        }
        object(&iut.answer(&line));
    }
}

#[test]
fn what_is_no_request_is_an_encoding_error() {
    let mut iut = Iut::new();
    let deep = "[".repeat(100_000);
    for line in [
        "",
        " ",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        r#"{"op":7}"#,
        r#"{"op":null}"#,
        &deep,
    ] {
        let answer = object(&iut.answer(line.as_bytes()));
        assert_eq!(answer["error"]["class"], "encoding", "{answer:?}");
    }
    assert_eq!(
        object(&iut.answer(&[0xff, 0xfe]))["error"]["class"],
        "encoding"
    );
}

#[test]
fn unknown_operations_are_unsupported() {
    let mut iut = Iut::new();
    for op in ["", "aznet", "aznet.dial ", "AZNET.DIAL", "asoc.hello.forge"] {
        let line = json!({"op": op}).to_string();
        assert_eq!(iut.answer(line.as_bytes()), r#"{"unsupported":true}"#);
    }
}

#[test]
fn hello_lists_what_is_answered() {
    let mut iut = Iut::new();
    let hello = object(&iut.answer(br#"{"op":"hello"}"#));
    assert_eq!(hello["format"], 1);
    for op in hello["ops"].as_array().unwrap() {
        let answer = object(&iut.answer(json!({"op": op}).to_string().as_bytes()));
        assert!(!answer.contains_key("unsupported"), "{op}");
    }
}

/// A runner may never send `reset`: handles that are left open must not end its run.
#[test]
fn a_thousand_handles_may_be_open() {
    let mut iut = Iut::new();
    let line = json!({"op": "asoc.seen.new", "capacity": 10, "ttl_s": 300}).to_string();
    let first = object(&iut.answer(line.as_bytes()));
    for _ in 0..1_000 {
        let answer = object(&iut.answer(line.as_bytes()));
        assert!(answer.contains_key("handle"), "{answer:?}");
    }
    let (key, uuid) = (
        "test-key-of-27-bytes-length",
        "8c1bc277-fd35-402a-9b61-887f82a51352",
    );
    let hello = json!({"op": "asoc.hello.encode", "key": key, "uuid": uuid, "challenge": 5});
    let hello = object(&iut.answer(hello.to_string().as_bytes()));
    let verify = json!({
        "op": "asoc.hello.verify", "key": key, "bytes": hello["bytes"],
        "seen": first["handle"], "unix_s": 1_700_000_000,
    });
    let verified = object(&iut.answer(verify.to_string().as_bytes()));
    assert_eq!(verified["uuid"], uuid);
}

/// Once a handle has answered an error, be it only that a request could not be read, it answers
/// `state`. A replay cache is no handle of this kind: it outlives what it refuses.
#[test]
fn a_handle_is_spent_by_a_request_that_cannot_be_read() {
    let mut iut = Iut::new();
    let mut ask = |request: Value| object(&iut.answer(request.to_string().as_bytes()));
    let (key, uuid, zeros) = (
        "test-key-of-27-bytes-length",
        "8c1bc277-fd35-402a-9b61-887f82a51352",
        "00".repeat(32),
    );
    let session = json!({
        "op": "asoc.session", "role": "client", "key": key, "uuid": uuid, "challenge": 5, "max_frame": 64,
    });
    let dial = json!({
        "op": "commonware.dial", "profile": "v0", "namespace": "", "sk": zeros, "esk": zeros,
        "listener": "4cb5abf6ad79fbf5abbccafcc269d85cd2651ed4b885b5869f241aedf0a5ba29",
        "time_ms": 0, "max_age_ms": 0, "synchrony_ms": 0,
    });
    let push = json!({"op": "ziti.push.new", "key": zeros, "header": "00".repeat(24)});
    let pull = json!({
        "op": "ziti.pull.new", "key": zeros, "header": "00".repeat(24), "dialect": "sodium",
    });
    let start = json!({"op": "aznet.dial", "id": uuid, "e": zeros, "profile": "nn"});
    for (made, unreadable) in [
        (&session, json!({"op": "asoc.input", "bytes": "FF"})),
        (
            &session,
            json!({"op": "asoc.write", "stream": 1_u64 << 32, "plain": ""}),
        ),
        (&session, json!({"op": "asoc.end", "stream": -1})),
        (&session, json!({"op": "asoc.tick"})),
        (&session, json!({"op": "asoc.notify"})),
        (&dial, json!({"op": "commonware.dial.finish", "bytes": "0"})),
        (&push, json!({"op": "ziti.push", "tag": 256, "plain": ""})),
        (&pull, json!({"op": "ziti.pull", "wire": 7})),
        (&start, json!({"op": "aznet.finish", "msg2": null})),
    ] {
        let handle = ask(made.clone())["handle"].clone();
        let mut unreadable = unreadable;
        unreadable["handle"] = handle;
        let first = ask(unreadable.clone());
        assert_eq!(first["error"]["class"], "encoding", "{unreadable}");
        let second = ask(unreadable.clone());
        assert_eq!(second["error"]["class"], "state", "{unreadable}");
    }
}

/// ASoc's largest DATA frame, 16 MiB, comes in one line.
#[test]
fn the_largest_frame_is_answered() {
    let mut iut = Iut::new();
    let mut ask = |request: Value| object(&iut.answer(request.to_string().as_bytes()));
    let (key, own) = (
        "test-key-of-27-bytes-length",
        "4e72e1bf-d6da-40ec-9f00-03f963d0cb2f",
    );
    let session = ask(json!({
        "op": "asoc.session", "role": "client", "key": key, "uuid": own, "challenge": 7,
        "max_frame": 16 << 20,
    }));
    let accept = ask(json!({"op": "asoc.accept.encode", "key": key, "token": "00".repeat(8)}));
    let handle = &session["handle"];
    ask(json!({"op": "asoc.input", "handle": handle, "bytes": accept["bytes"]}));
    let payload = "5a".repeat(16 << 20);
    let frame = format!("0101000000010000000001000000{payload}");
    let line = json!({"op": "asoc.input", "handle": handle, "bytes": frame}).to_string() + "\n";
    assert!(line.len() < LONGEST_LINE);
    let data = object(&iut.answer(line.trim_end().as_bytes()));
    assert!(data["events"][0]["bytes"] == payload);
}

#[test]
fn lines_that_are_too_long_are_read_over() {
    let mut input = vec![b'x'; LONGEST_LINE + 10];
    input.extend_from_slice(b"\n{\"op\":\"reset\"}\n{\"op\":\"fly\"}");
    let mut output = Vec::new();
    serve(&mut Cursor::new(input), &mut output).unwrap();
    let output = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = output.lines().collect();
    assert_eq!(object(lines[0])["error"]["class"], "limit");
    assert_eq!(lines[1..], ["{}", r#"{"unsupported":true}"#]);
}

#[test]
fn a_line_of_the_longest_length_is_read() {
    let mut input = vec![b' '; LONGEST_LINE - 14];
    input.extend_from_slice(b"{\"op\":\"reset\"}");
    assert_eq!(input.len(), LONGEST_LINE);
    input.push(b'\n');
    let mut output = Vec::new();
    serve(&mut Cursor::new(input), &mut output).unwrap();
    assert_eq!(output, b"{}\n");
}
