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
/// `headers` must hold `x-ms-date`, or else `date`; `Content-Length` is ignored there and taken from
/// `length`, since clients set it after signing.
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
    // x-ms-date, which is signed below, stands in for Date.
    let dated = headers.get_optional_str(&DATE).is_some();
    line(if dated { "" } else { header(headers, "date") });
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

#[cfg(test)]
mod tests {
    use super::*;
    use azure_core::http::{AsyncRawResponse, StatusCode};
    use core::pin::pin;
    use core::task::{Poll, Waker};
    use std::sync::Mutex;

    fn signed(
        service: Service,
        account: &str,
        key: &str,
        method: Method,
        url: &str,
        head: &[(&'static str, &'static str)],
        length: u64,
    ) -> String {
        let mut headers = Headers::new();
        for (name, value) in head {
            headers.insert(*name, *value);
        }
        let url = Url::parse(url).unwrap();
        let key = AccountKey::parse(key).unwrap();
        authorization(service, account, &key, method, &url, &headers, length)
    }

    /// The value was computed from the service's rules, apart from this code.
    #[test]
    fn without_x_ms_date_the_date_is_signed() {
        let dated = signed(
            Service::Blob,
            "a",
            "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
            Method::Get,
            "https://a.blob.core.windows.net/c/b",
            &[
                ("date", "Mon, 11 Jan 2027 08:00:27 GMT"),
                ("x-ms-version", "2021-12-02"),
            ],
            0,
        );
        assert_eq!(
            dated,
            "SharedKey a:k65XVmvbehNcU06wJI4FEf/C+P4TD6TqWkE3c0sn/2k="
        );
    }

    /// Signatures that Azure's SDKs made; the conformance vectors hold more.
    #[test]
    fn signatures_are_those_of_the_sdks() {
        let append = signed(
            Service::Blob,
            "stillwire196",
            "o3d7ZRIE0h0oTToZ0ucG/CFiQ+CSvrJXG0hoYjZYNT3jqA99GN7nm0X/mF11DuNgz+gRF8p0BQ9OMX4OVcKUMA==",
            Method::Put,
            "https://stillwire196.blob.core.windows.net/c9e7ab11-6c24-4589-8afc-b3564563e6ea/req-0?comp=appendblock",
            &[
                ("x-ms-version", "2026-12-06"),
                ("x-ms-date", "Sun, 30 May 2027 10:58:50 GMT"),
                (
                    "x-ms-client-request-id",
                    "e2a44034-a3f5-4b85-ac8a-7e029eec25c0",
                ),
                ("x-ms-blob-condition-appendpos", "679936"),
                ("content-type", "application/octet-stream"),
            ],
            180,
        );
        assert_eq!(
            append,
            "SharedKey stillwire196:FxNUhdoFbck8JMQtG+el1OfU+FY6bzOy6LAdU3xZ+2M="
        );
        let list = signed(
            Service::Blob,
            "stillwire7",
            "8QCoz8Ge0h6Fqg0F2EVGPxPRnxIy4ZrLUk6JYe8XDs+tjPlWn3PiA/sWUouNL8ps0BxlD+wMVwo92spGjFxdkQ==",
            Method::Get,
            "https://stillwire7.blob.core.windows.net/handshake?comp=list&marker=2%2180%21MDAwMDI1%2B%2F%3D&maxresults=7&prefix=a%20b%26c%3Dd%2F%C3%A9&restype=container",
            &[
                ("x-ms-version", "2026-12-06"),
                ("x-ms-date", "Sun, 27 Jun 2027 11:34:46 GMT"),
                (
                    "x-ms-client-request-id",
                    "dd9dad6e-dc8a-4d53-8dea-556ea8fdeb60",
                ),
                ("accept", "application/xml"),
            ],
            0,
        );
        assert_eq!(
            list,
            "SharedKey stillwire7:rPfxJ+76YKQwD2Yk3xgbTg3wBBgH2yHgP+Qsu+DUoeU="
        );
        let table = signed(
            Service::Table,
            "stillwire853",
            "Gb8glx/XD5qc2dlZ8pQqRN5WodUSJ/4VKMuWeMhYm3TGkWfyF6sYEqQEy/xoMKlKiLy6UCXjWO9bI0CHY53eVA==",
            Method::Get,
            "https://stillwire853.table.core.windows.net/?restype=service&comp=properties",
            &[
                ("x-ms-version", "2019-02-02"),
                ("x-ms-date", "Sun, 22 Nov 2026 22:41:21 GMT"),
                ("date", "Sun, 22 Nov 2026 22:41:21 GMT"),
            ],
            0,
        );
        assert_eq!(
            table,
            "SharedKey stillwire853:9BN78Y/QXbrjSmM/OxPAZWQS4roUKca73zPqWGhw70w="
        );
    }

