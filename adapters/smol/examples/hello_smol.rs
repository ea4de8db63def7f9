//! Both ends of a connection in one program, on smol.

// ANCHOR: all
use smol::io::{AsyncReadExt, AsyncWriteExt};
use stillwire_smol::{Config, Options, Store, dial};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    smol::block_on(async {
        let store = Store::from_address("memory:", &Options::default())?;
        let mut listener = store.listen(Config::default()).await?;
        let ticket = listener.ticket().clone();

        let dialing = smol::spawn(async move {
            let mut connection = dial(&ticket, Config::default()).await?;
            connection.write_all(b"hello").await?;
            connection.close_write().await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            connection.closed().await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
        });

        let (mut read, mut write) = listener.accept().await?.split();
        smol::io::copy(&mut read, &mut write).await?;
        write.close_write().await?;
        write.closed().await?;

        let answer = dialing.await.map_err(|error| error.to_string())?;
        assert_eq!(answer, "hello");
        drop((read, write));
        listener.stop().await?;
        Ok(())
    })
}
// ANCHOR_END: all

#[test]
fn it_runs() {
    main().unwrap();
}
