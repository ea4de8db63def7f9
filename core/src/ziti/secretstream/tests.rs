use super::*;
use crate::crypto::tests::{hex, hex32};
use std::vec;
use std::vec::Vec;

/// Key, header and three messages of one stream, which libsodium made (vectors
/// ziti-secretstream-0007 and others).
const KEY: &str = "0aef494558fb3cabb82a155a029dbdd13a7e780f8bb1d490f4b811b8bdc481fc";
const HEADER_TEXT: &str = "32fb85d8b010ba61236819708cf4ce6a37dc6d21a9d41bec";
const FIRST: &str = "a4ebf4adf6ec84f33a5b5ce6b9e0aa472fcc3aadde9194de1f63798be6f4e86687dd7cfc9694";
const FIRST_PLAIN: &str = "e6446926cf0f08b56a1ac403c2b4f4f37269ab37f0";
const SECOND: &str =
    "0d46dfdd04c7b247c14d13ca12018c74821ec7bdcdd0bd376638b8756c8f7aecec72323d75255d";

fn key() -> Secret {
    Secret::from(hex32(KEY))
}

fn stream_header() -> [u8; HEADER] {
    hex(HEADER_TEXT).try_into().unwrap()
}

fn push() -> Push {
    Push::new(&key(), &stream_header())
}

fn pull(dialect: Dialect) -> Pull {
    Pull::new(&key(), &stream_header(), dialect)
}

fn seal(push: &mut Push, tag: u8, plain: &[u8]) -> Result<Vec<u8>, Error> {
    let mut message = vec![0; plain.len() + OVERHEAD];
    message[PREFIX..][..plain.len()].copy_from_slice(plain);
    push.seal(tag, &[], &mut message).map(|()| message)
}

fn open(pull: &mut Pull, wire: &[u8]) -> Result<(u8, Vec<u8>), Error> {
    let mut message = wire.to_vec();
    let tag = pull.open(&[], &mut message)?;
    Ok((tag, message[PREFIX..message.len() - MAC].to_vec()))
}

fn class<T>(result: Result<T, Error>) -> Class {
    result.err().and_then(|error| error.class()).unwrap()
}

#[test]
fn libsodiums_messages_seal_and_open() {
    let first = hex(FIRST_PLAIN);
    assert_eq!(seal(&mut push(), tag::MESSAGE, &first).unwrap(), hex(FIRST));
    let mut pull = pull(Dialect::Sodium);
    assert_eq!(open(&mut pull, &hex(FIRST)), Ok((tag::MESSAGE, first)));
    assert_eq!(open(&mut pull, &hex(SECOND)).unwrap().0, tag::MESSAGE);
}

#[test]
fn trap_01_only_the_nonce_changes_unless_the_tag_asks_for_a_key() {
    let mut push = push();
    let before = *push.state.key.as_bytes();
    let inner = push.state.inner;
    seal(&mut push, tag::MESSAGE, b"one").unwrap();
    assert_eq!(push.state.key.as_bytes(), &before);
    assert_ne!(push.state.inner, inner);
    seal(&mut push, tag::PUSH, b"two").unwrap();
    assert_eq!(push.state.key.as_bytes(), &before);
    assert_eq!(push.state.counter, 3);
    seal(&mut push, tag::REKEY, b"three").unwrap();
    assert_ne!(push.state.key.as_bytes(), &before);
    assert_eq!(push.state.counter, 1);
}

#[test]
fn trap_01_a_key_for_every_message_is_followed_by_libsodium_semantics() {
    let (mut push, mut pull) = (push(), pull(Dialect::Sodium));
    let mut keys = vec![*push.state.key.as_bytes()];
    for length in 0..40 {
        let plain = vec![length; usize::from(length)];
        let wire = seal(&mut push, tag::REKEY, &plain).unwrap();
        assert_eq!(open(&mut pull, &wire), Ok((tag::REKEY, plain)));
        assert_eq!(pull.state.key.as_bytes(), push.state.key.as_bytes());
        assert!(!keys.contains(push.state.key.as_bytes()));
        keys.push(*push.state.key.as_bytes());
    }
}

#[test]
fn trap_02_the_header_is_random_once_and_then_a_counter() {
    let mut rng = Rng::from_seed([4; 32]);
    let (mut a, first) = Push::start(&key(), &mut rng);
    let (b, second) = Push::start(&key(), &mut rng);
    assert_ne!(first, second);
    assert_ne!(a.state.key.as_bytes(), b.state.key.as_bytes());
    assert_eq!(a.state.counter, 1);
    // The same message again is another one on the wire, and nothing random went into it.
    let one = seal(&mut a, tag::MESSAGE, b"same").unwrap();
    let two = seal(&mut a, tag::MESSAGE, b"same").unwrap();
    assert_ne!(one, two);
    let mut again = Push::new(&key(), &first);
    assert_eq!(seal(&mut again, tag::MESSAGE, b"same").unwrap(), one);
    assert_eq!(seal(&mut again, tag::MESSAGE, b"same").unwrap(), two);
}

