//! What the program does over each of the three services alike.

use crate::hostile::Account;
use crate::service::{kill_both, lines};
use crate::support::{Input, KEY, Place, run, start};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use stillwire_azure::Service;
use stillwire_azure::http::Method;

/// The service behind a place of [`Place::azurites`].
pub(crate) fn service(name: &str) -> Service {
    match name {
        "queues" => Service::Queue,
        "tables" => Service::Table,
        _ => Service::Blob,
    }
}

/// The account of a place, in the hands of somebody who knows its key.
pub(crate) fn account(name: &str, place: &Place) -> Account {
    Account::new(service(name), place.meeting().0)
}

/// Headers of requests to tables; blobs and queues do not mind them.
pub(crate) const JSON: [(&str, &str); 2] = [
    ("accept", "application/json;odata=nometadata"),
    ("content-type", "application/json"),
];

/// The names of all places of the account.
fn everything(name: &str, account: &Account) -> String {
    let (path, headers) = match name {
        "tables" => ("Tables", &JSON[..]),
        _ => ("?comp=list", &[][..]),
    };
    let (status, names) = account.send(Method::Get, path, headers, b"");
    assert_eq!(status, 200, "{names}");
    names
}

/// The places of a session.
pub(crate) fn places_of(name: &str, session: &str) -> Vec<String> {
    let plain = session.replace('-', "");
    match name {
        "queues" => vec![format!("req-{session}"), format!("res-{session}")],
        "tables" => vec![format!("req{plain}"), format!("res{plain}")],
        _ => vec![session.to_owned()],
    }
}

fn checks(stdout: &[u8]) -> String {
    let all = lines(stdout);
    let checks = all.iter().map(|line| {
        let state = line["state"].as_str().unwrap();
        format!("{}={state}", line["check"].as_str().unwrap())
    });
    checks.collect::<Vec<_>>().join(" ")
}

#[test]
fn doctor_finds_nothing_wrong_with_any_service_nor_with_its_ticket() {
    for (name, place) in Place::azurites() {
        let arguments = ["--json", "--bytes", "300KB"];
        let done = run(place.nameless("doctor", &arguments), Input::Nothing).expect(0);
        assert_eq!(
            checks(&done.stdout),
            "settings=ok proxy=ok dns=ok http=ok service=ok clock=ok access=ok latency=ok \
             throughput=ok",
            "{name}"
        );
        assert!(!String::from_utf8_lossy(&done.stdout).contains(KEY));
        place.prepare();
        let done = run(place.dialing("doctor", &["--json"]), Input::Nothing).expect(0);
        assert_eq!(
            checks(&done.stdout),
            "ticket=ok sas=ok sas=ok proxy=ok dns=ok http=ok service=ok clock=ok access=ok \
             latency=ok throughput=ok",
            "{name}"
        );
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(!text.contains("sig"), "{text}");
    }
}

#[test]
fn bench_measures_every_service_and_removes_its_meeting_place() {
    for (name, place) in Place::azurites() {
        let arguments = ["--bytes", "500KB", "--rounds", "3", "--json"];
        let done = run(place.nameless("bench", &arguments), Input::Nothing).expect(0);
        let figures = &lines(&done.stdout)[0];
        assert_eq!(figures["bytes_each_way"], 500_000, "{name}");
        assert_eq!(figures["rounds"], 3, "{name}");
        for figure in ["connect_seconds", "up_megabytes_per_second", "transactions"] {
            assert!(figures[figure].as_f64().unwrap() > 0.0, "{name}: {figures}");
        }
        let left = everything(name, &account(name, &place));
        assert!(!left.contains("swhand"), "{name}: {left}");
    }
}

#[cfg(unix)]
#[test]
fn a_command_is_served_over_every_service() {
    for (name, place) in Place::azurites() {
        let command = "read line; echo \"$line, $STILLWIRE_CONNECTION\"";
        let listener = start(
            place.listening("listen", &["--exec", command]),
            Input::Nothing,
        );
        let dialers = [(); 2].map(|()| {
            start(
                place.dialing("dial", &["-q"]),
                Input::Bytes(b"hello\n".to_vec()),
            )
        });
        let ids = dialers.map(|dialer| {
            let said = String::from_utf8(dialer.finish().expect(0).stdout).unwrap();
            let id = said.trim().strip_prefix("hello, ").map(str::to_owned);
            id.filter(|id| id.len() == 36)
                .unwrap_or_else(|| panic!("{name}: {said:?}"))
        });
        assert_ne!(ids[0], ids[1], "{name}: one command each");
        listener.signal(rustix::process::Signal::INT);
        listener.finish().expect(130);
        let left = everything(name, &account(name, &place));
        for place in ids.iter().flat_map(|id| places_of(name, id)) {
            assert!(!left.contains(&place), "{name}: {place} is left");
        }
    }
}

