//! A bundle says of a workload what admission says of it with the same objects in the cluster: there is one evaluation, and
//! what is read is what is used.

use std::collections::BTreeSet;

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::evaluate_one;
use natsguard_policies::policy::Action;
use natsguard_policies::settings::Settings;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::support::World;

/// How many bundles are compared: `NATSGUARD_BUNDLES=10000` for all that were asked for.
fn bundles() -> u32 {
    let wanted = std::env::var("NATSGUARD_BUNDLES").ok();
    wanted.map_or(500, |wanted| wanted.parse().expect("a number"))
}

const KINDS: [(&str, &str); 3] = [
    ("apps/v1", "StatefulSet"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "DaemonSet"),
];

const ROUTES: [&str; 14] = [
    "nats://nats-0.peers.messaging.svc.cluster.local:6222",
    "nats://nats-1.peers.messaging.svc.cluster.local:6222",
    "nats://nats-2.peers.messaging.svc.cluster.local:6222",
    "nats://nats-9.peers.messaging.svc.cluster.local:6222",
    "nats://nats-0.peers:6222",
    "nats://nats-1.peers.messaging:6222",
    "nats://nats-2.peers.messaging.svc:6222",
    "nats://peers:6222",
    "nats://clients.messaging.svc:4222",
    "nats://u:p@nats-0:6222",
    "nats://10.96.0.9:6222",
    "nats://nats-0.peers.messaging.svc.cluster.local",
    "nats://elsewhere.example.org:6222",
    "nats://$HOST:6222",
];

/// The containers that run the server, by command line; `{FILE}` is its configuration.
const COMMANDS: [&str; 10] = [
    r#"{"image": "nats:2.14.5", "args": ["-c", "{FILE}"]}"#,
    r#"{"image": "nats:2.14.5", "args": ["--config={FILE}", "-js", "-sd", "/data"]}"#,
    r#"{"image": "acme/bus:1", "command": ["/usr/bin/env", "A=b", "nats-server", "-c", "{FILE}"]}"#,
    r#"{"image": "acme/bus:1", "command": ["sh", "-ec", "exec nats-server -c {FILE}"]}"#,
    r#"{"image": "acme/bus:1", "command": ["tini", "--", "gosu", "nats", "nats-server"], "args": ["-c", "{FILE}"]}"#,
    r#"{"image": "acme/bus:1", "args": ["-c", "{FILE}"]}"#,
    r#"{"image": "acme/bus:1", "args": ["-js", "-sd", "/data", "--cluster", "nats://0.0.0.0:6222", "--routes", "nats://peers:6222"]}"#,
    r#"{"image": "nats:2.14.5", "args": ["-c", "$(FILE)"], "env": [{"name": "FILE", "value": "{FILE}"}]}"#,
    r#"{"image": "postgres:16", "args": ["-c", "{FILE}.yaml"]}"#,
    r#"{"image": "natsio/nats-box", "args": ["-c", "{FILE}"]}"#,
];

const STORES: [&str; 9] = [
    r#"{"name": "store", "emptyDir": {}}"#,
    r#"{"name": "store", "nfs": {"server": "10.0.0.1", "path": "/x"}}"#,
    r#"{"name": "store", "hostPath": {"path": "/x"}}"#,
    r#"{"name": "store", "persistentVolumeClaim": {"claimName": "one"}}"#,
    r#"{"name": "store", "persistentVolumeClaim": {"claimName": "bound"}}"#,
    r#""disks""#,
    r#""shared""#,
    r#""manual""#,
    r#""""#,
];

const SERVICES: [&str; 4] = [
    r#"{"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "nats"}}"#,
    r#"{"clusterIP": "None", "selector": {"app": "nats"}}"#,
    r#"{"clusterIP": "10.96.0.9", "selector": {"app": "nats"}}"#,
    r#"{"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "other"}}"#,
];

