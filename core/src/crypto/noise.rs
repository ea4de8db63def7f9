//! snow on our own primitives.
//!
//! Differences from snow's own resolver: a low-order public key is [`snow::Error::Dh`] (wire page
//! `aznet`, trap 4), and the ephemeral key is handed in, so that every byte of a handshake is the
//! caller's.

/// The handshake state machine itself, for patterns and prologues that aznet does not use.
pub use snow;

use super::{Aes256Gcm, Secret, sha256, x25519};
use alloc::boxed::Box;
use sha2::{Digest, Sha256};
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::CryptoResolver;
use snow::types::{Cipher, Dh, Hash, Random};

const TAG: usize = 16;

/// Gives snow our primitives and one ephemeral key.
pub struct Resolver {
    ephemeral: Secret,
}

impl Resolver {
    /// `ephemeral` becomes the private key of the one `e` that this end sends.
    pub fn new(ephemeral: Secret) -> Self {
        Self { ephemeral }
    }
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        Some(Box::new(Once(Some(self.ephemeral.clone()))))
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        if *choice != DHChoice::Curve25519 {
            return None;
        }
        Some(Box::new(X25519 {
            secret: Secret::from([0; 32]),
            public: [0; 32],
        }))
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        if *choice != HashChoice::SHA256 {
            return None;
        }
        Some(Box::new(HashSha256(Sha256::new())))
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        if *choice != CipherChoice::AESGCM {
            return None;
        }
        Some(Box::new(AesGcm(None)))
    }
}

/// Hands out one secret, once: a second ephemeral in one handshake would be a fault.
struct Once(Option<Secret>);

impl Random for Once {
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Error> {
        let secret = self.0.take().ok_or(Error::Rng)?;
        let out: &mut [u8; 32] = out.try_into().map_err(|_| Error::Rng)?;
        *out = *secret.as_bytes();
        Ok(())
    }
}

struct X25519 {
    secret: Secret,
    public: [u8; 32],
}

impl X25519 {
    fn replace(&mut self, secret: Secret) {
        self.public = x25519::public(&secret);
        self.secret = secret;
    }
}

impl Dh for X25519 {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, secret: &[u8]) {
        // snow has no error here; our callers pass 32 bytes, and a zero key agrees with nobody.
        let bytes = secret.first_chunk::<32>().copied().unwrap_or_default();
        self.replace(Secret::from(bytes));
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        rng.try_fill_bytes(bytes.as_mut_slice())?;
        self.replace(Secret::from(*bytes));
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    fn dh(&self, public: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let public = public.first_chunk::<32>().ok_or(Error::Dh)?;
        let out = out.first_chunk_mut::<32>().ok_or(Error::Dh)?;
        let shared = x25519::dh(&self.secret, public).map_err(|_| Error::Dh)?;
        *out = *shared.as_bytes();
        Ok(())
    }
}

struct HashSha256(Sha256);

impl Hash for HashSha256 {
    fn name(&self) -> &'static str {
        "SHA256"
    }

    fn block_len(&self) -> usize {
        64
    }

    fn hash_len(&self) -> usize {
        32
    }

    fn reset(&mut self) {
        self.0.reset();
    }

    fn input(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    fn result(&mut self, out: &mut [u8]) {
        if let Some(out) = out.first_chunk_mut::<32>() {
            *out = self.0.finalize_reset().into();
        }
    }

    fn hmac(&mut self, key: &[u8], data: &[u8], out: &mut [u8]) {
        if let Some(out) = out.first_chunk_mut::<32>() {
            *out = sha256::hmac(key, data);
        }
    }
}

/// AESGCM of the Noise specification: the nonce is four zeros and the counter, big-endian.
struct AesGcm(Option<Aes256Gcm>);

fn nonce(counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    if let Some(tail) = nonce.last_chunk_mut::<8>() {
        *tail = counter.to_be_bytes();
    }
    nonce
}

impl AesGcm {
    fn seal(&self, counter: u64, aad: &[u8], plain: &[u8], out: &mut [u8]) -> Option<()> {
        let (body, rest) = out.split_at_mut_checked(plain.len())?;
        let tag = rest.first_chunk_mut::<TAG>()?;
        body.copy_from_slice(plain);
        *tag = self
            .0
            .as_ref()?
            .seal_in_place(&nonce(counter), aad, body)
            .ok()?;
        Some(())
    }
}

impl Cipher for AesGcm {
    fn name(&self) -> &'static str {
        "AESGCM"
    }

    fn set(&mut self, key: &[u8; 32]) {
        self.0 = Some(Aes256Gcm::new(&Secret::from(*key)));
    }

    fn encrypt(&self, counter: u64, aad: &[u8], plain: &[u8], out: &mut [u8]) -> usize {
        let length = plain.len().saturating_add(TAG).min(out.len());
        if self.seal(counter, aad, plain, out).is_none() {
            // snow has no error here, and checks sizes before. Zeros open for nobody.
            out.fill(0);
        }
        length
    }

    fn decrypt(
        &self,
        counter: u64,
        aad: &[u8],
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let (body, tag) = sealed.split_last_chunk::<TAG>().ok_or(Error::Decrypt)?;
        let out = out.get_mut(..body.len()).ok_or(Error::Decrypt)?;
        out.copy_from_slice(body);
        let key = self.0.as_ref().ok_or(Error::Decrypt)?;
        key.open_in_place(&nonce(counter), aad, out, tag)
            .map_err(|_| Error::Decrypt)?;
        Ok(body.len())
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
