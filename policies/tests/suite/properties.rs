//! What holds of every deployment: repair converges, the patch makes the repaired object, credentials stay where they are.

use natsguard_policies::engine::Report;
use proptest::prelude::*;

use crate::support::{Cluster, check, settings};

/// Hosts of every kind, right and wrong.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("nats".to_owned()),
        Just("nats-headless".to_owned()),
        Just("nats-headless.messaging.svc.cluster.local".to_owned()),
        Just("localhost".to_owned()),
        Just("10.1.2.3".to_owned()),
        Just("other.example.org".to_owned()),
        Just("gone".to_owned()),
        (0..6_u32).prop_map(|pod| format!("nats-{pod}")),
        (0..6_u32, 0..6_usize).prop_map(|(pod, form)| {
            let suffix = [
                "",
                ".messaging",
                ".messaging.svc",
                ".messaging.svc.cluster.local",
                ".messaging.svc.cluster.local.",
                ".messaging.svc.other.domain",
            ][form];
            format!("nats-{pod}.nats-headless{suffix}")
        }),
    ]
}

fn route() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![
        Just("nats://"),
        Just("nats-route://"),
        Just("tls://"),
        Just("")
    ];
    let user = prop_oneof![
        Just(""),
        Just("user:MARKED-password@"),
        Just("MARKED-token@")
    ];
    let port = prop_oneof![Just(":6222"), Just(":7000"), Just("")];
    (scheme, user, host(), port)
        .prop_map(|(scheme, user, host, port)| format!("{scheme}{user}{host}{port}"))
}

/// A list in one of the styles that files have.
fn list(routes: &[String], style: usize) -> String {
    let quoted: Vec<String> = routes.iter().map(|route| format!("\"{route}\"")).collect();
    match style {
        0 => format!("[{}]", quoted.join(", ")),
        1 => format!("[\n    {}\n  ]", quoted.join(",\n    ")),
        2 => format!("[\n    {}\n  ]", routes.join("\n    ")),
        3 => format!("[\n    {},\n\n  ]", routes.join(",")),
        _ => format!(
            "[ # {{ a comment\n\t{} # and one more\n]",
            quoted.join(" # nats://nats:6222\n\t")
        ),
    }
}

fn cluster() -> impl Strategy<Value = Cluster> {
    let routes = proptest::collection::vec(route(), 1..6);
    (routes, 0..5_usize, 0..5_u32, 0..3_usize, 0..4_usize).prop_map(|(routes, style, replicas, tls, service)| {
        let mut cluster = Cluster { replicas, ..Cluster::default() };
        let block = ["", "  tls { cert_file: /tls/tls.crt }\n", "  tls { insecure: true }\n"][tls];
        cluster.conf = format!(
            "cluster {{\n  port: 6222\n{block}  routes = {}\n}}\ngateway {{ gateways: [{{url: nats://nats:7222}}] }}\n",
            list(&routes, style)
        );
        cluster.service = [
            "{clusterIP: None, publishNotReadyAddresses: true, selector: {app: nats}}",
            "{clusterIP: None, selector: {app: nats}}",
            "{clusterIP: 10.96.0.1, selector: {app: nats}}",
            "",
        ][service]
            .to_owned();
        cluster
    })
}

fn told(report: &Report) -> String {
    format!(
        "{:?}",
        report
            .findings
            .iter()
            .map(|judged| {
                let finding = &judged.finding;
                (
                    &finding.place.field,
                    finding.reason,
                    &finding.detail,
                    &finding.remedy,
                )
            })
            .collect::<Vec<_>>()
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn repair_converges_and_tells_no_credentials(cluster in cluster()) {
        let bundle = cluster.bundle();
        let (report, repaired) = check(&bundle, &settings());
        prop_assert!(!told(&report).contains("MARKED"), "{}", told(&report));
        prop_assert!(!told(&repaired.report).contains("MARKED"));
    }

    #[test]
    fn each_pod_is_listed_once_where_there_is_nothing_in_the_way(routes in proptest::collection::vec(route(), 1..6), style in 0..5_usize) {
        let cluster = Cluster {
            conf: format!("cluster {{\n  port: 6222\n  routes = {}\n}}\n", list(&routes, style)),
            ..Cluster::default()
        };
        let waits = routes.iter().any(|route| route.contains("gone"));
        let after = cluster.repaired_routes();
        for pod in 0..3 {
            let host = format!("nats-{pod}.nats-headless.messaging.svc.cluster.local");
            let distant = format!("nats-{pod}.nats-headless.messaging.svc.other.domain");
            let count = after.iter().filter(|route| {
                let route = route.replace(".local.:", ".local:");
                route.ends_with(&format!("{host}:6222"))
            }).count();
            let elsewhere = after.iter().any(|route| route.contains(&distant));
            prop_assert!(count == 1 || (count == 0 && (elsewhere || waits)), "{pod}: {after:?}");
        }
    }
}
