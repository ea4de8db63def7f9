//! What the side-by-side benchmarks are made of: a proxy that counts and delays
//! requests, a bare HTTP client that finds the emulator's ceiling, and a program on
//! `stillwire-tokio` that does the same work as the Go peer.

pub mod http;
pub mod pattern;
pub mod process;
pub mod proxy;
