//! The TLS side of the server: TLS 1.3, 1.2 by option, HTTP/1.1 only, no resumption.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

use crate::certificates::served::Served;

/// What is offered to callers. Existing connections keep what they began with.
#[derive(Debug)]
pub struct Tls {
    served: Arc<Served>,
    allow_tls12: bool,
    config: ArcSwap<ServerConfig>,
}

/// TLS that can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The client CA is of no use.
    #[error("client CA: {0}; give one or more PEM certificates")]
    ClientCa(String),
    /// The crypto provider lacks something.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

impl Tls {
    /// TLS with the certificate of the moment; with a client CA, callers must show a certificate of it.
    pub fn new(
        served: Arc<Served>,
        allow_tls12: bool,
        client_ca: Option<&[u8]>,
    ) -> Result<Self, TlsError> {
        let config = config(&served, allow_tls12, client_ca)?;
        Ok(Self {
            served,
            allow_tls12,
            config: ArcSwap::from_pointee(config),
        })
    }

    /// Takes another client CA for new connections.
    pub fn trust(&self, client_ca: &[u8]) -> Result<(), TlsError> {
        let config = config(&self.served, self.allow_tls12, Some(client_ca))?;
        self.config.store(Arc::new(config));
        Ok(())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }
}

fn config(
    served: &Arc<Served>,
    allow_tls12: bool,
    client_ca: Option<&[u8]>,
) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions: &[_] = if allow_tls12 {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider)
                    .build()
                    .map_err(|error| TlsError::ClientCa(error.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::clone(served) as _);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // The apiserver keeps no sessions; tickets would only cost memory.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn roots(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| TlsError::ClientCa(error.to_string()))?;
        roots.add(certificate)?;
    }
    Ok(roots)
}
