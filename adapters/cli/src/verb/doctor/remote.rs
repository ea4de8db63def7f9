//! What lies between us and a storage service: settings, proxy, names, TLS, clocks, signatures.

use super::{Report, latency};
use crate::exit::{Code, Fault, check_way};
use crate::run::{Run, printable};
use crate::units;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use stillwire_azure::http::headers::{HeaderName, Headers};
use stillwire_azure::http::{Method, Request, Url};
use stillwire_azure::{Credential, Sas, StoreAddress, environment, redact};
use stillwire_core::aznet::wire::url::ConnectionUrl;
use stillwire_tokio::http_client;
use tokio::time::timeout;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// A clock that is off by more than this is told.
const SKEW: Duration = Duration::from_secs(60);
/// A clock that is off by more than this is refused by the service.
const REFUSED: Duration = Duration::from_secs(900);
/// A SAS that ends sooner is told.
const SOON: Duration = Duration::from_secs(3_600);

/// An endpoint and what is known of it beforehand.
pub(super) struct Remote {
    endpoint: Url,
    pub(super) settings: String,
}

impl Remote {
    /// The endpoint of a store; [`None`] when it is none of Azure's.
    pub(super) fn of_store(run: &Run, address: &str) -> Option<Result<Self, Fault>> {
        let options = run.options();
        let parsed = StoreAddress::parse(address)?;
        let located = parsed.and_then(|address| {
            environment::locate(&address, |name: &str| (options.environment)(name))
        });
        Some(match located {
            Ok((endpoint, credential)) => {
                let how = match credential {
                    Credential::SharedKey { account, .. } => format!("the key of {account:?}"),
                    Credential::Sas(_) => "a SAS".to_owned(),
                };
                let shown = printable(endpoint.as_str());
                Ok(Self {
                    settings: format!("{shown} with {how}"),
                    endpoint,
                })
            }
            Err(error) => Err(Fault::address(&error.into())),
        })
    }

    /// Everything that needs no credential. False when it is no use to go on.
    pub(super) async fn examine(&self, report: &mut Report<'_>) -> bool {
        let proxied = proxy(&self.endpoint, report);
        if proxied {
            report.ok("dns", "left to the proxy");
        } else if !self.resolve(report).await {
            return false;
        }
        let Some(headers) = self.knock(report).await else {
            return false;
        };
        service(&headers, report);
        clock(&headers, report);
        true
    }

    async fn resolve(&self, report: &mut Report<'_>) -> bool {
        let host = self.endpoint.host_str().unwrap_or_default();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let port = self.endpoint.port_or_known_default().unwrap_or(443);
        let found = match timeout(PATIENCE, tokio::net::lookup_host((bare, port))).await {
            Ok(Ok(mut all)) => match all.next() {
                Some(first) => Ok(format!("{host} is {}", first.ip())),
                None => Err(format!("{host} has no address")),
            },
            Ok(Err(error)) => Err(format!("{host} is not found: {error}")),
            Err(_) => Err(format!("nobody tells the address of {host} in time")),
        };
        report.check(
            "dns",
            found.map_err(|what| {
                Fault::new(Code::Network, what)
                    .with_hint("check the account's name, the network and the resolver")
            }),
        )
    }

    /// A request without any credential: whatever the answer, it has headers.
    async fn knock(&self, report: &mut Report<'_>) -> Option<Headers> {
        let secure = self.endpoint.scheme() == "https";
        let check = if secure { "tls" } else { "http" };
        let client = match http_client() {
            Ok(client) => client,
            Err(error) => {
                let what = format!("TLS cannot be set up: {}", redact(&error.to_string()));
                let fault = Fault::new(Code::Network, what).with_hint("check SSL_CERT_FILE");
                report.fail(check, fault);
                return None;
            }
        };
        let mut url = self.endpoint.clone();
        url.set_query(Some("comp=list"));
        let request = Request::new(url, Method::Get);
        let answer = timeout(PATIENCE, client.execute_request(&request)).await;
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                report.fail(check, unreachable(&error, secure));
                return None;
            }
            Err(_) => {
                let what = format!("no answer within {} s", PATIENCE.as_secs());
                let fault = Fault::new(Code::Network, what).with_hint(check_way(!secure));
                report.fail(check, fault);
                return None;
            }
        };
        let (status, headers, _) = answer.deconstruct();
        if secure {
            report.ok(check, "the service's certificate is trusted");
        } else if stillwire_azure::address::is_exposed(&self.endpoint) {
            report.warn(
                check,
                "plain http to another machine: use https, others on the way see the SAS",
            );
        } else {
            report.ok(check, "plain http, to this machine only");
        }
        tracing::debug!(%status, "the service answers");
        Some(headers)
    }
}

