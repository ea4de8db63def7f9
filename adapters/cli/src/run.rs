//! What every verb is handed: how to tell, when to stop, what to count, and where the bytes go.

use crate::args::{Global, Place};
use crate::exit::{Code, Fault};
use crate::output::Output;
use crate::process::Interrupt;
use crate::totals::Totals;
use crate::units;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stillwire_core::{Error, Timer};
use stillwire_tokio::{Config, Connection, Dialer, Listener, Options, Store, Sweep, Ticket};

/// How long a graceful end may take once the user asked for it.
pub(crate) const FAREWELL: Duration = Duration::from_secs(5);
/// How long dialers may still read when a listener that was interrupted has nothing more to serve.
const LAST_READS: Duration = Duration::from_secs(1);

/// How long a listener that speaks to one dialer waits for it to show that it is alive.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same where nothing works before the dialer speaks.
const FORBEARANCE: Duration = Duration::from_secs(30);
/// Unconfirmed connections held at once.
const MOST_WAITING: usize = 64;
/// Pause between two looks at them.
const GLANCE: Duration = Duration::from_millis(20);
/// How often a listener looks whether its account's key was changed.
const KEY_WATCH: Duration = Duration::from_secs(1);
/// Pause after a new ticket that could not be written.
const RETRY: Duration = Duration::from_secs(30);
/// How long the store may take before we ask it directly what is wrong.
const SLOW_START: Duration = Duration::from_secs(5);

/// One run of the program.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) out: Output,
    pub(crate) interrupt: Interrupt,
    pub(crate) totals: Arc<Totals>,
    pub(crate) global: Global,
}

/// A store, with the address the user gave for it.
#[derive(Clone, Debug)]
pub(crate) struct NamedStore {
    store: Store,
    /// Fit to be printed.
    pub(crate) name: String,
}

impl Run {
    /// The settings of connections.
    pub(crate) fn config(&self) -> Config {
        Config {
            policy: self.global.poll.into(),
            ..Config::default()
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            expiry: self.global.expiry,
            allow_http: self.global.allow_http,
            driver: self.global.driver.map(Into::into),
            ..Options::default()
        }
    }

    /// Opens the store at an address; the environment says how.
    pub(crate) fn open(&self, address: &str) -> Result<NamedStore, Fault> {
        self.open_with(address, &self.options())
    }

    /// Opens the store at a place that others shall reach.
    pub(crate) fn open_place(&self, place: &Place) -> Result<NamedStore, Fault> {
        if place.store == "memory:" {
            return Err(
                Fault::new(Code::Usage, "memory: is a store within one process only").with_hint(
                    "use dir:PATH, azblob, azqueue or aztable; stillwire demo memory: shows it",
                ),
            );
        }
        let mut options = self.options();
        options.handshake.clone_from(&place.handshake);
        options.token.clone_from(&place.token);
        self.open_with(&place.store, &options)
    }

    fn open_with(&self, address: &str, options: &Options) -> Result<NamedStore, Fault> {
        let name = printable(address);
        let bare = address.starts_with("https://") || address.starts_with("http://");
        let full = match self.global.driver {
            Some(driver) if bare => format!("{}+{address}", driver.name()),
            _ => address.to_owned(),
        };
        self.check_driver("the store", &printable(&full))?;
        let store = Store::from_address(&full, options)
            .map_err(|error| Fault::address(&error).over(&name))?;
        Ok(NamedStore { store, name })
    }

    /// Listens, and gives the ticket to the user.
    pub(crate) async fn listen(
        &self,
        store: &NamedStore,
        ticket_file: Option<&Path>,
    ) -> Result<Listener, Fault> {
        self.listen_with(store, ticket_file, self.config()).await
    }

    /// The same, with settings of its own.
    pub(crate) async fn listen_with(
        &self,
        store: &NamedStore,
        ticket_file: Option<&Path>,
        config: Config,
    ) -> Result<Listener, Fault> {
        let key_changes = store.store.key_changes();
        let listener = self
            .interrupt
            .or(async { store.listen(config).await })
            .await?;
        self.totals.watch(listener.monitor());
        let ticket = listener.ticket().to_string();
        if let Some(path) = ticket_file {
            write_ticket(path, &ticket)?;
        }
        self.warn_anonymous();
        self.tell_ticket(&ticket, ticket_file.is_some());
        let file = ticket_file.map(Path::to_owned);
        // Goes on until the program ends, as the listener does.
        tokio::spawn(renew(self.clone(), store.clone(), key_changes, file));
        Ok(listener)
    }

    fn tell_ticket(&self, ticket: &str, kept: bool) {
        let json = json!({ "event": "ticket", "ticket": ticket });
        if kept {
            self.out.event(&json, ticket);
        } else {
            self.out.tell(&json, ticket);
        }
    }

