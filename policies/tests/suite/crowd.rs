//! Namespaces and objects that the apiserver accepts and nobody means well with: each is judged in good time.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::{evaluate, evaluate_one, repair, unused_files};
use natsguard_policies::policy::Action;
use natsguard_policies::workload::may_run_server;
use serde_json::{Value, json};

use super::support::{lines, settings};

/// Debug builds on a busy machine are given this much. Each of these took a minute or more once, or all memory.
const LIMIT: Duration = Duration::from_secs(15);

fn set(name: &str, map: &str, replicas: u32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": name},
        "spec": {"replicas": replicas, "serviceName": "nats", "template": {
            "metadata": {"labels": {"app": "nats"}},
            "spec": {
                "containers": [{
                    "name": "nats", "image": "nats", "args": ["-c", "/etc/nats/nats.conf"],
                    "volumeMounts": [{"name": "c", "mountPath": "/etc/nats"}]
                }],
                "volumes": [{"name": "c", "configMap": {"name": map}}]
            }
        }}
    })
}

fn sets(count: usize) -> Vec<Value> {
    (0..count)
        .map(|index| set(&format!("nats{index}"), "nats", 3))
        .collect()
}

fn service(name: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"clusterIP": address, "publishNotReadyAddresses": true, "selector": {"app": "nats"}}
    })
}

fn map(files: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nats"}, "data": files})
}

fn routes(count: usize, host: impl Fn(usize) -> String) -> Value {
    let routes: String = (0..count)
        .map(|index| format!("nats://{}:6222\n", host(index)))
        .collect();
    json!({"nats.conf": format!("cluster {{ port: 6222, routes: [\n{routes}] }}")})
}

fn text(bytes: usize) -> String {
    let line = |index| format!("key{index}: {index}\n");
    (0..bytes / 16).map(line).collect()
}

#[track_caller]
fn judge(mut objects: Vec<Value>, others: impl IntoIterator<Item = Value>) -> usize {
    objects.extend(others);
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let start = Instant::now();
    let repaired = repair(&bundle, &settings());
    let unused = unused_files(&bundle).len();
    let spent = start.elapsed();
    assert!(spent < LIMIT, "{spent:?}");
    assert_eq!(unused, 0);
    let report = repaired.report;
    report.findings.len() + report.unchecked.len() + repaired.mended.len()
}

#[test]
fn many_routes_to_a_service_before_many_pods() {
    let nats = service("nats", "None");
    let files = routes(2000, |index| format!("user{index}@nats"));
    let two = vec![set("a", "nats", 1000), set("b", "nats", 1000)];
    assert!(judge(two, [nats, map(&files)]) > 0);
}

#[test]
fn many_workloads_that_share_many_routes() {
    let files = routes(4000, |index| format!("gone{index}"));
    assert!(judge(sets(300), [service("nats", "None"), map(&files)]) > 4000);
}

#[test]
fn many_workloads_that_share_a_large_file() {
    let files = json!({"nats.conf": format!("cluster {{ port: 6222 }}\n{}", text(500_000))});
    assert!(judge(sets(500), [map(&files)]) > 0);
    let files = json!({"nats.conf": "cluster { port: 6222 }\ninclude a\n", "a": text(500_000)});
    assert!(judge(sets(500), [map(&files)]) > 0);
}

#[test]
fn a_file_that_includes_a_large_one_again_and_again() {
    let files = json!({"nats.conf": "include a\n".repeat(1000), "a": text(500_000)});
    assert!(judge(sets(1), [map(&files)]) > 0);
}

#[test]
fn many_addresses_and_many_services() {
    let files = routes(4000, |index| {
        format!("10.0.{}.{}", index / 250, index % 250)
    });
    let services = (0..5000).map(|index| {
        service(
            &format!("s{index}"),
            &format!("10.1.{}.{}", index / 250, index % 250),
        )
    });
    let others = services.chain([service("nats", "None"), map(&files)]);
    assert!(judge(sets(1), others) > 0);
}

#[test]
fn many_containers_that_pass_a_file_which_is_none() {
    let pods = |count: usize, path: &dyn Fn(usize) -> String, volumes: Value| {
        let containers: Vec<Value> = (0..count)
            .map(|index| {
                json!({
                    "image": "x", "args": ["-c", path(index)],
                    "volumeMounts": [{"name": "c", "mountPath": "/c"}]
                })
            })
            .collect();
        let mut set = set("nats", "nats", 1);
        set["spec"]["template"]["spec"] = json!({"containers": containers, "volumes": volumes});
        vec![set]
    };
    let volume = json!([{"name": "c", "configMap": {"name": "nats"}}]);
    let files = json!({"f": text(500_000)});
    let one = pods(3000, &|_| "/c/f".to_owned(), volume);
    assert_eq!(judge(one, [map(&files)]), 0);
    let sources = vec![json!({"configMap": {"name": "nats"}}); 6000];
    let volume = json!([{"name": "c", "projected": {"sources": sources}}]);
    let each = pods(3000, &|index| format!("/c/f{index}"), volume);
    // One of them is not looked for, and so may be a server.
    assert_eq!(judge(each, [map(&json!({"f": "port: 4222"}))]), 1);
}

