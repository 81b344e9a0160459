//! What becomes of the routes of a cluster, case by case.

use natsguard_policies::engine::evaluate;
use natsguard_policies::policy::Action;
use natsguard_policies::settings::Settings;

use crate::support::{Cluster, bundle, check, findings, lines, settings};

const DOMAIN: &str = "nats-headless.messaging.svc.cluster.local:6222";

fn full(pod: u32) -> String {
    format!("nats://nats-{pod}.{DOMAIN}")
}

fn all(pods: u32) -> Vec<String> {
    (0..pods).map(full).collect()
}

fn repaired(routes: &[&str]) -> Vec<String> {
    Cluster::with_routes(routes).repaired_routes()
}

#[test]
fn a_service_becomes_one_route_to_each_pod() {
    for service in [
        "nats://nats-headless:6222",
        "nats://nats-headless.messaging:6222",
        "nats://nats-headless.messaging.svc:6222",
        "nats://nats-headless.messaging.svc.cluster.local:6222",
        "nats://nats:6222",
        "nats://localhost:6222",
        "nats-headless:6222",
        "\"//nats-headless:6222\"",
        "nats://nats-headless",
    ] {
        assert_eq!(repaired(&[service]), all(3), "{service}");
    }
}

#[test]
fn the_port_is_the_servers_not_the_services() {
    let cluster = Cluster::with_routes(&[
        "nats://nats-headless:7000",
        "nats://nats-0.nats-headless:7000",
    ]);
    assert_eq!(cluster.repaired_routes(), [full(1), full(2), full(0)]);
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:7000"]);
    cluster.conf = cluster
        .conf
        .replace("port: 6222", "listen: \"0.0.0.0:6333\"");
    assert_eq!(
        cluster.repaired_routes()[0],
        full(0).replace("6222", "6333")
    );
}

#[test]
fn scheme_userinfo_order_and_foreign_entries_stay() {
    let routes = repaired(&[
        "nats://other.example.org:6222",
        "nats-route://u%40:p@nats-headless:6222",
        "nats://10.0.0.1:6222",
    ]);
    assert_eq!(
        routes,
        [
            "nats://other.example.org:6222".to_owned(),
            format!("nats-route://u%40:p@nats-0.{DOMAIN}"),
            format!("nats-route://u%40:p@nats-1.{DOMAIN}"),
            format!("nats-route://u%40:p@nats-2.{DOMAIN}"),
            "nats://10.0.0.1:6222".to_owned(),
        ]
    );
}

#[test]
fn short_names_become_full_ones_in_place() {
    assert_eq!(
        repaired(&[
            "nats://nats-2.nats-headless:6222",
            "nats://nats-0.nats-headless.messaging.svc:6222",
            "nats://nats-1.nats-headless.messaging",
        ]),
        [full(2), full(0), full(1)]
    );
}

#[test]
fn a_name_with_a_final_dot_is_a_full_name() {
    let route = "nats://nats-0.nats-headless.messaging.svc.cluster.local.:6222";
    assert_eq!(
        repaired(&[route, &full(1), &full(2)]),
        [route.to_owned(), full(1), full(2)]
    );
}

#[test]
fn each_pod_ends_up_in_the_list_exactly_once() {
    assert_eq!(
        repaired(&[
            &full(0),
            &full(0),
            "nats://nats-0.nats-headless:6222",
            &full(7)
        ]),
        all(3)
    );
    assert_eq!(
        repaired(&["nats://nats-headless:6222", "nats://nats:6222", &full(1)]),
        [full(0), full(2), full(1)]
    );
    assert_eq!(
        repaired(&[
            "nats://nats-01.nats-headless:6222",
            &full(0),
            &full(1),
            &full(2)
        ]),
        all(3)
    );
}

#[test]
fn a_pod_under_another_domain_counts_as_listed() {
    let distant = "nats://nats-1.nats-headless.messaging.svc.other.domain:6222";
    assert_eq!(
        repaired(&[&full(0), distant]),
        [full(0), distant.to_owned(), full(2)]
    );
}

