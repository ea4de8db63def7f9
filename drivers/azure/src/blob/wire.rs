//! Blob requests as they go out.

use crate::credential::Sas;
use crate::encode::percent;
use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{Method, Request, Url};
use bytes::Bytes;

/// Service version of every request but an append.
pub const VERSION: &str = "2021-12-02";
/// Service version of an append: from here on blocks may be larger than 4 MiB.
pub const APPEND_VERSION: &str = "2022-11-02";

const MS_VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const IF_NONE_MATCH: HeaderName = HeaderName::from_static("if-none-match");
const CONTENT_LENGTH: HeaderName = HeaderName::from_static("content-length");
const APPEND_POSITION: HeaderName = HeaderName::from_static("x-ms-blob-condition-appendpos");
const PAYLOAD: HeaderName = HeaderName::from_static("x-ms-meta-payload");
const RANGE: HeaderName = HeaderName::from_static("range");
const CREATED: HeaderName = HeaderName::from_static("x-ms-meta-created");
/// The container metadata that says whose a session is.
pub(super) const MARK: HeaderName = HeaderName::from_static("x-ms-meta-stillwire");

/// Where a request goes, and under which SAS.
pub(super) struct Target<'a> {
    pub(super) endpoint: &'a Url,
    pub(super) container: &'a str,
    pub(super) sas: Option<&'a Sas>,
}

impl Target<'_> {
    fn request(&self, method: Method, blob: Option<&str>, query: &[(&str, &str)]) -> Request {
        let mut path = self.endpoint.path().trim_end_matches('/').to_owned();
        path.push('/');
        // No container: the account itself.
        path.push_str(&percent(self.container));
        if let Some(blob) = blob {
            path.push('/');
            path.push_str(&percent(blob));
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

    fn with_body(mut request: Request, body: Bytes) -> Request {
        request.insert_header(CONTENT_LENGTH, body.len().to_string());
        request.set_body(body);
        request
    }

    /// Create Container.
    pub(super) fn create_container(&self) -> Request {
        self.request(Method::Put, None, &[("restype", "container")])
    }

    /// Create Container, marked as a session of ours and dated.
    pub(super) fn create_session(&self, mark: &str, created_secs: u64) -> Request {
        let mut request = self.create_container();
        request.insert_header(MARK, HeaderValue::from(mark.to_owned()));
        request.insert_header(CREATED, created_secs.to_string());
        request
    }

    /// Get Container Properties.
    pub(super) fn container_properties(&self) -> Request {
        self.request(Method::Get, None, &[("restype", "container")])
    }

    /// Delete Container.
    pub(super) fn delete_container(&self) -> Request {
        self.request(Method::Delete, None, &[("restype", "container")])
    }

    /// List Blobs with their metadata.
    pub(super) fn list(&self, limit: u16, marker: Option<&str>) -> Request {
        let limit = limit.to_string();
        let mut query = vec![
            ("restype", "container"),
            ("comp", "list"),
            ("include", "metadata"),
            ("maxresults", limit.as_str()),
        ];
        if let Some(marker) = marker {
            query.push(("marker", marker));
        }
        self.request(Method::Get, None, &query)
    }

    /// List Containers with their metadata.
    pub(super) fn list_containers(&self, limit: u16, marker: Option<&str>) -> Request {
        let limit = limit.to_string();
        let mut query = vec![
            ("comp", "list"),
            ("include", "metadata"),
            ("maxresults", limit.as_str()),
        ];
        if let Some(marker) = marker {
            query.push(("marker", marker));
        }
        self.request(Method::Get, None, &query)
    }

    /// Put Blob: an empty block blob that carries `payload` as metadata.
    pub(super) fn put_metadata_blob(&self, blob: &str, payload: &str) -> Request {
        let mut request = self.request(Method::Put, Some(blob), &[]);
        request.insert_header(BLOB_TYPE, "BlockBlob");
        request.insert_header(PAYLOAD, HeaderValue::from(payload.to_owned()));
        request
    }

    /// Put Blob: a block blob with a body.
    pub(super) fn put_blob(&self, blob: &str, body: Bytes) -> Request {
        let mut request = self.request(Method::Put, Some(blob), &[]);
        request.insert_header(BLOB_TYPE, "BlockBlob");
        Self::with_body(request, body)
    }

    /// Put Blob: an append blob, only when there is none. Without the condition a repeated
    /// creation would truncate silently.
    pub(super) fn create_append_blob(&self, blob: &str) -> Request {
        let mut request = self.request(Method::Put, Some(blob), &[]);
        request.insert_header(BLOB_TYPE, "AppendBlob");
        request.insert_header(IF_NONE_MATCH, "*");
        request
    }

    /// Append Block at exactly `offset`.
    pub(super) fn append(&self, blob: &str, offset: u64, body: Bytes) -> Request {
        let mut request = self.request(Method::Put, Some(blob), &[("comp", "appendblock")]);
        request.insert_header(MS_VERSION, APPEND_VERSION);
        request.insert_header(APPEND_POSITION, offset.to_string());
        Self::with_body(request, body)
    }

    /// Get Blob Properties.
    pub(super) fn blob_properties(&self, blob: &str) -> Request {
        self.request(Method::Head, Some(blob), &[])
    }

    /// Get Blob, all of it.
    pub(super) fn read_blob(&self, blob: &str) -> Request {
        self.request(Method::Get, Some(blob), &[])
    }

    /// Get Blob, `limit` bytes from `offset` on.
    pub(super) fn read_range(&self, blob: &str, offset: u64, limit: usize) -> Request {
        let mut request = self.read_blob(blob);
        let last = offset.saturating_add(limit as u64).saturating_sub(1);
        request.insert_header(RANGE, format!("bytes={offset}-{last}"));
        request
    }

    /// Delete Blob.
    pub(super) fn delete_blob(&self, blob: &str) -> Request {
        self.request(Method::Delete, Some(blob), &[])
    }
}
