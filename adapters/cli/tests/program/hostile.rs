//! What somebody with the account's key can do to those who trust the store.
#![cfg_attr(
    not(unix),
    allow(dead_code, unused_imports, reason = "one test sends a signal")
)]

use crate::support::{ACCOUNT, Input, KEY, Place, Running, noise, run, start, stillwire, wait_for};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use stillwire_azure::http::headers::Headers;
use stillwire_azure::http::{Method, Url};
use stillwire_azure::shared_key::authorization;
use stillwire_azure::{AccountKey, Service};

/// The emulator's account, in the hands of somebody who knows its key.
pub(crate) struct Account {
    service: Service,
    endpoint: Url,
}

impl Account {
    pub(crate) fn new(service: Service, endpoint: &str) -> Self {
        Self {
            service,
            endpoint: endpoint.parse().unwrap(),
        }
    }

    pub(crate) fn of(place: &Place) -> Self {
        Self::new(Service::Blob, place.meeting().0)
    }

    /// Sends one signed request: the status, and head and body of the answer as text.
    pub(crate) fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> (u16, String) {
        let url: Url = format!("{}/{path}", self.endpoint).parse().unwrap();
        let host = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        // An old version of HTTP, which answers in one piece and hangs up.
        let mut head = format!("{method} {target} HTTP/1.0\r\nhost: {host}\r\n");
        let dated = [
            ("x-ms-date", "Mon, 11 Jan 2027 08:00:27 GMT"),
            ("x-ms-version", "2021-12-02"),
        ];
        let mut signed = Headers::new();
        for (name, value) in dated.iter().chain(headers) {
            signed.insert((*name).to_owned(), (*value).to_owned());
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let key = AccountKey::parse(KEY).unwrap();
        let length = body.len();
        let authorization = authorization(
            self.service,
            ACCOUNT,
            &key,
            method,
            &url,
            &signed,
            length as u64,
        );
        write!(
            head,
            "authorization: {authorization}\r\ncontent-length: {length}\r\n\r\n"
        )
        .unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
        (status.unwrap_or_default(), answer)
    }

    pub(crate) fn put(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> u16 {
        self.send(Method::Put, path, headers, body).0
    }

    fn list(&self, container: &str) -> String {
        let path = format!("{container}?restype=container&comp=list&include=metadata");
        let (status, listing) = self.send(Method::Get, &path, &[], b"");
        assert_eq!(status, 200, "{listing}");
        listing
    }

    /// Leaves an entry at the meeting place.
    fn knock(&self, place: &Place, name: &str, payload: &str) -> u16 {
        let headers = [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-meta-payload", payload),
        ];
        self.put(&format!("{}/{name}", place.meeting().1), &headers, b"")
    }
}

/// The session of a process that runs with `--json`.
pub(crate) fn session(process: &Running) -> String {
    process.wait_to_hear("\"connected\"");
    let told = process.told();
    let events = told
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let connected = events.into_iter().find(|e| e["event"] == "connected");
    connected.unwrap()["id"].as_str().unwrap().to_owned()
}

/// What a process says that ends because of the store.
pub(crate) fn ends_with_one_line(process: Running, code: i32, words: &str) {
    let asked = Instant::now();
    let done = process.finish().expect(code);
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(50), "{took:?}");
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(done.last_line().contains(words), "{}", done.stderr);
}

/// The same for a process that runs with `--json`.
pub(crate) fn ends_with_one_event(process: Running, code: i32, words: &str) {
    let done = process.finish().expect(code);
    let errors = done.stderr.matches("\"error\"").count();
    let error: serde_json::Value = serde_json::from_str(done.last_line()).unwrap();
    assert_eq!(errors, 1, "{}", done.stderr);
    assert_eq!(error["event"], "error");
    assert_eq!(error["code"], code);
    assert!(
        error["message"].as_str().unwrap().contains(words),
        "{error}"
    );
}

/// A chunk's prefix, and bytes that nobody has sealed.
pub(crate) fn garbage() -> Vec<u8> {
    [&[0, 0, 0, 48][..], &noise(48)].concat()
}

pub(crate) fn append(account: &Account, session: &str, blob: &str) {
    let path = format!("{session}/{blob}?comp=appendblock");
    assert_eq!(account.put(&path, &[], &garbage()), 201);
}

/// What the metadata `payload` of an entry says.
fn payload(listing: &str) -> Option<String> {
    let rest = listing.split_once("<payload>")?.1;
    Some(rest.split_once("</payload>")?.0.to_owned())
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut three = [0; 3];
        three[..group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            let filled = place <= group.len();
            text.push(if filled { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Whether a listener has said on a line of its own that it refuses the entry of this name.
fn is_refused(told: &str, name: &str) -> bool {
    let name = format!("a handshake was refused name=\"{name}\"");
    told.lines().any(|line| line.contains(&name))
}

/// What somebody else has named would move the cursor, or ring.
fn shows_no_control_characters(told: &str) {
    let found = told.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(found, None, "{told:?}");
}

#[cfg(unix)]
#[test]
fn replays_and_hostile_names_keep_nobody_out_and_touch_nothing() {
    let Some(place) = Place::azurite() else {
        return;
    };
    let account = Account::of(&place);
    // A dialer knocks before anybody listens; its message is there for all to copy.
    place.prepare();
    let early = start(
        place.dialing("dial", &["--json"]),
        Input::Bytes(b"early".to_vec()),
    );
    let mut copied = None;
    wait_for(|| {
        copied = payload(&account.list(place.meeting().1));
        copied.is_some()
    });
    let copied = copied.unwrap();
    let listener = start(place.listening("listen", &["--echo", "-v"]), Input::Nothing);
    let id = session(&early);
    assert_eq!(early.finish().expect(0).stdout, b"early");
    // The listener has removed the entry by now, or does so soon.
    wait_for(|| payload(&account.list(place.meeting().1)).is_none());
    assert_eq!(account.knock(&place, &id, &copied), 201);
    listener.wait_to_hear("seen before");

    // Somebody else's container, and a message that names it.
    let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let digits = format!("{:012x}", nanos & 0xFFFF_FFFF_FFFF);
    let theirs = format!("c9e7ab11-6c24-4589-8afc-{digits}");
    let made = account.put(&format!("{theirs}?restype=container"), &[], b"");
    assert_eq!(made, 201);
    let blob = [("x-ms-blob-type", "BlockBlob")];
    let kept = format!("{theirs}/req-0");
    assert_eq!(account.put(&kept, &blob, b"theirs"), 201);
    let mut message = vec![9];
    message.resize(32, 0);
    message.extend_from_slice(theirs.as_bytes());
    assert_eq!(account.knock(&place, &theirs, &base64(&message)), 201);
    listener.wait_to_hear("it was left untouched");

    // No control characters: the emulator takes them, and then answers 500 to whoever lists.
    let upper = id.to_uppercase();
    let hostile = [
        ("..%2Fx", "../x"),
        ("handshake", "handshake"),
        ("%24root", "$root"),
        ("a%2Fb%3Fc", "a/b?c"),
        (&upper, &upper),
    ];
    for (name, _) in hostile {
        assert_eq!(account.knock(&place, name, &copied), 201, "{name}");
    }
    for (_, name) in hostile {
        wait_for(|| is_refused(&listener.told(), name));
    }
    for number in 0..100 {
        account.knock(&place, &format!("junk-{number}"), "not base64!");
    }

    for round in 0..2 {
        let data = noise(50_000 + round);
        let done = run(place.dialing("dial", &["-q"]), Input::Bytes(data.clone()));
        assert!(done.expect(0).stdout == data);
    }
    let (status, blob) = account.send(Method::Get, &kept, &[], b"");
    assert_eq!(status, 200);
    assert!(blob.ends_with("theirs"), "{blob}");
    let listing = account.list(&theirs);
    assert_eq!(listing.matches("<Blob>").count(), 1, "{listing}");
    listener.signal(rustix::process::Signal::INT);
    let done = listener.finish().expect(130);
    assert!(
        done.stderr.contains("handshakes refused"),
        "{}",
        done.stderr
    );
    assert!(!done.stderr.contains("sig="), "{}", done.stderr);
    shows_no_control_characters(&done.stderr);
}

/// A service of our own: its answers, from the status on, by request line.
fn service(answer: impl Fn(&str) -> String + Send + 'static) -> String {
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = service.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in service.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let Some(Ok(request)) = lines.next() else {
                continue;
            };
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let answer = format!("HTTP/1.1 {}", answer(&request));
            // Whoever asked may have gone.
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://127.0.0.1:{port}/{ACCOUNT}")
}

/// The emulator cannot list such names; the service writes them percent-encoded.
#[cfg(unix)]
#[test]
fn control_characters_in_a_name_are_spelled_out() {
    let hostile = [
        ("%1B%5B2Jcleared", r"\u{1b}[2Jcleared"),
        ("two%0Alines", r"two\nlines"),
        ("bell%07", r"bell\u{7}"),
        ("back%0Dover", r"back\rover"),
        ("%C2%9B31mred", r"\u{9b}31mred"),
    ];
    let blobs = hostile
        .map(|(name, _)| format!("<Blob><Name Encoded=\"true\">{name}</Name><Properties/></Blob>"));
    let body = format!(
        "<?xml version=\"1.0\"?><EnumerationResults><Blobs>{}</Blobs><NextMarker/>\
         </EnumerationResults>",
        blobs.concat()
    );
    let listing = format!(
        "200 OK\r\nserver: Windows-Azure-Blob/1.0\r\nconnection: close\r\n\
         x-ms-version: 2021-12-02\r\ncontent-type: application/xml\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let endpoint = service(move |request| match request.split(' ').next() {
        Some("GET") => listing.clone(),
        Some("DELETE") => {
            "202 Accepted\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned()
        }
        _ => "201 Created\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".to_owned(),
    });
    let store = format!("azblob+{endpoint}");
    let mut command = stillwire(["listen", "--echo", "-v", &store]);
    command.envs([
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ]);
    let mut listener = start(command, Input::Nothing);
    for (_, shown) in hostile {
        wait_for(|| is_refused(&listener.told(), shown));
    }
    assert!(listener.is_running());
    listener.signal(rustix::process::Signal::INT);
    shows_no_control_characters(&listener.finish().expect(130).stderr);
}

/// The emulator tolerates any clock, so the refusal comes from a service that dates it.
fn refusing_service(date: Option<&'static str>) -> String {
    let date = date.map_or_else(String::new, |date| format!("date: {date}\r\n"));
    service(move |_| {
        format!(
            "403 Forbidden\r\nserver: Windows-Azure-Blob/1.0\r\nconnection: close\r\n{date}\
             x-ms-error-code: AuthenticationFailed\r\ncontent-length: 0\r\n\r\n"
        )
    })
}

#[test]
fn a_clock_that_is_off_is_named_as_the_cause() {
    let endpoint = refusing_service(Some("Sat, 01 Jan 2000 00:00:00 GMT"));
    let mut command = stillwire(["listen", "-q", &format!("azblob+{endpoint}")]);
    command.envs([
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ]);
    let listener = start(command, Input::Nothing);
    ends_with_one_line(listener, 3, "minutes ahead: set it");
}

#[test]
fn a_ticket_that_is_not_valid_yet_is_told_from_a_clock_of_ours_that_is_off() {
    let midnight = Some("Sat, 01 Jan 2000 00:00:00 GMT");
    let early = |start| {
        format!(
            "the SAS holds only from {start}: the clock of the machine that made it is ahead; set it and get a new ticket"
        )
    };
    let cases = [
        // By the service's clock, whatever ours says.
        (
            midnight,
            "2000-01-01T00:00:01Z",
            Some("2000-01-01T00:00:01Z"),
        ),
        (midnight, "2000-01-01T00:00:00Z", None),
        // By ours, when the service does not say.
        (None, "2999-12-31T00:00:00Z", Some("2999-12-31T00:00:00Z")),
    ];
    for (date, from, not_before) in cases {
        let endpoint = refusing_service(date);
        let grants = |letters| {
            let sas =
                format!("sv=2021-12-02&sr=c&st={from}&se=3000-01-01T00:00:00Z&sp={letters}&sig=a");
            base64(sas.as_bytes())
        };
        let (handshake, token) = (grants("acw"), grants("rl"));
        let ticket = format!("{endpoint}?handshake={handshake}&token={token}");
        let done = run(stillwire(["dial", "-q", &ticket]), Input::Nothing).expect(3);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(done.stdout.is_empty());
        let line = done.last_line();
        let place = format!("stillwire: knocking in container \"handshake\" at {endpoint}: ");
        let rest = line
            .strip_prefix(&place)
            .unwrap_or_else(|| panic!("{line}"));
        let said = rest.strip_suffix(" (HTTP 403 AuthenticationFailed)");
        match not_before {
            Some(start) => assert_eq!(said, Some(&*early(start))),
            None => assert!(
                said.is_some_and(|said| said.starts_with("this machine's clock is ")
                    && said.ends_with(" minutes ahead: set it")),
                "{line}"
            ),
        }
    }
}
