//! Text compared byte for byte with files beside these tests.

use std::fs;
use std::path::Path;

/// Set by hand, and only by hand, to take what is printed as right.
const UPDATE: &str = "STILLWIRE_UPDATE_SNAPSHOTS";

/// Fails unless `text` is what the snapshot holds; a missing snapshot fails too.
#[track_caller]
pub(crate) fn assert_snapshot(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("snapshot {name}: {error}; set {UPDATE}=1 to write it"));
    assert_eq!(text, expected, "snapshot {name} differs");
}
