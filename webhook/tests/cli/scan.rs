//! `natsguard scan`, against an apiserver that only reads.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::apiserver::{Apiserver, kubeconfig};
use crate::secrets;
use crate::support::{Folder, Process, Run, manifests, run};

/// The objects of one of the project's own manifests.
fn objects(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(manifests().join(name)).unwrap();
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    for object in &mut objects {
        let metadata = object["metadata"].as_object_mut().unwrap();
        metadata.entry("namespace").or_insert(json!("default"));
    }
    objects
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
    assert_eq!(
        run.out,
        r#"NAMESPACE   WORKLOAD           ACTION   POLICY                FIELD                                                               DETAIL
messaging   statefulset/nats   deny     network-filesystem    spec.volumeClaimTemplates[0]                                        volume data of StatefulSet messaging/nats: NFS: StorageClass shared, provisioner nfs.csi.k8s.io
messaging   statefulset/nats   fix      service-route         configmap/nats-config: data["nats.conf"].cluster.routes[0]          nats://nats:6222 leads to any pod of StatefulSet messaging/nats; the DNS domain is not known, so the names of pods end in .svc
messaging   statefulset/nats   fix      unresolvable-peers    service/nats: spec.publishNotReadyAddresses                         Service nats of StatefulSet messaging/nats
messaging   statefulset/nats   fix      co-located-replicas   spec.template.spec.affinity.podAntiAffinity                         StatefulSet messaging/nats has 3 replicas
messaging   statefulset/nats   warn     unbounded-store       configmap/nats-config: data["nats.conf"].jetstream.max_file_store   max_file_store of StatefulSet messaging/nats is 53687091200 bytes, the claim 10737418240

run natsguard explain <ID> for more: unbounded-store, service-route, unresolvable-peers, network-filesystem, co-located-replicas
1 denied, 3 to fix, 1 warning in 1 workload
"#
    );
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
            "detail": "nats://nats:6222 leads to any pod of StatefulSet messaging/nats; the DNS domain is not known, so the names of pods end in .svc",
            "remedy": "name each pod, as in nats://nats-0.nats.messaging.svc:6222",
            "file": "statefulset/messaging/nats",
            "line": 1,
            "column": 1
        })
    );
}

#[test]
fn the_exit_status_is_as_of_check() {
    let server = Apiserver::of(objects("fragile.yaml"));
    assert_eq!(scan(&server, &[]).status, 1);
    assert_eq!(scan(&server, &["--fail-on", "deny"]).status, 0);
    let server = Apiserver::of(objects("sound.yaml"));
    let run = scan(&server, &["--fail-on", "warn"]);
    assert_eq!(
        (run.status, run.out.as_str()),
        (0, "no findings in 1 workload\n")
    );
}

#[test]
fn rights_in_one_namespace_are_enough_for_it() {
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
    let run = scan(&server, &["--fail-on", "deny", "--namespace", "messaging"]);
    assert_eq!(run.status, 0);
    assert!(run.out.ends_with("in 1 workload\n"), "{}", run.out);
    assert_eq!(
        run.err,
        "natsguard: 3 facts could not be read: nodes, persistentvolumes, storageclasses; policies that need them stay silent\n"
    );
    let workloads = server
        .asked()
        .into_iter()
        .filter(|path| path.starts_with("/apis/apps/"));
    assert!(workloads.clone().count() == 5, "{:?}", server.asked());
    for path in workloads {
        assert!(
            path.starts_with("/apis/apps/v1/namespaces/messaging/"),
            "{path}"
        );
    }
}

