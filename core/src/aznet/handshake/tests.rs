use super::*;
use crate::crypto::Rng;
use crate::crypto::tests::low_order;
use std::string::String;

fn secret(byte: u8) -> Secret {
    Secret::from([byte; 32])
}

fn id() -> ConnectionId {
    ConnectionId::from_random([0xab; 16])
}

fn grants() -> Grants {
    Grants {
        req: String::from("sv=2026-04-06&sp=a&sig=x%2B<y>"),
        res: String::from("sv=2026-04-06&sp=r&sig=z"),
    }
}

fn securities() -> [(DialerSecurity, ListenerSecurity); 3] {
    let listener = x25519::public(&secret(9));
    [
        (DialerSecurity::Nn, ListenerSecurity::Nn),
        (
            DialerSecurity::NnPsk0 { psk: secret(8) },
            ListenerSecurity::NnPsk0 { psk: secret(8) },
        ),
        (
            DialerSecurity::Nk { listener },
            ListenerSecurity::Nk { secret: secret(9) },
        ),
    ]
}

fn class<T>(result: Result<T, Error>) -> Option<Class> {
    result.err().and_then(|error| error.class())
}

fn accept(message1: &[u8], security: &ListenerSecurity) -> Result<Responder, Error> {
    Responder::accept(secret(2), message1, security)
}

/// A dialer that waits for message 2, with a good one.
fn exchange(dialer: &DialerSecurity, listener: &ListenerSecurity) -> (Initiator, Vec<u8>) {
    let (initiator, message1) = Initiator::start(&id(), secret(1), dialer).unwrap();
    let responder = accept(&message1, listener).unwrap();
    let (message2, _) = responder.finish(grants().to_json().as_bytes()).unwrap();
    (initiator, message2)
}

#[test]
fn both_ends_agree() {
    for (dialer, listener) in securities() {
        let (initiator, message1) = Initiator::start(&id(), secret(1), &dialer).unwrap();
        let plain = matches!(dialer, DialerSecurity::Nn);
        assert_eq!(message1.len(), if plain { 68 } else { 84 });
        assert_eq!(message1[32..68] == id().text(), plain);
        let responder = accept(&message1, &listener).unwrap();
        assert_eq!(responder.id(), id());
        let json = grants().to_json();
        let (message2, ours) = responder.finish(json.as_bytes()).unwrap();
        assert_eq!(message2.len(), 48 + json.len());
        let (received, theirs) = initiator.finish(&message2).unwrap();
        assert_eq!(
            (&received.req, &received.res),
            (&grants().req, &grants().res)
        );
        assert_eq!(ours.hash, theirs.hash);
        assert_eq!(ours.i2r.as_bytes(), theirs.i2r.as_bytes());
        assert_eq!(ours.r2i.as_bytes(), theirs.r2i.as_bytes());
        assert_ne!(ours.i2r.as_bytes(), ours.r2i.as_bytes());
    }
}

#[test]
fn trap_04_a_low_order_ephemeral_key_is_refused() {
    for key in low_order() {
        for (dialer, listener) in securities() {
            let (_, mut message1) = Initiator::start(&id(), secret(1), &dialer).unwrap();
            message1[..32].copy_from_slice(&key);
            let accepted = accept(&message1, &listener);
            assert_eq!(
                class(accepted),
                Some(Class::WeakKey),
                "{dialer:?} {key:02x?}"
            );

            let (initiator, mut message2) = exchange(&dialer, &listener);
            message2[..32].copy_from_slice(&key);
            let finished = initiator.finish(&message2);
            assert_eq!(
                class(finished),
                Some(Class::WeakKey),
                "{dialer:?} {key:02x?}"
            );
        }
        let security = DialerSecurity::Nk { listener: key };
        let started = Initiator::start(&id(), secret(1), &security);
        assert_eq!(class(started), Some(Class::WeakKey));
    }
}

