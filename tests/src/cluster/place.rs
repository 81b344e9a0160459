//! Where things lie: what is built, outside the repository; and what a running cluster has.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// The folder of everything that is kept outside the repository: `$NATSGUARD_CACHE`, else `natsguard` in the user's cache.
pub fn cache() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NATSGUARD_CACHE").map_or_else(
        || {
            set("XDG_CACHE_HOME")
                .map_or_else(
                    || PathBuf::from(set("HOME").unwrap_or_else(|| "/".into())).join(".cache"),
                    PathBuf::from,
                )
                .join("natsguard")
        },
        PathBuf::from,
    )
}

/// The folder of the running cluster. It is gone when the cluster is.
pub fn run() -> PathBuf {
    cache().join("cluster/run")
}

/// Fails where a cluster can't run from the cache: nodes have overlays over these folders, and their stores are overlays
/// themselves, which can't be stacked.
pub(crate) fn check() -> Result<()> {
    let cache = cache();
    for folder in ["/etc", "/opt", "/run", "/usr", "/var"] {
        if cache.starts_with(folder) {
            bail!(
                "{} can't hold a cluster, since it is in {folder}: set NATSGUARD_CACHE to a folder elsewhere, such as one in a home directory",
                cache.display()
            );
        }
    }
    Ok(())
}

/// A folder of the running cluster.
pub(crate) fn run_in(folder: &str) -> PathBuf {
    run().join(folder)
}

/// The programs that were built, a folder for each module and version.
pub(crate) fn programs() -> PathBuf {
    cache().join("cluster/programs")
}

/// The images of these programs.
pub(crate) fn images() -> PathBuf {
    cache().join("cluster/images")
}

/// The cluster's own files in the repository.
pub(crate) fn sources() -> PathBuf {
    tests().join("cluster")
}

/// The repository.
pub fn repository() -> PathBuf {
    let tests = tests();
    tests.parent().unwrap_or(&tests).to_owned()
}

/// The folder of this crate, as cargo names it to what it runs: clones that share a target directory share what was built in
/// it, and that knows the clone only that it was built in.
fn tests() -> PathBuf {
    let running = std::env::var_os("CARGO_MANIFEST_DIR");
    running.map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}