/// A ConfigMap with one encoded file.
fn encoded(name: &str, key: &str, text: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "binaryData": {key: STANDARD.encode(text)}
    })
}

fn volumes(mut set: Value, volumes: &[(&str, Value)]) -> Value {
    let pod = &mut set["spec"]["template"]["spec"];
    for (path, volume) in volumes {
        let name = path.replace('/', "");
        let mount = json!({"name": name, "mountPath": path});
        let mounts = pod["containers"][0]["volumeMounts"].as_array_mut().unwrap();
        mounts.push(mount);
        let mut volume = volume.clone();
        volume["name"] = json!(name);
        pod["volumes"].as_array_mut().unwrap().push(volume);
    }
    set
}

#[test]
fn a_file_of_nothing_but_includes_of_a_large_encoded_one() {
    let files = json!({"nats.conf": "include b/a\n".repeat(87_000)});
    let others = [map(&files), encoded("b", "a", &text(1_000_000))];
    let b = json!({"configMap": {"name": "b"}});
    let set = volumes(set("nats", "nats", 3), &[("/etc/nats/b", b)]);
    assert!(judge(vec![set], others) > 0);
}

#[test]
fn many_containers_that_pass_a_large_encoded_file() {
    let container = json!({
        "image": "x", "args": ["-c", "/c/f"], "volumeMounts": [{"name": "c", "mountPath": "/c"}]
    });
    let comment = format!("#{}\n", "x".repeat(1_000_000));
    let mut set = set("nats", "nats", 1);
    set["spec"]["template"]["spec"] = json!({
        "containers": vec![container; 5000], "volumes": [{"name": "c", "configMap": {"name": "b"}}]
    });
    assert_eq!(judge(vec![set], [encoded("b", "f", &comment)]), 0);
}

#[test]
fn many_includes_through_many_items() {
    let files = json!({"nats.conf": "include b/a\n".repeat(87_000)});
    let items: Vec<Value> = (0..40_000)
        .map(|index| json!({"key": "a", "path": format!("f{index}")}))
        .chain([json!({"key": "a", "path": "a"})])
        .collect();
    let b = json!({"configMap": {"name": "b", "items": items}});
    let others = [map(&files), encoded("b", "a", "port: 4222")];
    let set = volumes(set("nats", "nats", 3), &[("/etc/nats/b", b)]);
    assert!(judge(vec![set], others) > 0);
}

#[test]
fn many_routes_to_a_service_under_a_certificate_of_many_names() {
    let host = |pod| format!("nats-{pod}.nats.default.svc.cluster.local");
    let names = (0..240_000).map(|_| "a".to_owned());
    let names: Vec<String> = names.chain((0..999).map(host)).collect();
    let certificate = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": {"name": "nats"},
        "spec": {"secretName": "tls", "dnsNames": names}
    });
    let routes: String = (0..4096)
        .map(|user| format!("nats://user{user}@nats:6222\n"))
        .collect();
    let conf = format!(
        "cluster {{ port: 6222, tls {{ cert_file: /tls/tls.crt }}, routes: [\n{routes}] }}"
    );
    let tls = json!({"secret": {"secretName": "tls"}});
    let set = volumes(set("nats", "nats", 1000), &[("/tls", tls)]);
    let others = [
        map(&json!({"nats.conf": conf})),
        service("nats", "None"),
        certificate,
    ];
    assert!(judge(vec![set], others) > 0);
}

/// Sets of one namespace, each with a main file of its own that includes one they share.
fn includers(namespace: &str, count: usize, shared: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = (0..count)
        .flat_map(|index| {
            let name = format!("nats{index}");
            let mut map = map(&json!({
                "nats.conf": "include s/accounts.conf\ncluster { port: 6222, routes: [nats://nats:6222] }"
            }));
            map["metadata"]["name"] = json!(name);
            let shared = json!({"configMap": {"name": "shared"}});
            let mut set = volumes(set(&name, &name, 3), &[("/etc/nats/s", shared)]);
            // Names its file and no more.
            set["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry/messaging");
            [set, map]
        })
        .collect();
    let mut file = map(&json!({"accounts.conf": shared}));
    file["metadata"]["name"] = json!("shared");
    objects.extend([file, service("nats", "None")]);
    for object in &mut objects {
        object["metadata"]["namespace"] = json!(namespace);
    }
    objects
}

