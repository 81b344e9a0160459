//! The judges that are written in Go, because what they judge for is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

/// Builds the Go module in a folder beside this file, once a run.
pub(crate) fn build(name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeMap<&str, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    built.entry(name).or_insert_with(|| compile(name)).clone()
}

fn compile(name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("chart")
        .join(name);
    let program = std::env::current_exe()
        .expect("a test knows its own path")
        .with_file_name(name);
    let status = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        .status()
        .unwrap_or_else(|error| {
            panic!("{name} needs Go 1.26 or later (https://go.dev/dl): {error}")
        });
    assert!(
        status.success(),
        "`go build` in {} failed",
        source.display()
    );
    program
}
