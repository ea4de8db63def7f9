use super::vectors::{VECTORS, Vector};
use super::*;
use crate::crypto::tests::{hex, hex32, low_order};
use snow::{Builder, HandshakeState};
use std::vec;
use std::vec::Vec;

fn builder<'a>(vector: &Vector, ephemeral: &str, prologue: &'a [u8]) -> Builder<'a> {
    let resolver = Resolver::new(Secret::from(hex32(ephemeral)));
    Builder::with_resolver(vector.protocol.parse().unwrap(), Box::new(resolver))
        .prologue(prologue)
        .unwrap()
}

fn pair(vector: &Vector) -> (HandshakeState, HandshakeState) {
    let prologue = hex(vector.prologue);
    let psk = vector.psk.map(hex32);
    let public = vector.responder_public.map(hex);
    let secret = vector.responder_static.map(hex);
    let mut initiator = builder(vector, vector.initiator_ephemeral, &prologue);
    let mut responder = builder(vector, vector.responder_ephemeral, &prologue);
    if let Some(psk) = &psk {
        initiator = initiator.psk(0, psk).unwrap();
        responder = responder.psk(0, psk).unwrap();
    }
    if let (Some(public), Some(secret)) = (&public, &secret) {
        initiator = initiator.remote_public_key(public).unwrap();
        responder = responder.local_private_key(secret).unwrap();
    }
    (
        initiator.build_initiator().unwrap(),
        responder.build_responder().unwrap(),
    )
}

fn pass(from: &mut HandshakeState, to: &mut HandshakeState, payload: &[u8]) -> Vec<u8> {
    let mut message = vec![0; payload.len() + 64];
    let length = from.write_message(payload, &mut message).unwrap();
    message.truncate(length);
    let mut read = vec![0; message.len()];
    let length = to.read_message(&message, &mut read).unwrap();
    assert_eq!(&read[..length], payload);
    message
}

#[test]
fn published_vectors() {
    let named = |name: &str| VECTORS.iter().filter(|v| v.protocol.contains(name)).count();
    assert_eq!(
        (named("_NN_"), named("_NNpsk0_"), named("_NK_")),
        (2, 1, 2),
        "a vector went missing"
    );
    for vector in VECTORS {
        let label = (vector.source, vector.protocol);
        let (mut initiator, mut responder) = pair(vector);
        let [(first, one), (second, two), transport @ ..] = vector.messages else {
            panic!("{label:?} has no handshake");
        };
        let sent = pass(&mut initiator, &mut responder, &hex(first));
        assert_eq!(sent, hex(one), "{label:?}");
        let sent = pass(&mut responder, &mut initiator, &hex(second));
        assert_eq!(sent, hex(two), "{label:?}");
        assert_eq!(
            initiator.get_handshake_hash(),
            responder.get_handshake_hash()
        );
        if let Some(hash) = vector.hash {
            assert_eq!(initiator.get_handshake_hash(), hex(hash), "{label:?}");
        }
        let (i2r, r2i) = initiator.dangerously_get_raw_split();
        assert_eq!((i2r, r2i), responder.dangerously_get_raw_split());
        assert!(!transport.is_empty(), "{label:?}");
        for (number, (payload, message)) in transport.iter().enumerate() {
            let key = if number % 2 == 0 { i2r } else { r2i };
            let mut sealed = hex(payload);
            let tag = Aes256Gcm::new(&Secret::from(key))
                .seal_in_place(&nonce(number as u64 / 2), &[], &mut sealed)
                .unwrap();
            sealed.extend_from_slice(&tag);
            assert_eq!(sealed, hex(message), "{label:?} message {number}");
        }
    }
}

#[test]
fn a_low_order_key_is_a_dh_error() {
    for key in low_order() {
        let vector = &VECTORS[0];
        let (_, mut responder) = pair(vector);
        responder.read_message(&key, &mut []).unwrap();
        let mut out = [0; 64];
        assert_eq!(responder.write_message(&[], &mut out), Err(Error::Dh));
    }
}

#[test]
fn the_ephemeral_is_handed_out_once() {
    let mut once = Once(Some(Secret::from([5; 32])));
    let mut out = [0; 32];
    once.try_fill_bytes(&mut out).unwrap();
    assert_eq!(out, [5; 32]);
    assert_eq!(once.try_fill_bytes(&mut out), Err(Error::Rng));
}

#[test]
fn a_cipher_without_key_or_room_seals_nothing() {
    let mut out = [7; 20];
    assert_eq!(AesGcm(None).encrypt(0, &[], b"data", &mut out), 20);
    assert_eq!(out, [0; 20]);
    let mut cipher = AesGcm(None);
    cipher.set(&[1; 32]);
    let mut short = [7; 10];
    assert_eq!(cipher.encrypt(0, &[], b"data", &mut short), 10);
    assert_eq!(short, [0; 10]);
    assert_eq!(
        cipher.decrypt(0, &[], &[0; 15], &mut out),
        Err(Error::Decrypt)
    );
}
