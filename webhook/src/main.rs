//! The `natsguard` binary.

use std::process::ExitCode;

use clap::Parser as _;
use natsguard::args::Args;

fn main() -> ExitCode {
    natsguard::command::run(Args::parse())
}
