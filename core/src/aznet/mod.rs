//! aznet: an encrypted byte stream carried by storage (wire page `aznet`).
//!
//! Noise NN between a *listener* that owns the storage and a *dialer* that holds a connection
//! URL; then sealed chunks in one append-only place per direction.

mod id;

pub use id::ConnectionId;
