//! Reading files without trust in their size: a device has no end, and a dump of a cluster may be larger than memory.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Bytes of the largest file that is read, and of standard input.
const MAX_MIB: u64 = 64;

/// The bytes of a file. One that is no file has its turn like any other: the shell passes what a command prints as a FIFO.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    bounded(File::open(path)?)
}

/// All that a source gives.
pub(super) fn bounded(source: impl Read) -> io::Result<Vec<u8>> {
    let limit = MAX_MIB << 20;
    let mut bytes = Vec::new();
    let read = source.take(limit + 1).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= limit) {
        Ok(bytes)
    } else {
        let what = format!(
            "it has more than {MAX_MIB} MiB: split it, or leave out what is not about NATS"
        );
        Err(io::Error::new(io::ErrorKind::FileTooLarge, what))
    }
}
