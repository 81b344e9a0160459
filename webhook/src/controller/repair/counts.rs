//! The metrics of repairs.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::plan::Kind;

/// From one request to an apiserver that is busy to what nobody should wait for.
const SECONDS: [f64; 11] = [
    0.01, 0.025, 0.05, 0.1, 0.175, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TouchLabels {
    kind: &'static str,
    result: &'static str,
}

/// What came of an object that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Repaired,
    NotAdmitted,
    Owned,
    Conflict,
    Failed,
}

/// Counters of what was done.
#[derive(Debug)]
pub(super) struct Counts {
    touches: Family<TouchLabels, Counter>,
    pub(super) restarts: Counter,
    pub(super) fights: Counter,
    pub(super) left_alone: Gauge,
    seconds: Histogram,
}

impl Counts {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let counts = Self {
            touches: Family::default(),
            restarts: Counter::default(),
            fights: Counter::default(),
            left_alone: Gauge::default(),
            seconds: Histogram::new(SECONDS),
        };
        registry.register(
            "controller_touches",
            "Objects that were wrong, by what came of touching them",
            counts.touches.clone(),
        );
        registry.register(
            "controller_restarts",
            "Pods that were deleted, to start again with a repaired file",
            counts.restarts.clone(),
        );
        registry.register(
            "controller_fights",
            "Objects that were repaired too often within a minute or an hour",
            counts.fights.clone(),
        );
        registry.register(
            "controller_left_alone",
            "Objects that are left alone after a fight",
            counts.left_alone.clone(),
        );
        registry.register_with_unit(
            "controller_repair",
            "Time from the start of a review to a repaired object",
            Unit::Seconds,
            counts.seconds.clone(),
        );
        counts
    }

    pub(super) fn touch(&self, kind: Kind, outcome: Outcome) {
        let result = match outcome {
            Outcome::Repaired => "repaired",
            Outcome::NotAdmitted => "not_admitted",
            Outcome::Owned => "owned",
            Outcome::Conflict => "conflict",
            Outcome::Failed => "failed",
        };
        let labels = TouchLabels {
            kind: kind.name(),
            result,
        };
        self.touches.get_or_create(&labels).inc();
    }

    pub(super) fn repaired(&self, kind: Kind, took: Duration) {
        self.touch(kind, Outcome::Repaired);
        self.seconds.observe(took.as_secs_f64());
    }
}
