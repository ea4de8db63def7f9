use super::*;
use crate::crypto::Rng;
use std::format;
use std::string::ToString;
use std::vec;

const READ: &str = "sv=2026-04-06&sr=c&sp=rl&sig=abc%2B";
const ADD: &str = "sv=2026-04-06&sr=c&sp=acw&sig=xyz%3D=";

fn b64(text: &str) -> String {
    Base64Url::encode_string(text.as_bytes())
}

fn class(url: &str) -> Option<Class> {
    ConnectionUrl::parse(url).err().and_then(|e| e.class())
}

fn url(query: &str) -> String {
    format!("https://a.blob.core.windows.net?{query}")
}

#[test]
fn formats_and_parses_back() {
    let mut one = ConnectionUrl::new(
        "http://127.0.0.1:10000/devstoreaccount1/",
        ADD.to_string(),
        READ.to_string(),
    );
    one.extras
        .push(("sw_key".to_string(), "a b&=+é".to_string()));
    let text = one.format();
    assert!(text.starts_with("http://127.0.0.1:10000/devstoreaccount1?handshake=c3Y9"));
    assert!(text.ends_with("&sw_key=a%20b%26%3D%2B%C3%A9"));
    let back = ConnectionUrl::parse(&text).unwrap();
    assert!(back == one);
    assert_eq!(back.extra("sw_key"), Some("a b&=+é"));
    assert_eq!(back.extra("sw_other"), None);
    assert_eq!(back.format(), text);
}

#[test]
fn a_scheme_is_one_whatever_its_case_and_is_written_small() {
    let query = format!("handshake={}&token={}", b64(ADD), b64(READ));
    for (written, endpoint) in [
        (
            "HTTPS://a.Blob.core.windows.net",
            "https://a.Blob.core.windows.net",
        ),
        ("Http://localhost/account", "http://localhost/account"),
    ] {
        let parsed = ConnectionUrl::parse(&format!("{written}?{query}")).unwrap();
        assert_eq!(parsed.endpoint, endpoint);
    }
}

#[test]
fn padding_is_taken_escaped_and_bare() {
    let (add, read) = (b64(ADD), b64(READ));
    assert!(add.ends_with('=') || read.ends_with('='));
    let bare = ConnectionUrl::parse(&url(&format!("handshake={add}&token={read}"))).unwrap();
    let escaped = bare.format();
    assert!(
        !escaped
            .split_once('?')
            .unwrap()
            .1
            .replace("handshake=", "")
            .replace("token=", "")
            .contains('=')
    );
    assert!(ConnectionUrl::parse(&escaped).unwrap() == bare);
}

#[test]
fn other_names_are_told_apart_by_what_they_let_do() {
    let (add, read) = (b64(ADD), b64(READ));
    for query in [
        format!("hs-1={add}&tk-1={read}"),
        format!("tk-1={read}&sw_a=1&hs-1={add}&sw_b=2"),
    ] {
        let parsed = ConnectionUrl::parse(&url(&query)).unwrap();
        assert_eq!((&*parsed.handshake, &*parsed.token), (ADD, READ));
        assert_eq!(parsed.handshake_name, "hs-1");
        assert_eq!(parsed.token_name, "tk-1");
        let named = ConnectionUrl::parse_named(&url(&query), "hs-1", "tk-1").unwrap();
        assert!(named == parsed);
        assert!(ConnectionUrl::parse_named(&url(&query), "hs-1", "tk-2").is_err());
    }
    for query in [
        format!("one={add}&two={add}"),
        format!("one={read}&two={read}"),
        format!("one={add}&two={read}&three={read}"),
        format!("one={read}"),
        format!("sw_one={add}&two={read}"),
    ] {
        assert_eq!(class(&url(&query)), Some(Class::Encoding), "{query}");
    }
}

#[test]
fn unknown_parameters_beside_the_two_are_ignored() {
    let (add, read) = (b64(ADD), b64(READ));
    let query = format!("a=1&handshake={add}&b&token={read}&&c=%20");
    let parsed = ConnectionUrl::parse(&url(&query)).unwrap();
    assert!(parsed.extras.is_empty());
    let swapped = ConnectionUrl::parse_named(&url(&query), "token", "handshake").unwrap();
    assert_eq!((&*swapped.handshake, &*swapped.token), (READ, ADD));
}

