//! The certificate of the moment; new handshakes see a new one, connections keep theirs.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Holds what is served.
#[derive(Debug, Default)]
pub struct Served {
    key: ArcSwapOption<CertifiedKey>,
}

impl Served {
    /// Serves another certificate from now on.
    pub fn put(&self, key: CertifiedKey) {
        self.key.store(Some(Arc::new(key)));
    }

    /// What is served now.
    pub fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.key.load_full()
    }
}

impl ResolvesServerCert for Served {
    // One name, one certificate: what the caller asks for doesn't matter, it verifies the answer.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}
