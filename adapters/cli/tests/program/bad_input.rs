//! What is wrong with what the user or the world gives us: one line and an exit code each.

use crate::hostile::Account;
use crate::snapshots::assert_snapshot;
use crate::support::{ACCOUNT, Input, KEY, Place, noise, run, start, stillwire, wait_for};
use std::fs;
use std::time::{Duration, Instant};
use stillwire_azure::Service;
use stillwire_azure::http::Method;

/// A snapshot's name, arguments, environment.
type Case<'a> = (&'a str, &'a [&'a str], &'a [(&'a str, &'a str)]);

/// Two SAS of no account, expired long ago, as a ticket to `host`.
pub(crate) fn ticket_to(host: &str) -> String {
    let handshake = "c3Y9MjAyMS0xMi0wMiZzcj1jJnNlPTIwMjEtMDEtMDFUMDA6MDA6MDBaJnNwPWFjdyZzaWc9YQ==";
    let token = "c3Y9MjAyMS0xMi0wMiZzcj1jJnNlPTIwMjEtMDEtMDFUMDA6MDA6MDBaJnNwPXJsJnNpZz1hYQ==";
    format!("{host}?handshake={handshake}&token={token}")
}

/// Runs in an empty directory, so that lines hold no path of this machine.
fn told(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let place = Place::directory();
    fs::create_dir(place.path("folder")).unwrap();
    place.write("file", b"file");
    let mut command = stillwire(arguments);
    command
        .envs(environment.iter().copied())
        .current_dir(place.dir.path());
    let done = run(command, Input::Nothing);
    assert!(done.stdout.is_empty(), "{arguments:?}");
    assert!(!done.stderr.contains("sig="), "{}", done.stderr);
    format!("exit {}\n{}", done.code.unwrap(), done.stderr)
}

#[test]
fn mistakes_are_one_line_and_a_code() {
    let account = [
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ];
    let exposed = ticket_to("http://10.1.2.3:10000/acc");
    let elsewhere = ticket_to("http://127.0.0.1:9/acc");
    let cases: &[Case] = &[
        ("usage-verb", &["lisen", "dir:x"], &[]),
        ("usage-option", &["dial", "--frob"], &[]),
        ("usage-two-tickets", &["dial", &elsewhere, &elsewhere], &[]),
        (
            "usage-expiry",
            &["ticket", "dir:x", "--expiry", "soon"],
            &[],
        ),
        (
            "usage-driver",
            &["dial", "stillwire:dir:/x", "--driver", "azblob"],
            &[],
        ),
        (
            "usage-driver-of-store",
            &["ticket", "azblob+https://h/acc", "--driver", "azqueue"],
            &[],
        ),
        ("store-unknown", &["listen", "ftp://x"], &[]),
        ("store-memory", &["listen", "memory:"], &[]),
        ("store-no-account", &["listen", "azblob"], &[]),
        (
            "store-exposed",
            &["listen", "azblob+http://10.1.2.3:10000/devstoreaccount1"],
            &account,
        ),
        (
            "store-name",
            &["listen", "azblob", "--handshake", "Upper"],
            &account,
        ),
        (
            "store-bad-key",
            &["listen", "azblob"],
            &[
                ("AZURE_STORAGE_ACCOUNT", "acc"),
                ("AZURE_STORAGE_KEY", "s3cret!"),
            ],
        ),
        (
            "store-bad-connection-string",
            &["listen", "azblob"],
            &[("AZURE_STORAGE_CONNECTION_STRING", "s3cret")],
        ),
        ("ticket-missing", &["dial"], &[]),
        ("ticket-text", &["dial", "no ticket"], &[]),
        (
            "ticket-base64",
            &[
                "dial",
                "https://a.blob.core.windows.net?handshake=x&token=y",
            ],
            &[],
        ),
        ("ticket-exposed", &["dial", &exposed], &[]),
        (
            "ticket-file-missing",
            &["dial", "--ticket-file", "absent"],
            &[],
        ),
        ("ticket-only", &["send", &elsewhere], &[]),
        ("file-missing", &["send", &elsewhere, "absent"], &[]),
        ("file-directory", &["send", &elsewhere, "folder"], &[]),
        ("file-twice", &["send", &elsewhere, "file", "./file"], &[]),
        ("recv-into-a-file", &["recv", "dir:store", "file/x"], &[]),
        ("demo-file-missing", &["demo", "--file", "absent"], &[]),
        (
            "ticket-file-unwritable",
            &["listen", "dir:store", "--ticket-file", "absent/t"],
            &[],
        ),
    ];
    for (name, arguments, environment) in cases {
        let text = told(arguments, environment);
        assert_eq!(text.lines().count(), 2, "{name}: {text}");
        assert!(!text.contains("s3cret"), "{name}: {text}");
        assert_snapshot(&format!("bad-{name}.txt"), &text);
    }
}

