//! What an adapter hands in: its runtime, and its HTTP client if it has one.

#[cfg(feature = "azure")]
use crate::carrier::Carrier;
use crate::runtime::Runtime;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "azure")]
use azure_core::http::HttpClient;

/// The outside world of dialers and listeners.
#[derive(Clone)]
pub struct Platform {
    pub(crate) runtime: Arc<dyn Runtime>,
    #[cfg(feature = "azure")]
    pub(crate) http: Option<Arc<dyn HttpClient>>,
    #[cfg(feature = "azure")]
    carriers: Option<Arc<Around>>,
}

/// What is put around a carrier.
#[cfg(feature = "azure")]
type Around = dyn Fn(Arc<dyn Carrier>) -> Arc<dyn Carrier> + Send + Sync;

impl Platform {
    /// A platform without HTTP: enough for memory and directories.
    pub fn new(runtime: impl Runtime) -> Self {
        Self {
            runtime: Arc::new(runtime),
            #[cfg(feature = "azure")]
            http: None,
            #[cfg(feature = "azure")]
            carriers: None,
        }
    }

    /// The same platform with an HTTP client, for Azure. Secrets in the client's errors are
    /// taken out before anybody sees them.
    #[cfg(feature = "azure")]
    #[must_use]
    pub fn with_http(mut self, client: Arc<dyn HttpClient>) -> Self {
        self.http = Some(client);
        self
    }

    /// The same platform with `around` put around every carrier over HTTP: for a client that
    /// blocks, so that each request is performed where that holds up nobody.
    #[cfg(feature = "azure")]
    #[must_use]
    pub fn with_carriers(
        mut self,
        around: impl Fn(Arc<dyn Carrier>) -> Arc<dyn Carrier> + Send + Sync + 'static,
    ) -> Self {
        self.carriers = Some(Arc::new(around));
        self
    }

    /// A carrier over HTTP as this platform wants it.
    #[cfg(feature = "azure")]
    pub(crate) fn around(&self, carrier: Arc<dyn Carrier>) -> Arc<dyn Carrier> {
        match &self.carriers {
            Some(around) => around(carrier),
            None => carrier,
        }
    }

    /// The runtime.
    pub fn runtime(&self) -> &Arc<dyn Runtime> {
        &self.runtime
    }
}

impl fmt::Debug for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Platform").finish_non_exhaustive()
    }
}
