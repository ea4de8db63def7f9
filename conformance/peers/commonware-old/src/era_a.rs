//! commonware-stream 0.0.62.

use crate::{HANDSHAKE, MAX_AGE, SYNCHRONY};
use stream62::public_key::{Config, Connection, IncomingConnection, Receiver, Sender};
use stream62::{Receiver as _, Sender as _};

roles!(runtime62, codec62, cryptography62, receive);

fn config(settings: &Settings) -> Result<Config<PrivateKey>, Problem> {
    Ok(Config {
        crypto: signer(settings)?,
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
    let config = config(settings)?;
    let incoming = IncomingConnection::verify(&context, config, sink, stream).await?;
    let peer = incoming.peer();
    let connection = Connection::upgrade_listener(context, incoming).await?;
    let (sender, receiver) = connection.split();
    Ok((peer, sender, receiver))
}

async fn connect(
    context: Context,
    settings: &Settings,
    peer: PublicKey,
    sink: Sink,
    stream: Stream,
) -> Result<(Sender<Sink>, Receiver<Stream>), Problem> {
    let config = config(settings)?;
    let connection = Connection::upgrade_dialer(context, config, sink, stream, peer).await?;
    Ok(connection.split())
}
