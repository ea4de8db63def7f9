//! The list of cases that an implementation is known to fail.

use std::collections::BTreeSet;
use std::path::Path;

/// Ids of vectors that are expected to fail, one a line; `#` starts a comment.
///
/// A listed case that passes is a failure: the list must shrink when the implementation grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownFailing(BTreeSet<String>);

impl KnownFailing {
    /// Reads the list from text.
    pub fn parse(text: &str) -> Self {
        let ids = text
            .lines()
            .filter_map(|line| line.split('#').next())
            .map(str::trim)
            .filter(|id| !id.is_empty());
        Self(ids.map(str::to_owned).collect())
    }

    /// Reads the list from a file.
    pub fn load(path: &Path) -> Result<Self, String> {
        std::fs::read_to_string(path)
            .map(|text| Self::parse(&text))
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Whether the case is listed.
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }

    /// The ids, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_blanks_are_not_ids() {
        let list = KnownFailing::parse("# why\n\n a-0001 # later\nb-0002\r\n");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["a-0001", "b-0002"]);
        assert!(list.contains("a-0001"));
        assert!(!list.contains("why"));
    }
}
