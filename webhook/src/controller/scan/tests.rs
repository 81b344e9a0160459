#![allow(
    clippy::await_holding_lock,
    reason = "the guards are dropped before, by name"
)]

mod apiserver;

use http::StatusCode;
use prometheus_client::encoding::text::encode;
use serde_json::{Value, json};

use super::*;
use crate::facts::cluster::Kube;
use apiserver::Apiserver;

/// A server, a scanner before it, and its metrics.
struct Bed {
    server: Apiserver,
    scanner: Scanner,
    settings: Arc<ArcSwap<Settings>>,
    registry: Registry,
}

const REPORTS: &str = "/apis/openreports.io/v1alpha1/namespaces";
const POLICY_REPORTS: &str = "/apis/wgpolicyk8s.io/v1alpha2/namespaces";

fn settings(exemptions: &Value) -> Arc<Settings> {
    let settings = json!({
        "action": "off",
        "policies": {"network-filesystem": {"action": "deny"}},
        "exemptions": exemptions,
    });
    let mut settings: Settings = serde_json::from_value(settings).unwrap();
    settings.today = Some("2027-07-01".to_owned());
    Arc::new(settings)
}

/// A workload with its store on NFS, or in the pod.
fn workload(image: &str, on_nfs: bool) -> Value {
    let args = match image {
        "nats" => json!([
            "-c",
            "/etc/nats/nats.conf",
            "-js",
            "-sd",
            "/data",
            "--cluster",
            "nats://0.0.0.0:6222",
            "--routes",
            "nats://nats-0.nats:6222"
        ]),
        _ => json!(["-D", "/data"]),
    };
    let volume = if on_nfs {
        json!({"name": "store", "nfs": {"server": "10.0.0.1", "path": "/x"}})
    } else {
        json!({"name": "store", "hostPath": {"path": "/x"}})
    };
    json!({
        "metadata": {"managedFields": [{"manager": "helm"}]},
        "spec": {
            "replicas": 1, "serviceName": "nats",
            "template": {"spec": {
                "containers": [{
                    "name": "nats", "image": image, "args": args,
                    "volumeMounts": [{"name": "store", "mountPath": "/data"}, {"name": "config", "mountPath": "/etc/nats"}],
                }],
                "volumes": [volume, {"name": "config", "configMap": {"name": "nats"}}],
            }},
        },
    })
}

fn set(namespace: &str, name: &str) -> String {
    format!("/apis/apps/v1/namespaces/{namespace}/statefulsets/{name}")
}

impl Bed {
    /// `legacy` and `kube-system`, which nobody looks at, have `bad` on NFS, `shop` has `good` and a database, and a Deployment on NFS.
    fn new(reports: Reports, kinds: &[Kind]) -> Self {
        let server = Apiserver::default();
        let mut world = server.lock();
        world.kinds.extend(kinds);
        world.put(&set("legacy", "bad"), workload("nats", true));
        world.put(&set("shop", "good"), workload("nats", false));
        world.put(&set("shop", "database"), workload("postgres", true));
        world.put(&set("kube-system", "bad"), workload("nats", true));
        let front = "/apis/apps/v1/namespaces/shop/deployments/front";
        world.put(front, workload("nats", true));
        drop(world);
        let settings = Arc::new(ArcSwap::new(settings(&json!([]))));
        let mut registry = Registry::with_prefix("natsguard");
        let options = Options {
            every: Duration::from_mins(10),
            reports,
        };
        let cluster: Arc<dyn Cluster> = Arc::new(Kube::new(server.client()));
        let (client, shared) = (server.client(), Arc::clone(&settings));
        let scope = Scope::new(
            server.client(),
            "natsguard",
            kube::core::Selector::default(),
        );
        let scanner = Scanner::new(
            client,
            cluster,
            shared,
            Arc::default(),
            scope,
            options,
            &mut registry,
        );
        Self {
            server,
            scanner,
            settings,
            registry,
        }
    }

    /// Reports as `namespace/name`, by the beginning of their paths.
    fn reports(&self, prefix: &str) -> Vec<String> {
        let world = self.server.lock();
        let under = world
            .objects
            .keys()
            .filter_map(|path| path.strip_prefix(prefix));
        under
            .map(|path| {
                let parts: Vec<&str> = path.split('/').collect();
                format!("{}/{}", parts[1], parts[3])
            })
            .collect()
    }

