//! What may come when: headers are judged alone, in the order of the wire page (version, type,
//! length), so that nothing is allocated for a frame that is refused.

use super::{Body, Connection, Role, Stage};
use crate::asoc::config::Profile;
use crate::asoc::event::ConnectionEvent;
use crate::asoc::hardened;
use crate::asoc::rotation::Notice;
use crate::asoc::wire::{self, Dialect, Header, kind};
use crate::error::{Class, Error};
use crate::gather;
use crate::time::Instant;
use bytes::Bytes;

/// The longest notice that is understood; the rest of a longer one is read over.
const NOTICE: usize = 32;

impl Connection {
    /// Judges a header and says what is done with its payload.
    pub(super) fn header(&mut self, header: &Header) -> Result<(), Error> {
        self.gathered.clear();
        self.body = match self.stage {
            Stage::Open if self.seal.is_some() => self.sealed_header(header)?,
            Stage::Open => self.open_header(header)?,
            _ => self.first_header(header)?,
        };
        Ok(())
    }

    fn first_header(&self, header: &Header) -> Result<Body, Error> {
        let sealed = matches!(self.config.profile, Profile::Hardened(_));
        let (wanted, length) = match (&self.stage, self.role) {
            (Stage::Initiated(_), _) => (kind::SEALED_ACCEPT, hardened::ACCEPT),
            (Stage::Proving(_), _) => (kind::SEALED_PROOF, hardened::PROOF),
            (_, Role::Server) if sealed => (kind::SEALED_HELLO, hardened::HELLO),
            (_, Role::Server) => (kind::HELLO, wire::HELLO),
            (_, Role::Client) => (kind::ACCEPT, wire::ACCEPT),
        };
        // Stream and sequence of handshake frames are tolerated, whatever they are.
        if header.kind == wanted {
            if header.size() != length {
                return Err(wire::wrong_length());
            }
            return Ok(Body::Gather(length));
        }
        Err(match header.kind {
            kind::HELLO | kind::ACCEPT if sealed => Error::peer(
                Class::Downgrade,
                "the peer speaks the default profile and this end the hardened one; set both alike",
            ),
            kind::SEALED_HELLO..=kind::SEALED_PROOF if !sealed => Error::peer(
                Class::Type,
                "the peer speaks the hardened profile and this end the default one; set both alike",
            ),
            kind::DATA..=kind::ACCEPT | kind::SEALED_HELLO..=kind::SEALED_PROOF => Error::peer(
                Class::State,
                "before the handshake is done only HELLO may come to a server and ACCEPT to a client",
            ),
            _ => Error::peer(Class::Type, "the first frame is of an unknown type"),
        })
    }

    /// Judges a header when all frames are sealed. Sequences count before the seal is checked: a
    /// frame that does not open ends the connection anyway.
    fn sealed_header(&mut self, header: &Header) -> Result<Body, Error> {
        let length = header.size();
        if length < hardened::TAG || (header.kind == kind::END && length > hardened::TAG) {
            return Err(wire::wrong_length());
        }
        match header.kind {
            kind::HELLO | kind::ACCEPT | kind::SEALED_HELLO..=kind::SEALED_PROOF => {
                return Err(Error::peer(
                    Class::State,
                    "the handshake is done; its messages come once",
                ));
            }
            kind::DATA => {
                self.bounded(header, hardened::TAG)?;
                self.incoming.data(header)?;
            }
            kind::END => self.incoming.end(header)?,
            _ => self.bounded(header, hardened::TAG)?,
        }
        let mut head = [0; 14];
        for (to, from) in head.iter_mut().zip(header.encode(Dialect::Octet)?.iter()) {
            *to = *from;
        }
        // The peer has proven who it is, and the length is within the limit.
        self.make_place(length);
        Ok(Body::Sealed(head))
    }

