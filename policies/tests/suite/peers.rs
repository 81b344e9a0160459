//! What keeps servers from becoming a cluster although each route names a pod, case by case.

use natsguard_policies::settings::Settings;

use crate::support::{Cluster, bundle, check};

const DOMAIN: &str = "nats-headless.messaging.svc.cluster.local:6222";

fn full(pod: u32) -> String {
    format!("nats://nats-{pod}.{DOMAIN}")
}

fn all() -> Vec<String> {
    (0..3).map(full).collect()
}

fn only(policy: &str, lines: &[String]) -> Vec<String> {
    let is_of = |line: &&String| line.split(' ').nth(1) == Some(policy);
    lines.iter().filter(is_of).cloned().collect()
}

/// A cluster whose block has this beside the routes.
fn with(block: &str, routes: &[String]) -> Cluster {
    Cluster {
        conf: format!(
            "cluster {{\n  port: 6222\n  {block}\n  routes = [\n{}  ]\n}}\n",
            routes
                .iter()
                .map(|route| format!("    {route}\n"))
                .collect::<String>()
        ),
        ..Cluster::default()
    }
}

fn lone(conf: &str, more: &str) -> Vec<String> {
    let cluster = Cluster {
        replicas: 1,
        conf: conf.to_owned(),
        more: more.to_owned(),
        ..Cluster::default()
    };
    only("lone-cluster", &cluster.findings())
}

#[test]
fn one_server_with_jetstream_needs_no_cluster() {
    let found = [
        "warn lone-cluster data[\"nats.conf\"].cluster.routes: the routes of StatefulSet messaging/nats lead to nobody but itself",
    ];
    let conf = |js: &str, route: &str, more: &str| {
        format!(
            "server_name: a\n{js}\ncluster {{ name: a, port: 6222, routes: [\"{route}\"] }}\n{more}"
        )
    };
    let js = "jetstream: enabled";
    for route in [
        full(0),
        full(1),
        "nats://nats-headless:6222".to_owned(),
        "nats://localhost:6222".to_owned(),
    ] {
        assert_eq!(lone(&conf(js, &route, ""), ""), found, "{route}");
    }
    let other = "nats://other-0.other.messaging.svc.cluster.local:6222";
    let leaf = "leafnodes { remotes: [{url: \"nats://hub\"}] }";
    for fine in [
        conf("", &full(0), ""),
        conf(js, other, ""),
        conf(js, &full(0), "gateway { name: a, port: 7222 }"),
        conf(js, &full(0), leaf),
        "server_name: a\njetstream: enabled".to_owned(),
    ] {
        assert_eq!(lone(&fine, ""), [""; 0], "{fine}");
    }
    let several = with("name: a", &all());
    assert_eq!(only("lone-cluster", &several.findings()), [""; 0]);
}

#[test]
fn one_server_of_each_zone_is_not_alone() {
    let conf = "server_name: a\njetstream: enabled\ncluster { name: zones, port: 6222, routes: [\"nats://nats-headless:6222\"] }";
    let sibling = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: other, namespace: messaging}
spec:
  replicas: 1
  serviceName: nats-headless
  selector: {matchLabels: {app: APP}}
  template:
    metadata: {labels: {app: APP}}
    spec:
      containers: [{name: nats, image: 'nats:2.14.5', args: [-js, --cluster_name, NAME, --cluster, 'nats://0.0.0.0:6222']}]
";
    let with = |app: &str, name: &str| {
        lone(conf, &sibling.replace("APP", app).replace("NAME", name)).len()
    };
    assert_eq!(with("nats", "other"), 0, "behind one Service");
    assert_eq!(with("other", "zones"), 0, "of one name");
    assert_eq!(with("other", "other"), 1);
}

#[test]
fn routes_get_the_credentials_that_the_cluster_demands() {
    let cluster = with(
        "authorization { user: mesh, password: \"p@ss/w%rd$\" }",
        &all(),
    );
    assert_eq!(
        only("routes-without-credentials", &cluster.findings())[0],
        "fix routes-without-credentials data[\"nats.conf\"].cluster.routes[0]: \
         nats://nats-0.nats-headless.messaging.svc.cluster.local:6222 of StatefulSet messaging/nats"
    );
    let with_userinfo: Vec<String> = all()
        .iter()
        .map(|route| route.replace("nats://", "nats://mesh:p%40ss%2Fw%25rd%24@"))
        .collect();
    assert_eq!(cluster.repaired_routes(), with_userinfo);
    // So do the routes that a Service becomes.
    let service = ["nats://nats-headless:6222".to_owned()];
    let cluster = with(
        "authorization { user: mesh, password: \"p@ss/w%rd$\" }",
        &service,
    );
    assert_eq!(cluster.repaired_routes(), with_userinfo);
}

