//! Discovery messages (wire page `asoc`, "Discovery"): 50 bytes in one datagram.
//!
//! A HELLO frame is 50 bytes too: what comes over UDP is a discovery message and what comes over
//! TCP is a frame, whatever its length.

use super::handshake::{refuse_own, sub};
use super::key::{ApiKey, community_hash};
use super::node_id::NodeId;
use super::replay::Seen;
use super::wire::{DISCOVERY, join};
use crate::error::{Class, Error};
use crate::time::UnixTime;

/// How far a clock may be off, either way; exactly so far is accepted.
pub const TOLERANCE_SECS: u64 = 60;

/// "Here I am": a node and the TCP port on which it listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Who says so.
    pub node: NodeId,
    /// TCP port. 0 means that the node does not listen.
    pub port: u16,
    /// When, in Unix seconds.
    pub time: u32,
    /// A number of the sender's choice.
    pub challenge: u32,
}

/// Who receives, and under what rules.
pub struct Receiver<'a> {
    /// The cluster's keys: more than one while a key is rotated.
    pub keys: &'a [ApiKey],
    /// Hash of the cluster's name, see [`community_hash`].
    pub community: [u8; 8],
    /// Our own UUID, which is refused.
    pub own: Option<NodeId>,
    /// The wall clock.
    pub now: UnixTime,
}

impl Announcement {
    /// The message.
    pub fn encode(&self, key: &ApiKey, community: &str) -> [u8; DISCOVERY] {
        let port_time: [u8; 6] = join(&self.port.to_be_bytes(), &self.time.to_be_bytes());
        let tail: [u8; 10] = join(&port_time, &self.challenge.to_be_bytes());
        let head: [u8; 24] = join(&community_hash(community), self.node.as_bytes());
        let said: [u8; 34] = join(&head, &tail);
        join(&said, &key.mac::<16>(&said))
    }

    /// Reads a datagram: length, community, MAC, own UUID, time, seen before, in this order. Only
    /// what passed all others is remembered in `seen`.
    pub fn verify(
        datagram: &[u8],
        receiver: &Receiver<'_>,
        seen: Option<&mut Seen>,
    ) -> Result<Self, Error> {
        let bytes: &[u8; DISCOVERY] = datagram.try_into().map_err(|_| {
            Error::peer(
                Class::Length,
                "a discovery message is exactly 50 bytes long",
            )
        })?;
        if sub::<8, DISCOVERY>(bytes, 0) != receiver.community {
            return Err(Error::peer(
                Class::Name,
                "the message is of another community",
            ));
        }
        let said: [u8; 34] = sub(bytes, 0);
        let tag: [u8; 16] = sub(bytes, 34);
        // Not `any`: how long it takes must not tell which key it was.
        let fits = |fits: bool, key: &ApiKey| key.verify(&said, &tag) | fits;
        if !receiver.keys.iter().fold(false, fits) {
            return Err(Error::auth());
        }
        let message = Self {
            node: NodeId::from_bytes(sub(bytes, 8)),
            port: u16::from_be_bytes(sub(bytes, 24)),
            time: u32::from_be_bytes(sub(bytes, 26)),
            challenge: u32::from_be_bytes(sub(bytes, 30)),
        };
        if let Some(own) = receiver.own {
            refuse_own(message.node, own)?;
        }
        check_time(u64::from(message.time), receiver.now)?;
        if let Some(seen) = seen {
            seen.admit(message.node, u64::from(message.challenge), receiver.now)?;
        }
        Ok(message)
    }
}

