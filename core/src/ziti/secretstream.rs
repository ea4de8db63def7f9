//! One direction of a session (wire page `ziti`, "Stream"): libsodium's
//! `crypto_secretstream_xchacha20poly1305`.
//!
//! A message is `encrypted tag byte ‖ ciphertext ‖ Poly1305`, [`OVERHEAD`] bytes more than its
//! plaintext. What bounds a message is the layer below.

mod whole;

use crate::crypto::chacha20::{ChaCha20, hchacha20};
use crate::crypto::poly1305::{self, Poly1305};
use crate::crypto::{Rng, Secret};
use crate::error::{Class, Error};
use whole::Whole;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes of the header that opens a direction.
pub const HEADER: usize = 24;
/// Bytes of the Poly1305 tag.
pub const MAC: usize = poly1305::BLOCK;
/// Bytes in front of the ciphertext: the encrypted tag byte.
pub const PREFIX: usize = 1;
/// What a message adds to its plaintext.
pub const OVERHEAD: usize = PREFIX + MAC;

/// The tag byte that says what a message is for. Any other value is handed on as it is.
pub mod tag {
    /// Nothing special.
    pub const MESSAGE: u8 = 0;
    /// The end of a set of messages.
    pub const PUSH: u8 = 1;
    /// Both ends change the key after this message.
    pub const REKEY: u8 = 2;
    /// The last message of this direction.
    pub const FINAL: u8 = 3;
}

/// The longest plaintext: what is left of the keystream behind its first two blocks.
const LONGEST: u64 = 64 * ((1 << 32) - 2);

/// Bytes that are encrypted and hashed in one go, so that they stay in the nearest cache.
const PIECE: usize = 2 << 10;

/// What a peer makes of the tags that ask for a new key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// libsodium: a new key after every tag with bit 0x02, and when the counter wraps.
    #[default]
    Sodium,
    /// Releases of openziti/secretstream up to v0.1.51: never a new key. The tag is handed on, and
    /// the direction ends where the counter would wrap.
    NoRekey,
}

/// Key and nonce of the next message.
#[derive(Zeroize, ZeroizeOnDrop)]
struct State {
    key: Secret,
    counter: u32,
    inner: [u8; 8],
}

impl State {
    fn new(key: &Secret, header: &[u8; HEADER], counter: u32) -> Self {
        let salt = header.first_chunk::<16>().copied().unwrap_or_default();
        let inner = header.last_chunk::<8>().copied().unwrap_or_default();
        Self {
            key: hchacha20(key, &salt),
            counter,
            inner,
        }
    }

    fn nonce(&self) -> [u8; 12] {
        let mut nonce = [0; 12];
        let counter = self.counter.to_le_bytes();
        for (to, from) in nonce.iter_mut().zip(counter.iter().chain(&self.inner)) {
            *to = *from;
        }
        nonce
    }

    fn cipher(&self) -> ChaCha20 {
        ChaCha20::new(&self.key, &self.nonce())
    }

    /// Seals `plain` in place; gives the encrypted tag byte and the MAC.
    fn seal(&self, tag: u8, ad: &[u8], plain: &mut [u8]) -> Result<(u8, [u8; MAC]), Error> {
        let (mut cipher, mut mac, mut block) = self.start(ad)?;
        let mut first = tag;
        if let Some(byte) = block.first_mut() {
            *byte ^= tag;
            first = *byte;
        }
        mac.blocks(block.as_slice());
        let mut rest: &[u8] = &[];
        let length = plain.len();
        for piece in plain.chunks_mut(PIECE) {
            cipher.apply(piece)?;
            rest = mac.blocks(piece);
        }
        Ok((first, finish(mac, rest, ad.len(), length)?))
    }

    /// Opens `sealed` in place; gives the tag byte.
    fn open(
        &self,
        first: u8,
        ad: &[u8],
        sealed: &mut [u8],
        claimed: &[u8; MAC],
    ) -> Result<u8, Error> {
        let (mut cipher, mut mac, mut block) = self.start(ad)?;
        let mut tag = first;
        if let Some(byte) = block.first_mut() {
            tag ^= *byte;
            *byte = first;
        }
        mac.blocks(block.as_slice());
        let rest = mac.blocks(sealed);
        let expected = finish(mac, rest, ad.len(), sealed.len())?;
        if !poly1305::equal(&expected, claimed) {
            return Err(Error::auth());
        }
        cipher.apply(sealed)?;
        Ok(tag)
    }

