//! Vectors, runner and implementation under test (IUT) for the Stillwire protocols.
//!
//! A vector is a short script: what is asked of an implementation and what must come back. The
//! same objects are the lines that the [runner](run) pipes to an implementation, so one in any
//! language can be checked by answering lines on its standard input. [`iut`] answers them with
//! Stillwire's own code.
//!
//! Bytes are lowercase hex; integers from 2^53 on are decimal strings, and either form is
//! accepted everywhere; errors are `{"error":{"class":"…"}}` with the classes of
//! [`stillwire_core::Class`]; an operation that is not known answers `{"unsupported":true}`.
#![forbid(unsafe_code)]

pub mod child;
mod hex;
pub mod iut;
pub mod known;
pub mod matching;
pub mod run;
pub mod vector;