#[test]
fn every_flipped_bit_of_message_2_is_noticed() {
    for (dialer, listener) in securities() {
        let (_, message2) = exchange(&dialer, &listener);
        for bit in 0..message2.len() * 8 {
            let (initiator, _) = Initiator::start(&id(), secret(1), &dialer).unwrap();
            let mut altered = message2.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let finished = initiator.finish(&altered);
            assert_eq!(class(finished), Some(Class::Auth), "{dialer:?} bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_message_1_is_noticed_by_one_end() {
    for (dialer, listener) in securities() {
        let (_, message1) = Initiator::start(&id(), secret(1), &dialer).unwrap();
        for bit in 0..message1.len() * 8 {
            let (initiator, _) = Initiator::start(&id(), secret(1), &dialer).unwrap();
            let mut altered = message1.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let Ok(responder) = accept(&altered, &listener) else {
                continue;
            };
            assert!(
                matches!(dialer, DialerSecurity::Nn),
                "{dialer:?} authenticates message 1"
            );
            let (message2, _) = responder.finish(grants().to_json().as_bytes()).unwrap();
            assert_eq!(class(initiator.finish(&message2)), Some(Class::Auth));
        }
    }
}

#[test]
fn strangers_are_refused() {
    let (_, nn) = Initiator::start(&id(), secret(1), &DialerSecurity::Nn).unwrap();
    let psk = DialerSecurity::NnPsk0 { psk: secret(8) };
    let (_, psk) = Initiator::start(&id(), secret(1), &psk).unwrap();
    let other = ListenerSecurity::NnPsk0 { psk: secret(80) };
    assert_eq!(class(accept(&psk, &other)), Some(Class::Auth));
    assert_eq!(
        class(accept(&psk, &ListenerSecurity::Nn)),
        Some(Class::Name)
    );
    let (_, padded) =
        Initiator::start_with_payload(&[b'x'; 52], secret(1), &DialerSecurity::Nn).unwrap();
    for (_, listener) in &securities()[1..] {
        assert_eq!(class(accept(&nn, listener)), Some(Class::Auth));
        assert_eq!(class(accept(&padded, listener)), Some(Class::Auth));
    }
    let nk = DialerSecurity::Nk {
        listener: x25519::public(&secret(9)),
    };
    let (_, nk) = Initiator::start(&id(), secret(1), &nk).unwrap();
    let other = ListenerSecurity::Nk { secret: secret(90) };
    assert_eq!(class(accept(&nk, &other)), Some(Class::Auth));
}

#[test]
fn a_message_2_of_another_session_is_refused() {
    for (dialer, listener) in securities() {
        let (_, message2) = exchange(&dialer, &listener);
        let (other, _) = Initiator::start(&id(), secret(3), &dialer).unwrap();
        assert_eq!(class(other.finish(&message2)), Some(Class::Auth));
    }
}

#[test]
fn trap_01_hostile_connection_ids_are_refused() {
    let good = id().text();
    let upper = good.to_ascii_uppercase();
    let bare: Vec<u8> = good.iter().copied().filter(|b| *b != b'-').collect();
    let mut v1 = good;
    v1[14] = b'1';
    let mut variant = good;
    variant[19] = b'0';
    let braced = [b"{", &good[..], b"}"].concat();
    let line = [&good[..], b"\r\n"].concat();
    let mut nul = good;
    nul[35] = 0;
    let long = [b'a'; 64];
    let hostile: [&[u8]; 18] = [
        b"",
        &upper,
        &bare,
        &v1,
        &variant,
        &braced,
        &line,
        &nul,
        &long,
        b"../x",
        b"a/b?c",
        b"handshake",
        b"token",
        b"$root",
        b"\xff\xfe",
        &[0x80; 36],
        b"00000000-0000-0000-0000-000000000000",
        &[b'-'; 36],
    ];
    for text in hostile {
        for (dialer, listener) in securities() {
            let (_, message1) = Initiator::start_with_payload(text, secret(1), &dialer).unwrap();
            assert_eq!(
                class(accept(&message1, &listener)),
                Some(Class::Name),
                "{text:?}"
            );
        }
    }
}

#[test]
fn short_messages_are_truncated() {
    for (dialer, listener) in securities() {
        let least = if matches!(dialer, DialerSecurity::Nn) {
            32
        } else {
            48
        };
        let (_, message1) = Initiator::start(&id(), secret(1), &dialer).unwrap();
        for length in 0..message1.len() {
            let fault = class(accept(&message1[..length], &listener));
            if length < least {
                assert_eq!(fault, Some(Class::Truncated));
            } else {
                assert!(matches!(fault, Some(Class::Name | Class::Auth)));
            }
        }
        let (_, message2) = exchange(&dialer, &listener);
        for length in 0..message2.len() {
            let (initiator, _) = Initiator::start(&id(), secret(1), &dialer).unwrap();
            let fault = class(initiator.finish(&message2[..length]));
            let wanted = if length < 48 {
                Class::Truncated
            } else {
                Class::Auth
            };
            assert_eq!(fault, Some(wanted));
        }
    }
}

#[test]
fn messages_end_at_65535_bytes_both_ways() {
    for (dialer, listener) in securities() {
        let long = vec![b'x'; LARGEST_MESSAGE + 1];
        assert_eq!(class(accept(&long, &listener)), Some(Class::Limit));
        let fault = class(accept(&long[..LARGEST_MESSAGE], &listener));
        assert!(matches!(fault, Some(Class::Name | Class::Auth)));

        let room = LARGEST_MESSAGE - dialer.pattern().overhead1();
        let started = Initiator::start_with_payload(&long[..room], secret(1), &dialer);
        let (initiator, message1) = started.unwrap();
        assert_eq!(message1.len(), LARGEST_MESSAGE);
        let started = Initiator::start_with_payload(&long[..=room], secret(1), &dialer);
        assert_eq!(class(started), Some(Class::Limit));
        assert_eq!(class(initiator.finish(&long)), Some(Class::Limit));

        let (initiator, message1) = Initiator::start(&id(), secret(1), &dialer).unwrap();
        let tokens = |length: usize| {
            let mut json = String::from("{\"req\":\"a\",\"res\":\"b\"}");
            json.push_str(&" ".repeat(length - json.len()));
            json
        };
        let responder = accept(&message1, &listener).unwrap();
        let finished = responder.finish(tokens(LARGEST_MESSAGE - 47).as_bytes());
        assert_eq!(class(finished), Some(Class::Limit));
        let responder = accept(&message1, &listener).unwrap();
        let finished = responder.finish(tokens(LARGEST_MESSAGE - 48).as_bytes());
        let (message2, _) = finished.unwrap();
        assert_eq!(message2.len(), LARGEST_MESSAGE);
        assert_eq!(initiator.finish(&message2).unwrap().0.res, "b");
    }
}

#[test]
fn trap_15_bad_tokens_end_the_handshake() {
    let bad: [&[u8]; 4] = [b"", b"{}", b"{\"req\":null,\"res\":\"b\"}", b"\xff"];
    for tokens in bad {
        let (initiator, message1) =
            Initiator::start(&id(), secret(1), &DialerSecurity::Nn).unwrap();
        let responder = accept(&message1, &ListenerSecurity::Nn).unwrap();
        let (message2, _) = responder.finish(tokens).unwrap();
        assert_eq!(class(initiator.finish(&message2)), Some(Class::Encoding));
    }
}

#[test]
fn random_messages_never_panic_and_never_pass() {
    let mut rng = Rng::from_seed([3; 32]);
    for round in 0..300 {
        let [low, high] = rng.array::<2>();
        let length = usize::from(low) + usize::from(high) * usize::from(round % 3 == 0);
        let mut message = vec![0; length];
        rng.fill(&mut message);
        for (dialer, listener) in securities() {
            assert!(accept(&message, &listener).is_err());
            let (initiator, _) = Initiator::start(&id(), secret(1), &dialer).unwrap();
            assert!(initiator.finish(&message).is_err());
        }
    }
}

#[test]
fn securities_show_their_name_only() {
    let shown: Vec<_> = securities()
        .iter()
        .map(|(dialer, listener)| std::format!("{dialer:?} {listener:?}"))
        .collect();
    let names = ["NN", "NNpsk0", "NK"].map(|name| {
        std::format!("Noise_{name}_25519_AESGCM_SHA256 Noise_{name}_25519_AESGCM_SHA256")
    });
    assert_eq!(shown, names);
}
