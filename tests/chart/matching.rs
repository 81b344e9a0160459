//! What the matchConditions let through is a superset of what the policies act on, and not much more.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use natsguard_policies::bundle::{Bundle, Object, ObjectId};
use natsguard_policies::conf::{self, Included};
use natsguard_policies::engine::{evaluate, repair};
use natsguard_policies::policy::Action;
use natsguard_policies::settings::Settings;
use natsguard_policies::workload::{Configuration, discover};
use serde_json::{Value, json};

use crate::cel::{Evaluator, Step, VERSIONS};
use crate::helm;

const STEPS: [Step; 2] = [Step::Mutate, Step::Validate];

fn resource(object: &Object) -> Option<&'static str> {
    Some(match object.kind() {
        "ConfigMap" => "configmaps",
        "DaemonSet" => "daemonsets",
        "Deployment" => "deployments",
        "PersistentVolumeClaim" => "persistentvolumeclaims",
        "Secret" => "secrets",
        "Service" => "services",
        "StatefulSet" => "statefulsets",
        // Bare Pods never come to the webhook, nor does what is only read.
        _ => return None,
    })
}

/// What was seen, so that a test can tell that it saw something.
#[derive(Debug, Default)]
struct Seen {
    workloads: usize,
    findings: usize,
    updates: usize,
}

/// The objects that the policies act on: workloads, files of clusters and of JetStream, and whatever a finding is about.
fn concerned(bundle: &Bundle, seen: &mut Seen) -> Vec<(ObjectId, bool)> {
    let mut concerned = Vec::new();
    for workload in discover(bundle) {
        seen.workloads += 1;
        concerned.push((workload.id, false));
        let stores = workload
            .values()
            .is_some_and(|values| values.find(&["jetstream"]).is_some());
        if let Configuration::Known { sources, .. } = &workload.configuration
            && (workload.cluster().is_some() || stores)
        {
            concerned.extend(sources.first().map(|source| (source.object, false)));
        }
    }
    let report = evaluate(bundle, &Settings::default());
    for judged in &report.findings {
        seen.findings += 1;
        let repaired = judged.action == Action::Fix;
        concerned.push((judged.finding.place.object, repaired));
        let edits = judged.finding.fix.iter().flat_map(|fix| &fix.edits);
        concerned.extend(edits.map(|edit| (edit.target().0, repaired)));
    }
    concerned.sort_unstable();
    concerned.dedup();
    concerned
}

fn holds(evaluator: &mut Evaluator, objects: Vec<Value>, seen: &mut Seen) {
    let bundle = Bundle::new(objects.into_iter().map(Object::new).collect(), None);
    for (id, repaired) in concerned(&bundle, seen) {
        let object = bundle.object(id).expect("it is in the bundle");
        let Some(resource) = resource(object) else {
            continue;
        };
        for step in STEPS {
            // A governing Service may have any name and any port. Where a call that fails refuses, only what looks like NATS
            // goes.
            let is_narrow = step == Step::Validate || resource == "services" && !repaired;
            if is_narrow && !looks_like_nats(resource, &object.value) {
                continue;
            }
            assert!(
                evaluator.sends(step, resource, &object.value, None),
                "{step:?} {resource} is not sent: {}",
                object.value
            );
        }
    }
    // An update that a policy would make, or undo, is one that it reads.
    let after = repair(&bundle, &Settings::default()).bundle;
    for (before, after) in bundle.objects().iter().zip(after.objects()) {
        let Some(resource) = resource(before).filter(|_| before.value != after.value) else {
            continue;
        };
        seen.updates += 1;
        let step = Step::Mutate;
        assert!(
            evaluator.sends(step, resource, &before.value, Some(&after.value)),
            "{}",
            before.value
        );
        let mut labelled = before.value.clone();
        labelled["metadata"]["labels"] = json!({"example.org/new": "label"});
        labelled["metadata"]["finalizers"] = json!(["example.org/new"]);
        labelled["status"] = Value::Null;
        assert!(
            !evaluator.sends(step, resource, &labelled, Some(&before.value)),
            "{labelled}"
        );
        labelled["metadata"]["annotations"] = json!({"natsguard.dev/reviewed": "1"});
        assert!(
            evaluator.sends(step, resource, &labelled, Some(&before.value)),
            "{labelled}"
        );
    }
}

