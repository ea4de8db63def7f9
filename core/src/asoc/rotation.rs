//! Key rotation over CONTROL (wire page `asoc`, "Timeouts, reconnection, limits"). No key travels:
//! a notice names a key that the operator has installed already.

use super::handshake::sub;
use super::key::{ApiKey, KeyId};
use crate::error::Error;
use crate::time::UnixTime;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// The payload of a CONTROL frame that speaks of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// `01` ‖ key id ‖ Unix seconds: from then on everybody speaks under this key.
    Announce {
        /// Name of the new key.
        key: KeyId,
        /// When it becomes the one to speak under; whole seconds.
        activation: UnixTime,
    },
    /// `02` ‖ key id: the sender has the key.
    Acknowledge {
        /// Name of the new key.
        key: KeyId,
    },
}

impl Notice {
    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Announce { key, activation } => {
                let mut out = vec![1];
                out.extend_from_slice(&key.0);
                out.extend_from_slice(&activation.as_secs().to_be_bytes());
                out
            }
            Self::Acknowledge { key } => {
                let mut out = vec![2];
                out.extend_from_slice(&key.0);
                out
            }
        }
    }

    /// Reads a payload; [`None`] for everything that is not exactly a notice: keep-alives and what
    /// others may one day say.
    pub fn decode(payload: &[u8]) -> Option<Self> {
        match payload.split_first()? {
            (1, rest) => {
                let rest: &[u8; 16] = rest.try_into().ok()?;
                Some(Self::Announce {
                    key: KeyId(sub(rest, 0)),
                    activation: UnixTime::from_secs(u64::from_be_bytes(sub(rest, 8))),
                })
            }
            (2, rest) => Some(Self::Acknowledge {
                key: KeyId(rest.try_into().ok()?),
            }),
            _ => None,
        }
    }
}

/// The keys of a node: the one to speak under, the next one and the last one.
///
/// ```text
/// install ──> next (accepted) ── activation ──> current (spoken) ── next activation ──>
///                                                previous (accepted) ── grace ──> purged
/// ```
///
/// One rotation at a time: a key is installed when there is neither a next nor a previous one.
pub struct KeyRing {
    current: ApiKey,
    next: Option<Next>,
    previous: Option<(ApiKey, UnixTime)>,
    grace: Duration,
}

struct Next {
    key: ApiKey,
    activation: Option<UnixTime>,
}

/// What a peer's announcement came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It names our next key: it is activated then. Acknowledge it.
    Scheduled,
    /// It says what we know: repeated, or of the key that is current already. Acknowledge it.
    Known,
    /// It names our next key with another time than the one that was announced first, which
    /// stands. Acknowledge it, and tell somebody.
    Differs,
    /// It names a key that we do not have, or have no more. No acknowledgement.
    Unknown,
}

/// What time did to the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The next key is current, and the one before it accepted for the grace period.
    Activated(KeyId),
    /// The previous key is forgotten.
    Purged(KeyId),
}

impl KeyRing {
    /// A ring of one key. Old keys are accepted for `grace` after another was activated.
    pub const fn new(current: ApiKey, grace: Duration) -> Self {
        Self {
            current,
            next: None,
            previous: None,
            grace,
        }
    }

    /// Takes in the next key. It is accepted at once and spoken under after its activation.
    pub fn install(&mut self, key: ApiKey) -> Result<(), Error> {
        if self.next.is_some() || self.previous.is_some() {
            return Err(Error::Misuse(
                "a key rotation is under way: wait until the old key is purged",
            ));
        }
        if key.id() == self.current.id() {
            return Err(Error::Misuse("the new key is the current one"));
        }
        self.next = Some(Next {
            key,
            activation: None,
        });
        Ok(())
    }

    /// Takes the next key out again, before it is activated.
    pub fn withdraw(&mut self) -> Option<KeyId> {
        self.next.take().map(|next| next.key.id())
    }

    /// Our operator sets the activation of the next key: the notice for all peers.
    pub fn announce(&mut self, activation: UnixTime) -> Result<Notice, Error> {
        let next = self
            .next
            .as_mut()
            .ok_or(Error::Misuse("install a key before it is announced"))?;
        // The wire has whole seconds: everybody activates at the same one.
        let activation = UnixTime::from_secs(activation.as_secs());
        next.activation = Some(activation);
        Ok(Notice::Announce {
            key: next.key.id(),
            activation,
        })
    }

    /// A peer announces a key. An announcement that is repeated changes nothing.
    pub fn hear(&mut self, key: KeyId, activation: UnixTime) -> Heard {
        if key == self.current.id() {
            return Heard::Known;
        }
        match &mut self.next {
            Some(next) if next.key.id() == key => match next.activation {
                None => {
                    next.activation = Some(activation);
                    Heard::Scheduled
                }
                Some(known) if known == activation => Heard::Known,
                Some(_) => Heard::Differs,
            },
            _ => Heard::Unknown,
        }
    }

    /// The notice that is still to be heard by peers that come now, if a rotation is announced.
    pub fn pending(&self) -> Option<Notice> {
        let next = self.next.as_ref()?;
        Some(Notice::Announce {
            key: next.key.id(),
            activation: next.activation?,
        })
    }

