//! The aznet machines over a plain store, with virtual time. Each trap of the wire page has a test
//! named after it, here or beside the code it concerns.

mod bounds;
mod closing;
mod connecting;
mod far;
mod hostile;
mod idle;
mod queue;
mod several;
mod streaming;
mod sweep;
mod world;
