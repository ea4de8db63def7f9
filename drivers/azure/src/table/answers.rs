//! What follows from the answers that carry rows.

use super::batch::{self, Verdict};
use super::exchange::Exchange;
use super::plan::LONGEST_CURSOR;
use super::rows::{self, End};
use super::run::{Run, continuation, message};
use super::task::{Insert, Query, Task};
use super::wire::Cursor;
use crate::exchange::Response;
use crate::failure::error_code;
use azure_core::http::headers::{HeaderName, Headers};
use bytes::Bytes;
use core::ops::ControlFlow;
use stillwire_core::store::{Failure, FailureKind, Handshake, Reply};

/// Empty pages that are followed within one exchange.
pub(super) const MOST_HOPS: u8 = 16;

impl Exchange {
    /// What became of rows.
    pub(super) fn inserted(
        &self,
        insert: &Insert,
        response: &Response,
        code: &str,
    ) -> Result<Task, Failure> {
        let (status, headers, body) = response;
        let status = u16::from(*status);
        let rows = insert.rows();
        let stored = || {
            Ok(match insert.stored() {
                Some(rest) => Task::Insert(rest),
                None => Task::Done(Ok(Reply::Done)),
            })
        };
        let alone = || {
            Ok(Task::Insert(Insert {
                alone: true,
                ..insert.clone()
            }))
        };
        let conflict = || {
            let what = "somebody else wrote where only we may";
            Err(self.fault(FailureKind::Conflict, what))
        };
        if rows <= 1 {
            return match status {
                201 | 204 => stored(),
                // An earlier try landed after all.
                409 if code == "EntityAlreadyExists" && self.repeated => stored(),
                409 if code == "EntityAlreadyExists" => conflict(),
                _ => Err(self.failure(response)),
            };
        }
        match status {
            200 | 202 => match batch::verdict(body, rows) {
                Verdict::Done => stored(),
                Verdict::Refused(409, body)
                    if error_code(&Headers::new(), body) == "EntityAlreadyExists" =>
                {
                    conflict()
                }
                Verdict::Refused(status, body) => {
                    let inner = (status.into(), headers.clone(), Bytes::copy_from_slice(body));
                    Err(self.failure(&inner))
                }
                Verdict::Unclear => Err(self.fault(
                    FailureKind::Unreachable,
                    "the answer to the transaction broke off",
                )),
            },
            // A SAS for one table need not cover transactions, nor need every service know them.
            // When it is something else, a single row will tell.
            400..=407 | 410..=428 | 430..=499 | 501 => {
                insert.session.write_single_rows();
                alone()
            }
            _ => Err(self.failure(response)),
        }
    }

    /// A page of handshakes.
    pub(super) fn listed(
        &self,
        response: &Response,
        limit: usize,
        hops: u8,
    ) -> Result<Task, Failure> {
        let (_, headers, body) = response;
        let mut entries = Vec::new();
        let mut last = None;
        let end = rows::page(body, |row| {
            if entries.len() == limit {
                return ControlFlow::Break(());
            }
            if let Some(key) = &row.key {
                last = Some(key.clone().into_owned());
                entries.push(Handshake {
                    name: key.clone().into_owned(),
                    message: message(row),
                });
            }
            ControlFlow::Continue(())
        });
        let token = continuation(headers);
        let after = match end {
            End::Garbage => {
                return Err(self.fault(
                    FailureKind::Malformed,
                    "the listing does not parse: is this table storage?",
                ));
            }
            End::Cut if last.is_none() => return Err(self.broke_off(body)),
            End::Cut | End::Enough => last.map(Cursor::Behind),
            End::Whole => token,
        };
        if entries.is_empty() && after.is_some() && hops < MOST_HOPS {
            return Ok(Task::List {
                after,
                limit,
                hops: hops.saturating_add(1),
            });
        }
        let next = after.map(|cursor| cursor.to_text());
        Ok(Task::Done(Ok(Reply::Handshakes {
            entries,
            next: next.filter(|next| next.len() <= LONGEST_CURSOR),
        })))
    }

    /// What a query brought: the rows that follow each other from the first wanted on.
    pub(super) fn received(&self, query: &Query, response: &Response) -> Result<Task, Failure> {
        let (_, headers, body) = response;
        let mut run = Run::new(query, body.len());
        let end = rows::page(body, |row| run.take(row));
        if run.rows > 0 {
            query.session.saw_rows(run.rows, run.bytes.len());
            // What is missing is still on its way: it needs no look at once.
            let more = !run.gap
                && (end != End::Whole || run.rows >= query.rows || continuation(headers).is_some());
            return Ok(Task::Done(Ok(Reply::Data {
                bytes: Bytes::from(run.bytes),
                more,
            })));
        }
        if let Some((kind, what)) = run.fault {
            return Err(self.fault(kind, &what));
        }
        if run.gap {
            return Ok(Task::Done(Ok(Reply::NotYet {
                gap: true,
                more: false,
            })));
        }
        match (end, continuation(headers)) {
            (End::Garbage, _) => Err(self.fault(
                FailureKind::Malformed,
                "the answer does not parse: is this table storage?",
            )),
            (End::Cut, _) => Err(self.broke_off(body)),
            (End::Whole, Some(after)) if query.hops < MOST_HOPS => Ok(Task::Read(Query {
                after: Some(after),
                hops: query.hops.saturating_add(1),
                ..query.clone()
            })),
            _ => Ok(Task::Done(Ok(Reply::Nothing { missing: false }))),
        }
    }

    pub(super) fn broke_off(&self, body: &Bytes) -> Failure {
        if body.len() >= self.body_limit() {
            self.fault(FailureKind::TooLarge, "the answer is too large")
        } else {
            self.fault(FailureKind::Unreachable, "the answer broke off")
        }
    }

    /// Refuses a body that is larger than it may be, or that broke off.
    pub(super) fn whole(&self, (_, headers, body): &Response) -> Result<(), Failure> {
        let announced = headers.get_optional_str(&HeaderName::from_static("content-length"));
        let announced: Option<u64> = announced.and_then(|length| length.trim().parse().ok());
        let limit = self.body_limit();
        if body.len() > limit || announced.is_some_and(|length| length > limit as u64) {
            return Err(self.fault(FailureKind::TooLarge, "the answer is too large"));
        }
        if announced.is_some_and(|length| length > body.len() as u64) {
            return Err(self.fault(FailureKind::Unreachable, "the answer broke off"));
        }
        Ok(())
    }
}
