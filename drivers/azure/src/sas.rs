//! Service SAS: a signature that lets its holder use one container, queue or table.
//!
//! The signed texts are those of the storage services' REST reference, as `azure.md` section 4
//! found them accepted.

use crate::credential::{AccountKey, Sas};
use crate::date::iso8601;
use crate::encode::percent;
use crate::{Error, Service};
use core::fmt;
use stillwire_core::UnixTime;

/// Service version named in the SAS we mint for blobs and queues.
pub const VERSION: &str = "2021-12-02";

/// The oldest version whose signed format is the one below.
const OLDEST: &str = "2018-11-09";
/// From this version on a blob SAS signs an encryption scope.
const ENCRYPTION_SCOPE: &str = "2020-12-06";

/// Over which transports a SAS may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TLS only.
    Https,
    /// TLS or not.
    HttpsHttp,
}

impl Protocol {
    /// Reads `https` or `https,http`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text {
            "https" => Ok(Self::Https),
            "https,http" => Ok(Self::HttpsHttp),
            _ => Err(Error::Protocol),
        }
    }

    /// As it is signed.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::HttpsHttp => "https,http",
        }
    }
}

/// What a service SAS is to grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSas<'a> {
    /// The service; for blobs, the SAS is for a whole container.
    pub service: Service,
    /// Name of the container, queue or table.
    pub resource: &'a str,
    /// Permission letters, in any order.
    pub permissions: &'a str,
    /// From when on; rounded down to whole seconds.
    pub start: Option<UnixTime>,
    /// Until when; rounded down to whole seconds.
    pub expiry: UnixTime,
    /// Over which transports.
    pub protocol: Protocol,
    /// Service version, `YYYY-MM-DD`, 2018-11-09 or later.
    pub version: &'a str,
}

impl ServiceSas<'_> {
    /// Mints the SAS with the account's key.
    ///
    /// # Errors
    /// [`Error::Permission`], [`Error::NoPermission`], [`Error::Version`].
    pub fn sign(&self, account: &str, key: &AccountKey) -> Result<SignedSas, Error> {
        if !is_version(self.version) || self.version < OLDEST {
            return Err(Error::Version);
        }
        let permissions = canonical_permissions(self.service, self.permissions)?;
        let start = self.start.map(iso8601);
        let expiry = iso8601(self.expiry);
        let table = self.resource.to_lowercase();
        let resource = match self.service {
            Service::Table => table.as_str(),
            Service::Blob | Service::Queue => self.resource,
        };
        let canonical = format!("/{}/{account}/{resource}", self.service.label());

        let mut fields = vec![
            permissions.as_str(),
            start.as_deref().unwrap_or(""),
            expiry.as_str(),
            canonical.as_str(),
            "", // stored policy
            "", // IP range
            self.protocol.as_str(),
            self.version,
        ];
        match self.service {
            Service::Queue => {}
            // Start and end of the partition and row key ranges.
            Service::Table => fields.extend([""; 4]),
            Service::Blob => {
                fields.push("c");
                fields.push(""); // snapshot time
                if self.version >= ENCRYPTION_SCOPE {
                    fields.push("");
                }
                fields.extend([""; 5]); // response header overrides
            }
        }
        let signature = key.sign(&fields.join("\n"));

        let mut params = vec![("sv", self.version.to_owned())];
        if let Some(start) = start {
            params.push(("st", start));
        }
        params.push(("se", expiry));
        match self.service {
            Service::Blob => params.push(("sr", "c".to_owned())),
            Service::Table => params.push(("tn", table)),
            Service::Queue => {}
        }
        params.push(("sp", permissions));
        params.push(("spr", self.protocol.as_str().to_owned()));
        params.push(("sig", signature));
        Ok(SignedSas { params })
    }
}

/// A minted SAS.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedSas {
    params: Vec<(&'static str, String)>,
}

impl SignedSas {
    /// The parameters, decoded, `sig` among them: a secret.
    pub fn params(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.params
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// The text of the query, without a question mark: a secret.
    pub fn query(&self) -> String {
        let pairs: Vec<String> = self
            .params
            .iter()
            .map(|(name, value)| format!("{name}={}", percent(value)))
            .collect();
        pairs.join("&")
    }

    /// The same in the form that requests carry.
    pub fn to_sas(&self) -> Result<Sas, Error> {
        Sas::parse(&self.query())
    }
}

impl fmt::Debug for SignedSas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in &self.params {
            map.entry(name, if *name == "sig" { &"REDACTED" } else { value });
        }
        map.finish()
    }
}

