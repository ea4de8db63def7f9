use super::*;
use crate::hostile_xml::Listing;
use stillwire_core::store::Handshake;

fn list(after: Option<&str>, limit: u16) -> Exchange {
    let operation = Operation::ListHandshakes {
        after: after.map(Into::into),
        limit,
    };
    listener().begin(&first_try(operation), NOW).unwrap()
}

fn page(exchange: Exchange, xml: &str) -> Result<Reply, Failure> {
    play(exchange, vec![Ok(answer(200, &[], xml.to_owned()))]).1
}

fn entry(name: &str, message: Option<&'static [u8]>) -> Handshake {
    Handshake {
        name: name.into(),
        message: message.map(Bytes::from_static),
    }
}

/// As the emulator writes it.
const TWO: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\
<EnumerationResults ServiceEndpoint=\"http://127.0.0.1:10000/acc\" ContainerName=\"handshake\">\
<Prefix/><Marker/><MaxResults>2</MaxResults><Delimiter/><Blobs>\
<Blob><Name>one</Name><Properties><Content-Length>0</Content-Length></Properties>\
<Metadata><payload>aGVsbG8=</payload></Metadata></Blob>\
<Blob><Name>two</Name><Properties/><Metadata/></Blob>\
</Blobs><NextMarker>2!80!MDAwMDI1+/=</NextMarker></EnumerationResults>";

#[test]
fn handshakes_are_listed_with_their_metadata_a_page_at_a_time() {
    let exchange = list(None, 2);
    assert_eq!(
        line(&exchange),
        "GET /acc/handshake?restype=container&comp=list&include=metadata&maxresults=2 \
         x-ms-version:2021-12-02"
    );
    assert_eq!(
        page(exchange, TWO),
        Ok(Reply::Handshakes {
            entries: vec![entry("one", Some(b"hello")), entry("two", None)],
            next: Some("2!80!MDAwMDI1+/=".into()),
        })
    );
    assert!(
        line(&list(Some("2!80!MDAwMDI1+/=&x"), 2))
            .contains("&marker=2%2180%21MDAwMDI1%2B%2F%3D%26x ")
    );
    assert!(line(&list(None, u16::MAX)).contains("&maxresults=5000 "));
}

#[test]
fn an_empty_container_has_an_empty_page() {
    for blobs in ["<Blobs/>", "<Blobs></Blobs>", ""] {
        for marker in ["<NextMarker/>", "<NextMarker></NextMarker>", ""] {
            let xml = format!("<EnumerationResults>{blobs}{marker}</EnumerationResults>");
            assert_eq!(
                page(list(None, 32), &xml),
                Ok(Reply::Handshakes {
                    entries: vec![],
                    next: None
                })
            );
        }
    }
}

#[test]
fn trap_16_entries_that_cannot_be_decoded_are_listed_without_a_message() {
    let metadata = [
        "<Metadata><payload>not base64!</payload></Metadata>",
        "<Metadata><payload>aGVsbG8</payload></Metadata>",
        "<Metadata><payload>aGVsbG8_</payload></Metadata>",
        "<Metadata><payload></payload></Metadata>",
        "<Metadata><payload/></Metadata>",
        "<Metadata><other>aGVsbG8=</other></Metadata>",
        "<Metadata/>",
        "",
        "<Metadata><payload>&lt;&amp;</payload><payload>x</payload></Metadata>",
    ];
    for metadata in metadata {
        let xml = format!(
            "<EnumerationResults><Blobs><Blob><Name>junk</Name>{metadata}</Blob>\
             <Blob><Name>good</Name><Metadata><Payload>aGVsbG8=</Payload><x>y</x></Metadata></Blob>\
             </Blobs></EnumerationResults>"
        );
        assert_eq!(
            page(list(None, 32), &xml),
            Ok(Reply::Handshakes {
                entries: vec![entry("junk", None), entry("good", Some(b"hello"))],
                next: None,
            }),
            "{metadata}"
        );
    }
}

