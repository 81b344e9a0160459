//! Credentials go in, and come out nowhere but in the repaired manifests themselves.

use crate::support::{Folder, all, manifests, run};

pub(crate) const MARK: &str = "MARKED";

/// Credentials in every place that one can stand in.
pub(crate) const PLANTED: &str = r#"apiVersion: v1
kind: ConfigMap
metadata: {name: nats}
data:
  nats.conf: |
    authorization { user: a, password: "MARKED-1" }
    cluster {
      port: 6222
      authorization { user: a, password: MARKED-2 }
      routes: [nats://a:MARKED-3@nats:6222, "nats://MARKED-4@nats-0.nats:6222", nats://a:MARKED@5@gone:6222]
    }
    broken: { token: "MARKED-6"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fine}
data:
  nats.conf: |
    cluster {
      port: 6222
      routes: [nats://a:MARKED-7@nats:6222, "nats://MARKED-8@nats-0.nats:6222", nats://a:MARKED@9@gone:6222
        "nats://a:MARKED,19@nats:6222"
        "nats://a:MARKED/20#x?y@gone:6222"
        "a:MARKED-21@nats-1.nats:6222"
      ]
    }
    jetstream { encryption_key: "MARKED-22", store_dir: /data }
    accounts: { A: { users: [ { user: a, password: MARKED-10 } ] } }
---
apiVersion: v1
kind: Secret
metadata: {name: conf}
stringData:
  nats.conf: "cluster { port: 6222, routes: [\"nats://a:MARKED-11@nats:6222\"] }\npassword: MARKED-12\n"
  other: MARKED-13
data:
  more: TUFSS0VELTE0
---
apiVersion: v1
kind: SecretList
items:
- metadata: {name: listed}
  data: {x: TUFSS0VELTE0}
---
apiVersion: v1
kind: Service
metadata: {name: nats}
spec: {clusterIP: None, selector: {app: nats}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: broken}
spec: &spec
  replicas: 3
  serviceName: nats
  selector: {matchLabels: {app: nats}}
  template:
    metadata: {labels: {app: nats}}
    spec:
      containers:
      - name: nats
        image: nats
        args: [-c, /etc/nats/nats.conf]
        volumeMounts: [{name: config, mountPath: /etc/nats}]
      volumes: [{name: config, configMap: {name: nats}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: nats}
spec:
  replicas: 3
  serviceName: nats
  selector: {matchLabels: {app: nats}}
  template:
    metadata: {labels: {app: nats}}
    spec:
      containers:
      - name: nats
        image: nats
        args: [-c, /etc/nats/nats.conf]
        volumeMounts: [{name: config, mountPath: /etc/nats}]
      volumes: [{name: config, configMap: {name: fine}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: secret}
spec:
  replicas: 3
  serviceName: nats
  selector: {matchLabels: {app: nats}}
  template:
    metadata: {labels: {app: nats}}
    spec:
      containers:
      - name: nats
        image: nats
        args: [-c, /etc/nats/nats.conf]
        volumeMounts: [{name: config, mountPath: /etc/nats}]
      volumes: [{name: config, secret: {secretName: conf}}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: flags}
spec:
  replicas: 3
  serviceName: nats
  selector: {matchLabels: {app: nats}}
  template:
    metadata: {labels: {app: nats}}
    spec:
      containers:
      - name: nats
        image: nats
        args: ["--cluster", "nats://a:MARKED-15@0.0.0.0:6222", "--routes=nats://a:MARKED-16@nats:6222", "--pass", "MARKED-17", "--auth=MARKED-18"]
        env:
        - name: NATS_PASSWORD
          value: MARKED-23
"#;

/// How the marks look in base64, at each of the three alignments.
const ENCODED: [&str; 3] = ["TUFSS0VE", "1BUktFR", "NQVJLRU"];

fn assert_silent(what: &str, text: &str) {
    for mark in ENCODED.iter().chain(&[MARK, "arked-"]) {
        assert!(
            !text.contains(mark),
            "{what} tells a credential ({mark}):\n{text}"
        );
    }
}

#[test]
fn no_output_tells_a_credential() {
    let folder = Folder::new();
    let planted = folder.write("planted.yaml", PLANTED);
    let mut paths: Vec<String> = all()
        .iter()
        .map(|name| manifests().join(name).to_str().unwrap().to_owned())
        .collect();
    paths.push(planted);
    for path in &paths {
        for format in ["text", "json", "sarif", "junit", "github", "markdown"] {
            let run = run(&["check", "--output", format, path]);
            assert_ne!(run.status, 2, "{path}: {}", run.err);
            assert_silent(&format!("check --output {format} {path}"), &run.out);
            assert_silent(
                &format!("check --output {format} {path} (standard error)"),
                &run.err,
            );
        }
        assert_silent(
            &format!("fix {path} (standard error)"),
            &run(&["fix", path]).err,
        );
        let diff = run(&["fix", "--diff", path]);
        assert_silent(&format!("fix --diff {path}"), &diff.out);
        assert_silent(&format!("fix --diff {path} (standard error)"), &diff.err);
    }
}

#[test]
fn the_plants_are_found_at_all() {
    let folder = Folder::new();
    let planted = folder.write("planted.yaml", PLANTED);
    let run = run(&["check", "-o", "json", &planted]);
    for policy in [
        "service-route",
        "short-route",
        "refused-configuration",
        "exposed-credentials",
    ] {
        assert!(run.out.contains(policy), "{policy}: {}", run.out);
    }
    assert!(
        crate::support::run(&["fix", &planted])
            .out
            .contains("nats://a:MARKED-7@nats-2.nats.default.svc")
    );
}

#[test]
fn errors_tell_no_credentials() {
    let folder = Folder::new();
    for (index, text) in [
        "kind: Secret\ndata: {a: 'MARKED-1\n",
        "kind: Secret\ndata:\n  a: MARKED-1\n  a: MARKED-2\n",
        "kind: Secret\n\tdata: MARKED-1\n",
        "MARKED-1: [MARKED-2, {MARKED-3}\n",
        "- MARKED-1\n",
        "password: MARKED-1\n",
    ]
    .iter()
    .enumerate()
    {
        let path = folder.write(&format!("{index}.yaml"), text);
        for command in [
            ["check", path.as_str()].as_slice(),
            &["fix", &path],
            &["check", "--settings", &path, "/dev/null"],
        ] {
            let run = run(command);
            assert_eq!(run.status, 2, "{text}");
            assert!(
                !run.err.contains("MARKED-1") || text.starts_with("MARKED"),
                "{}",
                run.err
            );
        }
    }
}
