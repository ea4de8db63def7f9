//! HELLO and ACCEPT (wire page `asoc`): payloads of 36 and 16 bytes, under a MAC of the shared key.
//!
//! HELLO is no challenge–response and ACCEPT binds nothing (traps 2 and 3): who needs more takes
//! the hardened profile.

use super::key::ApiKey;
use super::node_id::NodeId;
use super::wire::{ACCEPT, Dialect, HELLO, Header, join, kind};
use crate::error::{Class, Error};
use alloc::vec::Vec;

/// What a client says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The client's UUID.
    pub node: NodeId,
    /// A number of the client's choice.
    pub challenge: u32,
}

impl Hello {
    /// The payload: UUID, MAC over UUID and challenge, challenge.
    pub fn encode(&self, key: &ApiKey) -> [u8; HELLO] {
        let challenge = self.challenge.to_be_bytes();
        let said: [u8; 20] = join(self.node.as_bytes(), &challenge);
        let proof: [u8; 20] = join(&key.mac::<16>(&said), &challenge);
        join(self.node.as_bytes(), &proof)
    }

    /// Reads a payload. A MAC under another key is [`Class::Auth`].
    pub fn verify(payload: &[u8; HELLO], key: &ApiKey) -> Result<Self, Error> {
        let (hello, said, tag) = Self::parse(payload);
        if key.verify(&said, &tag) {
            Ok(hello)
        } else {
            Err(Error::auth())
        }
    }

    fn parse(payload: &[u8; HELLO]) -> (Self, [u8; 20], [u8; 16]) {
        let node = sub(payload, 0);
        let challenge = sub(payload, 32);
        let hello = Self {
            node: NodeId::from_bytes(node),
            challenge: u32::from_be_bytes(challenge),
        };
        (hello, join(&node, &challenge), sub(payload, 16))
    }
}

/// What a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// Random bytes that name the session.
    pub token: [u8; 8],
}

impl Accept {
    /// The payload: token, MAC over the token.
    pub fn encode(&self, key: &ApiKey) -> [u8; ACCEPT] {
        join(&self.token, &key.mac::<8>(&self.token))
    }

    /// Reads a payload. A MAC under another key is [`Class::Auth`].
    pub fn verify(payload: &[u8; ACCEPT], key: &ApiKey) -> Result<Self, Error> {
        let token: [u8; 8] = sub(payload, 0);
        if key.verify(&token, &sub::<8, ACCEPT>(payload, 8)) {
            Ok(Self { token })
        } else {
            Err(Error::auth())
        }
    }
}

/// `N` bytes from `at` on; the callers keep within the array.
pub(crate) fn sub<const N: usize, const M: usize>(bytes: &[u8; M], at: usize) -> [u8; N] {
    let tail = bytes.get(at..).unwrap_or_default();
    tail.first_chunk().copied().unwrap_or([0; N])
}

/// A handshake frame: stream 0, sequence 0.
pub fn frame(kind: u8, payload: &[u8], dialect: Dialect) -> Result<Vec<u8>, Error> {
    let length = u32::try_from(payload.len())
        .map_err(|_| Error::Misuse("a handshake payload is too long"))?;
    let header = Header {
        kind,
        stream: 0,
        sequence: 0,
        length,
    };
    let mut out = header.encode(dialect)?.to_vec();
    out.extend_from_slice(payload);
    Ok(out)
}

/// Refuses a message that carries our own UUID (trap 7).
pub fn refuse_own(node: NodeId, own: NodeId) -> Result<(), Error> {
    if node == own {
        return Err(Error::peer(
            Class::Identity,
            "the peer has our own UUID: give every node its own, or stop dialing yourself",
        ));
    }
    Ok(())
}

/// The frame of a HELLO in the default dialect, verified.
pub fn verify_hello(bytes: &[u8], key: &ApiKey) -> Result<Hello, Error> {
    Hello::verify(super::wire::payload(bytes, kind::HELLO)?, key)
}

/// The frame of an ACCEPT in the default dialect, verified.
pub fn verify_accept(bytes: &[u8], key: &ApiKey) -> Result<Accept, Error> {
    Accept::verify(super::wire::payload(bytes, kind::ACCEPT)?, key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::hex;

    #[test]
    fn trap_09_the_rfc_hello_and_a_handshake_of_80_bytes_on_the_wire() {
        let key = ApiKey::of_any_length(b"test-secret-key");
        let hello = Hello {
            node: NodeId::parse("a1b2c3d4-e5f6-0718-2930-a1b2c3d4e5f6").unwrap(),
            challenge: 0x1234_5678,
        };
        let payload = hello.encode(&key);
        assert_eq!(
            payload.to_vec(),
            hex("a1b2c3d4e5f607182930a1b2c3d4e5f68b6d98913a9f26e16ba09fadc8fb89d112345678")
        );
        assert_eq!(Hello::verify(&payload, &key).unwrap(), hello);
        let accept = Accept { token: [7; 8] }.encode(&key);
        let sizes = [
            frame(kind::HELLO, &payload, Dialect::Octet).unwrap().len(),
            frame(kind::ACCEPT, &accept, Dialect::Octet).unwrap().len(),
        ];
        assert_eq!(sizes, [50, 30]);
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let key = ApiKey::of_any_length(b"test-secret-key");
        let hello = Hello {
            node: NodeId::from_bytes([0; 16]),
            challenge: 0,
        }
        .encode(&key);
        let accept = Accept { token: [0; 8] }.encode(&key);
        for bit in 0..HELLO * 8 {
            let mut bytes = hello;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let fault = Hello::verify(&bytes, &key).unwrap_err();
            assert_eq!(fault.class(), Some(Class::Auth), "bit {bit}");
        }
        for bit in 0..ACCEPT * 8 {
            let mut bytes = accept;
            bytes[bit / 8] ^= 1 << (bit % 8);
            let fault = Accept::verify(&bytes, &key).unwrap_err();
            assert_eq!(fault.class(), Some(Class::Auth), "bit {bit}");
        }
    }

    #[test]
    fn trap_07_own_uuid_is_always_refused() {
        let own = NodeId::from_bytes([0; 16]);
        let fault = refuse_own(own, own).unwrap_err();
        assert_eq!(fault.class(), Some(Class::Identity));
        refuse_own(NodeId::from_bytes([1; 16]), own).unwrap();
    }
}
