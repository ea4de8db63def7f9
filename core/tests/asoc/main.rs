//! ASoc from outside: the attacks that the protocol's page names, each in both profiles, the
//! hardened handshake step by step, and bad input of every kind.

mod attacks;
mod bad_input;
mod hardened;
mod house;
mod sealed;
mod world;