#[test]
fn the_driver_is_in_the_host_or_in_the_sas() {
    let driver = |endpoint: &str, sas: &str| {
        let url = ConnectionUrl::new(endpoint, sas.to_string(), sas.to_string());
        (url.host_driver().map(Driver::name), url.driver().name())
    };
    let host = |name| format!("https://acc.{name}.core.windows.net");
    assert_eq!(driver(&host("blob"), ""), (Some("azblob"), "azblob"));
    assert_eq!(driver(&host("queue"), "sr=c"), (Some("azqueue"), "azqueue"));
    assert_eq!(driver(&host("table"), ""), (Some("aztable"), "aztable"));
    assert_eq!(
        driver("HTTPS://ACC.BLOB.CORE.WINDOWS.NET:443/x", ""),
        (Some("azblob"), "azblob")
    );
    for other in [
        "https://acc.file.core.windows.net",
        "https://blob.core.windows.net",
        "https://a.b.blob.core.windows.net",
        "https://acc.blob.core.windows.net.example",
        "http://[::1]:10000/a",
        "http://127.0.0.1:10000/acc.blob.core.windows.net",
    ] {
        assert_eq!(driver(other, "sp=r&sr=c").0, None, "{other}");
        assert_eq!(driver(other, "sp=r&sr=c").1, "azblob");
        assert_eq!(driver(other, "sp=r&tn=t").1, "aztable");
        assert_eq!(driver(other, "sp=r").1, "azqueue");
    }
}

#[test]
fn hosts_of_all_kinds_are_taken() {
    let both = format!("handshake={}&token={}", b64(ADD), b64(READ));
    for endpoint in [
        "https://storage.example.org:8443/account",
        "http://127.0.0.1:10000/devstoreaccount1",
        "http://[::1]:10000/devstoreaccount1",
        "http://[::1]/devstoreaccount1",
    ] {
        for slash in ["", "/"] {
            let url = format!("{endpoint}{slash}?{both}");
            assert_eq!(ConnectionUrl::parse(&url).unwrap().endpoint, endpoint);
        }
    }
}

#[test]
fn what_is_refused() {
    let (add, read) = (b64(ADD), b64(READ));
    let both = format!("handshake={add}&token={read}");
    for bad in [
        String::new(),
        both.clone(),
        format!("a.blob.core.windows.net?{both}"),
        format!("ftp://a.blob.core.windows.net?{both}"),
        format!("https://?{both}"),
        format!("https://:80?{both}"),
        format!("https://h:?{both}"),
        format!("https://h:65536?{both}"),
        format!("https://h:+80?{both}"),
        format!("https://h:80x?{both}"),
        format!("https://h:80:80?{both}"),
        format!("https://h%2e?{both}"),
        format!("https://h\\x?{both}"),
        format!("http://[::1/a?{both}"),
        format!("http://[::1]x:80/a?{both}"),
        format!("http://[nonsense]/a?{both}"),
        format!("http://::1/a?{both}"),
        format!("http://h/a/../b?{both}"),
        format!("http://h//b?{both}"),
        format!("http://h/a%2fb?{both}"),
        format!("https://user:key@a.blob.core.windows.net?{both}"),
        format!("https://a.blob.core.windows.net?{both}#f"),
        format!("https://a.blob.core.windows.net?{both} "),
        format!("https://a.blob.core.windows.net\n?{both}"),
        format!("https://ä.blob.core.windows.net?{both}"),
        url(&format!("{both}&token={read}")),
        url(&format!("handshake={add}")),
        url(&format!("handshake=&token={read}")),
        url(&format!("handshake={add}&token=%")),
        url(&format!("handshake={add}&token={read}%3")),
        url(&format!("handshake={add}&token={read}&sw_x=%ff")),
        url(&format!("handshake={add}&token={}", b64("line\nbreak"))),
        url(&format!(
            "handshake={add}&token={}",
            Base64Url::encode_string(b"\xff")
        )),
        url(&format!("handshake={add}&token=++++")),
    ] {
        assert_eq!(class(&bad), Some(Class::Encoding), "{bad}");
    }
    let long = url(&format!("{both}&sw_x={}", "x".repeat(LONGEST)));
    assert_eq!(class(&long), Some(Class::Limit));
}

#[test]
fn debug_shows_no_sas() {
    let url = ConnectionUrl::new("https://h", ADD.to_string(), READ.to_string());
    let shown = format!("{url:?}");
    assert!(
        shown.contains("https://h") && !shown.contains("sig"),
        "{shown}"
    );
}

#[test]
fn random_text_never_panics() {
    const ALPHABET: &[u8] = b"https://?&=%3DaZ0_-.@#[]:+handshaketoken";
    let mut rng = Rng::from_seed([5; 32]);
    for _ in 0..5000 {
        let [length] = rng.array::<1>();
        let mut bytes = vec![0; usize::from(length)];
        rng.fill(&mut bytes);
        let text = String::from_utf8_lossy(&bytes).to_string();
        assert!(ConnectionUrl::parse(&text).is_err());
        for byte in &mut bytes {
            *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        let text = String::from_utf8(bytes).unwrap();
        let _ = ConnectionUrl::parse(&format!("https://h?handshake={text}&token={text}"));
    }
}
