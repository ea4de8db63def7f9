//! Signatures of Azure Storage: service SAS and SharedKey.

use super::args::{Args, integer};
use super::{Answer, Fault};
use serde_json::{Map, Value, json};
use stillwire_azure::http::headers::{HeaderName, HeaderValue, Headers};
use stillwire_azure::http::{Method, Url};
use stillwire_azure::sas::{Protocol, ServiceSas};
use stillwire_azure::shared_key::authorization;
use stillwire_azure::{AccountKey, Error, Service};
use stillwire_core::{Class, UnixTime};

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::new(error.class(), error.to_string())
    }
}

fn service(args: &Args) -> Result<Service, Fault> {
    match args.text("service")? {
        "blob" => Ok(Service::Blob),
        "queue" => Ok(Service::Queue),
        "table" => Ok(Service::Table),
        _ => Err(Fault::new(Class::Encoding, "no such service")),
    }
}

fn seconds(args: &Args, name: &str) -> Result<UnixTime, Fault> {
    args.number(name).map(UnixTime::from_secs)
}

/// `azure.sas`.
pub(super) fn sas(args: &Args) -> Answer {
    let key = AccountKey::parse(args.text("key")?)?;
    let signed = ServiceSas {
        service: service(args)?,
        resource: args.text("resource")?,
        permissions: args.text("permissions")?,
        start: args.optional("start", seconds)?,
        expiry: seconds(args, "expiry")?,
        protocol: Protocol::parse(args.text("protocol")?)?,
        version: args.text("version")?,
    }
    .sign(args.text("account")?, &key)?;
    let params: Map<String, Value> = signed
        .params()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    Ok(json!({"query": signed.query(), "params": params}))
}

/// `azure.sharedkey`.
pub(super) fn shared_key(args: &Args) -> Answer {
    let key = AccountKey::parse(args.text("key")?)?;
    let method = match args.text("method")? {
        "DELETE" => Method::Delete,
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "PATCH" => Method::Patch,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        _ => return Err(Fault::new(Class::Encoding, "no such method")),
    };
    let url = Url::parse(args.text("url")?)
        .map_err(|error| Fault::new(Class::Encoding, error.to_string()))?;
    let mut headers = Headers::new();
    for (name, value) in args.object("headers")? {
        let value = match (value, integer(value)) {
            (Value::String(text), _) => text.clone(),
            (_, Some(number)) => number.to_string(),
            _ => return Err(Fault::new(Class::Encoding, "a header is not text")),
        };
        headers.insert(
            HeaderName::from(name.to_ascii_lowercase()),
            HeaderValue::from(value),
        );
    }
    let authorization = authorization(
        service(args)?,
        args.text("account")?,
        &key,
        method,
        &url,
        &headers,
        args.number("length")?,
    );
    Ok(json!({"authorization": authorization}))
}
