//! An account's key that is changed under a running listener. The emulator's cannot be, so the
//! service is one of our own: it knows one key at a time and holds nothing.
#![cfg(unix)]

use crate::hostile::base64;
use crate::support::{ACCOUNT, Input, Running, start, stillwire, wait_for};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use stillwire_azure::http::headers::Headers;
use stillwire_azure::http::{Method, Url};
use stillwire_azure::shared_key::authorization;
use stillwire_azure::{AccountKey, Service};
use stillwire_core::aznet::wire::url::ConnectionUrl;

const OLD: &[u8] = b"the key at the beginning";
const NEW: &[u8] = b"the key that follows it";

/// HMAC-SHA256 as RFC 2104 puts it, for keys of at most 64 bytes.
fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let pad = |with: u8| {
        let mut block = [with; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        block
    };
    let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text);
    let outer = Sha256::new().chain_update(pad(0x5c));
    outer.chain_update(inner.finalize()).finalize().into()
}

/// A blob service that takes everything signed with the key of the day, and forgets it.
struct Account {
    port: u16,
    key: Arc<Mutex<&'static [u8]>>,
    refused: Arc<Mutex<u32>>,
}

impl Account {
    fn start() -> Self {
        let service = TcpListener::bind("127.0.0.1:0").unwrap();
        let account = Self {
            port: service.local_addr().unwrap().port(),
            key: Arc::new(Mutex::new(OLD)),
            refused: Arc::default(),
        };
        let (port, key, refused) = (account.port, account.key.clone(), account.refused.clone());
        thread::spawn(move || {
            for stream in service.incoming() {
                let (key, refused) = (key.clone(), refused.clone());
                // A client that hangs up ends its own connection only.
                thread::spawn(move || answer(&stream.unwrap(), port, &key, &refused));
            }
        });
        account
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{ACCOUNT}", self.port)
    }
}

fn answer(
    stream: &TcpStream,
    port: u16,
    key: &Mutex<&'static [u8]>,
    refused: &Mutex<u32>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let mut first = lines[0].split(' ');
    let method: Method = first.next()?.parse().ok()?;
    let url: Url = format!("http://127.0.0.1:{port}{}", first.next()?)
        .parse()
        .ok()?;
    let (mut headers, mut signed, mut length) = (Headers::new(), String::new(), 0);
    for (name, value) in lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(": "))
    {
        match &*name.to_lowercase() {
            "authorization" => value.clone_into(&mut signed),
            "content-length" => length = value.parse().unwrap(),
            name => headers.insert(name.to_owned(), value.to_owned()),
        }
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    let key = AccountKey::parse(&base64(*key.lock().unwrap())).unwrap();
    let right = authorization(Service::Blob, ACCOUNT, &key, method, &url, &headers, length);
    let (status, body) = if signed != right {
        *refused.lock().unwrap() += 1;
        ("403 Forbidden\r\nx-ms-error-code: AuthenticationFailed", "")
    } else if method == Method::Get {
        let none =
            "<?xml version=\"1.0\"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>";
        ("200 OK", none)
    } else {
        ("201 Created", "")
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nserver: Windows-Azure-Blob/1.0\r\nx-ms-version: 2021-12-02\r\n\
         content-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    (&*stream).write_all(head.as_bytes()).ok()?;
    (&*stream).write_all(body.as_bytes()).ok()
}

/// Whether this key signed the SAS of a container, as the service would find out.
fn signed_with(key: &[u8], sas: &str, container: &str) -> bool {
    let url: Url = format!("http://x/?{sas}").parse().unwrap();
    let fields: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    assert!(field("sv").as_str() >= "2020-12-06", "another layout");
    let name = format!("/blob/{ACCOUNT}/{container}");
    let mut text = vec![field("sp"), field("st"), field("se"), name];
    text.extend(["si", "sip", "spr", "sv", "sr"].map(field));
    text.extend(vec![String::new(); 7]);
    field("sig") == base64(&hmac(key, text.join("\n").as_bytes()))
}

fn holds(ticket: &str, key: &[u8]) -> bool {
    let url = ConnectionUrl::parse(ticket.trim()).unwrap();
    signed_with(key, &url.handshake, "handshake") && signed_with(key, &url.token, "token")
}

/// A listener whose key is in a file, and that file.
fn listener(account: &Account, directory: &tempfile::TempDir, options: &[&str]) -> Running {
    let file = directory.path().join("key");
    fs::write(&file, base64(OLD)).unwrap();
    let store = format!("azblob+{}", account.endpoint());
    let mut command = stillwire(["listen", &store, "--echo"]);
    command.args(options);
    command.env("AZURE_STORAGE_ACCOUNT", ACCOUNT);
    command.env("AZURE_STORAGE_KEY_FILE", &file);
    start(command, Input::Nothing)
}

#[test]
fn the_ticket_file_follows_the_accounts_key() {
    assert_eq!(
        hmac(b"Jefe", b"what do ya want for nothing?")[..4],
        [0x5b, 0xdc, 0xc1, 0x46],
        "RFC 4231, case 2"
    );
    let (account, directory) = (Account::start(), tempfile::tempdir().unwrap());
    let ticket = directory.path().join("ticket");
    let options = ["-q", "--ticket-file", ticket.to_str().unwrap()];
    let listener = listener(&account, &directory, &options);
    wait_for(|| ticket.exists());
    let before = fs::read_to_string(&ticket).unwrap();
    assert!(holds(&before, OLD) && !holds(&before, NEW));

    // Refused, but the file has the old key still: nothing to write.
    *account.key.lock().unwrap() = NEW;
    wait_for(|| *account.refused.lock().unwrap() >= 3);
    assert_eq!(fs::read_to_string(&ticket).unwrap(), before);

    fs::write(directory.path().join("key"), base64(NEW)).unwrap();
    wait_for(|| fs::read_to_string(&ticket).unwrap() != before);
    let after = fs::read_to_string(&ticket).unwrap();
    assert!(holds(&after, NEW) && !holds(&after, OLD));
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&ticket).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }
    // And the listener goes on with it.
    let refused = *account.refused.lock().unwrap();
    thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(*account.refused.lock().unwrap(), refused);
    listener.signal(rustix::process::Signal::INT);
    let done = listener.finish().expect(130);
    for key in [OLD, NEW] {
        assert!(!done.stderr.contains(&base64(key)), "{}", done.stderr);
    }
}

#[test]
fn without_a_file_the_new_ticket_is_told() {
    let (account, directory) = (Account::start(), tempfile::tempdir().unwrap());
    let listener = listener(&account, &directory, &["--json"]);
    let tickets = || -> Vec<String> {
        let told = listener.told();
        let events = told
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let tickets = events.filter(|event| event["event"] == "ticket");
        tickets
            .map(|event| event["ticket"].as_str().unwrap().to_owned())
            .collect()
    };
    wait_for(|| tickets().len() == 1);
    fs::write(directory.path().join("key"), base64(NEW)).unwrap();
    *account.key.lock().unwrap() = NEW;
    wait_for(|| tickets().len() == 2);
    let tickets = tickets();
    assert!(holds(&tickets[0], OLD) && holds(&tickets[1], NEW));
    listener.signal(rustix::process::Signal::INT);
    listener.finish().expect(130);
}
