use super::{Blobs, Effect, Habit};
use crate::service::call::{Call, Response};
use crate::service::sas::Caller;
use azure_core::http::{Method, Request};
use stillwire_azure::http::Url;

const NOW: u64 = 1_795_249_797;

fn service(habit: Habit) -> Blobs {
    Blobs::new("acct", b"key", habit, 3)
}

fn call(method: Method, target: &str, headers: &[(&'static str, &str)], body: &[u8]) -> Call {
    let url = Url::parse(&format!("http://127.0.0.1:1/acct/{target}")).unwrap();
    let mut request = Request::new(url, method);
    for (name, value) in headers {
        request.insert_header(*name, (*value).to_owned());
    }
    request.set_body(body.to_vec());
    Call::of(&request, "acct").unwrap()
}

fn owner(service: &mut Blobs, call: &Call) -> (Response, Option<Effect>) {
    service.serve(1, Caller::Owner, call, NOW)
}

const APPEND: (&str, &str) = ("x-ms-blob-type", "AppendBlob");
const NEW: (&str, &str) = ("if-none-match", "*");

fn with_blob(habit: Habit, content: &[u8]) -> Blobs {
    let mut service = service(habit);
    let made = owner(
        &mut service,
        &call(Method::Put, "box?restype=container", &[], b""),
    );
    assert_eq!(made.0.status, 201);
    let put = call(Method::Put, "box/req-0", &[APPEND, NEW], b"");
    assert_eq!(
        owner(&mut service, &put).1,
        Some(Effect::Put { append: true })
    );
    assert_eq!(
        owner(&mut service, &put).0.header("x-ms-error-code"),
        Some("BlobAlreadyExists")
    );
    if !content.is_empty() {
        let append = call(Method::Put, "box/req-0?comp=appendblock", &[], content);
        assert_eq!(owner(&mut service, &append).0.status, 201);
    }
    service
}

fn range(service: &mut Blobs, range: &str) -> (u16, Vec<u8>) {
    let read = call(Method::Get, "box/req-0", &[("x-ms-range", range)], b"");
    let (response, _) = owner(service, &read);
    (response.status, response.body.to_vec())
}

#[test]
fn an_append_position_admits_one_of_two_equal_tries() {
    let mut service = with_blob(Habit::Azure, b"");
    let position = ("x-ms-blob-condition-appendpos", "0");
    let append = call(
        Method::Put,
        "box/req-0?comp=appendblock",
        &[position],
        b"abc",
    );
    let (first, effect) = owner(&mut service, &append);
    assert_eq!(
        (first.status, effect),
        (201, Some(Effect::Appended { offset: 0 }))
    );
    let (again, effect) = owner(&mut service, &append);
    assert_eq!((again.status, effect), (412, None));
    assert_eq!(
        again.header("x-ms-error-code"),
        Some("AppendPositionConditionNotMet")
    );
    let head = call(Method::Head, "box/req-0", &[], b"");
    let (properties, _) = owner(&mut service, &head);
    assert_eq!(properties.header("content-length"), Some("3"));
    assert_eq!(
        properties.header("x-ms-blob-committed-block-count"),
        Some("1")
    );
    assert!(properties.body.is_empty());
}

#[test]
fn ranges_show_the_habits_of_each_service() {
    let mut azure = with_blob(Habit::Azure, b"abcdef");
    assert_eq!(range(&mut azure, "bytes=1-3"), (206, b"bcd".to_vec()));
    assert_eq!(range(&mut azure, "bytes=4-99"), (206, b"ef".to_vec()));
    assert_eq!(range(&mut azure, "bytes=6-9").0, 416);
    let mut emulator = with_blob(Habit::Emulator, b"abcdef");
    assert_eq!(range(&mut emulator, "bytes=6-9"), (206, Vec::new()));
    assert_eq!(range(&mut emulator, "bytes=7-9").0, 416);
    let mut empty = with_blob(Habit::Emulator, b"");
    assert_eq!(range(&mut empty, "bytes=0-9").0, 416);
    assert_eq!(range(&mut empty, "bytes=0-"), (206, Vec::new()));
}

#[test]
fn a_listing_is_paged_and_escaped() {
    let mut service = with_blob(Habit::Azure, b"");
    for name in ["a%26b", "c", "d", "e"] {
        let headers = [
            ("x-ms-blob-type", "BlockBlob"),
            ("x-ms-meta-payload", "AB=="),
        ];
        let put = call(Method::Put, &format!("box/{name}"), &headers, b"x");
        assert_eq!(owner(&mut service, &put).0.status, 201);
    }
    let list = "box?restype=container&comp=list&include=metadata&maxresults=10";
    let (first, _) = owner(&mut service, &call(Method::Get, list, &[], b""));
    let text = String::from_utf8(first.body.to_vec()).unwrap();
    assert!(text.contains("<Name>a&amp;b</Name>"), "{text}");
    assert!(text.contains("<payload>AB==</payload>"));
    assert!(!text.contains("<Name>e</Name>"), "three entries to a page");
    let (_, rest) = text.split_once("<NextMarker>").unwrap();
    let (marker, _) = rest.split_once('<').unwrap();
    let marker = marker.replace('+', "%2B");
    let more = format!("{list}&marker={marker}");
    let (second, _) = owner(&mut service, &call(Method::Get, &more, &[], b""));
    let text = String::from_utf8(second.body.to_vec()).unwrap();
    assert!(text.contains("<Name>e</Name><"));
    assert!(text.contains("<Name>req-0</Name>"));
    assert!(text.contains("<NextMarker />"));
}

#[test]
fn without_a_key_or_a_sas_nothing_is_served() {
    let mut service = with_blob(Habit::Azure, b"abc");
    let read = call(Method::Get, "box/req-0", &[], b"");
    let (response, _) = service.serve(2, Caller::Stranger, &read, NOW);
    assert_eq!(response.status, 403);
}

/// The signature was made with the published algorithm by OpenSSL, from the string that is spelt
/// out in the container SAS section of the service's reference.
#[test]
fn a_container_sas_reaches_its_container_by_its_letters() {
    let mut service = with_blob(Habit::Azure, b"abc");
    let sas = "sp=rl&st=2026-11-21T08%3A00%3A00Z&se=2026-11-22T08%3A00%3A00Z\
               &spr=https%2Chttp&sv=2021-12-02&sr=c\
               &sig=wHEMTPKrtfgUI0MHZbK5nt64qT0O9QMjZHymIDVwTdw%3D";
    let get = |path: &str| call(Method::Get, &format!("{path}{sas}"), &[], b"");
    let mut status = |call: &Call, now| service.serve(2, Caller::Stranger, call, now).0.status;
    assert_eq!(status(&get("box/req-0?"), NOW), 200);
    assert_eq!(status(&get("box?restype=container&comp=list&"), NOW), 200);
    assert_eq!(status(&get("other/req-0?"), NOW), 403, "another container");
    assert_eq!(status(&get("box/req-0?"), NOW + 86_400), 403, "expired");
    assert_eq!(status(&get("box/req-0?"), NOW - 7200), 403, "not yet valid");
    let delete = call(Method::Delete, &format!("box/req-0?{sas}"), &[], b"");
    assert_eq!(status(&delete, NOW), 403, "no letter d");
    let gone = call(
        Method::Delete,
        &format!("box?restype=container&{sas}"),
        &[],
        b"",
    );
    assert_eq!(status(&gone, NOW), 403, "a container SAS never deletes it");
}
