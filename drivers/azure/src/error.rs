//! What can be wrong with what the user or a peer handed us, before anything is sent.

use crate::Service;
use core::fmt;
use stillwire_core::Class;

/// A credential, an address or a setting that cannot be used. Holds no secret: safe to print.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The account key is not padded standard base64 of at least one byte.
    Key,
    /// The text is not a SAS: what is wrong with it.
    Sas(&'static str),
    /// A permission letter the service does not know.
    Permission(char),
    /// A SAS needs at least one permission.
    NoPermission,
    /// A SAS protocol other than `https` and `https,http`.
    Protocol,
    /// A service version whose signed format we do not know.
    Version,
    /// Not a container or queue name: lowercase letters, digits and single hyphens, 3 to 63 of
    /// them; or the same name twice.
    Name(String),
    /// Not a table name: letters and digits, 3 to 63 of them, a letter first; or the same name
    /// twice.
    TableName(String),
    /// The endpoint is no usable `http` or `https` URL: what is wrong with it.
    Endpoint(&'static str),
    /// The store's address does not parse: what is wrong with it.
    Address(&'static str),
    /// The connection string does not parse: what is wrong with it.
    ConnectionString(&'static str),
    /// The environment names no account for this service.
    NoAccount,
    /// An account without a key and without a SAS.
    NoCredential,
    /// The account is there, but has no endpoint for this service.
    NoEndpoint(Service),
    /// The environment's credential is for one account, the address names another.
    OtherAccount {
        /// The account the credential is for.
        credential: String,
        /// The account in the address.
        address: String,
    },
    /// Minting a SAS takes the account key, and there is none.
    CannotSign,
}

impl Error {
    /// The word of the conformance vectors.
    pub const fn class(&self) -> Class {
        match self {
            Self::Name(_) | Self::TableName(_) => Class::Name,
            Self::Version => Class::Version,
            Self::OtherAccount { .. } => Class::Identity,
            _ => Class::Encoding,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key => f.write_str("the account key is not base64: copy it again, all of it"),
            Self::Sas(what) => write!(f, "not a SAS: {what}"),
            Self::Permission(letter) => {
                write!(f, "no such permission letter: {}", letter.escape_default())
            }
            Self::NoPermission => f.write_str("a SAS needs at least one permission"),
            Self::Protocol => f.write_str("the protocol of a SAS is \"https\" or \"https,http\""),
            Self::Version => f.write_str("no such service version, or one from before 2018-11-09"),
            Self::Name(name) => write!(
                f,
                "not a container or queue name: {name:?} (3 to 63 lowercase letters, digits and single hyphens, not the same twice)"
            ),
            Self::TableName(name) => write!(
                f,
                "not a table name: {name:?} (3 to 63 letters and digits, a letter first, not the same twice)"
            ),
            Self::Endpoint(what) => write!(f, "not an endpoint: {what}"),
            Self::Address(what) => write!(f, "not a store address: {what}"),
            Self::ConnectionString(what) => {
                write!(f, "AZURE_STORAGE_CONNECTION_STRING: {what}")
            }
            Self::NoAccount => f.write_str(
                "no storage account: set AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY",
            ),
            Self::NoCredential => f.write_str(
                "no credential for the storage account: set AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
            ),
            Self::NoEndpoint(service) => write!(f, "the account has no {service} endpoint"),
            Self::OtherAccount {
                credential,
                address,
            } => write!(
                f,
                "the credential in the environment is for account {credential:?}, the address names {address:?}"
            ),
            Self::CannotSign => f.write_str(
                "a listener needs the account key: with a SAS alone no SAS can be made for the dialer",
            ),
        }
    }
}

impl core::error::Error for Error {}
