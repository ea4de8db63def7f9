//! Names: only plain ones ever become part of a path.

/// Longest name that every common file system takes.
const LONGEST: usize = 255;

/// True for a name that is one path component on every system and not one of our temporary ones:
/// ASCII letters, digits, `-`, `_` and `.`, not beginning with a dot.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= LONGEST
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

/// The name of the file whose first chunk has this sequence number.
pub(crate) fn of_chunks(first: u64) -> String {
    format!("{first:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_names_pass() {
        let long = "a".repeat(256);
        for name in [
            "", ".", "..", "../x", "a/b", "/etc", "a\\b", "a\0", "a\n", ".hidden", "c:", "é",
            "a b", &long,
        ] {
            assert!(!is_plain(name), "{name:?}");
        }
        for name in ["handshake", "a.b", "9b2f-_", &long[1..]] {
            assert!(is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn chunk_names_sort_like_their_numbers() {
        assert_eq!(of_chunks(0), "0000000000000000");
        assert_eq!(of_chunks(u64::MAX), "ffffffffffffffff");
        assert!(of_chunks(9) < of_chunks(10));
    }
}
