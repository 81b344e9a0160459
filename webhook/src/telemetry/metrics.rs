//! The metrics, each with its name, its labels and its meaning in one place.
//!
//! Labels take few values: what a caller writes (kinds, operations) counts as `other` unless it is known.

mod process;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub use self::process::Process;
use crate::admission::{Record, Step};

/// From a tenth of a millisecond, where a review without a repair ends, to the longest timeout that is usual.
const SECONDS: [f64; 14] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
const BYTES: [f64; 8] = [
    1024.0,
    4096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];
const OPERATIONS: [&str; 4] = ["CREATE", "UPDATE", "DELETE", "CONNECT"];
const KINDS: [&str; 11] = [
    "ConfigMap",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "PersistentVolumeClaim",
    "Rollout",
    "Scale",
    "Secret",
    "Service",
    "StatefulSet",
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReviewLabels {
    webhook: &'static str,
    operation: &'static str,
    kind: &'static str,
    decision: String,
    dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    webhook: &'static str,
    policy: String,
    action: String,
    decision: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    webhook: &'static str,
    decision: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConfigurationLabels {
    configuration: String,
}

/// All metrics of the webhook.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What every process of natsguard tells.
    pub process: Process,
    reviews: Family<ReviewLabels, Counter>,
    findings: Family<FindingLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    size: Histogram,
    in_flight: Gauge,
    shed: Family<ReasonLabels, Counter>,
    refused: Family<ReasonLabels, Counter>,
    unread: Family<ReasonLabels, Counter>,
    expiry: Family<CertificateLabels, Gauge>,
    rotations: Family<CertificateLabels, Counter>,
    certificate_errors: Counter,
    bundle: Family<ConfigurationLabels, Gauge>,
    bundle_writes: Family<ConfigurationLabels, Counter>,
    spans: Family<ResultLabels, Counter>,
    /// Objects whose repairs were undone again and again.
    pub fights: Counter,
}

/// Something that counts as long as it is there.
#[derive(Debug)]
pub struct Counted(Gauge);

impl Counted {
    fn new(gauge: Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("natsguard");
        let mut metrics = Self {
            process: Process::register(&mut registry),
            registry,
            reviews: Family::default(),
            findings: Family::default(),
            duration: Family::new_with_constructor(|| Histogram::new(SECONDS)),
            size: Histogram::new(BYTES),
            in_flight: Gauge::default(),
            shed: Family::default(),
            refused: Family::default(),
            unread: Family::default(),
            expiry: Family::default(),
            rotations: Family::default(),
            certificate_errors: Counter::default(),
            bundle: Family::default(),
            bundle_writes: Family::default(),
            spans: Family::default(),
            fights: Counter::default(),
        };
        metrics.register();
        Arc::new(metrics)
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "reviews",
            "Reviews answered, by webhook, operation, kind, decision and whether nothing was stored",
            self.reviews.clone(),
        );
        registry.register(
            "findings",
            "Faults found in reviews, by policy, action and what became of the review",
            self.findings.clone(),
        );
        registry.register_with_unit(
            "review_duration",
            "Time from the head of a request to its answer",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "request_size",
            "Size of reviews",
            Unit::Bytes,
            self.size.clone(),
        );
        registry.register(
            "reviews_in_flight",
            "Reviews being read or answered",
            self.in_flight.clone(),
        );
        registry.register(
            "shed",
            "Reviews turned away with Retry-After because of too many at once",
            self.shed.clone(),
        );
        registry.register(
            "refused",
            "Requests that are no review or didn't keep within time and size",
            self.refused.clone(),
        );
        registry.register(
            "unread_objects",
            "Objects that reviews led to and that were not read: no answer came in time, or they are more than is read",
            self.unread.clone(),
        );
        registry.register(
            "certificate_expiry_timestamp_seconds",
            "When a certificate expires, in seconds since 1970",
            self.expiry.clone(),
        );
        registry.register(
            "certificate_rotations",
            "Certificates taken into use",
            self.rotations.clone(),
        );
        registry.register(
            "certificate_errors",
            "Failed attempts to keep certificates and bundles right",
            self.certificate_errors.clone(),
        );
        registry.register(
            "ca_bundle_in_place",
            "Whether a webhook configuration trusts this server",
            self.bundle.clone(),
        );
        registry.register(
            "ca_bundle_writes",
            "How often the bundle of a webhook configuration was set right",
            self.bundle_writes.clone(),
        );
        registry.register(
            "trace_spans",
            "Spans sent to the collector, dropped because too many waited, or failed to be sent",
            self.spans.clone(),
        );
        registry.register(
            "repair_fights",
            "Objects that were repaired again and again because somebody puts the fault back",
            self.fights.clone(),
        );
    }

    /// Counts a review.
    pub fn review(&self, step: Step, record: &Record, took: Duration, bytes: usize) {
        let webhook = webhook(step);
        let decision = record.decision.to_string();
        self.reviews
            .get_or_create(&ReviewLabels {
                webhook,
                operation: known(&OPERATIONS, &record.operation),
                kind: known(&KINDS, &record.kind),
                decision: decision.clone(),
                dry_run: record.dry_run,
            })
            .inc();
        for (policy, action) in &record.findings {
            self.findings
                .get_or_create(&FindingLabels {
                    webhook,
                    policy: policy.clone(),
                    action: action.to_string(),
                    decision: decision.clone(),
                })
                .inc();
        }
        for (reason, count) in [("no-answer", record.unknown), ("bound", record.beyond)] {
            let unread = self.unread.get_or_create(&ReasonLabels { reason });
            unread.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
        self.duration
            .get_or_create(&DurationLabels { webhook, decision })
            .observe(took.as_secs_f64());
        #[expect(
            clippy::cast_precision_loss,
            reason = "bodies are far below 2^52 bytes"
        )]
        self.size.observe(bytes as f64);
    }

    /// Counts a review as long as the result lives.
    pub fn in_flight(&self) -> Counted {
        Counted::new(self.in_flight.clone())
    }

    /// Counts none yet: an alert sees no increase of a series that begins with the first one.
    pub fn may_shed(&self, reason: &'static str) {
        drop(self.shed.get_or_create(&ReasonLabels { reason }));
    }

    /// Counts a review that was turned away for the moment.
    pub fn shed(&self, reason: &'static str) {
        self.shed.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Counts a request that is no review.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Notes a certificate (`ca`, `serving`) that was taken into use and when it expires.
    pub fn certificate(&self, certificate: &'static str, expires: i64) {
        let labels = CertificateLabels { certificate };
        self.expiry.get_or_create(&labels).set(expires);
        self.rotations.get_or_create(&labels).inc();
    }

    /// Counts a failed attempt to keep certificates right.
    pub fn certificate_error(&self) {
        self.certificate_errors.inc();
    }

    /// Notes whether a webhook configuration trusts this server.
    pub fn bundle(&self, configuration: &str, in_place: bool) {
        let configuration = configuration.to_owned();
        self.bundle
            .get_or_create(&ConfigurationLabels { configuration })
            .set(i64::from(in_place));
    }

    /// Counts a bundle that had to be set right.
    pub fn bundle_written(&self, configuration: &str) {
        let configuration = configuration.to_owned();
        self.bundle_writes
            .get_or_create(&ConfigurationLabels { configuration })
            .inc();
    }

    /// Counts spans: `sent`, `dropped` or `failed`.
    pub fn spans(&self, result: &'static str, count: usize) {
        self.spans
            .get_or_create(&ResultLabels { result })
            .inc_by(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// All metrics, as OpenMetrics text.
    pub fn text(&self) -> String {
        self.process.text(&self.registry)
    }
}

/// As a label and in the log.
pub(super) fn webhook(step: Step) -> &'static str {
    match step {
        Step::Mutate => "mutate",
        Step::Validate => "validate",
    }
}

fn known(names: &[&'static str], name: &str) -> &'static str {
    names
        .iter()
        .copied()
        .find(|known| *known == name)
        .unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use natsguard_policies::policy::Action;

    use super::*;
    use crate::admission::Decision;

    fn record(kind: &str) -> Record {
        Record {
            operation: "CREATE".to_owned(),
            kind: kind.to_owned(),
            namespace: "tenant-a".to_owned(),
            decision: Decision::Denied,
            findings: vec![("service-route".into(), Action::Deny)],
            ..Record::default()
        }
    }

    #[test]
    fn a_review_counts_by_what_it_is_and_what_became_of_it() {
        let metrics = Metrics::new();
        metrics.review(
            Step::Validate,
            &record("StatefulSet"),
            Duration::from_millis(2),
            2000,
        );
        let text = metrics.text();
        for line in [
            r#"natsguard_reviews_total{webhook="validate",operation="CREATE",kind="StatefulSet",decision="denied",dry_run="false"} 1"#,
            r#"natsguard_findings_total{webhook="validate",policy="service-route",action="deny",decision="denied"} 1"#,
            r#"natsguard_review_duration_seconds_bucket{le="0.0025",webhook="validate",decision="denied"} 1"#,
            r#"natsguard_request_size_bytes_bucket{le="4096.0"} 1"#,
            "natsguard_reviews_in_flight 0",
            concat!(
                r#"natsguard_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
        ] {
            assert!(text.lines().any(|have| have == line), "{line}\n{text}");
        }
        assert!(!text.contains("tenant-a"));
    }

    #[test]
    fn callers_cannot_invent_labels() {
        let metrics = Metrics::new();
        for n in 0..100 {
            metrics.review(
                Step::Mutate,
                &record(&format!("Kind{n}")),
                Duration::ZERO,
                1,
            );
        }
        let text = metrics.text();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("natsguard_reviews_total{"));
        assert_eq!(lines.count(), 1);
    }

    #[test]
    fn what_is_over_no_longer_counts() {
        let metrics = Metrics::new();
        let review = metrics.in_flight();
        assert!(metrics.text().contains("natsguard_reviews_in_flight 1\n"));
        drop(review);
        assert!(metrics.text().contains("natsguard_reviews_in_flight 0\n"));
    }
}
