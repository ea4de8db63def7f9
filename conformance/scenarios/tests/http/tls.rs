//! Over TLS, with roots of one's own and through proxies. Clients read the environment when they
//! are made, so each case is a process of its own.

use crate::server::{answer, pipe, request};
use crate::{assert_clean, each, perform, session, write};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use stillwire_scenarios::{Adapter, adapters};
use tempfile::TempDir;

each!(
    roots_are_those_of_ssl_cert_file,
    https_goes_through_a_proxy,
    no_proxy_is_obeyed,
    a_proxy_that_refuses_has_seen_no_request,
    plain_http_to_this_machine_needs_no_proxy,
);

/// A name that only a proxy can resolve.
const HOST: &str = "acc.blob.core.windows.net";

const ADAPTER: &str = "STILLWIRE_HTTP_ADAPTER";
const ENDPOINT: &str = "STILLWIRE_HTTP_ENDPOINT";

/// A certificate authority of one test, and a server that bears its certificate.
struct World {
    folder: TempDir,
    port: u16,
}

impl World {
    fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap());
        let authority = authority.unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec![HOST.to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("roots.pem"), authority.pem()).unwrap();

        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = config.with_single_cert(vec![leaf.der().clone()], key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // Serves for as long as the test runs.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let connection = ServerConnection::new(config.clone()).unwrap();
                let mut stream = StreamOwned::new(connection, stream.unwrap());
                if request(&mut stream).is_some() {
                    let _ = stream.write_all(answer("201 Created", "").as_bytes());
                }
            }
        });
        Self { folder, port }
    }

    fn roots(&self) -> String {
        self.folder.path().join("roots.pem").display().to_string()
    }

    /// What the client said in a process with this environment and no other proxy.
    fn child(&self, adapter: &dyn Adapter, endpoint: &str, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command
            .args(["--exact", "tls::child", "--ignored", "--nocapture"])
            .env(ADAPTER, adapter.name())
            .env(ENDPOINT, endpoint)
            .env("SSL_CERT_FILE", self.roots())
            .env_remove("SSL_CERT_DIR")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.split_once("outcome: "));
        line.unwrap_or_else(|| panic!("{text}")).1.to_owned()
    }
}

/// One write, in the environment that the parent made.
#[test]
#[ignore = "the other tests run it in a process of its own"]
fn child() {
    let name = std::env::var(ADAPTER).unwrap();
    let endpoint = std::env::var(ENDPOINT).unwrap();
    let adapter = adapters::ALL.iter().find(|one| one.name() == name);
    let adapter = *adapter.unwrap();
    let session = session(adapter, &endpoint);
    match perform(adapter, &session, write()) {
        Ok(_) => println!("outcome: ok"),
        Err(failure) => {
            assert_clean(&failure);
            let (kind, landed) = (failure.kind, failure.may_have_landed);
            println!("outcome: {kind:?} landed={landed} {}", failure.detail);
        }
    }
}

/// A proxy that answers so, and what was asked of it. Every tunnel leads to `port`.
fn proxy(answer: &'static str, port: u16) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, asked) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(head) = request(&mut stream) else {
                continue;
            };
            if tell.send(head).is_err() {
                return;
            }
            let _ = stream.write_all(answer.as_bytes());
            if answer.contains(" 200 ") {
                pipe(stream, TcpStream::connect(("127.0.0.1", port)).unwrap());
            }
        }
    });
    (address, asked)
}

fn roots_are_those_of_ssl_cert_file(adapter: &dyn Adapter) {
    let world = World::new();
    let endpoint = format!("https://127.0.0.1:{}/acc", world.port);
    assert_eq!(world.child(adapter, &endpoint, &[]), "ok");
    let other = World::new();
    let outcome = world.child(adapter, &endpoint, &[("SSL_CERT_FILE", &other.roots())]);
    assert!(outcome.starts_with("Tls landed="), "{outcome}");
}

fn https_goes_through_a_proxy(adapter: &dyn Adapter) {
    let world = World::new();
    let (address, asked) = proxy("HTTP/1.1 200 Connected\r\n\r\n", world.port);
    let proxy = format!("http://user:pass@{address}");
    let endpoint = format!("https://{HOST}/acc");
    assert_eq!(
        world.child(adapter, &endpoint, &[("HTTPS_PROXY", &proxy)]),
        "ok"
    );
    let head = asked.try_recv().unwrap();
    assert!(
        head.starts_with(&format!("connect {HOST}:443 http/1.1\r\n")),
        "{head}"
    );
    let expected = "proxy-authorization: basic dxnlcjpwyxnz\r\n";
    assert!(head.contains(expected), "{head}");
    assert!(!head.contains("secret"), "{head}");
}

fn no_proxy_is_obeyed(adapter: &dyn Adapter) {
    let world = World::new();
    let (address, asked) = proxy("HTTP/1.1 200 Connected\r\n\r\n", world.port);
    let proxy = format!("http://{address}");
    let endpoint = format!("https://127.0.0.1:{}/acc", world.port);
    let variables = [("HTTPS_PROXY", &*proxy), ("NO_PROXY", "127.0.0.1")];
    assert_eq!(world.child(adapter, &endpoint, &variables), "ok");
    assert!(asked.try_recv().is_err());
}

fn a_proxy_that_refuses_has_seen_no_request(adapter: &dyn Adapter) {
    let world = World::new();
    for (refusal, understood) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            true,
        ),
        ("HTTP/1.1 200", true),
        // ureq does not say whose answer it could not read: it counts as sent, to be on the safe
        // side.
        ("nonsense\r\n\r\n", false),
    ] {
        let (address, asked) = proxy(refusal, world.port);
        let proxy = format!("http://user:SECRETpass@{address}");
        let endpoint = format!("https://{HOST}/acc");
        let outcome = world.child(adapter, &endpoint, &[("HTTPS_PROXY", &proxy)]);
        assert!(!outcome.starts_with("ok"), "{refusal}: {outcome}");
        if understood {
            assert!(outcome.contains("landed=false"), "{refusal}: {outcome}");
        }
        let head = asked.try_recv().unwrap();
        assert!(head.starts_with("connect "), "{head}");
    }
}

fn plain_http_to_this_machine_needs_no_proxy(adapter: &dyn Adapter) {
    let world = World::new();
    let (address, asked) = proxy("HTTP/1.1 502 Bad Gateway\r\n\r\n", world.port);
    let proxy = format!("http://{address}");
    let (endpoint, _asked) = crate::server::server(vec![(answer("201 Created", ""), true)]);
    let outcome = world.child(adapter, &endpoint, &[("HTTPS_PROXY", &proxy)]);
    assert_eq!(outcome, "ok");
    assert!(asked.try_recv().is_err());
}
