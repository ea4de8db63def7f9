//! Dialing.

use crate::carrier::{Carrier, Perform};
use crate::connection::{Connection, start};
use crate::driver::Driver;
use crate::platform::Platform;
use crate::seed;
use crate::ticket::Ticket;
use futures_util::StreamExt;
use std::fmt;
use std::sync::Arc;
use stillwire_core::Error;
use stillwire_core::aznet::{self, Config, DialerEvent, DialerSecurity};
use stillwire_core::store::Role;
use stillwire_pump::Pump;

/// Dials the listener of one ticket, as often as wanted.
#[derive(Clone)]
pub struct Dialer {
    platform: Platform,
    carrier: Arc<dyn Carrier>,
    security: DialerSecurity,
    config: Config,
}

impl Dialer {
    /// A dialer for this ticket. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Misuse`] when the ticket needs HTTP and the platform has no client.
    pub fn new(ticket: &Ticket, platform: &Platform, config: Config) -> Result<Self, Error> {
        let carrier = ticket.carrier(platform)?;
        Ok(Self::over(
            carrier,
            DialerSecurity::default(),
            platform,
            config,
        ))
    }

    /// A dialer over any carrier, with any security.
    pub fn over(
        carrier: Arc<dyn Carrier>,
        security: DialerSecurity,
        platform: &Platform,
        config: Config,
    ) -> Self {
        Self {
            platform: platform.clone(),
            carrier,
            security,
            config,
        }
    }

    /// Opens one connection: leaves our half of the handshake and waits for the listener's.
    ///
    /// A dial that is given up cannot be resumed. It leaves its handshake entry behind, which
    /// the listener answers and its janitor removes; dialing again makes a new connection.
    ///
    /// # Errors
    /// [`Error::Timeout`] when nobody answers within the connect time-out; [`Error::Store`] when
    /// storage refuses or stays out of reach; [`Error::Peer`] when the answer does not
    /// authenticate.
    pub async fn dial(&self) -> Result<Connection, Error> {
        let runtime = &self.platform.runtime;
        let machine = aznet::Dialer::new(
            self.config.clone(),
            self.carrier.profile(),
            &self.security,
            seed()?,
            runtime.now(),
        );
        let pump = Arc::new(Pump::with_end(machine, aznet::Dialer::is_finished));
        let perform: Arc<dyn Perform> = self.carrier.clone();
        let mut driver = Driver::new(pump, runtime.clone(), perform);
        match driver.next().await {
            Some(DialerEvent::Connected(connected)) => {
                let id = connected.connection.id();
                let session = self
                    .carrier
                    .session(id, Role::Dialer, Some(&connected.grants))
                    .map_err(Error::Store)?;
                let connection = connected.connection;
                let (connection, _) = start(runtime, session, connection, Box::new(|_| {}));
                Ok(connection)
            }
            Some(DialerEvent::Failed(error)) => Err(error),
            None => Err(Error::Closed),
        }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}
