//! The metrics of the controller's frame. Repairs and scans register their own.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// From a review that finds all well to one that waits for its turn to write.
const SECONDS: [f64; 11] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

/// A clone counts into the same.
#[derive(Debug, Clone)]
pub struct Metrics {
    leader: Gauge,
    workloads: Gauge,
    missing: Gauge,
    reviews: Family<ResultLabels, Counter>,
    duration: Histogram,
}

impl Metrics {
    /// All at zero, and in the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self {
            leader: Gauge::default(),
            workloads: Gauge::default(),
            missing: Gauge::default(),
            reviews: Family::default(),
            duration: Histogram::new(SECONDS),
        };
        registry.register(
            "controller_leader",
            "Whether this replica leads: 1 or 0",
            all.leader.clone(),
        );
        registry.register(
            "controller_workloads",
            "NATS StatefulSets in the cluster, as the leader sees them",
            all.workloads.clone(),
        );
        registry.register(
            "controller_missing_objects",
            "Objects that NATS StatefulSets refer to and that are not there; the StatefulSets are reviewed when they come",
            all.missing.clone(),
        );
        registry.register(
            "controller_reviews",
            "Reviews of StatefulSets: done, again (there is more to see later), failed or panicked",
            all.reviews.clone(),
        );
        registry.register_with_unit(
            "controller_review_duration",
            "Time that a review took, its writes included",
            Unit::Seconds,
            all.duration.clone(),
        );
        all
    }

    /// Notes whether this replica leads.
    pub fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
        if !leads {
            self.workloads(0);
            self.missing(0);
        }
    }

    /// Notes how many StatefulSets are looked after.
    pub fn workloads(&self, count: usize) {
        self.workloads.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Notes how many objects are waited for.
    pub fn missing(&self, count: usize) {
        self.missing.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a review.
    pub fn review(&self, result: &'static str, took: Duration) {
        self.reviews.get_or_create(&ResultLabels { result }).inc();
        self.duration.observe(took.as_secs_f64());
    }
}
