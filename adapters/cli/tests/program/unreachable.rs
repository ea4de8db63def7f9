//! Stores that are nowhere, and such as never say a word.

use crate::bad_input::ticket_to;
use crate::support::{Input, KEY, run, start, stillwire};
use std::net::TcpListener;

#[test]
fn whoever_cannot_be_reached_is_one_line_and_a_network_fault() {
    // Takes connections as far as the system does, and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/acc", silent.local_addr().unwrap());
    let nowhere = "https://nowhere.invalid/acc";
    // All at once: some wait for 30 seconds.
    let mut waiting = Vec::new();
    for at in [nowhere, &silent] {
        let dial = stillwire(["dial", "-q", &ticket_to(at)]);
        let mut listen = stillwire(["listen", "-q", &format!("azblob+{at}")]);
        listen.env("AZURE_STORAGE_ACCOUNT", "acc");
        listen.env("AZURE_STORAGE_KEY", KEY);
        let [dial, listen] = [dial, listen].map(|command| start(command, Input::Nothing));
        waiting.push((at, "dial", dial));
        waiting.push((at, "listen", listen));
    }
    for (at, verb, process) in waiting {
        let done = process.finish().expect(4);
        assert_eq!(done.stderr.lines().count(), 1, "{}", done.stderr);
        assert!(done.stdout.is_empty());
        let line = done.last_line();
        assert!(line.contains(at) && !line.contains("sig="), "{line}");
        // What it was, and what to try.
        let words = match (at == nowhere, verb) {
            (true, _) => ["failed to lookup address", "check the address"],
            (false, "dial") => ["did not answer in time", "is the listener running"],
            (false, _) => ["no answer within 30 s", "check the network"],
        };
        assert!(
            words.iter().all(|word| line.contains(word)),
            "{verb}: {line}"
        );
    }
}

#[test]
fn plain_http_has_a_proxy_of_its_own() {
    // Nobody listens where somebody just did.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    for (scheme, proxy) in [("http", " HTTP_PROXY"), ("https", " HTTPS_PROXY")] {
        let mut ticket = stillwire(["ticket", &format!("azblob+{scheme}://{address}/acc")]);
        ticket.env("AZURE_STORAGE_ACCOUNT", "acc");
        ticket.env("AZURE_STORAGE_KEY", KEY);
        let done = run(ticket, Input::Nothing).expect(4);
        let line = done.last_line();
        assert!(line.ends_with(proxy), "{line}");
    }
}

#[test]
fn plain_http_is_allowed_when_asked_for() {
    // Nobody is there: the network's fault comes instead of the refusal.
    let ticket = ticket_to("http://nowhere.invalid/acc");
    let refused = run(stillwire(["dial", "-q", &ticket]), Input::Nothing).expect(2);
    assert!(refused.last_line().contains("--allow-http"));
    let command = stillwire(["dial", "-q", &ticket, "--allow-http"]);
    let allowed = run(command, Input::Nothing).expect(4);
    assert!(!allowed.last_line().contains("--allow-http"));
    assert!(allowed.last_line().contains("http://nowhere.invalid/acc"));
}
