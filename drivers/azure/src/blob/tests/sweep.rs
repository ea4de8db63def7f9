use super::*;
use crate::hostile_xml::Listing;
use stillwire_core::store::MarkedSession;

fn begin(operation: Operation) -> Exchange {
    listener().begin(&first_try(operation), NOW).unwrap()
}

fn list(limit: u16) -> Exchange {
    begin(Operation::ListSessions { after: None, limit })
}

const OURS: &str = "c9e7ab11-6c24-4589-8afc-b3564563e6ea";
/// Two hours before the answer's date.
const OLD: &str = "Mon, 11 Jan 2027 06:00:00 GMT";
const DATE: (&str, &str) = ("date", "Mon, 11 Jan 2027 08:00:00 GMT");
const TWO_HOURS: Duration = Duration::from_secs(7_200);

fn container(name: &str, metadata: &str) -> String {
    format!(
        "<Container><Name>{name}</Name><Properties><Last-Modified>{OLD}</Last-Modified>\
         <Etag>\"0x1\"</Etag></Properties>{metadata}</Container>"
    )
}

fn mark(created: &str) -> String {
    let mark = "0123456789abcdef0123456789abcdef";
    format!("<Metadata><stillwire>{mark}</stillwire><created>{created}</created></Metadata>")
}

fn page(containers: &str, marker: &str) -> Outcome {
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\">\
         <MaxResults>9</MaxResults><Containers>{containers}</Containers>{marker}\
         </EnumerationResults>"
    );
    Ok(answer(200, &[DATE], xml))
}

#[test]
fn only_containers_with_our_mark_and_a_connection_id_are_sessions() {
    let containers = [
        container("handshake", ""),
        container("photos", &mark("1799654400")),
        container(OURS, &mark("1799647200")),
        container("0f6d3a52-5f1e-4d0b-9d7e-7c1d1e2f3a4b", "<Metadata/>"),
        container(
            "1f6d3a52-5f1e-4d0b-9d7e-7c1d1e2f3a4b",
            "<Metadata><stillwire>yes</stillwire><created>1</created></Metadata>",
        ),
        container("2f6d3a52-5f1e-4d0b-9d7e-7c1d1e2f3a4b", &mark("soon")),
    ];
    let answer = page(&containers.concat(), "<NextMarker>/acc/3f</NextMarker>");
    let exchange = list(9);
    assert_eq!(
        line(&exchange),
        "GET /acc/?comp=list&include=metadata&maxresults=9 x-ms-version:2021-12-02"
    );
    let (_, result) = play(exchange, vec![answer]);
    let session = MarkedSession {
        id: id(),
        age: TWO_HOURS,
    };
    assert_eq!(
        result,
        Ok(Reply::Sessions {
            sessions: vec![session],
            next: Some("/acc/3f".into()),
        })
    );
}

#[test]
fn the_next_page_begins_at_the_marker_and_an_empty_account_has_an_empty_page() {
    let operation = Operation::ListSessions {
        after: Some("/acc/3f".into()),
        limit: 9,
    };
    let exchange = begin(operation);
    assert!(line(&exchange).contains("&marker=%2Facc%2F3f "));
    for (containers, marker) in [("", "<NextMarker/>"), ("", "")] {
        let (_, result) = play(list(9), vec![page(containers, marker)]);
        let none = Reply::Sessions {
            sessions: Vec::new(),
            next: None,
        };
        assert_eq!(result, Ok(none));
    }
    for junk in ["", "<html/>", "<EnumerationResults>"] {
        let outcome = Ok(answer(200, &[DATE], junk.to_owned()));
        let (_, result) = play(list(9), vec![outcome]);
        assert_eq!(kind(&result), FailureKind::Malformed, "{junk}");
    }
    let none = Operation::ListSessions {
        after: None,
        limit: 0,
    };
    assert!(listener().begin(&first_try(none), NOW).is_err());
    let guest = Operation::ListSessions {
        after: None,
        limit: 1,
    };
    assert!(dialer().begin(&first_try(guest), NOW).is_err());
}

fn age() -> Exchange {
    begin(Operation::SessionAge { id: id() })
}

fn marked() -> Outcome {
    let head = [
        ("x-ms-meta-stillwire", "0123456789abcdef0123456789abcdef"),
        ("last-modified", OLD),
        DATE,
    ];
    Ok(answer(200, &head, ""))
}