    fn report(&self, id: &str) -> Value {
        let (namespace, name) = id.split_once('/').unwrap();
        let path = format!("{REPORTS}/{namespace}/reports/{name}");
        self.server.lock().objects[&path].clone()
    }

    fn writes(&self) -> Vec<String> {
        self.server.lock().writes()
    }

    fn events(&self) -> Vec<String> {
        std::mem::take(&mut self.server.lock().events)
    }

    /// The lines of a metric.
    fn metric(&self, name: &str) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let lines = text.lines().filter(|line| line.starts_with(name));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

const ALL: [&str; 3] = [
    "legacy/natsguard-statefulset-bad",
    "shop/natsguard-deployment-front",
    "shop/natsguard-statefulset-good",
];

const FAULTS: [&str; 2] = [
    r#"natsguard_standing_faults{policy="network-filesystem",namespace="legacy",action="deny"} 1"#,
    r#"natsguard_standing_faults{policy="network-filesystem",namespace="shop",action="deny"} 1"#,
];

#[tokio::test]
async fn each_nats_workload_has_a_report_that_is_written_once() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report, Kind::PolicyReport]);
    let expected = Outcome {
        workloads: 3,
        beyond: 0,
        faults: 2,
        kind: Some(Kind::Report),
        written: 3,
        removed: 0,
        failures: 0,
        refused: 0,
    };
    assert_eq!(bed.scanner.once().await, expected);
    assert_eq!(bed.reports(REPORTS), ALL);
    assert_eq!(bed.reports(POLICY_REPORTS), [""; 0]);
    assert_eq!(
        bed.report(ALL[0])["results"][0]["policy"],
        "network-filesystem"
    );
    assert_eq!(bed.report(ALL[2])["summary"]["pass"], 1);
    let asked = bed.server.lock().asked.clone();
    assert!(
        !asked.iter().any(|asked| asked.contains("/secrets")),
        "{asked:?}"
    );
    // The lists of a namespace are read once.
    let services = "GET /api/v1/namespaces/shop/services";
    assert_eq!(asked.iter().filter(|asked| *asked == services).count(), 1);
    bed.writes();
    let again = Outcome {
        written: 0,
        ..expected
    };
    assert_eq!(bed.scanner.once().await, again);
    assert_eq!(bed.writes(), [""; 0]);
    assert_eq!(bed.events(), [""; 0]);
    assert_eq!(bed.metric("natsguard_standing_faults{"), FAULTS);
    assert_eq!(
        bed.metric("natsguard_scan_workloads"),
        ["natsguard_scan_workloads 3"]
    );
    assert_eq!(
        bed.metric("natsguard_scan_failures"),
        ["natsguard_scan_failures_total 0"]
    );
    assert_eq!(
        bed.metric("natsguard_scan_duration_seconds_count"),
        ["natsguard_scan_duration_seconds_count 2"]
    );
}

#[tokio::test]
async fn a_report_goes_when_nothing_stands_behind_it() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    bed.scanner.once().await;
    {
        let mut world = bed.server.lock();
        world.objects.remove(&set("legacy", "bad"));
        world.put(&set("shop", "good"), workload("postgres", false));
        // Anybody can write a label.
        let label = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "natsguard"}}});
        world.put(&format!("{REPORTS}/shop/reports/other"), label);
        world.forgets = true;
    }
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.written, outcome.removed, outcome.failures),
        (0, 2, 0)
    );
    assert!(!bed.server.lock().forgets);
    assert_eq!(bed.reports(REPORTS), [ALL[1], "shop/other"]);
    assert_eq!(bed.metric("natsguard_standing_faults{"), FAULTS[1..]);
}

#[tokio::test]
async fn reports_follow_the_kinds_that_the_cluster_has() {
    let bed = Bed::new(Reports::Auto, &[]);
    let outcome = bed.scanner.once().await;
    assert_eq!((outcome.kind, outcome.written), (None, 0));
    assert_eq!(bed.events().len(), 2);
    bed.server.lock().kinds.insert(Kind::PolicyReport);
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.kind, outcome.written),
        (Some(Kind::PolicyReport), 3)
    );
    bed.server.lock().kinds.insert(Kind::Report);
    let outcome = bed.scanner.once().await;
    assert_eq!(outcome.kind, Some(Kind::Report));
    assert_eq!(
        (outcome.written, outcome.removed, outcome.failures),
        (3, 3, 0)
    );
    assert_eq!(bed.reports(REPORTS), ALL);
    assert_eq!(bed.reports(POLICY_REPORTS), [""; 0]);
    assert_eq!(bed.events(), [""; 0]);
}

