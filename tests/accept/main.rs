//! A real nats-server accepts a repaired configuration exactly when it accepted the original, and reads the same values
//! but for the routes. On the project's own manifests, and on those in `$NATSGUARD_MANIFESTS`.

#![allow(
    clippy::assigning_clones,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that can't go on has failed, and says so"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use natsguard::input::{Input, STDIN};
use natsguard_policies::conf;
use natsguard_policies::workload::{Configuration, Workload, discover};
use natsguard_tests::server::{Server, Verdict};
use serde_json::Value;

fn manifests() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    let others = std::env::var_os("NATSGUARD_MANIFESTS").map(PathBuf::from);
    let mut files: Vec<PathBuf> = [Some(own), others]
        .into_iter()
        .flatten()
        .flat_map(|directory| {
            std::fs::read_dir(&directory)
                .unwrap()
                .map(|entry| entry.unwrap().path())
        })
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 6);
    files
}

/// What the binary makes of a file.
fn fixed(path: &Path) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--package", "natsguard", "--", "fix"])
        .arg(path)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Lets the server test a workload's configuration with all that it names.
fn verdict(server: &Server, workload: &Workload<'_>, config: &conf::Config) -> Verdict {
    let Configuration::Known { sources, .. } = &workload.configuration else {
        unreachable!()
    };
    let mut files: BTreeMap<String, Vec<u8>> = sources
        .iter()
        .zip(&config.files)
        .map(|(source, file)| (source.path.clone(), file.text.clone()))
        .collect();
    let main = &sources[0].path;
    let directory = main.rsplit_once('/').unwrap().0;
    for include in &config.unknown_includes {
        files.insert(format!("{directory}/{include}"), Vec::new());
    }
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    named_files(&config.root.to_json(), &mut certificates, &mut keys);
    let env = config
        .unresolved
        .iter()
        .map(|name| (name.clone(), "x".to_owned()))
        .collect();
    server.test(main, &files, &certificates, &keys, &env)
}

fn named_files(value: &Value, certificates: &mut Vec<String>, keys: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        match (key.as_str(), value.as_str()) {
            ("cert_file" | "ca_file", Some(path)) => certificates.push(path.to_owned()),
            ("key_file", Some(path)) => keys.push(path.to_owned()),
            _ => named_files(value, certificates, keys),
        }
    }
}

/// The values without the routes, and the routes.
fn split(config: &conf::Config) -> (Value, Value) {
    let mut values = config.root.to_json();
    let routes = values
        .get_mut("cluster")
        .and_then(Value::as_object_mut)
        .and_then(|cluster| cluster.remove("routes"))
        .unwrap_or_default();
    (values, routes)
}

#[test]
fn a_real_server_takes_what_was_repaired() {
    let server = Server::build();
    let folder = std::env::temp_dir().join(format!("natsguard-accept-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (mut accepted, mut changed) = (0, 0);
    for path in manifests() {
        let after_path = folder.join("after.yaml");
        std::fs::write(&after_path, fixed(&path)).unwrap();
        let before = Input::read(std::slice::from_ref(&path), STDIN, None, "fix");
        let after = Input::read(std::slice::from_ref(&after_path), STDIN, None, "fix");
        assert!(before.problems.is_empty() && after.problems.is_empty());
        let (before, after) = (discover(&before.bundle), discover(&after.bundle));
        assert_eq!(before.len(), after.len());
        assert!(!before.is_empty(), "{}", path.display());
        for (before, after) in before.iter().zip(&after) {
            let (
                Configuration::Known { config: old, .. },
                Configuration::Known { config: new, .. },
            ) = (&before.configuration, &after.configuration)
            else {
                continue;
            };
            let (was, is) = (verdict(&server, before, old), verdict(&server, after, new));
            assert_eq!(
                was.accepted,
                is.accepted,
                "{}: {} / {}",
                path.display(),
                was.text,
                is.text
            );
            let ((old_values, old_routes), (new_values, new_routes)) = (split(old), split(new));
            assert_eq!(old_values, new_values, "{}", path.display());
            println!(
                "{}: accepted {}, routes changed {}",
                path.display(),
                is.accepted,
                old_routes != new_routes
            );
            accepted += usize::from(is.accepted);
            changed += usize::from(old_routes != new_routes && is.accepted);
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
    // Equal refusals would prove nothing.
    assert!(
        accepted >= 5,
        "only {accepted} configurations were accepted at all"
    );
    assert!(
        changed >= 4,
        "only {changed} accepted configurations were repaired"
    );
}