#[test]
fn errors_as_json_are_one_object() {
    let done = run(stillwire(["dial", "--json", "no ticket"]), Input::Nothing).expect(2);
    let json: serde_json::Value = serde_json::from_str(&done.stderr).unwrap();
    assert_eq!(json["event"], "error");
    assert_eq!(json["code"], 2);
    assert_eq!(json["kind"], "usage");
    assert!(
        json["message"]
            .as_str()
            .unwrap()
            .starts_with("not a ticket")
    );
}

#[test]
fn a_listener_without_its_store_gives_up_soon() {
    let mut command = stillwire(["listen", "azblob+http://127.0.0.1:1/devstoreaccount1"]);
    command.envs([
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ]);
    let asked = Instant::now();
    let done = run(command, Input::Nothing).expect(4);
    assert!(
        asked.elapsed() < Duration::from_secs(20),
        "{:?}",
        asked.elapsed()
    );
    assert!(
        done.last_line().contains("127.0.0.1:1/devstoreaccount1"),
        "{}",
        done.stderr
    );
    assert!(done.last_line().contains("refused"), "{}", done.stderr);
}

#[test]
fn a_directory_that_is_not_there_is_a_local_fault() {
    let place = Place::directory();
    place.write("file", b"no directory");
    let below = format!("dir:{}", place.path("file").join("store").display());
    let gone = format!("stillwire:dir:{}", place.path("gone").display());
    let mut cases = vec![
        vec!["listen", &below],
        vec!["ticket", &below],
        vec!["dial", &gone],
    ];
    if cfg!(target_os = "linux") {
        cases.push(vec!["listen", "dir:/proc/nope"]);
    }
    for mut arguments in cases {
        arguments.push("-q");
        let done = run(stillwire(&arguments), Input::Nothing).expect(1);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        for word in ["ticket", "SAS", "service", "endpoint"] {
            let line = done.last_line();
            assert!(!line.contains(word), "{line}");
        }
        let started = done.last_line().contains("started first");
        assert_eq!(started, arguments[0] == "dial", "{}", done.stderr);
    }
}

#[test]
fn a_dialer_without_its_store_times_out_in_one_line() {
    let ticket = ticket_to("http://127.0.0.1:1/acc");
    let done = run(stillwire(["dial", "-q", &ticket]), Input::Nothing).expect(4);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(done.stderr.contains("127.0.0.1:1/acc"), "{}", done.stderr);
    assert!(!done.stderr.contains("sig="), "{}", done.stderr);
}

#[test]
fn a_ticket_of_a_listener_that_is_gone_times_out() {
    let place = Place::directory();
    let store = format!("dir:{}", place.path("store").display());
    let done = run(stillwire(["ticket", &store]), Input::Nothing).expect(0);
    let ticket = String::from_utf8(done.stdout).unwrap();
    let done = run(stillwire(["dial", "-q", ticket.trim()]), Input::Nothing).expect(4);
    assert!(
        done.last_line().contains("is the listener running"),
        "{}",
        done.stderr
    );
    assert!(done.last_line().contains("(store dir:"), "{}", done.stderr);
}

#[cfg(unix)]
#[test]
fn a_ticket_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::directory();
    let old = place.write("ticket", b"an old one, for everybody");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    let listener = start(place.listening("listen", &[]), Input::Nothing);
    wait_for(|| old.exists());
    let mode = fs::metadata(&old).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    drop(listener);
}

