//! What verifies and connects until the next revocation list.

use crate::Error;
use crate::live::Peer;
use futures_rustls::{TlsAcceptor, TlsConnector};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::sync::Arc;

/// What stays as it is from one list to the next.
pub(crate) struct Parts {
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    pub(crate) mutual: bool,
}

/// Both directions under one list. Sessions that may be resumed belong to it: under the next list
/// there are none, so that nobody comes back unverified.
pub(crate) struct Current {
    pub(crate) connector: TlsConnector,
    pub(crate) acceptor: Option<TlsAcceptor>,
    clients: Arc<dyn ClientCertVerifier>,
    servers: Arc<WebPkiServerVerifier>,
}

impl Current {
    pub(crate) fn new(
        parts: &Parts,
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, Error> {
        let (roots, provider) = (&parts.roots, &parts.provider);
        let wrong = |error: &dyn fmt::Display| {
            Error::new("certificates cannot be verified with these settings", error)
        };
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                .with_crls(revoked.iter().cloned())
                .only_check_end_entity_revocation()
                .build()
                .map_err(|error| wrong(&error))?;
        let servers =
            WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                .with_crls(revoked)
                .only_check_end_entity_revocation()
                .build()
                .map_err(|error| wrong(&error))?;
        let acceptor = match &parts.identity {
            Some(own) => Some(Arc::new(server(parts, &clients, own)?).into()),
            None => None,
        };
        Ok(Self {
            connector: Arc::new(client(parts, &servers)?).into(),
            acceptor,
            clients,
            servers,
        })
    }

    /// Whether the list names a peer's certificate.
    pub(crate) fn names(&self, peer: &Peer) -> bool {
        let Some((own, chain)) = peer.chain.split_first() else {
            return false;
        };
        let now = UnixTime::now();
        let verified = match &peer.name {
            None => self.clients.verify_client_cert(own, chain, now).map(drop),
            Some(name) => {
                let verified = self.servers.verify_server_cert(own, chain, name, &[], now);
                verified.map(drop)
            }
        };
        matches!(
            verified,
            Err(rustls::Error::InvalidCertificate(CertificateError::Revoked))
        )
    }
}

fn server(
    parts: &Parts,
    clients: &Arc<dyn ClientCertVerifier>,
    own: &Arc<CertifiedKey>,
) -> Result<ServerConfig, Error> {
    let config = ServerConfig::builder_with_provider(Arc::clone(&parts.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new("TLS cannot be set up for listening", error))?;
    let config = if parts.mutual {
        config.with_client_cert_verifier(Arc::clone(clients))
    } else {
        config.with_no_client_auth()
    };
    let own = SingleCertAndKey::from(Arc::clone(own));
    Ok(config.with_cert_resolver(Arc::new(own)))
}

fn client(parts: &Parts, servers: &Arc<WebPkiServerVerifier>) -> Result<ClientConfig, Error> {
    let config = ClientConfig::builder_with_provider(Arc::clone(&parts.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new("TLS cannot be set up for dialing", error))?
        .with_webpki_verifier(Arc::clone(servers));
    Ok(match &parts.identity {
        Some(own) => {
            let own = SingleCertAndKey::from(Arc::clone(own));
            config.with_client_cert_resolver(Arc::new(own))
        }
        None => config.with_no_client_auth(),
    })
}
