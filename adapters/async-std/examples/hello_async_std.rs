//! Both ends of a connection in one program, on async-std.

// ANCHOR: all
use async_std::io::prelude::{ReadExt, WriteExt};
use stillwire_async_std::{Config, Options, Store, dial};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    async_std::task::block_on(async {
        let store = Store::from_address("memory:", &Options::default())?;
        let mut listener = store.listen(Config::default()).await?;
        let ticket = listener.ticket().clone();

        let dialing = async_std::task::spawn(async move {
            let mut connection = dial(&ticket, Config::default()).await?;
            connection.write_all(b"hello").await?;
            connection.close_write().await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            connection.closed().await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
        });

        let (mut read, mut write) = listener.accept().await?.split();
        async_std::io::copy(&mut read, &mut write).await?;
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
