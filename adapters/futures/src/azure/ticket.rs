//! Azure's addresses and connection URLs.

use super::service::{Limits, dialer, listener};
use super::{Azure, Reload, wall_clock};
use crate::address::{AddressError, Options};
use crate::carrier::Carrier;
use crate::platform::Platform;
use azure_core::http::Url;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use stillwire_azure::address::is_exposed;
use stillwire_azure::{AzureStore, Credential, Names, Sas, Service, StoreAddress, environment};
use stillwire_core::Error;
use stillwire_core::aznet::wire::url::{ConnectionUrl, Driver, HANDSHAKE, TOKEN};
use stillwire_core::store::{Failure, FailureKind, Profile};

/// Opens an account as a listener does. [`None`] when the address is none of Azure's.
pub(crate) fn open(
    address: &str,
    options: &Options,
) -> Option<Result<Arc<dyn AzureStore>, AddressError>> {
    Some(
        StoreAddress::parse(address)?
            .map_err(Into::into)
            .and_then(|address| {
                let lookup = |name: &str| (options.environment)(name);
                let (endpoint, credential) = environment::locate(&address, lookup)?;
                check(&endpoint, options)?;
                if let Credential::Sas(_) = credential {
                    return Err(stillwire_azure::Error::CannotSign.into());
                }
                let limits = Limits::of(options).granting(options.expiry);
                let names = names(address.service, options)?;
                listener(address.service, &endpoint, credential, names, limits)
            }),
    )
}

