//! Messages that a plain ChaCha20-Poly1305 seals and opens in one go.
//!
//! Block 1 is the tag block and block 2 the first of the body, so a message is what RFC 8439 makes of
//! `tag ‖ 63 zeros ‖ plaintext`, where the odd padding is no other than its own: at lengths of 0 and 8
//! modulo 16. With feature `aws-lc` that is worth a copy; in pure Rust both ways are the same code.

use super::{MAC, State};
use crate::error::Error;

pub(super) use backend::Whole;

#[cfg(not(feature = "aws-lc"))]
mod backend {
    use super::{Error, MAC, State};

    pub(in super::super) struct Whole;

    #[expect(clippy::unused_self, reason = "as its other form")]
    impl Whole {
        pub(in super::super) fn new() -> Self {
            Self
        }

        pub(in super::super) fn forget_key(&mut self) {}

        pub(in super::super) fn seal(
            &mut self,
            _: &State,
            _: u8,
            _: &[u8],
            _: &mut [u8],
        ) -> Option<(u8, [u8; MAC])> {
            None
        }

        pub(in super::super) fn open(
            &mut self,
            _: &State,
            _: u8,
            _: &[u8],
            _: &mut [u8],
            _: &[u8; MAC],
        ) -> Option<Result<u8, Error>> {
            None
        }
    }
}

#[cfg(feature = "aws-lc")]
mod backend {
    use super::{Error, MAC, State};
    use crate::crypto::ChaCha20Poly1305;
    use alloc::vec::Vec;
    use zeroize::Zeroizing;

    const BLOCK: usize = 64;
    /// Shorter ones are not worth it.
    const SHORTEST: usize = 512;

    pub(in super::super) struct Whole {
        key: Option<ChaCha20Poly1305>,
        buffer: Zeroizing<Vec<u8>>,
    }

    fn fits(length: usize) -> bool {
        length >= SHORTEST && length.is_multiple_of(8)
    }

    impl Whole {
        pub(in super::super) fn new() -> Self {
            Self {
                key: None,
                buffer: Zeroizing::new(Vec::new()),
            }
        }

        /// The state has another key.
        pub(in super::super) fn forget_key(&mut self) {
            self.key = None;
        }

        /// Gives the encrypted tag byte and the MAC, or nothing and has changed nothing.
        pub(in super::super) fn seal(
            &mut self,
            state: &State,
            tag: u8,
            ad: &[u8],
            plain: &mut [u8],
        ) -> Option<(u8, [u8; MAC])> {
            if !fits(plain.len()) {
                return None;
            }
            self.fill(&[tag], plain);
            let key = self
                .key
                .get_or_insert_with(|| ChaCha20Poly1305::new(&state.key));
            let mac = key.seal_in_place(&state.nonce(), ad, &mut self.buffer);
            let (block, sealed) = self.buffer.split_first_chunk::<BLOCK>()?;
            let mac = mac.ok()?;
            plain.copy_from_slice(sealed);
            Some((*block.first()?, mac))
        }

        /// Gives the tag byte, or nothing and has changed nothing.
        pub(in super::super) fn open(
            &mut self,
            state: &State,
            first: u8,
            ad: &[u8],
            sealed: &mut [u8],
            mac: &[u8; MAC],
        ) -> Option<Result<u8, Error>> {
            if !fits(sealed.len()) {
                return None;
            }
            let (_, _, mut block) = state.start(&[]).ok()?;
            *block.first_mut()? = first;
            self.fill(block.as_slice(), sealed);
            let key = self
                .key
                .get_or_insert_with(|| ChaCha20Poly1305::new(&state.key));
            if let Err(error) = key.open_in_place(&state.nonce(), ad, &mut self.buffer, mac) {
                return Some(Err(error));
            }
            let (block, plain) = self.buffer.split_first_chunk::<BLOCK>()?;
            sealed.copy_from_slice(plain);
            Some(Ok(*block.first()?))
        }

        fn fill(&mut self, start: &[u8], body: &[u8]) {
            self.buffer.clear();
            // Never by growing what holds plaintext: that would leave a copy behind.
            let size = body.len().saturating_add(BLOCK);
            if self.buffer.capacity() < size {
                self.buffer = Zeroizing::new(Vec::with_capacity(size));
            }
            self.buffer.extend_from_slice(start);
            self.buffer.resize(BLOCK, 0);
            self.buffer.extend_from_slice(body);
        }
    }
}
