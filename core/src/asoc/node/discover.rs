//! Announcements, ours and theirs.

use super::{Found, Node, NodeEvent, NodeOutput};
use crate::asoc::audit::AuditKind;
use crate::asoc::discovery::{Announcement, Receiver};
use crate::error::{Class, Error};
use crate::time::Instant;
use bytes::Bytes;
use core::net::{IpAddr, SocketAddr};

impl Node {
    /// A datagram came from an address. A bad one is dropped, reported, and the error given back
    /// for whoever wants to count; it ends nothing.
    pub fn datagram(&mut self, now: Instant, from: IpAddr, datagram: &[u8]) -> Result<(), Error> {
        if !self.config.discovery {
            return Ok(());
        }
        if !self.gate.datagram(now, from) {
            let fault = Error::limit(
                Class::Limit,
                "too many discovery messages from this address within a second",
            );
            if self.gate.is_news(now, from) {
                self.report(now, AuditKind::of(&fault), None, Some(from));
            }
            return Err(fault);
        }
        let keys = self.ring.keys();
        let receiver = Receiver {
            keys: &keys,
            community: self.community,
            own: Some(self.id),
            now: self.unix(now),
        };
        match Announcement::verify(datagram, &receiver, Some(&mut self.announcements)) {
            Ok(message) => self.announced(now, from, &message),
            Err(fault) => {
                // Our own broadcast comes back, and other clusters share the network.
                if !matches!(fault.class(), Some(Class::Identity | Class::Name)) {
                    self.report(now, AuditKind::of(&fault), None, Some(from));
                }
                Err(fault)
            }
        }
    }

    fn announced(
        &mut self,
        now: Instant,
        from: IpAddr,
        message: &Announcement,
    ) -> Result<(), Error> {
        let node = message.node;
        let judged = if self.gate.announcement(now, node) {
            self.audit.allows(node)
        } else {
            Err(Error::limit(
                Class::Limit,
                "more than one discovery message of this node within a second",
            ))
        };
        if let Err(fault) = judged {
            self.report(now, AuditKind::of(&fault), Some(node), Some(from));
            return Err(fault);
        }
        if self.given_up.get(&node).is_some_and(|until| now < *until) {
            return Ok(());
        }
        let address = SocketAddr::new(from.to_canonical(), message.port);
        if self.found.contains_key(&node) {
            self.heard_again(now, node, address);
            return Ok(());
        }
        if self.found.len() >= self.config.discovered_peers {
            let fault = Error::limit(Class::Limit, "too many discovered peers");
            self.report(now, AuditKind::of(&fault), Some(node), Some(from));
            return Err(fault);
        }
        let target = if self.config.dial_discovered {
            self.target_for(now, node, address)
        } else {
            None
        };
        let found = Found::new(address, now, target);
        self.found.insert(node, found);
        let event = NodeEvent::Found { node, address };
        self.out.push_back(NodeOutput::Event(event));
        Ok(())
    }

    /// Sends our own announcement when it is due.
    pub(super) fn announce(&mut self, now: Instant) {
        if !self.config.discovery || now < self.announce_at {
            return;
        }
        self.announce_at = now.after(self.config.announce_every);
        // Past 2106 the field is full; nobody would believe the message.
        let time = u32::try_from(self.unix(now).as_secs()).unwrap_or(u32::MAX);
        let message = Announcement {
            node: self.id,
            port: self.config.port,
            time,
            challenge: u32::from_be_bytes(self.rng.array()),
        };
        let bytes = message.encode(self.ring.current(), &self.config.community);
        self.out
            .push_back(NodeOutput::Broadcast(Bytes::copy_from_slice(&bytes)));
    }
}
