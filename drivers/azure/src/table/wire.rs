//! Table requests as they go out.

use super::batch;
use crate::credential::Sas;
use crate::encode::{percent, unpercent};
use azure_core::http::headers::HeaderName;
use azure_core::http::{Method, Request, Url};
use bytes::Bytes;
use core::fmt::Write as _;
use stillwire_core::Error;
use stillwire_core::aznet::wire::table;

/// Service version of every request and of the SAS we mint.
pub const VERSION: &str = "2019-02-02";

/// Version of OData.
const DATA_SERVICE: &str = "3.0";

const MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const ACCEPT: HeaderName = HeaderName::from_static("accept");
const CONTENT_LENGTH: HeaderName = HeaderName::from_static("content-length");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
const DATA_SERVICE_VERSION: HeaderName = HeaderName::from_static("dataserviceversion");
const IF_MATCH: HeaderName = HeaderName::from_static("if-match");
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// PartitionKey of the rows that carry a stream.
pub(super) const STREAM: &str = "data";
/// PartitionKey and RowKey of the row that says whose a session is; readers of the stream pass it
/// by.
const OURS: (&str, &str) = ("stillwire", "session");
/// Property that holds message 1 or 2.
const MESSAGE: &str = "Data";

/// Where a page begins that is not the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Behind this row.
    Behind(String),
    /// Where the service said: its continuation token.
    At {
        /// `NextPartitionKey`.
        partition: String,
        /// `NextRowKey`.
        row: Option<String>,
    },
}

impl Cursor {
    /// As it is handed to the machine.
    pub(super) fn to_text(&self) -> String {
        match self {
            Self::Behind(key) => format!("behind {key}"),
            Self::At {
                partition,
                row: None,
            } => format!("at {}", percent(partition)),
            Self::At {
                partition,
                row: Some(row),
            } => format!("at {} {}", percent(partition), percent(row)),
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix("behind ") {
            return Some(Self::Behind(key.to_owned()));
        }
        let token = text.strip_prefix("at ")?;
        let (partition, row) = match token.split_once(' ') {
            Some((partition, row)) => (partition, Some(unpercent(row)?)),
            None => (token, None),
        };
        Some(Self::At {
            partition: unpercent(partition)?,
            row,
        })
    }
}

/// A text inside OData quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A text as JSON.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A row that carries `bytes`: the JSON of an Insert Entity.
pub(super) fn row(partition: &str, key: &str, bytes: &[u8]) -> Result<String, Error> {
    let properties = table::encode(0, bytes)?.properties;
    let length = properties.iter().map(|(_, text)| text.len());
    let length = length.fold(1_024, |sum: usize, text| {
        sum.saturating_add(text).saturating_add(64)
    });
    let mut out = String::with_capacity(length);
    let (partition, key) = (json(partition), json(key));
    let _ = write!(out, "{{\"PartitionKey\":{partition},\"RowKey\":{key}");
    for (name, text) in properties {
        let _ = write!(
            out,
            ",\"{name}@odata.type\":\"Edm.Binary\",\"{name}\":\"{text}\""
        );
    }
    out.push('}');
    Ok(out)
}

/// Where a request goes, and under which SAS.
pub(super) struct Target<'a> {
    pub(super) endpoint: &'a Url,
    pub(super) table: &'a str,
    pub(super) sas: Option<&'a Sas>,
}

