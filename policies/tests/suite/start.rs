//! What keeps nats-server from starting, case by case.

use natsguard_policies::bundle::Bundle;
use natsguard_policies::settings::Settings;

use crate::support::{Cluster, bundle, check, findings, lines};

fn one(conf: &str) -> Vec<String> {
    let cluster = Cluster {
        replicas: 1,
        conf: conf.to_owned(),
        ..Cluster::default()
    };
    only(&cluster.findings())
}

fn only(lines: &[String]) -> Vec<String> {
    let is_it = |line: &&String| line.contains("refused-configuration");
    lines.iter().filter(is_it).cloned().collect()
}

fn refused(field: &str, detail: &str) -> Vec<String> {
    vec![format!("deny refused-configuration {field}: {detail}")]
}

const FILE: &str = "data[\"nats.conf\"]";

/// The same objects, as a cluster has them.
fn live(cluster: &Cluster) -> Bundle {
    let mut bundle = cluster.bundle();
    bundle.set_live();
    bundle
}

#[test]
fn what_the_parser_refuses_is_refused_and_said_once() {
    let broken = Cluster::with_routes(&["nats://a:6222 b"]);
    assert_eq!(
        broken.findings(),
        refused(
            FILE,
            "StatefulSet messaging/nats: line 4, column 19: expected ',', a new line or ']' after a value of an array, but found 'b'"
        )
    );
    assert_eq!(
        one("jetstream {\n  store_dir: /data"),
        refused(
            FILE,
            "StatefulSet messaging/nats: line 3, column 1: unexpected end of the file in a map"
        )
    );
    assert_eq!(one("jetstream {\n  store_dir: /data\n}"), [""; 0]);
}

#[test]
fn a_template_is_refused_only_where_nobody_fills_it_in() {
    for (conf, live_detail) in [
        (
            "server_name: {{ .name }}\ncluster { port: 6222 }",
            "line 1, column 17: a float must start with a digit",
        ),
        (
            "server_name: ${NAME}\n",
            "it is a template that nobody has filled in",
        ),
    ] {
        let cluster = Cluster {
            conf: conf.to_owned(),
            ..Cluster::default()
        };
        let found = only(&cluster.findings());
        let is_unchecked = found.iter().all(|line| line.starts_with("unchecked "));
        assert!(is_unchecked, "{found:?}");
        let found = only(&lines(&check(&live(&cluster), &Settings::default()).0));
        let [found] = found.as_slice() else {
            panic!("{conf}: {found:?}")
        };
        assert!(found.contains(live_detail), "{found}");
    }
}

#[test]
fn more_than_natsguard_reads_is_no_fault_of_the_file() {
    let deep = format!("a: {}1{}", "{b: ".repeat(200), " }".repeat(200));
    let detail =
        "StatefulSet messaging/nats: line 1, column 516: maps and arrays are nested too deeply";
    assert_eq!(
        one(&deep),
        [format!("unchecked refused-configuration {FILE}: {detail}")]
    );
    // A bound that a tenant can reach lets nothing through.
    let deep = Cluster {
        conf: deep,
        ..Cluster::default()
    };
    let (report, _) = check(&live(&deep), &Settings::default());
    assert_eq!(only(&lines(&report)), refused(FILE, detail));
    let reason = "the configuration is larger or deeper than natsguard reads";
    let mut findings = report.findings.iter();
    assert!(findings.any(|judged| judged.finding.reason == reason));
    let many = Cluster {
        replicas: 1,
        conf: "include ../part/part.conf\n".repeat(1001),
        volumes: ", {name: part, configMap: {name: part}}".to_owned(),
        mounts: ", {name: part, mountPath: /etc/part}".to_owned(),
        more: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: part, namespace: messaging}\n\
               data: {part.conf: 'port: 4222'}\n"
            .to_owned(),
        ..Cluster::default()
    };
    assert_eq!(
        many.findings(),
        [format!(
            "unchecked refused-configuration {FILE}: StatefulSet messaging/nats: line 1001, column 9: too many includes"
        )]
    );
}