/// A client's error with all its sources, in one line.
fn unreachable(error: &dyn std::error::Error, secure: bool) -> Fault {
    let mut lines: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = redact(&error.to_string());
        if !lines.iter().any(|known| known.contains(&line)) {
            lines.push(line);
        }
        next = error.source();
    }
    let what = lines.join(": ");
    let lower = what.to_lowercase();
    let hint = if lower.contains("certificate") || lower.contains("tls") {
        "check the host name and SSL_CERT_FILE"
    } else {
        check_way(!secure)
    };
    Fault::new(Code::Network, what).with_hint(hint)
}

/// Says which proxy is in the way; true when one is.
fn proxy(endpoint: &Url, report: &mut Report<'_>) -> bool {
    let variable = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_lowercase()));
        value.ok().filter(|value| !value.trim().is_empty())
    };
    let host = endpoint.host_str().unwrap_or_default();
    let first = match endpoint.scheme() {
        "https" => "HTTPS_PROXY",
        _ => "HTTP_PROXY",
    };
    let found = [first, "ALL_PROXY"]
        .into_iter()
        .find_map(|name| variable(name).map(|value| (name, value)));
    let Some((name, value)) = found else {
        report.ok("proxy", "none");
        return false;
    };
    if variable("NO_PROXY").is_some_and(|list| is_excepted(host, &list)) {
        report.ok("proxy", &format!("none: {host} is in NO_PROXY"));
        return false;
    }
    report.ok("proxy", &format!("{} ({name})", printable(&value)));
    true
}

/// As the HTTP client reads `NO_PROXY`, as far as host names go.
fn is_excepted(host: &str, list: &str) -> bool {
    list.split(',').map(str::trim).any(|entry| {
        let entry = entry.trim_start_matches('.');
        entry == "*"
            || (!entry.is_empty()
                && (host.eq_ignore_ascii_case(entry)
                    || host
                        .to_ascii_lowercase()
                        .ends_with(&format!(".{}", entry.to_ascii_lowercase()))))
    })
}

fn header<'a>(headers: &'a Headers, name: &'static str) -> Option<&'a str> {
    headers.get_optional_str(&HeaderName::from_static(name))
}

fn service(headers: &Headers, report: &mut Report<'_>) {
    let Some(server) = header(headers, "server") else {
        report.warn(
            "service",
            "the answer does not say who sent it: is it Azure Storage, and the right endpoint?",
        );
        return;
    };
    let server = crate::exit::one_line(server);
    let known = server.starts_with("Windows-Azure-") || server.starts_with("Azurite-");
    let version = header(headers, "x-ms-version");
    match (known, version) {
        (true, Some(version)) => {
            report.ok("service", &format!("{server}, version {version}"));
        }
        (true, None) => report.ok("service", &server),
        (false, _) => report.warn(
            "service",
            &format!("{server:?} answers: is it Azure Storage, and the right endpoint?"),
        ),
    }
}

