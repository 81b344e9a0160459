//! The numbers of the scan.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use natsguard_policies::settings::Settings;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::Outcome;
use crate::reports::Summary;

/// From a small cluster to one that takes too long.
const SECONDS: [f64; 9] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    policy: &'static str,
    namespace: String,
    action: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ExemptionLabels {
    policy: String,
    namespace: String,
    state: &'static str,
}

#[derive(Debug)]
pub(super) struct Metrics {
    faults: Family<FaultLabels, Gauge>,
    exemptions: Family<ExemptionLabels, Gauge>,
    workloads: Gauge,
    beyond: Gauge,
    completed: Gauge,
    /// What went wrong.
    pub(super) failures: Counter,
    duration: Histogram,
}

impl Metrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            faults: Family::default(),
            exemptions: Family::default(),
            workloads: Gauge::default(),
            beyond: Gauge::default(),
            completed: Gauge::default(),
            failures: Counter::default(),
            duration: Histogram::new(SECONDS),
        };
        registry.register(
            "standing_faults",
            "Faults of the workloads that run, by policy, namespace and what is done about them when they are written",
            metrics.faults.clone(),
        );
        registry.register(
            "exemptions",
            "Exemptions of the settings, by whether they lift a fault, expired or lift nothing",
            metrics.exemptions.clone(),
        );
        registry.register(
            "scan_workloads",
            "NATS workloads of the last scan",
            metrics.workloads.clone(),
        );
        registry.register(
            "scan_incomplete_workloads",
            "NATS workloads of the last scan that lead to more objects than are read for one",
            metrics.beyond.clone(),
        );
        registry.register_with_unit(
            "scan_completed_timestamp",
            "When the last scan that read everything ended",
            Unit::Seconds,
            metrics.completed.clone(),
        );
        registry.register(
            "scan_failures",
            "Lists, workloads and reports that could not be read or written",
            metrics.failures.clone(),
        );
        registry.register_with_unit(
            "scan_duration",
            "How long scans took",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        metrics
    }

    /// Takes over what a scan came to. What is gone is no longer counted, not even as nothing.
    pub(super) fn scanned(
        &self,
        settings: &Settings,
        summary: &Summary,
        outcome: &Outcome,
        took: Duration,
    ) {
        self.faults.clear();
        for ((policy, namespace, action), count) in &summary.faults {
            let labels = FaultLabels {
                policy,
                namespace: namespace.clone(),
                action: action.name(),
            };
            self.faults.get_or_create(&labels).set(signed(*count));
        }
        self.exemptions.clear();
        for (exemption, standing) in settings.exemptions.iter().zip(&summary.exemptions) {
            let Some(standing) = standing else {
                continue;
            };
            let labels = ExemptionLabels {
                policy: exemption.policy.clone(),
                namespace: exemption.namespace.clone(),
                state: standing.name(),
            };
            self.exemptions.get_or_create(&labels).inc();
        }
        self.workloads.set(signed(outcome.workloads));
        self.beyond.set(signed(outcome.beyond));
        self.failures
            .inc_by(u64::try_from(outcome.failures + outcome.refused).unwrap_or(u64::MAX));
        self.duration.observe(took.as_secs_f64());
        if outcome.failures == 0 {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let seconds = now.map_or(0, |now| now.as_secs());
            self.completed
                .set(i64::try_from(seconds).unwrap_or(i64::MAX));
        }
    }

    /// Forgets what stands when it is dropped.
    pub(super) fn cleared_at_end(&self) -> Cleared<'_> {
        Cleared(self)
    }
}

pub(super) struct Cleared<'a>(&'a Metrics);

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        self.0.faults.clear();
        self.0.exemptions.clear();
        self.0.workloads.set(0);
        self.0.beyond.set(0);
    }
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
