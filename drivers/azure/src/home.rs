//! What the stores of all three services have in common: where they are, what they may show, and
//! what they made themselves.

use crate::address::check_endpoint;
use crate::credential::{Credential, Sas};
use crate::failure::Shown;
use crate::names::Names;
use crate::sas::{self, Protocol, ServiceSas};
use crate::store::Ticket;
use crate::{Error, Service};
use azure_core::http::Url;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use stillwire_core::UnixTime;
use stillwire_core::aznet::ConnectionId;

/// How far back a SAS of ours begins, for clocks that differ.
pub const SAS_BACKDATE: Duration = Duration::from_secs(300);
/// Sessions remembered as ours; those beyond are recognised by their mark in storage.
const REMEMBERED: usize = 65_536;

/// What a store may show to the service.
#[derive(Debug)]
enum Access {
    /// The whole account.
    Owner(Credential),
    /// The bootstrap places, one SAS for each.
    Guest { handshake: Sas, token: Sas },
}

/// The place a request goes to, and the grant for it if it is a session's.
#[derive(Clone, Copy)]
pub(crate) enum Room<'a> {
    Handshake,
    Token,
    Session(&'a ConnectionId, Option<&'a Sas>),
    /// The account itself.
    Account,
}

#[derive(Debug)]
pub(crate) struct Home {
    service: Service,
    endpoint: Url,
    names: Names,
    access: Access,
    /// Sessions whose places this very store created: these it may delete unasked.
    created: Mutex<BTreeSet<ConnectionId>>,
    /// Both bootstrap places were created by this very store.
    made_bootstrap: AtomicBool,
}

impl Home {
    /// A listener's, with the credential of the account.
    pub(crate) fn owner(
        service: Service,
        endpoint: &Url,
        credential: Credential,
        names: Names,
    ) -> Result<Self, Error> {
        Self::new(service, endpoint, Access::Owner(credential), names)
    }

    /// A dialer's, with the SAS of the two bootstrap places.
    pub(crate) fn guest(
        service: Service,
        endpoint: &Url,
        handshake: Sas,
        token: Sas,
        names: Names,
    ) -> Result<Self, Error> {
        Self::new(service, endpoint, Access::Guest { handshake, token }, names)
    }

    fn new(service: Service, endpoint: &Url, access: Access, names: Names) -> Result<Self, Error> {
        Ok(Self {
            service,
            endpoint: check_endpoint(endpoint)?,
            names,
            access,
            created: Mutex::default(),
            made_bootstrap: AtomicBool::new(false),
        })
    }

    pub(crate) fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// The account's credential, for a listener's store.
    pub(crate) fn credential(&self) -> Option<&Credential> {
        match &self.access {
            Access::Owner(credential) => Some(credential),
            Access::Guest { .. } => None,
        }
    }

    /// True when the whole account is ours.
    pub(crate) fn owns(&self) -> bool {
        matches!(self.access, Access::Owner(_))
    }

    /// What a request to this place shows to the service.
    pub(crate) fn shown<'a>(&'a self, room: &Room<'a>) -> Shown<'a> {
        match (&self.access, room) {
            (Access::Guest { .. }, Room::Session(_, Some(grant))) => Shown::Sas(grant),
            (Access::Guest { token, .. }, Room::Token) => Shown::Sas(token),
            (Access::Guest { handshake, .. }, _) => Shown::Sas(handshake),
            (Access::Owner(Credential::SharedKey { account, .. }), _) => Shown::Key(account),
            (Access::Owner(Credential::Sas(sas)), _) => Shown::Sas(sas),
        }
    }

    /// The two grants of a session as they came; a dialer's store needs them.
    pub(crate) fn grants(&self, grants: Option<(&str, &str)>) -> Result<Option<(Sas, Sas)>, Error> {
        match grants {
            Some((req, res)) => Ok(Some((Sas::parse(req)?, Sas::parse(res)?))),
            None if self.owns() => Ok(None),
            None => Err(Error::NoCredential),
        }
    }

    /// A SAS for one place; it begins [`SAS_BACKDATE`] before `now`.
    pub(crate) fn mint(
        &self,
        resource: &str,
        permissions: &str,
        now: UnixTime,
        lifetime: Duration,
    ) -> Result<Sas, Error> {
        let Access::Owner(Credential::SharedKey { account, key }) = &self.access else {
            return Err(Error::CannotSign);
        };
        let protocol = match self.endpoint.scheme() {
            "https" => Protocol::Https,
            _ => Protocol::HttpsHttp,
        };
        ServiceSas {
            service: self.service,
            resource,
            permissions,
            start: Some(now.before(SAS_BACKDATE)),
            expiry: now.after(lifetime),
            protocol,
            version: sas::VERSION,
        }
        .sign(account, key)?
        .to_sas()
    }

    /// The pieces of a connection URL, with these permissions for the two bootstrap places.
    pub(crate) fn ticket(
        &self,
        permissions: (&str, &str),
        now: UnixTime,
        lifetime: Duration,
    ) -> Result<Ticket, Error> {
        let names = self.names.clone();
        Ok(Ticket {
            endpoint: self.endpoint.as_str().trim_end_matches('/').into(),
            handshake: self.mint(names.handshake(), permissions.0, now, lifetime)?,
            token: self.mint(names.token(), permissions.1, now, lifetime)?,
            names,
        })
    }

    pub(crate) fn created(&self) -> MutexGuard<'_, BTreeSet<ConnectionId>> {
        let lock = self.created.lock();
        lock.unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a session's places as made by this store.
    pub(crate) fn remember(&self, id: ConnectionId) {
        let mut created = self.created();
        if created.len() < REMEMBERED {
            created.insert(id);
        }
    }

    pub(crate) fn made_bootstrap(&self) -> bool {
        self.made_bootstrap.load(Ordering::Relaxed)
    }

    pub(crate) fn set_made_bootstrap(&self, made: bool) {
        self.made_bootstrap.store(made, Ordering::Relaxed);
    }
}
