//! OpenZiti connections from end to end, without a network.

mod altered;
mod ends;
mod forged;
mod identities;
mod limits;
mod streams;
mod world;
