//! Percent-encoding, and taking secrets out of text.

use core::fmt::Write as _;
use std::borrow::Cow;

/// Percent-encodes all but RFC 3986 unreserved characters, so that no text escapes its place in a
/// path or a query.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Undoes percent-encoding; a lone `%` stands for itself. [`None`] when the result is not UTF-8.
pub(crate) fn unpercent(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (byte, tail)
            && let (Some(high), Some(low)) = (
                char::from(*high).to_digit(16),
                char::from(*low).to_digit(16),
            )
        {
            out.push((high << 4 | low) as u8);
            rest = after;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// Takes query strings, `sig=` values and account keys out of any text, so that it may be logged.
///
/// For the texts of transport errors, which like to quote the whole URL.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive(char::is_whitespace) {
        out.push_str(&redact_word(word));
    }
    out
}

fn redact_word(word: &str) -> Cow<'_, str> {
    let ends = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | ')' | '>' | ']' | '}' | '<' | '`' | ';' | ','
            )
    };
    // Inside a URL, everything after the question mark goes.
    if let Some(scheme) = word.find("://")
        && let Some((before, from)) = word.split_at_checked(scheme)
    {
        let mut out = before.to_owned();
        let (from, user) = strip_user(from);
        if user {
            out.push_str("://REDACTED@");
        }
        match from.split_once('?') {
            Some((url, query)) => {
                let tail = query.find(ends).and_then(|i| query.get(i..)).unwrap_or("");
                out.push_str(url);
                out.push_str("?REDACTED");
                out.push_str(&redact_word(tail));
            }
            None => out.push_str(from),
        }
        return Cow::Owned(out);
    }
    let lower = word.to_ascii_lowercase();
    for (secret, end_at_amp) in [("sig=", true), ("sig%3d", true), ("accountkey=", false)] {
        if let Some(at) = lower.find(secret)
            && let Some(end) = at.checked_add(secret.len())
            && let (Some(before), Some(value)) = (word.get(..end), word.get(end..))
        {
            let stop = |c: char| ends(c) || (end_at_amp && c == '&');
            let tail = value.find(stop).and_then(|i| value.get(i..)).unwrap_or("");
            return Cow::Owned(format!("{before}REDACTED{}", redact_word(tail)));
        }
    }
    Cow::Borrowed(word)
}

/// Takes `://user:password@` off, and says whether there was one.
fn strip_user(from: &str) -> (&str, bool) {
    let rest = from.strip_prefix("://").unwrap_or(from);
    let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest.get(..authority_end).and_then(|a| a.rfind('@')) {
        Some(at) => (
            at.checked_add(1).and_then(|i| rest.get(i..)).unwrap_or(""),
            true,
        ),
        None => (from, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_leaves_only_unreserved_characters() {
        assert_eq!(percent("a/b?c#d\0é%"), "a%2Fb%3Fc%23d%00%C3%A9%25");
        assert_eq!(
            unpercent("a%2Fb%3Fc%23d%00%C3%A9%25").unwrap(),
            "a/b?c#d\0é%"
        );
        assert_eq!(unpercent("%"), Some("%".into()));
        assert_eq!(unpercent("%zz%4"), Some("%zz%4".into()));
        assert_eq!(unpercent("%ff"), None);
    }

    #[test]
    fn redact_takes_out_queries_signatures_and_keys() {
        for (text, clean) in [
            (
                "error sending request for url (https://a.blob.core.windows.net/c/b?sv=1&sig=S3CRET%3D): refused",
                "error sending request for url (https://a.blob.core.windows.net/c/b?REDACTED): refused",
            ),
            ("sv=1&sig=S3CRET%3D&se=2", "sv=1&sig=REDACTED&se=2"),
            ("a SIG=S3CRET, b", "a SIG=REDACTED, b"),
            ("handshake=x&sig%3DS3CRET", "handshake=x&sig%3DREDACTED"),
            (
                "AccountName=a;AccountKey=S3CRET==;X=y",
                "AccountName=a;AccountKey=REDACTED;X=y",
            ),
            (
                "https://acc:S3CRET@host/acc?x",
                "https://REDACTED@host/acc?REDACTED",
            ),
            ("sig=S3CRET sig=S3CRET", "sig=REDACTED sig=REDACTED"),
            (
                "https://h/?a=S3CRET\thttps://h/?a=S3CRET",
                "https://h/?REDACTED\thttps://h/?REDACTED",
            ),
            ("plain text", "plain text"),
            ("", ""),
        ] {
            assert_eq!(redact(text), clean);
        }
    }
}
