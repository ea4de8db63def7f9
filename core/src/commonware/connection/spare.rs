//! The buffer that was last handed to the carrier, to be sealed into again.
//!
//! A large one that is given back to the system after every message has to be cleared and mapped
//! anew for the next, which takes longer than sealing does.

use crate::time::Instant;
use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

/// Buffers smaller than this are not worth keeping.
const WORTH_KEEPING: usize = 64 << 10;

/// How long one is kept that nobody used.
const KEPT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Spare {
    /// Another handle of what the carrier holds.
    handed: Bytes,
    /// When it goes, unless it was used since.
    until: Option<Instant>,
    used: bool,
}

impl Spare {
    /// `bytes` go to the carrier.
    pub(super) fn handed(&mut self, bytes: &Bytes, now: Instant) {
        if bytes.len() < WORTH_KEEPING {
            return;
        }
        self.handed = bytes.clone();
        self.used = true;
        // Not moved by every message, so that no timer is.
        self.until.get_or_insert(now.after(KEPT));
    }

    /// An empty buffer: the last one, if the carrier is through with it.
    pub(super) fn take(&mut self) -> Vec<u8> {
        match core::mem::take(&mut self.handed).try_into_mut() {
            Ok(buffer) => {
                let mut buffer = Vec::from(buffer);
                buffer.clear();
                buffer
            }
            // Dropped with the carrier's.
            Err(_) => Vec::new(),
        }
    }

    /// When it wants to hear the time.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            if core::mem::take(&mut self.used) {
                self.until = Some(now.after(KEPT));
            } else {
                *self = Self::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn at(millis: u64) -> Instant {
        Instant::ZERO.after(Duration::from_millis(millis))
    }

    fn buffer() -> Bytes {
        Bytes::from(vec![7; WORTH_KEEPING])
    }

    #[test]
    fn a_buffer_is_used_again_once_the_carrier_has_dropped_it() {
        let mut spare = Spare::default();
        let bytes = buffer();
        let place = bytes.as_ptr();
        spare.handed(&bytes, at(0));
        drop(bytes);
        let again = spare.take();
        assert!(again.is_empty() && again.capacity() >= WORTH_KEEPING);
        assert_eq!(again.as_ptr(), place);
        assert_eq!(spare.take().capacity(), 0);
    }

    #[test]
    fn a_buffer_that_the_carrier_still_holds_is_left_alone() {
        let mut spare = Spare::default();
        let bytes = buffer();
        spare.handed(&bytes, at(0));
        assert_eq!(spare.take().capacity(), 0);
        assert_eq!(bytes, vec![7; WORTH_KEEPING]);
    }

    #[test]
    fn a_buffer_that_nobody_used_for_a_second_is_given_back() {
        let mut spare = Spare::default();
        spare.handed(&buffer(), at(0));
        spare.handed(&buffer(), at(900));
        assert_eq!(spare.until(), Some(at(1_000)));
        spare.expire(at(1_000));
        assert_eq!(spare.until(), Some(at(2_000)));
        spare.expire(at(1_999));
        assert!(!spare.handed.is_empty());
        spare.expire(at(2_000));
        assert!(spare.handed.is_empty());
        assert_eq!(spare.until(), None);
    }

    #[test]
    fn a_small_buffer_is_not_kept() {
        let mut spare = Spare::default();
        spare.handed(&Bytes::from(vec![7; WORTH_KEEPING - 1]), at(0));
        assert_eq!((spare.until(), spare.take().capacity()), (None, 0));
    }
}
