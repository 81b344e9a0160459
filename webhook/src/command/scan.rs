//! `natsguard scan`: what is wrong with what runs.

use std::io;

use super::UNUSABLE;
use crate::args::Scan;

pub(super) fn run(_: &Scan) -> io::Result<u8> {
    Ok(UNUSABLE)
}
