//! The key schedule (page `protocols/asoc` of the book, "The hardened profile").

use super::{ACCEPT, HELLO, PROOF, said};
use crate::asoc::key::ApiKey;
use crate::crypto::{Secret, hkdf, sha256};
use crate::error::Error;
use alloc::vec::Vec;
use zeroize::Zeroizing;

const MAC: &[u8] = b"stillwire asoc hardened 1 mac";
const TO_SERVER: &[u8] = b"stillwire asoc hardened 1 client to server";
const TO_CLIENT: &[u8] = b"stillwire asoc hardened 1 server to client";

/// The MAC key of an API key in a community.
pub(super) fn mac_key(key: &ApiKey, community: &str) -> Result<Secret, Error> {
    let salt = sha256::digest(community.as_bytes());
    derived(&hkdf::extract(&salt, key.as_bytes()), MAC)
}

fn derived(prk: &Secret, info: &[u8]) -> Result<Secret, Error> {
    let mut out = Zeroizing::new([0; 32]);
    hkdf::expand(prk, &[info], out.as_mut_slice())?;
    Ok(Secret::from(*out))
}

/// Everything that both ends derive from a handshake. No `Debug`: these are keys.
pub struct Schedule {
    /// K: the key of the three MACs.
    pub mac: Secret,
    /// T: the hash of both payloads.
    pub transcript: [u8; 32],
    /// Seals what the client sends.
    pub client_to_server: Secret,
    /// Seals what the server sends.
    pub server_to_client: Secret,
}

impl Schedule {
    /// From the payloads of HELLO and ACCEPT and the X25519 secret `shared`. MACs are not checked
    /// here.
    pub fn derive(
        key: &ApiKey,
        community: &str,
        hello: &[u8; HELLO],
        accept: &[u8; ACCEPT],
        shared: &Secret,
    ) -> Result<Self, Error> {
        Self::of(mac_key(key, community)?, hello, accept, shared)
    }

    pub(super) fn of(
        mac: Secret,
        hello: &[u8; HELLO],
        accept: &[u8; ACCEPT],
        shared: &Secret,
    ) -> Result<Self, Error> {
        let transcript = sha256::digest(&said(hello, &[accept]));
        let mut material = Zeroizing::new([0; 64]);
        let parts = shared.as_bytes().iter().chain(mac.as_bytes());
        for (to, from) in material.iter_mut().zip(parts) {
            *to = *from;
        }
        let prk = hkdf::extract(&transcript, material.as_slice());
        Ok(Self {
            mac,
            transcript,
            client_to_server: derived(&prk, TO_SERVER)?,
            server_to_client: derived(&prk, TO_CLIENT)?,
        })
    }

    /// What the client proves itself with.
    pub fn proof(&self) -> [u8; PROOF] {
        sha256::hmac(self.mac.as_bytes(), &self.said())
    }

    /// What PROOF is a MAC over.
    pub(super) fn said(&self) -> Vec<u8> {
        said(b"proof", &[&self.transcript])
    }
}
