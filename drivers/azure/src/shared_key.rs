//! SharedKey: the account key's signature over one request, made anew for every try.

use crate::credential::AccountKey;
use crate::date::rfc1123;
use crate::{Credential, Error, Service};
use azure_core::error::{Error as HttpError, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Method, Request, Url};
use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;
use stillwire_core::UnixTime;

/// Where the policy learns the time.
pub type Clock = Arc<dyn Fn() -> UnixTime + Send + Sync>;

const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");
const DATE: HeaderName = HeaderName::from_static("x-ms-date");

/// The value of the `Authorization` header.
///
/// `headers` must hold `x-ms-date`; `Content-Length` is ignored there and taken from `length`,
/// since clients set it after signing.
pub fn authorization(
    service: Service,
    account: &str,
    key: &AccountKey,
    method: Method,
    url: &Url,
    headers: &Headers,
    length: u64,
) -> String {
    let text = match service {
        Service::Blob | Service::Queue => blob_text(account, method, url, headers, length),
        Service::Table => table_text(account, method, url, headers),
    };
    format!("SharedKey {account}:{}", key.sign(&text))
}

fn header<'a>(headers: &'a Headers, name: &'static str) -> &'a str {
    headers
        .get_optional_str(&HeaderName::from_static(name))
        .map_or("", str::trim)
}

fn blob_text(account: &str, method: Method, url: &Url, headers: &Headers, length: u64) -> String {
    let mut text = String::with_capacity(512);
    let mut line = |value: &str| {
        text.push_str(value);
        text.push('\n');
    };
    line(method.as_ref());
    line(header(headers, "content-encoding"));
    line(header(headers, "content-language"));
    if length == 0 {
        line("");
    } else {
        line(&length.to_string());
    }
    line(header(headers, "content-md5"));
    line(header(headers, "content-type"));
    line(""); // Date: x-ms-date stands in for it
    line(header(headers, "if-modified-since"));
    line(header(headers, "if-match"));
    line(header(headers, "if-none-match"));
    line(header(headers, "if-unmodified-since"));
    line(header(headers, "range"));

    let mut extra: Vec<(&str, &str)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().trim()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .collect();
    extra.sort_unstable();
    for (name, value) in extra {
        line(&format!("{name}:{value}"));
    }

    text.push('/');
    text.push_str(account);
    text.push_str(url.path());
    let mut pairs: Vec<(String, Cow<'_, str>)> = url
        .query_pairs()
        .map(|(name, value)| (name.to_lowercase(), value))
        .collect();
    pairs.sort_unstable();
    let mut last: Option<&str> = None;
    for (name, value) in &pairs {
        if last == Some(name) {
            text.push(',');
        } else {
            text.push('\n');
            text.push_str(name);
            text.push(':');
        }
        text.push_str(value);
        last = Some(name);
    }
    text
}

fn table_text(account: &str, method: Method, url: &Url, headers: &Headers) -> String {
    let date = match header(headers, "x-ms-date") {
        "" => header(headers, "date"),
        date => date,
    };
    let mut text = format!(
        "{}\n{}\n{}\n{date}\n/{account}{}",
        method.as_ref(),
        header(headers, "content-md5"),
        header(headers, "content-type"),
        url.path(),
    );
    if let Some((_, comp)) = url.query_pairs().find(|(name, _)| name == "comp") {
        text.push_str("?comp=");
        text.push_str(&comp);
    }
    text
}

/// Dates and signs each try of a request; goes last before the transport.
pub struct SharedKeyPolicy {
    service: Service,
    account: String,
    key: AccountKey,
    clock: Clock,
}

impl SharedKeyPolicy {
    /// Signs for `account` with `key`.
    pub fn new(
        service: Service,
        account: impl Into<String>,
        key: AccountKey,
        clock: Clock,
    ) -> Self {
        Self {
            service,
            account: account.into(),
            key,
            clock,
        }
    }

    /// Signs with a credential that holds a key.
    ///
    /// # Errors
    /// [`Error::CannotSign`] for a SAS.
    pub fn from_credential(
        service: Service,
        credential: &Credential,
        clock: Clock,
    ) -> Result<Self, Error> {
        match credential {
            Credential::SharedKey { account, key } => {
                Ok(Self::new(service, account.clone(), key.clone(), clock))
            }
            Credential::Sas(_) => Err(Error::CannotSign),
        }
    }

    /// Sets `x-ms-date` and `Authorization`, replacing those of an earlier try.
    pub fn sign(&self, request: &mut Request) {
        request.insert_header(DATE, rfc1123((self.clock)()));
        request.headers_mut().remove(AUTHORIZATION);
        let length = request.body().len().unwrap_or(0);
        let value = authorization(
            self.service,
            &self.account,
            &self.key,
            request.method(),
            request.url(),
            request.headers(),
            length,
        );
        request.insert_header(AUTHORIZATION, HeaderValue::from(value));
    }
}

impl fmt::Debug for SharedKeyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedKeyPolicy")
            .field("service", &self.service)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl Policy for SharedKeyPolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        self.sign(request);
        match next.split_first() {
            Some((policy, rest)) => policy.send(ctx, request, rest).await,
            None => Err(HttpError::with_message(
                ErrorKind::Other,
                "the pipeline ends without a transport",
            )),
        }
    }
}
