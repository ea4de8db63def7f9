//! Both ends of a Noise handshake with any prologue and payloads, for published vectors: what
//! aznet asks of Noise is narrower.

use super::args::Args;
use super::{Answer, Fault};
use crate::hex;
use serde_json::json;
use stillwire_core::Class;
use stillwire_core::crypto::noise::Resolver;
use stillwire_core::crypto::noise::snow::{Builder, Error, HandshakeState};
use stillwire_core::crypto::{Secret, x25519};

/// Noise's own limit for a message.
const LARGEST_MESSAGE: usize = 65_535;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let class = match error {
            Error::Dh => Class::WeakKey,
            Error::Decrypt => Class::Auth,
            Error::Input => Class::Limit,
            _ => Class::State,
        };
        Self::new(class, error.to_string())
    }
}

/// The arguments of both ends, which the builders borrow.
struct Setup {
    name: &'static str,
    prologue: Vec<u8>,
    psk: Option<[u8; 32]>,
    listener: Option<(Secret, [u8; 32])>,
}

impl Setup {
    fn read(args: &Args) -> Result<Self, Fault> {
        let (name, psk, listener) = match args.text("profile")? {
            "nn" => ("Noise_NN_25519_AESGCM_SHA256", None, None),
            "nnpsk0" => {
                let psk = args.array("psk")?;
                ("Noise_NNpsk0_25519_AESGCM_SHA256", Some(psk), None)
            }
            "nk" => {
                let secret = Secret::from(args.array("s")?);
                let public = x25519::public(&secret);
                ("Noise_NK_25519_AESGCM_SHA256", None, Some((secret, public)))
            }
            _ => return Err(Fault::new(Class::Encoding, "no such profile")),
        };
        Ok(Self {
            name,
            prologue: args.optional("prologue", Args::bytes)?.unwrap_or_default(),
            psk,
            listener,
        })
    }

    fn end(&self, initiator: bool, ephemeral: [u8; 32]) -> Result<HandshakeState, Fault> {
        let resolver = Box::new(Resolver::new(Secret::from(ephemeral)));
        let mut builder = Builder::with_resolver(self.name.parse::<_>()?, resolver);
        builder = builder.prologue(&self.prologue)?;
        if let Some(psk) = &self.psk {
            builder = builder.psk(0, psk)?;
        }
        match (&self.listener, initiator) {
            (Some((_, public)), true) => {
                Ok(builder.remote_public_key(public)?.build_initiator()?)
            }
            (Some((secret, _)), false) => {
                let builder = builder.local_private_key(secret.as_bytes())?;
                Ok(builder.build_responder()?)
            }
            (None, true) => Ok(builder.build_initiator()?),
            (None, false) => Ok(builder.build_responder()?),
        }
    }
}

/// One message from one end to the other; gives its bytes.
fn pass(
    from: &mut HandshakeState,
    to: &mut HandshakeState,
    payload: &[u8],
) -> Result<Vec<u8>, Fault> {
    if payload.len() > LARGEST_MESSAGE {
        return Err(Fault::new(Class::Limit, "a payload is too long"));
    }
    let mut message = vec![0; LARGEST_MESSAGE];
    let length = from.write_message(payload, &mut message)?;
    message.truncate(length);
    let mut read = vec![0; LARGEST_MESSAGE];
    let length = to.read_message(&message, &mut read)?;
    if read[..length] != *payload {
        return Err(Fault::new(Class::Auth, "the payload came out altered"));
    }
    Ok(message)
}

/// `noise.handshake`.
pub(super) fn handshake(args: &Args) -> Answer {
    let setup = Setup::read(args)?;
    let mut initiator = setup.end(true, args.array("e_i")?)?;
    let mut responder = setup.end(false, args.array("e_r")?)?;
    let payloads = args.list("payloads")?.iter().map(|payload| {
        let bytes = payload.as_str().and_then(hex::decode);
        bytes.ok_or_else(|| Fault::new(Class::Encoding, "a payload is not lowercase hex"))
    });
    let payloads = payloads.collect::<Result<Vec<_>, _>>()?;
    let [first, second] = payloads.as_slice() else {
        return Err(Fault::new(Class::Encoding, "there are two payloads"));
    };
    let messages = [
        pass(&mut initiator, &mut responder, first)?,
        pass(&mut responder, &mut initiator, second)?,
    ];
    let (i2r, r2i) = initiator.dangerously_get_raw_split();
    Ok(json!({
        "messages": messages.map(|message| hex::encode(&message)),
        "hash": hex::encode(responder.get_handshake_hash()),
        "i2r": hex::encode(&i2r),
        "r2i": hex::encode(&r2i),
    }))
}
