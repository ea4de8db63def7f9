//! Account keys and SAS texts: held zeroizing, never printed.

use crate::encode::percent;
use crate::{Error, Service};
use base64ct::{Base64, Encoding as _};
use core::fmt;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use stillwire_core::UnixTime;
use zeroize::{Zeroize as _, Zeroizing};

/// What proves to the service that we may.
#[derive(Clone)]
pub enum Credential {
    /// The account's own key: may do everything, SAS minting included.
    SharedKey {
        /// The account's name.
        account: String,
        /// Its key.
        key: AccountKey,
    },
    /// A shared access signature, for an account or for one resource.
    Sas(Sas),
}

impl Credential {
    /// The account's name and the base64 text of its key.
    pub fn shared_key(account: impl Into<String>, key: &str) -> Result<Self, Error> {
        Ok(Self::SharedKey {
            account: account.into(),
            key: AccountKey::parse(key)?,
        })
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedKey { account, .. } => write!(f, "SharedKey({account})"),
            Self::Sas(sas) => fmt::Debug::fmt(sas, f),
        }
    }
}

/// An account key, ready for HMAC-SHA256. Clones are the same key: when it is
/// [replaced](Self::replace), it is for all who hold it.
#[derive(Clone)]
pub struct AccountKey {
    /// The key as HMAC's first block: zero padded, or hashed when it is longer.
    block: Arc<RwLock<Zeroizing<[u8; 64]>>>,
}

impl AccountKey {
    /// Longest base64 text accepted; real keys have 88 characters.
    const LONGEST_TEXT: usize = 4_096;

    /// Reads the portal's form, padded standard base64. Space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::LONGEST_TEXT {
            return Err(Error::Key);
        }
        let bytes = Zeroizing::new(Base64::decode_vec(text).map_err(|_| Error::Key)?);
        let mut block = Zeroizing::new([0; 64]);
        if let Some(place) = block.get_mut(..bytes.len()) {
            place.copy_from_slice(&bytes);
        } else {
            let mut hash: [u8; 32] = Sha256::digest(&bytes).into();
            for (place, byte) in block.iter_mut().zip(hash) {
                *place = byte;
            }
            hash.zeroize();
        }
        let block = Arc::new(RwLock::new(block));
        Ok(Self { block })
    }

    /// Becomes another key, for all who hold this one; false when it is that key already.
    pub fn replace(&self, with: &Self) -> bool {
        let new = with.read().clone();
        let mut block = self.block.write().unwrap_or_else(PoisonError::into_inner);
        // In constant time: all bytes are looked at.
        let differ = block
            .iter()
            .zip(new.iter())
            .fold(0, |d, (a, b)| d | (a ^ b));
        if differ == 0 {
            return false;
        }
        *block = new;
        true
    }

    fn read(&self) -> RwLockReadGuard<'_, Zeroizing<[u8; 64]>> {
        self.block.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Base64 of the HMAC-SHA256 of `text`, as every Azure Storage signature is made.
    pub(crate) fn sign(&self, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new((&**self.read()).into());
        mac.update(text.as_bytes());
        Base64::encode_string(&mac.finalize().into_bytes())
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountKey(REDACTED)")
    }
}

/// A SAS: the text of a URL query without its question mark.
#[derive(Clone, PartialEq, Eq)]
pub struct Sas {
    query: Zeroizing<String>,
}

impl Sas {
    /// Longest text accepted.
    pub const LONGEST: usize = 4_096;

    /// Takes the text of a query, with or without its question mark.
    ///
    /// Refused are characters that do not belong in a query, and parameters that would turn a
    /// request into another one: a SAS may come from a peer.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim().trim_start_matches('?');
        if text.is_empty() || text.len() > Self::LONGEST {
            return Err(Error::Sas("empty or too long"));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
            return Err(Error::Sas("it holds characters that belong in no query"));
        }
        let mut signed = false;
        for (name, _) in pairs(text) {
            match name.to_ascii_lowercase().as_str() {
                "sig" => signed = true,
                "comp" | "restype" | "timeout" | "snapshot" | "versionid" | "marker"
                | "maxresults" | "include" | "prefix" | "delimiter" | "numofmessages"
                | "visibilitytimeout" | "messagettl" | "peekonly" | "popreceipt"
                | "nextpartitionkey" | "nextrowkey" => {
                    return Err(Error::Sas("it holds a parameter that is part of no SAS"));
                }
                name if name.starts_with('$') => {
                    return Err(Error::Sas("it holds a parameter that is part of no SAS"));
                }
                _ => {}
            }
        }
        if !signed {
            return Err(Error::Sas("the signature, \"sig\", is missing"));
        }
        Ok(Self {
            query: Zeroizing::new(text.to_owned()),
        })
    }

    /// The secret itself, without a question mark: for the wire only, never for a log.
    pub fn expose(&self) -> &str {
        &self.query
    }

    /// The decoded value of one parameter, `sig` excepted.
    pub fn parameter(&self, name: &str) -> Option<String> {
        if name.eq_ignore_ascii_case("sig") {
            return None;
        }
        pairs(&self.query)
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// When it expires, as far as it says so.
    pub fn expiry(&self) -> Option<UnixTime> {
        crate::date::parse_iso8601(&self.parameter("se")?)
    }

    /// From when on it holds, as far as it says so.
    pub fn start(&self) -> Option<UnixTime> {
        crate::date::parse_iso8601(&self.parameter("st")?)
    }

    /// The service it is for, by its parameters: `sr` blob, `tn` table, else queue.
    pub fn service(&self) -> Service {
        if self.parameter("sr").is_some() {
            Service::Blob
        } else if self.parameter("tn").is_some() {
            Service::Table
        } else {
            Service::Queue
        }
    }

    /// Its permission letters.
    pub fn permissions(&self) -> Option<String> {
        self.parameter("sp")
    }
}

fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|p| !p.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| crate::encode::unpercent(text).unwrap_or_default();
        (decode(name), decode(value))
    })
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sas(")?;
        for (i, (name, value)) in pairs(&self.query).enumerate() {
            if i > 0 {
                f.write_str("&")?;
            }
            // Only what is known to be harmless; a parameter of tomorrow may not be.
            let harmless = matches!(
                name.as_str(),
                "sv" | "st" | "se" | "sp" | "sr" | "spr" | "tn" | "ss" | "srt"
            );
            let value = if harmless {
                percent(&value)
            } else {
                "REDACTED".into()
            };
            write!(f, "{}={value}", percent(&name))?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_sign_as_hmac_says() {
        // RFC 4231, test cases 2 (short key) and 6 (key longer than a block).
        let short = AccountKey::parse("SmVmZQ==").unwrap();
        assert_eq!(
            short.sign("what do ya want for nothing?"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
        let long = AccountKey::parse(&Base64::encode_string(&[0xaa; 131])).unwrap();
        assert_eq!(
            long.sign("Test Using Larger Than Block-Size Key - Hash Key First"),
            "YOQxWR7gtn8Niiaqy/W3f44LxiE3KMUUBUYEDw7jf1Q="
        );
    }

    #[test]
    fn a_replaced_key_is_replaced_for_all_who_hold_it() {
        let held = AccountKey::parse("SmVmZQ==").unwrap();
        let signer = held.clone();
        let before = signer.sign("x");
        assert!(!held.replace(&AccountKey::parse(" SmVmZQ==").unwrap()));
        assert_eq!(signer.sign("x"), before);
        let new = AccountKey::parse("c2VjcmV0").unwrap();
        assert!(held.replace(&new));
        assert_eq!(signer.sign("x"), new.sign("x"));
        assert_ne!(signer.sign("x"), before);
        assert!(!held.replace(&held.clone()));
    }

    #[test]
    fn a_key_is_padded_standard_base64_of_at_least_a_byte() {
        assert!(AccountKey::parse(" c2VjcmV0\n").is_ok());
        for text in [
            "",
            " ",
            "c2VjcmV0=",
            "c2Vjcm",
            "c2Vj cmV0",
            "-_-_",
            "%%%",
            &"AAAA".repeat(1_025),
        ] {
            assert_eq!(AccountKey::parse(text).unwrap_err(), Error::Key, "{text}");
        }
    }

    #[test]
    fn a_sas_is_a_query_with_a_signature() {
        let sas =
            Sas::parse("?sv=2021-12-02&se=2027-01-11T08%3A00%3A27Z&st=2027-01-11&sp=r&sig=x%3D")
                .unwrap();
        assert!(!sas.expose().starts_with('?'));
        assert_eq!(sas.expiry(), Some(UnixTime::from_secs(1_799_654_427)));
        assert_eq!(sas.start(), Some(UnixTime::from_secs(1_799_625_600)));
        assert_eq!(sas.parameter("sv").unwrap(), "2021-12-02");
        assert_eq!(sas.parameter("tn"), None);
        for (text, service) in [
            ("sr=c&sig=x", Service::Blob),
            ("tn=t&sig=x", Service::Table),
            ("sp=a&sig=x", Service::Queue),
        ] {
            assert_eq!(Sas::parse(text).unwrap().service(), service);
        }
        for text in [
            "",
            "?",
            "sv=1",
            "sig=a b",
            "sig=a\r\nHost: x",
            "sig=x#y",
            "sig=é",
            "sig=x&Comp=list",
            "sig=x&restype=container",
            &format!("sig={}", "x".repeat(4_096)),
        ] {
            assert!(matches!(Sas::parse(text), Err(Error::Sas(_))), "{text}");
        }
    }
}
