//! The list.

mod crash;
mod ending;
mod moving;

pub use crash::{child, peer_crash};
pub use ending::{drop_delivers, expired_sas, half_close, listener_stop};
pub use moving::{cancel, cancel_at_pending, connect, echo, large, many_small, slow_reader};
