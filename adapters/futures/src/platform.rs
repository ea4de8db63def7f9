//! What an adapter hands in: its runtime, and its HTTP client if it has one.

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
}

impl Platform {
    /// A platform without HTTP: enough for memory and directories.
    pub fn new(runtime: impl Runtime) -> Self {
        Self {
            runtime: Arc::new(runtime),
            #[cfg(feature = "azure")]
            http: None,
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
