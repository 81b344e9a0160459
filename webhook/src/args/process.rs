//! What `natsguard webhook` and `natsguard controller` have in common, as plain values.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args as ClapArgs;

/// A process that runs in a cluster.
#[derive(Debug, ClapArgs)]
pub struct Process {
    /// Where probes and metrics are served, without TLS.
    #[arg(
        long,
        env = "NATSGUARD_METRICS_LISTEN",
        value_name = "ADDRESS",
        default_value = "[::]:8080"
    )]
    pub metrics_listen: SocketAddr,
    /// Settings: actions, parameters, exemptions (YAML); read again when they change.
    #[arg(long, env = "NATSGUARD_SETTINGS", value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// What is logged: error, warn, info, debug or trace.
    #[arg(
        long,
        env = "NATSGUARD_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info"
    )]
    pub log_level: tracing::level_filters::LevelFilter,
}
