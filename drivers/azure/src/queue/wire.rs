//! Queue requests as they go out.

use super::alive::Dates;
use super::receipts::Receipt;
use crate::credential::Sas;
use crate::encode::percent;
use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{Method, Request, Url};
use bytes::Bytes;
use core::time::Duration;

/// Service version of every request.
pub const VERSION: &str = "2021-12-02";

const MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const CONTENT_LENGTH: HeaderName = HeaderName::from_static("content-length");
const CONTENT_TYPE: HeaderName = HeaderName::from_static("content-type");
/// The queue metadata that say when it was made, and when its listener was last there.
pub(super) const CREATED: HeaderName = HeaderName::from_static("x-ms-meta-created");
pub(super) const ALIVE: HeaderName = HeaderName::from_static("x-ms-meta-alive");
/// The queue metadata that says whose a session is.
pub(super) const MARK: HeaderName = HeaderName::from_static("x-ms-meta-stillwire");

/// Where a request goes, and under which SAS.
pub(super) struct Target<'a> {
    pub(super) endpoint: &'a Url,
    pub(super) queue: &'a str,
    pub(super) sas: Option<&'a Sas>,
}

impl Target<'_> {
    fn request(&self, method: Method, below: &[&str], query: &[(&str, &str)]) -> Request {
        let mut path = self.endpoint.path().trim_end_matches('/').to_owned();
        // No queue: the account itself.
        for part in core::iter::once(&self.queue).chain(below) {
            path.push('/');
            path.push_str(&percent(part));
        }
        let mut pairs: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        if let Some(sas) = self.sas {
            pairs.push(sas.expose().to_owned());
        }
        let mut url = self.endpoint.clone();
        url.set_path(&path);
        url.set_query((!pairs.is_empty()).then(|| pairs.join("&")).as_deref());
        let mut request = Request::new(url, method);
        request.insert_header(MS_VERSION, VERSION);
        // Not every client sends the length of an empty body, and the service insists on it.
        if method == Method::Put {
            request.insert_header(CONTENT_LENGTH, "0");
        }
        request
    }

    /// Create Queue.
    pub(super) fn create(&self) -> Request {
        self.request(Method::Put, &[], &[])
    }

    /// Create Queue, marked as a session of ours and dated.
    pub(super) fn create_session(&self, mark: &str, created_secs: u64) -> Request {
        let mut request = self.create();
        request.insert_header(MARK, HeaderValue::from(mark.to_owned()));
        request.insert_header(CREATED, created_secs.to_string());
        request
    }

    /// Get Queue Metadata.
    pub(super) fn metadata(&self) -> Request {
        self.request(Method::Get, &[], &[("comp", "metadata")])
    }

    /// Set Queue Metadata: all of it, for what is left out is taken away.
    pub(super) fn set_dates(&self, dates: &Dates) -> Request {
        let mut request = self.request(Method::Put, &[], &[("comp", "metadata")]);
        request.insert_header(MARK, HeaderValue::from(dates.mark.clone()));
        request.insert_header(CREATED, dates.created.to_string());
        request.insert_header(ALIVE, dates.alive.to_string());
        request
    }

    /// List Queues with their metadata: those whose names begin with `prefix`.
    pub(super) fn queues(&self, prefix: &str, limit: u16, marker: Option<&str>) -> Request {
        let limit = limit.to_string();
        let mut query = vec![
            ("comp", "list"),
            ("include", "metadata"),
            ("maxresults", limit.as_str()),
            ("prefix", prefix),
        ];
        if let Some(marker) = marker {
            query.push(("marker", marker));
        }
        self.request(Method::Get, &[], &query)
    }

    /// Delete Queue.
    pub(super) fn delete(&self) -> Request {
        self.request(Method::Delete, &[], &[])
    }

    /// Put Message, to be kept for `lifetime`, or for ever.
    pub(super) fn put(&self, body: Bytes, lifetime: Option<Duration>) -> Request {
        let seconds = match lifetime {
            Some(lifetime) => lifetime.as_secs().to_string(),
            None => "-1".to_owned(),
        };
        let query = [("messagettl", seconds.as_str())];
        let mut request = self.request(Method::Post, &["messages"], &query);
        request.insert_header(CONTENT_TYPE, "application/xml");
        request.insert_header(CONTENT_LENGTH, body.len().to_string());
        request.set_body(body);
        request
    }

    /// Get Messages: out of everybody's sight for `visibility`, 1 s at the least.
    pub(super) fn get(&self, count: usize, visibility: Duration) -> Request {
        let (count, seconds) = (count.to_string(), visibility.as_secs().max(1).to_string());
        let query = [
            ("numofmessages", count.as_str()),
            ("visibilitytimeout", seconds.as_str()),
        ];
        self.request(Method::Get, &["messages"], &query)
    }

    /// Peek Messages: looks and changes nothing.
    pub(super) fn peek(&self, count: usize) -> Request {
        let count = count.to_string();
        let query = [("peekonly", "true"), ("numofmessages", count.as_str())];
        self.request(Method::Get, &["messages"], &query)
    }

    /// Delete Message.
    pub(super) fn delete_message(&self, receipt: &Receipt) -> Request {
        let query = [("popreceipt", receipt.pop.as_str())];
        self.request(Method::Delete, &["messages", &receipt.id], &query)
    }
}
