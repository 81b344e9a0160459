//! `natsguard doctor`: what is wrong with an installed natsguard.

use std::io;

use super::SUCCESS;
use crate::args::Doctor;

pub(super) fn run(_args: Doctor) -> io::Result<u8> {
    Ok(SUCCESS)
}
