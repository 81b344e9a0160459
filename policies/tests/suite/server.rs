//! What is a NATS server, case by case: in which kind, in which container, behind which words. Each of these has its store on
//! NFS, so that what is not seen is not refused.

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::workload::{Kind, discover};
use serde_json::{Value, json};

use crate::support::{bundle, findings};

const CONF: &str = "server_name: $POD\nport: 4222\ncluster {\n  name: c\n  port: 6222\n  routes = [\n\
                    nats://bus-0.bus.desk.svc.cluster.local:6222\nnats://bus-1.bus.desk.svc.cluster.local:6222\n  ]\n}\n\
                    jetstream {\n  store_dir: /data\n  max_memory_store: 1Gi\n  max_file_store: 5Gi\n}\n";

/// The objects of a cluster whose pods have this container, and this file under this key.
fn objects(kind: Kind, container: &Value, key: &str, conf: &str) -> Vec<Value> {
    let mut container = container.clone();
    container["name"] = json!("main");
    container["volumeMounts"] = json!([
        {"name": "config", "mountPath": "/etc/nats"}, {"name": "store", "mountPath": "/data"}
    ]);
    workload(kind, &json!({"containers": [container]}), key, conf)
}

fn workload(kind: Kind, pod: &Value, key: &str, conf: &str) -> Vec<Value> {
    let mut pod = pod.clone();
    pod["volumes"] = json!([
        {"name": "config", "configMap": {"name": "files"}},
        {"name": "store", "nfs": {"server": "10.0.0.1", "path": "/x"}}
    ]);
    let template = json!({"metadata": {"labels": {"app": "bus"}}, "spec": pod});
    let spec = json!({"replicas": 2, "serviceName": "bus", "selector": {"matchLabels": {"app": "bus"}}, "template": template});
    let spec = match kind {
        Kind::Pod => pod,
        Kind::CronJob => json!({"jobTemplate": {"spec": {"template": template}}}),
        _ => spec,
    };
    let version = if kind.group().is_empty() {
        "v1".to_owned()
    } else {
        format!("{}/v1", kind.group())
    };
    vec![
        json!({"apiVersion": version, "kind": kind.name(), "metadata": {"name": "bus", "namespace": "desk"}, "spec": spec}),
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files", "namespace": "desk"}, "data": {key: conf}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bus", "namespace": "desk"}, "spec": {
            "clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "bus"}, "ports": [{"port": 6222}]}}),
    ]
}

fn bundle_of(objects: Vec<Value>) -> Bundle {
    Bundle::new(objects.into_iter().map(Object::new).collect(), None)
}

/// What is said of the store.
fn store(objects: Vec<Value>) -> Vec<String> {
    let mut lines = findings(&bundle_of(objects));
    lines.retain(|line| line.contains("network-filesystem") || line.contains("opaque-store"));
    lines
}

fn refused(kind: Kind) -> Vec<String> {
    let pod = kind.pod_pointer().trim_start_matches('/').replace('/', ".");
    let kind = kind.name();
    vec![format!(
        "deny network-filesystem {pod}.volumes[1].nfs: volume store of {kind} desk/bus: NFS: volume store, nfs"
    )]
}

/// A private image with this command and these arguments.
fn private(command: &[&str], args: &[&str]) -> Value {
    json!({"image": "registry/acme/bus:1", "command": command, "args": args})
}

fn of_set(container: &Value) -> Vec<String> {
    store(objects(Kind::StatefulSet, container, "bus.conf", CONF))
}