    /// Lets time pass; call it again until it says [`None`].
    pub fn advance(&mut self, now: UnixTime) -> Option<Change> {
        if let Some((key, purge)) = &self.previous
            && now >= *purge
        {
            let id = key.id();
            self.previous = None;
            return Some(Change::Purged(id));
        }
        let activation = self.next.as_ref()?.activation?;
        if now < activation || self.previous.is_some() {
            return None;
        }
        let next = self.next.take()?;
        let id = next.key.id();
        let old = core::mem::replace(&mut self.current, next.key);
        // From now on and not from the announced time: who was asleep gives its peers time too.
        self.previous = Some((old, now.after(self.grace)));
        Some(Change::Activated(id))
    }

    /// When time next changes something.
    pub fn deadline(&self) -> Option<UnixTime> {
        match (&self.previous, &self.next) {
            (Some((_, purge)), _) => Some(*purge),
            (None, Some(next)) => next.activation,
            (None, None) => None,
        }
    }

    /// The key to speak under.
    pub const fn current(&self) -> &ApiKey {
        &self.current
    }

    /// All keys that are accepted, the current one first.
    pub fn keys(&self) -> Vec<ApiKey> {
        let mut keys = vec![self.current.clone()];
        keys.extend(self.next.as_ref().map(|next| next.key.clone()));
        keys.extend(self.previous.as_ref().map(|(key, _)| key.clone()));
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ApiKey {
        ApiKey::new(text.as_bytes()).unwrap()
    }

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(secs)
    }

    const OLD: &str = "the old key of the cluster";
    const NEW: &str = "the new key of the cluster";

    fn ids(ring: &KeyRing) -> Vec<KeyId> {
        ring.keys().iter().map(ApiKey::id).collect()
    }

    #[test]
    fn old_and_new_are_accepted_for_the_grace_period_then_the_old_is_purged() {
        let (old, new) = (key(OLD).id(), key(NEW).id());
        let mut ring = KeyRing::new(key(OLD), Duration::from_secs(60));
        assert_eq!(ids(&ring), [old]);
        ring.install(key(NEW)).unwrap();
        assert_eq!(ids(&ring), [old, new]);
        assert_eq!(ring.deadline(), None);
        ring.announce(at(100)).unwrap();
        assert_eq!(ring.deadline(), Some(at(100)));
        assert_eq!(ring.advance(at(99)), None);
        assert_eq!(ring.advance(at(100)), Some(Change::Activated(new)));
        assert_eq!(ids(&ring), [new, old]);
        assert_eq!(ring.advance(at(159)), None);
        assert_eq!(ring.deadline(), Some(at(160)));
        assert_eq!(ring.advance(at(160)), Some(Change::Purged(old)));
        assert_eq!(ids(&ring), [new]);
    }

    #[test]
    fn an_announcement_names_a_key_that_is_installed_and_never_carries_one() {
        let mut ring = KeyRing::new(key(OLD), Duration::from_secs(60));
        assert!(matches!(ring.announce(at(1)), Err(Error::Misuse(_))));
        assert_eq!(ring.hear(key(NEW).id(), at(100)), Heard::Unknown);
        assert_eq!(ids(&ring).len(), 1);
        ring.install(key(NEW)).unwrap();
        let notice = ring.announce(at(100)).unwrap().encode();
        assert_eq!(notice.len(), 17);
        assert_eq!(notice[1..9], key(NEW).id().0);
        assert!(notice.windows(8).all(|part| part != &NEW.as_bytes()[..8]));
    }

    #[test]
    fn a_replayed_rotation_changes_nothing() {
        let new = key(NEW).id();
        let mut ring = KeyRing::new(key(OLD), Duration::from_secs(60));
        ring.install(key(NEW)).unwrap();
        assert_eq!(ring.hear(new, at(100)), Heard::Scheduled);
        assert_eq!(ring.hear(new, at(100)), Heard::Known);
        assert_eq!(ring.hear(new, at(5)), Heard::Differs);
        assert_eq!(ring.advance(at(99)), None);
        assert_eq!(ring.advance(at(100)), Some(Change::Activated(new)));
        assert_eq!(ring.hear(new, at(100)), Heard::Known);
        // The key that was left cannot be brought back.
        assert_eq!(ring.hear(key(OLD).id(), at(100)), Heard::Unknown);
        assert_eq!(ring.advance(at(160)), Some(Change::Purged(key(OLD).id())));
        assert_eq!(ring.hear(key(OLD).id(), at(100)), Heard::Unknown);
        assert_eq!(ring.advance(at(1000)), None);
    }

    #[test]
    fn one_rotation_at_a_time() {
        let mut ring = KeyRing::new(key(OLD), Duration::from_secs(60));
        assert!(matches!(ring.install(key(OLD)), Err(Error::Misuse(_))));
        ring.install(key(NEW)).unwrap();
        assert!(ring.install(key("a third key, 16 bytes")).is_err());
        assert_eq!(ring.withdraw(), Some(key(NEW).id()));
        ring.install(key("a third key, 16 bytes")).unwrap();
        ring.announce(at(10)).unwrap();
        assert!(ring.advance(at(10)).is_some());
        assert!(ring.install(key(NEW)).is_err());
        assert!(ring.advance(at(70)).is_some());
        ring.install(key(NEW)).unwrap();
    }
}
