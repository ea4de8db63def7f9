use super::*;
use base64ct::{Base64, Encoding as _};

// `u64 BE sequence ‖ u32 BE 16 ‖ 16 bytes`, in base64 by somebody else's hand.
const M0: &str = "AAAAAAAAAAAAAAAQQUFBQUFBQUFBQUFBQUFBQQ==";
const M1: &str = "AAAAAAAAAAEAAAAQQkJCQkJCQkJCQkJCQkJCQg==";
const M2: &str = "AAAAAAAAAAIAAAAQQ0NDQ0NDQ0NDQ0NDQ0NDQw==";
const M255: &str = "AAAAAAAAAP8AAAAQWVlZWVlZWVlZWVlZWVlZWQ==";
const M256: &str = "AAAAAAAAAQAAAAAQWlpaWlpaWlpaWlpaWlpaWg==";

const GET: &str = "GET /acc/req-c9e7ab11-6c24-4589-8afc-b3564563e6ea/messages\
                   ?numofmessages=32&visibilitytimeout=5";

fn chunk(letter: u8) -> Vec<u8> {
    let mut chunk = vec![0, 0, 0, 16];
    chunk.resize(20, letter);
    chunk
}

/// Something later is there.
fn gap(more: bool) -> Result<Reply, Failure> {
    Ok(Reply::NotYet { gap: true, more })
}

fn data(letters: &[u8], more: bool) -> Result<Reply, Failure> {
    let bytes = letters.iter().flat_map(|letter| chunk(*letter)).collect();
    Ok(Reply::Data { bytes, more })
}

#[test]
fn a_chunk_is_one_message_and_is_kept_for_ever() {
    let write = Operation::Write {
        sequence: 1,
        chunks: vec![20],
        bytes: chunk(b'B').into(),
    };
    let (lines, result) = on(&dialing(), write.clone(), vec![ok(201)]);
    let body = format!("<QueueMessage><MessageText>{M1}</MessageText></QueueMessage>");
    assert_eq!(
        lines,
        [format!(
            "POST /acc/req-{ID}/messages?messagettl=-1&SP=a&SIG content-length:{} \
             content-type:application/xml {body}",
            body.len()
        )]
    );
    assert_eq!(result, Ok(Reply::Done));
    let (lines, _) = on(&accepting(), write, vec![ok(201)]);
    assert!(lines[0].starts_with(&format!("POST /acc/res-{ID}/messages?messagettl=-1 ")));
}

#[test]
fn a_put_whose_answer_is_lost_goes_out_again_as_it_was() {
    let write = || Operation::Write {
        sequence: 0,
        chunks: vec![20],
        bytes: chunk(b'A').into(),
    };
    let session = dialing();
    let (first, result) = on(&session, write(), vec![cut()]);
    let failure = result.unwrap_err();
    assert!(failure.is_retryable() && failure.may_have_landed);
    let exchange = session.begin(&again(write()), NOW).unwrap();
    let (second, result) = play(exchange, vec![ok(201)]);
    assert_eq!(first, second);
    assert_eq!(result, Ok(Reply::Done));
}

#[test]
fn what_is_not_exactly_one_chunk_is_not_written() {
    for (chunks, length) in [
        (vec![], 20),
        (vec![10, 10], 20),
        (vec![21], 20),
        (vec![0], 0),
    ] {
        let write = Operation::Write {
            sequence: 0,
            chunks,
            bytes: vec![0; length].into(),
        };
        let failure = dialing()
            .begin(&first_try(write), NOW)
            .map(|_| ())
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
    }
    let write = |length: usize| Operation::Write {
        sequence: 0,
        chunks: vec![length as u32],
        bytes: vec![0; length].into(),
    };
    assert!(dialing().begin(&first_try(write(49_080)), NOW).is_ok());
    let failure = dialing()
        .begin(&first_try(write(49_081)), NOW)
        .map(|_| ())
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::TooLarge);
}