impl Target<'_> {
    fn url(&self, resource: &str) -> Url {
        let mut path = self.endpoint.path().trim_end_matches('/').to_owned();
        path.push('/');
        path.push_str(resource);
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        url
    }

    /// `resource` is escaped already.
    fn request(&self, method: Method, resource: &str, query: &[(&str, &str)]) -> Request {
        let mut pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        if let Some(sas) = self.sas {
            pairs.push(sas.expose().to_owned());
        }
        let mut url = self.url(resource);
        url.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
        let mut request = Request::new(url, method);
        request.insert_header(MS_VERSION, VERSION);
        request.insert_header(DATA_SERVICE_VERSION, DATA_SERVICE);
        request.insert_header(ACCEPT, "application/json;odata=nometadata");
        request
    }

    fn post(&self, resource: &str, body: Bytes, content_type: &'static str) -> Request {
        let mut request = self.request(Method::Post, resource, &[]);
        request.insert_header(CONTENT_TYPE, content_type);
        request.insert_header(CONTENT_LENGTH, body.len().to_string());
        request.set_body(body);
        request
    }

    fn create(&self, resource: &str, body: String) -> Request {
        let mut request = self.post(resource, Bytes::from(body), "application/json");
        request.insert_header(PREFER, "return-no-content");
        request
    }

    fn entity(&self, partition: &str, row: &str) -> String {
        // Quotes, commas and brackets around the keys are the resource's own.
        let [partition, row] = [partition, row].map(|key| percent(&key.replace('\'', "''")));
        format!(
            "{}(PartitionKey='{partition}',RowKey='{row}')",
            percent(self.table)
        )
    }

    /// Create Table.
    pub(super) fn create_table(&self) -> Request {
        self.create("Tables", format!("{{\"TableName\":{}}}", json(self.table)))
    }

    /// Delete Table.
    pub(super) fn delete_table(&self) -> Request {
        let resource = format!("Tables('{}')", percent(self.table));
        self.request(Method::Delete, &resource, &[])
    }

    /// Insert Entity: a message in a bootstrap table, whose name is the partition.
    pub(super) fn insert_message(&self, key: &str, message: &[u8]) -> Option<Request> {
        let row = row(self.table, key, message).ok()?;
        Some(self.create(&percent(self.table), row))
    }

    /// Insert Entity: the row that marks a session as ours, and dates it.
    pub(super) fn insert_mark(&self, mark: &str, created_secs: u64) -> Request {
        let (partition, row) = OURS;
        let row = format!(
            "{{\"PartitionKey\":\"{partition}\",\"RowKey\":\"{row}\",\"Mark\":{},\
             \"Created@odata.type\":\"Edm.Int64\",\"Created\":\"{created_secs}\"}}",
            json(mark)
        );
        self.create(&percent(self.table), row)
    }

    /// Insert Entity: one row of a stream.
    pub(super) fn insert(&self, sequence: u64, chunk: &[u8]) -> Option<Request> {
        let key = table::key(sequence).ok()?;
        let row = row(STREAM, &key, chunk).ok()?;
        Some(self.create(&percent(self.table), row))
    }

    /// Entity group transaction: rows of a stream from `sequence` on.
    pub(super) fn insert_all(&self, sequence: u64, chunks: &[&[u8]]) -> Option<Request> {
        let url = self.url(&percent(self.table));
        let mut rows = Vec::with_capacity(chunks.len());
        for (sequence, chunk) in (sequence..).zip(chunks) {
            let key = table::key(sequence).ok()?;
            rows.push(row(STREAM, &key, chunk).ok()?);
        }
        let (body, content_type) = batch::body(url.as_str(), &rows, DATA_SERVICE);
        Some(self.post("$batch", body, content_type))
    }

    /// Query Entities: the row with this key.
    pub(super) fn message(&self, key: &str) -> Request {
        let resource = self.entity(self.table, key);
        self.request(Method::Get, &resource, &[("$select", MESSAGE)])
    }

    /// Query Entities: the row that marks a session as ours.
    pub(super) fn mark(&self) -> Request {
        let resource = self.entity(OURS.0, OURS.1);
        self.request(Method::Get, &resource, &[("$select", "Mark")])
    }

    /// The same, with the times at which it was made.
    pub(super) fn dated_mark(&self) -> Request {
        let resource = self.entity(OURS.0, OURS.1);
        let query = [("$select", "Mark,Created,Timestamp")];
        self.request(Method::Get, &resource, &query)
    }

    /// Query Tables: a page of those whose names begin as a session's.
    pub(super) fn tables(&self, top: u16, after: Option<&str>) -> Request {
        let top = top.to_string();
        let filter = "TableName ge 'req' and TableName lt 'ret'";
        let mut query = vec![("$filter", filter), ("$top", &*top)];
        if let Some(after) = after {
            query.push(("NextTableName", after));
        }
        self.request(Method::Get, "Tables", &query)
    }

    /// Query Entities: key and time of the first row of a stream that does not come before this
    /// one.
    pub(super) fn time_of_row(&self, from: &str) -> Request {
        let filter = format!(
            "PartitionKey eq {} and RowKey ge {}",
            quoted(STREAM),
            quoted(from)
        );
        self.query(&filter, 1, "RowKey,Timestamp", None)
    }

    /// Query Entities: any one row, to see whether there is one.
    pub(super) fn any(&self, after: Option<&Cursor>) -> Request {
        self.go_on(vec![("$top", "1"), ("$select", "RowKey")], after)
    }

    /// Query Entities: a page of messages.
    pub(super) fn messages(&self, top: usize, after: Option<&Cursor>) -> Request {
        let mut filter = format!("PartitionKey eq {}", quoted(self.table));
        if let Some(Cursor::Behind(key)) = after {
            let _ = write!(filter, " and RowKey gt {}", quoted(key));
        }
        self.query(&filter, top, &format!("RowKey,{MESSAGE}"), after)
    }

    /// Query Entities: a page of a stream.
    pub(super) fn rows(&self, from: &str, top: usize, after: Option<&Cursor>) -> Request {
        let filter = format!(
            "PartitionKey eq {} and RowKey ge {}",
            quoted(STREAM),
            quoted(from)
        );
        let mut columns = "RowKey".to_owned();
        for index in 0..table::PROPERTIES {
            columns.push(',');
            columns.push_str(&table::name(index));
        }
        self.query(&filter, top, &columns, after)
    }

    fn query(&self, filter: &str, top: usize, columns: &str, after: Option<&Cursor>) -> Request {
        let top = top.to_string();
        let query = vec![("$filter", filter), ("$top", &top), ("$select", columns)];
        self.go_on(query, after)
    }

    /// A query of rows, from where a page said that it goes on.
    fn go_on<'q>(&self, mut query: Vec<(&'q str, &'q str)>, after: Option<&'q Cursor>) -> Request {
        if let Some(Cursor::At { partition, row }) = after {
            query.push(("NextPartitionKey", partition));
            if let Some(row) = row {
                query.push(("NextRowKey", row));
            }
        }
        let resource = format!("{}()", percent(self.table));
        self.request(Method::Get, &resource, &query)
    }

    /// Delete Entity: a message, whatever its version.
    pub(super) fn delete_message(&self, key: &str) -> Request {
        let resource = self.entity(self.table, key);
        let mut request = self.request(Method::Delete, &resource, &[]);
        request.insert_header(IF_MATCH, "*");
        request
    }
}
