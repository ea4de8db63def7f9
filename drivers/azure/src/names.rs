//! Names of the two places where dialers and listeners meet.

use crate::{Error, Service};

/// Names of the two bootstrap places: containers, queues or tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    handshake: String,
    token: String,
}

impl Names {
    /// Takes two different names, of containers or queues.
    ///
    /// # Errors
    /// [`Error::Name`].
    pub fn new(handshake: impl Into<String>, token: impl Into<String>) -> Result<Self, Error> {
        Self::checked(
            handshake.into(),
            token.into(),
            is_container_name,
            Error::Name,
        )
    }

    /// Takes two different names of tables.
    ///
    /// # Errors
    /// [`Error::TableName`].
    pub fn tables(handshake: impl Into<String>, token: impl Into<String>) -> Result<Self, Error> {
        Self::checked(
            handshake.into(),
            token.into(),
            is_table_name,
            Error::TableName,
        )
    }

    /// Takes two different names as the service wants them.
    ///
    /// # Errors
    /// [`Error::Name`], [`Error::TableName`].
    pub fn of(
        service: Service,
        handshake: impl Into<String>,
        token: impl Into<String>,
    ) -> Result<Self, Error> {
        match service {
            Service::Blob | Service::Queue => Self::new(handshake, token),
            Service::Table => Self::tables(handshake, token),
        }
    }

    fn checked(
        handshake: String,
        token: String,
        good: fn(&str) -> bool,
        error: fn(String) -> Error,
    ) -> Result<Self, Error> {
        for name in [&handshake, &token] {
            if !good(name) {
                return Err(error(name.clone()));
            }
        }
        // Table names differ by more than their case.
        if handshake.eq_ignore_ascii_case(&token) {
            return Err(error(token));
        }
        Ok(Self { handshake, token })
    }

    /// The place dialers write to.
    pub fn handshake(&self) -> &str {
        &self.handshake
    }

    /// The place dialers read from.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl Default for Names {
    fn default() -> Self {
        Self {
            handshake: "handshake".into(),
            token: "token".into(),
        }
    }
}

fn is_container_name(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (3..=63).contains(&name.len())
        && name.bytes().all(good)
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

fn is_table_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.eq_ignore_ascii_case("tables")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_names_of_their_own_kind() {
        for name in ["Abc", "handshake7", &"a".repeat(63)] {
            let names = Names::of(Service::Table, name, "token").unwrap();
            assert_eq!((names.handshake(), names.token()), (name, "token"));
        }
        for name in ["ab", "7abc", "with-hyphen", "é00", "tables", "", "TOKEN"] {
            assert!(
                matches!(Names::tables(name, "token"), Err(Error::TableName(_))),
                "{name}"
            );
            let long = "a".repeat(64);
            assert_eq!(
                Names::tables("token", &*long),
                Err(Error::TableName(long)),
                "one too long"
            );
        }
    }

    #[test]
    fn queues_are_named_like_containers() {
        assert!(Names::of(Service::Queue, "a-queue", "token").is_ok());
        for name in ["Upper", "a--b", "-ab", "ab-", "a_b", "ab", "token"] {
            assert!(
                matches!(Names::new(name, "token"), Err(Error::Name(_))),
                "{name}"
            );
        }
    }
}
