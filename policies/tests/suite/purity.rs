//! The crate does no I/O: neither its sources nor what it depends on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates that the rules may be built on, directly.
const ALLOWED: &[&str] = &[
    "base64",
    "json-patch",
    "serde",
    "serde_json",
    "thiserror",
    "x509-parser",
];

/// What may not even be far below: runtimes, clients, sockets.
const BANNED: &[&str] = &[
    "async-io",
    "async-std",
    "futures-executor",
    "hyper",
    "k8s-openapi",
    "kube",
    "kube-client",
    "kube-core",
    "mio",
    "reqwest",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tokio",
    "ureq",
];

fn tree(depth: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "natsguard-policies",
            "--edges",
            "normal",
            "--prefix",
            "none",
        ])
        .args(["--format", "{p}", "--offline", "--depth", depth])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let mut names: Vec<String> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_rules_stand_on_few_crates() {
    assert_eq!(tree("1"), ALLOWED);
}

#[test]
fn no_runtime_and_no_client_is_below_the_rules() {
    let all = tree("99");
    assert!(all.len() > ALLOWED.len());
    for name in all {
        assert!(
            !BANNED.contains(&name.as_str()),
            "{name} is below natsguard-policies"
        );
    }
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else {
            files.push(path);
        }
    }
}

#[test]
fn no_source_names_the_outside_world() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    assert!(files.len() > 20);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//! "),
            "{} does not begin with its sentence",
            file.display()
        );
        let code = text.split("#[cfg(test)]").next().unwrap();
        for module in ["fs", "env", "net", "time", "process", "thread", "io", "os"] {
            let words = [
                format!("std::{module}::"),
                format!("std::{module};"),
                format!("std::{module} "),
            ];
            for word in words {
                assert!(
                    !code.contains(&word),
                    "{} uses std::{module}",
                    file.display()
                );
            }
        }
        assert!(!code.contains("async fn"), "{}", file.display());
    }
}