    /// The cipher before block 2, the authenticator, and block 1.
    fn start(&self, ad: &[u8]) -> Result<(ChaCha20, Poly1305, Zeroizing<[u8; 64]>), Error> {
        let mut cipher = self.cipher();
        let mut block = Zeroizing::new([0; 64]);
        cipher.apply(block.as_mut_slice())?;
        let key = Zeroizing::new(block.first_chunk::<32>().copied().unwrap_or_default());
        let mut mac = Poly1305::new(&key);
        mac.padded(ad);
        block.fill(0);
        cipher.apply(block.as_mut_slice())?;
        Ok((cipher, mac, block))
    }

    /// After a message: the MAC goes into the nonce. False when the counter has wrapped.
    fn step(&mut self, mac: &[u8; MAC]) -> bool {
        for (to, from) in self.inner.iter_mut().zip(mac) {
            *to ^= from;
        }
        self.counter = self.counter.wrapping_add(1);
        self.counter != 0
    }

    fn rekey(&mut self) -> Result<(), Error> {
        let mut next = Zeroizing::new([0; 40]);
        let old = self.key.as_bytes().iter().chain(&self.inner);
        for (to, from) in next.iter_mut().zip(old) {
            *to = *from;
        }
        self.cipher().apply(next.as_mut_slice())?;
        let key = Zeroizing::new(next.first_chunk::<32>().copied().unwrap_or_default());
        self.key = Secret::from(*key);
        self.inner = next.last_chunk::<8>().copied().unwrap_or_default();
        self.counter = 1;
        Ok(())
    }
}

/// What follows the whole blocks of the ciphertext: its last bytes, as many zeros as the length
/// has bytes over a multiple of 16 (libsodium's quirk, where RFC 8439 fills the block up), and the
/// two lengths.
fn finish(mac: Poly1305, rest: &[u8], ad: usize, length: usize) -> Result<[u8; MAC], Error> {
    const LONG: Error = Error::Misuse("a message is longer than 2^63 bytes");
    let mut last = [0; 3 * MAC];
    let lengths = rest.len().saturating_mul(2);
    let ad = u64::try_from(ad).map_err(|_| LONG)?.to_le_bytes();
    let length = length.checked_add(64).ok_or(LONG)?;
    let length = u64::try_from(length).map_err(|_| LONG)?.to_le_bytes();
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let spare = last.get_mut(lengths..).unwrap_or_default();
    for (to, from) in spare.iter_mut().zip(ad.iter().chain(&length)) {
        *to = *from;
    }
    let end = lengths.saturating_add(MAC);
    Ok(mac.finish(last.get(..end).unwrap_or_default()))
}

/// Seals the messages of one direction, each with the next nonce.
pub struct Push {
    state: State,
    whole: Whole,
    peer_rekeys: bool,
    /// Why nothing more can be sealed.
    over: Option<Error>,
}

const FINISHED: Error = Error::Misuse("nothing can be sent after the final message");
const USED_UP: Error = Error::limit(
    Class::NonceLimit,
    "2^32 - 1 messages were sealed under one key; open a new connection",
);

impl Push {
    /// Starts a direction. The header goes first and alone; key and header are used together once.
    pub fn new(key: &Secret, header: &[u8; HEADER]) -> Self {
        Self::at(key, header, 1)
    }

    /// As [`Push::new`], the next message being number `counter`. Whoever calls this knows that
    /// nothing was sealed from there on.
    pub fn at(key: &Secret, header: &[u8; HEADER], counter: u32) -> Self {
        Self {
            state: State::new(key, header, counter),
            whole: Whole::new(),
            peer_rekeys: false,
            over: None,
        }
    }

    /// Starts a direction with a header of its own.
    pub fn start(key: &Secret, rng: &mut Rng) -> (Self, [u8; HEADER]) {
        let header = rng.array();
        (Self::new(key, &header), header)
    }

    /// The peer is known to change the key when the counter wraps, as libsodium does. Without this
    /// the direction ends there: old releases of openziti/secretstream do not follow (trap 3).
    #[must_use]
    pub fn peer_rekeys(mut self) -> Self {
        self.peer_rekeys = true;
        self
    }

    /// How many more messages can be sealed without a new key; [`None`] for no bound.
    pub fn remaining(&self) -> Option<u32> {
        match (&self.over, self.peer_rekeys) {
            (Some(_), _) => Some(0),
            (None, true) => None,
            (None, false) => {
                let counter = self.state.counter.max(1);
                Some(u32::MAX.saturating_sub(counter).saturating_add(1))
            }
        }
    }

    /// Changes the key without a message, as libsodium's `crypto_secretstream_rekey`: the peer must
    /// do the same at the same place.
    pub fn rekey(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        self.whole.forget_key();
        self.state.rekey()
    }

