//! Which service carries: the one place that knows them all.

use crate::address::{AddressError, Options};
use azure_core::http::Url;
use std::sync::Arc;
use std::time::Duration;
use stillwire_azure::blob::{self, BlobStore};
use stillwire_azure::queue::{self, QueueStore};
use stillwire_azure::table::{self, TableStore};
use stillwire_azure::{AzureStore, Credential, Names, Service, Ticket};

/// The numbers each carrier plans with.
#[derive(Clone)]
pub(crate) struct Limits {
    blob: blob::Limits,
    queue: queue::Limits,
    table: table::Limits,
}

impl Limits {
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            blob: options.blob.clone(),
            queue: options.queue.clone(),
            table: options.table.clone(),
        }
    }

    /// The same, with sessions whose grants hold this long.
    pub(super) fn granting(mut self, lifetime: Duration) -> Self {
        self.blob.grant_lifetime = lifetime;
        self.queue.grant_lifetime = lifetime;
        self.table.grant_lifetime = lifetime;
        self
    }
}

/// A listener's store.
pub(super) fn listener(
    service: Service,
    endpoint: &Url,
    credential: Credential,
    names: Names,
    limits: Limits,
) -> Result<Arc<dyn AzureStore>, AddressError> {
    Ok(match service {
        Service::Blob => Arc::new(BlobStore::listener(
            endpoint,
            credential,
            names,
            limits.blob,
        )?),
        Service::Queue => Arc::new(QueueStore::listener(
            endpoint,
            credential,
            names,
            limits.queue,
        )?),
        Service::Table => Arc::new(TableStore::listener(
            endpoint,
            credential,
            names,
            limits.table,
        )?),
    })
}

/// A dialer's store, of the pieces of a connection URL.
pub(super) fn dialer(
    service: Service,
    endpoint: &Url,
    ticket: Ticket,
    limits: Limits,
) -> Result<Arc<dyn AzureStore>, AddressError> {
    let (handshake, token, names) = (ticket.handshake, ticket.token, ticket.names);
    Ok(match service {
        Service::Blob => Arc::new(BlobStore::dialer(
            endpoint,
            handshake,
            token,
            names,
            limits.blob,
        )?),
        Service::Queue => Arc::new(QueueStore::dialer(
            endpoint,
            handshake,
            token,
            names,
            limits.queue,
        )?),
        Service::Table => Arc::new(TableStore::dialer(
            endpoint,
            handshake,
            token,
            names,
            limits.table,
        )?),
    })
}