#[test]
fn pods_begin_at_the_first_ordinal() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.spec = "  ordinals: {start: 5}".to_owned();
    assert_eq!(cluster.repaired_routes(), [full(5), full(6), full(7)]);
}

#[test]
fn a_list_that_is_not_there_is_made() {
    for conf in [
        "cluster {\n  port: 6222\n}\n",
        "cluster: {port: 6222}\n",
        "cluster {\n  port: 6222\n  routes: []\n}\n",
    ] {
        let cluster = Cluster {
            conf: conf.to_owned(),
            ..Cluster::default()
        };
        assert_eq!(cluster.repaired_routes(), all(3), "{conf}");
    }
}

#[test]
fn routes_are_not_made_up_where_they_would_need_credentials() {
    let conf = "cluster {\n  port: 6222\n  authorization { user: a, password: b }\n}\n";
    let cluster = Cluster {
        conf: conf.to_owned(),
        ..Cluster::default()
    };
    assert_eq!(
        cluster.findings(),
        [
            "warn incomplete-routes data[\"nats.conf\"].cluster: StatefulSet messaging/nats has none to nats-0, nats-1, nats-2"
        ]
    );
}

#[test]
fn a_single_server_has_one_route_at_most() {
    let with = |routes: &[&str]| {
        let mut cluster = Cluster::with_routes(routes);
        cluster.replicas = 1;
        cluster.repaired_routes()
    };
    assert_eq!(with(&["nats://nats-headless:6222"]), all(1));
    assert_eq!(with(&[]), Vec::<String>::new());
    assert_eq!(with(&[&full(0), &full(1), &full(2)]), all(1));
}

#[test]
fn with_no_replicas_the_list_stays() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222", &full(4)]);
    cluster.replicas = 0;
    assert_eq!(
        cluster.repaired_routes(),
        ["nats://nats-headless:6222".to_owned(), full(4)]
    );
    assert_eq!(
        cluster.findings(),
        ["warn service-route data[\"nats.conf\"].cluster.routes[0]: \
          nats://nats-headless:6222 leads to any pod of StatefulSet messaging/nats"]
    );
}

#[test]
fn pods_behind_a_service_with_an_address_have_no_names() {
    let mut cluster = Cluster::with_routes(&[
        "nats://nats-headless:6222",
        "nats://nats-0.nats-headless:6222",
    ]);
    cluster.service = "{clusterIP: 10.96.0.9, selector: {app: nats}}".to_owned();
    assert_eq!(
        cluster.findings(),
        [
            "deny service-route data[\"nats.conf\"].cluster.routes[0]: \
             nats://nats-headless:6222 leads to any pod of StatefulSet messaging/nats",
            "deny unresolvable-peers spec.serviceName: \
             Service nats-headless of StatefulSet messaging/nats has an address of its own",
        ]
    );
}

#[test]
fn a_service_that_is_not_in_the_input_is_not_guessed() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.service = String::new();
    assert_eq!(
        cluster.findings(),
        [
            "warn service-route data[\"nats.conf\"].cluster.routes[0]: \
             nats://nats-headless:6222 leads to any pod of StatefulSet messaging/nats",
            "unchecked unresolvable-peers spec.serviceName: \
             Service nats-headless of StatefulSet messaging/nats is not in the input",
        ]
    );
    let mut live = cluster.bundle();
    live.set_live();
    assert_eq!(
        findings(&live)[1],
        "unchecked unresolvable-peers spec.serviceName: Service nats-headless of StatefulSet messaging/nats could not be read"
    );
    let remedies = |bundle| evaluate(bundle, &settings()).unchecked[0].remedy.clone();
    assert_eq!(
        remedies(&live),
        "see that Service nats-headless has clusterIP: None and publishNotReadyAddresses: true"
    );
    assert_eq!(
        remedies(&cluster.bundle()),
        "see that Service nats-headless has clusterIP: None and publishNotReadyAddresses: true, or pass it as well"
    );
    let mut cluster = Cluster::with_routes(&["nats://nats-0.nats-headless:6222"]);
    cluster.service = String::new();
    assert_eq!(cluster.repaired_routes(), all(3));
}