const CONFS: [&str; 6] = [
    "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 5Gi }\n",
    "jetstream { store_dir: $STORE, max_mem: 1Gi, max_file: 5Gi }\n",
    "jetstream { store_dir: /data, max_file: 50Gi }\n",
    "jetstream: enabled\n",
    "include more.conf\n",
    "jetstream {\n",
];

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn object(kind: (&str, &str), name: &str, rest: &Value) -> Value {
    let is_outside = matches!(kind.1, "StorageClass" | "PersistentVolume" | "Node");
    let mut object = json!({"apiVersion": kind.0, "kind": kind.1, "metadata": {"name": name}});
    if !is_outside {
        object["metadata"]["namespace"] = json!("messaging");
    }
    for (key, value) in rest.as_object().unwrap() {
        object[key] = value.clone();
    }
    object
}

/// What any of the workloads may refer to.
fn surroundings(service: &str, nodes: usize) -> Vec<Value> {
    let claim = |class: &str, volume: &str| {
        json!({"spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": class, "volumeName": volume,
            "resources": {"requests": {"storage": "10Gi"}}
        }})
    };
    let class = |provisioner: &str| json!({"provisioner": provisioner});
    let on_nfs = |class: &str, claim: &Value| {
        json!({"spec": {
            "storageClassName": class, "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"],
            "claimRef": claim, "nfs": {"server": "10.0.0.1", "path": "/x"}
        }})
    };
    let bound = json!({"namespace": "messaging", "name": "bound"});
    let mut objects = vec![
        object(
            ("v1", "Service"),
            "peers",
            &json!({"spec": parsed(service)}),
        ),
        object(
            ("v1", "Service"),
            "clients",
            &json!({"spec": {"clusterIP": "10.96.0.7", "selector": {"app": "nats"}}}),
        ),
        object(
            ("v1", "ConfigMap"),
            "more",
            &json!({"data": {"more.conf": "jetstream { store_dir: /data }\n"}}),
        ),
        object(("v1", "PersistentVolumeClaim"), "one", &claim("disks", "")),
        object(
            ("v1", "PersistentVolumeClaim"),
            "bound",
            &claim("", "pv-bound"),
        ),
        object(("v1", "PersistentVolume"), "pv-bound", &on_nfs("", &bound)),
        object(
            ("v1", "PersistentVolume"),
            "pv-manual",
            &on_nfs("manual", &Value::Null),
        ),
        object(
            ("storage.k8s.io/v1", "StorageClass"),
            "disks",
            &class("ebs.csi.aws.com"),
        ),
        object(
            ("storage.k8s.io/v1", "StorageClass"),
            "shared",
            &class("nfs.csi.k8s.io"),
        ),
    ];
    objects
        .extend((0..nodes).map(|index| object(("v1", "Node"), &format!("n{index}"), &json!({}))));
    objects
}