    /// Reads a ticket, as far as it can be checked here, and gives the place it leads to. `wait`:
    /// for the listener's answer, if not as long as usual.
    pub(crate) fn dialer(
        &self,
        ticket: &str,
        wait: Option<Duration>,
    ) -> Result<(Dialer, String), Fault> {
        let ticket = Ticket::parse(ticket, &self.options()).map_err(|e| Fault::address(&e))?;
        let place = ticket.place();
        self.check_driver("the ticket", &place)?;
        let mut config = self.config();
        config.connect_timeout = wait.unwrap_or(config.connect_timeout);
        let dialer =
            Dialer::new(&ticket, config).map_err(|error| Fault::handshake(error).over(&place))?;
        Ok((dialer, place))
    }

    /// `what`: what must not contradict `--driver`.
    fn check_driver(&self, what: &str, place: &str) -> Result<(), Fault> {
        match self.global.driver {
            Some(driver) if !place.starts_with(driver.name()) => Err(Fault::new(
                Code::Usage,
                format!("--driver {} does not fit {what}", driver.name()),
            )
            .over(place)),
            _ => Ok(()),
        }
    }

    /// Dials, unless the user has enough.
    pub(crate) async fn dial(&self, dialer: &Dialer, place: &str) -> Result<Connection, Fault> {
        let failed = |error| {
            let late = matches!(error, Error::Timeout(Timer::Connect));
            let fault = Fault::handshake(error).unopened(place);
            // One listing hides the handshakes of others for a minute: trap 9.
            if late && place.starts_with("azqueue") {
                return fault.with_hint(
                    "is the listener running? One that runs Go may take a minute more: \
                     --connect-timeout 90s",
                );
            }
            fault
        };
        let connection = self
            .interrupt
            .or(async { dialer.dial().await.map_err(failed) })
            .await?;
        self.tell_connected(&connection);
        Ok(connection)
    }

    /// Accepts, unless the user has enough.
    pub(crate) async fn accept(&self, listener: &mut Listener) -> Result<Connection, Fault> {
        let connection = self
            .interrupt
            .or(async { listener.accept().await.map_err(Fault::from) })
            .await?;
        self.tell_connected(&connection);
        Ok(connection)
    }

    /// Accepts the one connection there shall be: the first whose dialer shows that it is alive,
    /// so that replayed or forged knocks take nobody's place. Some peers wait for us to speak
    /// first: where `unconfirmed` is fine, the oldest is taken after a while.
    pub(crate) async fn accept_one(
        &self,
        listener: &mut Listener,
        unconfirmed: bool,
    ) -> Result<Connection, Fault> {
        let patience = if unconfirmed { PATIENCE } else { FORBEARANCE };
        let mut waiting: Vec<(Instant, Connection)> = Vec::new();
        let accepting = async {
            loop {
                waiting.retain(|(_, connection)| connection.error().is_none());
                let alive = waiting.iter().position(|(_, c)| c.is_confirmed());
                let old = waiting
                    .first()
                    .is_some_and(|(since, _)| since.elapsed() > patience);
                if let Some(chosen) = alive.or((old && unconfirmed).then_some(0)) {
                    return Ok(waiting.swap_remove(chosen).1);
                }
                if old {
                    waiting.remove(0);
                }
                tokio::select! {
                    accepted = listener.accept(), if waiting.len() < MOST_WAITING => {
                        waiting.push((Instant::now(), accepted?));
                    }
                    () = tokio::time::sleep(GLANCE), if !waiting.is_empty() => {}
                }
            }
        };
        let connection = self.interrupt.or(accepting).await?;
        self.tell_connected(&connection);
        Ok(connection)
    }

