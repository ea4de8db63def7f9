use super::*;
use crate::commonware::Ed25519;
use crate::commonware::wire::{put_frame, split_frame};
use crate::crypto::tests::low_order;
use core::time::Duration;
use std::vec;

const NOW: UnixTime = UnixTime::from_millis(1_788_079_397_675);

fn secret(byte: u8) -> Secret {
    Secret::from([byte; 32])
}

fn terms(profile: Profile, seed: u8) -> Terms {
    Terms {
        profile,
        namespace: Arc::from(&b"stillwire/tests"[..]),
        identity: Arc::new(Ed25519::new(&secret(seed))),
        window: Window::default(),
        refuse_self: false,
    }
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

/// The bodies of the frames in `bytes`.
fn bodies(profile: Profile, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let split = split_frame(profile.prefix(), bytes, &(0..=1000)).unwrap();
        let (body, rest) = split.unwrap();
        all.push(body.to_vec());
        bytes = rest;
    }
    all
}

/// Dials the identity 2 as the identity 1; gives the bodies of the dialer's frames.
fn dial(profile: Profile) -> (Dialer, Vec<Vec<u8>>) {
    let listener = terms(profile, 2).identity.public();
    let started = Dialer::start(&terms(profile, 1), &listener, secret(11), NOW);
    let (dialer, out) = started.unwrap();
    (dialer, bodies(profile, &out))
}

fn listen_as(terms: &Terms, frames: &[Vec<u8>], now: UnixTime) -> Result<Verified, Error> {
    let (wait, message) = match Listener::start(terms) {
        Listener::Identity(wait) => (wait.take(&frames[0])?, &frames[1]),
        Listener::Message(wait) => (wait, &frames[0]),
    };
    assert!(wait.sizes().contains(&message.len()) || wait.dialer().is_none());
    wait.open(message, now)?.verify()
}

fn listen(profile: Profile, frames: &[Vec<u8>]) -> Result<(Vec<u8>, AwaitAck), Error> {
    let verified = listen_as(&terms(profile, 2), frames, NOW)?;
    let (out, ack) = verified.answer(secret(22), NOW)?;
    Ok((bodies(profile, &out).remove(0), ack))
}

/// The whole exchange up to the Ack, which is the last value.
fn exchange(profile: Profile) -> (Vec<Vec<u8>>, Vec<u8>, Vec<u8>) {
    let (dialer, frames) = dial(profile);
    let (answer, _) = listen(profile, &frames).unwrap();
    let (out, _) = dialer.finish(&answer, NOW).unwrap();
    (frames, answer, bodies(profile, &out).remove(0))
}

#[test]
fn both_ends_agree_and_directions_differ() {
    for profile in Profile::ALL {
        let (dialer, frames) = dial(profile);
        let sizes: Vec<usize> = frames.iter().map(Vec::len).collect();
        if profile == Profile::A {
            assert_eq!(sizes, [167]);
        } else {
            assert_eq!(sizes, [32, 104]);
        }
        let verified = listen_as(&terms(profile, 2), &frames, NOW).unwrap();
        assert_eq!(verified.dialer(), terms(profile, 1).identity.public());
        let (answer, ack) = listen(profile, &frames).unwrap();
        assert!(dialer.sizes().contains(&answer.len()));
        let (out, ours) = dialer.finish(&answer, NOW).unwrap();
        let confirmation = bodies(profile, &out).remove(0);
        assert!(ack.sizes().contains(&confirmation.len()));
        let theirs = ack.finish(&confirmation).unwrap();
        assert_eq!(ours.d2l.as_bytes(), theirs.d2l.as_bytes());
        assert_eq!(ours.l2d.as_bytes(), theirs.l2d.as_bytes());
        assert_ne!(ours.d2l.as_bytes(), ours.l2d.as_bytes());
    }
}

#[test]
fn every_flipped_bit_of_every_message_is_refused() {
    for profile in Profile::ALL {
        let (frames, answer, confirmation) = exchange(profile);
        for (index, frame) in frames.iter().enumerate() {
            for bit in 0..frame.len() * 8 {
                let mut altered = frames.clone();
                altered[index][bit / 8] ^= 1 << (bit % 8);
                assert!(
                    listen(profile, &altered).is_err(),
                    "{profile} {index} {bit}"
                );
            }
        }
        for bit in 0..answer.len() * 8 {
            let mut altered = answer.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let finished = dial(profile).0.finish(&altered, NOW);
            assert!(finished.is_err(), "{profile} answer {bit}");
        }
        for bit in 0..confirmation.len() * 8 {
            let mut altered = confirmation.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let (_, ack) = listen(profile, &frames).unwrap();
            assert_eq!(
                class(ack.finish(&altered)),
                Some(Class::Auth),
                "{profile} {bit}"
            );
        }
    }
}