prop_compose! {
    fn deployment()(
        kind in select(&KINDS[..]),
        routes in subsequence(&ROUTES[..], 0..5),
        command in select(&COMMANDS[..]),
        store in select(&STORES[..]),
        service in select(&SERVICES[..]),
        conf in select(&CONFS[..]),
        replicas in 0..5_u32,
        nodes in 0..4_usize,
        decoys in prop_oneof![9 => Just(0_usize), 1 => Just(70)],
        sidecar in any::<bool>(),
        affinity in any::<bool>(),
        named in any::<bool>(),
    ) -> (Vec<Value>, Value) {
        let name = if named { "server_name: $NAME\n" } else { "" };
        let listed: String = routes.iter().map(|route| format!("    \"{route}\"\n")).collect();
        let text = format!("{name}cluster {{\n  name: c\n  port: 6222\n  routes = [\n{listed}  ]\n}}\n{conf}");
        let mut container = parsed(&command.replace("{FILE}", "/etc/bus/bus.conf"));
        container["name"] = json!("server");
        let env = container["env"].as_array().cloned().unwrap_or_default();
        container["env"] = env.into_iter().chain([
            json!({"name": "STORE", "value": "/data"}), json!({"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}})
        ]).collect();
        let mut mounts = vec![
            json!({"name": "config", "mountPath": "/etc/bus"}), json!({"name": "store", "mountPath": "/data"})
        ];
        let mut volumes = vec![json!({"name": "config", "projected": {"sources": [
            {"configMap": {"name": "bus"}}, {"configMap": {"name": "more"}}
        ]}})];
        for index in 0..decoys {
            mounts.push(json!({"name": format!("d{index}"), "mountPath": format!("/decoy/{index}")}));
            volumes.push(json!({"name": format!("d{index}"), "configMap": {"name": format!("a{index}"), "optional": true}}));
        }
        container["volumeMounts"] = json!(mounts);
        let store = parsed(store);
        let mut templates = json!([]);
        match store.as_str() {
            Some(class) if kind.1 == "StatefulSet" => templates = json!([{
                "metadata": {"name": "store"},
                "spec": {"storageClassName": class, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
            }]),
            Some(_) => volumes.push(json!({"name": "store", "emptyDir": {}})),
            None => volumes.push(store),
        }
        let mut pod = json!({"volumes": volumes});
        if sidecar {
            container["restartPolicy"] = json!("Always");
            pod["initContainers"] = json!([container]);
            pod["containers"] = json!([{"name": "pause", "image": "pause:3"}]);
        } else {
            pod["containers"] = json!([{"name": "pause", "image": "pause:3"}, container]);
        }
        if affinity {
            pod["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"labelSelector": {"matchLabels": {"app": "nats"}}, "topologyKey": "kubernetes.io/hostname"}
            ]}});
        }
        let mut spec = json!({
            "selector": {"matchLabels": {"app": "nats"}},
            "template": {"metadata": {"labels": {"app": "nats"}}, "spec": pod}
        });
        if kind.1 != "DaemonSet" {
            spec["replicas"] = json!(replicas);
        }
        if kind.1 == "StatefulSet" {
            spec["serviceName"] = json!("peers");
            spec["volumeClaimTemplates"] = templates;
        }
        let mut objects = surroundings(service, nodes);
        objects.push(object(("v1", "ConfigMap"), "bus", &json!({"data": {"bus.conf": text}})));
        (objects, object(kind, "nats", &json!({"spec": spec})))
    }
}

/// What is denied, what is repaired in the workload, and what is said besides.
type Verdict = [BTreeSet<String>; 3];

fn of_bundle(objects: &[Value], workload: &Value, settings: &Settings) -> Verdict {
    let all = objects.iter().chain([workload]).cloned().map(Object::new);
    let bundle = Bundle::new(all.collect(), None);
    let own = objects.len();
    let report = evaluate_one(&bundle, settings, own);
    let mut verdict = Verdict::default();
    for judged in &report.findings {
        let place = match judged.action {
            Action::Deny => 0,
            Action::Fix if judged.finding.place.object == own => 1,
            _ => 2,
        };
        verdict[place].insert(judged.finding.policy.to_owned());
    }
    verdict
}

fn of_admission(objects: Vec<Value>, workload: &Value, settings: &Settings) -> Verdict {
    let world = World {
        settings: settings.clone(),
        ..World::default()
    };
    world.state.lock().unwrap().objects = objects;
    let written = world.try_apply(workload, None);
    let said = |key: &str| -> BTreeSet<String> {
        let lists = written.audit.iter().filter_map(|audit| audit[key].as_str());
        lists
            .flat_map(|list| list.split(','))
            .map(str::to_owned)
            .collect()
    };
    ["denied", "repaired", "warned"].map(said)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: bundles(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn check_and_admission_give_the_same_verdict((objects, workload) in deployment()) {
        let settings = Settings { found_domain: Some("cluster.local".to_owned()), ..Settings::default() };
        let [denied, repaired, said] = of_bundle(&objects, &workload, &settings);
        let [refused, patched, warned] = of_admission(objects, &workload, &settings);
        prop_assert_eq!(&denied, &refused, "denied");
        // What is refused is not repaired, and what a repair takes away is no longer said.
        if refused.is_empty() {
            prop_assert_eq!(&repaired, &patched, "repaired");
        }
        let left: BTreeSet<_> = said.difference(&repaired).cloned().collect();
        let told: BTreeSet<_> = warned.difference(&patched).cloned().collect();
        let left: BTreeSet<_> = left.difference(&denied).cloned().collect();
        let told: BTreeSet<_> = told.difference(&denied).cloned().collect();
        prop_assert_eq!(left, told, "warned");
    }
}
