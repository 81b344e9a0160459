//! `natsguard controller`, as plain values.

use std::time::Duration;

use clap::Args as ClapArgs;
use clap::builder::NonEmptyStringValueParser;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::Selector;

use super::duration::duration;
use super::process::Process;
use crate::controller::scan::Reports;

/// `natsguard controller`.
#[derive(Debug, ClapArgs)]
pub struct Controller {
    #[command(flatten)]
    /// Probes, settings and logs.
    pub process: Process,
    #[command(flatten)]
    /// Who leads.
    pub leader: Leader,
    /// Namespaces to look at, by their labels, as a LabelSelector in JSON. kube-system, kube-public, kube-node-lease and natsguard's
    /// own are none of them [default: all others].
    #[arg(long, env = "NATSGUARD_NAMESPACE_SELECTOR", value_name = "SELECTOR", value_parser = selector, default_value = "{}", hide_default_value = true)]
    pub namespace_selector: Selector,
    #[command(flatten)]
    /// Repairs.
    pub repairs: Repairs,
    #[command(flatten)]
    /// Scans.
    pub scans: Scans,
}

/// Who leads.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Leader")]
pub struct Leader {
    /// Namespace of natsguard, where the Lease is [default: that of the pod or of the kubeconfig].
    #[arg(long, env = "NATSGUARD_NAMESPACE", value_name = "NAMESPACE", value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Option<String>,
    /// Lease that says which of several replicas works.
    #[arg(long, env = "NATSGUARD_LEASE", value_name = "NAME", default_value = "natsguard-controller", value_parser = NonEmptyStringValueParser::new())]
    pub lease: String,
}

/// Repairs.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Repairs")]
pub struct Repairs {
    /// Touch objects that another controller owns, too. It may undo each repair.
    #[arg(long, env = "NATSGUARD_OWNED")]
    pub owned: bool,
    /// Objects touched, pods restarted and the like per second, at most.
    #[arg(long, env = "NATSGUARD_WRITES_PER_SECOND", value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub writes_per_second: u32,
    /// How long a pod that started with the wrong file may stay not ready before it is restarted, once.
    #[arg(long, env = "NATSGUARD_RESTART_AFTER", value_name = "TIME", value_parser = duration, default_value = "30s")]
    pub restart_after: Duration,
}

/// Scans.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Scans")]
pub struct Scans {
    /// How often every workload is looked at, whether it changed or not; at least 1s.
    #[arg(long, env = "NATSGUARD_SCAN_EVERY", value_name = "TIME", value_parser = period, default_value = "10m")]
    pub scan_every: Duration,
    /// What the results are written as; auto takes the first of openreports and policyreports that the cluster knows.
    #[arg(
        long,
        env = "NATSGUARD_REPORTS",
        value_enum,
        default_value = "auto",
        value_name = "KIND"
    )]
    pub reports: Reports,
}

fn selector(text: &str) -> Result<Selector, String> {
    let selector: LabelSelector = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Selector::try_from(selector).map_err(|error| error.to_string())
}

fn period(text: &str) -> Result<Duration, String> {
    let period = duration(text)?;
    if period < Duration::from_secs(1) {
        return Err("it must be at least 1s".to_owned());
    }
    Ok(period)
}
