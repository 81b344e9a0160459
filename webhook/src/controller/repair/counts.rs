//! The metrics of repairs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use tokio::time::Instant;

use super::fights::Fights;
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
    Immutable,
    Conflict,
    Failed,
}

/// Counters of what was done.
#[derive(Debug)]
pub(super) struct Counts {
    touches: Family<TouchLabels, Counter>,
    pub(super) restarts: Counter,
    pub(super) fights: Counter,
    seconds: Histogram,
}

/// Counted whenever somebody asks: of what is gone, and of what another leads by now, no review comes that would say so.
#[derive(Debug)]
struct LeftAlone(Arc<Fights>);

impl Collector for LeftAlone {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let left = self.0.left_alone(Instant::now());
        let left = ConstGauge::new(i64::try_from(left).unwrap_or(i64::MAX));
        let metric = encoder.encode_descriptor(
            "controller_left_alone",
            "Objects that are left alone after a fight",
            None,
            left.metric_type(),
        )?;
        left.encode(metric)
    }
}

impl Counts {
    pub(super) fn new(registry: &mut Registry, fights: &Arc<Fights>) -> Self {
        let counts = Self {
            touches: Family::default(),
            restarts: Counter::default(),
            fights: Counter::default(),
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
        registry.register_collector(Box::new(LeftAlone(Arc::clone(fights))));
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
            Outcome::Immutable => "immutable",
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