#[test]
fn a_file_that_is_missing_in_a_known_object_is_refused() {
    let mut cluster = Cluster {
        replicas: 1,
        conf: "port: 4222".to_owned(),
        ..Cluster::default()
    };
    let text = |cluster: &Cluster| {
        let objects = cluster.bundle();
        let yaml: Vec<String> = objects
            .objects()
            .iter()
            .map(|object| {
                object
                    .value
                    .to_string()
                    .replace("/etc/nats/nats.conf", "/etc/nats/other.conf")
            })
            .collect();
        yaml.join("\n---\n")
    };
    assert_eq!(
        findings(&bundle(&text(&cluster))),
        refused(
            "spec.template.spec.containers[0]",
            "StatefulSet messaging/nats: /etc/nats/other.conf is missing: ConfigMap nats has no key other.conf"
        )
    );
    cluster.conf = "include ./none.conf".to_owned();
    assert_eq!(
        cluster.findings(),
        refused(
            FILE,
            "StatefulSet messaging/nats: line 1, column 9: the included file does not exist"
        )
    );
}

#[test]
fn what_is_not_there_yet_is_waited_for() {
    let cluster = Cluster {
        replicas: 1,
        conf: "include ../auth/auth.conf".to_owned(),
        volumes: ", {name: auth, secret: {secretName: auth}}".to_owned(),
        mounts: ", {name: auth, mountPath: /etc/auth}".to_owned(),
        ..Cluster::default()
    };
    let mut bundle = live(&cluster);
    bundle.set_absent("", "Secret", "messaging", "auth");
    assert_eq!(
        only(&lines(&check(&bundle, &Settings::default()).0)),
        [""; 0]
    );
}

#[test]
fn a_limit_that_is_no_size_is_refused() {
    assert_eq!(
        one("jetstream { store_dir: /data, max_mem: 1Gi, max_file: \"10Gi\" }"),
        refused(
            "data[\"nats.conf\"].jetstream.max_file_store",
            "max_file_store of StatefulSet messaging/nats"
        )
    );
}

#[test]
fn jetstream_in_a_cluster_needs_names_and_a_route() {
    let lacks = |what: &str| {
        let action = if what == "no route" { "warn" } else { "deny" };
        vec![format!(
            "{action} refused-configuration data[\"nats.conf\"].cluster: StatefulSet messaging/nats has {what}"
        )]
    };
    let js = "jetstream: enabled\n";
    let route = "routes: [\"nats://nats-0.nats-headless:6222\"]";
    let cases = [
        (
            "",
            format!("cluster {{ name: a, port: 6222, {route} }}"),
            "no server_name",
        ),
        (
            "server_name: a\n",
            format!("cluster {{ port: 6222, {route} }}"),
            "no cluster.name",
        ),
        (
            "server_name: a\n",
            "cluster { name: a, port: 6222 }".to_owned(),
            "no route",
        ),
        (
            "server_name: $NAME\n",
            "cluster { name: a, listen: \"0.0.0.0:6222\" }".to_owned(),
            "no route",
        ),
    ];
    for (name, cluster, what) in cases {
        assert_eq!(one(&format!("{name}{js}{cluster}")), lacks(what));
        // Without JetStream, or without a port, it starts.
        assert_eq!(one(&format!("{name}{cluster}")), [""; 0]);
    }
    for fine in [
        format!("server_name: a\n{js}cluster {{ name: a, port: 6222, {route} }}"),
        format!("server_name: a\n{js}cluster {{ name: a, {route} }}"),
        format!("{js}cluster {{ name: a, port: 0 }}"),
        format!(
            "server_name: a\n{js}gateway {{ name: a, port: 7222 }}\ncluster {{ port: 6222, {route} }}"
        ),
        format!(
            "server_name: a\n{js}leafnodes {{ remotes: [] }}\ncluster {{ name: a, port: 6222 }}"
        ),
    ] {
        assert_eq!(one(&fine), [""; 0], "{fine}");
    }
    let several = Cluster {
        conf: format!("server_name: $NAME\n{js}cluster {{ name: a, port: 6222 }}"),
        ..Cluster::default()
    };
    assert_eq!(only(&several.findings()), [""; 0], "the list is made");
}
