//! `natsguard scan`, as plain values.

use clap::Args as ClapArgs;

/// `natsguard scan`.
#[derive(Debug, ClapArgs)]
pub struct Scan {}