    /// Seals a message in place.
    ///
    /// `message` is [`PREFIX`] spare bytes, the plaintext, [`MAC`] spare bytes; afterwards it is
    /// what is to be sent. Without room for the spare bytes it is misuse and changes nothing.
    /// After [`tag::FINAL`] everything is misuse; after message 2^32 − 1 it is
    /// [`Class::NonceLimit`], unless [`Push::peer_rekeys`].
    pub fn seal(&mut self, tag: u8, ad: &[u8], message: &mut [u8]) -> Result<(), Error> {
        const SHORT: Error = Error::Misuse("a message needs room for its tag byte and MAC");
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        let (first, body) = message.split_first_mut().ok_or(SHORT)?;
        let (plain, to) = body.split_last_chunk_mut::<MAC>().ok_or(SHORT)?;
        if u64::try_from(plain.len()).is_ok_and(|length| length > LONGEST) {
            return Err(Error::Misuse("a message is longer than 256 GiB"));
        }
        let whole = self.whole.seal(&self.state, tag, ad, plain);
        let sealed = whole.map_or_else(|| self.state.seal(tag, ad, plain), Ok);
        (*first, *to) = sealed?;
        let wrapped = !self.state.step(to);
        if wrapped && !self.peer_rekeys {
            self.over = Some(USED_UP);
        } else if wrapped || tag & tag::REKEY != 0 {
            self.state.rekey()?;
            self.whole.forget_key();
        }
        if tag == tag::FINAL {
            self.over = Some(FINISHED);
        }
        Ok(())
    }
}

/// Opens the messages of one direction, in order.
pub struct Pull {
    state: State,
    whole: Whole,
    dialect: Dialect,
    /// Why nothing more can be opened.
    over: Option<Error>,
}

const TRUNCATED: Error = Error::peer(Class::Truncated, "a message is too short for a MAC");
const AFTER_FINAL: Error = Error::peer(Class::State, "a message came after the final one");
const COUNTED_OUT: Error = Error::limit(
    Class::NonceLimit,
    "the peer never changes the key and has used all numbers of this one",
);

impl Pull {
    /// Starts a direction with the header that came first.
    pub fn new(key: &Secret, header: &[u8; HEADER], dialect: Dialect) -> Self {
        Self::at(key, header, dialect, 1)
    }

    /// As [`Pull::new`], the next message being number `counter`.
    pub fn at(key: &Secret, header: &[u8; HEADER], dialect: Dialect, counter: u32) -> Self {
        Self {
            state: State::new(key, header, counter),
            whole: Whole::new(),
            dialect,
            over: None,
        }
    }

    /// True after [`tag::FINAL`]: the direction ended authentically.
    pub fn is_final(&self) -> bool {
        self.over == Some(AFTER_FINAL)
    }

    /// Changes the key without a message; see [`Push::rekey`].
    pub fn rekey(&mut self) -> Result<(), Error> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        self.whole.forget_key();
        self.state.rekey()
    }

    /// Opens a message in place and gives its tag byte; the plaintext then stands in `message`
    /// behind [`PREFIX`] and before [`MAC`] bytes.
    ///
    /// Fails for ever after it failed once, and holds no plaintext then: [`Class::Truncated`] under
    /// [`OVERHEAD`] bytes, [`Class::Auth`], [`Class::State`] after [`tag::FINAL`],
    /// [`Class::NonceLimit`] where a dialect that never rekeys has run out of numbers.
    pub fn open(&mut self, ad: &[u8], message: &mut [u8]) -> Result<u8, Error> {
        if let Some(error) = &self.over {
            return Err(error.clone());
        }
        let opened = self.open_next(ad, message);
        match &opened {
            Ok(tag::FINAL) => self.over = Some(AFTER_FINAL),
            Ok(_) => {}
            Err(error) => self.over = Some(error.clone()),
        }
        opened
    }

    fn open_next(&mut self, ad: &[u8], message: &mut [u8]) -> Result<u8, Error> {
        if self.state.counter == 0 {
            return Err(COUNTED_OUT);
        }
        let (first, body) = message.split_first_mut().ok_or(TRUNCATED)?;
        let (sealed, claimed) = body.split_last_chunk_mut::<MAC>().ok_or(TRUNCATED)?;
        let whole = self.whole.open(&self.state, *first, ad, sealed, claimed);
        let opened = whole.unwrap_or_else(|| self.state.open(*first, ad, sealed, claimed));
        let tag = opened?;
        let wrapped = !self.state.step(claimed);
        if self.dialect == Dialect::Sodium && (wrapped || tag & tag::REKEY != 0) {
            self.state.rekey()?;
            self.whole.forget_key();
        }
        Ok(tag)
    }
}

#[cfg(test)]
mod tests;