/// Refuses Unix seconds that are more than [`TOLERANCE_SECS`] off: [`Class::Stale`] or
/// [`Class::Future`].
pub(crate) fn check_time(time: u64, now: UnixTime) -> Result<(), Error> {
    let now = now.as_secs();
    if now.saturating_sub(time) > TOLERANCE_SECS {
        return Err(Error::peer(
            Class::Stale,
            "the message is more than 60 s old; compare the clocks of both nodes",
        ));
    }
    if time.saturating_sub(now) > TOLERANCE_SECS {
        return Err(Error::peer(
            Class::Future,
            "the message is from more than 60 s ahead; compare the clocks of both nodes",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;
    use core::time::Duration;

    const KEY: &[u8] = b"569932e8f2afd8b79429136ba45e1c327fc114803e837dd7a035116f8fdf7404";
    // Made by the Python peer: vector asoc-discovery-0001.
    const MESSAGE: &str = "692914acd383b6d6ba2400903e5246bf8457c6ba2c2ddddc23286810709287479d16935a1737cb6a0a8044f971a10d2d89d3";
    const SENT: u64 = 1_745_907_858;

    fn verify(bytes: &[u8], now: u64, own: &str, seen: &mut Seen) -> Result<Announcement, Error> {
        let receiver = Receiver {
            keys: &[ApiKey::new(KEY).unwrap()],
            community: community_hash("cluster-48582f"),
            own: Some(NodeId::parse(own).unwrap()),
            now: UnixTime::from_secs(now),
        };
        Announcement::verify(bytes, &receiver, Some(seen))
    }

    const OTHER: &str = "00000000-0000-0000-0000-000000000000";
    const SENDER: &str = "ba240090-3e52-46bf-8457-c6ba2c2ddddc";

    fn fault(bytes: &[u8], now: u64, own: &str, seen: &mut Seen) -> Option<Class> {
        verify(bytes, now, own, seen).unwrap_err().class()
    }

    #[test]
    fn the_order_of_checks_each_fault_hides_those_after_it() {
        let mut seen = Seen::new(10, Duration::from_secs(180));
        let good = hex(MESSAGE);
        verify(&good, SENT, OTHER, &mut seen).unwrap();
        let mut bad = good.clone();
        // From the last check to the first, each message has all faults so far.
        assert_eq!(fault(&bad, SENT, OTHER, &mut seen), Some(Class::Replay));
        assert_eq!(fault(&bad, SENT + 61, OTHER, &mut seen), Some(Class::Stale));
        assert_eq!(
            fault(&bad, SENT - 61, OTHER, &mut seen),
            Some(Class::Future)
        );
        assert_eq!(
            fault(&bad, SENT + 61, SENDER, &mut seen),
            Some(Class::Identity)
        );
        bad[49] ^= 1;
        assert_eq!(fault(&bad, SENT + 61, SENDER, &mut seen), Some(Class::Auth));
        bad[0] ^= 1;
        assert_eq!(fault(&bad, SENT + 61, SENDER, &mut seen), Some(Class::Name));
        bad.push(0);
        assert_eq!(
            fault(&bad, SENT + 61, SENDER, &mut seen),
            Some(Class::Length)
        );
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn what_is_refused_leaves_no_trace_in_the_cache() {
        let mut seen = Seen::new(10, Duration::from_secs(180));
        let good = hex(MESSAGE);
        fault(&good, SENT + 61, OTHER, &mut seen);
        fault(&good, SENT, SENDER, &mut seen);
        fault(&good[..49], SENT, OTHER, &mut seen);
        assert!(seen.is_empty());
        // From one edge of the window to the other: accepted once.
        verify(&good, SENT - 60, OTHER, &mut seen).unwrap();
        assert_eq!(
            fault(&good, SENT + 60, OTHER, &mut seen),
            Some(Class::Replay)
        );
    }

    #[test]
    fn a_hello_frame_is_50_bytes_too_and_is_no_discovery_message() {
        let mut seen = Seen::new(10, Duration::from_secs(180));
        let hello = crate::asoc::Hello {
            node: NodeId::parse(SENDER).unwrap(),
            challenge: 1,
        };
        let payload = hello.encode(&ApiKey::new(KEY).unwrap());
        let frame = crate::asoc::handshake::frame(4, &payload, crate::asoc::Dialect::Octet);
        let frame = frame.unwrap();
        assert_eq!(frame.len(), DISCOVERY);
        assert_eq!(fault(&frame, SENT, OTHER, &mut seen), Some(Class::Name));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let mut seen = Seen::new(10, Duration::from_secs(180));
        for bit in 0..DISCOVERY * 8 {
            let mut bytes = hex(MESSAGE);
            bytes[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 64 { Class::Name } else { Class::Auth };
            assert_eq!(fault(&bytes, SENT, OTHER, &mut seen), Some(expected));
        }
    }
}
