//! `natsguard scan`, against an apiserver that only reads.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::apiserver::{Apiserver, kubeconfig};
use crate::secrets;
use crate::support::{Folder, Run, manifests, run};

/// The objects of one of the project's own manifests.
fn objects(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(manifests().join(name)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn scan(server: &Apiserver, flags: &[&str]) -> Run {
    let mut args = vec!["scan", "--kubeconfig", &server.kubeconfig];
    args.extend(flags);
    run(&args)
}

fn workload(kind: &str, namespace: &str, name: &str, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": 1,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": name, "image": image}]},
            },
        },
    })
}

#[test]
fn people_get_a_table() {
    let server = Apiserver::of(objects("partitioned.yaml"));
    let run = scan(&server, &[]);
    assert_eq!(run.err, "");
    assert_eq!(run.out, "");
    assert_eq!(run.status, 1);
}

#[test]
fn json_has_the_shape_of_checks() {
    let server = Apiserver::of(objects("partitioned.yaml"));
    let report: Value = serde_json::from_str(&scan(&server, &["-o", "json"]).out).unwrap();
    assert_eq!(
        report["summary"],
        json!({"deny": 1, "fix": 3, "warn": 1, "objects": 1})
    );
    let rows = report["findings"].as_array().unwrap();
    let route = rows.iter().find(|row| row["policy"] == "service-route");
    assert_eq!(
        *route.unwrap(),
        json!({
            "policy": "service-route",
            "action": "fix",
            "object": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "messaging", "name": "nats-config"},
            "field": "data[\"nats.conf\"].cluster.routes[0]",
            "reason": "a cluster route names a Service, an address or a bare host instead of a pod",
            "detail": "nats://nats:6222 leads to any pod of StatefulSet messaging/nats",
            "remedy": "name each pod, as in nats://nats-0.nats.messaging.svc.cluster.local:6222",
            "file": "statefulset/messaging/nats",
            "line": 1,
            "column": 1
        })
    );
}

#[test]
fn the_exit_status_is_as_of_check() {
    let server = Apiserver::of(objects("json-form.yaml"));
    assert_eq!(scan(&server, &[]).status, 0);
    assert_eq!(scan(&server, &["--fail-on", "fix"]).status, 1);
    let server = Apiserver::of(objects("sound.yaml"));
    let run = scan(&server, &["--fail-on", "warn"]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (0, "no findings in 1 workload\n")
    );
}

#[test]
fn one_namespace_is_all_that_is_asked_for() {
    let mut objects = objects("partitioned.yaml");
    objects.push(workload("StatefulSet", "other", "nats", "nats:2.11.0"));
    let server = Apiserver::forbidding(
        objects,
        &[
            "statefulsets@",
            "deployments@",
            "daemonsets@",
            "nodes",
            "persistentvolumes",
            "storageclasses",
        ],
    );
    let run = scan(&server, &["--namespace", "messaging"]);
    assert_eq!(run.status, 0);
    assert!(run.out.ends_with("in 1 workload\n"), "{}", run.out);
    assert_eq!(run.err, "");
    assert_eq!(server.asked(), Vec::<String>::new());
}

#[test]
fn a_right_that_is_missing_is_named() {
    let server = Apiserver::forbidding(
        objects("partitioned.yaml"),
        &["statefulsets@", "daemonsets"],
    );
    let run = scan(&server, &["-o", "json"]);
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert_eq!(run.err, "");
    let run = scan(&server, &["-n", "messaging"]);
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert_eq!(run.err, "");
}

#[test]
fn what_could_not_be_read_is_said_and_not_guessed() {
    let server = Apiserver::forbidding(objects("secret.yaml"), &["secrets", "nodes"]);
    let run = scan(&server, &[]);
    assert_eq!(run.out, "");
    assert_eq!(run.err, "");
}

#[test]
fn a_cluster_without_nats_is_said() {
    let web = workload("Deployment", "web", "shop", "nginx:1");
    let server = Apiserver::of(vec![web]);
    let run = scan(&server, &[]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (0, "no findings in 0 workloads\n")
    );
    assert_eq!(
        run.err,
        "natsguard: no NATS workload runs in the cluster: of 1 StatefulSets, Deployments and DaemonSets none has a nats-server\n"
    );
    let run = scan(&server, &["-n", "shop", "-o", "json"]);
    assert_eq!(run.status, 0);
    assert_eq!(
        serde_json::from_str::<Value>(&run.out).unwrap(),
        json!({"findings": [], "summary": {"deny": 0, "fix": 0, "warn": 0, "objects": 0}})
    );
}

