//! What is read from the head of an answer.

use crate::date::parse_rfc1123;
use azure_core::http::headers::{HeaderName, Headers};
use stillwire_core::UnixTime;

pub(super) fn header<'a>(headers: &'a Headers, name: &HeaderName) -> Option<&'a str> {
    headers.get_optional_str(name).map(str::trim)
}

pub(super) fn content_length(headers: &Headers) -> Option<u64> {
    let name = HeaderName::from_static("content-length");
    header(headers, &name)?.parse().ok()
}

/// First byte and total of `bytes 10-19/300`; the total may be unknown.
pub(super) fn content_range(headers: &Headers) -> Option<(u64, Option<u64>)> {
    let text = header(headers, &HeaderName::from_static("content-range"))?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The service's own clock.
pub(super) fn date(headers: &Headers) -> Option<UnixTime> {
    parse_rfc1123(header(headers, &HeaderName::from_static("date"))?)
}