#[test]
fn messages_are_put_into_order_and_given_out_once() {
    let session = accepting();
    let batch = list(&[("c", "3", M2), ("a", "1", M0), ("b", "2", M1)]);
    let (lines, result) = on(&session, read(0), vec![batch]);
    assert_eq!(lines, [GET]);
    assert_eq!(result, data(b"ABC", false));
    // The same once more, as after a put that was repeated or a visibility that ran out.
    let batch = list(&[("a", "9", M0), ("x", "9", M1)]);
    let (_, result) = on(&session, read(3), vec![batch]);
    let old = |more| Ok(Reply::NotYet { gap: false, more });
    assert_eq!(result, old(false));
    let (_, result) = on(&session, read(3), vec![nothing()]);
    assert_eq!(result, Ok(Reply::Nothing { missing: false }));
    // A whole batch of it: what is wanted may be right behind.
    let batch = list(&[("a", "9", M0); BATCH]);
    let (_, result) = on(&session, read(3), vec![batch]);
    assert_eq!(result, old(true));
}

#[test]
fn what_comes_early_waits_and_a_gap_is_said_to_be_one() {
    let session = accepting();
    let (_, result) = on(
        &session,
        read(0),
        vec![list(&[("c", "1", M2), ("b", "1", M1)])],
    );
    assert_eq!(result, gap(false));
    let (_, result) = on(&session, read(0), vec![nothing()]);
    assert_eq!(result, gap(false), "it is still one");
    let (_, result) = on(&session, read(0), vec![list(&[("a", "1", M0)])]);
    assert_eq!(result, data(b"ABC", false));
}

#[test]
fn a_read_takes_whole_chunks_and_the_rest_needs_no_request() {
    let session = accepting();
    // Chunks of 30,000 bytes: two do not fit into a read of one and a bit.
    let large = |sequence: u64| {
        let mut chunk = vec![0, 0, 0x75, 0x2c];
        chunk.resize(30_000, b'x');
        stillwire_core::aznet::wire::queue::encode(sequence, &chunk)
    };
    let read = |sequence| Operation::Read {
        sequence,
        limit: 50_000,
    };
    let batch = list(&[("a", "1", &large(0)), ("b", "1", &large(1))]);
    let exchange = session.begin(&first_try(read(0)), NOW).unwrap();
    assert!(line(&exchange).contains("numofmessages=1&"));
    drop(exchange);
    // The service may give more than were asked for only by mistake: those are not looked at.
    let (_, result) = on(&session, read(0), vec![batch]);
    assert!(matches!(result, Ok(Reply::Data { bytes, more: true }) if bytes.len() == 30_000));
    let early = list(&[("c", "1", &large(2))]);
    let (_, result) = on(&session, read(1), vec![early]);
    assert_eq!(result, gap(true), "as many as were asked for");
    let late = list(&[("b", "2", &large(1))]);
    let (_, result) = on(&session, read(1), vec![late]);
    assert!(matches!(result, Ok(Reply::Data { bytes, more: true }) if bytes.len() == 30_000));
    let (lines, result) = on(&session, read(2), vec![]);
    assert_eq!(lines, [""; 0]);
    assert!(matches!(result, Ok(Reply::Data { bytes, more: false }) if bytes.len() == 30_000));
    let less = Operation::Read {
        sequence: 0,
        limit: LARGEST_CHUNK - 1,
    };
    assert!(session.begin(&first_try(less), NOW).is_err());
}