#[test]
fn the_plan_says_what_would_be_touched_and_touches_nothing() {
    let mut objects = objects("partitioned.yaml");
    let owned: Vec<Value> = self::objects("fragile.yaml")
        .into_iter()
        .map(|mut object| {
            object["metadata"]["namespace"] = json!("owned");
            if object["kind"] == "ConfigMap" {
                object["metadata"]["ownerReferences"] =
                    json!([{"kind": "EventBus", "name": "default", "controller": true}]);
            }
            object
        })
        .collect();
    objects.extend(owned);
    let server = Apiserver::of(objects);
    let run = scan(&server, &["--fix-plan"]);
    assert_eq!(run.err, "");
    assert_eq!(run.out, "");
    assert_eq!(run.status, 0);
}

#[test]
fn no_format_shows_a_credential() {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(secrets::PLANTED).unwrap();
    objects.retain(|object| object["kind"] != "SecretList");
    for object in &mut objects {
        object["metadata"]["namespace"] = json!("a");
    }
    let server = Apiserver::of(objects);
    let formats =
        ["text", "json", "sarif", "junit", "github", "markdown"].map(|f| ["-o", f].to_vec());
    for flags in formats.into_iter().chain([vec!["--fix-plan"]]) {
        let run = scan(&server, &flags);
        assert!(run.out.contains("service-route"), "{}", run.out);
        for text in [run.out, run.err] {
            assert!(!text.contains(secrets::MARK), "{flags:?}: {text}");
            assert!(!text.contains("TUFSS0VE"), "{flags:?}: {text}");
        }
    }
}

#[test]
fn thousands_of_workloads_come_in_pages() {
    let mut objects: Vec<Value> = (0..10_000)
        .map(|n| {
            workload(
                "StatefulSet",
                &format!("n{}", n % 100),
                &format!("s{n}"),
                "redis:8",
            )
        })
        .collect();
    objects.push(workload("StatefulSet", "zz", "nats", "nats:2.11.0"));
    objects.push(workload("DaemonSet", "aa", "nats", "nats:2.11.0"));
    let server = Apiserver::of(objects);
    let run = scan(&server, &[]);
    assert_eq!(run.err, "");
    assert!(run.out.ends_with("in 2 workloads\n"), "{}", run.out);
    let pages = |path: &String| path.starts_with("/apis/apps/v1/statefulsets?");
    assert_eq!(server.asked().iter().filter(|path| pages(path)).count(), 41);
}

#[test]
fn a_cluster_that_can_not_be_reached_is_said_in_one_line() {
    let folder = Folder::new();
    let path = folder.write("config", kubeconfig("127.0.0.1:1"));
    let refused = "natsguard: can't reach the cluster: Connection refused (os error 111); see to the kubeconfig\n";
    for flags in [
        vec!["--kubeconfig", &path],
        vec!["--kubeconfig", &path, "--context", "gone"],
    ] {
        let mut args = vec!["scan"];
        args.extend(flags);
        let run = run(&args);
        assert_eq!(
            (run.status, run.out.as_str(), run.err.as_str()),
            (2, "", refused)
        );
    }
    let from_environment = Command::new(env!("CARGO_BIN_EXE_natsguard"))
        .arg("scan")
        .env("KUBECONFIG", &path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(from_environment.stderr).unwrap(), refused);
}

#[test]
fn a_kubeconfig_that_can_not_be_used_is_named() {
    let folder = Folder::new();
    let path = folder.write("config", kubeconfig("127.0.0.1:1"));
    let result = run(&["scan", "--kubeconfig", &path, "--context", "staging"]);
    assert_eq!((result.status, result.out.as_str()), (2, ""));
    assert_eq!(result.err, "");
    let result = run(&["scan", "--kubeconfig", "nowhere"]);
    assert_eq!((result.status, result.out.as_str()), (2, ""));
    assert_eq!(result.err, "");
    let result = run(&["scan", "--kubeconfig", &path, "-n", "../nodes"]);
    assert_eq!((result.status, result.out.as_str()), (2, ""));
    assert_eq!(
        result.err,
        "natsguard: --namespace: \"../nodes\" is no name of a namespace; write lower-case letters, digits and hyphens\n"
    );
}

#[test]
fn an_interrupted_scan_prints_no_half_report() {
    let server = Apiserver::silent();
    let child = Command::new(env!("CARGO_BIN_EXE_natsguard"))
        .args(["scan", "--kubeconfig", &server.kubeconfig])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let began = Instant::now();
    while server.asked().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    let kill = format!("kill -INT {}", child.id());
    assert!(
        Command::new("sh")
            .args(["-c", &kill])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), None);
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
}