/// A way to the emulator on which it is a year later, and on which no session is there but one: what
/// other tests have there is out of reach.
fn a_year_later(place: &Place, session: &str) -> String {
    let endpoint = place.meeting().0;
    let authority = endpoint.strip_prefix("http://").unwrap();
    let (authority, account) = authority.split_once('/').unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let (to, only) = (authority.to_owned(), session.replace('-', ""));
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, to, only) = (client.unwrap(), to.clone(), only.clone());
            thread::spawn(move || pass_on(client, &to, &only));
        }
    });
    format!("http://{here}/{account}")
}

/// One request, and no more on this connection.
fn pass_on(mut client: TcpStream, to: &str, only: &str) {
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let (mut head, mut target, mut length) = (String::new(), String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if target.is_empty() {
            line.split(' ').nth(1).unwrap().clone_into(&mut target);
        }
        let low = line.to_ascii_lowercase();
        if let Some(value) = low.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        if !low.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = target.split('?').next().unwrap().replace('-', "");
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_hexdigit).count();
    let names_one = (0..path.len()).any(|at| digits(&path[at..]) >= 32);
    let answer = if names_one && !path.contains(only) {
        b"HTTP/1.1 404 Not Found\r\nx-ms-error-code: ResourceNotFound\r\ncontent-length: 0\r\n\
          date: Mon, 11 Jan 2027 08:00:27 GMT\r\nconnection: close\r\n\r\n"
            .to_vec()
    } else {
        let mut service = TcpStream::connect(to).unwrap();
        write!(service, "{head}connection: close\r\n\r\n").unwrap();
        service.write_all(&body).unwrap();
        let mut answer = Vec::new();
        service.read_to_end(&mut answer).unwrap();
        aged(&answer)
    };
    // Whoever asked may have gone.
    let _ = client.write_all(&answer);
}

/// The same answer, dated a year later.
fn aged(answer: &[u8]) -> Vec<u8> {
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let lines = head.split("\r\n").map(|line| {
        if !line.to_ascii_lowercase().starts_with("date:") {
            return line.to_owned();
        }
        // `Date: Mon, 11 Jan 2027 08:00:27 GMT`
        let mut words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let year: u32 = words[4].parse().unwrap();
        words[4] = (year + 1).to_string();
        words.join(" ")
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    [head.as_bytes(), &answer[end..]].concat()
}

#[test]
fn gc_removes_what_a_killed_listener_left_in_every_service() {
    for (name, place) in Place::azurites() {
        let id = kill_both(&place);
        let account = account(name, &place);
        let is_there = || {
            let names = everything(name, &account);
            let found = places_of(name, &id);
            found.iter().filter(|place| names.contains(*place)).count()
        };
        let all = places_of(name, &id).len();
        assert_eq!(is_there(), all, "{name}");
        let later = a_year_later(&place, &id);
        let gc = |arguments: &[&str]| {
            let done = run(place.about_at(&later, "gc", arguments), Input::Nothing).expect(0);
            lines(&done.stdout)
        };
        let found = gc(&["--dry-run", "--json"]);
        assert_eq!(found.len(), 1, "{name}: {found:?}");
        assert_eq!(found[0]["found"], *id, "{name}");
        let still = found[0]["still_seconds"].as_u64().unwrap();
        assert!((364..367).contains(&(still / 86_400)), "{name}: {still}");
        assert_eq!(is_there(), all, "{name}: dry");

        let removed = gc(&["--json"]);
        assert_eq!(removed.len(), 1, "{name}: {removed:?}");
        assert_eq!(removed[0]["removed"], *id, "{name}");
        assert_eq!(is_there(), 0, "{name}");
        assert!(gc(&["--json"]).is_empty(), "{name}: it is gone");
    }
}
