//! Options that change what a run does, and the exit code of a budget.

use crate::support::{ACCOUNT, Input, KEY, Place, run, start, stillwire, wait_for};
use std::fs;
use stillwire_tokio::asoc::{ApiKey, NodeId, Options};

/// Looks in vain of a listener and a dialer that had nothing to say while others said much.
fn looks_in_vain(silent: &[(&str, Place)]) -> Vec<[u64; 2]> {
    let mut pairs = Vec::new();
    for (policy, place) in silent {
        let arguments = ["-q", "--stats", "--poll", policy];
        let mut listener = start(place.listening("listen", &arguments), Input::Open);
        let mut dialer = start(place.dialing("dial", &arguments), Input::Open);
        let held = [listener.stdin(), dialer.stdin()];
        pairs.push((listener, dialer, held));
    }
    for (_, place) in silent {
        let sessions = place.path("store/sessions");
        wait_for(|| fs::read_dir(&sessions).is_ok_and(|mut found| found.next().is_some()));
    }
    std::thread::sleep(std::time::Duration::from_secs(4));
    let ended = pairs.into_iter().map(|(listener, dialer, held)| {
        drop(held);
        [listener, dialer].map(|process| {
            let done = process.finish().expect(0);
            let stats: serde_json::Value = serde_json::from_str(done.last_line()).unwrap();
            stats["transactions"]["read_empty"].as_u64().unwrap()
        })
    });
    ended.collect()
}

#[test]
fn an_eager_policy_looks_more_often_than_a_thrifty_one() {
    let policies = ["latency", "balanced", "thrift"].map(|policy| (policy, Place::directory()));
    let looks = looks_in_vain(&policies);
    // Pauses grow to 5, 50 and 1,000 ms over a directory.
    for end in 0..2 {
        assert!(looks[0][end] > 2 * looks[1][end], "{looks:?}");
        assert!(looks[1][end] > 2 * looks[2][end], "{looks:?}");
    }
}

#[test]
fn a_bare_url_goes_by_the_driver_that_is_named() {
    let places = Place::azurites();
    if places.len() < 3 {
        return;
    }
    let drivers = ["azblob", "azqueue", "aztable"];
    let bare = |place: &Place, driver: Option<&str>| {
        let (endpoint, handshake) = place.meeting();
        let mut command = stillwire(["ticket", "-q", endpoint, "--handshake", handshake]);
        command.args(["--token", place.token()]);
        command.args(driver.map(|driver| format!("--driver={driver}")));
        command.env("AZURE_STORAGE_ACCOUNT", ACCOUNT);
        command.env("AZURE_STORAGE_KEY", KEY);
        run(command, Input::Nothing)
    };
    for (driver, (_, place)) in drivers.iter().zip(&places) {
        let done = bare(place, Some(driver)).expect(0);
        let ticket = String::from_utf8(done.stdout).unwrap();
        let listener = start(place.listening("listen", &["-q", "--once"]), Input::Nothing);
        wait_for(|| place.path("ticket").exists());
        let mut dial = stillwire(["dial", "-q", "--driver", driver]);
        dial.env("STILLWIRE_TICKET", ticket.trim());
        run(dial, Input::Bytes(b"by name".to_vec())).expect(0);
        assert_eq!(listener.finish().expect(0).stdout, b"by name");
    }
    // The service tells of the wrong driver, and we of none.
    let wrong = bare(&places[1].1, Some("azblob")).expect(5);
    assert!(
        wrong.last_line().contains("queue storage answers there"),
        "{}",
        wrong.stderr
    );
    assert_eq!(wrong.stderr.lines().count(), 1);
    let none = bare(&places[0].1, None).expect(2);
    assert_eq!(none.stderr.lines().count(), 1, "{}", none.stderr);
}

#[test]
fn a_peer_that_opens_more_streams_than_it_may_uses_up_the_budget() {
    const KEY: &str = "a key of the cluster, 32 bytes..";
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut options = Options::new(
        NodeId::from_bytes([1; 16]),
        ApiKey::new(KEY.as_bytes()).unwrap(),
    );
    options.listen = Some(([127, 0, 0, 1], 0).into());
    options.config.connection.max_streams = 2_000;
    let node = runtime
        .block_on(stillwire_tokio::asoc::start(options))
        .unwrap();
    let address = node.local_addr().unwrap().to_string();
    let served = runtime.spawn(async move {
        let connection = node.accept().await.unwrap();
        let mut open = Vec::new();
        for _ in 0..1_025 {
            let Ok(mut stream) = connection.open() else {
                break;
            };
            if stream.send(bytes::Bytes::from_static(b"x")).await.is_err() {
                break;
            }
            open.push(stream);
        }
        // Nothing of it ends before the other end has had enough.
        std::future::pending::<()>().await;
        drop((open, connection, node));
    });
    let mut dial = stillwire(["asoc", "dial", &address, "-q"]);
    dial.env("STILLWIRE_ASOC_KEY", KEY);
    let done = run(dial, Input::Nothing).expect(6);
    let line = done.last_line();
    assert!(
        line.contains("more streams open than are allowed"),
        "{line}"
    );
    assert_eq!(done.stderr.matches("limit").count(), 2, "{}", done.stderr);
    served.abort();
}
