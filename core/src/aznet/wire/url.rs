//! The connection URL: all that a dialer needs (wire page `aznet`, "Connection URL").
//!
//! `<scheme>://<host>[/<account>]?handshake=<b64url(SAS)>&token=<b64url(SAS)>`. The names of the two
//! parameters are the names of the bootstrap resources. What Stillwire adds is named `sw_…`, which
//! Go ignores.

use super::percent;
use crate::error::{Class, Error};
use alloc::string::String;
use alloc::vec::Vec;
use base64ct::{Base64Url, Encoding};
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Name of the handshake resource unless configured.
pub const HANDSHAKE: &str = "handshake";
/// Name of the token resource unless configured.
pub const TOKEN: &str = "token";
/// What the names of our own parameters start with.
pub const OURS: &str = "sw_";
/// Longest connection URL in bytes.
pub const LONGEST: usize = 65_536;

const AZURE: &str = ".core.windows.net";

/// A connection URL, taken apart. It is a secret: zeroized on drop, and its `Debug` shows the
/// endpoint and the names only.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct ConnectionUrl {
    /// `scheme://host[:port][/account]`, without a slash at the end.
    pub endpoint: String,
    /// Name of the handshake resource.
    pub handshake_name: String,
    /// SAS of the handshake resource, as a query string without `?`.
    pub handshake: String,
    /// Name of the token resource.
    pub token_name: String,
    /// SAS of the token resource, as a query string without `?`.
    pub token: String,
    /// Parameters of our own, named `sw_…`, in order.
    pub extras: Vec<(String, String)>,
}

/// Which Azure service carries a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Driver {
    /// Blob storage.
    Azblob,
    /// Queue storage.
    Azqueue,
    /// Table storage.
    Aztable,
}

impl Driver {
    /// The name that Go and the conformance vectors use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Azblob => "azblob",
            Self::Azqueue => "azqueue",
            Self::Aztable => "aztable",
        }
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionUrl")
            .field("endpoint", &self.endpoint)
            .field("handshake_name", &self.handshake_name)
            .field("token_name", &self.token_name)
            .finish_non_exhaustive()
    }
}

impl ConnectionUrl {
    /// A URL for the default names, without parameters of our own.
    pub fn new(endpoint: &str, handshake: String, token: String) -> Self {
        Self {
            endpoint: String::from(endpoint.trim_end_matches('/')),
            handshake_name: String::from(HANDSHAKE),
            handshake,
            token_name: String::from(TOKEN),
            token,
            extras: Vec::new(),
        }
    }

    /// Takes a URL apart: `handshake` and `token` if they are there; else the two parameters that
    /// are not ours, of which the one whose SAS lets read is the token.
    ///
    /// Every fault is [`Class::Encoding`], except a URL over [`LONGEST`]: [`Class::Limit`].
    pub fn parse(url: &str) -> Result<Self, Error> {
        let Parts {
            endpoint,
            parameters,
        } = split(url)?;
        if find(&parameters, HANDSHAKE)?.is_some() || find(&parameters, TOKEN)?.is_some() {
            return Self::named(endpoint, &parameters, HANDSHAKE, TOKEN);
        }
        let foreign = parameters
            .iter()
            .filter(|(name, _)| !name.starts_with(OURS));
        let foreign: Vec<_> = foreign.collect();
        let [(one, first), (two, second)] = foreign.as_slice() else {
            return Err(fault("the connection URL lacks a handshake or a token"));
        };
        match (lets_read(&sas(first)?), lets_read(&sas(second)?)) {
            (true, false) => Self::named(endpoint, &parameters, two, one),
            (false, true) => Self::named(endpoint, &parameters, one, two),
            _ => Err(fault(
                "the connection URL does not show which parameter is the token",
            )),
        }
    }

