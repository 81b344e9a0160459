//! `cargo cluster`: a real Kubernetes cluster on this machine, for the tests and for whoever wants to try something.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks to its user"
)]

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use natsguard_tests::cluster::command::Stop;
use natsguard_tests::cluster::{self, Cluster, MOST_NODES, NODES, Programs, tools};

/// A real Kubernetes cluster on this machine: Linux, root, Go, and a few packages.
#[derive(Debug, Parser)]
#[command(name = "cargo cluster", bin_name = "cargo cluster")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the programs, each from the Go module that pins it. The first time takes about 20 minutes on two cores.
    Build,
    /// Start a cluster, and print what to export.
    Up {
        /// How many nodes.
        #[arg(long, default_value_t = NODES as u64, value_parser = clap::value_parser!(u64).range(1..=MOST_NODES as u64))]
        nodes: u64,
    },
    /// Say what runs.
    Status,
    /// End it, and remove all that it left.
    Down,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo cluster: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let stop = Stop::on_signals()?;
    let say = |line: &str| eprintln!("{line}");
    match args.command {
        Command::Build => {
            tools::check()?;
            Programs::build(&stop, say)?;
        }
        Command::Up { nodes } => {
            if Cluster::is_running() {
                eprintln!("a cluster runs already; end it with `cargo cluster down`");
            } else {
                tools::check()?;
                let programs = Programs::build(&stop, say)?;
                let nodes = usize::try_from(nodes)?;
                Cluster::up(nodes, programs, &stop, &mut { say })?;
            }
            println!("export KUBECONFIG={}", cluster::kubeconfig().display());
        }
        Command::Status => {
            if !Cluster::is_running() {
                bail!("no cluster runs; start one with `cargo cluster up`");
            }
            let programs = Programs::build(&stop, say)?;
            if let Some(cluster) = Cluster::running(programs) {
                println!("export KUBECONFIG={}", cluster::kubeconfig().display());
                println!("{}", cluster.status()?);
            }
        }
        Command::Down => {
            let was = Cluster::down()?;
            eprintln!(
                "{}",
                if was {
                    "the cluster is gone"
                } else {
                    "no cluster runs"
                }
            );
        }
    }
    Ok(())
}
