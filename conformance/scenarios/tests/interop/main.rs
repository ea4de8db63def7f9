//! The list over Azure's stores, and the matrix with the Go program.

mod matrix;

use stillwire_scenarios::{grid, scenarios};

grid!([tokio async_std smol blocking] x [azblob azqueue aztable]);

#[test]
#[ignore = "peer_crash runs it in a process of its own"]
fn child_of_peer_crash() {
    scenarios::child();
}
