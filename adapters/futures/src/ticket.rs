//! Tickets: what a dialer needs to reach a listener.

use crate::address::{AddressError, Options};
use crate::carrier::Carrier;
use crate::local::Local;
use crate::platform::Platform;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use stillwire_core::Error;
use stillwire_core::store::Profile;

#[cfg(feature = "azure")]
use crate::azure;

/// What a dialer needs to reach a listener: a **secret** for Azure stores, whose text is the
/// connection URL that the Go program reads too; `stillwire:dir:PATH` for a directory.
///
/// [`Display`](fmt::Display) is the whole text, to be handed over; `Debug` shows no secret.
#[derive(Clone)]
pub struct Ticket(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    Local(Local),
    #[cfg(feature = "azure")]
    Azure(azure::Ticket),
}

impl Ticket {
    /// Reads a ticket. [`Ticket::from_str`] is the same with default options.
    ///
    /// # Errors
    /// A text that is no ticket, or that would send its secret in the clear.
    pub fn parse(text: &str, options: &Options) -> Result<Self, AddressError> {
        let text = text.trim();
        if let Some(local) = text.strip_prefix("stillwire:") {
            return Local::from_ticket(local).map(Kind::Local).map(Self);
        }
        #[cfg(not(feature = "azure"))]
        let _ = options;
        #[cfg(feature = "azure")]
        if text.starts_with("https://") || text.starts_with("http://") {
            let ticket = azure::Ticket::parse(text, options)?;
            return Ok(Self(Kind::Azure(ticket)));
        }
        Err(AddressError::Ticket(
            "it begins neither with https:// nor with stillwire:",
        ))
    }

    /// The numbers that a dialer's carrier plans with. They may differ from those of the listener's
    /// [`Store`](crate::Store): a grant allows less than the account's key.
    pub fn profile(&self) -> Profile {
        match &self.0 {
            Kind::Local(local) => local.profile(),
            #[cfg(feature = "azure")]
            Kind::Azure(ticket) => ticket.profile(),
        }
    }

    /// True when dialing takes an HTTP client.
    pub fn needs_http(&self) -> bool {
        match &self.0 {
            Kind::Local(_) => false,
            #[cfg(feature = "azure")]
            Kind::Azure(_) => true,
        }
    }

    /// The store's name as in its address (`azblob`, `dir`, `memory`), and where it is; no secret
    /// in it.
    pub fn place(&self) -> String {
        match &self.0 {
            Kind::Local(local) => local.to_string(),
            #[cfg(feature = "azure")]
            Kind::Azure(ticket) => ticket.place(),
        }
    }

    pub(crate) fn carrier(&self, platform: &Platform) -> Result<Arc<dyn Carrier>, Error> {
        match &self.0 {
            Kind::Local(local) => Ok(local.carrier(platform)),
            #[cfg(feature = "azure")]
            Kind::Azure(ticket) => ticket.carrier(platform),
        }
    }
}

impl FromStr for Ticket {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, &Options::default())
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Local(local) => write!(f, "stillwire:{}", local.to_ticket()),
            #[cfg(feature = "azure")]
            Kind::Azure(ticket) => f.write_str(&ticket.text()),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ticket").field(&self.place()).finish()
    }
}
