//! TLS around ASoc, in both directions, on any async runtime (protocol page `asoc`, traps 8 and
//! 10).
//!
//! Certificates are verified by default, and there is no switch to turn that off. With mutual TLS
//! a node's certificate names its UUID in a subject alternative name, the URI
//! `urn:uuid:01234567-89ab-…`; a peer whose HELLO says another UUID is refused. One node is shut out
//! by a revocation list, which can be changed while connections are up ([`Tls::reload`]). [`Authority`] is a small authority for a cluster.

#[cfg(feature = "ca")]
mod authority;
mod current;
mod live;

#[cfg(feature = "ca")]
pub use authority::{Authority, Credential};

use current::{Current, Parts};
use futures_util::future::BoxFuture;
use live::{Live, Peer, Watched, revoked};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
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

/// TLS in both directions; hand it to a node or a dial as its [`Wrap`]. Clones are the same one.
#[derive(Clone)]
pub struct Tls(Arc<Inner>);

struct Inner {
    parts: Parts,
    server_name: Option<ServerName<'static>>,
    current: RwLock<Arc<Current>>,
    live: Live,
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
        let own = identity.map(|(chain, key)| CertifiedKey::from_der(chain, key, &provider));
        let own = own
            .transpose()
            .map_err(|error| Error::new("our certificate and key cannot be used", error))?;
        let parts = Parts {
            provider,
            roots,
            identity: own.map(Arc::new),
            mutual: settings.mutual,
        };
        let current = Arc::new(Current::new(&parts, revoked)?);
        Ok(Self(Arc::new(Inner {
            parts,
            server_name,
            current: RwLock::new(current),
            live: Live::default(),
        })))
    }

    /// Takes new lists of revoked certificates, as PEM, in place of the old ones. Connections that
    /// are up with a peer that they name are cut off; says how many. Others go on.
    ///
    /// # Errors
    /// PEM without a list; then nothing has changed.
    pub fn reload(&self, revoked: &[u8]) -> Result<usize, Error> {
        let lists = lists(revoked)?;
        if lists.is_empty() {
            return Err(Error("there is no revocation list in the PEM".into()));
        }
        let current = Arc::new(Current::new(&self.0.parts, lists)?);
        *self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&current);
        Ok(self.0.live.cut(|peer| current.names(peer)))
    }
}

impl Inner {
    fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A connection that `current` has verified, with whomever is at its other end.
    fn watched<S: Socket + 'static>(
        &self,
        current: &Arc<Current>,
        socket: S,
        chain: Option<Vec<CertificateDer<'static>>>,
        name: Option<ServerName<'static>>,
    ) -> io::Result<Wrapped> {
        let peer = named(chain.as_deref());
        let chain = chain.unwrap_or_default();
        let line = self.live.add(Peer { chain, name });
        // There may be a new list since: it was not verified under that, and not cut off by it.
        let now = self.current();
        if !Arc::ptr_eq(current, &now) && now.names(line.peer()) {
            return Err(revoked());
        }
        Ok(Wrapped {
            socket: Box::new(Watched { socket, line }),
            peer,
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
        let inner = Arc::clone(&self.0);
        let name = inner.server_name.clone();
        let name = name.unwrap_or_else(|| ServerName::IpAddress(to.ip().into()));
        let current = inner.current();
        let connecting = current.connector.connect(name.clone(), socket);
        Box::pin(async move {
            let socket = connecting.await?;
            let chain = socket.get_ref().1.peer_certificates();
            let chain = chain.map(<[CertificateDer<'_>]>::to_vec);
            inner.watched(&current, socket, chain, Some(name))
        })
    }

    fn server(&self, socket: Box<dyn Socket>) -> BoxFuture<'static, io::Result<Wrapped>> {
        let inner = Arc::clone(&self.0);
        let current = inner.current();
        let Some(acceptor) = &current.acceptor else {
            let missing = io::Error::other("a node that listens with TLS needs a certificate");
            return Box::pin(std::future::ready(Err(missing)));
        };
        let accepting = acceptor.accept(socket);
        Box::pin(async move {
            let socket = accepting.await?;
            let chain = socket.get_ref().1.peer_certificates();
            let chain = chain.map(<[CertificateDer<'_>]>::to_vec);
            inner.watched(&current, socket, chain, None)
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("listens", &self.0.parts.identity.is_some())
            .finish_non_exhaustive()
    }
}
