//! The BLAKE3 transcript of eras b, V0 and V1 (wire page `commonware`, "V0" and "V1").

use super::Profile;
use super::wire::put_varint;
use crate::crypto::Secret;
use alloc::boxed::Box;
use alloc::vec::Vec;
use zeroize::Zeroizing;

/// What a hasher is for, as its first byte says.
#[derive(Clone, Copy)]
enum Start {
    New = 0x00,
    Fork = 0x02,
    Noise = 0x03,
}

/// A hash of everything committed so far. Zeroized on drop: after the key agreement it is secret.
pub(super) struct Transcript {
    hasher: Box<Zeroizing<blake3::Hasher>>,
    /// V1 writes the length behind each commitment with its bytes in reverse.
    reversed: bool,
}

/// 32 bytes of a transcript, compared in constant time.
pub(super) struct Summary(Zeroizing<[u8; 32]>);

impl Summary {
    pub(super) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Compares in constant time; another length is another value.
    pub(super) fn is(&self, bytes: &[u8]) -> bool {
        blake3::Hash::from_bytes(*self.0) == *bytes
    }
}

impl Transcript {
    fn begin(start: Start, key: Option<&Summary>, label: &[u8], reversed: bool) -> Self {
        let hasher = key.map_or_else(blake3::Hasher::new, |key| {
            blake3::Hasher::new_keyed(key.as_bytes())
        });
        let mut transcript = Self {
            hasher: Box::new(Zeroizing::new(hasher)),
            reversed,
        };
        transcript.hasher.update(&[start as u8]);
        transcript.commit(label);
        transcript
    }

    /// A fresh transcript that has committed to `namespace`.
    pub(super) fn new(profile: Profile, namespace: &[u8]) -> Self {
        Self::begin(Start::New, None, namespace, profile == Profile::V1)
    }

    /// Commits to `data`: the bytes, then their number as a varint.
    pub(super) fn commit(&mut self, data: &[u8]) {
        let mut length = Vec::with_capacity(10);
        put_varint(data.len() as u64, &mut length);
        if self.reversed {
            length.reverse();
        }
        self.hasher.update(data).update(&length);
    }

    /// The hash so far; the transcript goes on.
    pub(super) fn summary(&self) -> Summary {
        Summary(Zeroizing::new(self.hasher.finalize().into()))
    }

    /// A transcript that goes on from here under another name.
    pub(super) fn fork(&self, label: &[u8]) -> Self {
        let parent = self.summary();
        Self::begin(Start::Fork, Some(&parent), label, self.reversed)
    }

    /// A key that depends on everything so far.
    pub(super) fn noise(&self, label: &[u8]) -> Secret {
        let parent = self.summary();
        let noise = Self::begin(Start::Noise, Some(&parent), label, self.reversed);
        let mut key = Zeroizing::new([0; 32]);
        noise.hasher.finalize_xof().fill(key.as_mut_slice());
        Secret::from(*key)
    }
}
