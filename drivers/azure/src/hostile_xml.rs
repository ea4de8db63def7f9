//! XML that no service writes, for the tests of everything that reads some.

use core::fmt::Write as _;

/// A listing as a service writes it, and where in it strangers' texts stand.
#[derive(Clone, Copy)]
pub(crate) struct Listing {
    pub(crate) root: &'static str,
    /// The tags around all entries, both empty where entries stand in the root.
    pub(crate) open: &'static str,
    pub(crate) close: &'static str,
    pub(crate) entry: &'static str,
    /// What stands in a sound entry.
    pub(crate) sound: &'static str,
    /// The tags of an entry around a text that is read, and nothing but a text.
    pub(crate) text: (&'static str, &'static str),
}

impl Listing {
    /// A sound page of one entry, with `extra` in it.
    pub(crate) fn page(&self, extra: &str) -> String {
        self.document("", &format!("{}{extra}", self.sound))
    }

    /// Like [`page`](Self::page), with another text in place of the whole entry's.
    fn texted(&self, before: &str, text: &str) -> String {
        let (open, close) = self.text;
        self.document(before, &format!("{open}{text}{close}"))
    }

    fn document(&self, before: &str, entry: &str) -> String {
        let Self {
            root,
            open,
            close,
            entry: name,
            ..
        } = self;
        format!("{before}<{root}>{open}<{name}>{entry}</{name}>{close}</{root}>")
    }

    /// Documents that must be refused, each with what is wrong with it.
    pub(crate) fn refused(&self) -> Vec<(String, Vec<u8>)> {
        let mut all: Vec<(String, Vec<u8>)> = Vec::new();
        let mut add = |what: &str, bytes: &[u8]| all.push((what.to_owned(), bytes.to_owned()));

        let whole = self.page("");
        for cut in 0..whole.len() {
            add(&format!("cut to {cut} bytes"), &whole.as_bytes()[..cut]);
        }
        for (what, dtd, text) in [
            ("an entity of its own", "<!ENTITY a \"b\">", "&a;"),
            (
                "a file by an entity",
                "<!ENTITY a SYSTEM \"file:///etc/passwd\">",
                "&a;",
            ),
            (
                "a page by an entity",
                "<!ENTITY a SYSTEM \"http://127.0.0.1:9/\">",
                "&a;",
            ),
            ("an entity that nobody declared", "", "&nbsp;"),
            ("an entity without an end", "", "&lt"),
            ("an ampersand alone", "", "a & b"),
            ("the character 0", "", "&#0;"),
            ("half a surrogate pair", "", "&#xD800;"),
            ("a character past the last", "", "&#x110000;"),
            ("a character of many digits", "", "&#99999999999999999999;"),
            ("elements where a text belongs", "", "<b>x</b>"),
            ("an end tag of another name", "", "x</Other>"),
            ("a comment without an end", "", "<!-- x"),
            ("a section without an end", "", "<![CDATA[x"),
        ] {
            add(
                what,
                self.texted(&format!("<!DOCTYPE a [{dtd}]>"), text)
                    .as_bytes(),
            );
        }
        add("a billion laughs", self.laughs().as_bytes());

        let utf16: Vec<u16> = self.page("").encode_utf16().collect();
        let little = utf16.iter().flat_map(|unit| unit.to_le_bytes());
        let big = utf16.iter().flat_map(|unit| unit.to_be_bytes());
        add(
            "UTF-16 with its mark",
            &[&[0xff, 0xfe], &*little.collect::<Vec<_>>()].concat(),
        );
        add(
            "UTF-16, big-endian",
            &[&[0xfe, 0xff], &*big.collect::<Vec<_>>()].concat(),
        );
        for (what, bytes) in [
            ("Latin-1", &b"caf\xe9"[..]),
            ("an overlong slash", b"\xc0\xaf"),
            ("an encoded surrogate", b"\xed\xa0\x80"),
        ] {
            let text = self.texted("", "@").into_bytes();
            let at = text.iter().position(|byte| *byte == b'@').unwrap();
            add(what, &[&text[..at], bytes, &text[at + 1..]].concat());
        }

        add("a deep document that is none of ours", deep("a").as_bytes());
        add(
            "depth where a text belongs",
            self.texted("", &deep("a")).as_bytes(),
        );
        add(
            "depth that never ends",
            self.page(&"<a>".repeat(DEPTH)).as_bytes(),
        );
        all
    }

    /// Documents that are odd and sound: what is unknown in them is passed by.
    pub(crate) fn taken(&self) -> Vec<(String, Vec<u8>)> {
        let mut attributes = String::new();
        for number in 0..DEPTH / 4 {
            let _ = write!(attributes, " a{number}=\"\"");
        }
        [
            ("a byte order mark", format!("\u{feff}{}", self.page(""))),
            (
                "an unknown element",
                self.page("<Unknown x=\"1\">y</Unknown>"),
            ),
            ("depth in an unknown element", self.page(&deep("Unknown"))),
            (
                "an unknown element of very many attributes",
                self.page(&format!("<Unknown{attributes}/>")),
            ),
            (
                "very many unknown elements",
                self.page(&"<Unknown/>".repeat(DEPTH)),
            ),
            (
                "comments",
                self.page(&"<!-- <Name>x</Name> -->".repeat(1_000)),
            ),
        ]
        .map(|(what, text)| (what.to_owned(), text.into_bytes()))
        .into()
    }

    /// Ten entities, each ten times the one before it.
    fn laughs(&self) -> String {
        let mut dtd = String::from("<!DOCTYPE a [<!ENTITY l0 \"ha\">");
        for level in 1..10 {
            let before = format!("&l{};", level - 1).repeat(10);
            let _ = write!(dtd, "<!ENTITY l{level} \"{before}\">");
        }
        dtd.push_str("]>");
        self.texted(&dtd, "&l9;")
    }
}

/// Elements in each other: more than a stack has room for, should each take a call.
const DEPTH: usize = 200_000;

fn deep(name: &str) -> String {
    format!(
        "{}{}",
        format!("<{name}>").repeat(DEPTH),
        format!("</{name}>").repeat(DEPTH)
    )
}