#[test]
fn a_name_that_nothing_in_the_input_has_is_pointed_out() {
    let cluster = Cluster::with_routes(&[&full(0), &full(1), &full(2), "nats://gone:6222"]);
    assert_eq!(
        cluster.findings(),
        [
            "unchecked service-route data[\"nats.conf\"].cluster.routes[3]: what nats://gone:6222 names is not in the input"
        ]
    );
}

#[test]
fn ready_peers_are_published() {
    let mut cluster = Cluster::with_routes(&[&full(0), &full(1), &full(2)]);
    cluster.service = "{clusterIP: None, selector: {app: nats}}".to_owned();
    let (report, repaired) = check(&cluster.bundle(), &settings());
    assert_eq!(
        lines(&report),
        [
            "fix unresolvable-peers spec.publishNotReadyAddresses: Service nats-headless of StatefulSet messaging/nats"
        ]
    );
    assert_eq!(
        repaired.bundle.objects()[1].value["spec"]["publishNotReadyAddresses"],
        true
    );
}

#[test]
fn gateways_leafnodes_and_streaming_are_not_touched() {
    let rest = "gateway {\n  name: a\n  port: 7222\n  gateways: [{name: b, urls: [nats://nats-headless:7222]}]\n}\n\
                leafnodes {\n  remotes: [{urls: [nats://nats-headless:7422]}]\n}\n\
                streaming {\n  cluster {\n    routes: [nats://nats-headless:6222]\n  }\n}\n# nats://nats-headless:6222\n";
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.conf += rest;
    let (_, repaired) = check(&cluster.bundle(), &settings());
    let text = repaired.bundle.objects()[0].value["data"]["nats.conf"]
        .as_str()
        .unwrap();
    assert!(text.ends_with(rest), "{text}");
}

#[test]
fn what_can_not_be_read_is_said_to_be_opaque() {
    let findings = |conf: &str| {
        Cluster {
            conf: conf.to_owned(),
            ..Cluster::default()
        }
        .findings()
    };
    let opaque = |field: &str, why: &str| {
        vec![format!(
            "warn opaque-routes {field}: StatefulSet messaging/nats: {why}"
        )]
    };
    let routes = "data[\"nats.conf\"].cluster.routes";
    assert_eq!(
        findings("cluster {\n  port: 6222\n  routes: $ROUTES\n}"),
        opaque(routes, "routes comes from a variable")
    );
    assert_eq!(
        findings("LIST: [nats://nats-headless:6222]\ncluster {\n  port: 6222\n  routes: $LIST\n}"),
        opaque(routes, "routes comes from a variable")
    );
    assert_eq!(
        findings("cluster {\n  port: 6222\n  routes: [$ONE]\n}"),
        opaque(&format!("{routes}[0]"), "a route comes from a variable")
    );
    assert_eq!(
        findings("cluster {\n  port: 6222\n  routes: [\"nats://${HOST}:6222\"]\n}"),
        opaque("data[\"nats.conf\"].cluster", "the file is a template")
    );
    assert_eq!(
        findings("cluster {\n  port: 6222\n  routes: \"nats://nats-headless:6222\"\n}"),
        opaque(routes, "routes is not an array")
    );
    let deep = "[".repeat(200);
    let deep = findings(&format!("cluster {{\n  port: 6222\n  routes: {deep}"));
    assert_eq!(
        deep[..1],
        opaque(
            "data[\"nats.conf\"]",
            "the file is more than natsguard reads: line 3, column 138: maps and arrays are nested too deeply"
        )
    );
}

