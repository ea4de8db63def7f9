//! What a read brought, besides plaintext.

#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// At least one chunk was opened.
    pub(super) opened: bool,
    /// Frames other than pings and rotations came, or a part of a chunk.
    pub(super) frames: bool,
    /// The peer's very first frame was a ping, as a Stillwire dialer's is.
    pub(super) greeted: bool,
    /// The peer's end mark came.
    pub(super) fin: bool,
    /// The peer's farewell came.
    pub(super) done: bool,
}
