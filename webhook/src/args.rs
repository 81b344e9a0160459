//! The command line, as plain values. Nothing is done here.

mod controller;
mod duration;
mod process;
mod scan;
mod webhook;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use natsguard_policies::policy::Action;
use natsguard_policies::rules;

pub use self::controller::{Controller, Leader, Repairs, Scans};
pub use self::process::Process;
pub use self::scan::Scan;
pub use self::webhook::{Bounds, Doctor, Place, Tls, TlsMode, Tracing, Webhook};
use crate::input::STDIN;
use crate::output::Format;

/// Guards NATS on Kubernetes: finds and mends what would partition a cluster, lose its data or let it fall over together.
#[derive(Debug, Parser)]
#[command(name = "natsguard", version, about, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Say what is wrong with the NATS deployments in manifests.
    ///
    /// Exit status: 0 when nothing is denied or to be fixed, 1 when something is, 2 when the input or the settings can't be
    /// used. `--fail-on` draws the line elsewhere: `deny` for those who let admission repair.
    Check(Check),
    /// Print manifests with every safe repair made, comments and layout kept.
    ///
    /// Exit status: 0 when everything could be read and written, else 2; with `--fail-on` 1 when something is left. What
    /// could not be repaired is said on standard error, with its place in the input.
    Fix(Fix),
    /// Print the values of NATS configuration files as nats-server reads them, one JSON object a line.
    Conf(Conf),
    /// Print the page of a policy, or the list of policies.
    Explain(Explain),
    /// Serve admission reviews, in a cluster.
    ///
    /// SIGTERM ends it gently: it is unready at once, and gone when no connection is left; a second one ends it at once.
    /// Exit status: 0 after a gentle end, 1 after another, 2 when it can't start.
    Webhook(Box<Webhook>),
    /// Look after the NATS workloads that run, in a cluster.
    ///
    /// Of several replicas one works, the others wait. SIGTERM hands over and ends it. Exit status: 0 after a gentle end, 1
    /// after another, 2 when it can't start.
    Controller(Box<Controller>),
    /// Say what is wrong with the NATS deployments that run in a cluster.
    ///
    /// Exit status: as of `check`; 2 also when the cluster can't be read.
    Scan(Scan),
    /// Say what is wrong with an installed natsguard, and how to mend it.
    ///
    /// Inside a pod it looks as the apiserver does; elsewhere it goes through a port-forward, and says what it could not
    /// see from there. Exit status: 0 when all is well, 1 when something is broken, 2 when it can't look.
    Doctor(Doctor),
    /// Print a completion script for a shell.
    Completions(Completions),
}

/// What `check`, `fix` and `scan` have in common.
#[derive(Debug, ClapArgs)]
pub struct Rules {
    /// Settings: actions, parameters, exemptions (YAML).
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// DNS domain of the cluster [default: cluster.local, or what the settings say].
    #[arg(long, value_name = "DOMAIN")]
    pub cluster_domain: Option<String>,
    /// Namespace of objects that name none [default: default].
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Action of one policy: off, warn, fix or deny. May be given several times.
    #[arg(long, value_name = "ID=ACTION", value_parser = policy_action)]
    pub policy: Vec<(&'static str, Action)>,
}

/// What standard input is called.
#[derive(Debug, ClapArgs)]
pub struct Stdin {
    /// The file that standard input comes from, for reports and diffs.
    #[arg(long, value_name = "PATH")]
    pub stdin_filename: Option<String>,
}

impl Stdin {
    /// The name in reports.
    pub fn name(&self) -> &str {
        self.stdin_filename.as_deref().unwrap_or(STDIN)
    }
}

/// `natsguard check`.
#[derive(Debug, ClapArgs)]
pub struct Check {
    /// Format of the report.
    #[arg(long, short, value_enum, default_value_t = Format::Text)]
    pub output: Format,
    /// The least action that makes the exit status 1.
    #[arg(long, value_enum, default_value_t = FailOn::Fix)]
    pub fail_on: FailOn,
    #[command(flatten)]
    /// Standard input.
    pub stdin: Stdin,
    #[command(flatten)]
    /// Settings.
    pub rules: Rules,
    /// Manifests: files, directories, `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `natsguard fix`.
#[derive(Debug, ClapArgs)]
pub struct Fix {
    /// Print the changes only, as a unified diff for `patch -p0` and `git apply`.
    #[arg(long, conflicts_with = "in_place")]
    pub diff: bool,
    /// Write the files instead of printing them.
    #[arg(long, short)]
    pub in_place: bool,
    /// The least action of what is left that makes the exit status 1 [default: none does].
    #[arg(long, value_enum)]
    pub fail_on: Option<FailOn>,
    #[command(flatten)]
    /// Standard input.
    pub stdin: Stdin,
    #[command(flatten)]
    /// Settings.
    pub rules: Rules,
    /// Manifests: files, directories, `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `natsguard conf`.
#[derive(Debug, ClapArgs)]
pub struct Conf {
    /// Configuration files, `-` for standard input.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// `natsguard explain`.
#[derive(Debug, ClapArgs)]
pub struct Explain {
    /// The policy.
    #[arg(value_name = "ID")]
    pub id: Option<String>,
}

/// `natsguard completions`.
#[derive(Debug, ClapArgs)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// The least that makes a command fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Any finding, and what could not be checked.
    Unchecked,
    /// Any finding.
    Warn,
    /// What is repaired or refused.
    Fix,
    /// What is refused.
    Deny,
}

impl FailOn {
    /// As an action; what could not be checked has none.
    pub fn threshold(self) -> Action {
        match self {
            Self::Unchecked => Action::Off,
            Self::Warn => Action::Warn,
            Self::Fix => Action::Fix,
            Self::Deny => Action::Deny,
        }
    }
}

fn policy_action(text: &str) -> Result<(&'static str, Action), String> {
    let (id, action) = text
        .split_once('=')
        .ok_or("write ID=ACTION, as in short-route=warn")?;
    let policy = rules::find(id).ok_or_else(|| {
        let ids: Vec<&str> = rules::POLICIES.iter().map(|policy| policy.id).collect();
        format!(
            "there is no policy {id}; the policies are {}",
            ids.join(", ")
        )
    })?;
    let action = [Action::Off, Action::Warn, Action::Fix, Action::Deny]
        .into_iter()
        .find(|known| known.name() == action)
        .ok_or_else(|| {
            format!("there is no action {action}; the actions are off, warn, fix and deny")
        })?;
    Ok((policy.id, action))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_policy_action_is_checked() {
        assert_eq!(
            policy_action("short-route=off"),
            Ok(("short-route", Action::Off))
        );
        assert_eq!(
            policy_action("short-route").unwrap_err(),
            "write ID=ACTION, as in short-route=warn"
        );
        assert!(
            policy_action("nfs=deny")
                .unwrap_err()
                .starts_with("there is no policy nfs; the policies are ")
        );
        assert_eq!(
            policy_action("short-route=no").unwrap_err(),
            "there is no action no; the actions are off, warn, fix and deny"
        );
    }
}