#[test]
fn a_file_that_is_too_odd_to_edit_is_reported_and_left() {
    // Found by fuzzing: the entry before the brace swallows what is put after it.
    let conf =
        "{\n\"cluster\": {\n\"port\": 4222\n\" ,2 routes\": [\"a\"\n svc:6222s.crt\" ]\n }\n}";
    let cluster = Cluster {
        conf: conf.to_owned(),
        ..Cluster::default()
    };
    let (report, repaired) = check(&cluster.bundle(), &settings());
    assert_eq!(
        report.count(Action::Fix) > 0,
        repaired.bundle.objects() != cluster.bundle().objects()
    );
    let odd = "      affinity: everywhere\n";
    let text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: nats}\nspec:\n  replicas: 3\n  \
                selector: {matchLabels: {app: nats}}\n  template:\n    metadata: {labels: {app: nats}}\n    spec:\n"
        .to_owned()
        + odd
        + "      containers: [{image: nats, args: [-m, '8222']}]\n";
    assert_eq!(
        findings(&bundle(&text)),
        [
            "warn co-located-replicas spec.template.spec.affinity.podAntiAffinity: StatefulSet default/nats has 3 replicas"
        ]
    );
}

#[test]
fn names_that_can_not_be_are_not_written_into_routes() {
    let mut objects = Cluster::with_routes(&["nats://nats-0.nats-headless:6222"])
        .bundle()
        .objects()
        .to_vec();
    objects[2].value["spec"]["serviceName"] = "${APP}\"-headless".into();
    let bundle = natsguard_policies::bundle::Bundle::new(objects, Some("default"));
    assert_eq!(
        findings(&bundle),
        [
            "warn opaque-routes data[\"nats.conf\"].cluster.routes: StatefulSet messaging/nats: \
             its name, its namespace or its serviceName is no DNS label",
            "unchecked unresolvable-peers spec.serviceName: \
             Service ${APP}\"-headless of StatefulSet messaging/nats is not in the input",
        ]
    );
}

#[test]
fn subject_mappings_are_no_template() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.conf += "mappings { foo: \"bar.{{wildcard(1)}}\" } # {{ and ${ in a comment\n";
    assert_eq!(cluster.repaired_routes(), all(3));
    let template = cluster.conf.clone() + "debug_{{MODE}} = true\n";
    let cluster = Cluster {
        conf: template,
        ..Cluster::default()
    };
    assert_eq!(
        cluster.findings(),
        [
            "warn opaque-routes data[\"nats.conf\"].cluster: StatefulSet messaging/nats: the file is a template"
        ]
    );
}

#[test]
fn an_include_is_followed_and_its_routes_are_repaired_where_they_stand() {
    let mut cluster = Cluster {
        conf: "port: 4222\ninclude ./cluster.conf\n".to_owned(),
        volumes: ", {name: more, configMap: {name: more}}".to_owned(),
        mounts: ", {name: more, mountPath: /etc/nats/cluster.conf, subPath: part}".to_owned(),
        more: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more, namespace: messaging}\n\
               data:\n  part: |\n    cluster { port: 6222, routes: [nats://nats-headless:6222] }\n"
            .to_owned(),
        ..Cluster::default()
    };
    let (report, repaired) = check(&cluster.bundle(), &settings());
    assert_eq!(
        lines(&report),
        ["fix service-route data.part.cluster.routes[0]: \
          nats://nats-headless:6222 leads to any pod of StatefulSet messaging/nats"]
    );
    let text = repaired.bundle.objects()[3].value["data"]["part"]
        .as_str()
        .unwrap();
    assert_eq!(
        text,
        format!(
            "cluster {{ port: 6222, routes: [{}, {}, {}] }}\n",
            full(0),
            full(1),
            full(2)
        )
    );

    cluster.more = cluster.more.replace("part:", "other:");
    assert_eq!(
        cluster.findings(),
        [
            "deny refused-configuration data[\"nats.conf\"]: StatefulSet messaging/nats: line 2, column 9: the included file \
             does not exist"
        ]
    );
}

#[test]
fn an_include_that_may_exist_does_not_stand_in_the_way() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.conf += "include ./auth.conf\n";
    cluster.volumes = ", {name: auth, secret: {secretName: elsewhere}}".to_owned();
    cluster.mounts =
        ", {name: auth, mountPath: /etc/nats/auth.conf, subPath: auth.conf}".to_owned();
    assert_eq!(cluster.repaired_routes(), all(3));
}