#[test]
fn at_most_256_messages_are_held_and_what_is_further_ahead_is_left() {
    let session = accepting();
    let texts: Vec<String> = (1..400_u64)
        .map(|sequence| stillwire_core::aznet::wire::queue::encode(sequence, &chunk(b'x')))
        .collect();
    for batch in texts.chunks(BATCH) {
        let ids: Vec<String> = (0..batch.len()).map(|n| format!("m{n}")).collect();
        let messages: Vec<_> = ids
            .iter()
            .zip(batch)
            .map(|(id, text)| (id.as_str(), "1", text.as_str()))
            .collect();
        let (_, result) = on(&session, read(0), vec![list(&messages)]);
        assert_eq!(result, gap(batch.len() == BATCH));
    }
    assert_eq!(session.inbox().sizes().0, 255, "1 to 255; 0 is to come");
    let (_, result) = on(
        &session,
        read(0),
        vec![list(&[("y", "1", M255), ("z", "1", M256)])],
    );
    assert_eq!(result, gap(false));
    assert_eq!(session.inbox().sizes().0, 255);
    let (_, result) = on(&session, read(0), vec![list(&[("a", "1", M0)])]);
    assert!(matches!(result, Ok(Reply::Data { bytes, .. }) if bytes.len() == 256 * 20));
    let (_, result) = on(&session, read(256), vec![list(&[("z", "2", M256)])]);
    assert_eq!(result, data(b"Z", false));
}

#[test]
fn a_full_batch_says_that_there_is_more() {
    let session = accepting();
    let texts: Vec<String> = (0..32)
        .map(|sequence| stillwire_core::aznet::wire::queue::encode(sequence, &chunk(b'x')))
        .collect();
    let messages: Vec<_> = texts.iter().map(|text| ("m", "1", text.as_str())).collect();
    let (_, result) = on(&session, read(0), vec![list(&messages)]);
    assert!(matches!(result, Ok(Reply::Data { more: true, .. })));
}

#[test]
fn messages_that_do_not_decode_are_left_and_disturb_nobody() {
    let session = accepting();
    // Whole, and a byte longer than a chunk may be.
    let mut oversized = vec![0; 8];
    oversized.extend_from_slice(&(LARGEST_CHUNK as u32 - 3).to_be_bytes());
    oversized.resize(8 + LARGEST_CHUNK + 1, b'A');
    let oversized = Base64::encode_string(&oversized);
    let junk = [
        "",
        "not base64",
        "AAAA",
        // A chunk that is cut short, two in one message, one too short for a tag.
        "AAAAAAAAAAAAAAARQUFBQUFBQUFBQUFBQUFBQQ==",
        "AAAAAAAAAAAAAAAQQUFBQUFBQUFBQUFBQUFBQQAAABBBQUFBQUFBQUFBQUFBQUFB",
        "AAAAAAAAAAAAAAAPQUFBQUFBQUFBQUFBQUFB",
        "&lt;b&gt;&amp;&lt;/b&gt;",
        oversized.as_str(),
    ];
    for round in 0..5 {
        let ids: Vec<String> = (0..junk.len()).map(|n| format!("junk{n}")).collect();
        let mut messages: Vec<_> = ids
            .iter()
            .zip(junk)
            .map(|(id, text)| (id.as_str(), "1", text))
            .collect();
        let (text, letter) = [(M0, b'A'), (M1, b'B'), (M2, b'C')]
            .get(round)
            .copied()
            .unwrap_or(("", 0));
        messages.push(("honest", "1", text));
        let (_, result) = on(&session, read(round as u64), vec![list(&messages)]);
        if letter == 0 {
            let junk = Reply::NotYet {
                gap: false,
                more: false,
            };
            assert_eq!(result, Ok(junk));
        } else {
            assert_eq!(result, data(&[letter], false), "round {round}");
        }
        assert_eq!(session.inbox().left(), 1, "none of the junk is deleted");
    }
    // An entry that never decoded is not even tried any more, whatever it says now.
    let (_, result) = on(&session, read(0), vec![list(&[("junk0", "1", M0)])]);
    assert!(!matches!(result, Ok(Reply::Data { .. })));
}