#[test]
fn a_message_has_65_535_bytes_at_the_most() {
    use base64ct::{Base64, Encoding as _};
    for (length, there) in [(65_535, true), (65_536, false), (90_000, false)] {
        let payload = Base64::encode_string(&vec![1; length]);
        let xml = format!(
            "<EnumerationResults><Blobs><Blob><Name>n</Name><Metadata>\
             <payload>{payload}</payload></Metadata></Blob></Blobs></EnumerationResults>"
        );
        let Ok(Reply::Handshakes { entries, .. }) = page(list(None, 32), &xml) else {
            panic!("no page")
        };
        assert_eq!(entries[0].message.is_some(), there, "{length}");
    }
}

#[test]
fn names_come_back_as_they_are_however_they_were_written() {
    let xml = "<EnumerationResults><Blobs>\
        <Blob><Name>a&amp;b/../c d</Name></Blob>\
        <Blob><Name Encoded=\"true\">x%EF%BF%BEy%2F</Name></Blob>\
        <Blob><Name Encoded=\"true\">%FF</Name></Blob>\
        <Blob><Name></Name></Blob></Blobs></EnumerationResults>";
    let Ok(Reply::Handshakes { entries, .. }) = page(list(None, 32), xml) else {
        panic!("no page")
    };
    let names: Vec<_> = entries.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["a&b/../c d", "x\u{fffe}y/", "%FF", ""]);
}

#[test]
fn a_page_holds_no_more_than_was_asked_for() {
    let Ok(Reply::Handshakes { entries, .. }) = page(list(None, 1), TWO) else {
        panic!("no page")
    };
    assert_eq!(entries.len(), 1);
    let none = Operation::ListHandshakes {
        after: None,
        limit: 0,
    };
    assert!(listener().begin(&first_try(none), NOW).is_err());
}

#[test]
fn what_is_no_listing_is_malformed() {
    for xml in [
        "",
        "<html><body>Welcome to the hotel network</body></html>",
        "{}",
        "<EnumerationResults><Blobs><Blob><Name>a",
        "<EnumerationResults><Blobs><Blob></Blob></Blobs></EnumerationResults>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]><EnumerationResults><Blobs><Blob><Name>&b;</Name></Blob></Blobs></EnumerationResults>",
        "\u{0}\u{1}\u{2}",
    ] {
        let result = page(list(None, 32), xml);
        assert_eq!(kind(&result), FailureKind::Malformed, "{xml}");
    }
}

#[test]
fn a_listing_that_broke_off_is_tried_again_and_a_huge_one_is_refused() {
    let head = [("content-length", "1000")];
    let outcome = Ok(answer(200, &head, TWO));
    let (_, result) = play(list(None, 2), vec![outcome]);
    assert!(result.unwrap_err().is_retryable());

    let exchange = list(None, 1);
    let size = exchange.body_limit() + 1;
    let (_, result) = play(exchange, vec![Ok(answer(200, &[], vec![b' '; size]))]);
    assert_eq!(kind(&result), FailureKind::TooLarge);
    assert_eq!(list(None, 5_000).body_limit(), 16 << 20);
}

const HANDSHAKES: Listing = Listing {
    root: "EnumerationResults",
    open: "<Blobs>",
    close: "</Blobs>",
    entry: "Blob",
    sound: "<Name>n</Name><Metadata><payload>aGVsbG8=</payload></Metadata>",
    text: ("<Name>n</Name><Metadata><payload>", "</payload></Metadata>"),
};

#[test]
fn hostile_xml_is_malformed_and_never_a_page_of_handshakes() {
    for (what, body) in HANDSHAKES.refused() {
        let (_, result) = play(list(None, 100), vec![Ok(answer(200, &[], body))]);
        let refused = result.map_err(|failure| failure.kind);
        assert_eq!(refused, Err(FailureKind::Malformed), "{what}");
    }
}

#[test]
fn what_is_unknown_in_a_page_of_handshakes_is_passed_by() {
    let sound = HANDSHAKES.page("");
    let (_, wanted) = play(list(None, 100), vec![Ok(answer(200, &[], sound))]);
    assert!(matches!(&wanted, Ok(Reply::Handshakes { entries, .. })
            if *entries == [entry("n", Some(b"hello"))]));
    for (what, body) in HANDSHAKES.taken() {
        let (_, result) = play(list(None, 100), vec![Ok(answer(200, &[], body))]);
        assert_eq!(result, wanted, "{what}");
    }
}