#[test]
fn trap_03_sealing_ends_before_the_counter_wraps() {
    assert_eq!(push().remaining(), Some(u32::MAX));
    let mut push = Push::at(&key(), &stream_header(), u32::MAX - 1);
    assert_eq!(push.remaining(), Some(2));
    seal(&mut push, tag::MESSAGE, b"").unwrap();
    assert_eq!(push.remaining(), Some(1));
    seal(&mut push, tag::MESSAGE, b"").unwrap();
    assert_eq!(push.remaining(), Some(0));
    for _ in 0..2 {
        assert_eq!(class(seal(&mut push, tag::MESSAGE, b"")), Class::NonceLimit);
        assert_eq!(class(push.rekey()), Class::NonceLimit);
    }
}

#[test]
fn trap_03_a_peer_known_to_rekey_goes_on_past_the_wrap() {
    let mut push = Push::at(&key(), &stream_header(), u32::MAX).peer_rekeys();
    let mut pull = Pull::at(&key(), &stream_header(), Dialect::Sodium, u32::MAX);
    assert_eq!(push.remaining(), None);
    let before = *push.state.key.as_bytes();
    for at in 0..3 {
        let wire = seal(&mut push, tag::MESSAGE, &[at]).unwrap();
        assert_eq!(open(&mut pull, &wire), Ok((tag::MESSAGE, vec![at])));
        assert_ne!(push.state.key.as_bytes(), &before);
    }
    assert_eq!(push.state.counter, 3);
}

#[test]
fn trap_03_a_peer_that_never_rekeys_has_no_message_2_to_the_32() {
    let mut pull = Pull::at(&key(), &stream_header(), Dialect::NoRekey, u32::MAX);
    let mut push = Push::at(&key(), &stream_header(), u32::MAX).peer_rekeys();
    let last = seal(&mut push, tag::MESSAGE, b"last").unwrap();
    let next = seal(&mut push, tag::MESSAGE, b"next").unwrap();
    open(&mut pull, &last).unwrap();
    for _ in 0..2 {
        assert_eq!(class(open(&mut pull, &next)), Class::NonceLimit);
    }
}

#[test]
fn trap_05_a_failed_open_poisons_the_stream() {
    let (first, second) = (hex(FIRST), hex(SECOND));
    let mut pull = pull(Dialect::Sodium);
    open(&mut pull, &first).unwrap();
    let mut forged = second.clone();
    forged[4] ^= 1;
    assert_eq!(class(open(&mut pull, &forged)), Class::Auth);
    assert_eq!(class(open(&mut pull, &second)), Class::Auth);
    assert_eq!(class(pull.rekey()), Class::Auth);
    assert!(!pull.is_final());
}

#[test]
fn trap_05_data_after_final_is_an_error() {
    let (mut push, mut pull) = (push(), pull(Dialect::Sodium));
    let last = seal(&mut push, tag::FINAL, b"bye").unwrap();
    assert!(matches!(
        seal(&mut push, tag::MESSAGE, b"more"),
        Err(Error::Misuse(_))
    ));
    assert_eq!(push.remaining(), Some(0));
    assert!(!pull.is_final());
    assert_eq!(open(&mut pull, &last), Ok((tag::FINAL, b"bye".to_vec())));
    assert!(pull.is_final());
    for _ in 0..2 {
        assert_eq!(class(open(&mut pull, &last)), Class::State);
    }
}

#[test]
fn case_83_and_85_every_cut_and_every_flipped_bit_is_refused() {
    let wire = hex(FIRST);
    for end in 0..wire.len() {
        let expected = if end < OVERHEAD {
            Class::Truncated
        } else {
            Class::Auth
        };
        let cut = open(&mut pull(Dialect::Sodium), &wire[..end]);
        assert_eq!(class(cut), expected, "{end}");
    }
    for bit in 0..wire.len() * 8 {
        let mut forged = wire.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        let mut left = forged.clone();
        let opened = pull(Dialect::Sodium).open(&[], &mut left);
        assert_eq!(class(opened), Class::Auth, "{bit}");
        assert_eq!(left, forged, "plaintext is left behind");
    }
}

#[test]
fn case_86_replay_swap_and_drop_are_refused() {
    let (first, second) = (hex(FIRST), hex(SECOND));
    let mut replayed = pull(Dialect::Sodium);
    open(&mut replayed, &first).unwrap();
    assert_eq!(class(open(&mut replayed, &first)), Class::Auth);
    let mut swapped = pull(Dialect::Sodium);
    assert_eq!(class(open(&mut swapped, &second)), Class::Auth);
    assert_eq!(class(open(&mut swapped, &first)), Class::Auth);
}

#[test]
fn case_89_a_rekey_parts_the_dialects() {
    for (dialect, follows) in [(Dialect::Sodium, true), (Dialect::NoRekey, false)] {
        let (mut push, mut pull) = (push(), pull(dialect));
        let rekey = seal(&mut push, tag::REKEY, b"now").unwrap();
        let after = seal(&mut push, tag::MESSAGE, b"then").unwrap();
        assert_eq!(open(&mut pull, &rekey), Ok((tag::REKEY, b"now".to_vec())));
        assert_eq!(open(&mut pull, &after).is_ok(), follows);
    }
}