#[test]
fn a_right_that_is_missing_is_named() {
    let forbidden = &["statefulsets@", "daemonsets"];
    let server = Apiserver::forbidding(objects("partitioned.yaml"), forbidden);
    let run = scan(&server, &["-o", "json"]);
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        r#"natsguard: may not list statefulsets in all namespaces: statefulsets is forbidden: User "jane" cannot list resource "statefulsets" in API group "apps" at the cluster scope; ask for the verb list on statefulsets (API group apps), or limit the scan with --namespace NAMESPACE
natsguard: may not list daemonsets in all namespaces: daemonsets is forbidden: User "jane" cannot list resource "daemonsets" in API group "apps" at the cluster scope; ask for the verb list on daemonsets (API group apps), or limit the scan with --namespace NAMESPACE
"#
    );
    let run = scan(&server, &["-n", "messaging"]);
    assert_eq!((run.status, run.out.as_str()), (2, ""));
    assert_eq!(
        run.err,
        r#"natsguard: may not list daemonsets in namespace messaging: daemonsets is forbidden: User "jane" cannot list resource "daemonsets" in API group "apps" in the namespace "messaging"; ask for the verb list on daemonsets (API group apps) there
"#
    );
}

#[test]
fn what_could_not_be_read_is_said_and_not_guessed() {
    let server = Apiserver::forbidding(objects("secret.yaml"), &["secrets", "nodes"]);
    let run = scan(&server, &["--fail-on", "deny"]);
    assert_eq!(run.status, 0);
    assert!(
        run.out.contains("\n1 to fix, ") && run.out.contains("\nnot checked: "),
        "{}",
        run.out
    );
    assert!(!run.out.contains("service-route"), "{}", run.out);
    assert_eq!(
        run.err,
        "natsguard: 2 facts could not be read: nodes, secrets; policies that need them stay silent\n"
    );
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
        "natsguard: no NATS workload runs in the cluster (workloads looked at: 1); custom resources but Argo's Rollouts are not looked at\n"
    );
    let run = scan(&server, &["-n", "shop", "-o", "json"]);
    assert_eq!(run.status, 0);
    assert_eq!(
        serde_json::from_str::<Value>(&run.out).unwrap(),
        json!({"version": 1, "findings": [], "unchecked": [], "problems": [], "summary": {"deny": 0, "fix": 0, "warn": 0, "objects": 0}})
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
    objects.extend(self::objects("secret.yaml"));
    let server = Apiserver::of(objects);
    let run = scan(&server, &["--fix-plan"]);
    assert_eq!(run.err, "");
    assert_eq!(
        run.out,
        r#"configmap/messaging/nats-config: repaired when it is touched: service-route
--- configmap/messaging/nats-config
+++ configmap/messaging/nats-config
@@ -19 +19,3 @@
-        nats://nats:6222
+        nats://nats-0.nats.messaging.svc:6222
+        nats://nats-1.nats.messaging.svc:6222
+        nats://nats-2.nats.messaging.svc:6222

service/messaging/nats: repaired when it is touched: unresolvable-peers
--- service/messaging/nats
+++ service/messaging/nats
@@ -12,0 +13 @@
+  publishNotReadyAddresses: true

statefulset/messaging/nats: repaired when it is next changed: co-located-replicas

service/owned/nats: repaired when it is touched: unresolvable-peers
--- service/owned/nats
+++ service/owned/nats
@@ -12,0 +13 @@
+  publishNotReadyAddresses: true

configmap/owned/nats-config: left to its owner, EventBus default: service-route

statefulset/owned/nats: repaired when it is next changed: co-located-replicas

secret/shop/orders: repaired when it is touched, where natsguard looks at Secrets: service-route
what changes is not shown

service/shop/orders-headless: repaired when it is touched: unresolvable-peers
--- service/shop/orders-headless
+++ service/shop/orders-headless
@@ -8 +8 @@
-  publishNotReadyAddresses: false
+  publishNotReadyAddresses: true

statefulset/shop/orders: repaired when it is next changed: co-located-replicas

5 to touch, 3 to repair when next changed, 1 left to owners; findings without a repair: 5; nothing was written
where natsguard runs, this has one repaired now: kubectl --namespace messaging annotate configmap nats-config natsguard.dev/reviewed="$(date)" --overwrite
"#
    );
    assert_eq!(run.status, 0);
}

