//! The machine of commonware-stream, both ends, over a wire that the tests hold in their hands.

mod altered;
mod connecting;
mod hostile;
mod identities;
mod streaming;
mod world;