/// Not by the CEL, but by what its description says.
fn looks_like_nats(resource: &str, object: &Value) -> bool {
    let is_named = says_nats(&object["metadata"]["name"]);
    match resource {
        "configmaps" => is_named || is_telling(object),
        "deployments" | "daemonsets" => is_named || names_nats(&object["spec"]["template"]["spec"]),
        "services" => is_named || leads_to_nats(&object["spec"]),
        _ => true,
    }
}

fn says_nats(value: &Value) -> bool {
    value.to_string().contains("nats")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn is_telling(map: &Value) -> bool {
    let has_routes = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        let config = conf::read(text.as_bytes(), &mut |_, _| Included::Unknown);
        let cluster = config.root.find(&["cluster"]).and_then(conf::Value::as_map);
        cluster.is_some_and(|cluster| cluster.find(&["routes"]).is_some())
    };
    let files = map["data"].to_string().to_lowercase();
    // Of binary data no more is asked.
    map["binaryData"].is_object()
        || files.contains("nats")
        || files.contains("jetstream")
        || map["data"]
            .as_object()
            .is_some_and(|files| files.values().any(has_routes))
}

fn names_nats(pod: &Value) -> bool {
    let fields = ["name", "image", "command", "args"];
    items(&pod["containers"])
        .any(|container| fields.iter().any(|field| says_nats(&container[field])))
        || items(&pod["volumes"]).any(|volume| {
            let sources = items(&volume["projected"]["sources"]);
            says_nats(&volume["configMap"]["name"])
                || says_nats(&volume["secret"]["secretName"])
                || sources
                    .flat_map(|source| [&source["configMap"], &source["secret"]])
                    .any(|source| says_nats(&source["name"]))
        })
}

fn leads_to_nats(spec: &Value) -> bool {
    let ports = [4222, 6222, 7222, 7422, 8222].map(Value::from);
    items(&spec["ports"]).any(|port| ports.contains(&port["port"]))
        || spec["selector"]
            .as_object()
            .is_some_and(|selector| selector.values().any(says_nats))
}

#[test]
fn every_manifest_at_hand_is_sent() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |folder: &str| -> Vec<(String, String)> {
        std::fs::read_dir(root.join(folder))
            .unwrap_or_else(|error| panic!("{folder}: {error}"))
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.is_file())
            .map(|path| {
                let text = std::fs::read_to_string(&path).expect("a text");
                (path.display().to_string(), text)
            })
            .collect()
    };
    let mut texts: Vec<String> = read("tests/manifests")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    for (_, page) in read("policies/docs") {
        let fences = page.split("```yaml").skip(1);
        texts.extend(fences.filter_map(|fence| {
            let (_, text) = fence.split_once('\n')?;
            let (text, _) = text.split_once("```")?;
            text.contains("kind:").then(|| text.to_owned())
        }));
    }
    let cluster = std::fs::read_to_string(root.join("policies/fuzz/fuzz_targets/cluster.yaml"));
    texts.extend(cluster);
    for version in VERSIONS {
        let mut evaluator = Evaluator::start(version);
        let mut seen = Seen::default();
        for text in &texts {
            holds(&mut evaluator, helm::objects(text), &mut seen);
        }
        eprintln!("{version}: {} texts, {seen:?}", texts.len());
        assert!(seen.workloads > 20 && seen.findings > 20 && seen.updates > 10);
    }
}

/// A file and where it lies: the pod's volumes, the container's mounts, the path of the file, the object that holds it.
struct Held {
    volume: Value,
    mount: Value,
    path: String,
    object: Value,
}

fn held(text: &str) -> Vec<Held> {
    let encoded = BASE64_STANDARD.encode(text);
    let meta = || json!({"name": "files"});
    let map = |key: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(), "data": {"other": "x", key: text}});
    let folder = json!({"name": "c", "mountPath": "/etc/c"});
    let volume = json!({"name": "c", "configMap": {"name": "files"}});
    let mut all = Vec::new();
    for key in ["nats.conf", "server", "config.json", "my.cfg"] {
        all.push(Held {
            volume: volume.clone(),
            mount: folder.clone(),
            path: format!("/etc/c/{key}"),
            object: map(key),
        });
    }
    all.push(Held {
        volume: volume.clone(),
        mount: json!({"name": "c", "mountPath": "/nats.conf", "subPath": "odd"}),
        path: "nats.conf".to_owned(),
        object: map("odd"),
    });
    all.push(Held {
        volume: json!({"name": "c", "projected": {"sources": [
            {"configMap": {"name": "files", "items": [{"key": "odd", "path": "a/b"}]}}]}}),
        mount: folder.clone(),
        path: "/etc//c/./a/b".to_owned(),
        object: map("odd"),
    });
    // In base64 a file is known by its key, or by routes in the usual case.
    let mut keys = vec!["nats-server", "cluster.conf"];
    if text.contains("routes") {
        keys.push("odd");
    }
    for key in keys {
        all.push(Held {
            volume: json!({"name": "c", "secret": {"secretName": "files"}}),
            mount: folder.clone(),
            path: format!("/etc/c/{key}"),
            object: json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta(), "data": {key: encoded}}),
        });
        all.push(Held {
            volume: volume.clone(),
            mount: folder.clone(),
            path: format!("/etc/c/{key}"),
            object: json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(), "binaryData": {key: encoded}}),
        });
    }
    all
}