#[test]
fn case_099_100_every_other_length_of_every_message_is_refused() {
    for profile in Profile::ALL {
        let (frames, answer, confirmation) = exchange(profile);
        let lengths = |frame: &Vec<u8>| {
            let mut all: Vec<Vec<u8>> = (0..frame.len()).map(|n| frame[..n].to_vec()).collect();
            all.push([frame, &[0][..]].concat());
            all
        };
        let first = frames.len() - 1;
        for (index, frame) in frames.iter().enumerate() {
            for altered in lengths(frame) {
                let mut altered_frames = frames.clone();
                altered_frames[index] = altered;
                let refused = match Listener::start(&terms(profile, 2)) {
                    Listener::Identity(wait) => wait.take(&altered_frames[0]),
                    Listener::Message(wait) => Ok(wait),
                }
                .and_then(|wait| wait.open(&altered_frames[first], NOW));
                assert_eq!(class(refused), Some(Class::Length), "{profile} {index}");
            }
        }
        for altered in lengths(&answer) {
            let refused = dial(profile).0.finish(&altered, NOW);
            assert_eq!(class(refused), Some(Class::Length), "{profile}");
        }
        for altered in lengths(&confirmation) {
            let (_, ack) = listen(profile, &frames).unwrap();
            assert_eq!(
                class(ack.finish(&altered)),
                Some(Class::Length),
                "{profile}"
            );
        }
    }
}

#[test]
fn case_101_another_namespace_is_refused_but_not_in_era_b() {
    for profile in Profile::ALL {
        let (_, frames) = dial(profile);
        let mut other = terms(profile, 2);
        other.namespace = Arc::from(&b"another"[..]);
        let fault = class(listen_as(&other, &frames, NOW));
        let expected = (profile != Profile::B).then_some(Class::Auth);
        assert_eq!(fault, expected, "{profile}");
    }
}

#[test]
fn case_102_a_message_for_another_listener_is_refused() {
    for profile in Profile::ALL {
        let (_, frames) = dial(profile);
        let fault = class(listen_as(&terms(profile, 3), &frames, NOW));
        let expected = if profile == Profile::A {
            Class::Identity
        } else {
            Class::Auth
        };
        assert_eq!(fault, Some(expected), "{profile}");
    }
}

#[test]
fn case_107_confirmations_are_not_exchangeable() {
    for profile in Profile::ALL {
        let (frames, answer, confirmation) = exchange(profile);
        let (signed, theirs) = answer.split_at(answer.len() - confirmation.len());
        let (_, ack) = listen(profile, &frames).unwrap();
        assert_eq!(class(ack.finish(theirs)), Some(Class::Auth), "{profile}");
        let swapped = [signed, &confirmation].concat();
        let finished = dial(profile).0.finish(&swapped, NOW);
        assert_eq!(class(finished), Some(Class::Auth), "{profile}");
    }
}

#[test]
fn case_108_109_answers_and_acks_of_another_session_are_refused() {
    for profile in Profile::ALL {
        let (frames, answer, confirmation) = exchange(profile);
        let listener = terms(profile, 2).identity.public();
        let again = Dialer::start(&terms(profile, 1), &listener, secret(12), NOW);
        let (dialer, _) = again.unwrap();
        assert_eq!(class(dialer.finish(&answer, NOW)), Some(Class::Auth));
        let verified = listen_as(&terms(profile, 2), &frames, NOW).unwrap();
        let (_, ack) = verified.answer(secret(23), NOW).unwrap();
        assert_eq!(class(ack.finish(&confirmation)), Some(Class::Auth));
    }
}

