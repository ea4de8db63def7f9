//! TLS in both directions, with certificates of a small authority.

use bytes::Bytes;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use stillwire_futures::{Class, Error, FailureKind};
use stillwire_tls::{Authority, Credential, Settings, Tls};
use stillwire_tokio::asoc::{
    ApiKey, AuditKind, Config, Connection, Identity, Node, NodeId, Options, connect, start,
};

fn key() -> ApiKey {
    ApiKey::new(b"a key of the cluster, 32 bytes..").unwrap()
}

fn id(n: u8) -> NodeId {
    NodeId::from_bytes([n; 16])
}

struct Cluster {
    authority: Authority,
    root: String,
}

impl Cluster {
    fn new() -> Self {
        let (authority, own) = Authority::generate("test cluster").unwrap();
        Self {
            authority,
            root: own.certificate,
        }
    }

    fn node(&self, n: u8) -> Credential {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        self.authority.issue(id(n), &names, 30).unwrap()
    }

    fn settings(&self, own: Option<&Credential>, revoked: Option<String>) -> Settings {
        Settings {
            identity: own.map(|own| format!("{}{}", own.certificate, own.key).into_bytes()),
            authorities: self.root.clone().into_bytes(),
            revoked: revoked.map(String::into_bytes),
            mutual: true,
            server_name: None,
        }
    }
}

async fn listening(settings: &Settings) -> (Node, SocketAddr, Arc<Mutex<Vec<AuditKind>>>) {
    let mut options = Options::new(id(1), key());
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options.wrap = Some(Arc::new(Tls::new(settings).unwrap()));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&heard);
    options.audit = Some(Arc::new(move |event| {
        log.lock().unwrap().push(event.kind.clone());
    }));
    let node = start(options).await.unwrap();
    let at = node.local_addr().unwrap();
    (node, at, heard)
}

async fn dial(at: SocketAddr, n: u8, settings: &Settings) -> Result<Connection, Error> {
    let identity = Identity {
        node: id(n),
        keys: vec![key()],
        community: String::new(),
    };
    let tls = Tls::new(settings).unwrap();
    connect(at, identity, Config::default(), Some(Arc::new(tls))).await
}

#[tokio::test]
async fn trap_08_both_ends_know_each_other_by_their_certificates() {
    let cluster = Cluster::new();
    let (server, client) = (cluster.node(1), cluster.node(2));
    let (node, at, _) = listening(&cluster.settings(Some(&server), None)).await;
    let settings = cluster.settings(Some(&client), None);
    let dialed = dial(at, 2, &settings).await.unwrap();
    assert_eq!(
        dialed.certified(),
        Some(id(1)),
        "the default profile alone does not tell"
    );
    let accepted = node.accept().await.unwrap();
    assert_eq!(
        (accepted.peer(), accepted.certified()),
        (Some(id(2)), Some(id(2)))
    );
    let message = vec![7; 3_000_000];
    dialed
        .send_message(Bytes::from(message.clone()))
        .await
        .unwrap();
    let heard = accepted.receive_message(10_000_000).await.unwrap().unwrap();
    assert!(heard == message);
    accepted.send_message(Bytes::from(heard)).await.unwrap();
    assert!(dialed.receive_message(10_000_000).await.unwrap().unwrap() == message);
    dialed.close().await.unwrap();
}

#[tokio::test]
async fn a_node_that_says_another_uuid_than_its_certificate_is_refused() {
    let cluster = Cluster::new();
    let (server, client) = (cluster.node(1), cluster.node(2));
    let (_node, at, heard) = listening(&cluster.settings(Some(&server), None)).await;
    let settings = cluster.settings(Some(&client), None);
    let refused = dial(at, 3, &settings).await.unwrap_err();
    assert_eq!(refused.class(), Some(Class::Eof), "{refused}");
    let honest = dial(at, 2, &settings).await.unwrap();
    drop(honest);
    let heard = heard.lock().unwrap();
    let identity = |kind: &&AuditKind| kind.class() == Some(Class::Identity);
    assert_eq!(heard.iter().filter(identity).count(), 1, "{heard:?}");
}

fn is_tls(error: &Error) -> bool {
    matches!(error, Error::Store(failure) if failure.kind == FailureKind::Tls)
        || error.class() == Some(Class::Eof)
        || matches!(error, Error::Store(failure) if failure.kind == FailureKind::Unreachable)
}

