//! The table of stores.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use stillwire_futures::{AddressError, Options};
use tempfile::TempDir;

/// The account that every Azurite has.
pub const ACCOUNT: &str = "devstoreaccount1";
/// The emulator's well-known key, published with it.
pub const KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A kind of store.
pub struct Store {
    /// As in its address.
    pub name: &'static str,
    /// A fresh place in it, or why there is none here.
    pub open: fn() -> Result<Place, String>,
    /// Another process can reach it.
    pub shared: bool,
    /// Its tickets expire.
    pub expires: bool,
    /// Bytes that are many here, and still quick.
    pub many: usize,
    /// Bytes of one read at the most.
    pub one_read: usize,
}

/// One test's place in a store.
pub struct Place {
    /// Where.
    pub address: String,
    /// Names of its own, and the credentials.
    pub options: Options,
    _directory: Option<TempDir>,
}

/// Within this process.
#[allow(non_upper_case_globals, reason = "the name of a module in the grid")]
pub static memory: Store = Store {
    name: "memory",
    open: || Ok(Place::at("memory:".to_owned(), Options::default())),
    shared: false,
    expires: false,
    many: 20_000_000,
    one_read: 16 << 20,
};

/// A directory.
#[allow(non_upper_case_globals, reason = "the name of a module in the grid")]
pub static directory: Store = Store {
    name: "dir",
    open: || {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let address = format!("dir:{}", folder.path().display());
        Ok(Place {
            _directory: Some(folder),
            ..Place::at(address, Options::default())
        })
    },
    shared: true,
    expires: false,
    many: 20_000_000,
    one_read: 16 << 20,
};

/// Azure's, over the emulator.
macro_rules! azure {
    ($($name:ident: $variable:literal, $many:literal, $one_read:expr;)*) => {$(
        #[doc = concat!("Azure, over the emulator at `", $variable, "`.")]
        #[allow(non_upper_case_globals, reason = "the name of a module in the grid")]
        pub static $name: Store = Store {
            name: stringify!($name),
            open: || emulator(stringify!($name), $variable),
            shared: true,
            expires: true,
            many: $many,
            one_read: $one_read,
        };
    )*};
}

azure! {
    azblob: "STILLWIRE_AZURITE_BLOB", 20_000_000, 16 << 20;
    azqueue: "STILLWIRE_AZURITE_QUEUE", 4_000_000, 2 << 20;
    aztable: "STILLWIRE_AZURITE_TABLE", 20_000_000, 16 << 20;
}

impl Place {
    /// A place anywhere.
    pub fn at(address: String, options: Options) -> Self {
        Self {
            address,
            options,
            _directory: None,
        }
    }

    /// The same place with tickets and grants that hold so long.
    pub fn expiring(&self, expiry: Duration) -> Self {
        let options = Options {
            expiry,
            ..self.options.clone()
        };
        Self::at(self.address.clone(), options)
    }

    /// The service's URL, for the Go program.
    pub fn endpoint(&self) -> &str {
        self.address.split_once('+').map_or("", |(_, url)| url)
    }

    /// The name of the place for handshakes, where it has one of its own.
    pub fn handshake(&self) -> &str {
        self.options.handshake.as_deref().unwrap_or_default()
    }

    /// The name of the place for answers.
    pub fn token(&self) -> &str {
        self.options.token.as_deref().unwrap_or_default()
    }
}

/// A corner of the emulator: bootstrap names of its own.
fn emulator(driver: &str, variable: &str) -> Result<Place, String> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let endpoint = std::env::var(variable)
        .map_err(|_| format!("{variable} is not set (cargo xtask test sets it)"))?;
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    // Tables allow letters and digits only.
    let unique = format!("{}x{number}", std::process::id());
    let variables = BTreeMap::from([
        ("AZURE_STORAGE_ACCOUNT", ACCOUNT),
        ("AZURE_STORAGE_KEY", KEY),
    ]);
    let options = Options {
        handshake: Some(format!("handshake{unique}")),
        token: Some(format!("token{unique}")),
        environment: Arc::new(move |name| variables.get(name).map(ToString::to_string)),
        ..Options::default()
    };
    let place = Place::at(format!("{driver}+{endpoint}"), options);
    match stillwire_futures::Store::from_address(&place.address, &place.options) {
        Err(AddressError::Unsupported(service)) => Err(format!("{service} is not carried")),
        _ => Ok(place),
    }
}
