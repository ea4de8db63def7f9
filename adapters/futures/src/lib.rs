//! What every async runtime shares to run Stillwire.
