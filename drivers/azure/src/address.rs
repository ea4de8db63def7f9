//! Store addresses and endpoints.

use crate::credential::{Credential, Sas};
use crate::encode::unpercent;
use crate::{Error, Service};
use azure_core::http::Url;

/// Hosts under this suffix name the account in their first label.
const AZURE: &str = ".core.windows.net";

/// Where the user wants the bytes to go: `azblob`, `azblob+https://…`, `azqueue+http://…`.
#[derive(Clone, Debug)]
pub struct StoreAddress {
    /// The service.
    pub service: Service,
    /// The endpoint, when it is spelled out; without credentials in it.
    pub endpoint: Option<Url>,
    /// The credential, when the user put it into the address.
    pub credential: Option<Credential>,
}

impl StoreAddress {
    /// Reads an address. [`None`] when it is none of Azure's.
    pub fn parse(text: &str) -> Option<Result<Self, Error>> {
        let (driver, url) = match text.split_once('+') {
            Some((driver, url)) => (driver, Some(url)),
            None => (text, None),
        };
        let service = match driver {
            "azblob" => Service::Blob,
            "azqueue" => Service::Queue,
            "aztable" => Service::Table,
            _ => return None,
        };
        Some(Self::with_url(service, url))
    }

    fn with_url(service: Service, url: Option<&str>) -> Result<Self, Error> {
        let Some(url) = url else {
            return Ok(Self {
                service,
                endpoint: None,
                credential: None,
            });
        };
        let mut url = Url::parse(url).map_err(|_| Error::Endpoint("it is no URL"))?;
        let sas = url.query().map(Sas::parse).transpose()?;
        url.set_query(None);
        let key = match (url.username(), url.password()) {
            ("", None) => None,
            (account, Some(key)) => {
                let decode = |text| unpercent(text).ok_or(Error::Key);
                Some(Credential::shared_key(decode(account)?, &decode(key)?)?)
            }
            _ => return Err(Error::Address("an account without its key")),
        };
        let endpoint = check_endpoint(&url)?;
        if let Some(label) = azure_label(&endpoint)
            && label != service.label()
        {
            return Err(Error::Address("the host is of another storage service"));
        }
        Ok(Self {
            service,
            credential: key.or_else(|| sas.map(Credential::Sas)),
            endpoint: Some(endpoint),
        })
    }
}

/// The account an endpoint names: in its path (`http://127.0.0.1:10000/account`), or as the first
/// label of a host of Azure's. [`None`] for any other host.
pub fn account_of(endpoint: &Url) -> Option<String> {
    let segment = endpoint.path().trim_matches('/');
    if !segment.is_empty() {
        return unpercent(segment);
    }
    azure_label(endpoint)?;
    let (account, _) = endpoint.host_str()?.split_once('.')?;
    Some(account.to_owned())
}

/// True when what is sent to this endpoint can be read under way: plain `http` to a host that is
/// not this machine. Credentials should not go there.
pub fn is_exposed(endpoint: &Url) -> bool {
    endpoint.scheme() != "https" && !is_loopback(endpoint)
}