/// Reads the key of an account again as [`open`] found it, and counts how often it was another one
/// by then. An address that holds its key itself has no other.
pub(crate) fn reload(
    address: &str,
    options: &Options,
    store: &Arc<dyn AzureStore>,
    changes: &Arc<AtomicU64>,
) -> Option<Reload> {
    let address = StoreAddress::parse(address)?.ok()?;
    if address.credential.is_some() {
        return None;
    }
    let (options, store) = (options.clone(), store.clone());
    let counted = changes.clone();
    let one_at_a_time = Mutex::new(());
    let again = move || {
        // Who finds the key changed already must find it counted too.
        let _guard = one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let lookup = |name: &str| (options.environment)(name);
        let changed = match (environment::locate(&address, lookup), store.credential()) {
            (
                Ok((_, Credential::SharedKey { key: new, .. })),
                Some(Credential::SharedKey { key, .. }),
            ) => key.replace(&new),
            // What cannot be read now may be read later; the refusal is told anyway.
            _ => false,
        };
        if changed {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    };
    Some(Reload {
        again: Arc::new(again),
        changes: changes.clone(),
    })
}

fn names(service: Service, options: &Options) -> Result<Names, AddressError> {
    let handshake = options.handshake.as_deref().unwrap_or(HANDSHAKE);
    let token = options.token.as_deref().unwrap_or(TOKEN);
    Ok(Names::of(service, handshake, token)?)
}

fn check(endpoint: &Url, options: &Options) -> Result<(), AddressError> {
    if is_exposed(endpoint) && !options.allow_http {
        return Err(AddressError::Exposed);
    }
    Ok(())
}

/// The carrier of a store.
pub(crate) fn carrier(
    store: &Arc<dyn AzureStore>,
    platform: &Platform,
    reload: Option<Reload>,
) -> Result<Arc<dyn Carrier>, Error> {
    let client = platform.http.clone();
    let client = client.ok_or(Error::Misuse("this store needs an HTTP client"))?;
    let carrier = Azure::new(store.clone(), client, platform.runtime.clone());
    Ok(Arc::new(
        carrier.map_err(|e| refused(&e))?.reloading(reload),
    ))
}

fn refused(error: &stillwire_azure::Error) -> Error {
    Error::Store(Failure::new(FailureKind::Refused, error.to_string()))
}

const fn service(driver: Driver) -> Service {
    match driver {
        Driver::Azblob => Service::Blob,
        Driver::Azqueue => Service::Queue,
        Driver::Aztable => Service::Table,
    }
}

/// A connection URL, and the store it opens.
#[derive(Clone)]
pub(crate) struct Ticket {
    url: ConnectionUrl,
    store: Arc<dyn AzureStore>,
}

impl Ticket {
    pub(crate) fn parse(text: &str, options: &Options) -> Result<Self, AddressError> {
        // Names that no place can have are no names of a URL's parameters either.
        let url = if options.handshake.is_some() || options.token.is_some() {
            let handshake = options.handshake.as_deref().unwrap_or(HANDSHAKE);
            let token = options.token.as_deref().unwrap_or(TOKEN);
            ConnectionUrl::parse_named(text, handshake, token)
        } else {
            ConnectionUrl::parse(text)
        };
        let url = url.map_err(|error| match error {
            Error::Peer { detail, .. } => AddressError::Ticket(detail),
            _ => AddressError::Ticket("the connection URL cannot be read"),
        })?;
        let driver = match (url.host_driver(), options.driver) {
            (Some(host), Some(wanted)) if host != wanted => {
                return Err(AddressError::Ticket(
                    "its host is of another storage service than the driver asked for",
                ));
            }
            (None, Some(wanted)) => wanted,
            _ => url.driver(),
        };
        let endpoint = Url::parse(&url.endpoint)
            .map_err(|_| AddressError::Ticket("its endpoint is no URL"))?;
        check(&endpoint, options)?;
        let service = service(driver);
        let parts = stillwire_azure::Ticket {
            endpoint: url.endpoint.clone(),
            handshake: Sas::parse(&url.handshake)?,
            token: Sas::parse(&url.token)?,
            names: Names::of(service, &*url.handshake_name, &*url.token_name)?,
        };
        let store = dialer(service, &endpoint, parts, Limits::of(options))?;
        Ok(Self { url, store })
    }

    /// A fresh ticket of a listener's store.
    pub(crate) fn mint(
        store: &Arc<dyn AzureStore>,
        limits: &Limits,
        lifetime: Duration,
    ) -> Result<Self, Error> {
        let minted = store
            .ticket(wall_clock(), lifetime)
            .map_err(|e| refused(&e))?;
        let mut url = ConnectionUrl::new(
            &minted.endpoint,
            minted.handshake.expose().to_owned(),
            minted.token.expose().to_owned(),
        );
        minted.names.handshake().clone_into(&mut url.handshake_name);
        minted.names.token().clone_into(&mut url.token_name);
        let store = dialer(store.service(), store.endpoint(), minted, limits.clone())
            .map_err(|error| Error::Store(Failure::new(FailureKind::Refused, error.to_string())))?;
        Ok(Self { url, store })
    }

    pub(crate) fn place(&self) -> String {
        place(&*self.store)
    }

    pub(crate) fn profile(&self) -> Profile {
        self.store.profile()
    }

    pub(crate) fn text(&self) -> String {
        self.url.format().to_string()
    }

    pub(crate) fn carrier(&self, platform: &Platform) -> Result<Arc<dyn Carrier>, Error> {
        carrier(&self.store, platform, None)
    }
}

/// A store's address, without a secret in it.
pub(crate) fn place(store: &dyn AzureStore) -> String {
    let endpoint = store.endpoint().as_str().trim_end_matches('/');
    format!("az{}+{endpoint}", store.service())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Store, Ticket};

    const KEY: &str = "c2VjcmV0";

    fn options(variables: &'static [(&'static str, &'static str)]) -> Options {
        Options {
            environment: Arc::new(|name| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            }),
            ..Options::default()
        }
    }

    fn store(address: &str) -> Result<Store, AddressError> {
        Store::from_address(address, &options(&[("AZURE_STORAGE_KEY", KEY)]))
    }

    fn ticket_of(address: &str) -> Ticket {
        store(address).unwrap().ticket().unwrap()
    }

    #[test]
    fn a_ticket_is_a_connection_url_and_reads_back() {
        for address in [
            "azblob+https://acc.blob.core.windows.net",
            "azblob+http://127.0.0.1:10000/devstoreaccount1",
            "azqueue+https://acc.queue.core.windows.net",
            // Nothing but its SAS says that this is a queue.
            "azqueue+http://127.0.0.1:10001/devstoreaccount1",
            "aztable+https://acc.table.core.windows.net",
            "aztable+http://127.0.0.1:10002/devstoreaccount1",
        ] {
            let ticket = ticket_of(address);
            let text = ticket.to_string();
            let (_, endpoint) = address.split_once('+').unwrap();
            assert!(
                text.starts_with(&format!("{endpoint}?handshake=")),
                "{text}"
            );
            let again: Ticket = text.parse().unwrap();
            assert_eq!(again.to_string(), text);
            assert_eq!(again.place(), address);
            assert!(again.needs_http());
        }
    }

    #[test]
    fn a_driver_can_be_asked_for_where_the_host_names_none() {
        let with = |driver, text: &str| {
            let options = Options {
                driver: Some(driver),
                ..Options::default()
            };
            Ticket::parse(text, &options).map(|ticket| ticket.place())
        };
        let bare = ticket_of("azblob+http://127.0.0.1:10000/devstoreaccount1").to_string();
        assert_eq!(
            with(Driver::Azqueue, &bare).unwrap(),
            "azqueue+http://127.0.0.1:10000/devstoreaccount1"
        );
        let named = ticket_of("azblob+https://acc.blob.core.windows.net").to_string();
        assert!(with(Driver::Azblob, &named).is_ok());
        assert!(matches!(
            with(Driver::Azqueue, &named),
            Err(AddressError::Ticket(_))
        ));
    }

    #[test]
    fn names_of_ones_own_are_found_again() {
        let options = Options {
            handshake: Some("hands-7".to_owned()),
            token: Some("tokens-7".to_owned()),
            ..options(&[("AZURE_STORAGE_KEY", KEY)])
        };
        let store = Store::from_address("azblob+https://acc.blob.core.windows.net", &options);
        let text = store.unwrap().ticket().unwrap().to_string();
        assert!(
            text.contains("?hands-7=") && text.contains("&tokens-7="),
            "{text}"
        );
        let by_permission: Ticket = text.parse().unwrap();
        assert_eq!(by_permission.to_string(), text);
        assert_eq!(Ticket::parse(&text, &options).unwrap().to_string(), text);
        let wrong = Options {
            token: Some("others".to_owned()),
            ..options
        };
        assert!(Ticket::parse(&text, &wrong).is_err());
    }

    #[test]
    fn tables_take_names_of_their_own_kind() {
        let address = "aztable+https://acc.table.core.windows.net";
        for (name, good) in [("hands7", true), ("hands-7", false)] {
            let options = Options {
                handshake: Some(name.to_owned()),
                ..options(&[("AZURE_STORAGE_KEY", KEY)])
            };
            assert_eq!(Store::from_address(address, &options).is_ok(), good);
        }
    }

    #[test]
    fn the_grant_of_a_table_takes_one_row_at_a_time_where_the_key_takes_three() {
        let store = store("aztable+https://acc.table.core.windows.net").unwrap();
        let dialer = store.ticket().unwrap().profile();
        assert_eq!(
            (dialer.bytes_per_write, dialer.writes_in_flight),
            (983_040, 16)
        );
        let listener = store.profile();
        assert_eq!(
            (listener.bytes_per_write, listener.writes_in_flight),
            (2_949_120, 5)
        );
    }

    #[test]
    fn debug_shows_no_secret() {
        let ticket = ticket_of("azblob+https://acc.blob.core.windows.net");
        let text = ticket.to_string();
        let shown = format!("{ticket:?} {}", ticket.place());
        assert!(!shown.contains('?') && !shown.contains("sig"), "{shown}");
        assert!(text.len() > shown.len());
        let shown = format!("{:?}", store("azblob+https://acc.blob.core.windows.net"));
        assert!(!shown.contains(KEY), "{shown}");
    }

    #[test]
    fn plain_http_to_another_machine_is_refused_unless_allowed() {
        let address = "azblob+http://10.0.0.1:10000/acc";
        assert_eq!(store(address).unwrap_err(), AddressError::Exposed);
        let open = Options {
            allow_http: true,
            ..options(&[("AZURE_STORAGE_KEY", KEY)])
        };
        let text = Store::from_address(address, &open)
            .unwrap()
            .ticket()
            .unwrap();
        let text = text.to_string();
        assert_eq!(text.parse::<Ticket>().unwrap_err(), AddressError::Exposed);
        assert!(Ticket::parse(&text, &open).is_ok());
    }

    #[test]
    fn what_is_not_carried_is_said() {
        assert_eq!(store("ftp:x").unwrap_err(), AddressError::Unknown);
        let only_sas = options(&[("AZURE_STORAGE_SAS_TOKEN", "sv=1&sig=SECRET")]);
        let error = Store::from_address("azblob+https://acc.blob.core.windows.net", &only_sas);
        assert_eq!(
            error.unwrap_err(),
            AddressError::Azure(stillwire_azure::Error::CannotSign)
        );
        for text in [
            "",
            "hello",
            "https://acc.blob.core.windows.net",
            "https://acc.blob.core.windows.net?handshake=x&token=y",
        ] {
            assert!(text.parse::<Ticket>().is_err(), "{text}");
        }
    }
}
