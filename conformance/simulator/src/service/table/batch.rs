//! Entity group transactions.

use super::{Call, Change, Response, Tables, error, row_of};
use std::fmt::Write;

/// The inserts in the body of a transaction: each one's table and row.
fn inserts(body: &[u8]) -> Option<Vec<(String, &str)>> {
    let text = std::str::from_utf8(body).ok()?;
    let mut found = Vec::new();
    for part in text.split("\nPOST ").skip(1) {
        let (url, rest) = part.split_once(" HTTP/1.1\r\n")?;
        let (_, rest) = rest.split_once("\r\n\r\n")?;
        let (row, _) = rest.split_once("\r\n--")?;
        found.push((url.rsplit_once('/')?.1.to_owned(), row));
    }
    (!found.is_empty()).then_some(found)
}

/// The one table of a transaction.
pub(super) fn table(body: &[u8]) -> Option<String> {
    let inserts = inserts(body)?;
    let (first, _) = inserts.first()?;
    let same = inserts.iter().all(|(table, _)| table == first);
    same.then(|| first.clone())
}

impl Tables {
    pub(super) fn batch(
        &mut self,
        name: &str,
        call: &Call,
        now: u64,
    ) -> (Response, Option<Change>) {
        if call.body.len() > 4 << 20 {
            return (error(413, "RequestBodyTooLarge"), None);
        }
        let inserts = inserts(&call.body).unwrap_or_default();
        let rows = inserts
            .iter()
            .map(|(_, row)| row_of(serde_json::from_str(row).ok()?))
            .collect::<Option<Vec<_>>>();
        let Some(rows) = rows.filter(|rows| (1..=100).contains(&rows.len())) else {
            return (error(400, "InvalidInput"), None);
        };
        let count = rows.len();
        match self.insert(name, rows, now) {
            Ok(change) => (answer(&vec![("204 No Content", None); count]), Some(change)),
            Err((_, refusal)) => {
                let body = String::from_utf8_lossy(&refusal.body).into_owned();
                let line = match refusal.status {
                    409 => "409 Conflict",
                    _ => "400 Bad Request",
                };
                (answer(&[(line, Some(body))]), None)
            }
        }
    }
}

fn answer(parts: &[(&str, Option<String>)]) -> Response {
    let mut body = String::from(
        "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n",
    );
    for (line, error) in parts {
        let _ = write!(
            body,
            "--changesetresponse_1\r\nContent-Type: application/http\r\n\
             Content-Transfer-Encoding: binary\r\n\r\nHTTP/1.1 {line}\r\n\
             X-Content-Type-Options: nosniff\r\n\r\n{}\r\n",
            error.as_deref().unwrap_or_default()
        );
    }
    body.push_str("--changesetresponse_1--\r\n--batchresponse_1--\r\n");
    Response {
        body: body.into(),
        ..Response::new(202).with("content-type", "multipart/mixed; boundary=batchresponse_1")
    }
}
