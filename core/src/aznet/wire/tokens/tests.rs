use super::*;
use crate::crypto::Rng;
use std::format;
use std::string::ToString;
use std::vec;

fn parse(text: impl AsRef<[u8]>) -> Result<(String, String), Class> {
    match Grants::parse(text.as_ref()) {
        Ok(grants) => Ok((grants.req.clone(), grants.res.clone())),
        Err(error) => Err(error.class().unwrap()),
    }
}

fn taken(req: &str, res: &str) -> (String, String) {
    (req.to_string(), res.to_string())
}

#[test]
fn written_as_go_writes_it() {
    let grants = Grants {
        req: "sv=1&sig=a%2B<b>\u{2028}\u{2029}".to_string(),
        res: "\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}é".to_string(),
    };
    let json = grants.to_json();
    assert_eq!(
        json.as_str(),
        "{\"req\":\"sv=1\\u0026sig=a%2B\\u003cb\\u003e\\u2028\\u2029\",\
         \"res\":\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u{7f}é\"}"
    );
    assert_eq!(parse(json.as_bytes()), Ok(taken(&grants.req, &grants.res)));
}

#[test]
fn what_is_taken() {
    for text in [
        r#"{"req":"a","res":"b"}"#,
        r#"{"res":"b","req":"a"}"#,
        " {\r\n\t\"req\" : \"a\" , \"res\":\"b\" } \n",
        r#"{"req":"\u0061","res":"\u0062"}"#,
        r#"{"\u0072eq":"a","res":"b"}"#,
        r#"{"req":"a","res":"b","sw_x":{"req":"z","y":[1,-2.5e+3,0,true,false,null,"\"]}",{}]}}"#,
        r#"{"x":[],"x":{},"req":"a","x":0.1E5,"res":"b"}"#,
        r#"{"":0,"request":"z","req":"a","res":"b"}"#,
    ] {
        assert_eq!(parse(text), Ok(taken("a", "b")), "{text}");
    }
    assert_eq!(
        parse(r#"{"req":"\ud83d\ude00&\/","res":"\u0000"}"#),
        Ok(taken("😀&/", "\0"))
    );
    assert_eq!(parse(r#"{"req":"","res":""}"#), Ok(taken("", "")));
}

#[test]
fn trap_15_what_is_refused() {
    for text in [
        "",
        " ",
        "null",
        "[]",
        "\"req\"",
        "1",
        "{",
        "}",
        "{}",
        "{\"req\"",
        r#"{"req":"a"}"#,
        r#"{"res":"b"}"#,
        r#"{"req":"a","res":null}"#,
        r#"{"req":null,"res":"b"}"#,
        r#"{"req":"a","res":1}"#,
        r#"{"req":["a"],"res":"b"}"#,
        r#"{"req":{"a":"b"},"res":"b"}"#,
        r#"{"req":"a","req":"a","res":"b"}"#,
        r#"{"req":"a","res":"b","\u0072es":"c"}"#,
        r#"{"req":"a","res":"b","REQ":"c"}"#,
        r#"{"Req":"a","res":"b"}"#,
        "{\"req\":\"a\",\"res\":\"b\",\"re\u{17f}\":\"c\"}",
        r#"{"req":"a","res":"b"}x"#,
        r#"{"req":"a","res":"b"}{}"#,
        r#"{"req":"a","res":"b",}"#,
        r#"{,"req":"a","res":"b"}"#,
        r#"{"req":"a" "res":"b"}"#,
        r#"{"req" "a","res":"b"}"#,
        r#"{req:"a","res":"b"}"#,
        "{'req':'a','res':'b'}",
        r#"{"req":"a","res":"b","x":tru}"#,
        r#"{"req":"a","res":"b","x":truex}"#,
        r#"{"req":"a","res":"b","x":01}"#,
        r#"{"req":"a","res":"b","x":-}"#,
        r#"{"req":"a","res":"b","x":1.}"#,
        r#"{"req":"a","res":"b","x":1e}"#,
        r#"{"req":"a","res":"b","x":.5}"#,
        r#"{"req":"a","res":"b","x":NaN}"#,
        r#"{"req":"a","res":"b","x":[1,]}"#,
        r#"{"req":"a","res":"b","x":[1 2]}"#,
        r#"{"req":"a","res":"b","x":[}"#,
        r#"{"req":"a","res":"b","x":"#,
        r#"{"req":"\x61","res":"b"}"#,
        r#"{"req":"\u00","res":"b"}"#,
        r#"{"req":"\u+061","res":"b"}"#,
        r#"{"req":"\ud800","res":"b"}"#,
        r#"{"req":"\ud800\u0061","res":"b"}"#,
        r#"{"req":"\ud800x","res":"b"}"#,
        r#"{"req":"\udc00","res":"b"}"#,
        r#"{"req":"\"#,
        "{\"req\":\"a\nb\",\"res\":\"b\"}",
        "{\"req\":\"a\\\n\",\"res\":\"b\"}",
        "\u{feff}{\"req\":\"a\",\"res\":\"b\"}",
        "{\"req\":\"a\",\u{a0}\"res\":\"b\"}",
        "{\"req\":\"a\",\"res\":\"b\"}\0",
    ] {
        assert_eq!(parse(text), Err(Class::Encoding), "{text}");
    }
    assert_eq!(
        parse(b"{\"req\":\"\xff\",\"res\":\"b\"}"),
        Err(Class::Encoding)
    );
    assert_eq!(
        parse(b"{\"req\":\"\xed\xa0\x80\",\"res\":\"b\"}"),
        Err(Class::Encoding)
    );
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth), "]".repeat(depth));
        format!(r#"{{"x":{open}{close},"req":"a","res":"b"}}"#)
    };
    assert_eq!(parse(nested(32)), Ok(taken("a", "b")));
    assert_eq!(parse(nested(33)), Err(Class::Encoding));
    assert_eq!(parse("[".repeat(60_000)), Err(Class::Encoding));
    assert_eq!(parse("{\"x\":".repeat(10_000)), Err(Class::Encoding));
}

#[test]
fn every_cut_is_refused() {
    let text = r#"{"x":[1,{"y":"\u00e9"}],"req":"\ud83d\ude00","res":"b"}"#;
    for end in 0..text.len() {
        assert_eq!(parse(&text[..end]), Err(Class::Encoding));
    }
}

#[test]
fn random_bytes_never_panic() {
    const ALPHABET: &[u8] = b"{}[]\":,\\u0d8reqs \n1-.eE\xf0\x9f\x98\x80tn";
    let mut rng = Rng::from_seed([4; 32]);
    for _ in 0..5000 {
        let [length] = rng.array::<1>();
        let mut text = vec![0; usize::from(length)];
        rng.fill(&mut text);
        let _ = parse(&text);
        for byte in &mut text {
            *byte = ALPHABET[usize::from(*byte) % ALPHABET.len()];
        }
        let _ = parse(&text);
    }
}

#[test]
fn debug_shows_nothing() {
    let grants = Grants {
        req: "topsecret".to_string(),
        res: "topsecret".to_string(),
    };
    assert_eq!(format!("{grants:?}"), "Grants { .. }");
}
