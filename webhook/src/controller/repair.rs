//! Has admission repair what a workload refers to.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use kube::Client;
use natsguard_policies::settings::Settings;
use prometheus_client::registry::Registry;

use crate::facts::Cluster;

/// What it may do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Also objects that another controller owns.
    pub owned: bool,
    /// Writes per second at most.
    pub writes_per_second: u32,
    /// How long pods may stay not ready before they are restarted.
    pub restart_after: Duration,
}

/// When to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Not until the workload changes.
    Wait,
    /// After so long.
    Again(Duration),
}

/// Why a review failed.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {}

/// Reviews workloads.
pub struct Repairer;

impl Repairer {
    /// Nothing is read yet.
    pub fn new(
        _client: Client,
        _cluster: Arc<dyn Cluster>,
        _settings: Arc<ArcSwap<Settings>>,
        _options: Options,
        _registry: &mut Registry,
    ) -> Self {
        Self
    }

    /// Reviews one StatefulSet.
    #[expect(clippy::unused_async, reason = "its place is taken by one that awaits")]
    pub async fn review(&self, _namespace: &str, _name: &str) -> Result<Next, RepairError> {
        Ok(Next::Wait)
    }
}
