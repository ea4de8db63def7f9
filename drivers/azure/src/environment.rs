//! The account from connection strings and environment variables, which are looked up through a
//! closure: nothing here reads the real environment.

use crate::address::{StoreAddress, account_of, check_endpoint};
use crate::credential::{Credential, Sas};
use crate::{Error, Service};
use azure_core::http::Url;
use zeroize::Zeroizing;

const CONNECTION_STRING: &str = "AZURE_STORAGE_CONNECTION_STRING";
const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
const SAS_TOKEN: &str = "AZURE_STORAGE_SAS_TOKEN";
const KEY: [&str; 3] = [
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
];

/// The emulator's account and its well-known key.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A storage account: where its services are, and what opens them.
#[derive(Clone, Debug)]
pub struct Account {
    endpoints: [Option<Url>; 3],
    credential: Credential,
}

impl Account {
    /// Reads a connection string as the portal shows it.
    pub fn from_connection_string(text: &str) -> Result<Self, Error> {
        let fields = Fields::parse(text)?;
        if let Some(value) = fields.value("UseDevelopmentStorage") {
            if !value.eq_ignore_ascii_case("true") {
                return Err(Error::ConnectionString(
                    "UseDevelopmentStorage is true or absent",
                ));
            }
            return Self::emulator(fields.value("DevelopmentStorageProxyUri"));
        }
        let mut endpoints = [None, None, None];
        for (endpoint, (service, name)) in endpoints.iter_mut().zip(SERVICES) {
            *endpoint = match (fields.value(name), fields.value("AccountName")) {
                (Some(url), _) => Some(parse_endpoint(url)?),
                (None, Some(account)) => {
                    let scheme = fields.value("DefaultEndpointsProtocol").unwrap_or("https");
                    let suffix = fields.value("EndpointSuffix").unwrap_or("core.windows.net");
                    Some(default_endpoint(scheme, account, service, suffix)?)
                }
                (None, None) => None,
            };
        }
        // With both, the key: it can do all that the SAS can, and mint more.
        let credential = match (
            fields.value("AccountKey"),
            fields.value("SharedAccessSignature"),
        ) {
            (Some(key), _) => {
                let named = fields.value("AccountName").map(str::to_owned);
                let account = named
                    .or_else(|| endpoints.iter().flatten().find_map(account_of))
                    .ok_or(Error::ConnectionString("AccountName is missing"))?;
                Credential::shared_key(account, key)?
            }
            (None, Some(sas)) => Credential::Sas(Sas::parse(sas)?),
            (None, None) => {
                return Err(Error::ConnectionString(
                    "neither AccountKey nor SharedAccessSignature is in it",
                ));
            }
        };
        if endpoints.iter().all(Option::is_none) {
            return Err(Error::ConnectionString("it names no account"));
        }
        Ok(Self {
            endpoints,
            credential,
        })
    }

    /// The emulator on its usual ports, on this machine or another.
    fn emulator(proxy: Option<&str>) -> Result<Self, Error> {
        let base = proxy.unwrap_or("http://127.0.0.1").trim_end_matches('/');
        let endpoint = |port: u16| parse_endpoint(&format!("{base}:{port}/{EMULATOR_ACCOUNT}"));
        Ok(Self {
            endpoints: [
                Some(endpoint(10_000)?),
                Some(endpoint(10_001)?),
                Some(endpoint(10_002)?),
            ],
            credential: Credential::shared_key(EMULATOR_ACCOUNT, EMULATOR_KEY)?,
        })
    }

    /// Where a service of the account is.
    pub fn endpoint(&self, service: Service) -> Option<&Url> {
        let [blob, queue, table] = &self.endpoints;
        match service {
            Service::Blob => blob.as_ref(),
            Service::Queue => queue.as_ref(),
            Service::Table => table.as_ref(),
        }
    }

    /// What opens it.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }
}

const SERVICES: [(Service, &str); 3] = [
    (Service::Blob, "BlobEndpoint"),
    (Service::Queue, "QueueEndpoint"),
    (Service::Table, "TableEndpoint"),
];