fn details(objects: Vec<Value>, policy: &str) -> Vec<String> {
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let findings = evaluate(&bundle, &settings()).findings;
    let found = findings
        .iter()
        .filter(|judged| judged.finding.policy == policy);
    found
        .map(|judged| format!("{}: {}", judged.action, judged.finding.detail))
        .collect()
}

#[test]
fn what_a_namespace_reads_too_often_is_named_and_blinds_no_other() {
    let mut objects = includers("loud", 5, &text(600_000));
    objects.extend(includers("quiet", 3, &text(300_000)));
    assert_eq!(
        details(objects, "opaque-routes"),
        ["warn: StatefulSet loud/nats4: /etc/nats/s/accounts.conf would have to be read once more"]
    );
}

#[test]
fn a_crowd_behind_one_service_is_refused_nothing() {
    let mut objects = sets(260);
    objects.extend([
        service("nats", "None"),
        map(&json!({"nats.conf": "cluster { port: 6222, routes: [nats://nats:6222] }"})),
    ]);
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let report = evaluate(&bundle, &settings());
    assert_eq!(report.count(Action::Deny), 0);
    let crowded = "a cluster route names a Service before more pods than can be named";
    let found = report.findings.iter();
    let found = found.filter(|judged| judged.finding.reason == crowded);
    let actions: BTreeSet<Action> = found.map(|judged| judged.action).collect();
    assert_eq!(actions, BTreeSet::from([Action::Warn]));
    let fixed = report
        .findings
        .iter()
        .find(|judged| judged.action == Action::Fix && judged.finding.policy == "service-route");
    assert!(fixed.is_some());
}

/// What one evaluation says of each of its workloads, by the id of the object.
fn each(bundle: &Bundle) -> Vec<(usize, Vec<String>)> {
    let settings = settings();
    let sets = bundle.of_kind("apps", "StatefulSet");
    sets.map(|(id, _)| (id, lines(&evaluate_one(bundle, &settings, id))))
        .collect()
}

#[test]
fn a_workload_beyond_the_bound_is_told_that_it_was_not_checked() {
    let mut objects = sets(300);
    let files = routes(4000, |index| format!("gone{index}"));
    objects.extend([service("nats", "None"), map(&files)]);
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let last = lines(&evaluate_one(&bundle, &settings(), 299));
    assert!(
        last.iter().any(|line| line.ends_with(
            "opaque-routes data[\"nats.conf\"].cluster.routes: StatefulSet default/nats299: too many workloads share them"
        )),
        "{last:?}"
    );
}

#[test]
fn what_holds_for_all_is_what_holds_for_each() {
    let mut objects = includers("a", 4, "accounts {}");
    objects.extend(includers("b", 4, "accounts {}"));
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let each = each(&bundle);
    assert!(each.iter().all(|(_, lines)| !lines.is_empty()));
    let mut of_each: Vec<String> = each.into_iter().flat_map(|(_, lines)| lines).collect();
    let mut of_all = lines(&evaluate(&bundle, &settings()));
    of_each.sort();
    of_all.sort();
    assert_eq!(of_each, of_all);
}

#[test]
fn an_honest_crowd_is_judged_as_one_by_one() {
    let one = |index: usize| {
        let mut objects = includers(&format!("n{index}"), 1, "accounts {}");
        objects.rotate_left(index % 4);
        objects
    };
    let bundle = |objects: Vec<Value>| {
        Bundle::new(
            objects.into_iter().map(Object::new).collect(),
            Some("default"),
        )
    };
    let crowd = bundle((0..200).flat_map(one).collect());
    let mut alone: Vec<String> = (0..200)
        .flat_map(|index| lines(&evaluate(&bundle(one(index)), &settings())))
        .collect();
    let mut together = lines(&evaluate(&crowd, &settings()));
    alone.sort();
    together.sort();
    assert!(alone.len() >= 200);
    assert_eq!(together, alone);
}