#[test]
fn one_file_may_serve_two_workloads() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.more = "apiVersion: apps/v1
kind: StatefulSet
metadata: {name: other, namespace: messaging}
spec:
  replicas: 1
  serviceName: nats-headless
  selector: {matchLabels: {app: nats}}
  template:
    metadata: {labels: {app: nats}}
    spec:
      containers:
      - name: nats
        image: nats:2.14.5
        args: [-c, /etc/nats/nats.conf]
        volumeMounts: [{name: config, mountPath: /etc/nats}]
      volumes: [{name: config, configMap: {name: nats}}]
"
    .to_owned();
    let mut expected = all(3);
    expected.push(format!("nats://other-0.{DOMAIN}"));
    assert_eq!(cluster.repaired_routes(), expected);
    cluster.more = cluster.more.replace("replicas: 1", "replicas: 2").replace(
        "    spec:\n      containers",
        "    spec:\n      topologySpreadConstraints: [{maxSkew: 1, whenUnsatisfiable: DoNotSchedule, \
         topologyKey: kubernetes.io/hostname, labelSelector: {matchLabels: {app: nats}}}]\n      containers",
    );
    let mut expected = all(3);
    expected.extend((0..2).map(|pod| format!("nats://other-{pod}.{DOMAIN}")));
    assert_eq!(cluster.repaired_routes(), expected);
}

/// Another StatefulSet of one pod behind the same Services, with a file of its own or the same one.
fn sibling(name: &str, file: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: {name}, namespace: messaging}}\nspec:\n  \
         replicas: 1\n  serviceName: nats-headless\n  selector: {{matchLabels: {{app: nats}}}}\n  template:\n    \
         metadata: {{labels: {{app: nats}}}}\n    spec:\n      containers:\n      - {{name: nats, image: nats, \
         args: [-c, /etc/nats/nats.conf], volumeMounts: [{{name: config, mountPath: /etc/nats}}]}}\n      \
         volumes: [{{name: config, configMap: {{name: {file}}}}}]\n"
    )
}

#[test]
fn a_service_before_several_workloads_becomes_the_pods_of_them_all() {
    let expected = [
        format!("nats://nats-0.{DOMAIN}"),
        format!("nats://b-0.{DOMAIN}"),
        format!("nats://c-0.{DOMAIN}"),
    ];
    for file in ["nats", "other"] {
        let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
        cluster.replicas = 1;
        cluster.more = sibling("b", file) + &sibling("c", file);
        assert_eq!(cluster.repaired_routes(), expected, "{file}");
    }
}

#[test]
fn a_shared_file_is_repaired_only_when_all_that_use_it_agree() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.more = sibling("b", "nats").replace("replicas: 1", "replicas: 0");
    assert_eq!(cluster.repaired_routes(), ["nats://nats-headless:6222"]);
}

#[test]
fn what_would_not_resolve_is_not_written() {
    let mut cluster = Cluster::with_routes(&["nats://nats-headless:6222"]);
    cluster.service =
        "{clusterIP: None, publishNotReadyAddresses: true, selector: {app: other}}".to_owned();
    assert_eq!(cluster.repaired_routes(), ["nats://nats-headless:6222"]);
}

#[test]
fn a_port_that_can_not_be_read_is_not_taken_from_the_service() {
    for port in ["port: $P", "listen: $L"] {
        let mut cluster = Cluster::with_routes(&["nats://nats-headless:7777"]);
        cluster.conf = cluster.conf.replace("port: 6222", port);
        assert_eq!(cluster.repaired_routes(), ["nats://nats-headless:7777"]);
        assert!(
            cluster.findings()[0].starts_with("warn service-route"),
            "{:?}",
            cluster.findings()
        );
    }
}

