//! The key exchange (wire page `ziti`, "Keys"): libsodium's `crypto_kx`.

use super::Role;
use crate::crypto::{Rng, Secret, blake2b, x25519};
use crate::error::Error;
use zeroize::Zeroizing;

/// Bytes of a public key.
pub const PUBLIC_KEY: usize = 32;

/// An X25519 key pair.
pub struct KeyPair {
    secret: Secret,
    public: [u8; PUBLIC_KEY],
}

impl KeyPair {
    /// The pair of a secret scalar, which is clamped in use.
    pub fn from_secret(secret: Secret) -> Self {
        let public = x25519::public(&secret);
        Self { secret, public }
    }

    /// The pair of a seed: the secret key is its BLAKE2b-256.
    pub fn from_seed(seed: &Secret) -> Self {
        Self::from_secret(Secret::from(blake2b::digest_256(&[seed.as_bytes()])))
    }

    /// A fresh pair.
    pub fn generate(rng: &mut Rng) -> Self {
        Self::from_secret(Secret::from(rng.array()))
    }

    /// The public key, as it is sent.
    pub fn public(&self) -> [u8; PUBLIC_KEY] {
        self.public
    }
}

/// The keys of both directions, as one end sees them.
pub struct SessionKeys {
    /// Opens what the peer sends.
    pub rx: Secret,
    /// Seals what we send.
    pub tx: Secret,
}

/// The session keys of `own` and the peer's public key. The dialer is libsodium's client.
///
/// The top bit of `peer` is masked in the agreement and hashed as it came. A key of low order is
/// [`Class::WeakKey`](crate::Class::WeakKey).
pub fn session_keys(
    role: Role,
    own: &KeyPair,
    peer: &[u8; PUBLIC_KEY],
) -> Result<SessionKeys, Error> {
    let shared = x25519::dh(&own.secret, peer)?;
    let (client, server) = in_order(role, &own.public, peer);
    let hash = Zeroizing::new(blake2b::digest_512(&[shared.as_bytes(), client, server]));
    let half = |bytes: Option<&[u8; 32]>| Secret::from(bytes.copied().unwrap_or_default());
    let (first, second) = (half(hash.first_chunk()), half(hash.last_chunk()));
    Ok(match role {
        Role::Dialer => SessionKeys {
            rx: first,
            tx: second,
        },
        Role::Listener => SessionKeys {
            rx: second,
            tx: first,
        },
    })
}

/// Both public keys, the client's first.
pub(super) fn in_order<'a>(
    role: Role,
    own: &'a [u8; PUBLIC_KEY],
    peer: &'a [u8; PUBLIC_KEY],
) -> (&'a [u8; PUBLIC_KEY], &'a [u8; PUBLIC_KEY]) {
    match role {
        Role::Dialer => (own, peer),
        Role::Listener => (peer, own),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::tests::{hex32, low_order};
    use crate::error::Class;

    /// Vector ziti-kx-0001, which libsodium made.
    const CLIENT: &str = "24b00464a97c3d02720e2472c190ae7cb980068d56dda6b0ed40b964a2c49606";
    const SERVER_PUBLIC: &str = "c8e44d20df771a623b62ad0dce00833b3fdc9660107668908b038f6152edfe4f";
    const RX: &str = "2b535fde3fd0d458d2b6060b7d3aacdfa7c3b4fa089669e5814c167d7f34e259";
    const TX: &str = "a5ab72e432f6e849263fc17c027151ba96b09f8d4d77506a2cacf663a04ca709";

    fn client() -> KeyPair {
        KeyPair::from_secret(Secret::from(hex32(CLIENT)))
    }

    #[test]
    fn the_dialer_is_the_client_and_the_roles_mirror() {
        let keys = session_keys(Role::Dialer, &client(), &hex32(SERVER_PUBLIC)).unwrap();
        assert_eq!(keys.rx.as_bytes(), &hex32(RX));
        assert_eq!(keys.tx.as_bytes(), &hex32(TX));
        let server = KeyPair::from_secret(Secret::from(hex32(
            "d7588927f74cdf8c0174e7c04713e22040f6d268f8ee947f62132a90df0c0e23",
        )));
        assert_eq!(server.public(), hex32(SERVER_PUBLIC));
        let keys = session_keys(Role::Listener, &server, &client().public()).unwrap();
        assert_eq!(keys.rx.as_bytes(), &hex32(TX));
        assert_eq!(keys.tx.as_bytes(), &hex32(RX));
    }

    #[test]
    fn case_78_both_in_one_role_share_no_key() {
        let keys = session_keys(Role::Listener, &client(), &hex32(SERVER_PUBLIC)).unwrap();
        for other in [RX, TX] {
            assert_ne!(keys.rx.as_bytes(), &hex32(other));
            assert_ne!(keys.tx.as_bytes(), &hex32(other));
        }
    }

    #[test]
    fn the_top_bit_is_masked_in_the_agreement_and_hashed_as_it_came() {
        let mut set = hex32(SERVER_PUBLIC);
        set[31] |= 0x80;
        let shared = |public| x25519::dh(&client().secret, public).unwrap();
        assert_eq!(
            shared(&set).as_bytes(),
            shared(&hex32(SERVER_PUBLIC)).as_bytes()
        );
        let keys = session_keys(Role::Dialer, &client(), &set).unwrap();
        assert_ne!(keys.rx.as_bytes(), &hex32(RX));
    }

    #[test]
    fn case_77_every_key_of_low_order_is_weak() {
        for public in low_order() {
            for role in [Role::Dialer, Role::Listener] {
                let fault = session_keys(role, &client(), &public).err().unwrap();
                assert_eq!(fault.class(), Some(Class::WeakKey));
            }
        }
    }
}
