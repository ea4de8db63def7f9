//! Syns seen before (wire page `commonware`, trap 4).

use super::identity::PublicKey;
use crate::crypto::Secret;
use crate::time::UnixTime;
use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

/// Places among which an entry may choose.
const WAYS: usize = 8;

/// Remembers which (identity, ephemeral key) pairs came, each until its Syn is stale anyway.
///
/// Shared by all connections of a listener, without a lock: each entry is one word, 32 bits of a
/// keyed hash and the second at which it may be forgotten. Two pairs look alike once in 2^29 Syns;
/// the second dialer then fails, and succeeds when it tries again with another key.
///
/// It never refuses a fresh Syn for want of room: it forgets the entry that would have gone first.
/// What a forgotten one costs is a signature and a key agreement, never a connection. Give it some
/// eight times the Syns that may come within the window.
pub struct SynCache {
    key: Secret,
    slots: Box<[AtomicU64]>,
}

struct Place<'a> {
    bucket: &'a [AtomicU64],
    print: u64,
}

fn print(entry: u64) -> u64 {
    entry >> 32
}

fn is_live(entry: u64, now: u64) -> bool {
    entry & 0xffff_ffff >= now
}

/// Seconds since the epoch; they stop at the end of 32 bits, in 2106.
fn seconds(time: UnixTime) -> u64 {
    time.as_secs().min(0xffff_ffff)
}

impl SynCache {
    /// A cache of about `capacity` entries, 8 bytes each. `seed`: 32 random bytes, used for
    /// nothing else; they keep others from choosing entries that crowd each other out.
    pub fn new(capacity: usize, seed: [u8; 32]) -> Self {
        let buckets = capacity.div_ceil(WAYS).max(1);
        let slots = (0..buckets.saturating_mul(WAYS)).map(|_| AtomicU64::new(0));
        Self {
            key: Secret::from(seed),
            slots: slots.collect(),
        }
    }

    fn place(&self, dialer: &PublicKey, ephemeral: &[u8; 32]) -> Place<'_> {
        let mut hasher = blake3::Hasher::new_keyed(self.key.as_bytes());
        let hash = hasher.update(dialer).update(ephemeral).finalize();
        let (buckets, _) = self.slots.as_chunks::<WAYS>();
        let (words, _) = hash.as_bytes().as_chunks::<8>();
        let mut words = words.iter().map(|word| u64::from_le_bytes(*word));
        let at = words.next().unwrap_or_default();
        let print = words.next().unwrap_or_default() >> 32;
        let count = u64::try_from(buckets.len()).unwrap_or(u64::MAX);
        let at = usize::try_from(at.checked_rem(count).unwrap_or_default()).unwrap_or_default();
        Place {
            bucket: buckets.get(at).map_or(&[], |bucket| &bucket[..]),
            print,
        }
    }

    /// Whether this pair came before and is not yet stale.
    pub fn has(&self, dialer: &PublicKey, ephemeral: &[u8; 32], now: UnixTime) -> bool {
        let (place, now) = (self.place(dialer, ephemeral), seconds(now));
        place.live(now).any(|entry| print(entry) == place.print)
    }

    /// Remembers a pair until `until`; false when it was there already. Of two calls at the same
    /// moment at most one is told true.
    pub fn insert(
        &self,
        dialer: &PublicKey,
        ephemeral: &[u8; 32],
        until: UnixTime,
        now: UnixTime,
    ) -> bool {
        let (place, now) = (self.place(dialer, ephemeral), seconds(now));
        let entry = place.print << 32 | seconds(until).max(1);
        // Another thread may take the slot first; with as many tries as slots somebody is losing
        // a race on purpose.
        for _ in 0..WAYS {
            if place.live(now).any(|other| print(other) == place.print) {
                return false;
            }
            let soonest = place.bucket.iter().min_by_key(|slot| {
                let entry = slot.load(Ordering::SeqCst);
                if is_live(entry, now) {
                    entry & 0xffff_ffff
                } else {
                    0
                }
            });
            let Some(slot) = soonest else {
                return false;
            };
            let old = slot.load(Ordering::SeqCst);
            let won = slot.compare_exchange(old, entry, Ordering::SeqCst, Ordering::SeqCst);
            if won.is_err() {
                continue;
            }
            let copies = place.live(now).filter(|other| print(*other) == place.print);
            if copies.count() > 1 {
                // Twice at once: both may see both, and then both are refused.
                return false;
            }
            return true;
        }
        false
    }
}

impl Place<'_> {
    fn live(&self, now: u64) -> impl Iterator<Item = u64> {
        let entries = self.bucket.iter().map(|slot| slot.load(Ordering::SeqCst));
        entries.filter(move |entry| *entry != 0 && is_live(*entry, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;
    use std::vec::Vec;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    fn pair(n: u32) -> (PublicKey, [u8; 32]) {
        let mut ephemeral = [9; 32];
        ephemeral[..4].copy_from_slice(&n.to_be_bytes());
        ([n as u8; 32], ephemeral)
    }

    #[test]
    fn trap_04_a_pair_is_taken_once_until_it_is_stale() {
        let cache = SynCache::new(100, [1; 32]);
        let (dialer, ephemeral) = pair(1);
        assert!(!cache.has(&dialer, &ephemeral, at(100)));
        assert!(cache.insert(&dialer, &ephemeral, at(110), at(100)));
        for now in [100, 110] {
            assert!(cache.has(&dialer, &ephemeral, at(now)));
            assert!(!cache.insert(&dialer, &ephemeral, at(120), at(now)));
        }
        // Another key of the same dialer, and the same key from another.
        assert!(cache.insert(&dialer, &pair(2).1, at(110), at(100)));
        assert!(cache.insert(&pair(3).0, &ephemeral, at(110), at(100)));
        assert!(!cache.has(&dialer, &ephemeral, at(111)));
        assert!(cache.insert(&dialer, &ephemeral, at(121), at(111)));
    }

    #[test]
    fn a_full_cache_forgets_what_would_have_gone_first() {
        let cache = SynCache::new(1, [1; 32]);
        for n in 0..9 {
            let (dialer, ephemeral) = pair(n);
            assert!(cache.insert(&dialer, &ephemeral, at(110 + u64::from(n)), at(100)));
        }
        let remembered: Vec<bool> = (0..9)
            .map(|n| cache.has(&pair(n).0, &pair(n).1, at(100)))
            .collect();
        assert_eq!(
            remembered,
            [false, true, true, true, true, true, true, true, true]
        );
    }

    #[test]
    fn thousands_of_pairs_are_told_apart() {
        let cache = SynCache::new(80_000, [2; 32]);
        for n in 0..10_000 {
            let (dialer, ephemeral) = pair(n);
            assert!(cache.insert(&dialer, &ephemeral, at(110), at(100)), "{n}");
        }
        for n in 0..10_000 {
            let (dialer, ephemeral) = pair(n);
            assert!(!cache.insert(&dialer, &ephemeral, at(110), at(100)), "{n}");
        }
    }

    #[test]
    fn of_many_at_once_at_most_one_is_admitted() {
        for round in 0..200 {
            let cache = Arc::new(SynCache::new(64, [3; 32]));
            let (dialer, ephemeral) = pair(round);
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    let cache = cache.clone();
                    thread::spawn(move || cache.insert(&dialer, &ephemeral, at(110), at(100)))
                })
                .collect();
            let admitted = threads.into_iter().map(|thread| thread.join().unwrap());
            assert!(admitted.filter(|admitted| *admitted).count() <= 1);
            assert!(cache.has(&dialer, &ephemeral, at(100)));
        }
    }
}
