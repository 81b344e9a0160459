//! The judges that are written in Go, because what they judge for is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use natsguard_tests::go;

/// Builds the Go module in a folder beside this file, once a run.
pub(crate) fn build(name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let compile = || {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("chart");
        go::build(&folder.join(name), name)
    };
    built.entry(name).or_insert_with(compile).clone()
}
