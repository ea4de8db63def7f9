//! Both ends of a connection in one program, on plain threads.

// ANCHOR: all
use std::io::{Read, Write};
use stillwire_blocking::{Config, Options, Store, dial};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::from_address("memory:", &Options::default())?;
    let listener = store.listen(Config::default())?;
    let ticket = listener.ticket().clone();

    let dialing = std::thread::spawn(move || {
        let mut connection = dial(&ticket, Config::default())?;
        connection.write_all(b"hello")?;
        connection.close_write()?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        connection.closed()?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(answer)
    });

    let connection = listener.accept()?;
    std::io::copy(&mut &connection, &mut &connection)?;
    connection.close_write()?;
    connection.closed()?;

    let answer = dialing.join().map_err(|_| "the dialer panicked")?;
    assert_eq!(answer.map_err(|error| error.to_string())?, "hello");
    drop(connection);
    listener.stop()?;
    Ok(())
}
// ANCHOR_END: all

#[test]
fn it_runs() {
    main().unwrap();
}
