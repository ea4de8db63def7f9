//! The list.

mod crash;
mod ending;
mod moving;

pub use crash::{child, peer_crash};
pub use ending::{drop_delivers, expired_sas, half_close, listener_stop};
pub use moving::{cancel, connect, echo, large, many_small, slow_reader};