    const NOW: UnixTime = UnixTime::from_secs(1_799_654_427);

    fn policy() -> SharedKeyPolicy {
        let key = AccountKey::parse("c2VjcmV0").unwrap();
        SharedKeyPolicy::new(Service::Blob, "acc", key, Arc::new(|| NOW))
    }

    fn request() -> Request {
        let url = "http://127.0.0.1:10000/acc/c/b?comp=appendblock";
        let mut request = Request::new(Url::parse(url).unwrap(), Method::Put);
        request.set_body("12345");
        request
    }

    fn value(request: &Request, name: &'static str) -> String {
        let name = HeaderName::from_static(name);
        request
            .headers()
            .get_optional_string(&name)
            .unwrap_or_default()
    }

    #[test]
    fn the_length_comes_from_the_body_whatever_the_header_says() {
        let mut plain = request();
        let mut announced = request();
        announced.insert_header("content-length", "99");
        policy().sign(&mut plain);
        policy().sign(&mut announced);
        assert_eq!(value(&plain, "x-ms-date"), "Mon, 11 Jan 2027 08:00:27 GMT");
        assert_eq!(
            value(&plain, "authorization"),
            value(&announced, "authorization")
        );
        let mut other = request();
        other.set_body("123456");
        policy().sign(&mut other);
        assert_ne!(
            value(&plain, "authorization"),
            value(&other, "authorization")
        );
    }

    #[test]
    fn text_to_sign_has_its_lines_in_order() {
        let mut headers = Headers::new();
        for (name, value) in [
            ("x-ms-version", " 2 "),
            ("x-ms-date", "d"),
            ("range", "bytes=1-2"),
            ("date", "ignored"),
        ] {
            headers.insert(name, value);
        }
        let url = Url::parse("http://h/acc/c/a%20b?Z=1&comp=list&m=x%2B%20y&m=a").unwrap();
        assert_eq!(
            blob_text("acc", Method::Get, &url, &headers, 0),
            "GET\n\n\n\n\n\n\n\n\n\n\nbytes=1-2\nx-ms-date:d\nx-ms-version:2\n/acc/acc/c/a%20b\ncomp:list\nm:a,x+ y\nz:1"
        );
        assert_eq!(
            table_text("acc", Method::Get, &url, &headers),
            "GET\n\n\nd\n/acc/acc/c/a%20b?comp=list"
        );
    }

    #[derive(Debug, Default)]
    struct Transport(Mutex<Vec<(String, String)>>);

    #[async_trait::async_trait]
    impl Policy for Transport {
        async fn send(
            &self,
            _: &Context,
            request: &mut Request,
            _: &[Arc<dyn Policy>],
        ) -> PolicyResult {
            let seen = (value(request, "x-ms-date"), value(request, "authorization"));
            self.0.lock().unwrap().push(seen);
            Ok(AsyncRawResponse::from_bytes(
                StatusCode::Ok,
                Headers::new(),
                "",
            ))
        }
    }

    fn ready<T>(future: impl Future<Output = T>) -> T {
        let mut context = core::task::Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut context) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("not ready at the first poll"),
        }
    }

    #[test]
    fn each_try_is_dated_and_signed_anew() {
        let seconds = Arc::new(Mutex::new(0));
        let ticking = Arc::clone(&seconds);
        let policy = SharedKeyPolicy {
            clock: Arc::new(move || UnixTime::from_secs(*ticking.lock().unwrap())),
            ..policy()
        };
        let transport = Arc::new(Transport::default());
        let next: [Arc<dyn Policy>; 1] = [transport.clone()];
        let mut request = request();
        for second in [0, 1] {
            *seconds.lock().unwrap() = second;
            ready(policy.send(&Context::new(), &mut request, &next)).unwrap();
        }
        let seen = transport.0.lock().unwrap();
        assert_eq!(seen[0].0, "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(seen[1].0, "Thu, 01 Jan 1970 00:00:01 GMT");
        assert!(seen[0].1.starts_with("SharedKey acc:"));
        assert_ne!(seen[0].1, seen[1].1);
    }

    #[test]
    fn a_pipeline_without_a_transport_is_an_error() {
        assert!(ready(policy().send(&Context::new(), &mut request(), &[])).is_err());
    }
}
