//! The process itself: core dumps, signals, the end of stdout, and what `-v` tells.

use crate::args::Global;
use crate::exit::{Code, Fault};
use std::io;
use std::time::Duration;
use tokio::sync::watch;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Signals closer together than this are one.
const ECHO: Duration = Duration::from_millis(100);

/// Turns core dumps off, before any secret is read: a dump would hold keys.
pub(crate) fn forbid_core_dumps() -> io::Result<()> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        setrlimit(Resource::Core, none)?;
    }
    // The limit does not bind dumps that the kernel pipes to a program.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Lets a reader of our stdout see its end while we go on.
pub(crate) fn end_stdout() -> io::Result<()> {
    #[cfg(unix)]
    {
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(nowhere)?;
    }
    Ok(())
}

/// Tells on stderr what our own crates trace; others may print URLs, which hold secrets. Without
/// `-v`, only what the user should know.
pub(crate) fn start_tracing(global: &Global) {
    let level = match global.verbose {
        0 if global.quiet => return,
        0 => LevelFilter::WARN,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let ours = Targets::new().with_target("stillwire", level);
    let registry = tracing_subscriber::registry().with(ours);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(io::stderr);
    if global.json {
        registry.with(lines.json()).init();
    } else if global.verbose == 0 {
        registry
            .with(lines.without_time().with_target(false))
            .init();
    } else {
        registry.with(lines).init();
    }
}

/// Whether the user asked us to stop. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Watches SIGINT and SIGTERM: the first one asks, the second one ends the process.
    pub(crate) fn watch() -> io::Result<Self> {
        let (tell, told) = watch::channel(false);
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            signals.next().await;
            let _ = tell.send(true);
            // One wish may come twice: to us, and to our process group.
            tokio::time::sleep(ECHO).await;
            signals.drain();
            signals.next().await;
            std::process::exit(Code::Interrupted as i32);
        });
        Ok(Self(told))
    }

    /// Ready once the user asks.
    pub(crate) async fn asked(&self) {
        let mut told = self.0.clone();
        if told.wait_for(|asked| *asked).await.is_err() {
            // Nobody watches any more: nobody will ask.
            std::future::pending::<()>().await;
        }
    }

    /// Runs `work` unless the user asks first; then it is dropped.
    pub(crate) async fn or<T>(
        &self,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        tokio::select! {
            biased;
            () = self.asked() => Err(Fault::interrupted()),
            result = work => result,
        }
    }
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // A file at the limit of its size shall be an error with a line, and not our end. Whoever
        // has asked for a signal once is never ended by it again.
        drop(signal(SignalKind::from_raw(
            rustix::process::Signal::XFSZ.as_raw(),
        ))?);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Forgets what has come already.
    fn drain(&mut self) {
        use futures_util::FutureExt;
        while self.next().now_or_never().is_some() {}
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[allow(clippy::unnecessary_wraps, reason = "the same shape as on unix")]
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    #[allow(clippy::unused_self, reason = "the same shape as on unix")]
    fn drain(&mut self) {}

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