#[test]
fn case_91_any_tag_is_handed_on_and_bit_0x02_alone_changes_the_key() {
    for tag in 0..=u8::MAX {
        let (mut push, mut pull) = (push(), pull(Dialect::Sodium));
        let before = *push.state.key.as_bytes();
        let wire = seal(&mut push, tag, b"tagged").unwrap();
        assert_eq!(open(&mut pull, &wire), Ok((tag, b"tagged".to_vec())));
        let changed = push.state.key.as_bytes() != &before;
        assert_eq!(changed, tag & 0x02 != 0, "{tag:#04x}");
        assert_eq!(pull.state.key.as_bytes(), push.state.key.as_bytes());
        assert_eq!(pull.is_final(), tag == tag::FINAL);
        assert_eq!(seal(&mut push, 0, b"on").is_ok(), tag != tag::FINAL);
    }
}

#[test]
fn case_92_associated_data_is_authenticated() {
    for length in [1, 15, 16, 17, 100] {
        let ad = vec![0xad; length];
        let mut message = vec![0; OVERHEAD + 5];
        push().seal(tag::MESSAGE, &ad, &mut message).unwrap();
        let open = |ad: &[u8]| {
            let mut copy = message.clone();
            pull(Dialect::Sodium).open(ad, &mut copy)
        };
        assert_eq!(open(&ad), Ok(tag::MESSAGE));
        assert_eq!(class(open(&[])), Class::Auth);
        assert_eq!(class(open(&ad[1..])), Class::Auth);
        // Zeros up to the block are padding, but the length is authenticated too.
        let mut longer = ad.clone();
        longer.push(0);
        assert_eq!(class(open(&longer)), Class::Auth);
    }
}

#[test]
fn an_explicit_rekey_is_done_at_both_ends_or_nothing_opens() {
    let (mut push, mut both, mut one) = (push(), pull(Dialect::Sodium), pull(Dialect::Sodium));
    let first = seal(&mut push, tag::MESSAGE, b"before").unwrap();
    open(&mut both, &first).unwrap();
    open(&mut one, &first).unwrap();
    push.rekey().unwrap();
    both.rekey().unwrap();
    let second = seal(&mut push, tag::MESSAGE, b"after").unwrap();
    assert_eq!(open(&mut both, &second).unwrap().1, b"after");
    assert_eq!(class(open(&mut one, &second)), Class::Auth);
}

#[test]
fn a_message_without_room_is_misuse_and_costs_no_nonce() {
    for length in 0..OVERHEAD {
        let mut push = push();
        let short = push.seal(tag::MESSAGE, &[], &mut vec![0; length]);
        assert!(matches!(short, Err(Error::Misuse(_))), "{length}");
        assert_eq!(
            seal(&mut push, tag::MESSAGE, &hex(FIRST_PLAIN)).unwrap(),
            hex(FIRST)
        );
    }
}

#[test]
fn case_87_long_messages_of_every_residue_are_sealed_as_by_hand() {
    // The same bytes by the slow way: state and pieces, no shortcut.
    for length in (600..632).chain([PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 9, 65_536]) {
        let plain: Vec<u8> = (0..length).map(|at| (at * 7) as u8).collect();
        let (mut push, mut pull) = (push(), pull(Dialect::Sodium));
        for tag in [tag::MESSAGE, tag::REKEY, tag::PUSH] {
            let mut body = plain.clone();
            let (first, mac) = push.state.seal(tag, b"", &mut body).unwrap();
            let wire = seal(&mut push, tag, &plain).unwrap();
            assert_eq!(wire[0], first, "{length}");
            assert!(wire[1..=length] == body, "{length}");
            assert_eq!(wire[length + 1..], mac, "{length}");
            assert_eq!(open(&mut pull, &wire).unwrap(), (tag, plain.clone()));
        }
        let mut forged = seal(&mut push, tag::MESSAGE, &plain).unwrap();
        forged[length / 2] ^= 1;
        let before = forged.clone();
        assert_eq!(class(pull.open(b"", &mut forged)), Class::Auth);
        assert!(forged == before, "plaintext is left behind");
    }
}

#[test]
fn case_87_the_padding_of_rfc_8439_is_refused_at_every_residue_but_0_and_8() {
    for length in 600..616 {
        let mut body = vec![7; length];
        let state = push().state;
        let (first, _) = state.seal(tag::MESSAGE, &[], &mut body).unwrap();
        let (_, mut mac, mut block) = state.start(&[]).unwrap();
        block[0] = first;
        mac.blocks(block.as_slice());
        mac.padded(&body);
        let lengths = [0_u64.to_le_bytes(), (64 + length as u64).to_le_bytes()];
        let tag = mac.finish(lengths.as_flattened());
        let wire = [&[first], body.as_slice(), &tag].concat();
        let opened = open(&mut pull(Dialect::Sodium), &wire);
        assert_eq!(opened.is_ok(), length % 8 == 0, "{length}");
    }
}