    /// Takes a URL apart by configured names, exactly as Go looks them up.
    pub fn parse_named(url: &str, handshake_name: &str, token_name: &str) -> Result<Self, Error> {
        let Parts {
            endpoint,
            parameters,
        } = split(url)?;
        Self::named(endpoint, &parameters, handshake_name, token_name)
    }

    fn named(
        endpoint: String,
        parameters: &Parameters,
        handshake_name: &str,
        token_name: &str,
    ) -> Result<Self, Error> {
        let lookup = |name: &str| match find(parameters, name)? {
            Some(value) => sas(value),
            None => Err(fault("the connection URL lacks a handshake or a token")),
        };
        let mut out = Self::new("", lookup(handshake_name)?, lookup(token_name)?);
        out.endpoint = endpoint;
        out.handshake_name = String::from(handshake_name);
        out.token_name = String::from(token_name);
        for (name, value) in parameters.iter() {
            if name.starts_with(OURS) {
                out.extras.push((name.clone(), value.clone()));
            }
        }
        Ok(out)
    }

    /// A parameter of our own, by its name with `sw_`.
    pub fn extra(&self, name: &str) -> Option<&str> {
        let mut extras = self.extras.iter();
        extras.find_map(|(known, value)| (known == name).then_some(value.as_str()))
    }

    /// The URL as Go writes it: handshake before token, `=` as `%3D`, our own parameters last.
    pub fn format(&self) -> Zeroizing<String> {
        // Enough from the start: a string that grows leaves copies of a secret behind.
        let extras = self.extras.iter().map(|(name, value)| {
            let text = name.len().saturating_add(value.len());
            text.saturating_mul(percent::LONGEST).saturating_add(2)
        });
        let names = self
            .handshake_name
            .len()
            .saturating_add(self.token_name.len());
        let grants = self.handshake.len().saturating_add(self.token.len());
        let capacity = extras
            .fold(self.endpoint.len(), usize::saturating_add)
            .saturating_add(names.saturating_mul(percent::LONGEST))
            .saturating_add(grants.saturating_mul(2))
            .saturating_add(64);
        let mut out = Zeroizing::new(String::with_capacity(capacity));
        out.push_str(self.endpoint.trim_end_matches('/'));
        for (mark, name, sas) in [
            ('?', &self.handshake_name, &self.handshake),
            ('&', &self.token_name, &self.token),
        ] {
            let encoded = Zeroizing::new(Base64Url::encode_string(sas.as_bytes()));
            push(&mut out, mark, name, &encoded);
        }
        for (name, value) in &self.extras {
            push(&mut out, '&', name, value);
        }
        out
    }

    /// The driver, as far as the host names it: the second label before `.core.windows.net`.
    pub fn host_driver(&self) -> Option<Driver> {
        let (_, rest) = self.endpoint.split_once("://")?;
        let authority = rest.split_once('/').map_or(rest, |(host, _)| host);
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let at = host.len().checked_sub(AZURE.len())?;
        let (labels, azure) = host.split_at_checked(at)?;
        if !azure.eq_ignore_ascii_case(AZURE) {
            return None;
        }
        let mut labels = labels.split('.');
        match (labels.next(), labels.next(), labels.next()) {
            (Some(_), Some(service), None) => [
                ("blob", Driver::Azblob),
                ("queue", Driver::Azqueue),
                ("table", Driver::Aztable),
            ]
            .into_iter()
            .find_map(|(name, driver)| service.eq_ignore_ascii_case(name).then_some(driver)),
            _ => None,
        }
    }

    /// The driver: as the host names it, else as the SAS shows (`sr` blob, `tn` table, else queue).
    pub fn driver(&self) -> Driver {
        self.host_driver().unwrap_or_else(|| {
            if parameter(&self.handshake, "sr").is_some() {
                Driver::Azblob
            } else if parameter(&self.handshake, "tn").is_some() {
                Driver::Aztable
            } else {
                Driver::Azqueue
            }
        })
    }
}