#[cfg(target_os = "linux")]
#[test]
fn core_dumps_are_off() {
    let place = Place::directory();
    let listener = start(place.listening("listen", &[]), Input::Nothing);
    wait_for(|| place.path("ticket").exists());
    let limits = fs::read_to_string(format!("/proc/{}/limits", listener.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let numbers: Vec<_> = core.unwrap().split_whitespace().skip(4).take(2).collect();
    assert_eq!(numbers, ["0", "0"]);
}

#[test]
fn a_store_that_vanishes_mid_stream_is_an_error_on_both_sides() {
    let place = Place::directory();
    let listener = start(place.listening("listen", &["-q"]), Input::Open);
    let mut dialer = start(place.dialing("dial", &["-q"]), Input::Open);
    let mut stdin = dialer.stdin();
    std::io::Write::write_all(&mut stdin, &noise(10_000)).unwrap();
    let store = place.path("store");
    // A block is read and gone within a moment: wait for the session, then for its first bytes.
    wait_for(|| fs::read_dir(store.join("sessions")).is_ok_and(|mut found| found.next().is_some()));
    std::thread::sleep(Duration::from_secs(2));
    fs::remove_dir_all(&store).unwrap();
    std::io::Write::write_all(&mut stdin, &noise(10_000)).unwrap();
    let dialed = dialer.finish().expect(5);
    assert_eq!(dialed.stderr.lines().count(), 1, "{}", dialed.stderr);
    let listened = listener.finish().expect(5);
    assert_eq!(
        listened
            .stderr
            .lines()
            .filter(|l| l.starts_with("stillwire: "))
            .count(),
        1
    );
    drop(stdin);
}

#[test]
fn another_service_than_blob_storage_is_told_from_it() {
    for (variable, service) in [
        ("STILLWIRE_AZURITE_QUEUE", "queue storage"),
        ("STILLWIRE_AZURITE_TABLE", "table storage"),
    ] {
        let Ok(endpoint) = std::env::var(variable) else {
            eprintln!("skipped: {variable} is not set");
            continue;
        };
        let name = format!("elsewhere-{}", std::process::id());
        for verb in ["listen", "ticket"] {
            let store = format!("azblob+{endpoint}");
            let mut command = stillwire([verb, "-q", &store, "--handshake", &name]);
            command.envs([
                ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
                ("AZURE_STORAGE_KEY", KEY),
            ]);
            let done = run(command, Input::Nothing).expect(5);
            assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
            let what = format!("{service} answers there, not blob storage: check the endpoint");
            assert!(done.last_line().contains(&what), "{}", done.stderr);
            assert!(done.last_line().contains(&endpoint), "{}", done.stderr);
            assert!(done.stdout.is_empty());
        }
        if service == "queue storage" {
            let account = Account::new(Service::Queue, &endpoint);
            let (status, queues) = account.send(Method::Get, "?comp=list", &[], b"");
            assert_eq!(status, 200, "{queues}");
            assert!(!queues.contains(&name), "{queues}");
        }
    }
}

#[test]
fn a_ticket_of_another_account_is_refused() {
    let Some(endpoint) = std::env::var("STILLWIRE_AZURITE_BLOB").ok() else {
        eprintln!("skipped: STILLWIRE_AZURITE_BLOB is not set");
        return;
    };
    let done = run(
        stillwire(["dial", "-q", &ticket_to(&endpoint)]),
        Input::Nothing,
    )
    .expect(3);
    assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
    assert!(!done.stderr.contains("sig="), "{}", done.stderr);
}

#[test]
fn junk_at_the_meeting_place_keeps_nobody_out() {
    let place = Place::directory();
    let listener = start(place.listening("listen", &["-q"]), Input::Nothing);
    wait_for(|| place.path("ticket").exists());
    let handshakes = place.path("store").join("handshake");
    for number in 0..200 {
        fs::write(handshakes.join(format!("junk-{number}")), noise(number)).unwrap();
    }
    let upper = "6F9619FF-8B86-4011-B42D-00C04FC964FF";
    fs::write(handshakes.join(upper), noise(68)).unwrap();
    run(
        place.dialing("dial", &["-q"]),
        Input::Bytes(b"honest".to_vec()),
    )
    .expect(0);
    assert_eq!(listener.finish().expect(0).stdout, b"honest");
}

#[test]
fn nothing_that_is_told_at_length_is_a_secret() {
    for (_, place) in Place::azurites() {
        let listener = start(
            place.listening("listen", &["-vv", "--json"]),
            Input::Nothing,
        );
        let dialer = run(place.dialing("dial", &["-vv"]), Input::Bytes(noise(1_000))).expect(0);
        let listened = listener.finish().expect(0);
        assert!(
            dialer.stderr.contains("DEBUG connection{id=")
                && dialer.stderr.contains("stillwire_futures::"),
            "{}",
            dialer.stderr
        );
        let ticket = fs::read_to_string(place.path("ticket")).unwrap();
        let rest = listened.stderr.replace(ticket.trim(), "");
        for text in [rest, dialer.stderr] {
            assert!(!text.contains("sig="), "{text}");
            assert!(!text.contains(KEY), "{text}");
            // The base64 of "sig=", however it falls on the groups.
            for part in ["c2lnP", "NpZz", "zaWc9"] {
                assert!(!text.contains(part), "{text}");
            }
        }
    }
}