fn clock(headers: &Headers, report: &mut Report<'_>) {
    let Some(theirs) = header(headers, "date").and_then(stillwire_azure::parse_date) else {
        report.warn(
            "clock",
            "the service tells no time; signatures need a right clock",
        );
        return;
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ours = since.map_or(0, |since| since.as_secs());
    let off = Duration::from_secs(ours.abs_diff(theirs.as_secs()));
    let way = if ours > theirs.as_secs() {
        "ahead of"
    } else {
        "behind"
    };
    let what = format!("this machine is {} {way} the service", units::long(off));
    if off > REFUSED {
        report.fail(
            "clock",
            Fault::new(Code::Auth, what).with_hint("set the clock: the service refuses us"),
        );
    } else if off > SKEW {
        report.warn("clock", &format!("{what}; set the clock"));
    } else {
        report.ok("clock", &what);
    }
}

/// Looks at a ticket and at where it leads.
pub(super) async fn ticket(text: &str, report: &mut Report<'_>) {
    let run = report.run;
    let (dialer, place) = match run.dialer(text, None) {
        Ok(found) => found,
        Err(fault) => return report.fail("ticket", fault),
    };
    report.ok("ticket", &format!("leads to {place}"));
    if let Ok(url) = ConnectionUrl::parse(text) {
        let both = [
            (&*url.handshake_name, &url.handshake, "ca"),
            (&*url.token_name, &url.token, "r"),
        ];
        for (name, text, wanted) in both {
            signature(name, text, wanted, report);
        }
        let Ok(endpoint) = Url::parse(&url.endpoint) else {
            return report.fail("ticket", Fault::new(Code::Usage, "its endpoint is no URL"));
        };
        let remote = Remote {
            settings: String::new(),
            endpoint,
        };
        if !remote.examine(report).await {
            return;
        }
    }
    let ask = || async { dialer.probe().await.map_err(Fault::from) };
    if latency(report, ask).await {
        report.ok("throughput", "not measured: that takes the listener's side");
    }
}

/// One of a ticket's two SAS: `wanted` are permissions of which one must be there.
fn signature(name: &str, text: &str, wanted: &str, report: &mut Report<'_>) {
    let check = "sas";
    let Ok(sas) = Sas::parse(text) else {
        let fault = Fault::new(Code::Usage, format!("the one for {name:?} is none"));
        return report.fail(check, fault.with_hint("get a new ticket"));
    };
    let granted = sas.permissions().unwrap_or_default();
    if !granted.contains(|letter| wanted.contains(letter)) {
        let what = format!("the one for {name:?} grants {granted:?}, which is too little");
        let fault = Fault::new(Code::Auth, what).with_hint("get a new ticket");
        return report.fail(check, fault);
    }
    if granted.contains('d') || (wanted == "r" && granted.contains('w')) {
        report.warn(
            check,
            &format!("the one for {name:?} grants {granted:?}: more than it takes"),
        );
    }
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = since.map_or(0, |since| since.as_secs());
    if let Some(start) = sas.start()
        && start.as_secs() > now
    {
        let wait = Duration::from_secs(start.as_secs() - now);
        let what = format!("the one for {name:?} holds only in {}", units::long(wait));
        let fault = Fault::new(Code::Auth, what).with_hint("one of the two clocks is wrong");
        return report.fail(check, fault);
    }
    let Some(expiry) = sas.expiry() else {
        report.warn(
            check,
            &format!("the one for {name:?} does not say when it ends"),
        );
        return;
    };
    let left = Duration::from_secs(expiry.as_secs().saturating_sub(now));
    if left.is_zero() {
        let what = format!("the one for {name:?} has expired");
        report.fail(
            check,
            Fault::new(Code::Auth, what).with_hint("get a new ticket"),
        );
    } else if left < SOON {
        let left = units::long(left);
        report.warn(
            check,
            &format!("the one for {name:?} holds for {left} only"),
        );
    } else {
        let left = units::long(left);
        report.ok(check, &format!("{name:?} grants {granted:?}, for {left}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_in_no_proxy_are_found() {
        for (list, excepted) in [
            ("localhost,example.com", true),
            (".example.com", true),
            ("EXAMPLE.com", true),
            ("*", true),
            ("ample.com", false),
            ("", false),
            ("other.com, ,x", false),
        ] {
            assert_eq!(is_excepted("acc.example.com", list), excepted, "{list}");
        }
    }
}