    fn open_header(&mut self, header: &Header) -> Result<Body, Error> {
        match header.kind {
            kind::DATA => {
                let checked = self.check.receives();
                self.bounded(header, if checked { wire::ACCEPT } else { 0 })?;
                if checked && header.size() < wire::ACCEPT {
                    return Err(Error::peer(
                        Class::Length,
                        "a checked DATA frame is shorter than the token; do both ends check alike?",
                    ));
                }
                self.incoming.data(header)?;
                self.check.received();
                Ok(if checked {
                    Body::CheckedData
                } else {
                    Body::Data
                })
            }
            kind::END => {
                if header.length != 0 {
                    return Err(Error::peer(Class::Length, "an END frame has a payload"));
                }
                self.incoming.end(header)?;
                Ok(Body::Gather(0))
            }
            kind::HELLO | kind::ACCEPT => Err(Error::peer(
                Class::State,
                "the handshake is done; HELLO and ACCEPT come once",
            )),
            kind::CONTROL => {
                self.bounded(header, 0)?;
                Ok(Body::Gather(NOTICE))
            }
            _ => {
                self.bounded(header, 0)?;
                Ok(Body::Skip)
            }
        }
    }

    fn bounded(&self, header: &Header, extra: usize) -> Result<(), Error> {
        if header.size() > self.config.max_frame.saturating_add(extra) {
            return Err(Error::peer(
                Class::Limit,
                "a frame is larger than this end accepts; raise max_frame here or send smaller ones",
            ));
        }
        Ok(())
    }

    /// Takes a piece of payload; `rest` bytes of it are still to come.
    pub(super) fn piece(
        &mut self,
        now: Instant,
        header: &Header,
        mut bytes: Bytes,
        rest: usize,
    ) -> Result<(), Error> {
        match self.body {
            Body::Skip => return Ok(()),
            Body::Data => {}
            Body::CheckedData => {
                self.gather(&mut bytes, wire::ACCEPT);
                if self.gathered.len() < wire::ACCEPT {
                    return Ok(());
                }
                self.check.verify(&self.gathered)?;
                self.body = Body::Data;
                // Not a frame without bytes: one whose bytes are still to come.
                if bytes.is_empty() && rest > 0 {
                    return Ok(());
                }
            }
            Body::Sealed(head) => {
                if let Some(place) = &mut self.place {
                    place.put(&bytes);
                }
                if rest > 0 {
                    return Ok(());
                }
                return self.unseal(header, &head);
            }
            Body::Gather(most) => {
                self.gather(&mut bytes, most);
                if rest > 0 {
                    return Ok(());
                }
                return self.complete(now, header);
            }
        }
        self.events.push_back(ConnectionEvent::Data {
            stream: header.stream,
            bytes,
            rest,
        });
        Ok(())
    }

    /// Moves bytes over until `most` are gathered.
    fn gather(&mut self, bytes: &mut Bytes, most: usize) {
        let room = most.saturating_sub(self.gathered.len());
        let taken = bytes.split_to(room.min(bytes.len()));
        gather::append(&mut self.gathered, &taken, most);
    }

    /// A gathered payload is complete.
    fn complete(&mut self, now: Instant, header: &Header) -> Result<(), Error> {
        match (&self.stage, header.kind) {
            (Stage::Open, kind::END) => self.ended(header.stream),
            (Stage::Open, _) => {
                let payload = core::mem::take(&mut self.gathered);
                self.noticed(&payload);
            }
            _ => return self.handshake(now),
        }
        Ok(())
    }

    pub(super) fn ended(&mut self, stream: u32) {
        self.events.push_back(ConnectionEvent::End { stream });
    }

    pub(super) fn noticed(&mut self, payload: &[u8]) {
        match Notice::decode(payload) {
            Some(Notice::Announce { key, activation }) => {
                self.events
                    .push_back(ConnectionEvent::Announced { key, activation });
            }
            Some(Notice::Acknowledge { key }) => {
                self.events.push_back(ConnectionEvent::Acknowledged { key });
            }
            None => {}
        }
    }
}
