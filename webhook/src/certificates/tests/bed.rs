//! Replicas, their clock, and a caller that verifies what they serve.

use std::sync::Arc;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::apiserver::Apiserver;
use crate::certificates::authority::Times;
use crate::certificates::bundles::Configurations;
use crate::certificates::keeper::{Charge, Keeper};
use crate::certificates::served::Served;
use crate::certificates::{BUNDLE, CERTIFICATE, Seconds};
use crate::server::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;

pub(super) const NAME: &str = "natsguard.natsguard.svc";
const START: Seconds = 1_800_000_000;

thread_local! {
    static BEGAN: Instant = Instant::now();
}

/// Follows the simulated time of the test's own thread.
pub(super) fn clock() -> Seconds {
    START + BEGAN.with(|began| crate::certificates::seconds(began.elapsed()))
}

pub(super) struct Replica {
    pub(super) served: Arc<Served>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) running: JoinHandle<()>,
}

/// A rotation every 20 s.
pub(super) const FAST: Times = Times {
    ca_lifetime: 60,
    rotate_after: 20,
    settle: 5,
    leaf_lifetime: 30,
};

pub(super) const SLOW: Times = Times {
    ca_lifetime: 365 * 86_400,
    rotate_after: 243 * 86_400,
    settle: 300,
    leaf_lifetime: 7 * 86_400,
};

impl Replica {
    pub(super) fn start(server: &Apiserver, times: &Times) -> Self {
        // The simulated time begins with the first replica.
        clock();
        let served = Arc::new(Served::default());
        let lifecycle = Arc::new(Lifecycle::new(&[CERTIFICATE, BUNDLE]));
        let metrics = Metrics::new();
        let Configurations(configurations) = "natsguard".parse().unwrap();
        let charge = Charge {
            namespace: "natsguard".to_owned(),
            secret: "natsguard-ca".to_owned(),
            names: vec![NAME.to_owned()],
            configurations,
            times: times.clone(),
            poll: Duration::from_secs(2),
        };
        let keeper = Keeper::new(
            charge,
            server.client(),
            Arc::clone(&served),
            Arc::clone(&lifecycle),
            Arc::clone(&metrics),
            clock,
        );
        Self {
            served,
            lifecycle,
            metrics,
            running: tokio::spawn(keeper.run()),
        }
    }

    pub(super) fn several(count: usize, server: &Apiserver, times: &Times) -> Vec<Self> {
        (0..count).map(|_| Self::start(server, times)).collect()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.lifecycle.missing().is_empty()
    }

    pub(super) fn leaf(&self) -> CertificateDer<'static> {
        self.served.current().expect("a certificate").cert[0].clone()
    }

    /// Whether a caller that trusts this bundle takes what is served.
    pub(super) fn verify(&self, bundle: &str) -> Result<(), String> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
            roots.add(root.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| error.to_string())?;
        let name = ServerName::try_from(NAME).unwrap();
        let seconds = clock().unsigned_abs();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        verifier
            .verify_server_cert(&self.leaf(), &[], &name, &[], now)
            .map(|_| ())
            .map_err(|error| error.to_string())
    }

    pub(super) fn is_trusted_by(&self, server: &Apiserver) -> Result<(), String> {
        let bundles = server.bundles();
        assert_eq!(bundles.len(), 4);
        bundles.iter().try_for_each(|bundle| self.verify(bundle))
    }
}
