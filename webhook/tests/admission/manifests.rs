//! Whole deployments go through admission in the order of their files: the project's own, and those in
//! `$NATSGUARD_MANIFESTS`.

use std::path::{Path, PathBuf};

use natsguard::admission::Decision;
use natsguard_policies::engine::evaluate;
use natsguard_policies::policy::Action;
use serde_json::Value;

use crate::support::{World, objects};

const KINDS: &[&str] = &[
    "ConfigMap",
    "DaemonSet",
    "Deployment",
    "PersistentVolumeClaim",
    "Secret",
    "Service",
    "StatefulSet",
];

fn files() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/manifests");
    let others = std::env::var_os("NATSGUARD_MANIFESTS").map(PathBuf::from);
    let mut files: Vec<PathBuf> = [Some(own), others]
        .into_iter()
        .flatten()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 6);
    files
}

/// The objects as the apiserver hands them on: each with its namespace.
fn placed(path: &Path) -> Vec<Value> {
    let mut objects = objects(&std::fs::read_to_string(path).unwrap());
    for object in &mut objects {
        if KINDS.contains(&object["kind"].as_str().unwrap())
            && object["metadata"]["namespace"].is_null()
        {
            object["metadata"]["namespace"] = "default".into();
        }
    }
    objects
}

fn is_reviewed(object: &Value) -> bool {
    KINDS.contains(&object["kind"].as_str().unwrap())
}

/// Writes all objects in an order, then all again, as the controller's touch would have it.
fn install(objects: &[Value], name: &str) -> World {
    let world = World::default();
    let facts = objects.iter().filter(|object| !is_reviewed(object));
    {
        let mut state = world.state.lock().unwrap();
        state.objects = facts.cloned().collect();
        // As offline: what is not in the file may exist.
        state.open = true;
    }
    for round in 0..2 {
        for object in objects.iter().filter(|object| is_reviewed(object)) {
            let mut object = object.clone();
            if round > 0 {
                object["metadata"]["annotations"]["natsguard.dev/reviewed"] = "1".into();
            }
            let written = world.apply(&object);
            let title = format!("{name}: {} {}", object["kind"], object["metadata"]["name"]);
            for warning in &written.warnings {
                println!("{title}: {warning}");
            }
            if let Some(denied) = &written.denied {
                println!("{title}: {}", denied["message"].as_str().unwrap());
            }
            let is_changed = written.answers[0].record.decision == Decision::Patched;
            assert_eq!(is_changed, written.object != object, "{title}");
        }
    }
    world
}

#[test]
fn what_was_let_through_has_nothing_left_to_repair() {
    for path in files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let objects = placed(&path);
        let backwards: Vec<Value> = objects.iter().rev().cloned().collect();
        let mut ends = Vec::new();
        for objects in [&objects, &backwards] {
            let world = install(objects, &name);
            let mut held = world.state.lock().unwrap().objects.clone();
            held.sort_by_key(|object| {
                object["kind"].to_string() + &object["metadata"]["name"].to_string()
            });
            // Admission does not read what cert-manager is asked for.
            let read = held.iter().filter(|object| object["kind"] != "Certificate");
            let values = read.cloned().map(natsguard_policies::bundle::Object::new);
            let bundle = natsguard_policies::bundle::Bundle::new(values.collect(), None);
            let report = evaluate(&bundle, &world.settings());
            // A Deployment's file is nobody's routes, and a certificate that is yet to be written is not looked at; all
            // else that can be repaired was.
            let left: Vec<_> = report
                .findings
                .iter()
                .filter(|judged| judged.action == Action::Fix)
                .filter(|judged| judged.finding.policy != "uncovered-routes")
                .collect();
            assert!(left.is_empty(), "{name}: {left:?}");
            ends.push(held);
        }
        let is_whole = |held: &[Value]| held.iter().filter(|object| is_reviewed(object)).count();
        let all = objects.iter().filter(|object| is_reviewed(object)).count();
        if is_whole(&ends[0]) == all && is_whole(&ends[1]) == all {
            assert_eq!(ends[0], ends[1], "{name}: the order decides");
        }
    }
}
