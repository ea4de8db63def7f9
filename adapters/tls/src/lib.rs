//! TLS around ASoc, in both directions, on any async runtime (protocol page `asoc`, traps 8 and
//! 10).
//!
//! Certificates are verified by default, and there is no switch to turn that off. With mutual TLS
//! a node's certificate names its UUID in a subject alternative name, the URI
//! `urn:uuid:01234567-89ab-…`; a peer whose HELLO says another UUID is refused. One node is shut out
//! by a revocation list. [`Authority`] is a small authority for a cluster.

#[cfg(feature = "ca")]
mod authority;

#[cfg(feature = "ca")]
pub use authority::{Authority, Credential};

use futures_rustls::{TlsAcceptor, TlsConnector};
use futures_util::future::BoxFuture;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use stillwire_core::asoc::NodeId;
use stillwire_futures::asoc::{Socket, Wrap, Wrapped};

/// How a node's certificate names its UUID, in front of the UUID.
pub const UUID_SCHEME: &str = "urn:uuid:";

/// What is wrong with certificates, keys or lists. Holds no secret.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    fn new(what: &str, error: impl fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What TLS is made from, as PEM.
#[derive(Clone, Default)]
pub struct Settings {
    /// Our certificate, its chain and its private key. Needed to listen, and to be known when
    /// dialing.
    pub identity: Option<Vec<u8>>,
    /// The authorities that peers' certificates must come from. Needed.
    pub authorities: Vec<u8>,
    /// Their lists of revoked certificates.
    pub revoked: Option<Vec<u8>>,
    /// Whether whoever dials us must show a certificate.
    pub mutual: bool,
    /// The name that a server's certificate must hold; without it, the address that was dialed.
    pub server_name: Option<String>,
}

/// TLS in both directions; hand it to a node or a dial as its [`Wrap`].
#[derive(Clone)]
pub struct Tls {
    connector: TlsConnector,
    acceptor: Option<TlsAcceptor>,
    server_name: Option<ServerName<'static>>,
}

impl Tls {
    /// Puts it together.
    ///
    /// # Errors
    /// PEM that holds nothing of use, or that does not belong together.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let roots = Arc::new(roots(&settings.authorities)?);
        let revoked = lists(settings.revoked.as_deref().unwrap_or_default())?;
        let identity = settings.identity.as_deref().map(identity).transpose()?;
        let name = settings.server_name.clone().map(ServerName::try_from);
        let server_name = name
            .transpose()
            .map_err(|error| Error::new("the server's name is none", error))?;
        let acceptor = match &identity {
            Some((chain, key)) => {
                let pair = (chain.clone(), key.clone_key());
                let config = server(&provider, &roots, &revoked, pair, settings.mutual)?;
                Some(Arc::new(config).into())
            }
            None => None,
        };
        let config = client(&provider, &roots, revoked, identity)?;
        Ok(Self {
            connector: Arc::new(config).into(),
            acceptor,
            server_name,
        })
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let wrong = |error| {
            Error(format!(
                "an authority's certificate cannot be read: {error}"
            ))
        };
        let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
        let added = roots.add(certificate);
        added.map_err(|error| wrong(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(Error(
            "there is no certificate of an authority; TLS without one would verify nobody".into(),
        ));
    }
    Ok(roots)
}

fn lists(pem: &[u8]) -> Result<Vec<CertificateRevocationListDer<'static>>, Error> {
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(pem).collect();
    let lists = lists.map_err(|error| Error::new("a revocation list cannot be read", error))?;
    if lists.is_empty() && !pem.is_empty() {
        return Err(Error("there is no revocation list in the PEM".into()));
    }
    Ok(lists)
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(pem: &[u8]) -> Result<Identity, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|error| Error::new("our certificate cannot be read", error))?;
    if chain.is_empty() {
        return Err(Error(
            "there is no certificate of our own in the PEM".into(),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|error| Error::new("our private key cannot be read", error))?;
    Ok((chain, key))
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    revoked: &[CertificateRevocationListDer<'static>],
    (chain, key): Identity,
    mutual: bool,
) -> Result<ServerConfig, Error> {
    let wrong = |error: &dyn fmt::Display| Error::new("TLS cannot be set up for listening", error);
    let config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?;
    let config = if mutual {
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                .with_crls(revoked.iter().cloned())
                .only_check_end_entity_revocation()
                .build()
                .map_err(|error| wrong(&error))?;
        config.with_client_cert_verifier(verifier)
    } else {
        config.with_no_client_auth()
    };
    config
        .with_single_cert(chain, key)
        .map_err(|error| wrong(&error))
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    revoked: Vec<CertificateRevocationListDer<'static>>,
    identity: Option<Identity>,
) -> Result<ClientConfig, Error> {
    let wrong = |error: &dyn fmt::Display| Error::new("TLS cannot be set up for dialing", error);
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
            .with_crls(revoked)
            .only_check_end_entity_revocation()
            .build()
            .map_err(|error| wrong(&error))?;
    let config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(&error))?
        .with_webpki_verifier(verifier);
    match identity {
        Some((chain, key)) => config
            .with_client_auth_cert(chain, key)
            .map_err(|error| wrong(&error)),
        None => Ok(config.with_no_client_auth()),
    }
}

/// The UUID in a verified certificate, if it has one.
fn named(certificates: Option<&[CertificateDer<'_>]>) -> Option<NodeId> {
    let certificate = webpki::EndEntityCert::try_from(certificates?.first()?).ok()?;
    let mut names = certificate.valid_uri_names();
    names.find_map(|name| NodeId::parse(name.strip_prefix(UUID_SCHEME)?).ok())
}

impl Wrap for Tls {
    fn client(
        &self,
        socket: Box<dyn Socket>,
        to: SocketAddr,
    ) -> BoxFuture<'static, io::Result<Wrapped>> {
        let name = self.server_name.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(to.ip().into()));
        let connecting = self.connector.connect(name, socket);
        Box::pin(async move {
            let socket = connecting.await?;
            let peer = named(socket.get_ref().1.peer_certificates());
            Ok(Wrapped {
                socket: Box::new(socket),
                peer,
            })
        })
    }

    fn server(&self, socket: Box<dyn Socket>) -> BoxFuture<'static, io::Result<Wrapped>> {
        let Some(acceptor) = &self.acceptor else {
            let missing = io::Error::other("a node that listens with TLS needs a certificate");
            return Box::pin(std::future::ready(Err(missing)));
        };
        let accepting = acceptor.accept(socket);
        Box::pin(async move {
            let socket = accepting.await?;
            let peer = named(socket.get_ref().1.peer_certificates());
            Ok(Wrapped {
                socket: Box::new(socket),
                peer,
            })
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("listens", &self.acceptor.is_some())
            .finish_non_exhaustive()
    }
}