#[tokio::test]
async fn a_kind_that_was_asked_for_and_is_not_there_is_a_failure() {
    let bed = Bed::new(Reports::OpenReports, &[Kind::PolicyReport]);
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.kind, outcome.failures, outcome.written),
        (None, 1, 0)
    );
    let bed = Bed::new(Reports::PolicyReports, &[Kind::Report, Kind::PolicyReport]);
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.kind, outcome.failures),
        (Some(Kind::PolicyReport), 0)
    );
    assert_eq!(bed.reports(REPORTS), [""; 0]);
    assert_eq!(bed.reports(POLICY_REPORTS), ALL);
}

#[tokio::test]
async fn a_workload_that_cannot_be_read_keeps_its_report() {
    for broken in [
        "/api/v1/namespaces/legacy/services",
        "/api/v1/namespaces/legacy/configmaps",
    ] {
        let bed = Bed::new(Reports::Auto, &[Kind::Report]);
        bed.scanner.once().await;
        bed.writes();
        let mut world = bed.server.lock();
        world.broken.push(broken.to_owned());
        world.put(&set("legacy", "bad"), workload("nats", false));
        world.objects.remove(&set("shop", "good"));
        drop(world);
        let outcome = bed.scanner.once().await;
        assert_eq!((outcome.failures, outcome.removed), (1, 1), "{broken}");
        assert_eq!(bed.reports(REPORTS), ALL[..2]);
        assert_eq!(bed.writes().len(), 1);
        assert_eq!(bed.metric("natsguard_standing_faults{"), FAULTS);
        assert_eq!(
            bed.metric("natsguard_scan_failures"),
            ["natsguard_scan_failures_total 1"]
        );
    }
}

#[tokio::test]
async fn nobody_keeps_the_workloads_beside_his_own_from_being_reported() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    let with_map = |name: &str| {
        let mut workload = workload("nats", true);
        workload["spec"]["template"]["spec"]["volumes"][1]["configMap"]["name"] = json!(name);
        workload
    };
    let large = "x".repeat(4 << 20);
    let mut world = bed.server.lock();
    world.put(&set("legacy", "misnamed"), with_map("Nats"));
    world.put(&set("legacy", "large"), with_map("large"));
    world.put(
        "/api/v1/namespaces/legacy/configmaps/large",
        json!({"data": {"k": large}}),
    );
    world.put(&set("legacy", "unread"), with_map("lost"));
    let broken = "/api/v1/namespaces/legacy/configmaps/lost";
    world.broken.push(broken.to_owned());
    drop(world);
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.failures, outcome.workloads, outcome.faults),
        (1, 5, 4)
    );
    let legacy = ["bad", "large", "misnamed"];
    let legacy = legacy.map(|name| format!("legacy/natsguard-statefulset-{name}"));
    assert_eq!(bed.reports(REPORTS)[..3], legacy);
    let mut world = bed.server.lock();
    world.objects.remove(&set("legacy", "unread"));
    world.broken.clear();
    drop(world);
    assert_eq!(bed.scanner.once().await.failures, 0);
    let completed = bed.metric("natsguard_scan_completed_timestamp_seconds");
    assert!(!completed[0].ends_with(" 0"), "{completed:?}");
}

#[tokio::test]
async fn what_would_take_too_much_memory_keeps_its_report_and_is_no_failure() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    bed.scanner.once().await;
    let mut world = bed.server.lock();
    let mut dense = workload("nats", true);
    let pod = &mut dense["spec"]["template"]["spec"];
    pod["containers"][0]["env"] = json!(vec![json!({"name": "a"}); 10_000]);
    world.put(&set("legacy", "bad"), dense);
    // Anybody can write a large report under the name of ours.
    let name = &ALL[2]["shop/".len()..];
    let mut report = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "natsguard"}}});
    report["results"] = json!(vec![json!({"name": "a"}); 2000]);
    world.put(&format!("{REPORTS}/shop/reports/{name}"), report);
    drop(world);
    bed.writes();
    let outcome = bed.scanner.once().await;
    assert_eq!(
        (outcome.workloads, outcome.faults, outcome.failures),
        (3, 2, 0)
    );
    assert_eq!(bed.reports(REPORTS), ALL);
    assert_eq!(
        bed.writes(),
        [format!("PATCH {REPORTS}/shop/reports/{name}")]
    );
    assert_eq!(bed.report(ALL[2])["results"], json!([]));
}

