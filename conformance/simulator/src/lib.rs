//! Two machines, a simulated store, virtual time and a seed.

mod rng;
mod service;
