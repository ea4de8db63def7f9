//! What an application does with a machine besides reading and writing.

use super::Secure;
use crate::runtime::Runtime;
use std::fmt;
use std::sync::Arc;
use stillwire_core::Instant;
use stillwire_pump::Pump;

/// Reaches the machine of a connection from the first byte of its handshake on, from any task or
/// thread. It keeps no connection alive: that is for the stream and its halves.
pub struct Control<M: Secure> {
    pump: Arc<Pump<M>>,
    runtime: Arc<dyn Runtime>,
}

impl<M: Secure> Control<M> {
    pub(super) fn new(pump: Arc<Pump<M>>, runtime: Arc<dyn Runtime>) -> Self {
        Self { pump, runtime }
    }

    /// Looks at the machine: what it knows of the peer, its error.
    pub fn with<R>(&self, look: impl FnOnce(&M) -> R) -> R {
        self.pump.with(look)
    }

    /// Calls something of the machine's own at its present time; what it then wants to send is
    /// sent.
    pub fn update<R>(&self, call: impl FnOnce(&mut M, Instant) -> R) -> R {
        let now = self.runtime.now();
        self.pump.update(|machine| call(machine, now))
    }
}

impl<M: Secure> Clone for Control<M> {
    fn clone(&self) -> Self {
        Self::new(self.pump.clone(), self.runtime.clone())
    }
}

impl<M: Secure> fmt::Debug for Control<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