const IMAGES: [&str; 9] = [
    "nats",
    "nats:2.10",
    "docker.io/bitnami/nats:2.10.24-debian-12-r2",
    "r:5000/a/nats@sha256:00",
    "synadia/nats-server",
    "nats-server-nightly",
    "a/nats-streaming",
    "nats-streaming-server:0.25",
    "gnatsd:1",
];

/// Every way to start a server that the policies know.
fn containers(path: &str) -> Vec<Value> {
    let mut all: Vec<Value> = IMAGES
        .iter()
        .map(|image| json!({"image": image, "args": ["-c", path]}))
        .collect();
    let commands = [
        json!(["/nats-server", "-c", path]),
        json!(["/opt/nats/gnatsd", "--config", path]),
        json!(["tini", "--", "nats-server", "-c", path]),
        json!(["sh", "-c", format!("set -e\nexec 'nats-server' -c {path}")]),
        json!([
            "sh",
            "-ec",
            format!("ulimit -n 9 && \"nats-server\" --config={path}")
        ]),
        json!(["/nats-streaming-server", "-sc", path]),
        json!(["/usr/bin/env", "GOMAXPROCS=2", "nats-server", "-c", path]),
        json!([
            "timeout",
            "-k",
            "5",
            "1h",
            "setpriv",
            "--reuid",
            "1000",
            "nats-server",
            "-c",
            path
        ]),
        json!(["sh", "-c", "exec \"$@\"", "--", "nats-server", "-c", path]),
        json!(["/opt/acme/launch", "--", "/nats-server", "-c", path]),
        json!(["entry", "-c", path]),
    ];
    all.extend(
        commands
            .iter()
            .map(|command| json!({"image": "registry/custom:1", "command": command})),
    );
    let arguments = [
        json!(["-c", path]),
        json!(["--c", path]),
        json!([format!("-c={path}")]),
        json!([format!("--config={path}")]),
        json!(["-D", "-config", path, "-js"]),
        json!(["nats-server", "-c", path]),
    ];
    all.extend(
        arguments
            .iter()
            .map(|arguments| json!({"image": "registry/custom:1", "args": arguments})),
    );
    all.push(json!({"image": "registry/custom:1", "command": ["run"], "args": ["-c", path]}));
    all
}

const FILES: &[&str] = &[
    "cluster { port: 6222, routes = [nats://nats:6222] }",
    "cluster: {\n  listen: 0.0.0.0:6222\n  routes: [nats://nats-0.nats:6222]\n}",
    "\"cluster\" = {\n port: 6222\n \"routes\": [\n  nats://u:p@nats-0.nats.default.svc.cluster.local:6222\n]}",
    "{\"cluster\": {\"port\": 6222, \"routes\": [\"nats://nats:6222\"]}}",
    "CLUSTER { Port: 6222\nRoutes: [nats://nats:6222] }",
    "cluster {\n  port: 6222\n  routes: [tls://peers:6222]\n}",
    "cluster\n{ port: 6222 }",
    "cluster # of three\n{ port: 6222\nroutes: [nats://nats:6222] }",
    "port: 4222\ncluster {port: 6222, name: x}",
    "server_name: $POD\njetstream: enabled\ncluster { port: 6222 routes: $ROUTES }",
    "jetstream { store_dir: /data }",
    "JetStream: {store_dir: \"/data\", max_file: 1G}\ncluster { port: 6222, routes: [] }",
];

