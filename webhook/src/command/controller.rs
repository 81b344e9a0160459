//! `natsguard controller`: wires the parts of the controller together and lives until it is told to end.

use std::io;

use super::UNUSABLE;
use crate::args::Controller;

pub(super) fn run(_: Controller) -> io::Result<u8> {
    Ok(UNUSABLE)
}
