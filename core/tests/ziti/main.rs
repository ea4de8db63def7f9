//! OpenZiti connections from end to end, without a network.

mod ends;
mod forged;
mod identities;
mod limits;
mod streams;
mod world;