#[test]
fn every_kind_that_runs_pods_is_judged() {
    for kind in Kind::ALL {
        let container = json!({"image": "nats:2.14.5", "args": ["-c", "/etc/nats/bus.conf"]});
        let objects = objects(kind, &container, "bus.conf", CONF);
        assert_eq!(store(objects.clone()), refused(kind), "{kind:?}");
        // The same kind of another group is another kind.
        let mut other = objects;
        other[0]["apiVersion"] = json!("example.org/v1");
        assert_eq!(store(other), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn what_a_workload_makes_is_judged_with_it() {
    let container = json!({"image": "nats:2.14.5", "args": ["-c", "/etc/nats/bus.conf"]});
    for (kind, owner, is_judged) in [
        (Kind::Pod, "StatefulSet", false),
        (Kind::Pod, "ReplicaSet", false),
        (Kind::ReplicaSet, "Deployment", false),
        (Kind::ReplicaSet, "Rollout", false),
        (Kind::ReplicationController, "DeploymentConfig", false),
        (Kind::Job, "CronJob", false),
        // No template of such an owner is looked at.
        (Kind::Pod, "NatsCluster", true),
        (Kind::StatefulSet, "NatsCluster", true),
        (Kind::StatefulSet, "Deployment", true),
    ] {
        let mut objects = objects(kind, &container, "bus.conf", CONF);
        objects[0]["metadata"]["ownerReferences"] =
            json!([{"kind": owner, "name": "x", "controller": true}]);
        assert_eq!(
            !store(objects.clone()).is_empty(),
            is_judged,
            "{owner} makes {kind:?}"
        );
        objects[0]["metadata"]["ownerReferences"][0]["controller"] = Value::Null;
        assert!(!store(objects).is_empty(), "{owner} only owns {kind:?}");
    }
}

/// Forms that were thought of without the table; each wrapper stands before each spelling of the server.
#[test]
fn the_program_is_found_in_every_spelling() {
    let wrappers = [
        "",
        "/usr/bin/env",
        "/usr/bin/env GOMAXPROCS=2",
        "env -u HOME -i",
        "gosu 1000:1000",
        "/sbin/su-exec nats",
        "setpriv --reuid 1000 --regid=1000 --clear-groups --",
        "/sbin/tini -v --",
        "tini -s -p SIGKILL",
        "dumb-init -c --",
        "catatonit -P --",
        "nohup",
        "timeout --preserve-status 3600",
        "nice -n -5",
        "ionice -c1 -n 0",
        "chrt --rr 50",
        "stdbuf -o0",
        "taskset 0x3",
        "numactl --membind=0",
        "chroot --userspec=1:1 /srv",
        "s6-setuidgid nats",
        "/opt/acme/supervise --restart always --",
        "/pause-then 5",
    ];
    let servers = [
        "nats-server -c /etc/nats/bus.conf",
        "/usr/local/bin/nats-server --config=/etc/nats/bus.conf",
        "./nats-server -config /etc/nats/../nats/bus.conf -D",
    ];
    for wrapper in wrappers {
        for server in servers {
            let line = format!("{wrapper} {server}");
            let words: Vec<&str> = line.split_whitespace().collect();
            let (first, rest) = words.split_at(1);
            for container in [
                private(&words, &[]),
                private(first, rest),
                private(&[], &words),
                private(&["/bin/sh", "-c", &line], &[]),
                private(
                    &["/bin/bash", "-euo", "pipefail", "-c"],
                    &[&format!("set -x; exec {line}")],
                ),
                private(&["busybox", "ash", "-xec"], &[&format!("({line})")]),
                private(&["sh", "-c", "exec \"$@\"", "--"], &words),
                private(
                    &["sh", "-c"],
                    &[&format!(
                        "if [ -d /data ]; then\n  {line} &&\n  echo bye\nfi"
                    )],
                ),
                private(
                    &["tini", "--", "sh", "-c"],
                    &[&format!("sleep 1 || true; A='b c' {line} | cat")],
                ),
            ] {
                let lines = of_set(&container);
                assert_eq!(lines, refused(Kind::StatefulSet), "{container}");
            }
        }
    }
}

#[test]
fn every_server_of_a_pod_is_judged() {
    let mounts = json!([
        {"name": "config", "mountPath": "/etc/nats"}, {"name": "store", "mountPath": "/data"}
    ]);
    let server = json!({"name": "server", "image": "nats:2.14.5", "args": ["-c", "/etc/nats/bus.conf"], "volumeMounts": mounts});
    let leaf = json!({"name": "leaf", "image": "nats:2.14.5", "command": ["nats-server", "-js", "-sd", "/var/js"]});
    let pause = json!({"name": "pause", "image": "registry/pause:3.10"});
    let mut stays = server.clone();
    stays["restartPolicy"] = json!("Always");
    let of = |pod: Value| {
        let bundle = bundle_of(workload(Kind::StatefulSet, &pod, "bus.conf", CONF));
        let found: Vec<_> = discover(&bundle)
            .into_iter()
            .map(|found| found.container_pointer)
            .collect();
        (
            found,
            findings(&bundle)
                .iter()
                .filter(|line| line.contains("-filesystem"))
                .count(),
        )
    };
    let pointers = |places: &[&str]| -> Vec<String> {
        let pointer = |place: &&str| format!("/spec/template/spec/{place}");
        places.iter().map(pointer).collect()
    };
    assert_eq!(
        of(json!({"containers": [leaf, server]})),
        (pointers(&["containers/0", "containers/1"]), 1)
    );
    assert_eq!(
        of(json!({"containers": [server, leaf]})),
        (pointers(&["containers/0", "containers/1"]), 1)
    );
    assert_eq!(
        of(json!({"containers": [pause], "initContainers": [pause, stays]})),
        (pointers(&["initContainers/1"]), 1)
    );
    // What only prepares the pod does not serve.
    assert_eq!(
        of(json!({"containers": [pause], "initContainers": [server]})),
        (pointers(&[]), 0)
    );
    assert_eq!(
        of(json!({"containers": [leaf], "initContainers": [stays]})),
        (pointers(&["containers/0", "initContainers/0"]), 1)
    );
}

#[test]
fn flags_of_a_server_tell_a_private_image() {
    for flags in [
        "-js -sd /data",
        "--jetstream --store_dir=/data -m 8222",
        "-js=true -sd=/data --cluster nats://0.0.0.0:6222 --routes nats://bus-0.bus:6222",
        "--cluster_name c -js -c /etc/nats/bus.conf -sd /data",
    ] {
        let flags: Vec<&str> = flags.split(' ').collect();
        for container in [
            private(&[], &flags),
            private(&["/app/bus"], &flags),
            private(
                &["sh", "-c", &format!("exec /app/bus {}", flags.join(" "))],
                &[],
            ),
        ] {
            assert_eq!(
                of_set(&container),
                refused(Kind::StatefulSet),
                "{container}"
            );
        }
    }
    // Its image may start it with a name and a file.
    let flags = ["-js", "-sd", "/data", "--cluster", "nats://0.0.0.0:6222"];
    let objects = objects(Kind::StatefulSet, &private(&[], &flags), "bus.conf", CONF);
    let lines = findings(&bundle_of(objects));
    assert!(
        !lines
            .iter()
            .any(|line| line.contains("refused-configuration")),
        "{lines:?}"
    );
    for flags in [
        "-js",
        "--cluster main --name x",
        "--routes /a,/b",
        "-sd /data",
        "--jetstream nats://bus:4222",
    ] {
        let flags: Vec<&str> = flags.split(' ').collect();
        assert_eq!(
            of_set(&private(&["/app/bus"], &flags)),
            Vec::<String>::new(),
            "{flags:?}"
        );
    }
}

#[test]
fn a_file_where_servers_look_tells_a_private_image() {
    let at = |key: &str, container: &Value, conf: &str| {
        store(objects(Kind::StatefulSet, container, key, conf))
    };
    let key = "nats-server.conf";
    for container in [
        json!({"image": "registry/acme/bus:1"}),
        private(&[], &[]),
        private(&["/app/run"], &["--verbose"]),
        private(&["sh", "/start.sh"], &[]),
    ] {
        assert_eq!(
            at(key, &container, CONF),
            refused(Kind::StatefulSet),
            "{container}"
        );
        assert_eq!(at("other.conf", &container, CONF), Vec::<String>::new());
        assert_eq!(
            at(key, &container, "upstream x { server y; }"),
            Vec::<String>::new()
        );
    }
    for container in [
        json!({"image": "natsio/nats-box:0.14"}),
        private(&["sleep", "infinity"], &[]),
        private(&["nats-server-config-reloader"], &[]),
    ] {
        assert_eq!(
            at(key, &container, CONF),
            Vec::<String>::new(),
            "{container}"
        );
    }
}

#[test]
fn tools_that_take_a_nats_conf_are_no_servers() {
    for image in [
        "natsio/nats-account-server:1.0.0",
        "registry:5000/natsio/nats-account-server@sha256:00",
        "natsio/nats-kafka:1.4",
        "natsio/nats-surveyor",
        "natsio/prometheus-nats-exporter:0.15",
        "natsio/nats-server-config-reloader:0.16",
        "natsio/nats-boot-config",
        "natsio/jetstream-controller:0.13",
        "natsio/nats-rest-config-proxy",
        "natsio/nats-replicator",
        "natsio/nats-operator:0.7.4",
        "bitnami/nats-exporter:0.17",
        "mirror/nats-box",
        "synadia/nats-top",
    ] {
        let container = json!({"image": image, "args": ["-c", "/etc/nats/bus.conf"]});
        assert_eq!(of_set(&container), Vec::<String>::new(), "{image}");
    }
    for program in [
        "nats-account-server",
        "/usr/local/bin/nats-top",
        "nsc",
        "nats",
    ] {
        let container = private(&[program, "-c", "/etc/nats/bus.conf"], &[]);
        assert_eq!(of_set(&container), Vec::<String>::new(), "{program}");
    }
    // Whatever the image is for, the program counts.
    let container =
        json!({"image": "natsio/nats-box", "command": ["nats-server", "-c", "/etc/nats/bus.conf"]});
    assert_eq!(of_set(&container), refused(Kind::StatefulSet));
    // Looking at a file, or telling another server, is no serving.
    for flags in [&["-t"][..], &["-v"], &["--signal", "reload"]] {
        let args = [&["-c", "/etc/nats/bus.conf"], flags].concat();
        let container = json!({"image": "nats", "args": args});
        assert_eq!(of_set(&container), Vec::<String>::new(), "{container}");
    }
}

/// The place of the store, with what the pod knows of it.
fn stored(conf: &str, container: &Value) -> Vec<String> {
    let conf = CONF.replace("/data", conf);
    store(objects(Kind::StatefulSet, container, "bus.conf", &conf))
}

fn opaque() -> Vec<String> {
    vec!["warn opaque-store spec.template.spec.volumes[1].nfs: /data of StatefulSet desk/bus: NFS: volume store, nfs".to_owned()]
}

#[test]
fn the_place_of_the_store_is_resolved_as_in_the_pod() {
    let with = |more: Value| {
        let mut container = json!({"image": "nats", "args": ["-c", "/etc/nats/bus.conf"]});
        for (key, value) in more.as_object().unwrap() {
            container[key] = value.clone();
        }
        container
    };
    let env = |name: &str, value: &str| json!({"env": [{"name": "ROOT", "value": "/da"}, {"name": name, "value": value}]});
    let seen = refused(Kind::StatefulSet);
    assert_eq!(stored("$STORE", &with(env("STORE", "/data"))), seen);
    assert_eq!(
        stored("$STORE", &with(env("STORE", "\"/data/js\" # quoted"))),
        seen
    );
    assert_eq!(stored("$STORE", &with(env("STORE", "$(ROOT)ta"))), seen);
    assert_eq!(stored("$STORE", &with(env("STORE", "$OTHER\n"))), opaque());
    assert_eq!(
        stored("$STORE", &with(env("STORE", "/elsewhere"))),
        Vec::<String>::new()
    );
    assert_eq!(stored("$STORE", &with(json!({}))), opaque());
    assert_eq!(
        stored(
            "$STORE",
            &with(
                json!({"env": [{"name": "STORE", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}}]})
            )
        ),
        opaque()
    );
    assert_eq!(stored("js", &with(json!({"workingDir": "/data"}))), seen);
    assert_eq!(
        stored("\"../data\"", &with(json!({"workingDir": "/srv"}))),
        seen
    );
    assert_eq!(stored("js", &with(json!({}))), opaque());
    assert_eq!(
        stored(
            "js",
            &with(
                json!({"command": ["sh", "-c", "cd /data && exec nats-server -c /etc/nats/bus.conf"], "args": []})
            )
        ),
        seen
    );
    assert_eq!(stored("\"\"", &with(env("TMPDIR", "/data/tmp"))), seen);
    assert_eq!(stored("\"\"", &with(json!({}))), Vec::<String>::new());
    assert_eq!(
        stored(
            "\"\"",
            &with(json!({"env": [{"name": "TMPDIR", "valueFrom": {}}]}))
        ),
        opaque()
    );
    let sd = |text: &str, more: Value| {
        let mut container = with(more);
        container["args"] = json!(["-js", "-sd", text]);
        stored("/x", &container)
    };
    assert_eq!(sd("$(STORE)", env("STORE", "/data")), seen);
    assert_eq!(
        sd(
            "$(STORE)",
            json!({"env": [{"name": "STORE", "valueFrom": {}}]})
        ),
        opaque()
    );
    assert_eq!(sd("js", json!({"workingDir": "/data"})), seen);
    // A relative path to the file.
    let relative = json!({"image": "nats", "args": ["-c", "bus.conf"], "workingDir": "/etc/nats"});
    assert_eq!(stored("/data", &relative), seen);
    // In a script, and set by one.
    for script in [
        "exec nats-server -js -sd \"$STORE\"",
        "export STORE=/data; exec nats-server -c /etc/nats/bus.conf",
        "STORE=/data nats-server -c /etc/nats/bus.conf",
    ] {
        let container = with(
            json!({"command": ["sh", "-c", script], "args": [], "env": [{"name": "STORE", "value": "/data"}]}),
        );
        assert_eq!(stored("$STORE", &container), seen, "{script}");
    }
    // Two that share a file and differ in their environment.
    let mut both = objects(
        Kind::StatefulSet,
        &with(env("STORE", "/data")),
        "bus.conf",
        &CONF.replace("/data", "$STORE"),
    );
    let mut other = objects(
        Kind::Deployment,
        &with(env("STORE", "/var")),
        "bus.conf",
        "",
    );
    both.insert(0, other.swap_remove(0));
    assert_eq!(store(both), seen);
}

#[test]
fn a_file_that_the_shell_writes_is_said_to_be() {
    let set = |script: &str| {
        let lines = findings(&bundle(&format!(
            "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: plum, namespace: orchard}}
spec:
  replicas: 3
  serviceName: plum
  selector: {{matchLabels: {{app: plum}}}}
  template:
    metadata: {{labels: {{app: plum}}}}
    spec:
      containers:
      - name: nats
        image: nats:2.14.5
        command: [/bin/sh, -ec]
        args: [{script:?}]
"
        )));
        lines
            .into_iter()
            .filter(|line| line.contains("opaque-routes"))
            .collect::<Vec<_>>()
    };
    let said = |what: &str| {
        vec![format!(
            "warn opaque-routes spec.template.spec.containers[0]: StatefulSet orchard/plum: /tmp/plum.conf is {what}"
        )]
    };
    let written = said("written by the container's command");
    for script in [
        "cat >/tmp/plum.conf <<EOF\nserver_name: ${HOSTNAME}\ncluster { port: 6222, routes: [ nats://plum:6222 ] }\nEOF\nexec nats-server --config /tmp/plum.conf",
        "cd /tmp; envsubst < /etc/plum > ./plum.conf && exec nats-server -c plum.conf",
        "cp /etc/plum /tmp/plum.conf; nats-server -c=/tmp/plum.conf",
        "render | tee /tmp/plum.conf; nats-server -c /tmp/plum.conf",
    ] {
        assert_eq!(set(script), written, "{script}");
    }
    assert_eq!(
        set("cat /tmp/plum.conf > /x; exec nats-server -c /tmp/plum.conf"),
        said("the image's own")
    );
}