#[test]
fn under_an_autoscaler_the_list_stays() {
    let mut cluster = Cluster::with_routes(&[&full(0), &full(1), &full(2), &full(3), &full(4)]);
    cluster.more = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n\
                    metadata: {name: nats, namespace: messaging}\n\
                    spec: {maxReplicas: 5, scaleTargetRef: {kind: StatefulSet, name: nats}}\n"
        .to_owned();
    assert_eq!(cluster.repaired_routes(), all(5));
}

#[test]
fn a_service_for_one_pod_is_a_name_for_it() {
    let routes: Vec<String> = (0..3)
        .map(|pod| format!("nats://nats-{pod}.messaging.svc.cluster.local:6222"))
        .collect();
    let mut cluster = Cluster::with_routes(&routes.iter().map(String::as_str).collect::<Vec<_>>());
    for pod in 0..3 {
        cluster.more += &format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{name: nats-{pod}, namespace: messaging}}\n\
             spec: {{selector: {{statefulset.kubernetes.io/pod-name: nats-{pod}}}}}\n"
        );
    }
    assert_eq!(cluster.repaired_routes(), routes);
    assert_eq!(cluster.findings(), Vec::<String>::new());
}

#[test]
fn under_tls_the_entry_that_is_covered_is_the_one_that_stays() {
    let routes: Vec<String> = (0..3)
        .map(|pod| format!("nats://nats-{pod}.nats-headless:6222"))
        .collect();
    let mut listed: Vec<&str> = routes.iter().map(String::as_str).collect();
    let long = full(0);
    listed.push(&long);
    assert_eq!(
        tls(Some("'*.nats-headless'"), &listed, false).repaired_routes(),
        routes
    );
    let uncovered = tls(Some("nats"), &["nats://nats-headless:6222"], false);
    assert_eq!(uncovered.repaired_routes(), ["nats://nats-headless:6222"]);
    assert!(
        uncovered
            .findings()
            .iter()
            .any(|line| line.starts_with("deny service-route"))
    );
}

#[test]
fn an_include_that_can_not_be_seen_is_not_taken_for_empty() {
    let mut cluster = Cluster::with_routes(&[]);
    cluster.conf = "cluster {\n  port: 6222\n  include ./routes.conf\n}\n".to_owned();
    cluster.volumes = ", {name: more, secret: {secretName: elsewhere}}".to_owned();
    cluster.mounts = ", {name: more, mountPath: /etc/nats/routes.conf, subPath: r}".to_owned();
    assert_eq!(
        cluster.findings(),
        [
            "unchecked opaque-routes spec.template.spec.containers[0]: StatefulSet messaging/nats: \
             the included file ./routes.conf is not in the input"
        ]
    );
}

#[test]
fn a_short_name_with_a_final_dot_is_foreign() {
    let route = "nats://nats-0.nats-headless.:6222";
    assert_eq!(repaired(&[route, &full(0), &full(1), &full(2)])[0], route);
}

#[test]
fn flags_override_the_file_and_are_repaired() {
    let bundle = |routes: &str| {
        bundle(&format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: nats}}\n\
             spec: {{clusterIP: None, publishNotReadyAddresses: true, selector: {{app: nats}}}}\n---\n\
             apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: nats}}\nspec:\n  replicas: 2\n  serviceName: nats\n  \
             selector: {{matchLabels: {{app: nats}}}}\n  template:\n    metadata: {{labels: {{app: nats}}}}\n    spec:\n      \
             containers: [{{image: nats, name: nats, args: [\"--cluster=nats://0.0.0.0:6222\", {routes}]}}]\n"
        ))
    };
    let args = |routes: &str| {
        let (_, repaired) = check(&bundle(routes), &settings());
        repaired.bundle.objects()[1].value["spec"]["template"]["spec"]["containers"][0]["args"]
            .clone()
    };
    let name = |pod: u32| format!("nats://u:p@nats-{pod}.nats.default.svc.cluster.local:6222");
    assert_eq!(
        args("\"-routes\", \"nats://u:p@nats:6222\"")[2],
        format!("{},{}", name(0), name(1))
    );
    assert_eq!(
        args("\"--routes=nats://u:p@nats-1.nats:6222\"")[1],
        format!("--routes={},{}", name(1), name(0))
    );
    let script = bundle("\"x\"");
    drop(script);
    assert!(
        findings(&bundle("\"--routes=$(ROUTES)\""))
            .iter()
            .any(|line| line
                == "warn opaque-routes spec.template.spec.containers[0].args[1]: \
                StatefulSet default/nats: --routes is put together when the container starts")
    );
}

