//! The payload of message 2: what lets the dialer use the session's places.

use super::json::{self, Reader};
use crate::error::{Class, Error};
use alloc::string::String;
use core::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A SAS (or what a driver uses instead) for each direction of a session. Secret: it is zeroized
/// on drop and its `Debug` shows nothing.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Grants {
    /// For writing dialer→listener.
    pub req: String,
    /// For reading listener→dialer.
    pub res: String,
}

impl fmt::Debug for Grants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants").finish_non_exhaustive()
    }
}

impl Grants {
    /// The JSON that goes into message 2, byte for byte as Go's encoder writes it:
    /// `{"req":"…","res":"…"}` with `&` as `\u0026`.
    pub fn to_json(&self) -> Zeroizing<String> {
        const FRAME: usize = 32;
        let text = self.req.len().saturating_add(self.res.len());
        // Enough for the worst case: a string that grows leaves copies of a secret behind.
        let capacity = text
            .saturating_mul(json::LONGEST_ESCAPE)
            .saturating_add(FRAME);
        let mut out = Zeroizing::new(String::with_capacity(capacity));
        out.push_str("{\"req\":");
        json::write_string(&self.req, &mut out);
        out.push_str(",\"res\":");
        json::write_string(&self.res, &mut out);
        out.push('}');
        out
    }

    /// Reads the JSON of message 2. Every fault is [`Class::Encoding`].
    ///
    /// It must be one object with `req` and `res` once each, both strings. Other keys are ignored,
    /// except those that Go would take for one of the two, as it compares without case (trap 15).
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut req = Zeroizing::new(None);
        let mut res = Zeroizing::new(None);
        let mut reader = Reader::new(bytes)?;
        reader.object(|reader, key| {
            let place: &mut Option<String> = if is_like(key, "REQ") {
                &mut req
            } else if is_like(key, "RES") {
                &mut res
            } else {
                return reader.skip();
            };
            if !matches!(key, "req" | "res") || place.is_some() {
                return Err(fault("the tokens name a direction twice"));
            }
            *place = Some(reader.string()?);
            Ok(())
        })?;
        reader.end()?;
        match (req.take(), res.take()) {
            (Some(req), Some(res)) => Ok(Self { req, res }),
            (mut req, mut res) => {
                req.zeroize();
                res.zeroize();
                Err(fault("the tokens lack a direction"))
            }
        }
    }
}

const fn fault(detail: &'static str) -> Error {
    Error::peer(Class::Encoding, detail)
}

/// Compares as Go's decoder does: without case, the long s included.
fn is_like(key: &str, upper: &str) -> bool {
    key.chars().flat_map(char::to_uppercase).eq(upper.chars())
}

#[cfg(test)]
mod tests;