#[test]
fn nobody_is_told_to_touch_what_no_touch_repairs() {
    let mut objects = objects("fragile.yaml");
    for object in &mut objects {
        object["metadata"]["ownerReferences"] =
            json!([{"kind": "EventBus", "name": "default", "controller": true}]);
    }
    let server = Apiserver::of(objects);
    let run = scan(&server, &["--fix-plan"]);
    let end = "\n\n0 to touch, 0 to repair when next changed, 3 left to owners; findings without a repair: 1; nothing was written\n";
    assert!(run.out.ends_with(end), "{}", run.out);
}

#[test]
fn the_plan_says_what_can_not_be_repaired_and_why() {
    let mut objects = objects("fragile.yaml");
    for object in &mut objects {
        if object["kind"] == "ConfigMap" {
            object["immutable"] = json!(true);
        }
    }
    let server = Apiserver::of(objects);
    let run = scan(&server, &["--fix-plan"]);
    assert_eq!(
        run.out,
        r#"service/messaging/nats: repaired when it is touched: unresolvable-peers
--- service/messaging/nats
+++ service/messaging/nats
@@ -12,0 +13 @@
+  publishNotReadyAddresses: true

statefulset/messaging/nats: repaired when it is next changed: co-located-replicas

configmap/messaging/nats-config: can't be repaired: service-route
ConfigMap nats-config is immutable: correct its source and make a new one

1 to touch, 1 to repair when next changed, 0 left to owners; findings without a repair: 2; nothing was written
where natsguard runs, this has one repaired now: kubectl --namespace messaging annotate service nats natsguard.dev/reviewed="$(date)" --overwrite
"#
    );
    assert_eq!((run.status, run.err.as_str()), (0, ""));
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
    assert_eq!(
        result.err,
        "natsguard: can't use the kubeconfig: failed to load current context: staging; name one with --kubeconfig, or a context of it with --context\n"
    );
    let result = run(&["scan", "--kubeconfig", "nowhere"]);
    assert_eq!((result.status, result.out.as_str()), (2, ""));
    assert_eq!(
        result.err,
        "natsguard: can't use the kubeconfig: failed to read kubeconfig from '\"nowhere\"': No such file or directory (os error 2); name one with --kubeconfig, or a context of it with --context\n"
    );
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
    let mut scan = Process::start(
        Command::new(env!("CARGO_BIN_EXE_natsguard"))
            .args(["scan", "--kubeconfig", &server.kubeconfig])
            .stdout(Stdio::piped()),
    );
    let began = Instant::now();
    while server.asked().is_empty() {
        assert!(began.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    // Nobody handles this one or Ctrl-C's; but a shell has its jobs in the background ignore that.
    scan.signal("TERM");
    assert_eq!(scan.end(), (None, String::new()));
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// A proxy that leads connections where they ask to be led. Its address, and where that was.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let told = Arc::clone(&asked);
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let told = Arc::clone(&told);
            std::thread::spawn(move || lead(near.unwrap(), &told));
        }
    });
    (address, asked)
}

fn lead(mut near: TcpStream, told: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        near.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let to = head.split(' ').nth(1).unwrap();
    told.lock().unwrap().push(to.to_owned());
    let mut far = TcpStream::connect(to).unwrap();
    near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from_far, mut to_near) = (far.try_clone().unwrap(), near.try_clone().unwrap());
    std::thread::spawn(move || io::copy(&mut from_far, &mut to_near));
    let _ = io::copy(&mut near, &mut far);
}

#[test]
fn the_kubeconfigs_proxy_is_gone_through_and_the_environments_only_where_it_is_meant() {
    let server = Apiserver::of(objects("sound.yaml"));
    let plain = std::fs::read_to_string(&server.kubeconfig).unwrap();
    let server_address = plain
        .split("http://")
        .nth(1)
        .unwrap()
        .split('\'')
        .next()
        .unwrap();
    let (address, asked) = proxy();
    let folder = Folder::new();
    let proxied = plain.replacen(
        &format!("server: 'http://{server_address}'"),
        &format!("server: 'http://{server_address}', proxy-url: 'http://{address}'"),
        1,
    );
    let path = folder.write("config", proxied);
    let run = |path: &str, variables: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_natsguard"))
            .args(["scan", "--kubeconfig", path])
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let fine = (Some(0), String::new());
    assert_eq!(run(&path, &[]), fine);
    let asked = asked.lock().unwrap().clone();
    assert!(
        !asked.is_empty() && asked.iter().all(|to| to == server_address),
        "{asked:?}"
    );
    // Nothing listens there.
    let nowhere = ("HTTPS_PROXY", "http://127.0.0.1:1");
    assert_eq!(
        run(&server.kubeconfig, &[nowhere, ("NO_PROXY", "127.0.0.1")]),
        fine
    );
    // It is for https, and this apiserver is not.
    assert_eq!(run(&server.kubeconfig, &[nowhere]), fine);
}

