//! A certificate chain with its key, from PEM.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::Seconds;

/// A pair that can be served.
#[derive(Debug)]
pub struct Pair {
    /// For rustls.
    pub key: CertifiedKey,
    /// When the first certificate of the chain expires.
    pub expires: Seconds,
}

/// Why it can't.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// No certificate in the PEM.
    #[error("the certificate is no PEM certificate: {0}")]
    Certificate(String),
    /// No key in the PEM. The reason could quote it, so there is none.
    #[error("the key is no PEM private key")]
    Key,
    /// They don't belong together, or the key is of an unknown kind.
    #[error("certificate and key can't be used: {0}")]
    Together(#[from] rustls::Error),
}

impl Pair {
    /// Reads a chain, the server's own certificate first, and its key.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, PairError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<_, _>>()
            .map_err(|error| PairError::Certificate(error.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| PairError::Key)?;
        Self::of(chain, key)
    }

    pub(super) fn of(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PairError> {
        let first = chain
            .first()
            .ok_or_else(|| PairError::Certificate("there is none".to_owned()))?;
        let (_, certificate) = x509_parser::parse_x509_certificate(first)
            .map_err(|error| PairError::Certificate(error.to_string()))?;
        let expires = certificate.validity().not_after.timestamp();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider)?;
        Ok(Self { key, expires })
    }
}