/// Puts permission letters into the order in which the service signs them, each once.
fn canonical_permissions(service: Service, letters: &str) -> Result<String, Error> {
    let order = match service {
        Service::Blob => "racwdxyltfmeopi",
        Service::Queue => "raup",
        Service::Table => "raud",
    };
    if let Some(stranger) = letters.chars().find(|c| !order.contains(*c)) {
        return Err(Error::Permission(stranger));
    }
    if letters.is_empty() {
        return Err(Error::NoPermission);
    }
    Ok(order.chars().filter(|c| letters.contains(*c)).collect())
}

fn is_version(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| match i {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cases confirmed by Azure's SDK for Go; the conformance vectors hold more.
    #[test]
    fn signatures_are_those_of_the_sdk() {
        let sign = |sas: ServiceSas<'_>, key| {
            let key = AccountKey::parse(key).unwrap();
            sas.sign("devstoreaccount1", &key).unwrap().query()
        };
        let container = ServiceSas {
            service: Service::Blob,
            resource: "handshake",
            permissions: "wca",
            start: Some(UnixTime::from_secs(1_798_765_229)),
            expiry: UnixTime::from_secs(1_798_851_929),
            protocol: Protocol::HttpsHttp,
            version: "2021-12-02",
        };
        let key = "IENuSE8bco/qLmYeJPsvJ1ZuCKF1eET3TpdZ7oLEukET3AyOY56cLJgVOJCDWTVCghY41tYy69emoi3WlSSeRw==";
        assert_eq!(
            sign(container, key),
            "sv=2021-12-02&st=2027-01-01T01%3A00%3A29Z&se=2027-01-02T01%3A05%3A29Z&sr=c&sp=acw\
             &spr=https%2Chttp&sig=7YLW%2BgOLR2mK7Vk9cRMDtX5CAXm7AWyx2ptwifo7oZM%3D"
        );
        let queue = ServiceSas {
            service: Service::Queue,
            resource: "res-d1bff089-281f-46af-b5db-8b73933d5078",
            permissions: "pr",
            start: None,
            expiry: UnixTime::from_secs(1_862_006_701),
            protocol: Protocol::HttpsHttp,
            version: "2021-12-02",
        };
        let key = "rIUYod+w4DBY/Id2ZuRTcmsrLWMCMr0LkWW37t66MC+4jcKpb6vmHcdpndVZ1xq3Se6qBv/0ucMOMthn6pl9NA==";
        assert!(sign(queue, key).ends_with("&sig=woCKqzPAVtmZr3wY5FpyG29QpWmcG7WLcRVYhtrTdEA%3D"));
        let table = ServiceSas {
            service: Service::Table,
            resource: "ReqTableABC",
            permissions: "raud",
            start: Some(UnixTime::from_secs(1_772_323_238)),
            expiry: UnixTime::from_secs(1_772_409_938),
            protocol: Protocol::HttpsHttp,
            version: "2019-02-02",
        };
        let key = "9ujlUmEwzqek6TuFQuCpMfcZjxR2/B3y3Agf9ZNMU9FBUNmwszPoG3i5Gd2P1/1O";
        assert!(sign(table, key).ends_with("&tn=reqtableabc&sp=raud&spr=https%2Chttp&sig=i3COpoZvUJRmkVQo0YUWJEud6qR%2BokaAMpFxrc46Cto%3D"));
    }

    #[test]
    fn what_the_service_would_not_take_is_not_signed() {
        let key = AccountKey::parse("c2VjcmV0").unwrap();
        let sas = |permissions, version| {
            let sas = ServiceSas {
                service: Service::Queue,
                resource: "q",
                permissions,
                start: None,
                expiry: UnixTime::from_secs(1),
                protocol: Protocol::Https,
                version,
            };
            sas.sign("acc", &key).map(|_| ())
        };
        assert_eq!(sas("raup", VERSION), Ok(()));
        assert_eq!(sas("w", VERSION), Err(Error::Permission('w')));
        assert_eq!(sas("rR", VERSION), Err(Error::Permission('R')));
        assert_eq!(sas("", VERSION), Err(Error::NoPermission));
        for version in ["2015-04-05", "", "latest", "2021-12-2x", "2021-12-02x"] {
            assert_eq!(sas("r", version), Err(Error::Version), "{version}");
        }
        assert_eq!(Protocol::parse("http"), Err(Error::Protocol));
    }
}
