//! `natsguard check`.

use serde_json::{Value, json};

use crate::support::{Folder, run, run_with};

fn json_of(args: &[&str]) -> Value {
    serde_json::from_str(&run(args).out).unwrap()
}

#[test]
fn the_exit_status_says_how_bad_it_is() {
    assert_eq!(run(&["check", "partitioned.yaml"]).status, 1);
    assert_eq!(run(&["check", "json-form.yaml"]).status, 1);
    assert_eq!(run(&["check", "deployment.yaml"]).status, 0);
    assert_eq!(run(&["check", "sound.yaml"]).status, 0);
    assert_eq!(
        run(&["check", "--fail-on", "deny", "json-form.yaml"]).status,
        0
    );
    assert_eq!(
        run(&["check", "--fail-on", "warn", "deployment.yaml"]).status,
        1
    );
    assert_eq!(run(&["check", "--fail-on", "warn", "sound.yaml"]).status, 0);
    assert_eq!(
        run(&[
            "check",
            "--fail-on",
            "deny",
            "--policy",
            "network-filesystem=warn",
            "partitioned.yaml"
        ])
        .status,
        0
    );
}

#[test]
fn standard_input_may_have_a_name() {
    let input = std::fs::read(crate::support::manifests().join("partitioned.yaml")).unwrap();
    let name = "deploy/nats.yaml";
    let run = run_with(
        &["check", "-o", "json", "--stdin-filename", name, "-"],
        &input,
    );
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["findings"][0]["file"], name);
    let run = run_with(&["fix", "--diff", "--stdin-filename", name, "-"], &input);
    assert!(
        run.out
            .starts_with("--- ./deploy/nats.yaml\n+++ ./deploy/nats.yaml\n"),
        "{}",
        run.out
    );
    assert!(
        run.err.contains("natsguard: deploy/nats.yaml:"),
        "{}",
        run.err
    );
}

#[test]
fn exemptions_that_are_good_for_nothing_are_said() {
    let folder = Folder::new();
    let settings = folder.write(
        "settings.yaml",
        "policies: {network-filesystem: {action: fix}}\n\
         exemptions:\n\
         - {policy: network-filesystem, namespace: messaging, reason: x, expires: 2020-01-01}\n\
         - {policy: short-route, namespace: messaging, reason: x}\n\
         - {policy: service-route, namespace: messaging, reason: x}\n",
    );
    let run = run(&["check", "--settings", &settings, "partitioned.yaml"]);
    assert_eq!(
        run.err,
        format!(
            "natsguard: {settings}: policies.network-filesystem.action: this policy has no repair, so fix means deny; write off, \
             warn or deny\n\
             natsguard: {settings}: exemptions[0] (network-filesystem in messaging) expired after 2020-01-01; renew it or remove it\n\
             natsguard: {settings}: exemptions[1] (short-route in messaging) lifts no fault of what was checked; correct it or check more\n"
        )
    );
}

#[test]
fn json_has_the_shape_that_machines_expect() {
    let report = json_of(&["check", "--output", "json", "partitioned.yaml"]);
    assert_eq!(
        report["summary"],
        json!({"deny": 1, "fix": 3, "warn": 1, "objects": 4})
    );
    let routes = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["policy"] == "service-route")
        .unwrap();
    assert_eq!(
        *routes,
        json!({
            "policy": "service-route",
            "action": "fix",
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "messaging", "name": "nats-config"},
            "field": "data[\"nats.conf\"].cluster.routes[0]",
            "reason": "a cluster route names a Service, an address or a bare host instead of a pod",
            "detail": "nats://nats:6222 leads to any pod of StatefulSet messaging/nats; the DNS domain is not known (--cluster-domain), so the names of pods end in .svc",
            "remedy": "name each pod, as in nats://nats-0.nats.messaging.svc:6222",
            "file": "partitioned.yaml",
            "line": 25,
            "column": 9
        })
    );
}

#[test]
fn the_namespace_is_the_one_that_was_named() {
    let namespace = |args: &[&str]| json_of(args)["findings"][0]["object"]["namespace"].clone();
    assert_eq!(
        namespace(&["check", "-o", "json", "deployment.yaml"]),
        Value::Null
    );
    assert_eq!(
        namespace(&[
            "check",
            "-o",
            "json",
            "--namespace",
            "edge",
            "deployment.yaml"
        ]),
        "edge"
    );
}

#[test]
fn settings_are_read_from_a_file() {
    let folder = Folder::new();
    let settings = folder.write(
        "settings.yaml",
        "clusterDomain: k8s.example.org\npolicies: {network-filesystem: {action: warn}}\nexemptions:\n\
         - {policy: unbounded-store, namespace: messaging, reason: it grows, expires: 2999-01-01}\n",
    );
    let report = json_of(&[
        "check",
        "-o",
        "json",
        "--settings",
        &settings,
        "partitioned.yaml",
    ]);
    assert_eq!(
        report["summary"],
        json!({"deny": 0, "fix": 3, "warn": 1, "objects": 4})
    );
    assert!(
        report
            .to_string()
            .contains("nats.messaging.svc.k8s.example.org")
    );
    let report = json_of(&[
        "check",
        "-o",
        "json",
        "--settings",
        &settings,
        "--cluster-domain",
        "own.domain",
        "partitioned.yaml",
    ]);
    assert!(report.to_string().contains("nats.messaging.svc.own.domain"));
    let text = run(&["check", "--settings", &settings, "partitioned.yaml"]).out;
    assert!(
        text.contains("it grows") && text.contains("2999-01-01"),
        "{text}"
    );
}