#[tokio::test]
async fn one_node_is_shut_out_by_a_revocation_list() {
    let cluster = Cluster::new();
    let (server, bad, good) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let list = cluster
        .authority
        .revoke(std::slice::from_ref(&bad.serial), 1)
        .unwrap();
    let (_node, at, _) = listening(&cluster.settings(Some(&server), Some(list))).await;
    let refused = dial(at, 2, &cluster.settings(Some(&bad), None))
        .await
        .unwrap_err();
    assert!(is_tls(&refused), "{refused}");
    dial(at, 3, &cluster.settings(Some(&good), None))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_new_list_cuts_off_whom_it_names_and_nobody_else() {
    let cluster = Cluster::new();
    let (server, bad, good) = (cluster.node(1), cluster.node(2), cluster.node(3));
    let tls = Tls::new(&cluster.settings(Some(&server), None)).unwrap();
    let mut options = Options::new(id(1), key());
    options.listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    options.wrap = Some(Arc::new(tls.clone()));
    let node = start(options).await.unwrap();
    let at = node.local_addr().unwrap();
    let serial_of_bad = bad.serial.clone();
    let (bad, good) = (
        cluster.settings(Some(&bad), None),
        cluster.settings(Some(&good), None),
    );
    let shut_out = dial(at, 2, &bad).await.unwrap();
    let theirs = node.accept().await.unwrap();
    let stays = dial(at, 3, &good).await.unwrap();
    let ours = node.accept().await.unwrap();
    let serial = |n| {
        cluster
            .authority
            .issue(id(n), &["x".into()], 1)
            .unwrap()
            .serial
    };
    let revoke = |serials: &[Vec<u8>], number| cluster.authority.revoke(serials, number).unwrap();
    // What is no list changes nothing; a list of others cuts nobody off.
    for nothing in [&b""[..], b"nonsense"] {
        assert!(tls.reload(nothing).is_err());
    }
    let strangers = revoke(&[serial(9)], 1);
    assert_eq!(tls.reload(strangers.as_bytes()).unwrap(), 0);
    let list = revoke(&[serial_of_bad], 2);
    assert_eq!(tls.reload(list.as_bytes()).unwrap(), 1);
    let why = theirs.closed().await.unwrap_err();
    assert!(why.to_string().contains("revoked"), "{why}");
    // The other end is told nothing: its connection is over.
    let _ = shut_out.closed().await;
    let refused = dial(at, 2, &bad).await.unwrap_err();
    assert!(is_tls(&refused), "{refused}");
    stays
        .send_message(Bytes::from_static(b"still here"))
        .await
        .unwrap();
    let heard = ours.receive_message(100).await.unwrap().unwrap();
    assert_eq!(heard, b"still here");
    dial(at, 3, &good).await.unwrap();
}

#[tokio::test]
async fn a_dialer_cuts_off_a_server_that_a_new_list_names() {
    let cluster = Cluster::new();
    let (server, client) = (cluster.node(1), cluster.node(2));
    let (_node, at, _) = listening(&cluster.settings(Some(&server), None)).await;
    let tls = Tls::new(&cluster.settings(Some(&client), None)).unwrap();
    let identity = Identity {
        node: id(2),
        keys: vec![key()],
        community: String::new(),
    };
    let dialed = connect(at, identity, Config::default(), Some(Arc::new(tls.clone())));
    let dialed = dialed.await.unwrap();
    let list = cluster
        .authority
        .revoke(std::slice::from_ref(&server.serial), 1)
        .unwrap();
    assert_eq!(tls.reload(list.as_bytes()).unwrap(), 1);
    let why = dialed.closed().await.unwrap_err();
    assert!(why.to_string().contains("revoked"), "{why}");
}

#[tokio::test]
async fn a_revoked_server_is_not_talked_to() {
    let cluster = Cluster::new();
    let (server, client) = (cluster.node(1), cluster.node(2));
    let (_node, at, _) = listening(&cluster.settings(Some(&server), None)).await;
    let list = cluster
        .authority
        .revoke(std::slice::from_ref(&server.serial), 1)
        .unwrap();
    let settings = cluster.settings(Some(&client), Some(list));
    let refused = dial(at, 2, &settings).await.unwrap_err();
    assert!(is_tls(&refused), "{refused}");
    assert!(refused.to_string().contains("evoked"), "{refused}");
}

#[tokio::test]
async fn trap_08_strangers_are_refused_in_both_directions() {
    let (ours, theirs) = (Cluster::new(), Cluster::new());
    let server = ours.node(1);
    let (_node, at, _) = listening(&ours.settings(Some(&server), None)).await;
    // A server of another authority.
    let stranger = theirs.node(2);
    let refused = dial(at, 2, &theirs.settings(Some(&stranger), None))
        .await
        .unwrap_err();
    assert!(is_tls(&refused), "{refused}");
    // A client of another authority, and one without a certificate.
    let mut mixed = theirs.settings(Some(&stranger), None);
    mixed.authorities = ours.root.clone().into_bytes();
    for settings in [mixed, ours.settings(None, None)] {
        let refused = dial(at, 2, &settings).await.unwrap_err();
        assert!(is_tls(&refused), "{refused}");
    }
    // A name that the certificate does not hold.
    let client = ours.node(2);
    let mut other = ours.settings(Some(&client), None);
    other.server_name = Some("elsewhere.example".into());
    let refused = dial(at, 2, &other).await.unwrap_err();
    assert!(is_tls(&refused), "{refused}");
}

#[test]
fn what_cannot_verify_is_not_built() {
    let empty = Tls::new(&Settings::default()).unwrap_err();
    assert!(empty.to_string().contains("authority"), "{empty}");
    let cluster = Cluster::new();
    let mut settings = cluster.settings(None, Some("nonsense".into()));
    assert!(Tls::new(&settings).is_err());
    settings.revoked = None;
    let own = cluster.node(1);
    settings.identity = Some(own.certificate.into_bytes());
    let keyless = Tls::new(&settings).unwrap_err();
    assert!(keyless.to_string().contains("private key"), "{keyless}");
}
