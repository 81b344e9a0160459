//! The programs that the machine must have: they come from its packages and are not built here.

use anyhow::{Result, bail};

/// A program, and the Debian package that has it.
const TOOLS: &[(&str, &str)] = &[
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("runc", "runc"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("buildah", "buildah"),
];

/// Fails, with the command that mends it, unless the machine has what a cluster needs.
pub fn check() -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the cluster needs Linux; elsewhere use kind and set KUBECONFIG (README.md, Develop)"
        );
    }
    if !rustix::process::geteuid().is_root() {
        bail!(
            "the cluster needs root: it makes network namespaces, mounts and cgroups. Run it with sudo -E, or use kind and set KUBECONFIG (README.md, Develop)"
        );
    }
    if which("go").is_none() {
        bail!("go is missing: install Go 1.26 or later, https://go.dev/dl");
    }
    need(TOOLS)
}

/// Fails, with the command that installs it, if one of these programs (each with its Debian package) is missing.
pub(crate) fn need(tools: &[(&str, &str)]) -> Result<()> {
    let missing: Vec<_> = tools
        .iter()
        .filter(|(program, _)| which(program).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    bail!(
        "{} not found. Install with: apt-get update && apt-get install --no-install-recommends -y {}",
        names.join(", "),
        packages.join(" ")
    );
}

/// Where a program is, as the shell would find it.
pub(crate) fn which(program: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
