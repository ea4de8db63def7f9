//! The bytes of aznet, apart from any state (wire page `aznet`).

pub mod chunk;
pub mod frame;
mod json;
mod percent;
pub mod queue;
pub mod table;
pub mod tokens;
pub mod url;