#[test]
fn case_110_another_era_is_refused() {
    for ours in Profile::ALL {
        for theirs in Profile::ALL.into_iter().filter(|theirs| *theirs != ours) {
            let (_, frames) = dial(theirs);
            let mut bytes = Vec::new();
            for frame in &frames {
                put_frame(theirs.prefix(), frame, &mut bytes).unwrap();
            }
            let (sizes, first) = match Listener::start(&terms(ours, 2)) {
                Listener::Identity(_) => (IDENTITY..=IDENTITY, false),
                Listener::Message(wait) => (wait.sizes(), true),
            };
            if let Err(error) = split_frame(ours.prefix(), &bytes, &sizes) {
                assert_eq!(error.class(), Some(Class::Length));
                continue;
            }
            // Eras with the same frames differ in what is signed.
            assert!(!first && theirs != Profile::A);
            let refused = listen_as(&terms(ours, 2), &frames, NOW);
            assert_eq!(class(refused), Some(Class::Auth), "{ours} {theirs}");
        }
    }
}

/// An identity that every signature like this one fits.
const SMALL_ORDER: [u8; 32] = {
    let mut identity = [0; 32];
    identity[0] = 1;
    identity
};

/// What a dialer of that identity says.
fn dial_as_small_order(profile: Profile) -> Vec<Vec<u8>> {
    let mut signature = [0; 64];
    signature[0] = 1;
    let (_, mut frames) = dial(profile);
    let last = frames.last_mut().unwrap();
    let end = last.len();
    last[end - 64..].copy_from_slice(&signature);
    if profile == Profile::A {
        last[end - 96..end - 64].copy_from_slice(&SMALL_ORDER);
    } else {
        frames[0] = SMALL_ORDER.to_vec();
    }
    frames
}

#[test]
fn trap_01_small_order_identities_are_refused_by_both_ends_in_every_era() {
    for profile in Profile::ALL {
        let refused = Dialer::start(&terms(profile, 1), &SMALL_ORDER, secret(11), NOW);
        assert_eq!(class(refused), Some(Class::Identity), "{profile}");
        let refused = listen_as(&terms(profile, 2), &dial_as_small_order(profile), NOW);
        assert_eq!(class(refused), Some(Class::Identity), "{profile}");
    }
}

#[test]
fn the_identity_comes_before_the_window() {
    let late = NOW.after(Duration::from_secs(11));
    for profile in Profile::ALL {
        let refused = listen_as(&terms(profile, 2), &dial_as_small_order(profile), late);
        assert_eq!(class(refused), Some(Class::Identity), "{profile}");
        let (_, frames) = dial(profile);
        let refused = listen_as(&terms(profile, 2), &frames, late);
        assert_eq!(class(refused), Some(Class::Stale), "{profile}");
    }
}

/// In era a the answer names its signer, too.
#[test]
fn the_identity_of_an_answer_comes_before_the_window() {
    let (dialer, frames) = dial(Profile::A);
    let (answer, _) = listen(Profile::A, &frames).unwrap();
    let mut forged = answer.clone();
    // Signer, signature, confirmation.
    let signer = forged.len() - 32 - 64 - 16;
    forged[signer..signer + 32].copy_from_slice(&SMALL_ORDER);
    let late = NOW.after(Duration::from_secs(11));
    let refused = dialer.finish(&forged, late);
    assert_eq!(class(refused), Some(Class::Identity));
    let refused = dial(Profile::A).0.finish(&answer, late);
    assert_eq!(class(refused), Some(Class::Stale));
}

#[test]
fn trap_02_a_key_that_agrees_on_nothing_is_refused_by_both_ends() {
    for profile in [Profile::B, Profile::V0, Profile::V1] {
        for key in low_order() {
            let (dialer, frames) = dial(profile);
            let listener = terms(profile, 2);
            // The other end signs the low-order key honestly: only the agreement can notice.
            let mut frames = frames;
            let honest = frames[1].clone();
            frames[1] = sign_first(&terms(profile, 1), &listener, &key);
            let verified = listen_as(&listener, &frames, NOW).unwrap();
            let refused = verified.answer(secret(22), NOW);
            assert_eq!(class(refused), Some(Class::WeakKey), "{profile}");
            // A signature that is none is seen before.
            *frames[1].last_mut().unwrap() ^= 1;
            let refused = listen_as(&listener, &frames, NOW);
            assert_eq!(class(refused), Some(Class::Auth), "{profile}");

            let mut answer = sign_answer(&terms(profile, 1), &listener, &honest, &key);
            let refused = dialer.finish(&answer, NOW);
            assert_eq!(class(refused), Some(Class::WeakKey), "{profile}");
            // The signature ends before the confirmation.
            let end = answer.len() - 32;
            answer[end - 1] ^= 1;
            let refused = dial(profile).0.finish(&answer, NOW);
            assert_eq!(class(refused), Some(Class::Auth), "{profile}");
        }
    }
}

