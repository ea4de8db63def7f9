//! The same over queues.

use crate::Emulator;
use crate::carrier::ticket_of;
use crate::go::{config, echo, exchange, number, pattern};
use crate::hostile::signed;
use stillwire_azure::queue::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SIZES: [usize; 5] = [0, 1, 1_000, 100_000, 5_000_000];

#[tokio::test(flavor = "multi_thread")]
async fn go_dials_us_and_gets_its_bytes_back() {
    let Some(emulator) = Emulator::open_on("azqueue", "go_dials_our_queue") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    for size in SIZES {
        let url = listener.ticket().to_string();
        let size_text = size.to_string();
        let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", &size_text, &url]);
        let mut connection = echo(listener.accept().await.unwrap()).await;
        let done = go.next("done").await;
        assert_eq!(number(&done, "received"), Some(size as u64), "{done}");
        assert_eq!(go.wait().await, Some(0));
        assert_eq!(connection.stats().bytes_received, size as u64);
        connection.closed().await.unwrap();
    }
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn we_dial_go_and_get_our_bytes_back() {
    let Some(emulator) = Emulator::open_on("azqueue", "we_dial_a_go_queue") else {
        return;
    };
    let (_go, url) = emulator.go_listen(&["--mode", "echo"]).await;
    for (seed, size) in SIZES.into_iter().enumerate() {
        let connection = emulator.dial(&url, config()).await;
        let mut connection = exchange(connection, seed as u64, size).await;
        connection.closed().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_09_several_go_dialers_at_once_are_all_served() {
    let Some(emulator) = Emulator::open_on("azqueue", "several_on_a_queue") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let arguments = ["--mode", "echo", "--bytes", "200000", "--connections", "5"];
    let mut go = emulator.go("dial", &[&arguments[..], &[&url]].concat());
    let mut served = Vec::new();
    for _ in 0..5 {
        served.push(tokio::spawn(echo(listener.accept().await.unwrap())));
    }
    for _ in 0..5 {
        let done = go.next("done").await;
        assert_eq!(number(&done, "received"), Some(200_000), "{done}");
    }
    assert_eq!(go.wait().await, Some(0));
    for connection in served {
        connection.await.unwrap().closed().await.unwrap();
    }
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_close_leaves_the_other_direction_open() {
    let Some(emulator) = Emulator::open_on("azqueue", "half_close_on_a_queue") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();

    // The dialer ends at once and reads on.
    let mut go = emulator.go("dial", &["--mode", "connect", &url]);
    let mut connection = listener.accept().await.unwrap();
    let mut received = Vec::new();
    connection.read_to_end(&mut received).await.unwrap();
    assert!(received.is_empty());
    connection.write_all(&pattern(3, 300_000)).await.unwrap();
    connection.shutdown().await.unwrap();
    let done = go.next("done").await;
    assert_eq!(number(&done, "received"), Some(300_000), "{done}");
    connection.closed().await.unwrap();
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_deletes_nothing_gets_every_byte_and_the_queues_go_in_the_end() {
    let Some(emulator) = Emulator::open_on("azqueue", "leaving_messages") else {
        return;
    };
    let mut options = emulator.options();
    options.queue = Limits::leaving();
    let mut listener = emulator.listen(&options, config()).await;
    let url = listener.ticket().to_string();
    let dialing = emulator.dial(&url, config());
    let (dialed, accepted) = tokio::join!(dialing, listener.accept());
    let accepted = accepted.unwrap();
    let place = format!("req-{}?comp=metadata", accepted.id());
    let there = signed(&emulator, "GET", &place, &[], b"").await;
    assert_eq!(there.status(), 200);
    let (mut dialer, mut listening) = tokio::join!(exchange(dialed, 7, 5_000_000), echo(accepted));
    assert_eq!(listening.stats().bytes_received, 5_000_000);
    assert_eq!(listening.stats().deletes, 0);
    let (one, other) = tokio::join!(dialer.closed(), listening.closed());
    one.and(other).unwrap();
    listener.stop().await.unwrap();
    let there = signed(&emulator, "GET", &place, &[], b"").await;
    assert_eq!(there.status(), 404);
}

async fn status(method: &str, url: String, body: &str) -> u16 {
    let client = reqwest::Client::new();
    let call = client.request(method.parse().unwrap(), url);
    let call = call
        .header("x-ms-version", "2021-12-02")
        .body(body.to_owned());
    call.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_16_junk_in_the_handshake_queue_is_left_and_holds_nobody_up() {
    let Some(emulator) = Emulator::open_on("azqueue", "junk_in_a_queue") else {
        return;
    };
    let mut listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let sas = ticket_of(&emulator, &url).handshake.clone();
    let knock = format!(
        "{}/{}/messages?{sas}",
        emulator.endpoint,
        emulator.handshake()
    );
    for n in 0..70 {
        let text = match n % 4 {
            0 => "no base64".to_owned(),
            1 => "AAAA".to_owned(),
            2 => "A".repeat(60_000),
            _ => "&lt;&amp;&gt;".repeat(1_000),
        };
        let body = format!("<QueueMessage><MessageText>{text}</MessageText></QueueMessage>");
        assert_eq!(status("POST", knock.clone(), &body).await, 201);
    }
    let mut go = emulator.go("dial", &["--mode", "echo", "--bytes", "100000", &url]);
    let mut served = echo(listener.accept().await.unwrap()).await;
    go.next("done").await;
    served.closed().await.unwrap();
    let path = format!("{}?comp=metadata", emulator.handshake());
    let metadata = signed(&emulator, "GET", &path, &[], b"").await;
    let left = &metadata.headers()["x-ms-approximate-messages-count"];
    assert_eq!(left, "70", "all of the junk, and nothing else");
    listener.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_lets_add_and_look_and_nothing_else() {
    let Some(emulator) = Emulator::open_on("azqueue", "ticket_scope_of_a_queue") else {
        return;
    };
    let listener = emulator.listen(&emulator.options(), config()).await;
    let url = listener.ticket().to_string();
    let ticket = ticket_of(&emulator, &url);
    let body = "<QueueMessage><MessageText>AAAA</MessageText></QueueMessage>";
    let (handshake, token) = (emulator.handshake(), emulator.token());
    let at =
        |queue: &str, query: &str, sas: &str| format!("{}/{queue}{query}{sas}", emulator.endpoint);
    for (method, query, queue, sas, expected) in [
        ("POST", "/messages?", &handshake, &ticket.handshake, 201),
        (
            "GET",
            "/messages?peekonly=true&",
            &token,
            &ticket.token,
            200,
        ),
        ("GET", "/messages?", &handshake, &ticket.handshake, 403),
        (
            "GET",
            "/messages?peekonly=true&",
            &handshake,
            &ticket.handshake,
            403,
        ),
        ("DELETE", "/messages?", &handshake, &ticket.handshake, 403),
        ("DELETE", "?", &handshake, &ticket.handshake, 403),
        ("POST", "/messages?", &token, &ticket.token, 403),
        ("GET", "/messages?", &token, &ticket.token, 403),
        ("DELETE", "?", &token, &ticket.token, 403),
        ("POST", "/messages?", &token, &ticket.handshake, 403),
        (
            "GET",
            "/messages?peekonly=true&",
            &handshake,
            &ticket.token,
            403,
        ),
    ] {
        let got = status(method, at(queue, query, sas), body).await;
        assert_eq!(got, expected, "{method} {queue}{query}");
    }
    listener.stop().await.unwrap();
}
