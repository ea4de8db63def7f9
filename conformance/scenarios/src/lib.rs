//! One list of scenarios, written once, through every adapter and every store.
//!
//! A scenario sees an adapter as [`Adapter`]: calls that block, whatever is below them. The
//! runtimes' own reading and writing traits are what these calls use. Tests cross adapters, stores
//! and scenarios with [`grid!`].

pub mod adapters;
pub mod bytes;
pub mod go;
pub mod scenarios;
pub mod stores;

pub use adapters::{Adapter, End, Listener, Reading, Writing};
pub use stores::{Place, Store};

use std::time::Duration;
use stillwire_futures::{Config, Policy};

/// Settings that make a scenario quick; everything else is the default.
pub fn config() -> Config {
    Config {
        policy: Policy::Latency,
        accept_poll: Duration::from_millis(5),
        token_poll: Duration::from_millis(5),
        // One emulator serves several tests at once, beside whatever else the machine does.
        connect_timeout: Duration::from_secs(90),
        ..Config::default()
    }
}

/// What a scenario runs on.
#[derive(Clone, Copy)]
pub struct Ground {
    /// The adapter of both ends.
    pub adapter: &'static dyn Adapter,
    /// The store between them.
    pub store: &'static Store,
}

impl Ground {
    /// Runs one scenario in a fresh place of the store. Where there is none, it says so.
    pub fn run(self, name: &str, scenario: fn(&Self, &Place)) {
        match (self.store.open)() {
            Ok(place) => scenario(&self, &place),
            Err(why) => self.skip(name, &why),
        }
    }

    /// Says that a scenario does not run here.
    pub fn skip(&self, name: &str, why: &str) {
        let (adapter, store) = (self.adapter.name(), self.store.name);
        println!("skipped: {name} with {adapter} over {store}: {why}");
    }

    /// A listener in this place.
    pub fn listen(&self, place: &Place, config: Config) -> Box<dyn Listener> {
        self.adapter.listen(place, config).expect("listening")
    }

    /// A listener and both ends of its first connection.
    pub fn pair(&self, place: &Place, config: Config) -> (Box<dyn Listener>, End, End) {
        let mut listener = self.listen(place, config.clone());
        let ticket = listener.ticket();
        let adapter = self.adapter;
        let dialing = std::thread::spawn(move || adapter.dial(&ticket, config));
        let accepted = listener.accept().expect("accepting");
        let dialed = dialing.join().expect("dialing").expect("dialing");
        (listener, dialed, accepted)
    }
}

/// A module for each adapter, in it one for each store, in it a test for each scenario.
#[macro_export]
macro_rules! grid {
    ($adapters:tt x $stores:tt) => {
        $crate::grid! { @adapters $adapters $stores [
            connect echo half_close large many_small slow_reader cancel cancel_at_pending drop_delivers peer_crash
            expired_sas listener_stop
        ] }
    };
    (@adapters [$($adapter:ident)*] $stores:tt $scenarios:tt) => {
        $(mod $adapter { $crate::grid! { @stores $adapter $stores $scenarios } })*
    };
    (@stores $adapter:ident [$($store:ident)*] $scenarios:tt) => {
        $(mod $store { $crate::grid! { @tests $adapter $store $scenarios } })*
    };
    (@tests $adapter:ident $store:ident [$($scenario:ident)*]) => {
        $(
            #[test]
            fn $scenario() {
                let ground = $crate::Ground {
                    adapter: &$crate::adapters::$adapter::Runs,
                    store: &$crate::stores::$store,
                };
                ground.run(stringify!($scenario), $crate::scenarios::$scenario);
            }
        )*
    };
}