#[tokio::test]
async fn a_namespace_holds_so_much_and_no_more() {
    let bed = Bed::new(Reports::None, &[]);
    let mut world = bed.server.lock();
    for index in 0..10 {
        let path = format!("/api/v1/namespaces/legacy/configmaps/{index}");
        let data = json!({"data": {"k": "x".repeat(2 << 20)}});
        world.put(&path, data);
    }
    drop(world);
    let cluster: Arc<dyn Cluster> = Arc::new(Kube::new(bed.server.client()));
    let namespace = Namespace::new("legacy", cluster);
    for _ in 0..2 {
        namespace.begin();
        let mut known = 0;
        for index in 0..10 {
            let map = &crate::facts::resource::CONFIG_MAPS;
            let query = crate::facts::Query::named(map, "legacy", &index.to_string());
            let answer = namespace.ask(&query).await;
            known += usize::from(matches!(answer, crate::facts::Known::Objects(_)));
        }
        assert_eq!((known, namespace.is_unread()), (5, false));
    }
}

#[tokio::test]
async fn what_the_apiserver_will_not_have_is_counted_and_the_scan_is_complete() {
    let over = r#"reports.openreports.io "a" is forbidden: exceeded quota: a"#;
    let right =
        r#"reports.openreports.io "a" is forbidden: User "b" cannot patch resource "reports""#;
    let reports = format!("{REPORTS}/legacy");
    let events = "/apis/events.k8s.io/v1/namespaces/legacy/events";
    for (kinds, path, code, message, expected) in [
        (
            &[Kind::Report][..],
            reports.as_str(),
            StatusCode::FORBIDDEN,
            over,
            (0, 1),
        ),
        (
            &[Kind::Report],
            &reports,
            StatusCode::FORBIDDEN,
            right,
            (1, 0),
        ),
        (
            &[Kind::Report],
            &reports,
            StatusCode::TOO_MANY_REQUESTS,
            "later",
            (1, 0),
        ),
        (
            &[],
            events,
            StatusCode::UNPROCESSABLE_ENTITY,
            "the name is too long",
            (0, 1),
        ),
    ] {
        let bed = Bed::new(Reports::Auto, kinds);
        let refuses = (path.to_owned(), code, message);
        bed.server.lock().refuses = Some(refuses);
        let outcome = bed.scanner.once().await;
        assert_eq!((outcome.failures, outcome.refused), expected, "{message}");
        let failures = bed.metric("natsguard_scan_failures");
        assert_eq!(failures, ["natsguard_scan_failures_total 1"]);
        let completed = bed.metric("natsguard_scan_completed_timestamp_seconds");
        assert_eq!(!completed[0].ends_with(" 0"), expected.0 == 0, "{message}");
    }
}

