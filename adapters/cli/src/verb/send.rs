//! `stillwire send TICKET FILE…`

use crate::args::Send;
use crate::exit::{Code, Fault};
use crate::relay::farewell;
use crate::run::Run;
use crate::transfer::{self, Outgoing, Transferred};
use crate::{source, units};
use indicatif::ProgressBar;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use stillwire_tokio::Stats;

/// Sends files and waits until the receiver has them all.
pub(crate) async fn run(verb: &Send, run: &Run) -> Result<(), Fault> {
    let (ticket, paths) = source::ticket_and_files(&verb.arguments, verb.ticket_file.as_deref())?;
    let mut names = BTreeSet::new();
    let mut files = Vec::new();
    for path in &paths {
        let file = Outgoing::open(path)?;
        if !names.insert(file.name.clone()) {
            let what = format!("two of the files are named {:?}", file.name);
            return Err(Fault::new(Code::Usage, what).with_hint("send them one by one"));
        }
        files.push(file);
    }
    let (dialer, place) = run.dialer(&ticket, verb.connect_timeout)?;
    run.warn_anonymous();
    let connection = run.dial(&dialer, &place).await?;
    let started = Instant::now();
    let (mut read, mut write) = connection.split();
    let mut bars = Bars::default();
    let sending = transfer::send(files, &mut read, &mut write, |file, sent| {
        bars.show(run, &file.name, sent, file.bytes);
    });
    let result = run.interrupt.or(sending).await;
    bars.end();
    let time = started.elapsed();
    let result = match result {
        Ok(sent) => write.closed().await.map(|()| sent).map_err(Fault::from),
        Err(fault) => {
            // Not for a fault of our own: a stream that breaks off must not seem to end.
            if matches!(fault.code(), Code::Peer | Code::Interrupted) {
                farewell(&mut write).await;
            }
            Err(fault)
        }
    };
    let stats = write.stats();
    run.totals.add(&stats);
    let sent = result.map_err(|fault| fault.over(&place))?;
    let bytes = sent.iter().map(|file| file.bytes).sum();
    for file in &sent {
        tell(run, file);
    }
    summary(run, "sent", sent.len() as u64, bytes, time, &stats);
    Ok(())
}

/// A file that has arrived, as a result: `sha256sum -c` reads the lines.
pub(super) fn tell(run: &Run, file: &Transferred) {
    let sha256 = units::hex(&file.sha256);
    let json = json!({ "file": file.name, "bytes": file.bytes, "sha256": sha256 });
    if run.global.json || !run.global.quiet {
        let human = format!("{sha256}  {}", file.name);
        run.out.result(&json, &human);
    }
}

/// The last line, as an event.
pub(super) fn summary(
    run: &Run,
    done: &str,
    files: u64,
    bytes: u64,
    time: Duration,
    stats: &Stats,
) {
    let json = json!({
        "event": done,
        "files": files,
        "bytes": bytes,
        "seconds": time.as_secs_f64(),
        "transactions": stats.requests(),
    });
    let human = format!(
        "{done} {}: {} in {}, {}, {}",
        units::count(files, "file"),
        units::bytes(bytes),
        units::seconds(time),
        units::rate(bytes, time),
        units::count(stats.requests(), "transaction"),
    );
    run.out.event(&json, &human);
}

/// The progress bar of the present file.
#[derive(Default)]
pub(super) struct Bars(Option<(String, ProgressBar)>);

impl Bars {
    pub(super) fn show(&mut self, run: &Run, name: &str, done: u64, of: u64) {
        if self.0.as_ref().is_none_or(|(shown, _)| shown != name) {
            self.end();
            self.0 = Some((name.to_owned(), run.out.progress(name, of)));
        }
        if let Some((_, bar)) = &self.0 {
            bar.set_position(done);
        }
    }

    /// Makes room for what is said next, which shall not share its line.
    pub(super) fn end(&mut self) {
        if let Some((_, bar)) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