#[test]
fn every_way_to_run_a_server_is_sent() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let mut seen = Seen::default();
    let mut bundles = 0;
    for (index, text) in FILES.iter().enumerate() {
        for (place, file) in held(text).iter().enumerate() {
            for (way, container) in containers(&file.path).into_iter().enumerate() {
                let mut container = container;
                container["name"] = json!("main");
                container["volumeMounts"] =
                    json!([file.mount, {"name": "data", "mountPath": "/data"}]);
                let kind = ["StatefulSet", "Deployment", "DaemonSet"][(index + place + way) % 3];
                let name = if kind == "StatefulSet" {
                    "nats"
                } else {
                    "edge"
                };
                let mut workload = json!({
                    "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
                    "spec": {
                        "replicas": 3,
                        "selector": {"matchLabels": {"app": "x"}},
                        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {
                            "containers": [{"name": "sidecar", "image": "busybox"}, container],
                            "volumes": [file.volume, {"name": "data", "nfs": {"server": "s", "path": "/"}}]
                        }}
                    }
                });
                let port = if way % 2 == 0 { 6222 } else { 1000 };
                let service = json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": {"name": if way % 3 == 0 { "nats" } else { "peers" }},
                    "spec": {"clusterIP": "None", "selector": {"app": "x"}, "ports": [{"port": port}]}
                });
                if kind == "StatefulSet" {
                    workload["spec"]["serviceName"] = service["metadata"]["name"].clone();
                }
                bundles += 1;
                holds(
                    &mut evaluator,
                    vec![workload, file.object.clone(), service],
                    &mut seen,
                );
            }
        }
    }
    eprintln!("{bundles} bundles, {seen:?}");
    // Nearly each of them has a server, or the property would say little.
    assert!(seen.workloads * 10 > bundles * 9, "{seen:?} of {bundles}");
    assert!(
        seen.findings > bundles && seen.updates > bundles / 4,
        "{seen:?}"
    );
}

/// Image or program, and nothing else to go by: no flag, no file, no volume.
#[test]
fn a_server_alone_is_sent() {
    let images = IMAGES.iter().map(|image| json!({"image": image}));
    let programs = [
        json!(["/nats-server"]),
        json!(["/usr/bin/gnatsd", "-js"]),
        json!(["dumb-init", "--", "nats-server"]),
        json!(["nats-streaming-server"]),
        json!(["sh", "-ec", "sleep 1; exec nats-server -js"]),
        json!(["sh", "-c", "nats-server"]),
        json!(["busybox", "ash", "-c", "(A=b nats-server)"]),
        json!(["sh", "-ec", "sleep 1\nexec 'gnatsd' -js"]),
    ];
    let commands = programs
        .iter()
        .map(|words| json!({"image": "custom", "command": words}));
    let arguments = programs
        .iter()
        .map(|words| json!({"image": "custom", "args": words}));
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    for container in images.chain(commands).chain(arguments) {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"},
            "spec": {"template": {"spec": {"containers": [{"image": "busybox"}, container]}}}
        });
        let bundle = Bundle::new(vec![Object::new(set.clone())], None);
        assert_eq!(discover(&bundle).len(), 1, "{set}");
        for step in STEPS {
            assert!(evaluator.sends(step, "statefulsets", &set, None), "{set}");
        }
    }
}

/// A container that is started before the others and stays is one of them.
#[test]
fn a_server_that_starts_before_the_others_is_sent() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    for (policy, is_server) in [(json!("Always"), true), (Value::Null, false)] {
        let server = json!({"image": "nats:2.14.5", "restartPolicy": policy});
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"},
            "spec": {"template": {"spec": {
                "initContainers": [{"image": "busybox"}, server], "containers": [{"image": "pause"}]
            }}}
        });
        let bundle = Bundle::new(vec![Object::new(set.clone())], None);
        assert_eq!(discover(&bundle).len(), usize::from(is_server));
        for step in STEPS {
            assert_eq!(
                evaluator.sends(step, "statefulsets", &set, None),
                is_server,
                "{set}"
            );
        }
    }
}

