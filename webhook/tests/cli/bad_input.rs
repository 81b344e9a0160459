//! Input that is not what it should be: a clear answer, in bounded time.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Folder, manifests, run, run_with};

/// Runs on standard input and asserts the status and a part of what is said.
fn refused(input: impl AsRef<[u8]>, expected: &str) {
    let started = Instant::now();
    for command in ["check", "fix"] {
        let run = run_with(&[command, "-"], &input);
        assert_eq!(run.status, 2, "{command}: {}", run.err);
        assert!(run.err.contains(expected), "{command}: {}", run.err);
        assert!(run.err.contains("<stdin>"), "{command}: {}", run.err);
        assert!(
            run.err.len() < 2000,
            "{command}: an answer of {} bytes",
            run.err.len()
        );
    }
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
}

fn summary(input: impl AsRef<[u8]>) -> Value {
    let run = run_with(&["check", "--fail-on", "deny", "-o", "json", "-"], input);
    assert_eq!(run.status, 0, "{}", run.err);
    serde_json::from_str::<Value>(&run.out).unwrap()["summary"].clone()
}

#[test]
fn what_is_not_yaml_is_refused_with_its_place() {
    refused("kind: [\n", "<stdin>:");
    refused("a: b: c\n", "<stdin>:1:");
    refused(b"kind: \xff\n".as_slice(), "UTF-8");
    refused("%PDF-1.7\x00\x01", "<stdin>");
    refused("kind: A\nkind: B\n", "kind");
    refused("{{ if .Values.nats }}\nkind: A\n{{ end }}\n", "<stdin>:1");
}

#[test]
fn what_is_no_object_is_refused_with_its_place() {
    refused(
        "a: 1\n",
        "<stdin>:1:1: this is no Kubernetes object: it has no kind",
    );
    refused(
        "kind: A\n---\n- 1\n",
        "<stdin>:3:1: this is no Kubernetes object: it is not a map",
    );
    refused("kind: 7\n", "it has no kind");
}

#[test]
fn other_documents_of_the_stream_are_still_printed() {
    let input = "kind: ConfigMap\n---\na: 1\n---\nkind: Secret\n";
    let run = run_with(&["fix", "-"], input);
    assert_eq!((run.status, run.out.as_str()), (2, input));
}

#[test]
fn a_path_that_is_not_there_is_named() {
    let missing = run(&["check", "gone.yaml", "sound.yaml"]);
    assert_eq!(missing.status, 2);
    assert!(
        missing
            .err
            .starts_with("natsguard: gone.yaml: can't be read: "),
        "{}",
        missing.err
    );
    assert!(missing.out.contains("3 objects"), "{}", missing.out);
    let folder = Folder::new();
    let empty = run(&["check", folder.0.to_str().unwrap()]);
    assert_eq!(empty.status, 2);
    assert!(
        empty
            .err
            .contains("no manifests; natsguard reads files that end in .yaml, .yml or .json"),
        "{}",
        empty.err
    );
}

#[test]
fn a_values_file_in_a_directory_is_passed_over_with_a_note() {
    let folder = Folder::new();
    folder.write("values.yaml", "replicas: 3\n");
    folder.write(
        "nats.yaml",
        std::fs::read(manifests().join("sound.yaml")).unwrap(),
    );
    let run = run(&["check", folder.0.to_str().unwrap()]);
    assert_eq!(run.status, 0, "{}", run.err);
    assert!(
        run.err
            .contains("values.yaml:1:1: this is no Kubernetes object: it has no kind; passed over"),
        "{}",
        run.err
    );
}

#[test]
fn nothing_at_all_is_an_error_of_what_should_have_written_it() {
    for input in ["", "\n", "# a comment\n", "---\n---\n"] {
        let check = run_with(&["check", "-"], input);
        assert_eq!(check.status, 2, "{input:?}");
        assert_eq!(
            check.err,
            "natsguard: <stdin>: there are no objects in it; see what should have written them\n"
        );
        let fix = run_with(&["fix", "-"], input);
        assert_eq!(
            (fix.status, fix.out.as_str(), fix.err.as_str()),
            (0, input, "")
        );
    }
    assert_eq!(summary("kind: List\nitems: []\n")["objects"], 0);
}

#[test]
fn what_could_not_be_read_is_an_error_in_every_format() {
    let folder = Folder::new();
    let broken = folder.write("broken.yaml", "kind: [\n");
    for (format, expected) in [
        ("json", "\"problems\": [\n    \""),
        ("sarif", "\"executionSuccessful\": false"),
        ("junit", "errors=\"1\""),
        ("github", "::error title=natsguard::"),
        ("markdown", "Not read:\n\n- "),
    ] {
        let run = run(&["check", "--output", format, &broken, "sound.yaml"]);
        assert_eq!(run.status, 2, "{format}");
        assert!(run.out.contains(expected), "{}", run.out);
        assert!(run.out.contains("broken.yaml:1:7: not YAML"), "{}", run.out);
    }
}

