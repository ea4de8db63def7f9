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
use stillwire_core::aznet::{self, Config, ConnectionId, DialerEvent, DialerSecurity};
use stillwire_core::store::{Operation, Request, RequestId, Role};
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

impl Dialer {
    /// Asks for an answer that nobody has left: shows whether the place can be reached and read,
    /// and leaves nothing behind. Tried once.
    ///
    /// # Errors
    /// [`Error::Store`] when storage refuses or cannot be reached.
    pub async fn probe(&self) -> Result<(), Error> {
        let random = seed()?.first_chunk().copied().unwrap_or_default();
        let request = Request {
            id: RequestId(0),
            operation: Operation::GetToken {
                id: ConnectionId::from_random(random),
            },
            may_have_landed: false,
            timeout: self.config.request_timeout,
        };
        let outcome = self.carrier.perform(request).await;
        outcome.map(|_| ()).map_err(Error::Store)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").finish_non_exhaustive()
    }
}
