//! A line protocol on plain threads: `std::io` is all that it knows of the connection.
//!
//! `cargo run -p stillwire-examples --bin blocking_lines -- [STORE [HANDSHAKE TOKEN]]`

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use stillwire_blocking::{Config, Connection, Store, dial};

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// The longest line that is read, in bytes.
const LONGEST: u64 = 1_024;

/// The next line without its end; [`None`] at the end of the stream.
fn line(from: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    let length = from.take(LONGEST).read_line(&mut line)?;
    if length > 0 && !line.ends_with('\n') {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "a line has no end",
        ));
    }
    Ok((length > 0).then(|| line.trim_end().to_owned()))
}

/// Answers each line with one, until the client's end.
fn serve(connection: &Connection) -> Result<(), Fault> {
    let (mut reader, mut writer) = (BufReader::new(connection), BufWriter::new(connection));
    let mut shelf = BTreeMap::new();
    while let Some(line) = line(&mut reader)? {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        match words.as_slice() {
            ["SET", name, value] => {
                shelf.insert((*name).to_owned(), (*value).to_owned());
                writeln!(writer, "OK")?;
            }
            ["GET", name] => match shelf.get(*name) {
                Some(value) => writeln!(writer, "VALUE {value}")?,
                None => writeln!(writer, "NONE")?,
            },
            _ => writeln!(writer, "ERROR SET NAME VALUE, or GET NAME")?,
        }
        writer.flush()?;
    }
    connection.close_write()?;
    Ok(connection.closed()?)
}

/// One line at a time, each answered before the next is sent.
fn ask(connection: &Connection) -> Result<(), Fault> {
    let (mut reader, mut writer) = (BufReader::new(connection), connection);
    for request in ["SET colour deep blue", "GET colour", "GET size", "HELP"] {
        writeln!(writer, "{request}")?;
        writer.flush()?;
        let answer = line(&mut reader)?.ok_or("the server ended early")?;
        println!("{request}: {answer}");
    }
    connection.close_write()?;
    // Its end, and nothing before it.
    if reader.read(&mut [0])? > 0 {
        return Err("the server says more than it was asked".into());
    }
    Ok(connection.closed()?)
}

fn main() -> Result<(), Fault> {
    let (store, options) = stillwire_examples::place();
    let store = Store::from_address(&store, &options)?;
    let listener = store.listen(Config::default())?;
    let ticket = listener.ticket().clone();

    let asking = std::thread::spawn(move || ask(&dial(&ticket, Config::default())?));
    let connection = listener.accept()?;
    serve(&connection)?;
    asking.join().map_err(|_| "the client panicked")??;
    drop(connection);
    listener.stop()?;
    Ok(())
}
