//! A CA: makes itself, reads itself, is written as PEM.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData as _,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;

use super::Seconds;

/// How far certificates begin in the past, for clocks that are behind.
pub(super) const BACKDATED: Seconds = 3600;

/// A certificate that others are told to trust.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trusted {
    /// When it was made.
    pub created: Seconds,
    /// When it ends.
    pub expires: Seconds,
    /// The certificate.
    pub pem: String,
}

/// A trusted certificate, and the key that signs for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ca {
    /// What others trust.
    pub certificate: Trusted,
    /// The key, as PEM. Never printed.
    pub(super) key: String,
}

/// A CA that is none.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The certificate can't be read or is no CA's.
    #[error("no CA certificate: {0}")]
    Certificate(String),
    /// The key can't be read or belongs to another certificate.
    #[error("the CA's key is unreadable or belongs to another certificate")]
    Key,
    /// It can't be made.
    #[error("can't make a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// A time that no certificate can hold.
    #[error("{0} is no time for a certificate")]
    Time(Seconds),
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Trusted {
    /// Reads one PEM certificate.
    pub fn read(pem: &str) -> Result<Self, CaError> {
        let der = CertificateDer::from_pem_slice(pem.as_bytes())
            .map_err(|error| CaError::Certificate(error.to_string()))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| CaError::Certificate(error.to_string()))?;
        if !certificate.is_ca() {
            return Err(CaError::Certificate("it may not sign others".to_owned()));
        }
        let validity = certificate.validity();
        Ok(Self {
            created: validity.not_before.timestamp() + BACKDATED,
            expires: validity.not_after.timestamp(),
            pem: pem.to_owned(),
        })
    }
}

impl Ca {
    /// Makes a CA with a P-256 key.
    pub fn generate(now: Seconds, lifetime: Seconds) -> Result<Self, CaError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        // A name of its own, so that verifiers pick the right one of a bundle at once.
        params
            .distinguished_name
            .push(DnType::CommonName, format!("natsguard CA {now}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let expires = now.saturating_add(lifetime);
        params.not_before = time(now - BACKDATED)?;
        params.not_after = time(expires)?;
        let certificate = params.self_signed(&key)?;
        Ok(Self {
            certificate: Trusted {
                created: now,
                expires,
                pem: certificate.pem(),
            },
            key: key.serialize_pem(),
        })
    }

    /// Reads a CA; its key must be its own.
    pub fn read(certificate: &str, key: &str) -> Result<Self, CaError> {
        let ca = Self {
            certificate: Trusted::read(certificate)?,
            key: key.to_owned(),
        };
        let der = ca.der()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&der)
            .map_err(|error| CaError::Certificate(error.to_string()))?;
        let key = KeyPair::from_pem(key).map_err(|_| CaError::Key)?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(CaError::Key);
        }
        Ok(ca)
    }

    pub(crate) fn issuer(&self) -> Result<Issuer<'static, KeyPair>, CaError> {
        let key = KeyPair::from_pem(&self.key).map_err(|_| CaError::Key)?;
        Ok(Issuer::from_ca_cert_der(&self.der()?, key)?)
    }

    fn der(&self) -> Result<CertificateDer<'static>, CaError> {
        CertificateDer::from_pem_slice(self.certificate.pem.as_bytes())
            .map_err(|error| CaError::Certificate(error.to_string()))
    }
}

pub(super) fn time(seconds: Seconds) -> Result<OffsetDateTime, CaError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| CaError::Time(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Seconds = 1_800_000_000;

    #[test]
    fn a_ca_reads_itself() {
        let ca = Ca::generate(NOW, 100).unwrap();
        assert_eq!(ca.certificate.created, NOW);
        assert_eq!(ca.certificate.expires, NOW + 100);
        assert_eq!(Ca::read(&ca.certificate.pem, &ca.key).unwrap(), ca);
    }

    #[test]
    fn a_foreign_key_is_refused() {
        let (ca, other) = (
            Ca::generate(NOW, 100).unwrap(),
            Ca::generate(NOW, 100).unwrap(),
        );
        let error = Ca::read(&ca.certificate.pem, &other.key).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the CA's key is unreadable or belongs to another certificate"
        );
    }

    #[test]
    fn the_key_is_never_printed() {
        let ca = Ca::generate(NOW, 100).unwrap();
        assert!(!format!("{ca:?}").contains("PRIVATE"));
    }
}