fn push(out: &mut String, mark: char, name: &str, value: &str) {
    out.push(mark);
    percent::encode(name, out);
    out.push('=');
    percent::encode(value, out);
}

const fn fault(detail: &'static str) -> Error {
    Error::peer(Class::Encoding, detail)
}

/// Decoded names and values. Zeroized on drop.
type Parameters = Zeroizing<Vec<(String, String)>>;

struct Parts {
    endpoint: String,
    parameters: Parameters,
}

fn split(url: &str) -> Result<Parts, Error> {
    if url.len() > LONGEST {
        return Err(Error::peer(Class::Limit, "the connection URL is too long"));
    }
    if url.bytes().any(|byte| !byte.is_ascii_graphic()) || url.contains('#') {
        return Err(fault(
            "the connection URL holds a character that no URL has",
        ));
    }
    let (address, query) = url
        .split_once('?')
        .ok_or(fault("the connection URL has no parameters"))?;
    let endpoint = check_endpoint(address)?;
    let mut parameters = Zeroizing::new(Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        parameters.push((percent::decode(name)?, percent::decode(value)?));
    }
    Ok(Parts {
        endpoint,
        parameters,
    })
}

fn check_endpoint(address: &str) -> Result<String, Error> {
    const FAULT: Error = fault("the connection URL does not start with http(s)://host");
    let (scheme, rest) = address.split_once("://").ok_or(FAULT)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(FAULT);
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        // Before the host an account key would stand, which is not for dialers.
        return Err(fault("a connection URL names no user"));
    }
    if !is_host_and_port(authority) {
        return Err(FAULT);
    }
    let path = path.trim_end_matches('/');
    let mut endpoint = String::with_capacity(address.len());
    // A scheme is one whatever its case, and is written small (RFC 3986, 3.1), as Go does.
    endpoint.extend(scheme.chars().map(|letter| letter.to_ascii_lowercase()));
    endpoint.push_str("://");
    endpoint.push_str(authority);
    if !path.is_empty() {
        if !path.split('/').all(is_segment) {
            return Err(fault("the path of the connection URL is no account"));
        }
        endpoint.push('/');
        endpoint.push_str(path);
    }
    Ok(endpoint)
}

fn is_host_and_port(authority: &str) -> bool {
    // A colon inside brackets belongs to an IPv6 address.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_is_good = match host.strip_prefix('[') {
        Some(rest) => rest
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<core::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && host.bytes().all(is_plain),
    };
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    host_is_good && port.is_none_or(is_port)
}

/// A part of a path that no HTTP client rewrites.
fn is_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..") && segment.bytes().all(is_plain)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// The value of a parameter; one that is there twice is refused.
fn find<'a>(parameters: &'a Parameters, name: &str) -> Result<Option<&'a str>, Error> {
    let mut found = parameters.iter().filter(|(known, _)| known == name);
    let first = found.next();
    if found.next().is_some() {
        return Err(fault("the connection URL names a parameter twice"));
    }
    Ok(first.map(|(_, value)| value.as_str()))
}

/// Undoes the base64 of a SAS; nothing else that could stand in a query may be in it.
fn sas(value: &str) -> Result<String, Error> {
    const FAULT: Error = fault("a SAS in the connection URL is not padded URL-safe base64");
    let bytes = Base64Url::decode_vec(value).map_err(|_| FAULT)?;
    match String::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(text)
        }
        Ok(mut text) => {
            text.zeroize();
            Err(FAULT)
        }
        Err(error) => {
            error.into_bytes().zeroize();
            Err(FAULT)
        }
    }
}

/// A parameter of a SAS, percent escapes left in.
fn parameter<'a>(sas: &'a str, name: &str) -> Option<&'a str> {
    sas.split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

fn lets_read(sas: &str) -> bool {
    parameter(sas, "sp").is_some_and(|permissions| permissions.contains('r'))
}

#[cfg(test)]
mod tests;
