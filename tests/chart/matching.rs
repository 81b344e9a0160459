//! What the matchConditions let through is a superset of what the policies act on, and not much more.

use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use natsguard_policies::bundle::{Bundle, Object, ObjectId};
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
            // A governing Service may have any name and any port. Where a call that fails refuses, only those go that look
            // like NATS.
            if resource == "services" && step == Step::Validate && !looks_like_nats(&object.value) {
                continue;
            }
            if resource == "services" && !repaired && !looks_like_nats(&object.value) {
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
fn looks_like_nats(service: &Value) -> bool {
    let ports = service["spec"]["ports"].as_array();
    let selector = service["spec"]["selector"].as_object();
    service["metadata"]["name"]
        .as_str()
        .is_some_and(|name| name.contains("nats"))
        || ports.is_some_and(|ports| {
            ports.iter().any(|port| {
                [4222, 6222, 7222, 7422, 8222]
                    .map(Value::from)
                    .contains(&port["port"])
            })
        })
        || selector.is_some_and(|selector| {
            selector
                .values()
                .any(|value| value.as_str().is_some_and(|value| value.contains("nats")))
        })
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
                let mut workload = json!({
                    "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "nats"},
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

/// What every cluster is full of.
fn strangers() -> Vec<(&'static str, Value)> {
    let map = |data: Value| {
        (
            "configmaps",
            json!({"metadata": {"name": "x"}, "data": data}),
        )
    };
    let run = |resource, pod: Value| {
        let template = json!({"metadata": {"labels": {"app": "x"}}, "spec": pod});
        (
            resource,
            json!({"metadata": {"name": "x"}, "spec": {"template": template}}),
        )
    };
    let mounted = |container: Value| {
        json!({"containers": [container], "volumes": [
            {"name": "a", "configMap": {"name": "x"}}, {"name": "b", "secret": {"secretName": "x"}}]})
    };
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

#[test]
fn a_service_that_hides_its_pods_is_looked_at_where_that_harms_nobody() {
    let mut evaluator = Evaluator::start(VERSIONS[0]);
    let service = json!({"metadata": {"name": "peers"}, "spec": {"clusterIP": "None", "ports": [{"port": 1000}]}});
    assert!(evaluator.sends(Step::Mutate, "services", &service, None));
    assert!(!evaluator.sends(Step::Validate, "services", &service, None));
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
