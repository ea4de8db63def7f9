//! An HTTP request as the service sees it, and the response it gives.

use azure_core::http::{Body, Method, Request};
use bytes::Bytes;
use std::collections::BTreeMap;

/// A decoded request: path-style, `/account/container/blob`.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) container: String,
    pub(crate) blob: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Call {
    /// Decodes a request; [`None`] when it does not go to `account`.
    pub(crate) fn of(request: &Request, account: &str) -> Option<Self> {
        let path = request.url().path().strip_prefix('/')?;
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        if name != account {
            return None;
        }
        let (container, blob) = rest.split_once('/').unwrap_or((rest, ""));
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str().to_lowercase(), value.as_str().to_owned()))
            .collect();
        let Body::Bytes(body) = request.body() else {
            return None;
        };
        Some(Self {
            method: request.method(),
            container: percent_decode(container),
            blob: percent_decode(blob),
            query: decode_query(request.url().query().unwrap_or_default()),
            headers,
            body: body.clone(),
        })
    }

    pub(crate) fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    pub(crate) fn on_container(&self) -> bool {
        self.blob.is_empty() && self.query("restype") == "container"
    }

    /// What the call asks for.
    pub(crate) fn verb(&self) -> Verb {
        let comp = self.query("comp");
        match (self.on_container(), self.method, comp) {
            (true, Method::Put, "") => Verb::CreateContainer,
            (true, Method::Get | Method::Head, "" | "metadata") => Verb::ContainerProperties,
            (true, Method::Get, "list") => Verb::List,
            (true, Method::Delete, "") => Verb::DeleteContainer,
            (false, _, _) if self.blob.is_empty() => Verb::Other,
            (false, Method::Put, "") => Verb::PutBlob,
            (false, Method::Put, "appendblock") => Verb::Append,
            (false, Method::Get, "") => Verb::Read,
            (false, Method::Head, "") => Verb::BlobProperties,
            (false, Method::Delete, "") => Verb::DeleteBlob,
            _ => Verb::Other,
        }
    }
}

/// The operations of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Append,
    BlobProperties,
    ContainerProperties,
    CreateContainer,
    DeleteBlob,
    DeleteContainer,
    List,
    Other,
    PutBlob,
    Read,
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::BlobProperties => "blob properties",
            Self::ContainerProperties => "container properties",
            Self::CreateContainer => "create container",
            Self::DeleteBlob => "delete blob",
            Self::DeleteContainer => "delete container",
            Self::List => "list",
            Self::Other => "?",
            Self::PutBlob => "put blob",
            Self::Read => "read",
        }
    }
}

/// What the service answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

impl Response {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn error(status: u16, code: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\
             <Error><Code>{code}</Code><Message>simulated</Message></Error>"
        );
        Self {
            status,
            headers: vec![
                ("x-ms-error-code".to_owned(), code.to_owned()),
                ("content-type".to_owned(), "application/xml".to_owned()),
            ],
            body: body.into(),
        }
    }

    pub(crate) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    #[cfg(test)]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn decode_query(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = value.replace('+', " ");
            (percent_decode(name), percent_decode(&value))
        })
        .collect()
}

pub(crate) fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3);
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
