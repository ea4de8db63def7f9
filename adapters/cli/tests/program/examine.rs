//! What looks at a store, measures it and says what it costs: `doctor`, `bench`, `estimate`.

use crate::hostile::Account;
use crate::service::lines;
use crate::support::{ACCOUNT, Input, KEY, Place, run, stillwire};
use serde_json::Value;
use std::fs;
use std::time::Duration;

#[test]
fn bench_measures_and_leaves_nothing_behind() {
    let place = Place::directory();
    let arguments = ["--bytes", "3MB", "--rounds", "5", "--json", "--stats"];
    let done = run(place.nameless("bench", &arguments), Input::Nothing).expect(0);
    let figures = &lines(&done.stdout)[0];
    assert_eq!(figures["bytes_each_way"], 3_000_000);
    assert_eq!(figures["rounds"], 5);
    for name in [
        "connect_seconds",
        "up_megabytes_per_second",
        "down_megabytes_per_second",
        "round_trip_p50_seconds",
        "round_trip_p90_seconds",
        "transactions",
    ] {
        assert!(figures[name].as_f64().unwrap() > 0.0, "{name}: {figures}");
    }
    let stats: Value = serde_json::from_str(done.last_line()).unwrap();
    assert_eq!(stats["connections"], 2);
    assert_eq!(stats["transactions"]["total"], figures["transactions"]);
    let left = fs::read_dir(place.path("store")).map(Iterator::count);
    assert!(
        left.is_err() || left.unwrap() == 0,
        "{:?}",
        place.names("store")
    );
}

#[test]
fn bench_over_blobs_removes_its_meeting_place() {
    let Some(place) = Place::azurite() else {
        return;
    };
    let arguments = ["--bytes", "1MB", "--rounds", "3"];
    let done = run(place.nameless("bench", &arguments), Input::Nothing).expect(0);
    let text = String::from_utf8(done.stdout).unwrap();
    for word in ["connect", "throughput", "round trip", "transactions"] {
        assert!(text.contains(word), "{text}");
    }
    let account = Account::of(&place);
    let method = stillwire_azure::http::Method::Get;
    let (_, containers) = account.send(method, "?comp=list&prefix=sw", &[], b"");
    assert!(!containers.contains("<Name>swhand"), "{containers}");
}

#[test]
fn estimate_prints_its_arithmetic_and_takes_other_prices() {
    let estimate = |arguments: &[&str]| {
        let mut all = vec!["estimate", "--json"];
        all.extend(arguments);
        let done = run(stillwire(all), Input::Nothing).expect(0);
        lines(&done.stdout).remove(0)
    };
    let idle = estimate(&["--idle", "10h", "--connections", "3"]);
    let part = |json: &Value, name: &str| {
        let parts = json["parts"].as_array().unwrap().clone();
        parts.into_iter().find(|part| part["part"] == name).unwrap()
    };
    // Two pings a minute and side, for ten hours and three connections.
    let requests = part(&idle, "idle")["requests"].clone();
    assert_eq!(requests["write"], 2.0 * 2.0 * 60.0 * 10.0 * 3.0);
    let hour = idle["silent_connection_hour"].as_f64().unwrap();
    let cost = part(&idle, "idle")["cost"].as_f64().unwrap();
    assert!((cost - 30.0 * hour).abs() < 1e-9, "{idle}");

    let thrifty = estimate(&["--idle", "10h", "--poll", "thrift"]);
    assert!(thrifty["silent_connection_hour"].as_f64().unwrap() < hour);

    let place = Place::directory();
    let prices = r#"{"currency":"EUR","as_of":"today",
        "azblob":{"write":10000,"list":0,"read":0,"delete":0,"traffic":2}}"#;
    let file = place.write("prices", prices.as_bytes());
    let file = file.to_str().unwrap();
    let own = estimate(&["--bytes", "1GB", "--prices", file]);
    assert_eq!(own["currency"], "EUR");
    assert_eq!(own["traffic"], 2.0);
    let total = own["total"].as_f64().unwrap();
    let writes: f64 = ["connect", "carry"]
        .iter()
        .map(|name| part(&own, name)["cost"].as_f64().unwrap())
        .sum();
    assert!((total - writes).abs() < 1e-6, "{own}");
    // A gigabyte is 60 appends of 16 MiB, and a little more.
    assert!((60.0..120.0).contains(&total), "{own}");

    place.write("prices", b"{}");
    let done = run(stillwire(["estimate", "--prices", file]), Input::Nothing).expect(2);
    assert!(
        done.last_line().contains("none for azblob"),
        "{}",
        done.stderr
    );
    let text = run(stillwire(["estimate", "--bytes", "1GB"]), Input::Nothing).expect(0);
    let text = String::from_utf8(text.stdout).unwrap();
    for word in [
        "prices",
        "connect",
        "carry",
        "/ 10,000 =",
        "total",
        "per GiB",
    ] {
        assert!(text.contains(word), "{word} is not in {text}");
    }
}