#[test]
fn settings_that_can_not_be_used_are_named() {
    let folder = Folder::new();
    let refused = |text: &str, expected: &str| {
        let path = folder.write("settings.yaml", text);
        let run = run(&["check", "--settings", &path, "sound.yaml"]);
        assert_eq!((run.status, run.out.as_str()), (2, ""));
        assert!(
            run.err.contains(&path) && run.err.contains(expected),
            "{}",
            run.err
        );
    };
    refused("polices: {}", "polices");
    refused("policies: {nfs: {action: deny}}", "there is no policy nfs");
    refused("policies: {short-route: {action: nothing}}", "nothing");
    refused("policies: [", "line");
    let run = run(&["check", "--settings", "gone.yaml", "sound.yaml"]);
    assert_eq!(run.status, 2);
    assert!(
        run.err.starts_with("natsguard: gone.yaml: can't be read: "),
        "{}",
        run.err
    );
}

#[test]
fn a_finding_points_into_the_file_inside_the_block_scalar() {
    let text = run(&["check", "partitioned.yaml"]).out;
    assert!(text.contains("partitioned.yaml:25:9"), "{text}");
    assert!(text.contains("nats://nats:6222"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
}

#[test]
fn directories_and_standard_input_are_read() {
    let whole = json_of(&["check", "-o", "json", "."]);
    assert!(whole["summary"]["objects"].as_u64().unwrap() > 15);
    let input = std::fs::read(crate::support::manifests().join("partitioned.yaml")).unwrap();
    let run = run_with(&["check", "-o", "json", "-"], input);
    let report: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(report["findings"][0]["file"], "<stdin>");
    assert_eq!(run.status, 1);
}

#[test]
fn facts_may_come_from_other_files() {
    let folder = Folder::new();
    let text =
        std::fs::read_to_string(crate::support::manifests().join("partitioned.yaml")).unwrap();
    let documents: Vec<&str> = text.split("---\n").collect();
    let set = folder.write("set.yaml", documents[3]);
    let rest = folder.write("rest.json", {
        let values: Vec<Value> =
            serde_saphyr::from_multiple(&documents[..3].join("---\n")).unwrap();
        json!({"kind": "List", "apiVersion": "v1", "items": values}).to_string()
    });
    let alone = json_of(&["check", "-o", "json", &set]);
    assert_eq!(alone["summary"]["deny"], 0);
    let both = json_of(&["check", "-o", "json", &set, &rest]);
    assert_eq!(
        both["summary"],
        json!({"deny": 1, "fix": 3, "warn": 1, "objects": 4})
    );
}

#[test]
fn a_template_is_filled_in_and_not_edited() {
    let folder = Folder::new();
    let text =
        std::fs::read_to_string(crate::support::manifests().join("partitioned.yaml")).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let objects = json!(objects)
        .to_string()
        .replace("nats://nats:6222", "nats://${APP}:6222");
    let template = format!(
        "{{\"kind\": \"Template\", \"apiVersion\": \"template.openshift.io/v1\", \"objects\": {objects}, \
         \"parameters\": [{{\"name\": \"APP\", \"value\": \"nats\"}}]}}"
    );
    let path = folder.write("template.json", &template);
    let report = json_of(&["check", "-o", "json", &path]);
    let actions: Vec<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["policy"].as_str().unwrap(),
                row["action"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(actions.contains(&("service-route", "deny")), "{actions:?}");
    assert!(
        actions.contains(&("co-located-replicas", "fix")),
        "{actions:?}"
    );
    let fixed = run(&["fix", &path]).out;
    assert!(
        fixed.contains("nats://${APP}:6222") && fixed.contains("kubernetes.io/hostname"),
        "{fixed}"
    );
}

#[test]
fn explain_prints_the_page_of_a_policy() {
    let list = run(&["explain"]);
    let words = list.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains(" network-filesystem deny The store lies on a network file system "),
        "{}",
        list.out
    );
    let page = run(&["explain", "network-filesystem"]);
    assert!(page.out.starts_with("# network-filesystem\n"));
    let unknown = run(&["explain", "nfs"]);
    assert_eq!(unknown.status, 2);
    assert_eq!(
        unknown.err,
        "natsguard: there is no policy nfs; `natsguard explain` lists them\n"
    );
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(
            run(&["completions", shell]).out.contains("natsguard"),
            "{shell}"
        );
    }
}

#[test]
fn nobody_listening_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(env!("CARGO_BIN_EXE_natsguard"))
        .args(["explain", "service-route"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