/// A server on NFS of any kind, in a namespace of its own.
fn on_nfs(version: &str, kind: &str) -> Value {
    let pod = json!({
        "containers": [{"name": "nats", "image": "nats:2.14.5", "args": ["-js", "-sd", "/data"],
            "volumeMounts": [{"name": "v", "mountPath": "/data"}]}],
        "volumes": [{"name": "v", "nfs": {"server": "a", "path": "/"}}]
    });
    let spec = match kind {
        "Pod" => pod,
        "CronJob" => json!({"jobTemplate": {"spec": {"template": {"spec": pod}}}}),
        _ => json!({"template": {"spec": pod}}),
    };
    json!({"apiVersion": version, "kind": kind, "metadata": {"name": "bus", "namespace": kind.to_lowercase()}, "spec": spec})
}

#[test]
fn every_kind_that_runs_pods_is_looked_at() {
    let kinds = [
        ("apps.openshift.io/v1", "DeploymentConfig"),
        ("apps/v1", "DaemonSet"),
        ("apps/v1", "ReplicaSet"),
        ("argoproj.io/v1alpha1", "Rollout"),
        ("batch/v1", "CronJob"),
        ("batch/v1", "Job"),
        ("v1", "Pod"),
        ("v1", "ReplicationController"),
    ];
    let mut objects: Vec<Value> = kinds.map(|(version, kind)| on_nfs(version, kind)).into();
    // Another workload's.
    let mut made = on_nfs("v1", "Pod");
    made["metadata"]["name"] = json!("bus-x");
    made["metadata"]["ownerReferences"] =
        json!([{"kind": "ReplicaSet", "name": "bus", "controller": true}]);
    objects.push(made);
    let server = Apiserver::of(objects.clone());
    let found = |run: &Run| -> Vec<String> {
        let report: Value = serde_json::from_str(&run.out).unwrap();
        let rows = report["findings"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["policy"] == "network-filesystem");
        rows.map(|row| row["file"].as_str().unwrap().to_owned())
            .collect()
    };
    let run = scan(&server, &["-o", "json"]);
    let mut expected: Vec<String> = kinds
        .iter()
        .map(|(_, kind)| kind.to_lowercase())
        .map(|kind| format!("{kind}/{kind}/bus"))
        .collect();
    expected.sort();
    assert_eq!(found(&run), expected);
    // What may not be listed is left out and said.
    let server = Apiserver::forbidding(objects, &["pods", "jobs"]);
    let run = scan(&server, &["-o", "json"]);
    expected.retain(|file| !file.starts_with("pod/") && !file.starts_with("job/"));
    assert_eq!((run.status, found(&run)), (1, expected));
    let notes: Vec<&str> = run
        .err
        .lines()
        .filter(|line| line.contains("may not list"))
        .collect();
    assert_eq!(
        notes,
        [
            r#"natsguard: may not list jobs in all namespaces: jobs is forbidden: User "jane" cannot list resource "jobs" in API group "batch" at the cluster scope; ask for the verb list on jobs (API group batch), or limit the scan with --namespace NAMESPACE"#,
            r#"natsguard: may not list pods in all namespaces: pods is forbidden: User "jane" cannot list resource "pods" in API group "" at the cluster scope; ask for the verb list on pods (API group ""), or limit the scan with --namespace NAMESPACE"#,
        ]
    );
}