/// Servers that no name tells. While nobody answers they are written as ever, so each of these is sent by an entry whose
/// failing call is ignored.
#[test]
fn what_hints_at_a_server_is_sent() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let private = |args: &str| {
        let args: Vec<_> = args.split_whitespace().collect();
        json!({"name": "main", "image": "registry/acme/bus:1", "args": args})
    };
    let mounting = |path: &str| json!({"name": "main", "image": "registry/acme/bus:1", "volumeMounts": [{"name": "a", "mountPath": path}]});
    let file = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"},
        "data": {"nats-server.conf": "cluster { port: 6222 }"}
    });
    for container in [
        private("-js -sd /data"),
        private("--jetstream=true --store_dir=/data"),
        private("--cluster nats://0.0.0.0:6222"),
        private("-routes=nats://bus-0.bus:6222,nats://bus-1.bus:6222"),
        private("-cluster_name c --cluster_advertise x -D"),
        mounting("/etc/nats"),
        mounting("/etc/nats/"),
        mounting("/opt/bitnami/nats/conf"),
    ] {
        for (kind, resource) in [
            ("StatefulSet", "statefulsets"),
            ("Deployment", "deployments"),
            ("DaemonSet", "daemonsets"),
        ] {
            let workload = json!({
                "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "bus"},
                "spec": {"template": {"spec": {
                    "containers": [container], "volumes": [{"name": "a", "configMap": {"name": "files"}}]
                }}}
            });
            let objects = [workload.clone(), file.clone()].map(Object::new).into();
            assert_eq!(discover(&Bundle::new(objects, None)).len(), 1, "{workload}");
            for step in STEPS {
                assert!(
                    evaluator.sends(step, resource, &workload, None),
                    "{step:?} {workload}"
                );
            }
        }
    }
    for container in [
        private("--cluster main --name x"),
        private("--jetstream --url nats://bus:4222"),
        private("-sd /data"),
        mounting("/etc/natsx"),
    ] {
        let (resource, set) = run("statefulsets", mounted(container));
        for step in STEPS {
            assert!(
                !evaluator.sends(step, resource, &set, None),
                "{step:?} {set}"
            );
        }
    }
}

/// Both sides know the same endings: none is a server by such a file, and none is sent.
#[test]
fn a_file_of_another_format_makes_no_server() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let set = |image: &str, args: &Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"},
            "spec": {"template": {"spec": {
                "containers": [{"image": image, "args": args, "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}]}],
                "volumes": [{"name": "c", "configMap": {"name": "files"}}]
            }}}
        })
    };
    for (name, is_other) in [
        ("nats.yaml", true),
        ("nats.yml", true),
        ("nats.toml", true),
        ("nats.ini", true),
        ("nats.xml", true),
        ("nats.properties", true),
        ("nats.sh", true),
        ("a=b", true),
        ("nats.json", false),
        ("nats.YAML", false),
        ("yaml", false),
        ("nats.yaml.conf", false),
    ] {
        let path = format!("/etc/c/{name}");
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files"},
            "data": {name: "cluster { port: 6222 }"}
        });
        for args in [json!(["-c", path]), json!([format!("--config={path}")])] {
            for (image, is_server) in [("custom", !is_other), ("nats", true)] {
                let set = set(image, &args);
                let objects = [set.clone(), map.clone()].map(Object::new).into();
                let found = !discover(&Bundle::new(objects, None)).is_empty();
                assert_eq!(found, is_server, "{image} {args}");
                for step in STEPS {
                    let sent = evaluator.sends(step, "statefulsets", &set, None);
                    assert_eq!(sent, is_server, "{image} {args}");
                }
            }
        }
    }
}

fn map(data: Value) -> (&'static str, Value) {
    let mut map = json!({"metadata": {"name": "x"}});
    map["data"] = data;
    ("configmaps", map)
}

fn run(resource: &'static str, pod: Value) -> (&'static str, Value) {
    let mut workload = json!({"metadata": {"name": "x"}, "spec": {"template": {"metadata": {"labels": {"app": "x"}}}}});
    workload["spec"]["template"]["spec"] = pod;
    (resource, workload)
}

fn mounted(container: Value) -> Value {
    let mut pod = json!({"volumes": [{"name": "a", "configMap": {"name": "x"}}, {"name": "b", "secret": {"secretName": "x"}}]});
    pod["containers"] = Value::Array(vec![container]);
    pod
}

