//! What it takes to delete messages: their ids and pop receipts, under names of ours.

use std::collections::BTreeMap;

/// Names remembered; past it some are forgotten, and their messages are left where they are.
const NAMES: usize = 4_096;
/// Messages remembered under one name: copies, made by puts whose answers were lost.
const COPIES: usize = 8;
/// Longest message id or pop receipt taken from the service.
const LONGEST: usize = 512;

/// What deletes one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Receipt {
    /// The message's id.
    pub(super) id: String,
    /// Its latest pop receipt; valid until the message is got again.
    pub(super) pop: String,
}

impl Receipt {
    /// Takes what the service named; [`None`] for what cannot be used.
    pub(super) fn new(id: &str, pop: &str) -> Option<Self> {
        let sane = |text: &str| {
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
        };
        // A URL cannot name these two: they would be taken as steps in its path.
        (sane(id) && sane(pop) && !matches!(id, "." | "..")).then(|| Self {
            id: id.to_owned(),
            pop: pop.to_owned(),
        })
    }
}

/// Receipts by name.
#[derive(Debug)]
pub(super) struct Receipts<K>(BTreeMap<K, Vec<Receipt>>);

impl<K> Default for Receipts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Receipts<K> {
    /// Remembers a message; one that is known gets its new pop receipt.
    pub(super) fn keep(&mut self, name: K, receipt: Receipt) {
        if self.0.len() >= NAMES && !self.0.contains_key(&name) {
            self.0.pop_first();
        }
        let known = self.0.entry(name).or_default();
        known.retain(|other| other.id != receipt.id);
        if known.len() < COPIES {
            known.push(receipt);
        }
    }

    /// One message under this name.
    pub(super) fn first(&self, name: &K) -> Option<Receipt> {
        self.0.get(name)?.first().cloned()
    }

    /// Forgets a message, unless it has got another pop receipt meanwhile.
    pub(super) fn forget(&mut self, name: &K, gone: &Receipt) {
        if let Some(known) = self.0.get_mut(name) {
            known.retain(|receipt| receipt != gone);
            if known.is_empty() {
                self.0.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_calls_a_receipt_is_checked() {
        assert!(Receipt::new("id", "AgAAAAMAAAAAAAAA+/=").is_some());
        for (id, pop) in [
            ("", "x"),
            ("x", ""),
            ("..", "x"),
            (".", "x"),
            ("x y", "x"),
            ("x", "é"),
        ] {
            assert_eq!(Receipt::new(id, pop), None, "{id:?} {pop:?}");
        }
        assert_eq!(Receipt::new(&"i".repeat(513), "x"), None);
    }

    #[test]
    fn copies_are_deleted_one_by_one_and_names_are_bounded() {
        let mut receipts = Receipts::default();
        let receipt = |id: &str, pop: &str| Receipt::new(id, pop).unwrap();
        receipts.keep(7, receipt("a", "1"));
        receipts.keep(7, receipt("b", "1"));
        receipts.keep(7, receipt("a", "2"));
        assert_eq!(receipts.first(&7), Some(receipt("b", "1")));
        receipts.forget(&7, &receipt("b", "1"));
        receipts.forget(&7, &receipt("a", "1"));
        assert_eq!(receipts.first(&7), Some(receipt("a", "2")));
        receipts.forget(&7, &receipt("a", "2"));
        assert_eq!((receipts.first(&7), receipts.0.len()), (None, 0));
        for name in 0..10_000 {
            receipts.keep(name, receipt("a", "1"));
        }
        assert_eq!(receipts.0.len(), NAMES);
        for n in 0..20 {
            receipts.keep(-1, receipt(&format!("m{n}"), "1"));
        }
        assert_eq!(receipts.0.get(&-1).unwrap().len(), COPIES);
    }
}
