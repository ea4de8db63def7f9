//! What is taken out of pages: messages, and runs of rows that follow each other.

use super::plan::LONGEST_MESSAGE;
use super::rows::Row;
use super::task::Query;
use super::wire::Cursor;
use azure_core::http::headers::{HeaderName, Headers};
use bytes::Bytes;
use core::ops::ControlFlow;
use stillwire_core::aznet::wire::table;
use stillwire_core::store::FailureKind;

const NEXT_PARTITION: HeaderName = HeaderName::from_static("x-ms-continuation-nextpartitionkey");
const NEXT_ROW: HeaderName = HeaderName::from_static("x-ms-continuation-nextrowkey");
/// Bytes of room beyond the limit, for the padding of a property that is being decoded.
const ROOM: usize = 64;

/// Message 1 or 2 in a row; [`None`] when it holds none.
pub(super) fn message(row: &Row<'_>) -> Option<Bytes> {
    if row.most_bytes() > LONGEST_MESSAGE {
        return None;
    }
    let mut message = Vec::new();
    let length = table::join(|index| row.property(index), &mut message).ok()?;
    (length > 0).then(|| Bytes::from(message))
}

/// Where the service says that a page goes on.
pub(super) fn continuation(headers: &Headers) -> Option<Cursor> {
    let header = |name| headers.get_optional_str(name).map(str::to_owned);
    Some(Cursor::At {
        partition: header(&NEXT_PARTITION)?,
        row: header(&NEXT_ROW),
    })
}

/// Rows that follow each other, back to back.
pub(super) struct Run {
    next: u64,
    limit: usize,
    pub(super) bytes: Vec<u8>,
    pub(super) rows: usize,
    /// A row that comes later was there, and the next one was not.
    pub(super) gap: bool,
    /// What is wrong with the row that should be next.
    pub(super) fault: Option<(FailureKind, String)>,
}

impl Run {
    /// For the answer to a query, whose body has `length` bytes.
    pub(super) fn new(query: &Query, length: usize) -> Self {
        let likely = length.div_ceil(4).saturating_mul(3);
        Self {
            next: query.next,
            limit: query.limit,
            bytes: Vec::with_capacity(likely.min(query.limit).saturating_add(ROOM)),
            rows: 0,
            gap: false,
            fault: None,
        }
    }

    /// Takes one more row. What is wrong with a row behind others does not cost those: the
    /// next query will find it in first place.
    pub(super) fn take(&mut self, row: &Row<'_>) -> ControlFlow<()> {
        let malformed = |what: &str| (FailureKind::Malformed, what.to_owned());
        let Some(key) = &row.key else {
            return self.stop(malformed("a row has no key"));
        };
        let sequence = match table::sequence(key) {
            Ok(sequence) => sequence,
            Err(error) => return self.stop(malformed(&error.to_string())),
        };
        if sequence < self.next {
            return ControlFlow::Continue(());
        }
        if sequence > self.next {
            self.gap = true;
            return ControlFlow::Break(());
        }
        let start = self.bytes.len();
        if start.saturating_add(row.most_bytes()) > self.limit {
            let what = "a row is larger than what was asked for".to_owned();
            return self.stop((FailureKind::TooLarge, what));
        }
        if let Err(error) = table::join(|index| row.property(index), &mut self.bytes) {
            return self.stop(malformed(&error.to_string()));
        }
        let chunk = self.bytes.get(start..).unwrap_or_default();
        let declared = chunk
            .first_chunk()
            .map(|prefix| u32::from_be_bytes(*prefix) as usize);
        if declared.and_then(|length| length.checked_add(4)) != Some(chunk.len()) {
            self.bytes.truncate(start);
            return self.stop(malformed("a row does not hold one whole chunk"));
        }
        self.rows = self.rows.saturating_add(1);
        self.next = self.next.saturating_add(1);
        ControlFlow::Continue(())
    }

    fn stop(&mut self, fault: (FailureKind, String)) -> ControlFlow<()> {
        self.fault = Some(fault);
        ControlFlow::Break(())
    }
}