#[test]
fn credentials_stay_where_they_are() {
    let answer = |cluster: &Cluster| {
        let found = only("routes-without-credentials", &cluster.findings());
        found
            .iter()
            .map(|line| line.split(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    // A hash is not the password.
    let hashed = with("authorization { user: mesh, password: $2a$11$abc }", &all());
    assert_eq!(answer(&hashed), ["deny"; 3]);
    let from_a_variable = with("authorization { user: mesh, password: $PASSWORD }", &all());
    assert_eq!(answer(&from_a_variable), ["deny"; 3]);
    let mut elsewhere = with("include ../auth/auth.conf", &all());
    elsewhere.volumes = ", {name: auth, secret: {secretName: auth}}".to_owned();
    elsewhere.mounts = ", {name: auth, mountPath: /etc/auth}".to_owned();
    assert_eq!(
        answer(&elsewhere),
        [""; 0],
        "the Secret is not in the input"
    );
    elsewhere.more = "apiVersion: v1\nkind: Secret\nmetadata: {name: auth, namespace: messaging}\n\
                      stringData: {auth.conf: 'authorization { user: mesh, password: pw }'}\n"
        .to_owned();
    assert_eq!(answer(&elsewhere), ["deny"; 3]);

    let some = [
        "nats://mesh:pw@nats-0.nats-headless.messaging.svc.cluster.local:6222".to_owned(),
        full(1),
        full(2),
    ];
    assert_eq!(
        answer(&with(
            "authorization { user: mesh, password: $PASSWORD }",
            &some
        )),
        ["warn"; 2]
    );
    assert_eq!(
        answer(&with("authorization { user: $USER, password: pw }", &all())),
        [""; 0]
    );
    assert_eq!(
        answer(&with("authorization { timeout: 2 }", &all())),
        [""; 0]
    );
    assert_eq!(
        answer(&with(
            "authorization { user: mesh, password: pw }\n  tls { verify_and_map: true }",
            &all()
        )),
        [""; 0]
    );
}

#[test]
fn a_variable_inside_a_string_is_pointed_out() {
    let found = |conf: &str| {
        let cluster = Cluster {
            replicas: 1,
            conf: conf.to_owned(),
            ..Cluster::default()
        };
        let of = only("literal-variable", &cluster.findings());
        of.iter()
            .map(|line| {
                line.split(' ')
                    .nth(2)
                    .unwrap()
                    .trim_end_matches(':')
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let at = |path: &str| vec![format!("data[\"nats.conf\"].{path}")];
    assert_eq!(found("server_name: \"$POD_NAME\""), at("server_name"));
    assert_eq!(found("server_name: nats-$POD_NAME"), at("server_name"));
    assert_eq!(found("jetstream { key: \"$JS_KEY\" }"), at("jetstream.key"));
    assert_eq!(found("cluster { name: '$(NAME)' }"), at("cluster.name"));
    assert_eq!(
        found("cluster { name: \"<no value>\" }"),
        at("cluster.name")
    );
    for route in [
        "nats://$HOST:6222",
        "nats://a:$PORT",
        "nats://$USER:$PASSWORD@a:6222",
        "nats://u:%3Cno+value%3E@a:6222",
    ] {
        assert_eq!(
            found(&format!("cluster {{ port: 6222, routes: [\"{route}\"] }}")),
            at("cluster.routes[0]"),
            "{route}"
        );
    }
    for fine in [
        "server_name: $POD_NAME",
        "server_name: \"${POD_NAME}\"",
        "server_name: a$1",
        "jetstream { key: \"a$JS_KEY\" }",
        "cluster { port: 6222, routes: [\"nats://u:pa$Word@a:6222\"] }",
        "authorization { password: \"$2a$11$abc\" }",
    ] {
        assert_eq!(found(fine), [""; 0], "{fine}");
    }
}

const TLS: &str =
    "tls { cert_file: /etc/tls/tls.crt, key_file: /etc/tls/tls.key, ca_file: /etc/tls/ca.crt }";

/// A cluster with TLS whose Secret another object foretells.
fn foretold(by: &str) -> Cluster {
    Cluster {
        volumes: ", {name: tls, secret: {secretName: tls}}".to_owned(),
        mounts: ", {name: tls, mountPath: /etc/tls}".to_owned(),
        more: by.to_owned(),
        ..with(TLS, &all())
    }
}

fn certificate(names: &str, usages: &str) -> String {
    format!(
        "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: tls, namespace: messaging}}\n\
         spec: {{secretName: tls, dnsNames: [{names}]{usages}}}\n"
    )
}

#[test]
fn a_certificate_for_one_side_only_is_refused() {
    let of = |usages: &str| {
        let name = "'*.nats-headless.messaging.svc.cluster.local'";
        only(
            "uncovered-routes",
            &foretold(&certificate(name, usages)).findings(),
        )
    };
    let refused = [
        "deny uncovered-routes data[\"nats.conf\"].cluster.tls: the certificate of StatefulSet messaging/nats is for servers or \
         for clients only",
    ];
    assert_eq!(of(", usages: [server auth]"), refused);
    assert_eq!(of(", usages: [client auth, digital signature]"), refused);
    for fine in [
        "",
        ", usages: [digital signature, key encipherment]",
        ", usages: [server auth, client auth]",
        ", usages: [any]",
    ] {
        assert_eq!(of(fine), [""; 0], "{fine}");
    }
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: nats-headless, namespace: messaging, annotations: \
                   {service.beta.openshift.io/serving-cert-secret-name: tls}}\n\
                   spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: nats}}\n";
    let mut by_openshift = foretold(service);
    by_openshift.service = String::new();
    assert_eq!(only("uncovered-routes", &by_openshift.findings()), refused);
}

#[test]
fn routes_get_names_that_the_certificate_covers() {
    let cluster = foretold(&certificate(
        "'*.nats-headless.messaging.svc', '*.nats-headless'",
        "",
    ));
    assert_eq!(
        cluster.repaired_routes()[2],
        "nats://nats-2.nats-headless.messaging.svc:6222"
    );
    let one = foretold(&certificate(
        "nats-0.nats-headless.messaging.svc.cluster.local",
        "",
    ));
    assert_eq!(only("uncovered-routes", &one.findings()), [""; 0]);
    let none = foretold(&certificate("nats.example.org", ""));
    assert_eq!(
        only("uncovered-routes", &none.findings()),
        [
            "deny uncovered-routes data[\"nats.conf\"].cluster.routes: the certificate of StatefulSet messaging/nats has no name of \
          a pod"
        ]
    );
}

#[test]
fn what_the_governing_service_serves_to_clients_is_said() {
    let remedy = |ports: &str, container: &str| {
        let cluster = Cluster {
            service: format!("{{clusterIP: None, selector: {{app: nats}}, ports: [{ports}]}}"),
            ..with("", &all())
        };
        let text = cluster
            .bundle()
            .objects()
            .iter()
            .map(|object| {
                object
                    .value
                    .to_string()
                    .replace("\"name\":\"nats\",\"volumeMounts\"", container)
            })
            .collect::<Vec<_>>()
            .join("\n---\n");
        let (report, _) = check(&bundle(&text), &Settings::default());
        let found = report
            .findings
            .iter()
            .find(|judged| judged.finding.policy == "unresolvable-peers");
        found.unwrap().finding.remedy.clone()
    };
    let both = "set publishNotReadyAddresses: true; clients that use its port 4222 get pods that are not ready then, so give \
                them a Service of their own";
    let keep = "\"name\":\"nats\",\"volumeMounts\"";
    assert_eq!(remedy("{port: 4222}", keep), both);
    assert_eq!(
        remedy("{port: 6222}", keep),
        "set publishNotReadyAddresses: true"
    );
    let named = "\"ports\":[{\"name\":\"client\",\"containerPort\":4222}],\"name\":\"nats\",\"volumeMounts\"";
    assert_eq!(
        remedy("{port: 80, targetPort: client}", named),
        both.replace("4222", "80")
    );
}

#[test]
fn a_headless_service_that_is_there_is_named() {
    let second = "apiVersion: v1\nkind: Service\nmetadata: {name: nats-peers, namespace: messaging}\n\
                  spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: nats}}\n";
    let remedies = |more: &str, replicas: u32| {
        let cluster = Cluster {
            replicas,
            service: "{clusterIP: 10.96.0.7, selector: {app: nats}}".to_owned(),
            more: more.to_owned(),
            ..Cluster::with_routes(&["nats://nats-headless:6222"])
        };
        let (report, _) = check(&cluster.bundle(), &Settings::default());
        let remedies = report
            .findings
            .iter()
            .map(|judged| judged.finding.remedy.clone());
        remedies.collect::<Vec<_>>()
    };
    assert_eq!(
        remedies(second, 3),
        [
            "name Service nats-peers, which is headless, in spec.serviceName, and name each pod in the routes",
            "name Service nats-peers, which is headless, in spec.serviceName instead of nats-headless"
        ]
    );
    assert_eq!(
        remedies("", 1),
        [
            "remove the route, or the whole cluster block: without other workloads in the cluster a single server has no peers"
        ]
    );
}