/// A Syn with any ephemeral key, signed.
fn sign_first(dialer: &Terms, listener: &Terms, key: &[u8; 32]) -> Vec<u8> {
    let (profile, time) = (dialer.profile, NOW.as_millis().to_be_bytes());
    let mut transcript = syn::begin(dialer);
    let public = [&listener.identity, &dialer.identity].map(|identity| identity.public());
    let parts: [&[u8]; 4] = [&time, &public[0], &public[1], key];
    syn::commit_first(&mut transcript, profile, parts);
    let signature = syn::sign(dialer, &transcript).unwrap();
    [&time[..], key, &signature].concat()
}

/// A SynAck to `first` with any ephemeral key, signed, and a confirmation of nothing.
fn sign_answer(dialer: &Terms, listener: &Terms, first: &[u8], key: &[u8; 32]) -> Vec<u8> {
    let (profile, time) = (dialer.profile, NOW.as_millis().to_be_bytes());
    let mut transcript = syn::begin(dialer);
    let public = [&listener.identity, &dialer.identity].map(|identity| identity.public());
    let parts: [&[u8]; 4] = [&first[..8], &public[0], &public[1], &first[8..40]];
    syn::commit_first(&mut transcript, profile, parts);
    let parts: [&[u8]; 3] = [&public[1], &time, key];
    syn::commit_answer(&mut transcript, profile, parts);
    let signature = syn::sign(listener, &transcript).unwrap();
    [&time[..], key, &signature, &[0; 32]].concat()
}

#[test]
fn trap_03_the_window_of_the_answer_is_that_of_its_receipt() {
    let later = NOW.after(Duration::from_secs(7));
    for profile in Profile::ALL {
        // Seven seconds on the way: more than the bound of five, and all is well.
        let (dialer, frames) = dial(profile);
        let verified = listen_as(&terms(profile, 2), &frames, later).unwrap();
        let (out, _) = verified.answer(secret(22), later).unwrap();
        let answer = bodies(profile, &out).remove(0);
        assert!(dialer.finish(&answer, later).is_ok(), "{profile}");
        // An answer from before the window is refused whenever the dialer started.
        let (dialer, _) = dial(profile);
        let refused = dialer.finish(&answer, later.after(Duration::from_secs(11)));
        assert_eq!(class(refused), Some(Class::Stale), "{profile}");
        let (dialer, _) = dial(profile);
        let refused = dialer.finish(&answer, later.before(Duration::from_secs(6)));
        assert_eq!(class(refused), Some(Class::Future), "{profile}");
    }
}

#[test]
fn the_window_comes_before_the_signature() {
    for profile in Profile::ALL {
        let (_, mut frames) = dial(profile);
        let last = frames.last_mut().unwrap();
        *last.last_mut().unwrap() ^= 1;
        let late = NOW.after(Duration::from_secs(11));
        let refused = listen_as(&terms(profile, 2), &frames, late);
        assert_eq!(class(refused), Some(Class::Stale), "{profile}");
        let refused = listen_as(&terms(profile, 2), &frames, NOW);
        assert_eq!(class(refused), Some(Class::Auth), "{profile}");
    }
}

#[test]
fn trap_07_our_own_identity_is_refused_in_the_hardened_profile() {
    for profile in Profile::ALL {
        for refuse_self in [false, true] {
            let mut terms = terms(profile, 1);
            terms.refuse_self = refuse_self;
            let own = terms.identity.public();
            let expected = (refuse_self || profile == Profile::A).then_some(Class::Identity);
            let started = Dialer::start(&terms, &own, secret(11), NOW);
            assert_eq!(class(started), expected, "{profile}");
            if profile == Profile::A {
                continue;
            }
            let Listener::Identity(wait) = Listener::start(&terms) else {
                panic!("{profile} begins with the identity");
            };
            assert_eq!(class(wait.take(&own)), expected, "{profile}");
        }
    }
}

#[test]
fn a_reflected_message_is_refused() {
    for profile in Profile::ALL {
        let (dialer, frames) = dial(profile);
        let mut reflected = frames.last().unwrap().clone();
        reflected.extend(vec![0; if profile == Profile::A { 16 } else { 32 }]);
        let expected = if profile == Profile::A {
            Class::Identity
        } else {
            Class::Auth
        };
        let refused = dialer.finish(&reflected, NOW);
        assert_eq!(class(refused), Some(expected), "{profile}");
    }
}