/// The page shows a run; `…` stands for what it leaves out.
#[test]
fn the_page_on_cost_shows_what_estimate_prints() {
    let page = include_str!("../../../../docs/src/cost.md");
    let (_, rest) = page.split_once("$ stillwire ").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    let (command, shown) = shown.split_once('\n').unwrap();
    let done = run(stillwire(command.split(' ')), Input::Nothing).expect(0);
    let printed = String::from_utf8(done.stdout).unwrap();
    let shown: Vec<_> = shown.lines().filter(|line| *line != "…").collect();
    assert!(shown.len() >= 6, "{shown:?}");
    for line in shown {
        let parts: Vec<_> = line.split('…').collect();
        let holds = |printed: &str| {
            let mut rest = printed.strip_prefix(parts[0])?;
            for part in &parts[1..] {
                rest = rest.split_once(part)?.1;
            }
            rest.is_empty().then_some(())
        };
        assert!(
            printed.lines().any(|one| holds(one).is_some()),
            "{line}\n{printed}"
        );
    }
}

/// What `estimate` counts for one part, by class.
fn requests(service: &str, part: &str, arguments: &[&str]) -> impl Fn(&str) -> f64 + use<> {
    let mut all = vec!["estimate", service, "--json"];
    all.extend(arguments);
    let done = run(stillwire(all), Input::Nothing).expect(0);
    let json = lines(&done.stdout).remove(0);
    assert_eq!(json["service"], service);
    let parts = json["parts"].as_array().unwrap();
    let found = parts.iter().find(|one| one["part"] == part).unwrap();
    let requests = found["requests"].clone();
    move |class| requests.get(class).map_or(0.0, |n| n.as_f64().unwrap())
}

/// Against the arithmetic of docs/src/cost.md: 2,039 messages of 49,055 bytes are 100 MB.
#[test]
fn estimate_of_queues_is_a_put_and_a_delete_for_each_chunk_and_a_get_for_thirty_two() {
    let carry = requests("azqueue", "carry", &["--bytes", "100MB"]);
    for class in ["write", "delete"] {
        assert!((carry(class) - 2_039.0).abs() <= 2.0, "{}", carry(class));
    }
    let gets = carry("read");
    // As many again find nothing, where the reader waits for what comes next.
    assert!((64.0..=3.0 * 64.0).contains(&gets), "{gets}");
    assert!(carry("list").abs() < 0.5);
    // An echo of as much is 8,284 requests at the least: one way is half of them.
    let sum = gets + carry("write") + carry("delete");
    assert!((4_142.0..4_142.0 * 1.04).contains(&sum), "{sum}");

    let idle = requests("azqueue", "idle", &["--idle", "10h"]);
    // Two pings a minute and side; and what dates the listener's queue every other minute.
    assert!(
        (idle("write") - 10.0 * (240.0 + 30.0)).abs() < 0.5,
        "{}",
        idle("write")
    );
    // Each ping is a message, to be deleted.
    assert!(
        (idle("delete") - 10.0 * 240.0).abs() < 0.5,
        "{}",
        idle("delete")
    );
}

/// Against the same: a grant takes one row of 983,015 bytes a request, a page brings four of them.
#[test]
fn estimate_of_tables_is_an_insert_for_each_row_of_the_dialer_and_a_query_for_four() {
    let carry = requests("aztable", "carry", &["--bytes", "100MB"]);
    assert!((carry("write") - 102.0).abs() <= 1.0, "{}", carry("write"));
    let queries = carry("read");
    assert!((26.0..4.0 * 26.0).contains(&queries), "{queries}");
    assert!(carry("delete").abs() < 0.5);

    let idle = requests("aztable", "idle", &["--idle", "10h"]);
    assert!(
        (idle("write") - 10.0 * 240.0).abs() < 0.5,
        "{}",
        idle("write")
    );
    assert!(idle("delete").abs() < 0.5, "{}", idle("delete"));

    // Two tables with a mark each are two requests more than two queues; what removes them and the
    // two messages of the handshake are four, and a queue's chunks are deleted one by one.
    let connect = |service| requests(service, "connect", &["--bytes", "1"]);
    let (queues, tables) = (connect("azqueue"), connect("aztable"));
    assert!((tables("write") - queues("write") - 2.0).abs() < 0.5);
    assert!((tables("delete") - 4.0).abs() < 0.5, "{}", tables("delete"));
    assert!(queues("delete") > 4.0, "{}", queues("delete"));
}