#[tokio::test]
async fn a_panic_costs_one_workload_or_one_report_and_is_counted() {
    let listed = "/apis/apps/v1/namespaces/legacy/statefulsets".to_owned();
    let report = format!("{REPORTS}/legacy/reports/natsguard-statefulset-bad");
    for (panics, written) in [(listed, 1), (report, 1)] {
        let bed = Bed::new(Reports::Auto, &[Kind::Report]);
        bed.scanner.once().await;
        let mut world = bed.server.lock();
        world.panics = Some(panics.clone());
        world.put(&set("legacy", "bad"), workload("nats", false));
        world.put(&set("shop", "good"), workload("nats", true));
        drop(world);
        let outcome = bed.scanner.once().await;
        assert_eq!((outcome.failures, outcome.removed), (1, 0), "{panics}");
        assert_eq!(outcome.written, written, "{panics}");
        assert_eq!(bed.reports(REPORTS), ALL);
        let completed = bed.metric("natsguard_scan_failures");
        assert_eq!(completed, ["natsguard_scan_failures_total 1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn reports_and_events_are_written_at_a_pace() {
    for (kinds, writes) in [(&[Kind::Report][..], 83), (&[], 82)] {
        let bed = Bed::new(Reports::Auto, kinds);
        let mut world = bed.server.lock();
        for index in 0..80 {
            let path = set("many", &format!("n{index}"));
            world.put(&path, workload("nats", true));
        }
        drop(world);
        let start = Instant::now();
        bed.scanner.once().await;
        assert_eq!(bed.writes().len(), writes);
        // A second's worth at once, and then one each 50 ms.
        let least = Duration::from_millis(50) * (u32::try_from(writes).unwrap() - 20);
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
    }
}

#[test]
fn what_is_said_of_all_workloads_fits_however_many_there_are() {
    assert_eq!(share(0), MAX_WORDS);
    for count in [1, 3, 200, 2000, 10_000, 100_000] {
        let all = share(count) * count;
        assert!((MAX_WORDS / 2..=MAX_WORDS).contains(&all), "{count}");
    }
    assert_eq!(share(1025), share(2048));
}

#[tokio::test]
async fn a_report_of_the_former_kind_stays_until_there_is_another() {
    let bed = Bed::new(Reports::Auto, &[Kind::PolicyReport]);
    bed.scanner.once().await;
    {
        let mut world = bed.server.lock();
        world.kinds.insert(Kind::Report);
        world
            .broken
            .push("/api/v1/namespaces/legacy/services".to_owned());
    }
    bed.scanner.once().await;
    assert_eq!(bed.reports(REPORTS), ALL[1..]);
    assert_eq!(bed.reports(POLICY_REPORTS), ALL[..1]);
    bed.server.lock().broken.clear();
    bed.scanner.once().await;
    assert_eq!(bed.reports(REPORTS), ALL);
    assert_eq!(bed.reports(POLICY_REPORTS), [""; 0]);
}

#[tokio::test]
async fn what_cannot_be_listed_keeps_its_reports() {
    for broken in [
        "/apis/apps/v1/deployments",
        "/apis/apps/v1/statefulsets",
        "/apis/openreports.io/v1alpha1",
        "/apis/wgpolicyk8s.io/v1alpha2",
        "/apis/openreports.io/v1alpha1/reports",
    ] {
        let bed = Bed::new(Reports::Auto, &[Kind::Report]);
        bed.scanner.once().await;
        bed.writes();
        bed.server.lock().broken.push(broken.to_owned());
        let outcome = bed.scanner.once().await;
        assert_eq!((outcome.failures, outcome.faults), (1, 2), "{broken}");
        assert_eq!(bed.reports(REPORTS), ALL, "{broken}");
        assert_eq!(bed.metric("natsguard_standing_faults{"), FAULTS, "{broken}");
        assert_eq!(bed.writes(), [""; 0], "{broken}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_reports_a_fault_is_said_on_its_workload_once_an_hour() {
    let bed = Bed::new(Reports::None, &[]);
    let says = |kind: &str, namespace: &str, name: &str| {
        format!(
            "{kind}/{name}: StandingFault: network-filesystem: JetStream's store lies on a network file system: volume \
             store of {kind} {namespace}/{name}: NFS: volume store, nfs; to mend it, put the store on a local disk or a \
             block device, as a StorageClass of such volumes gives"
        )
    };
    bed.scanner.once().await;
    assert_eq!(
        bed.events(),
        [
            says("StatefulSet", "legacy", "bad"),
            says("Deployment", "shop", "front")
        ]
    );
    bed.scanner.once().await;
    assert_eq!(bed.events(), [""; 0]);
    // Nor is it said again after it could not be read.
    let broken = "/api/v1/namespaces/legacy/services";
    bed.server.lock().broken.push(broken.to_owned());
    bed.scanner.once().await;
    bed.server.lock().broken.clear();
    bed.scanner.once().await;
    assert_eq!(bed.events(), [""; 0]);
    tokio::time::advance(Duration::from_hours(1)).await;
    bed.server.lock().objects.remove(&set("legacy", "bad"));
    bed.scanner.once().await;
    assert_eq!(bed.events(), [says("Deployment", "shop", "front")]);
    // What was gone is new when it comes back.
    bed.server
        .lock()
        .put(&set("legacy", "bad"), workload("nats", true));
    bed.scanner.once().await;
    assert_eq!(bed.events(), [says("StatefulSet", "legacy", "bad")]);
}

#[tokio::test]
async fn exemptions_that_are_no_good_are_pointed_out_once() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    bed.scanner.memory.lock().await.events.pod = Some(events::pod(
        "natsguard".to_owned(),
        "natsguard-0".to_owned(),
    ));
    let exemption = |namespace: &str, expires: &str| {
        json!({
            "policy": "network-filesystem", "namespace": namespace, "reason": "moves", "expires": expires,
        })
    };
    let exemptions = json!([
        exemption("legacy", "2027-12-31"),
        exemption("shop", "2027-06-30"),
        exemption("gone", "2027-12-31"),
    ]);
    bed.settings.store(settings(&exemptions));
    let outcome = bed.scanner.once().await;
    assert_eq!((outcome.faults, outcome.failures), (1, 0));
    assert_eq!(
        bed.events(),
        [
            "Pod/natsguard-0: ExpiredExemption: exemptions[1] (network-filesystem in shop): expired; renew it or remove it",
            "Pod/natsguard-0: UnusedExemption: exemptions[2] (network-filesystem in gone): lifts no fault of any workload; \
             correct it or remove it",
        ]
    );
    bed.scanner.once().await;
    assert_eq!(bed.events(), [""; 0]);
    let exemptions = [("gone", "unused"), ("legacy", "used"), ("shop", "expired")].map(|(namespace, state)| {
        format!(
            r#"natsguard_exemptions{{policy="network-filesystem",namespace="{namespace}",state="{state}"}} 1"#
        )
    });
    assert_eq!(bed.metric("natsguard_exemptions{"), exemptions);
    assert_eq!(bed.report(ALL[0])["results"][0]["result"], "skip");
    bed.settings.store(settings(&json!([])));
    bed.scanner.once().await;
    assert_eq!(bed.metric("natsguard_exemptions{"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn it_scans_on_and_on_and_counts_nothing_after_its_end() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    let ended = tokio::time::timeout(Duration::from_mins(35), bed.scanner.run()).await;
    assert!(ended.is_err());
    // After some seconds, and then every 9 to 11 minutes.
    let count = bed.metric("natsguard_scan_duration_seconds_count");
    assert_eq!(count, ["natsguard_scan_duration_seconds_count 4"]);
    assert_eq!(bed.metric("natsguard_standing_faults{"), [""; 0]);
    assert_eq!(
        bed.metric("natsguard_scan_workloads"),
        ["natsguard_scan_workloads 0"]
    );
}

#[test]
fn scans_come_at_times_that_differ_by_a_tenth() {
    let minute = Duration::from_mins(1);
    let of = |random| jittered(minute, random).as_millis();
    assert_eq!(
        (of(0), of(6000), of(12_000), of(12_001)),
        (54_000, 60_000, 66_000, 54_000)
    );
    assert_eq!(jittered(Duration::ZERO, u64::MAX), Duration::ZERO);
    assert!(jittered(Duration::MAX, u64::MAX) > minute);
}

#[test]
fn kinds_of_reports_are_named_as_on_the_command_line() {
    let names: Vec<String> = Reports::value_variants()
        .iter()
        .filter_map(|reports| Some(reports.to_possible_value()?.get_name().to_owned()))
        .collect();
    assert_eq!(names, ["auto", "openreports", "policyreports", "none"]);
}

#[tokio::test]
async fn who_leads_to_more_than_is_read_is_pointed_out_once_and_counted() {
    let bed = Bed::new(Reports::Auto, &[Kind::Report]);
    let mut crowded = workload("nats", false);
    let pod = &mut crowded["spec"]["template"]["spec"];
    pod["containers"][0]["args"] = json!(["-c", "/etc/nats/nats.conf"]);
    let names: Vec<String> = (0..100).map(|number| format!("c{number:02}")).collect();
    let includes = names
        .iter()
        .map(|name| format!("include {name}/nats.conf\n"));
    let file: String = includes.collect();
    for name in &names {
        let volume = json!({"name": name, "configMap": {"name": name}});
        pod["volumes"].as_array_mut().unwrap().push(volume);
        let mount = json!({"name": name, "mountPath": format!("/etc/nats/{name}")});
        let mounts = pod["containers"][0]["volumeMounts"].as_array_mut();
        mounts.unwrap().push(mount);
    }
    let map = "/api/v1/namespaces/shop/configmaps/nats";
    let data = json!({"metadata": {}, "data": {"nats.conf": file}});
    bed.server.lock().put(map, data);
    bed.server.lock().put(&set("shop", "crowded"), crowded);
    for said in [true, false] {
        let outcome = bed.scanner.once().await;
        assert_eq!((outcome.beyond, outcome.failures), (1, 0));
        let told = "StatefulSet/crowded: TooMuchToRead: it leads to 37 objects more than are read for one workload, so nobody \
                    can say that it is sound; name fewer";
        let expected: &[&str] = if said { &[told] } else { &[] };
        assert_eq!(bed.events(), expected);
    }
    assert_eq!(
        bed.metric("natsguard_scan_incomplete_workloads"),
        ["natsguard_scan_incomplete_workloads 1"]
    );
}