/// Finds the endpoint and the credential for an address.
///
/// What the address itself holds wins. Else, first match: `AZURE_STORAGE_CONNECTION_STRING`; then
/// `AZURE_STORAGE_ACCOUNT` (or `_ACCOUNT_NAME`) with `AZURE_STORAGE_SAS_TOKEN`, or with
/// `AZURE_STORAGE_KEY`, `AZURE_STORAGE_ACCOUNT_KEY` or `AZURE_STORAGE_ACCESS_KEY`. Empty variables
/// count as absent.
pub fn locate(
    address: &StoreAddress,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<(Url, Credential), Error> {
    if let (Some(endpoint), Some(credential)) = (&address.endpoint, &address.credential) {
        return Ok((endpoint.clone(), credential.clone()));
    }
    let lookup = |name: &str| {
        let value = Zeroizing::new(lookup(name)?);
        (!value.trim().is_empty()).then_some(value)
    };
    if let Some(text) = lookup(CONNECTION_STRING) {
        let account = Account::from_connection_string(&text)?;
        let endpoint = match &address.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => account
                .endpoint(address.service)
                .ok_or(Error::NoEndpoint(address.service))?
                .clone(),
        };
        return same_account(endpoint, account.credential);
    }
    let named = ACCOUNT.iter().find_map(|name| lookup(name));
    let (endpoint, account) = match (&address.endpoint, named) {
        (Some(endpoint), named) => {
            let account = named.map(|name| name.trim().to_owned());
            (endpoint.clone(), account.or_else(|| account_of(endpoint)))
        }
        (None, Some(name)) => {
            let name = name.trim();
            let endpoint = default_endpoint("https", name, address.service, "core.windows.net")?;
            (endpoint, Some(name.to_owned()))
        }
        (None, None) => return Err(Error::NoAccount),
    };
    if let Some(sas) = lookup(SAS_TOKEN) {
        return Ok((endpoint, Credential::Sas(Sas::parse(&sas)?)));
    }
    let key = KEY.iter().find_map(|name| lookup(name));
    let key = key.ok_or(Error::NoCredential)?;
    let account = account.ok_or(Error::NoAccount)?;
    same_account(endpoint, Credential::shared_key(account, &key)?)
}

/// Keeps one account's key from being tried on another's endpoint.
fn same_account(endpoint: Url, credential: Credential) -> Result<(Url, Credential), Error> {
    if let (Credential::SharedKey { account, .. }, Some(address)) =
        (&credential, account_of(&endpoint))
        && *account != address
    {
        return Err(Error::OtherAccount {
            credential: account.clone(),
            address,
        });
    }
    Ok((endpoint, credential))
}

fn parse_endpoint(text: &str) -> Result<Url, Error> {
    check_endpoint(&Url::parse(text).map_err(|_| Error::Endpoint("it is no URL"))?)
}

fn default_endpoint(
    scheme: &str,
    account: &str,
    service: Service,
    suffix: &str,
) -> Result<Url, Error> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if account.is_empty() || account.len() > 63 || !account.bytes().all(plain) {
        return Err(Error::Endpoint(
            "the account's name cannot be part of a host",
        ));
    }
    if suffix.contains(['/', '?', '#', '@', ':']) {
        return Err(Error::Endpoint("the endpoint suffix is no host"));
    }
    let suffix = suffix.trim_matches('.');
    parse_endpoint(&format!("{scheme}://{account}.{service}.{suffix}"))
}