fn blobs(changed: &[&str], marker: &str) -> Outcome {
    let blobs: Vec<_> = changed
        .iter()
        .map(|changed| {
            format!(
                "<Blob><Name>req-0</Name><Properties><Last-Modified>{changed}</Last-Modified>\
                 </Properties></Blob>"
            )
        })
        .collect();
    let xml = format!(
        "<EnumerationResults><Blobs>{}</Blobs>{marker}</EnumerationResults>",
        blobs.concat()
    );
    Ok(answer(200, &[DATE], xml))
}

#[test]
fn a_session_is_as_old_as_its_newest_blob_by_the_clock_of_the_service() {
    let (lines, result) = play(
        age(),
        vec![marked(), blobs(&[OLD, "Mon, 11 Jan 2027 07:59:30 GMT"], "")],
    );
    assert_eq!(result, Ok(Reply::Age(Some(Duration::from_secs(30)))));
    assert_eq!(
        lines,
        [
            format!("GET /acc/{OURS}?restype=container x-ms-version:2021-12-02"),
            format!(
                "GET /acc/{OURS}?restype=container&comp=list&include=metadata&maxresults=5000 \
                 x-ms-version:2021-12-02"
            ),
        ]
    );
    let (_, result) = play(age(), vec![marked(), blobs(&[], "")]);
    assert_eq!(result, Ok(Reply::Age(Some(TWO_HOURS))));
    // More than one page of blobs is not looked through: it counts as in use.
    let more = blobs(&[OLD], "<NextMarker>2</NextMarker>");
    let (_, result) = play(age(), vec![marked(), more]);
    assert_eq!(result, Ok(Reply::Age(Some(Duration::ZERO))));
    let (_, result) = play(age(), vec![marked(), blobs(&["yesterday"], "")]);
    assert_eq!(kind(&result), FailureKind::Malformed);
}

#[test]
fn what_is_gone_or_bears_no_mark_has_no_age() {
    let foreign = Ok(answer(200, &[("last-modified", OLD), DATE], ""));
    for outcome in [foreign, code(404, "ContainerNotFound")] {
        assert_eq!(play(age(), vec![outcome]).1, Ok(Reply::Age(None)));
    }
    let (_, result) = play(age(), vec![marked(), code(404, "ContainerNotFound")]);
    assert_eq!(result, Ok(Reply::Age(None)));
}

#[test]
fn a_sweep_removes_only_what_bears_the_mark() {
    let sweep = || begin(Operation::SweepSession { id: id() });
    let (lines, result) = play(sweep(), vec![marked(), ok(202)]);
    assert_eq!(result, Ok(Reply::Done));
    assert!(lines[1].starts_with("DELETE "), "{lines:?}");
    let foreign = Ok(answer(200, &[], ""));
    let (lines, result) = play(sweep(), vec![foreign]);
    assert_eq!(kind(&result), FailureKind::Exists);
    assert_eq!(lines.len(), 1);
    let (_, result) = play(sweep(), vec![code(404, "ContainerNotFound")]);
    assert_eq!(result, Ok(Reply::Done));
}

const CONTAINERS: Listing = Listing {
    root: "EnumerationResults",
    open: "<Containers>",
    close: "</Containers>",
    entry: "Container",
    sound: "<Name>c9e7ab11-6c24-4589-8afc-b3564563e6ea</Name>\
           <Metadata><stillwire>0123456789abcdef0123456789abcdef</stillwire>\
           <created>1799647200</created></Metadata>",
    text: ("<Metadata><stillwire>", "</stillwire></Metadata>"),
};

#[test]
fn hostile_xml_is_malformed_and_never_a_page_of_containers() {
    for (what, body) in CONTAINERS.refused() {
        let (_, result) = play(list(9), vec![Ok(answer(200, &[DATE], body))]);
        let refused = result.map_err(|failure| failure.kind);
        assert_eq!(refused, Err(FailureKind::Malformed), "{what}");
    }
}

#[test]
fn what_is_unknown_in_a_page_of_containers_is_passed_by() {
    let sound = CONTAINERS.page("");
    let (_, wanted) = play(list(9), vec![Ok(answer(200, &[DATE], sound))]);
    assert!(matches!(&wanted, Ok(Reply::Sessions { sessions, .. })
            if sessions.len() == 1 && sessions[0].id == id()));
    for (what, body) in CONTAINERS.taken() {
        let (_, result) = play(list(9), vec![Ok(answer(200, &[DATE], body))]);
        assert_eq!(result, wanted, "{what}");
    }
}

#[test]
fn a_page_of_containers_that_broke_off_is_tried_again() {
    let head = [DATE, ("content-length", "100000")];
    let (_, result) = play(list(9), vec![Ok(answer(200, &head, CONTAINERS.page("")))]);
    assert!(result.unwrap_err().is_retryable());
}
