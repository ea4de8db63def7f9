//! Entity group transactions: several rows inserted by one request, all or none.

use bytes::Bytes;
use core::fmt::Write as _;

/// Rows a transaction takes at the most.
pub(super) const MOST_ROWS: usize = 100;
/// Bytes of a transaction's body at the most: the service's 4 MiB.
pub(super) const LARGEST_BODY: usize = 4_194_304;
/// Bytes of a body beside the base64 of the rows: once, and per row.
const FRAME: usize = 1_024;
const FRAME_PER_ROW: usize = 2_560;

/// How many of the chunks from the first on one transaction takes.
pub(super) fn rows_in_one(chunks: &[u32]) -> usize {
    let mut size = FRAME;
    let fits = chunks.iter().take(MOST_ROWS).take_while(|chunk| {
        let text = (**chunk as usize).div_ceil(3).saturating_mul(4);
        size = size.saturating_add(text).saturating_add(FRAME_PER_ROW);
        size <= LARGEST_BODY
    });
    fits.count()
}

/// Body of a transaction that inserts `rows` at `url`, and its content type. Neither boundary can
/// occur in a row, whose JSON holds no hyphen; the emulator wants them to begin as these do.
pub(super) fn body(url: &str, rows: &[String], service_version: &str) -> (Bytes, &'static str) {
    let size = rows.iter().map(String::len).fold(FRAME, |sum, row| {
        sum.saturating_add(row)
            .saturating_add(url.len())
            .saturating_add(512)
    });
    let mut body = String::with_capacity(size);
    body.push_str("--batch_rows\r\nContent-Type: multipart/mixed; boundary=changeset_rows\r\n\r\n");
    for row in rows {
        let _ = write!(
            body,
            "--changeset_rows\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n\
             POST {url} HTTP/1.1\r\nContent-Type: application/json\r\n\
             Accept: application/json;odata=minimalmetadata\r\n\
             Prefer: return-no-content\r\nDataServiceVersion: {service_version}\r\n\r\n{row}\r\n"
        );
    }
    body.push_str("--changeset_rows--\r\n--batch_rows--\r\n");
    (Bytes::from(body), "multipart/mixed; boundary=batch_rows")
}

/// What became of a transaction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// All rows are there.
    Done,
    /// One row was refused, so none is there: status and body of the refusal.
    Refused(u16, &'a [u8]),
    /// The answer does not say.
    Unclear,
}

/// Reads the answer to a transaction of `rows` rows: a status line for each, or one for the
/// first that was refused.
pub(super) fn verdict(body: &[u8], rows: usize) -> Verdict<'_> {
    let Ok(text) = core::str::from_utf8(body) else {
        return Verdict::Unclear;
    };
    let mut stored = 0_usize;
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("\nHTTP/1.") {
        let status = after
            .get(2..5)
            .filter(|_| after.as_bytes().get(1) == Some(&b' '));
        match status.and_then(|status| status.parse::<u16>().ok()) {
            Some(200..=299) => stored = stored.saturating_add(1),
            Some(status) => return Verdict::Refused(status, after.as_bytes()),
            None => return Verdict::Unclear,
        }
        rest = after;
    }
    if stored == rows {
        Verdict::Done
    } else {
        Verdict::Unclear
    }
}
