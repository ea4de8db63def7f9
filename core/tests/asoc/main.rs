//! ASoc from outside: the attacks that the protocol's page names, each in both profiles, and the
//! hardened handshake step by step.

mod attacks;
mod hardened;
mod sealed;
mod world;