#[test]
fn what_was_read_is_deleted_one_by_one_by_its_latest_receipt() {
    let session = dialing();
    let batch = list(&[("a/..?x", "r+1=", M0), ("b", "2", M1)]);
    let (lines, _) = on(&session, read(0), vec![batch]);
    assert_eq!(
        lines,
        [format!(
            "GET /acc/res-{ID}/messages?numofmessages=32&visibilitytimeout=5&SP=rp&SIG"
        )]
    );
    let (lines, result) = on(&session, release(), vec![ok(204)]);
    assert_eq!(
        lines,
        [format!(
            "DELETE /acc/res-{ID}/messages/a%2F..%3Fx?popreceipt=r%2B1%3D&SP=rp&SIG"
        )]
    );
    let released = |removed, left| Ok(Reply::Released { removed, left });
    assert_eq!(result, released(1, 1));
    // It came again before it was deleted: the old receipt holds no more.
    on(&session, read(2), vec![list(&[("b", "3", M1)])])
        .1
        .unwrap();
    let (lines, result) = on(&session, release(), vec![code(404, "MessageNotFound")]);
    assert!(lines[0].contains("popreceipt=3&"), "{}", lines[0]);
    assert_eq!(result, released(0, 0));
    let (lines, result) = on(&session, release(), vec![]);
    assert_eq!((lines.len(), result), (0, released(0, 0)));
    on(&session, read(2), vec![list(&[("b", "4", M1)])])
        .1
        .unwrap();
    let (_, result) = on(&session, release(), vec![code(400, "PopReceiptMismatch")]);
    assert_eq!(result, released(0, 0));
}

#[test]
fn a_removal_that_failed_or_was_dropped_is_made_later() {
    let session = accepting();
    on(
        &session,
        read(0),
        vec![list(&[("a", "1", M0), ("b", "1", M1)])],
    )
    .1
    .unwrap();
    for outcome in [cut(), code(503, "ServerBusy")] {
        let failure = on(&session, release(), vec![outcome]).1.unwrap_err();
        assert!(failure.is_retryable());
    }
    drop(session.begin(&first_try(release()), NOW).unwrap());
    // Several at once are about different messages.
    let one = session.begin(&first_try(release()), NOW).unwrap();
    let two = session.begin(&first_try(release()), NOW).unwrap();
    assert!(line(&one).contains("/messages/a?"), "{}", line(&one));
    assert!(line(&two).contains("/messages/b?"), "{}", line(&two));
    let gone = on(&session, release(), vec![]).1;
    let none = Reply::Released {
        removed: 0,
        left: 0,
    };
    assert_eq!(gone, Ok(none));
}

#[test]
fn a_reader_that_leaves_messages_asks_for_no_removals() {
    let store = listener_with(Limits::leaving());
    assert_eq!(AzureStore::profile(&store).releases_in_flight, 0);
    let session = store.session(id(), Role::Listener, None).unwrap();
    let (lines, result) = on(&session, read(0), vec![list(&[("a", "1", M0)])]);
    assert!(lines[0].ends_with("&visibilitytimeout=300"), "{}", lines[0]);
    assert_eq!(result, data(b"A", false));
    assert_eq!(session.inbox().left(), 0);
}

#[test]
fn trap_12_a_queue_that_is_gone_stays_missing() {
    for outcome in [code(404, "QueueNotFound"), code(409, "QueueBeingDeleted")] {
        let (_, result) = on(&accepting(), read(0), vec![outcome]);
        assert_eq!(result, Ok(Reply::Nothing { missing: true }));
    }
}

#[test]
fn trap_37_a_queue_does_not_rotate() {
    for direction in [Direction::Inbound, Direction::Outbound] {
        let rotate = Operation::Rotate {
            direction,
            number: 1,
        };
        let failure = accepting().begin(&first_try(rotate), NOW).map(|_| ());
        assert_eq!(failure.unwrap_err().kind, FailureKind::Refused);
    }
}

#[test]
fn the_profile_keeps_to_the_window() {
    for (wanted, given) in [(0, 1), (1, 1), (16, 16), (256, 256), (1_000, 256)] {
        let limits = Limits {
            writes_in_flight: wanted,
            ..Limits::default()
        };
        let profile = listener_with(limits).profile();
        assert_eq!(profile.writes_in_flight, given);
        assert_eq!(profile.bytes_per_write, 49_080);
        assert_eq!(profile.bytes_per_read, 32 * 49_080);
    }
}
