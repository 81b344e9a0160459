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

/// A nats.conf on one line with a credential in every place, and routes that are to be repaired between them.
const CONF: &str = r#"cluster { port = 6222, authorization { user = a, password = MARKED-1 }, routes = [nats://a:MARKED-2@nats:6222, "nats://MARKED-3@nats-0.nats:6222", nats://a:MARKED@4@gone:6222, "nats://a:MARKED,5/x#y@nats:6222"], authorization { user = b, password = "MARKED-6" } }; jetstream { store_dir = /data, encryption_key = "MARKED-7" }; accounts { A { users [ { user = a, password = MARKED-8 }, { nkey = MARKED-9 } ] } }; MARKED-10 { token = "MARKED-11" }"#;

/// How a string is written in YAML.
#[derive(Clone, Copy, Debug)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
    Folded,
    /// In quotes, and continued on the next line after every blank that comes after `=`.
    WrappedValues,
    /// Continued on the next line after every blank.
    WrappedWords,
    /// In double quotes, with line breaks inside words, credentials included.
    WrappedLetters,
}

const STYLES: [Style; 8] = [
    Style::Plain,
    Style::Single,
    Style::Double,
    Style::Literal,
    Style::Folded,
    Style::WrappedValues,
    Style::WrappedWords,
    Style::WrappedLetters,
];

impl Style {
    fn write(self, text: &str, indent: usize) -> String {
        let line = format!("\n{}", " ".repeat(indent));
        let double = text.replace('"', "\\\"");
        match self {
            Self::Plain => text.to_owned(),
            Self::Single => format!("'{text}'"),
            Self::Double => format!("\"{double}\""),
            Self::Literal => format!("|{line}{}", text.replace(", ", &line)),
            Self::Folded => format!(">-{line}{}", text.replace(' ', &line)),
            Self::WrappedValues => format!("'{}'", text.replace("= ", &format!("={line}"))),
            Self::WrappedWords => text.replace(' ', &line),
            Self::WrappedLetters => {
                format!("\"{}\"", double.replace("RKED", &format!("R\\{line}KED")))
            }
        }
    }
}

/// A Service and a StatefulSet whose server reads a file, or has its routes in flags.
fn workload(container: &str, volume: &str) -> String {
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: nats}}
spec: {{clusterIP: None, selector: {{app: nats}}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: nats
  annotations: {{note: MARKED-12}} # MARKED-13
spec:
  replicas: 3
  serviceName: nats
  selector: {{matchLabels: {{app: nats}}}}
  template:
    metadata: {{labels: {{app: nats}}}}
    spec:
      containers:
      - name: nats
        image: nats
{container}
      volumes: [{{name: config{volume}}}]
"
    )
}

/// Every holder in every style: each file with whether its nats.conf can be read.
fn planted() -> Vec<(String, String)> {
    let mounts = "        args: [-c, /etc/nats/nats.conf]\n        volumeMounts: [{name: config, mountPath: /etc/nats}]\n        env: [{name: A, value: MARKED-14}]";
    let mut files = Vec::new();
    for style in STYLES {
        let conf = style.write(CONF, 4);
        let broken = style.write(&CONF.replacen("] }", "] ", 1), 4);
        for (holder, conf, field, volume) in [
            ("ConfigMap", &conf, "data", ", configMap: {name: nats}"),
            (
                "broken ConfigMap",
                &broken,
                "data",
                ", configMap: {name: nats}",
            ),
            (
                "Secret",
                &conf,
                "stringData",
                ", secret: {secretName: nats}",
            ),
        ] {
            let kind = holder.split(' ').next_back().unwrap();
            let file = format!(
                "apiVersion: v1\nkind: {kind}\nmetadata: {{name: nats}} # MARKED-15\n{field}: # MARKED-16\n  nats.conf: {conf}\n{}",
                workload(mounts, volume)
            );
            files.push((format!("{holder}, {style:?}"), file));
        }
        let flags = [
            "--cluster",
            "nats://a:MARKED-17@0.0.0.0:6222",
            "--routes=nats://a:MARKED-18@nats:6222,nats://b:MARKED-19@nats-0.nats:6222",
            "--pass",
            "MARKED-20",
            "--auth=MARKED-21",
            "-MARKED-22",
        ];
        let flags: Vec<String> = flags
            .iter()
            .map(|flag| format!("        - {}", style.write(flag, 10)))
            .collect();
        let env = format!(
            "        args:\n{}\n        env:\n        - name: A\n          value: {}",
            flags.join("\n"),
            style.write("MARKED-23 and more", 12)
        );
        files.push((format!("flags, {style:?}"), workload(&env, "")));
        let script = style.write(
            "exec nats-server --cluster nats://a:MARKED-24@0.0.0.0:6222 --pass MARKED-25 --routes nats://a:MARKED-26@nats:6222",
            10,
        );
        let script = format!("        command: [sh, -c]\n        args:\n        - {script}");
        files.push((format!("script, {style:?}"), workload(&script, "")));
    }
    assert!(files.len() >= 20);
    files
}

const FORMATS: [&str; 6] = ["text", "json", "sarif", "junit", "github", "markdown"];

#[test]
fn no_output_tells_a_credential() {
    let folder = Folder::new();
    let mut paths: Vec<(String, String)> = all()
        .iter()
        .map(|name| {
            (
                name.clone(),
                manifests().join(name).to_str().unwrap().to_owned(),
            )
        })
        .collect();
    paths.push(("planted".to_owned(), folder.write("planted.yaml", PLANTED)));
    for (index, (what, text)) in planted().into_iter().enumerate() {
        paths.push((what, folder.write(&format!("{index}.yaml"), text)));
    }
    for (what, path) in &paths {
        for format in FORMATS {
            let run = run(&["check", "--output", format, path]);
            assert_ne!(run.status, 2, "{what}: {}", run.err);
            let all = run.out + &run.err;
            assert_silent(&format!("check --output {format} of {what}"), &all);
        }
        assert_silent(
            &format!("fix of {what} (standard error)"),
            &run(&["fix", path]).err,
        );
        let diff = run(&["fix", "--diff", path]);
        assert_silent(&format!("fix --diff of {what} (standard error)"), &diff.err);
        if what.starts_with("Secret") {
            for mark in [2, 3, 6, 7, 8, 9].map(|mark| format!("MARKED-{mark}")) {
                assert!(!diff.out.contains(&mark), "{what}: {}", diff.out);
            }
        }
    }
}

/// Without findings and without lines of the input nothing could be told.
#[test]
fn lines_with_credentials_are_shown_and_masked() {
    let folder = Folder::new();
    let (mut shown, mut masked) = (0, 0);
    for (what, text) in planted() {
        let path = folder.write("planted.yaml", text);
        let text = run(&["check", &path]).out;
        assert!(text.contains(" | "), "{what}: {text}");
        shown += text.lines().filter(|line| line.contains(" | ")).count();
        masked += text.matches("***").count();
    }
    assert!(shown > 100 && masked > 50, "{shown} lines, {masked} masks");
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
            .contains("nats://a:MARKED-7@nats-2.nats")
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