/// What every cluster is full of.
fn strangers() -> Vec<(&'static str, Value)> {
    vec![
        map(json!({"ca.crt": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"})),
        (
            "configmaps",
            json!({"metadata": {"name": "leader", "annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}}),
        ),
        map(
            json!({"status": "Cluster-autoscaler status at 2026-11-24\nCluster-wide:\n  Health: Healthy (ready=3)\n"}),
        ),
        map(
            json!({"Corefile": ".:53 {\n  kubernetes cluster.local in-addr.arpa {\n  }\n  forward . /etc/resolv.conf\n}\n"}),
        ),
        map(
            json!({"nginx.conf": "events {}\nhttp { upstream a { server b:80; } server { listen 80; } }\n"}),
        ),
        map(json!({"redis.conf": "cluster-enabled yes\nappendonly yes\n"})),
        map(
            json!({"prometheus.yml": "global:\n  external_labels:\n    cluster: main\nscrape_configs: []\n"}),
        ),
        map(
            json!({"rules.yaml": "- expr: sum by (cluster) (rate(x{cluster=\"a\"}[5m]))\n  labels: {cluster: a}\n"}),
        ),
        map(
            json!({"board.json": "{\"expr\": \"x{cluster=\\\"$cluster\\\"}\", \"legendFormat\": \"{{cluster}} {{node}}\"}"}),
        ),
        map(
            json!({"rules.yaml": "- alert: A\n  annotations:\n    summary: cluster={{ $labels.cluster }}, cluster: {{ $value }}\n"}),
        ),
        map(
            json!({"kubeconfig": "clusters:\n- cluster:\n    server: https://x:6443\n  name: x\n"}),
        ),
        map(json!({"NATS_URL": "nats://nats.messaging:4222", "LOG_LEVEL": "info"})),
        map(json!({"application.properties": "nats.url=nats://nats:4222\n"})),
        (
            "configmaps",
            json!({"metadata": {"name": "x"}, "binaryData": {"app.jar": BASE64_STANDARD.encode("PK\u{3}\u{4}")}}),
        ),
        (
            "secrets",
            json!({"metadata": {"name": "x"}, "type": "Opaque", "data": {"password": "aHVudGVyMg=="}}),
        ),
        (
            "secrets",
            json!({"metadata": {"name": "nats-tls"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "eA==", "tls.key": "eA=="}}),
        ),
        (
            "secrets",
            json!({"metadata": {"name": "sh.helm.release.v1.nats.v1"}, "type": "helm.sh/release.v1", "data": {"release": "eA=="}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "ports": [{"port": 5432}]}}),
        ),
        (
            "services",
            json!({"metadata": {"name": "ext"}, "spec": {"type": "ExternalName", "externalName": "example.org"}}),
        ),
        (
            "persistentvolumeclaims",
            json!({"metadata": {"name": "data-db-0", "labels": {"app": "db"}}, "spec": {}}),
        ),
        run("deployments", json!({"containers": [{"image": "nginx:1"}]})),
        run(
            "deployments",
            mounted(
                json!({"image": "app", "args": ["--nats-url=nats://nats:4222"], "env": [{"name": "NATS_URL", "value": "nats://nats:4222"}]}),
            ),
        ),
        run(
            "deployments",
            mounted(json!({"image": "natsio/nats-box:0.14", "command": ["sleep", "infinity"]})),
        ),
        run(
            "deployments",
            json!({"containers": [{"image": "natsio/prometheus-nats-exporter:0.15", "args": ["-varz", "http://nats:8222"]}]}),
        ),
        run(
            "deployments",
            mounted(json!({"image": "envoy", "args": ["-c", "/etc/envoy/envoy.yaml"]})),
        ),
        run(
            "deployments",
            mounted(json!({"image": "app", "command": ["sh", "-c", "exec app --port 80"]})),
        ),
        run(
            "deployments",
            mounted(json!({"image": "app", "command": ["bash", "-c", "/scripts/start.sh"]})),
        ),
        run(
            "deployments",
            mounted(json!({"image": "app", "args": ["sh", "-c", "/scripts/start"]})),
        ),
        // ovnkube-control-plane, ovnkube-node, ovn-ipsec-host, whereabouts-token-watcher
        run(
            "deployments",
            mounted(
                json!({"image": "ovn", "command": ["/bin/bash", "-c", "#!/bin/bash\nset -xe\nexec /usr/bin/ovnkube --init-cluster-manager\n"]}),
            ),
        ),
        run(
            "daemonsets",
            mounted(
                json!({"image": "ovn", "command": ["/bin/bash", "-c", "#!/bin/bash\nset -xe\n. /ovnkube-lib/ovnkube-lib.sh || exit 1\nstart-ovnkube-node 4\n"]}),
            ),
        ),
        run(
            "daemonsets",
            mounted(
                json!({"image": "ovn", "command": ["/bin/bash"], "args": ["-c", "#!/bin/bash\nset -exuo pipefail\nexec ipsec\n"]}),
            ),
        ),
        run(
            "daemonsets",
            mounted(
                json!({"image": "multus", "command": ["timeout", "9", "/bin/bash", "-c", "#!/bin/bash\nexec /token-watcher\n"]}),
            ),
        ),
        run(
            "daemonsets",
            mounted(
                json!({"image": "app", "command": ["python3", "-c", "# a script\nimport app"]}),
            ),
        ),
        run(
            "statefulsets",
            mounted(
                json!({"image": "prom/prometheus", "args": ["--config.file=/etc/prometheus/prometheus.yml"]}),
            ),
        ),
        run(
            "statefulsets",
            mounted(
                json!({"image": "postgres:17", "args": ["-c", "max_connections=200", "-c", "config_file=/etc/pg/postgresql.conf"]}),
            ),
        ),
        run(
            "statefulsets",
            json!({"containers": [{"image": "app", "args": ["-c", "/etc/app.conf"]}]}),
        ),
        run(
            "daemonsets",
            mounted(json!({"image": "calico/node:v3", "command": ["/bin/calico-node"]})),
        ),
    ]
}

#[test]
fn strangers_cost_no_call() {
    for version in VERSIONS {
        let mut evaluator = Evaluator::start(version);
        for (resource, object) in strangers() {
            for step in STEPS {
                assert!(
                    !evaluator.sends(step, resource, &object, None),
                    "{step:?} {resource} {object}"
                );
                let old = json!({"metadata": {"name": "old"}});
                assert!(!evaluator.sends(step, resource, &object, Some(&old)));
            }
        }
    }
}

/// What has a file or routes, and nothing to do with NATS.
fn lookalikes() -> Vec<(&'static str, Value)> {
    let fluent = |args: Value| mounted(json!({"name": "f", "image": "fluent-bit", "args": args}));
    vec![
        (
            "services",
            json!({"metadata": {"name": "peers"}, "spec": {"clusterIP": "None", "ports": [{"port": 1000}]}}),
        ),
        run(
            "daemonsets",
            fluent(json!(["-c", "/fluent-bit/etc/fluent-bit.conf"])),
        ),
        run(
            "deployments",
            fluent(json!(["--config=/fluent-bit/etc/fluent-bit.conf"])),
        ),
        map(
            json!({"alertmanager.yml": "route:\n  receiver: a\n  routes:\n  - matchers: [x=\"y\"]\n    receiver: b\n"}),
        ),
        map(
            json!({"envoy.yaml": "route_config:\n  virtual_hosts:\n  - routes:\n    - match: {prefix: /}\n      route:\n        cluster: web\n"}),
        ),
        map(
            json!({"envoy.json": "{\"routes\": [{\"match\": {\"prefix\": \"/\"}, \"route\": {\"cluster\": \"web\"}}]}"}),
        ),
        map(
            json!({"board.json": "{\"title\": \"Routes\", \"expr\": \"x{cluster=\\\"$cluster\\\"}\", \"legendFormat\": \"cluster={{cluster}}\"}"}),
        ),
        map(
            json!({"board.json": format!("{{\"title\": \"Routes of a cluster\", \"x\": \"{}\"}}", "x".repeat(300_000))}),
        ),
    ]
}

#[test]
fn lookalikes_are_looked_at_where_that_harms_nobody() {
    for version in VERSIONS {
        let mut evaluator = Evaluator::start(version);
        for (resource, object) in lookalikes() {
            for step in STEPS {
                let sent = evaluator.sends(step, resource, &object, None);
                assert_eq!(sent, step == Step::Mutate, "{step:?} {resource} {object}");
            }
        }
    }
}

/// Which small changes make a lookalike one that is refused while nobody answers.
#[test]
fn a_word_of_nats_makes_the_difference() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let args = json!(["-c", "/etc/c/server.conf"]);
    let (resource, plain) = run(
        "deployments",
        mounted(json!({"name": "main", "image": "custom:1", "args": args})),
    );
    let (_, text) = map(json!({"server.conf": "cluster { port: 6222 }"}));
    let pod = "/spec/template/spec";
    let sources = |source: Value| json!({"name": "a", "projected": {"sources": [source]}});
    for (pointer, value) in [
        ("/metadata/name", json!("nats")),
        ("/containers/0/name", json!("nats")),
        ("/containers/0/image", json!("registry/nats-custom:1")),
        ("/containers/0/args/1", json!("/etc/nats/server.conf")),
        ("/volumes/0/configMap/name", json!("nats-config")),
        ("/volumes/1/secret/secretName", json!("my-nats")),
        (
            "/volumes/0",
            sources(json!({"configMap": {"name": "nats"}})),
        ),
        ("/volumes/0", sources(json!({"secret": {"name": "nats"}}))),
    ] {
        let mut object = plain.clone();
        let inner = if pointer.starts_with("/metadata") {
            ""
        } else {
            pod
        };
        *object
            .pointer_mut(&format!("{inner}{pointer}"))
            .expect("a field") = value;
        assert!(
            evaluator.sends(Step::Validate, resource, &object, None),
            "{object}"
        );
    }
    for (pointer, value) in [
        ("/metadata/name", json!("nats")),
        ("/data", json!({"NATS": "cluster { port: 6222 }"})),
        (
            "/data",
            json!({"a": "# of NATS", "b": "cluster { port: 6222 }"}),
        ),
        ("/data", json!({"a": "jetstream: enabled"})),
        ("/data", json!({"a": "cluster { routes: $ROUTES }"})),
    ] {
        let mut object = text.clone();
        *object.pointer_mut(pointer).expect("a field") = value;
        assert!(
            evaluator.sends(Step::Validate, "configmaps", &object, None),
            "{object}"
        );
    }
    for (resource, object) in [(resource, plain), ("configmaps", text)] {
        assert!(evaluator.sends(Step::Mutate, resource, &object, None));
        assert!(!evaluator.sends(Step::Validate, resource, &object, None));
    }
}

/// The price, as README.md says it: servers that are not refused although a policy would.
#[test]
fn what_nowhere_says_nats_is_not_refused() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let file = |name: &str, key: &str, text: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {key: text}});
    let workload = |kind: &str| {
        json!({
            "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "bus"},
            "spec": {
                "replicas": 3, "serviceName": "bus", "selector": {"matchLabels": {"app": "x"}},
                "template": {"metadata": {"labels": {"app": "x"}}, "spec": {
                    "containers": [{"name": "main", "image": "custom:1", "args": ["-c", "/etc/c/bus.conf"], "volumeMounts": [
                        {"name": "c", "mountPath": "/etc/c"}, {"name": "data", "mountPath": "/data"}]}],
                    "volumes": [
                        {"name": "c", "projected": {"sources": [{"configMap": {"name": "one"}}, {"configMap": {"name": "two"}}]}},
                        {"name": "data", "nfs": {"server": "s", "path": "/"}}]
                }}
            }
        })
    };
    let denied = |objects: Vec<Value>| -> Vec<String> {
        let bundle = Bundle::new(objects.into_iter().map(Object::new).collect(), None);
        let findings = evaluate(&bundle, &Settings::default()).findings;
        let of = |id| {
            bundle
                .object(id)
                .map(|object| format!("{} {}", object.kind(), object.name()))
        };
        let denied = findings
            .iter()
            .filter(|judged| judged.action == Action::Deny);
        let mut denied: Vec<String> = denied
            .filter_map(|judged| of(judged.finding.place.object))
            .collect();
        denied.dedup();
        denied
    };
    let deployment = workload("Deployment");
    let stored = file("one", "bus.conf", "jetstream { store_dir: /data }");
    let routes = file("two", "routes.conf", "routes: [tls://bus:6222]");
    assert_eq!(
        denied(vec![deployment.clone(), stored, routes.clone()]),
        ["Deployment bus"]
    );

    // Refused with its StatefulSet, when that is written.
    let set = workload("StatefulSet");
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bus"}, "spec": {
        "clusterIP": "10.0.0.1", "selector": {"app": "x"}, "ports": [{"port": 1}]}});
    let main = file(
        "one",
        "bus.conf",
        "cluster {\n  port: 6222\n  include routes.conf\n}\n",
    );
    assert_eq!(
        denied(vec![set.clone(), service, main, routes.clone()]),
        ["StatefulSet bus", "ConfigMap two"]
    );
    for (resource, object, is_refused) in [
        ("deployments", deployment, false),
        ("configmaps", routes, false),
        ("statefulsets", set, true),
    ] {
        assert!(
            evaluator.sends(Step::Mutate, resource, &object, None),
            "{object}"
        );
        assert_eq!(
            evaluator.sends(Step::Validate, resource, &object, None),
            is_refused,
            "{object}"
        );
    }
}

#[test]
fn what_the_controller_has_looked_at_is_sent() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let object = json!({"metadata": {"name": "x", "annotations": {"natsguard.dev/reviewed": "1"}}});
    for resource in [
        "configmaps",
        "secrets",
        "services",
        "persistentvolumeclaims",
    ] {
        for step in STEPS {
            assert!(evaluator.sends(step, resource, &object, None), "{resource}");
        }
    }
}
