//! What an application decides.

use super::handshake::Terms;
use super::identity::{Identity, PublicKey};
use super::record;
use super::replay::SynCache;
use super::{Profile, Window};
use alloc::sync::Arc;
use core::time::Duration;

/// Settings of one connection. Both ends must have the same profile and namespace, and messages
/// no longer than the other's limit.
#[derive(Clone)]
pub struct Config {
    /// The era both ends speak.
    pub profile: Profile,
    /// The application's name, bound into the handshake (but not in era b).
    pub namespace: Arc<[u8]>,
    /// Which timestamps are taken.
    pub window: Window,
    /// The whole handshake must be over in this time, the application's decision included.
    pub handshake_timeout: Duration,
    /// Refuse our own identity as the peer's (era a always does).
    pub refuse_self: bool,
    /// A listener decides about a dialer only after its signature verified. Otherwise it decides
    /// by the bare claim, as the peers do, and anybody can find out whom it admits. Era a always
    /// verifies first.
    pub prove_first: bool,
    /// Bytes of the longest message, both ways: one record holds one message. A longer one that
    /// comes is refused before it is allocated.
    pub longest_message: usize,
    /// Bytes of plaintext that a byte stream puts into one record.
    pub stream_record: usize,
    /// Bytes that may wait for the carrier before writing pauses; one record may exceed it.
    pub send_buffer: usize,
    /// Bytes that may wait for the application before reading pauses; one record and one input
    /// may exceed it. Each message counts [`MESSAGE_COST`] bytes more than it has.
    pub receive_buffer: usize,
}

/// What a received message costs besides its bytes, so that empty ones are bounded too.
pub const MESSAGE_COST: usize = 64;

impl Default for Config {
    fn default() -> Self {
        Self {
            profile: Profile::V0,
            namespace: Arc::from(&[][..]),
            window: Window::default(),
            handshake_timeout: Duration::from_secs(10),
            refuse_self: false,
            prove_first: false,
            longest_message: 1 << 20,
            stream_record: 64 << 10,
            send_buffer: 256 << 10,
            receive_buffer: 256 << 10,
        }
    }
}

impl Config {
    /// The hardened profile: the defaults, but our own identity is refused as the peer's, and a
    /// listener decides only about proven dialers.
    pub fn hardened() -> Self {
        Self {
            refuse_self: true,
            prove_first: true,
            ..Self::default()
        }
    }

    pub(super) fn terms(&self, identity: Arc<dyn Identity>) -> Terms {
        Terms {
            profile: self.profile,
            namespace: self.namespace.clone(),
            identity,
            window: self.window,
            refuse_self: self.refuse_self,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.longest_message.min(record::LONGEST)
    }
}

/// Whom a listener talks to.
#[derive(Clone)]
pub enum Admission {
    /// Whoever proves an identity, any identity.
    Anyone,
    /// These identities.
    Listed(Arc<[PublicKey]>),
    /// The application is asked with [`super::ConnectionEvent::Asked`].
    Ask,
}

/// How a listener treats dialers.
#[derive(Clone)]
pub struct Door {
    /// Whom it talks to.
    pub admission: Admission,
    /// Refuses Syns that were seen before. One cache for all connections of an identity; without
    /// one each replay inside the window costs a signature and a key agreement (wire page, trap 4).
    pub seen: Option<Arc<SynCache>>,
}
