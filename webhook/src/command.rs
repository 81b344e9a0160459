//! What each command does with its arguments: read, evaluate, print.

mod apiserver;
mod check;
mod conf;
mod controller;
mod doctor;
mod events;
mod explain;
mod fights;
mod fix;
mod process;
mod rules;
mod scan;
mod settings;
mod webhook;

use std::fmt::Display;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use natsguard_policies::policy::Action;

use crate::args::{Args, Command};
use crate::listing::Listing;
use crate::output::visible;

/// Everything was as it should be.
const SUCCESS: u8 = 0;
/// Something is as bad as `--fail-on` says.
const DENIED: u8 = 1;
/// The input or the settings can't be used.
const UNUSABLE: u8 = 2;

/// Runs a command; the exit status says how it went.
pub fn run(args: Args) -> ExitCode {
    let status = match args.command {
        Command::Check(args) => check::run(&args),
        Command::Fix(args) => fix::run(&args),
        Command::Conf(args) => conf::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Webhook(args) => webhook::run(*args),
        Command::Controller(args) => controller::run(*args),
        Command::Scan(args) => scan::run(&args),
        Command::Doctor(args) => doctor::run(args),
        Command::Completions(args) => {
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut Args::command(), "natsguard", &mut script);
            print(&script).map(|()| SUCCESS)
        }
    };
    match status {
        Ok(status) => ExitCode::from(status),
        // Whoever read our output has had enough of it.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::from(SUCCESS),
        Err(error) => {
            complain(&format!("can't write: {error}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn print(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Prints a report; false when there is none to print. Whoever stops reading it (`check … | head`) changes no exit status.
fn show(report: Result<String, impl Display>) -> io::Result<bool> {
    match report {
        Ok(text) => match print(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(true),
        },
        Err(error) => {
            complain(&error.to_string());
            Ok(false)
        }
    }
}

/// The exit status that the worst of a report makes.
fn status(listing: &Listing, threshold: Action) -> u8 {
    if listing.worst().is_some_and(|worst| worst >= threshold) {
        DENIED
    } else {
        SUCCESS
    }
}

/// Says something to the person at the terminal. Nothing can be done when nobody listens.
fn complain(message: &str) {
    let _ = writeln!(io::stderr().lock(), "natsguard: {}", visible(message));
}