#[test]
fn objects_without_a_nats_workload_are_not_called_sound() {
    let run = run_with(
        &["check", "-"],
        "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n",
    );
    assert_eq!(
        (run.status, run.out.as_str()),
        (0, "no NATS workload in 1 object\n")
    );
}

#[test]
fn odd_workloads_have_an_answer() {
    let set = |spec: &str| {
        let input = format!(
            "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: nats}}\nspec: {spec}\n"
        );
        let run = run_with(&["check", "-o", "json", "-"], input);
        let report: Value = serde_json::from_str(&run.out).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings
            .iter()
            .map(|row| format!("{}: {}", row["action"], row["policy"]))
            .collect::<Vec<_>>()
            .join(", ")
            .replace('"', "")
    };
    let js = "warn: ephemeral-store, warn: unbounded-store, warn: unbounded-store";
    assert_eq!(set("{}"), "");
    assert_eq!(
        set(
            "{volumeClaimTemplates: null, template: {spec: {containers: [{image: nats, args: [-js]}]}}}"
        ),
        js
    );
    assert_eq!(
        set("{replicas: 0, template: {spec: {containers: [{image: nats, args: [-js]}]}}}"),
        js
    );
    assert_eq!(
        set("{replicas: 3, template: {spec: {containers: [{image: nats, args: [-js]}]}}}"),
        format!("{js}, warn: co-located-replicas")
    );
    assert_eq!(
        set(
            "{replicas: three, template: {spec: {containers: [{image: nats, args: [--cluster, 'nats://a:1']}]}}}"
        ),
        "deny: unresolvable-peers"
    );
}

#[test]
fn a_file_that_nobody_mounts_is_pointed_out() {
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: nats}\ndata:\n  \
               nats.conf: 'cluster { port: 6222, routes: [nats://nats:6222] }'\n";
    for command in ["check", "fix"] {
        let run = run_with(&[command, "-"], map);
        assert_eq!(run.status, 0);
        assert_eq!(
            run.err,
            "natsguard: <stdin>:5:3: no workload in the input uses this file, so its routes were not checked\n"
        );
    }
    assert_eq!(
        run_with(&["check", "-"], map.replace("routes", "other")).err,
        ""
    );
}

#[test]
fn an_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let inner = vec![format!("*a{}", level - 1); 10].join(", ");
        let _ = writeln!(bomb, "a{level}: &a{level} [{inner}]");
    }
    refused(format!("kind: A\n{bomb}"), "alias");
}

#[test]
fn deep_nesting_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        refused(
            format!("kind: {}1{}", open.repeat(100_000), close.repeat(100_000)),
            "deep",
        );
    }
    refused(
        format!(
            "kind: A\nspec:\n{}",
            (1..2000).fold(String::new(), |mut text, depth| {
                let _ = writeln!(text, "{}a:", " ".repeat(depth));
                text
            })
        ),
        "deep",
    );
}

#[test]
fn a_hostile_configuration_file_is_answered_in_bounded_time() {
    // What is refused is so by nats-server, too; what is deeper than natsguard reads is not.
    let hostile: [(String, u64); 6] = [
        ("x".repeat(1 << 20), 1),
        // Two of them begin what a template leaves open.
        ("{".repeat(100_000), 0),
        (format!("a: {}", "[".repeat(100_000)), 0),
        (format!("a: \"{}", "y".repeat(1 << 20)), 1),
        ("cluster { routes = [ ".repeat(40_000), 1),
        ("a = $a\n".repeat(100_000), 0),
    ];
    for (conf, denied) in hostile {
        let started = Instant::now();
        let text = std::fs::read_to_string(manifests().join("sound.yaml")).unwrap();
        let mut documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        documents[0]["data"]["nats.conf"] = Value::from(conf.as_str());
        let input = documents
            .iter()
            .map(|value| format!("---\n{value}\n"))
            .collect::<String>();
        let run = run_with(&["check", "-o", "json", "-"], &input);
        assert!(run.status < 2, "{}", run.err);
        let found = serde_json::from_str::<Value>(&run.out).unwrap()["summary"].clone();
        assert_eq!(found["deny"], denied, "{}", &conf[..20]);
        assert!(
            started.elapsed() < Duration::from_secs(15),
            "{:?}: {}",
            started.elapsed(),
            &conf[..20]
        );
    }
}

#[test]
fn ten_thousand_documents_are_read_in_bounded_time() {
    let text = std::fs::read_to_string(manifests().join("partitioned.yaml")).unwrap();
    let mut input = String::new();
    for index in 0..2500 {
        input += &text.replace("namespace: messaging", &format!("namespace: ns-{index}"));
        input += "---\n";
    }
    let started = Instant::now();
    let run = run_with(&["fix", "--policy", "unbounded-store=off", "-"], &input);
    assert_eq!(run.status, 0);
    assert_eq!(run.out.matches("nats://nats-2.nats.ns-").count(), 2500);
    assert!(
        started.elapsed() < Duration::from_mins(1),
        "{:?}",
        started.elapsed()
    );
}