fn is_loopback(endpoint: &Url) -> bool {
    let Some(host) = endpoint.host_str() else {
        return false;
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match host.parse::<core::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// The second label of a host of Azure's: the service.
fn azure_label(endpoint: &Url) -> Option<&str> {
    let name = endpoint.host_str()?.strip_suffix(AZURE)?;
    name.split('.').nth(1)
}

/// Takes an endpoint, without credentials, query and slash at its end.
pub(crate) fn check_endpoint(url: &Url) -> Result<Url, Error> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Error::Endpoint("it is neither http nor https"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Error::Endpoint("it names no host"));
    }
    let account = url.path().trim_end_matches('/').to_owned();
    if account.matches('/').count() > 1 {
        return Err(Error::Endpoint(
            "it has more of a path than the account's name",
        ));
    }
    let mut endpoint = url.clone();
    endpoint.set_path(&account);
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    let stripped = endpoint
        .set_username("")
        .and_then(|()| endpoint.set_password(None));
    stripped.map_err(|()| Error::Endpoint("it cannot hold an account"))?;
    Ok(endpoint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> StoreAddress {
        StoreAddress::parse(text).unwrap().unwrap()
    }

    #[test]
    fn addresses_of_other_stores_are_not_ours() {
        for text in [
            "dir:/tmp",
            "memory:",
            "https://a.blob.core.windows.net",
            "",
            "azure",
        ] {
            assert!(StoreAddress::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_bare_driver_takes_all_from_the_environment() {
        for (text, service) in [
            ("azblob", Service::Blob),
            ("azqueue", Service::Queue),
            ("aztable", Service::Table),
        ] {
            let address = address(text);
            assert_eq!(address.service, service);
            assert!(address.endpoint.is_none() && address.credential.is_none());
        }
    }

    #[test]
    fn an_endpoint_may_be_spelled_out_with_its_account_in_host_or_path() {
        let host = address("azblob+https://acc.blob.core.windows.net/");
        let host = host.endpoint.unwrap();
        assert_eq!(host.as_str(), "https://acc.blob.core.windows.net/");
        assert_eq!(account_of(&host).unwrap(), "acc");

        let path = address("azqueue+http://127.0.0.1:10001/devstoreaccount1/");
        let path = path.endpoint.unwrap();
        assert_eq!(path.as_str(), "http://127.0.0.1:10001/devstoreaccount1");
        assert_eq!(account_of(&path).unwrap(), "devstoreaccount1");

        assert_eq!(
            account_of(&Url::parse("https://files.example").unwrap()),
            None
        );
    }

    #[test]
    fn a_credential_in_the_address_leaves_the_endpoint() {
        let with_key = address("azblob+http://acc:c2VjcmV0@127.0.0.1:10000/acc");
        assert_eq!(
            with_key.endpoint.unwrap().as_str(),
            "http://127.0.0.1:10000/acc"
        );
        assert!(
            matches!(with_key.credential, Some(Credential::SharedKey { account, .. }) if account == "acc")
        );
        let with_sas = address("azblob+https://acc.blob.core.windows.net?sv=1&sig=x");
        assert!(matches!(with_sas.credential, Some(Credential::Sas(_))));
        assert!(!format!("{:?}", with_sas.endpoint).contains("sig"));
    }

    #[test]
    fn addresses_that_cannot_work_are_refused() {
        for (text, error) in [
            ("azblob+", Error::Endpoint("it is no URL")),
            (
                "azblob+ftp://h/a",
                Error::Endpoint("it is neither http nor https"),
            ),
            (
                "azblob+https://acc.queue.core.windows.net",
                Error::Address("the host is of another storage service"),
            ),
            (
                "azblob+http://h/a/b",
                Error::Endpoint("it has more of a path than the account's name"),
            ),
            (
                "azblob+http://acc@h/acc",
                Error::Address("an account without its key"),
            ),
            ("azblob+http://acc:%25%25@h/acc", Error::Key),
        ] {
            assert_eq!(
                StoreAddress::parse(text).unwrap().unwrap_err(),
                error,
                "{text}"
            );
        }
    }

    #[test]
    fn plain_http_is_exposed_except_on_this_machine() {
        for (url, exposed) in [
            ("http://127.0.0.1:10000/a", false),
            ("http://[::1]:10000/a", false),
            ("http://localhost:10000/a", false),
            ("http://a.blob.localhost:10000", false),
            ("http://127.0.0.1.example/a", true),
            ("http://localhost.example/a", true),
            ("http://10.0.0.1/a", true),
            ("https://10.0.0.1/a", false),
        ] {
            assert_eq!(is_exposed(&Url::parse(url).unwrap()), exposed, "{url}");
        }
    }
}