/// Cluster TLS with a certificate that cert-manager will write.
fn tls(names: Option<&str>, routes: &[&str], insecure: bool) -> Cluster {
    let mut cluster = Cluster::with_routes(routes);
    let insecure = if insecure { "    insecure: true\n" } else { "" };
    cluster.conf = cluster.conf.replace(
        "  port: 6222\n",
        &format!("  port: 6222\n  tls {{\n    cert_file: /tls/tls.crt\n{insecure}  }}\n"),
    );
    cluster.volumes = ", {name: tls, secret: {secretName: nats-tls}}".to_owned();
    cluster.mounts = ", {name: tls, mountPath: /tls}".to_owned();
    if let Some(names) = names {
        cluster.more = format!(
            "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {{name: nats, namespace: messaging}}\n\
             spec: {{secretName: nats-tls, dnsNames: [{names}]}}\n"
        );
    }
    cluster
}

#[test]
fn under_tls_a_name_changes_only_to_one_that_the_certificate_covers() {
    let short = [
        "nats://nats-0.nats-headless:6222",
        "nats://nats-1.nats-headless:6222",
        "nats://nats-2.nats-headless:6222",
    ];
    let wildcard = "'*.nats-headless.messaging.svc.cluster.local'";
    assert_eq!(tls(Some(wildcard), &short, false).repaired_routes(), all(3));
    assert_eq!(tls(None, &short, true).repaired_routes(), all(3));
    assert_eq!(tls(None, &short, false).repaired_routes(), short);
    assert_eq!(
        tls(Some("'*.nats-headless'"), &short, false).repaired_routes(),
        short
    );
    assert_eq!(
        tls(Some("'*.nats-headless'"), &short, false).findings(),
        ["warn short-route data[\"nats.conf\"].cluster.routes: \
          the certificate of StatefulSet messaging/nats lacks *.nats-headless.messaging.svc.cluster.local"]
    );
    assert_eq!(
        tls(None, &short, false).findings(),
        [
            "warn short-route data[\"nats.conf\"].cluster.routes: cluster TLS of StatefulSet messaging/nats checks them, \
          and its certificate is not in the input"
        ]
    );
}

#[test]
fn under_tls_a_service_becomes_the_longest_name_that_is_covered() {
    let service = ["nats://nats-headless:6222"];
    let svc = tls(
        Some("'*.nats-headless', '*.nats-headless.messaging.svc'"),
        &service,
        false,
    );
    let expected: Vec<String> = (0..3)
        .map(|pod| format!("nats://nats-{pod}.nats-headless.messaging.svc:6222"))
        .collect();
    assert_eq!(svc.repaired_routes(), expected);
    let warning = svc.findings();
    assert!(
        warning
            .iter()
            .any(|line| line.ends_with("lacks *.nats-headless.messaging.svc.cluster.local")),
        "{warning:?}"
    );
    let unseen = tls(None, &service, false);
    assert_eq!(unseen.repaired_routes(), all(3));
    assert_eq!(unseen.findings().len(), 2);
}

#[test]
fn under_tls_added_routes_look_like_their_neighbours() {
    let one = ["nats://nats-0.nats-headless:6222"];
    let expected: Vec<String> = (0..3)
        .map(|pod| format!("nats://nats-{pod}.nats-headless:6222"))
        .collect();
    assert_eq!(tls(None, &one, false).repaired_routes(), expected);
}

