//! `stillwire recv STORE [DIR]`

use crate::args::Recv;
use crate::exit::Fault;
use crate::relay::farewell;
use crate::run::Run;
use crate::transfer::{self, Directory};
use crate::verb::send::{Bars, summary, tell};
use std::cell::RefCell;
use std::time::Instant;
use stillwire_tokio::Listener;

/// Receives the files of one sender.
pub(crate) async fn run(verb: &Recv, run: &Run) -> Result<(), Fault> {
    let shown = verb.dir.display().to_string();
    let cannot = |error| Fault::file(&format!("cannot write into {shown:?}"), &error);
    std::fs::create_dir_all(&verb.dir).map_err(cannot)?;
    // Tried before anybody is asked to send.
    tempfile::tempfile_in(&verb.dir).map_err(cannot)?;
    let store = run.open_place(&verb.place)?;
    let directory = Directory {
        path: verb.dir.clone(),
        force: verb.force,
    };
    let mut listener = run.listen(&store, verb.ticket_file.as_deref()).await?;
    let received = receive(&directory, &mut listener, run).await;
    let stopped = run.stop(listener).await;
    received
        .and(stopped)
        .map_err(|fault| fault.over(&store.name))
}

async fn receive(directory: &Directory, listener: &mut Listener, run: &Run) -> Result<(), Fault> {
    let connection = run.accept_one(listener, false).await?;
    let started = Instant::now();
    let (mut read, mut write) = connection.split();
    let (mut files, mut bytes) = (0, 0);
    let bars = RefCell::new(Bars::default());
    let receiving = transfer::receive(
        directory,
        &mut read,
        &mut write,
        |name, done, of| bars.borrow_mut().show(run, name, done, of),
        |file| {
            files += 1;
            bytes += file.bytes;
            bars.borrow_mut().end();
            tell(run, file);
        },
    );
    let result = run.interrupt.or(receiving).await;
    bars.into_inner().end();
    let time = started.elapsed();
    let result = match result {
        // The sender needs no more than the verdict; a long goodbye is no failure of ours.
        Ok(()) => {
            let _ = tokio::time::timeout(transfer::GOODBYE, write.closed()).await;
            Ok(())
        }
        Err(fault) => {
            if fault.is_interruption() {
                farewell(&mut write).await;
            }
            Err(fault)
        }
    };
    let stats = write.stats();
    run.totals.add(&stats);
    result?;
    summary(run, "received", files, bytes, time, &stats);
    Ok(())
}
