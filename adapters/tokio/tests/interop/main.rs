//! The unmodified Go aznet on the other end, over a real emulator, in both roles.
//!
//! `cargo xtask test` sets the two variables these tests need; without them each says that it was
//! skipped.

mod batch;
mod carrier;
mod crowd;
mod go;
mod hostile;
mod narrow;
mod queue;
mod roles;
mod scope;
mod table;
mod table_hostile;
mod vanish;

pub(crate) use go::Emulator;