#[test]
fn another_cluster_domain_is_the_platforms_to_say() {
    let settings = Settings {
        cluster_domain: Some("k8s.example.org".to_owned()),
        ..settings()
    };
    let (_, repaired) = check(
        &Cluster::with_routes(&["nats://nats-headless:6222"]).bundle(),
        &settings,
    );
    let text = repaired.bundle.objects()[0].value["data"]["nats.conf"]
        .as_str()
        .unwrap();
    assert!(
        text.contains("nats://nats-0.nats-headless.messaging.svc.k8s.example.org:6222"),
        "{text}"
    );
}

#[test]
fn the_settings_decide_what_is_done() {
    let bundle = Cluster::with_routes(&["nats://nats-headless:6222"]).bundle();
    for (action, expected) in [(Action::Deny, 1), (Action::Warn, 1), (Action::Off, 0)] {
        let settings = Settings {
            action: Some(action),
            ..settings()
        };
        let (report, repaired) = check(&bundle, &settings);
        assert_eq!(report.findings.len(), expected);
        assert_eq!(report.count(action), expected);
        assert_eq!(repaired.bundle.objects(), bundle.objects());
    }
}

#[test]
fn what_several_files_shape_is_reported_and_not_edited() {
    let mut objects = Cluster::with_routes(&["nats://nats-headless:6222"])
        .bundle()
        .objects()
        .to_vec();
    objects[0].frozen = Some("is made of several files");
    let bundle = natsguard_policies::bundle::Bundle::new(objects, Some("default"));
    assert_eq!(
        findings(&bundle),
        ["deny service-route data[\"nats.conf\"].cluster.routes[0]: \
          nats://nats-headless:6222 leads to any pod of StatefulSet messaging/nats"]
    );
    let (report, _) = check(&bundle, &settings());
    assert_eq!(
        report.findings[0].finding.remedy,
        "name each pod, as in nats://nats-0.nats-headless.messaging.svc.cluster.local:6222; ConfigMap nats is made of \
         several files"
    );
    assert_eq!(report.findings[0].frozen, Some(0));
}

#[test]
fn nothing_keeps_a_repair_away_that_nobody_wants() {
    let bundle = Cluster::with_routes(&["nats://nats-headless:6222"]).bundle();
    let mut objects = bundle.objects().to_vec();
    objects[0].frozen = Some("is made of several files");
    let bundle = natsguard_policies::bundle::Bundle::new(objects, Some("default"));
    let settings = Settings {
        action: Some(Action::Warn),
        ..settings()
    };
    let (report, _) = check(&bundle, &settings);
    let judged = &report.findings[0];
    assert_eq!((judged.action, judged.frozen), (Action::Warn, None));
}

#[test]
fn more_routes_than_any_cluster_has_are_not_judged() {
    let routes = |count| vec!["nats://nats-headless:6222"; count];
    let most = Cluster::with_routes(&routes(4096));
    assert_eq!(most.findings().len(), 4096);
    let more = Cluster::with_routes(&routes(4097));
    assert_eq!(
        more.findings(),
        [
            "warn opaque-routes data[\"nats.conf\"].cluster.routes: StatefulSet messaging/nats: there are more than 4096 of them"
        ]
    );
    let flag = Cluster {
        conf: String::new(),
        ..more
    };
    let routes = routes(4097).join(",");
    let mut objects = flag.bundle().objects().to_vec();
    let args = objects
        .last_mut()
        .and_then(|set| {
            set.value
                .pointer_mut("/spec/template/spec/containers/0/args")
        })
        .unwrap();
    *args = serde_json::json!([
        "--cluster=nats://0.0.0.0:6222",
        format!("--routes={routes}")
    ]);
    let report = findings(&natsguard_policies::bundle::Bundle::new(
        objects,
        Some("default"),
    ));
    assert_eq!(report.len(), 1, "{report:?}");
    assert!(report[0].starts_with("warn opaque-routes"), "{report:?}");
}
