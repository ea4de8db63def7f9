//! What requests cost: data that the user can replace.

use crate::exit::{Code, Fault, one_line};
use serde_json::Value;
use std::path::Path;

/// The list prices that come with the program. Region-neutral: a cheap region's are some percent
/// lower, a dear one's up to twice as high.
const LIST: &str = include_str!("prices.json");

/// Longest file read.
const LONGEST: u64 = 64 << 10;

/// What the service tells apart in its bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Anything that stores.
    Write,
    /// Listings, and the creation of containers.
    List,
    /// Reads, and looks that find nothing.
    Read,
    /// Removals.
    Delete,
}

impl Class {
    pub(super) const ALL: [Self; 4] = [Self::Write, Self::List, Self::Read, Self::Delete];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::List => "list",
            Self::Read => "read",
            Self::Delete => "delete",
        }
    }
}

/// Prices of one service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prices {
    pub(super) currency: String,
    pub(super) as_of: String,
    /// Where they can be checked.
    pub(super) page: Option<String>,
    /// For ten thousand requests, in the order of [`Class::ALL`].
    per_10k: [f64; 4],
    /// For a gigabyte (10^9 bytes) that leaves the region.
    pub(super) traffic: f64,
}

impl Prices {
    /// The list prices, or those of a file.
    pub(super) fn load(service: &str, file: Option<&Path>) -> Result<Self, Fault> {
        let Some(path) = file else {
            return Self::parse(LIST, service)
                .map_err(|what| Fault::new(Code::Local, format!("the list prices: {what}")));
        };
        let shown = path.display().to_string();
        let read = || {
            use std::io::Read;
            let mut text = String::new();
            let file = std::fs::File::open(path)?;
            file.take(LONGEST).read_to_string(&mut text).map(|_| text)
        };
        let text = read().map_err(|error| {
            Fault::file(&format!("cannot read the prices in {shown:?}"), &error)
        })?;
        Self::parse(&text, service).map_err(|what| {
            Fault::new(Code::Usage, format!("the prices in {shown:?}: {what}"))
                .with_hint("docs/src/cost.md shows their form")
        })
    }

    fn parse(text: &str, service: &str) -> Result<Self, String> {
        let json: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let word = |name: &str| {
            let value = json.get(name).and_then(Value::as_str);
            one_line(value.unwrap_or("unknown"))
        };
        let prices = json.get(service).ok_or(format!("none for {service}"))?;
        let price = |name: &str| {
            let price = prices.get(name).and_then(Value::as_f64);
            price
                .filter(|price| price.is_finite() && *price >= 0.0)
                .ok_or(format!("no price {name:?} for {service}"))
        };
        let mut per_10k = [0.0; 4];
        for (slot, class) in per_10k.iter_mut().zip(Class::ALL) {
            *slot = price(class.name())?;
        }
        Ok(Self {
            currency: word("currency"),
            as_of: word("as_of"),
            page: json.get("page").and_then(Value::as_str).map(one_line),
            per_10k,
            traffic: price("traffic")?,
        })
    }

    /// For ten thousand requests.
    pub(super) fn per_10k(&self, class: Class) -> f64 {
        let [write, list, read, delete] = self.per_10k;
        match class {
            Class::Write => write,
            Class::List => list,
            Class::Read => read,
            Class::Delete => delete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_list_prices() {
        for service in ["azblob", "azqueue", "aztable"] {
            let prices = Prices::load(service, None).unwrap();
            assert_eq!(prices.currency, "USD");
            assert!(prices.as_of.contains("20"), "{}", prices.as_of);
            assert!(prices.page.unwrap().starts_with("https://"), "{service}");
            let prices = Prices::load(service, None).unwrap();
            assert!(prices.per_10k(Class::Read) > 0.0, "{service}");
        }
        assert!(Prices::load("asoc", None).is_err());
    }

    #[test]
    fn a_file_that_lacks_a_price_or_has_a_wrong_one_is_refused() {
        let whole = r#"{"azblob":{"write":1,"list":2,"read":3,"delete":0,"traffic":5}}"#;
        let prices = Prices::parse(whole, "azblob").unwrap();
        assert!((prices.per_10k(Class::List) - 2.0).abs() < 1e-9);
        assert_eq!(prices.currency, "unknown");
        assert_eq!(prices.page, None);
        for (from, to) in [
            ("\"list\":2,", ""),
            ("2", "-2"),
            ("2", "\"2\""),
            ("azblob", "x"),
        ] {
            let text = whole.replacen(from, to, 1);
            assert!(Prices::parse(&text, "azblob").is_err(), "{text}");
        }
        assert!(Prices::parse("{", "azblob").is_err());
    }
}
