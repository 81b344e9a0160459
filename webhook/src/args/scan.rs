//! `natsguard scan`, as plain values.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use super::{FailOn, Rules};
use crate::output::Format;

/// `natsguard scan`.
#[derive(Debug, ClapArgs)]
#[command(mut_arg("namespace", |arg| arg.help("Look at the workloads of this namespace only [default: all namespaces]")))]
pub struct Scan {
    /// Format of the report.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// The least action that makes the exit status 1.
    #[arg(long, value_enum, default_value_t = FailOn::Fix)]
    pub fail_on: FailOn,
    /// Print what natsguard would repair, object by object, credentials masked. Nothing is written.
    #[arg(long, conflicts_with_all = ["output", "fail_on"])]
    pub fix_plan: bool,
    /// The kubeconfig [default: as kubectl's: KUBECONFIG, then ~/.kube/config].
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current context].
    #[arg(long, value_name = "CONTEXT")]
    pub context: Option<String>,
    #[command(flatten)]
    /// Settings.
    pub rules: Rules,
}
