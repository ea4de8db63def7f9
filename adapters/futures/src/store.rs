//! Stores: where the bytes go, as the listener's side opens them.

use crate::address::{AddressError, Options};
use crate::carrier::Carrier;
use crate::driver::Driver;
use crate::listener::Listener;
use crate::local::Local;
use crate::platform::Platform;
use crate::ticket::{self, Ticket};
use futures_util::StreamExt;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use stillwire_core::Error;
use stillwire_core::aznet::{Config, ListenerSecurity, Prepare, PrepareEvent};
use stillwire_core::store::Profile;
use stillwire_pump::Pump;

#[cfg(feature = "azure")]
use crate::azure;
#[cfg(feature = "azure")]
use stillwire_azure::AzureStore;

/// Where the bytes go, as the listener's side opens it: with the account's key, if it has one.
#[derive(Clone)]
pub struct Store {
    kind: Kind,
    expiry: Duration,
    /// How often the account's key was found to be another one.
    key_changes: Arc<AtomicU64>,
    #[cfg(feature = "azure")]
    reload: Option<azure::Reload>,
}

#[derive(Clone)]
enum Kind {
    Local(Local),
    #[cfg(feature = "azure")]
    Azure(Arc<dyn AzureStore>, azure::Limits),
}

impl Store {
    /// Opens `dir:PATH`, `memory:`, or `azblob`, `azqueue` and `aztable`, which take an endpoint as
    /// in `azblob+https://…`. Nothing is sent yet.
    ///
    /// Each `memory:` is a store of its own; its tickets work only as values, within this
    /// process. A directory that is missing is made when a listener starts.
    ///
    /// # Errors
    /// An address that means nothing, or an environment that holds no credential for it.
    pub fn from_address(address: &str, options: &Options) -> Result<Self, AddressError> {
        let expiry = options.expiry;
        let key_changes = Arc::new(AtomicU64::new(0));
        if let Some(local) = Local::from_address(address, options) {
            return Ok(Self {
                kind: Kind::Local(local?),
                expiry,
                key_changes,
                #[cfg(feature = "azure")]
                reload: None,
            });
        }
        #[cfg(feature = "azure")]
        if let Some(store) = azure::open(address, options) {
            let store = store?;
            let reload = azure::reload(address, options, &store, &key_changes);
            let kind = Kind::Azure(store, azure::Limits::of(options));
            return Ok(Self {
                kind,
                expiry,
                key_changes,
                reload,
            });
        }
        #[cfg(not(feature = "azure"))]
        for name in ["azblob", "azqueue", "aztable"] {
            if address.split('+').next() == Some(name) {
                return Err(AddressError::Unsupported(name));
            }
        }
        Err(AddressError::Unknown)
    }

    /// The numbers its carrier plans with.
    pub fn profile(&self) -> Profile {
        match &self.kind {
            Kind::Local(local) => local.profile(),
            #[cfg(feature = "azure")]
            Kind::Azure(store, _) => store.profile(),
        }
    }

    /// True when listening takes an HTTP client.
    pub fn needs_http(&self) -> bool {
        match &self.kind {
            Kind::Local(_) => false,
            #[cfg(feature = "azure")]
            Kind::Azure(..) => true,
        }
    }

    /// A fresh ticket; it holds for the options' `expiry` from now. Works without a listener, once
    /// the place was prepared.
    ///
    /// # Errors
    /// When the store's credential cannot sign one.
    pub fn ticket(&self) -> Result<Ticket, Error> {
        match &self.kind {
            Kind::Local(local) => Ok(Ticket(ticket::Kind::Local(local.clone()))),
            #[cfg(feature = "azure")]
            Kind::Azure(store, limits) => azure::Ticket::mint(store, limits, self.expiry)
                .map(ticket::Kind::Azure)
                .map(Ticket),
        }
    }

    /// How often the service refused the account's key and another one was found where the first
    /// was read. What the old key signed has ended with it, tickets above all:
    /// [`Store::ticket`] gives one that holds.
    pub fn key_changes(&self) -> u64 {
        self.key_changes.load(Ordering::Relaxed)
    }

    pub(crate) fn carrier(&self, platform: &Platform) -> Result<Arc<dyn Carrier>, Error> {
        match &self.kind {
            Kind::Local(local) => Ok(local.carrier(platform)),
            #[cfg(feature = "azure")]
            Kind::Azure(store, _) => azure::carrier(store, platform, self.reload.clone()),
        }
    }

    /// Listens; ready when tickets work. Handshakes are remembered at least as long as the
    /// ticket holds, whatever the configuration says.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or stays out of reach; [`Error::Misuse`] when it
    /// takes HTTP and the platform has no client.
    pub async fn listen(
        &self,
        platform: &Platform,
        config: Config,
    ) -> Result<(Listener, Ticket), Error> {
        let config = Config {
            replay_memory: config.replay_memory.max(self.expiry),
            ..config
        };
        let carrier = self.carrier(platform)?;
        let security = ListenerSecurity::default();
        let listener = Listener::bind(carrier, security, platform, config).await?;
        Ok((listener, self.ticket()?))
    }

    /// Prepares the meeting place and gives a ticket, without listening.
    ///
    /// # Errors
    /// As [`Store::listen`].
    pub async fn prepare(&self, platform: &Platform, config: Config) -> Result<Ticket, Error> {
        let runtime = platform.runtime();
        let machine = Prepare::new(config, runtime.now());
        let pump = Arc::new(Pump::with_end(machine, Prepare::is_finished));
        let mut driver = Driver::new(pump, runtime.clone(), self.carrier(platform)?);
        match driver.next().await {
            Some(PrepareEvent::Ready { .. }) => self.ticket(),
            Some(PrepareEvent::Failed(error)) => Err(error),
            None => Err(Error::Closed),
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.kind {
            Kind::Local(local) => local.to_string(),
            #[cfg(feature = "azure")]
            Kind::Azure(store, _) => azure::place(&**store),
        };
        f.debug_tuple("Store").field(&place).finish()
    }
}
