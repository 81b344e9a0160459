//! `natsguard controller`, as plain values.

use clap::Args as ClapArgs;

/// `natsguard controller`.
#[derive(Debug, ClapArgs)]
pub struct Controller {}