/// The `name=value;…` of a connection string.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        let mut fields = Vec::new();
        for field in text.split(';').map(str::trim).filter(|f| !f.is_empty()) {
            let (name, value) = field.split_once('=').ok_or(Error::ConnectionString(
                "it is made of name=value, parted by semicolons",
            ))?;
            fields.push((name.trim(), value.trim()));
        }
        Ok(Self(fields))
    }

    /// Names are without case; an empty value counts as absent.
    fn value(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(n, value)| n.eq_ignore_ascii_case(name) && !value.is_empty());
        found.map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(address: &str, variables: &[(&str, &str)]) -> Result<(Url, Credential), Error> {
        let address = StoreAddress::parse(address).unwrap().unwrap();
        locate(&address, |name| {
            let mut variables = variables.iter();
            variables
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        })
    }

    fn show(address: &str, variables: &[(&str, &str)]) -> String {
        let (url, credential) = found(address, variables).unwrap();
        format!("{url} {credential:?}")
    }

    const KEY: &str = "c2VjcmV0";
    const EMULATOR: (&str, &str) = (CONNECTION_STRING, "UseDevelopmentStorage=true");

    #[test]
    fn development_storage_is_the_emulator_on_its_three_ports() {
        for (driver, port) in [("azblob", 10_000), ("azqueue", 10_001), ("aztable", 10_002)] {
            assert_eq!(
                show(driver, &[EMULATOR]),
                format!("http://127.0.0.1:{port}/devstoreaccount1 SharedKey(devstoreaccount1)")
            );
        }
        let proxy = "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://emulator/";
        assert_eq!(
            show("azblob", &[(CONNECTION_STRING, proxy)]),
            "http://emulator:10000/devstoreaccount1 SharedKey(devstoreaccount1)"
        );
    }

    #[test]
    fn connection_strings_that_would_lead_elsewhere_are_refused() {
        for text in [
            "UseDevelopmentStorage=false",
            "UseDevelopmentStorage=1",
            "AccountKey=c2VjcmV0",
            "AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=evil.example/x",
            "AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=evil.example?",
            "AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=x@evil.example",
            "AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=evil.example#",
            "AccountName=acc;AccountKey=c2VjcmV0;EndpointSuffix=evil.example:8080",
            "AccountName=evil.example/;AccountKey=c2VjcmV0",
            "AccountName=;AccountKey=c2VjcmV0",
        ] {
            assert!(
                found("azblob", &[(CONNECTION_STRING, text)]).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_connection_string_honours_endpoints_suffix_and_signature() {
        for (text, shown) in [
            (
                "DefaultEndpointsProtocol=http;AccountName=acc;AccountKey=c2VjcmV0;SharedAccessSignature=sig=x",
                "http://acc.blob.core.windows.net/ SharedKey(acc)",
            ),
            (
                "accountname=acc;accountkey=c2VjcmV0;endpointsuffix=core.chinacloudapi.cn;",
                "https://acc.blob.core.chinacloudapi.cn/ SharedKey(acc)",
            ),
            (
                "AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:10000/acc/",
                "http://127.0.0.1:10000/acc SharedKey(acc)",
            ),
            (
                "BlobEndpoint=https://acc.blob.core.windows.net;SharedAccessSignature=sv=1&sig=x%3D",
                "https://acc.blob.core.windows.net/ Sas(sv=1&sig=REDACTED)",
            ),
        ] {
            assert_eq!(show("azblob", &[(CONNECTION_STRING, text)]), shown);
        }
    }

    #[test]
    fn the_first_match_of_the_environment_wins() {
        let account = ("AZURE_STORAGE_ACCOUNT", "acc");
        let all = [
            EMULATOR,
            account,
            (SAS_TOKEN, "?sv=1&sig=x"),
            ("AZURE_STORAGE_KEY", KEY),
        ];
        assert!(show("azblob", &all).ends_with("SharedKey(devstoreaccount1)"));
        assert!(show("azblob", &all[1..]).ends_with("Sas(sv=1&sig=REDACTED)"));
        assert!(show("azblob", &[account, (SAS_TOKEN, " "), all[3]]).ends_with("SharedKey(acc)"));
        for name in super::KEY {
            assert_eq!(
                show(
                    "azqueue",
                    &[("AZURE_STORAGE_ACCOUNT_NAME", "acc"), (name, KEY)]
                ),
                "https://acc.queue.core.windows.net/ SharedKey(acc)"
            );
        }
    }

    #[test]
    fn an_endpoint_spelled_out_takes_only_the_credential_from_the_environment() {
        assert_eq!(
            show(
                "azblob+http://127.0.0.1:10000/acc",
                &[("AZURE_STORAGE_KEY", KEY)]
            ),
            "http://127.0.0.1:10000/acc SharedKey(acc)"
        );
        assert_eq!(
            show("azblob+http://127.0.0.1:7/devstoreaccount1", &[EMULATOR]),
            "http://127.0.0.1:7/devstoreaccount1 SharedKey(devstoreaccount1)"
        );
        assert_eq!(
            show(
                "azblob+https://files.example",
                &[("AZURE_STORAGE_ACCOUNT", "acc"), ("AZURE_STORAGE_KEY", KEY)]
            ),
            "https://files.example/ SharedKey(acc)"
        );
    }

    #[test]
    fn what_is_missing_or_wrong_is_said() {
        let account = ("AZURE_STORAGE_ACCOUNT", "acc");
        for (variables, error) in [
            (vec![], Error::NoAccount),
            (vec![("AZURE_STORAGE_KEY", KEY)], Error::NoAccount),
            (vec![account], Error::NoCredential),
            (vec![account, ("AZURE_STORAGE_KEY", "%%%")], Error::Key),
            (
                vec![(CONNECTION_STRING, "nonsense")],
                Error::ConnectionString("it is made of name=value, parted by semicolons"),
            ),
            (
                vec![(CONNECTION_STRING, "AccountName=acc")],
                Error::ConnectionString("neither AccountKey nor SharedAccessSignature is in it"),
            ),
            (
                vec![(
                    CONNECTION_STRING,
                    "QueueEndpoint=http://h/acc;AccountKey=c2VjcmV0",
                )],
                Error::NoEndpoint(Service::Blob),
            ),
            (
                vec![(CONNECTION_STRING, "AccountName=a.b;AccountKey=c2VjcmV0")],
                Error::Endpoint("the account's name cannot be part of a host"),
            ),
        ] {
            assert_eq!(found("azblob", &variables).unwrap_err(), error);
        }
        assert_eq!(
            found(
                "azblob+https://other.blob.core.windows.net",
                &[account, ("AZURE_STORAGE_KEY", KEY)]
            )
            .unwrap_err(),
            Error::OtherAccount {
                credential: "acc".into(),
                address: "other".into()
            }
        );
    }
}