    /// Waits a moment for the dialer to show that it is alive, so that replayed or forged knocks
    /// start nothing. Some peers wait for us to speak first.
    pub(crate) async fn wait_for_life(&self, connection: &Connection) {
        let since = Instant::now();
        while !connection.is_confirmed()
            && connection.error().is_none()
            && since.elapsed() < PATIENCE
        {
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn tell_connected(&self, connection: &Connection) {
        let binding = units::hex(&connection.channel_binding());
        let id = connection.id().to_string();
        let json = json!({ "event": "connected", "id": id, "channel_binding": binding });
        let short: Vec<_> = binding.as_bytes().chunks(4).take(4).collect();
        let short = String::from_utf8_lossy(&short.join(&b' ')).into_owned();
        self.out
            .event(&json, &format!("connected; fingerprint {short}"));
    }

    pub(crate) fn warn_anonymous(&self) {
        let text = "the handshake is anonymous (Noise NN): whoever can write to the store could \
                    sit in between; compare the fingerprints of both ends";
        self.out.warn(text);
    }

    /// Stops a listener and waits for its clean-up; not for long when the user has enough.
    pub(crate) async fn stop(&self, listener: Listener) -> Result<(), Fault> {
        let refused = listener.rejected();
        if refused > 0 {
            self.out.event(
                &json!({ "event": "rejected", "handshakes": refused }),
                &format!("{} refused", units::count(refused, "handshake")),
            );
        }
        let monitor = listener.monitor();
        let limit = async {
            self.interrupt.asked().await;
            // The services of its connections have had their time to end them; what is left waits
            // for peers that may be gone.
            tokio::time::sleep(LAST_READS).await;
            monitor.cut_off();
            tokio::time::sleep(FAREWELL).await;
        };
        tokio::select! {
            result = listener.stop() => result.map_err(Fault::from),
            () = limit => Ok(()),
        }
    }
}

impl NamedStore {
    /// Listens; see [`Run::listen`]. A store out of reach is given up long before the machine
    /// would, which must outlast a bad minute of an established connection.
    pub(crate) async fn listen(&self, config: Config) -> Result<Listener, Fault> {
        self.patiently(&config, self.store.listen(config.clone()))
            .await
    }

    /// Waits for something to be made; when it takes long, asks the store what is wrong.
    async fn patiently<T>(
        &self,
        config: &Config,
        making: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        let mut making = pin!(making);
        let result = tokio::select! {
            result = &mut making => result,
            () = tokio::time::sleep(SLOW_START) => {
                self.probe(config).await?;
                making.await
            }
        };
        result.map_err(|error| Fault::from(error).unmade(&self.name))
    }

    /// Looks for what dead listeners left.
    pub(crate) fn sweep(
        &self,
        config: Config,
        older: Duration,
        dry_run: bool,
    ) -> Result<Sweep, Fault> {
        let sweep = self.store.sweep(config, older, dry_run);
        sweep.map_err(|error| Fault::from(error).over(&self.name))
    }

    /// Asks it for next to nothing.
    pub(crate) async fn probe(&self, config: &Config) -> Result<(), Fault> {
        let probed = self.store.probe(config).await;
        probed.map_err(|error| Fault::from(error).unmade(&self.name))
    }

    /// Prepares the meeting place without listening.
    pub(crate) async fn prepare(&self, config: Config) -> Result<Ticket, Fault> {
        self.patiently(&config, self.store.prepare(config.clone()))
            .await
    }
}

/// Gives the user a new ticket whenever the account's key was changed: the old one ended with the old
/// key.
async fn renew(run: Run, store: NamedStore, mut known: u64, file: Option<PathBuf>) {
    loop {
        tokio::time::sleep(KEY_WATCH).await;
        let changes = store.store.key_changes();
        if changes == known {
            continue;
        }
        let ticket = store.store.ticket().map_err(Fault::from);
        let kept = ticket.and_then(|ticket| {
            let ticket = ticket.to_string();
            if let Some(path) = &file {
                write_ticket(path, &ticket)?;
            }
            Ok(ticket)
        });
        match kept {
            Ok(ticket) => {
                known = changes;
                run.tell_ticket(&ticket, file.is_some());
            }
            Err(fault) => {
                run.out.trouble(&fault.over(&store.name));
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// An address without what may be secret in it: a key before `@`, a SAS after `?`.
pub(crate) fn printable(address: &str) -> String {
    let address = address.split('?').next().unwrap_or_default();
    let Some((scheme, rest)) = address.split_once("://") else {
        return address.to_owned();
    };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

/// Writes a ticket where only its owner can read it, whole or not at all.
pub(crate) fn write_ticket(path: &Path, ticket: &str) -> Result<(), Fault> {
    let write = || {
        if path.exists() && !path.is_file() {
            // A pipe or a device.
            let mut file = OpenOptions::new().write(true).open(path)?;
            return writeln!(file, "{ticket}");
        }
        let parent = path.parent().filter(|p| !p.as_os_str().is_empty());
        // Temporary files are 0600 from the start.
        let mut file = tempfile::NamedTempFile::new_in(parent.unwrap_or(Path::new(".")))?;
        writeln!(file, "{ticket}")?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| {
        let path = path.display();
        Fault::file(&format!("cannot write the ticket to {path:?}"), &error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_addresses_hold_no_secret() {
        for (address, printed) in [
            ("azblob", "azblob"),
            ("dir:/a b", "dir:/a b"),
            ("azblob+http://acc:s3cret@h/acc", "azblob+http://h/acc"),
            ("azblob+https://h/?sv=1&sig=s3cret", "azblob+https://h/"),
            ("azblob+http://a:p@ss@h:1/acc", "azblob+http://h:1/acc"),
        ] {
            assert_eq!(printable(address), printed);
        }
    }
}
