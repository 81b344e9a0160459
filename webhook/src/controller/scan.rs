//! Evaluates every workload on a schedule.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::ValueEnum;
use kube::Client;
use natsguard_policies::settings::Settings;
use prometheus_client::registry::Registry;

use crate::facts::Cluster;

/// Where the results go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Reports {
    /// The first kind of report that the cluster has.
    Auto,
    /// Reports of openreports.io.
    #[value(name = "openreports")]
    OpenReports,
    /// PolicyReports of wgpolicyk8s.io.
    #[value(name = "policyreports")]
    PolicyReports,
    /// Events and metrics only.
    None,
}

/// How often, and where to.
#[derive(Debug, Clone)]
pub struct Options {
    /// The time between two scans.
    pub every: Duration,
    /// Where the results go.
    pub reports: Reports,
}

/// Scans the cluster.
pub struct Scanner;

impl Scanner {
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

    /// Scans until dropped.
    pub async fn run(&self) {
        std::future::pending::<()>().await;
    }
}
