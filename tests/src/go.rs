//! The Go toolchain, which builds what is asked.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the module that pins nats-server.
pub(crate) fn module() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("oracle")
}

/// Runs `go` with what `arguments` sets, and gives what it printed.
pub(crate) fn go(arguments: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new("go");
    arguments(&mut command);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("this needs Go 1.26 or later (https://go.dev/dl): {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Builds the program of the module in a folder beside whoever runs, and says where it is.
pub fn build(module: &Path, name: &str) -> PathBuf {
    let program = std::env::current_exe()
        .expect("a test knows its own path")
        .with_file_name(name);
    go(|go| {
        go.args(["build", "-o"])
            .arg(&program)
            .arg(".")
            .current_dir(module);
    });
    program
}
