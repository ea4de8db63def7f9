//! Stillwire on tokio.