#[test]
fn one_main_file_is_read_anew_where_its_includes_differ() {
    // More ways to read it than are kept.
    let mut objects: Vec<Value> = (0..7)
        .flat_map(|index| {
            let name = format!("nats{index}");
            let mut part = map(&json!({
                "routes.conf": format!("cluster {{ port: 6222, routes: [nats://gone{index}:6222] }}")
            }));
            part["metadata"]["name"] = json!(name);
            let volume = json!({"configMap": {"name": name}});
            [
                volumes(set(&name, "nats", 3), &[("/etc/nats/part", volume)]),
                part,
            ]
        })
        .collect();
    // The same text in another directory, where nothing is mounted beside it.
    let mut elsewhere = set("elsewhere", "nats", 3);
    let container = &mut elsewhere["spec"]["template"]["spec"]["containers"][0];
    container["args"] = json!(["-c", "/srv/nats.conf"]);
    container["volumeMounts"] =
        json!([{"name": "c", "mountPath": "/srv/nats.conf", "subPath": "nats.conf"}]);
    objects.extend([
        map(&json!({"nats.conf": "include part/routes.conf\n"})),
        service("nats", "None"),
        elsewhere,
    ]);
    let bundle = Bundle::new(
        objects.into_iter().map(Object::new).collect(),
        Some("default"),
    );
    let each = each(&bundle);
    for (index, (_, lines)) in each.iter().take(7).enumerate() {
        let own = format!("nats://gone{index}:6222");
        let routes = lines.iter().filter(|line| line.contains("nats://gone"));
        assert!(routes.clone().count() == 1, "{lines:?}");
        assert!(routes.clone().all(|line| line.contains(&own)), "{lines:?}");
    }
    let (_, elsewhere) = each.last().unwrap();
    assert!(
        elsewhere.iter().any(|line| line.contains(
            "StatefulSet default/elsewhere: the included file part/routes.conf is not in the input"
        )),
        "{elsewhere:?}"
    );
}

#[test]
fn many_workloads_that_share_a_large_file_with_what_looks_like_a_template() {
    let files = json!({"nats.conf": format!(
        "cluster {{ port: 6222 }}\nmappings {{ \"a.*\": \"a.{{{{wildcard(1)}}}}\" }}\n{}", text(500_000)
    )});
    assert!(judge(sets(130), [map(&files)]) > 0);
}

#[test]
fn many_workloads_that_ask_much_of_many_nodes() {
    let nodes: Vec<Value> = (0..1000)
        .map(|index| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{index}")}}))
        .collect();
    let asking = |count: usize, terms: usize| {
        let term =
            json!({"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]});
        let affinity = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": vec![term; terms]
        }}});
        let mut sets = sets(count);
        for set in &mut sets {
            set["spec"]["selector"] = json!({"matchLabels": {"app": "nats"}});
            set["spec"]["template"]["spec"]["affinity"] = affinity.clone();
        }
        sets
    };
    assert!(judge(asking(500, 100), nodes.clone()) > 0);
    assert!(judge(asking(1, 10_000), nodes) > 0);
}

#[test]
fn many_templates_of_many_pods() {
    let template = json!({"metadata": {"name": "data"}});
    let mut set = set("nats", "nats", 1000);
    set["spec"]["selector"] = json!({"matchLabels": {"app": "nats"}});
    set["spec"]["volumeClaimTemplates"] = vec![template; 40_000].into();
    assert!(judge(vec![set], []) > 0);
}

#[test]
fn many_servers_in_one_pod() {
    let container = |index: usize| {
        json!({
            "name": index.to_string(), "image": "nats", "args": ["-js", "-sd", "/data"],
            "volumeMounts": [{"name": "v", "mountPath": "/data"}]
        })
    };
    let mut volumes = vec![json!({"name": "x", "emptyDir": {}}); 1000];
    volumes.push(json!({"name": "v", "emptyDir": {}}));
    let mut set = set("nats", "nats", 3);
    set["spec"]["template"]["spec"] = json!({
        "containers": (0..2000).map(container).collect::<Vec<_>>(), "volumes": volumes
    });
    assert!(judge(vec![set], [service("nats", "None")]) > 0);
}

/// Each piece, times as many as fit into 512 KiB, as a script and as words.
#[test]
fn long_command_lines() {
    for piece in [
        "env ",
        "sh -c '",
        "$(",
        "${",
        "if ",
        "( ",
        "cd a;",
        "A=1 ",
        "nats-server;",
        "> a ",
        "<<E ",
        "$@ ",
        "`",
        "\"",
        "case x in ",
        "eval ",
        "export A=$A;",
        "$A ",
    ] {
        let script = piece.repeat((512 << 10) / piece.len());
        let words: Vec<_> = script.split_inclusive(' ').map(str::trim).collect();
        let env = json!([{"name": "A", "value": "b ".repeat(1000)}]);
        let start = Instant::now();
        for command in [json!(["sh", "-c", script]), json!(words)] {
            may_run_server(&json!({"containers": [{"command": command, "env": env}]}));
        }
        assert!(start.elapsed() < LIMIT, "{piece}: {:?}", start.elapsed());
    }
}