#[test]
fn doctor_looks_at_a_directory() {
    let place = Place::directory();
    let done = run(
        place.nameless("doctor", &["--json", "--bytes", "1MB"]),
        Input::Nothing,
    )
    .expect(0);
    let checks = lines(&done.stdout);
    let names: Vec<_> = checks
        .iter()
        .map(|line| line["check"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["settings", "access", "latency", "throughput"]);
    assert!(
        checks.iter().all(|line| line["state"] == "ok"),
        "{checks:?}"
    );

    place.write("file", b"no directory");
    let below = format!("dir:{}", place.path("file").join("store").display());
    let done = run(stillwire(["doctor", &below]), Input::Nothing).expect(1);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("failed   "), "{text}");
    assert!(done.stderr.contains("see above"), "{}", done.stderr);

    // Nobody shakes hands with it, so that there is nothing to warn of.
    let place = Place::directory();
    place.prepare();
    let done = run(place.dialing("doctor", &[]), Input::Nothing).expect(0);
    assert_eq!(done.stderr, "all is well\n");
}

#[test]
fn doctor_says_what_is_wrong_on_the_way_to_an_account() {
    let account = [
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ];
    let told = |arguments: &[&str], code: i32| {
        let mut command = stillwire(["doctor"]);
        let done = run_in(command.args(arguments).envs(account), code);
        assert!(!done.contains("sig="), "{done}");
        done
    };
    let refused = told(&["azblob+http://127.0.0.1:1/devstoreaccount1"], 4);
    assert!(refused.contains("ok       dns"), "{refused}");
    assert!(refused.contains("failed   http"), "{refused}");
    assert!(refused.contains("the network and HTTP_PROXY"), "{refused}");
    let nowhere = told(&["azblob+https://nowhere.invalid"], 4);
    assert!(
        nowhere.contains("failed   dns         nowhere.invalid is not found"),
        "{nowhere}"
    );
    let none = run(stillwire(["doctor", "azblob"]), Input::Nothing).expect(3);
    let none = String::from_utf8(none.stdout).unwrap();
    assert!(
        none.contains("failed   settings    no storage account"),
        "{none}"
    );
    run(stillwire(["doctor"]), Input::Nothing).expect(2);
}

fn run_in(command: &mut std::process::Command, code: i32) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn doctor_examines_an_account_and_a_ticket() {
    let Some(place) = Place::azurite() else {
        return;
    };
    let checks = |done: &[u8]| {
        let all = lines(done);
        let names = all.iter().map(|line| {
            let state = line["state"].as_str().unwrap();
            format!("{}={state}", line["check"].as_str().unwrap())
        });
        names.collect::<Vec<_>>().join(" ")
    };
    let done = run(
        place.nameless("doctor", &["--json", "--bytes", "1MB"]),
        Input::Nothing,
    )
    .expect(0);
    assert_eq!(
        checks(&done.stdout),
        "settings=ok proxy=ok dns=ok http=ok service=ok clock=ok access=ok latency=ok throughput=ok"
    );
    assert!(!String::from_utf8_lossy(&done.stdout).contains(KEY));

    place.prepare();
    let done = run(place.dialing("doctor", &["--json"]), Input::Nothing).expect(0);
    assert_eq!(
        checks(&done.stdout),
        "ticket=ok sas=ok sas=ok proxy=ok dns=ok http=ok service=ok clock=ok access=ok latency=ok \
         throughput=ok"
    );
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(!text.contains("sig"), "{text}");

    let mut command = place.about("ticket", &["--expiry", "1s"]);
    let ticket = command.output().unwrap().stdout;
    place.write("ticket", &ticket);
    std::thread::sleep(Duration::from_secs(2));
    let done = run(place.dialing("doctor", &[]), Input::Nothing).expect(3);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("has expired"), "{text}");

    let mut wrong = place.nameless("doctor", &[]);
    wrong.env("AZURE_STORAGE_KEY", "bm90IHRoZSBrZXk=");
    let done = run(wrong, Input::Nothing).expect(3);
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.contains("failed   access"), "{text}");
    assert!(!text.contains("bm90"), "{text}");
}
