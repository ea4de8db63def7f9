//! commonware-stream 0.0.63.

use crate::{HANDSHAKE, MAX_AGE, SYNCHRONY};
use stream63::{Config, Receiver, Sender};

roles!(runtime63, codec63, cryptography63, recv);

fn config(settings: &Settings) -> Result<Config<PrivateKey>, Problem> {
    Ok(Config {
        signing_key: signer(settings)?,
        namespace: settings.namespace.clone(),
        max_message_size: settings.limit,
        synchrony_bound: SYNCHRONY,
        max_handshake_age: MAX_AGE,
        handshake_timeout: HANDSHAKE,
    })
}

async fn accept(
    context: Context,
    settings: &Settings,
    sink: Sink,
    stream: Stream,
) -> Result<(PublicKey, Sender<Sink>, Receiver<Stream>), Problem> {
    let bouncer = |_| async { true };
    Ok(stream63::listen(context, bouncer, config(settings)?, stream, sink).await?)
}

async fn connect(
    context: Context,
    settings: &Settings,
    peer: PublicKey,
    sink: Sink,
    stream: Stream,
) -> Result<(Sender<Sink>, Receiver<Stream>), Problem> {
    Ok(stream63::dial(context, config(settings)?, peer, stream, sink).await?)
}
