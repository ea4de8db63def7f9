//! A small certificate authority for a cluster.

use crate::{Error, UUID_SCHEME};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SanType, SerialNumber,
};
use stillwire_core::asoc::NodeId;
use time::{Duration, OffsetDateTime};

/// How long the authority's own certificate holds.
const AUTHORITY_DAYS: i64 = 3650;

/// How long a revocation list is the latest; a new one can be made at any time before.
const LIST_DAYS: i64 = 365;

/// Clocks of nodes may be so far behind.
const SKEW: Duration = Duration::hours(1);

/// A certificate and its private key, as PEM. The key is a secret.
pub struct Credential {
    /// The certificate.
    pub certificate: String,
    /// The private key.
    pub key: String,
    /// What a revocation list calls the certificate.
    pub serial: Vec<u8>,
}

/// An authority: it makes node certificates and revocation lists.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

fn wrong(error: impl std::fmt::Display) -> Error {
    Error::new("the authority cannot do that", error)
}

/// A serial number of 16 random bytes, positive.
fn serial() -> Result<SerialNumber, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(wrong)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

impl Authority {
    /// Makes a new authority.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn generate(name: &str) -> Result<(Self, Credential), Error> {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let serial = serial()?;
        params.serial_number = Some(serial.clone());
        let now = OffsetDateTime::now_utc();
        params.not_before = now - SKEW;
        params.not_after = now + Duration::days(AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).map_err(wrong)?.pem();
        let pem = key.serialize_pem();
        let credential = Credential {
            certificate,
            key: pem,
            serial: serial.to_bytes(),
        };
        Ok((
            Self::load(&credential.certificate, &credential.key)?,
            credential,
        ))
    }

    /// Takes up an authority that was made before.
    ///
    /// # Errors
    /// PEM that is none, or that does not belong together.
    pub fn load(certificate: &str, key: &str) -> Result<Self, Error> {
        let key = KeyPair::from_pem(key).map_err(wrong)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(wrong)?;
        Ok(Self { issuer })
    }

    /// Makes a node's certificate, which holds for `days` and for these host names and addresses.
    ///
    /// # Errors
    /// A name that cannot stand in a certificate.
    pub fn issue(&self, node: NodeId, names: &[String], days: u32) -> Result<Credential, Error> {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(wrong)?;
        params
            .distinguished_name
            .push(DnType::CommonName, node.to_string());
        let uri = format!("{UUID_SCHEME}{node}").try_into().map_err(wrong)?;
        params.subject_alt_names.push(SanType::URI(uri));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let serial = serial()?;
        params.serial_number = Some(serial.clone());
        let now = OffsetDateTime::now_utc();
        params.not_before = now - SKEW;
        params.not_after = now + Duration::days(i64::from(days));
        let certificate = params.signed_by(&key, &self.issuer).map_err(wrong)?;
        Ok(Credential {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            serial: serial.to_bytes(),
        })
    }

    /// The revocation list, as PEM, of the certificates with these serial numbers. `number` must
    /// grow from list to list.
    ///
    /// # Errors
    /// Those of signing.
    pub fn revoke(&self, serials: &[Vec<u8>], number: u64) -> Result<String, Error> {
        let now = OffsetDateTime::now_utc();
        let revoked_certs = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: now,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: now - SKEW,
            next_update: now + Duration::days(LIST_DAYS),
            crl_number: SerialNumber::from(number),
            issuing_distribution_point: None,
            revoked_certs: revoked_certs.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let signed = list.signed_by(&self.issuer).map_err(wrong)?;
        signed.pem().map_err(wrong)
    }
}
