//! Both roles, for a release whose module says how a stream is upgraded: the runtimes of the two
//! releases are different types with the same names.

/// `listen` and `dial` over a module's own `accept` and `connect`.
macro_rules! roles {
    ($runtime:ident, $codec:ident, $cryptography:ident, $receive:ident) => {
        use crate::{Problem, Settings, Storage, hex, lengths, message, unhex};
        use $codec::DecodeExt as _;
        use $cryptography::ed25519::{PrivateKey, PublicKey};
        use $runtime::tokio::{Context, Runner};
        use $runtime::{Listener as _, Network as _, Runner as _, SinkOf, StreamOf};

        type Sink = SinkOf<Context>;
        type Stream = StreamOf<Context>;

        fn signer(settings: &Settings) -> Result<PrivateKey, Problem> {
            Ok(PrivateKey::decode(settings.secret.as_slice())?)
        }

        fn runner(storage: &Storage) -> Runner {
            let config = $runtime::tokio::Config::new()
                .with_worker_threads(2)
                .with_tcp_nodelay(Some(true))
                .with_read_write_timeout(std::time::Duration::from_secs(30))
                .with_storage_directory(storage.folder());
            Runner::new(config)
        }

        async fn echo(context: Context, settings: Settings) -> Result<(), Problem> {
            let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
            let mut listener = context.bind(loopback).await?;
            println!("{}", listener.local_addr()?);
            let (_, sink, stream) = listener.accept().await?;
            let (peer, mut sender, mut receiver) = accept(context, &settings, sink, stream).await?;
            println!("peer {}", hex(peer.as_ref()));
            let mut served = 0;
            // The end of the stream and a refused record look alike here; the other end counts.
            while let Ok(message) = receiver.$receive().await {
                sender.send(&message).await?;
                served += 1;
            }
            println!("served {served}");
            Ok(())
        }

        async fn ask(
            context: Context,
            settings: Settings,
            address: std::net::SocketAddr,
            peer: PublicKey,
        ) -> Result<(), Problem> {
            let (sink, stream) = context.dial(address).await?;
            let (mut sender, mut receiver) =
                connect(context, &settings, peer, sink, stream).await?;
            let mut echoed = 0;
            for (n, length) in lengths(settings.limit).into_iter().enumerate() {
                let sent = message(n, length);
                sender.send(&sent).await?;
                if receiver.$receive().await? != sent {
                    return Err(format!("message {n} of {length} bytes came back altered").into());
                }
                echoed += 1;
            }
            println!("echoed {echoed}");
            Ok(())
        }

        pub(crate) fn listen(settings: Settings, storage: &Storage) -> Result<(), Problem> {
            runner(storage).start(|context| echo(context, settings))
        }

        pub(crate) fn dial(
            settings: Settings,
            storage: &Storage,
            address: &str,
            peer: &str,
        ) -> Result<(), Problem> {
            let address = address.parse()?;
            let peer = PublicKey::decode(unhex(peer)?.as_slice())?;
            runner(storage).start(|context| ask(context, settings, address, peer))
        }
    };
}
