use std::collections::{BTreeMap, BTreeSet};

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::Judged;
use natsguard_policies::policy::Action;
use natsguard_policies::settings::{Settings, Standing};
use serde_json::{Value, json};

use super::*;
use crate::live::Seen;

fn settings(exemptions: &Value) -> Settings {
    let settings = json!({
        "action": "off",
        "policies": {
            "network-filesystem": {"action": "deny"},
            "exposed-credentials": {"action": "warn"},
            "stateless-cluster": {"action": "warn"},
        },
        "exemptions": exemptions,
    });
    let mut settings: Settings = serde_json::from_value(settings).unwrap();
    settings.today = Some("2027-07-01".to_owned());
    settings
}

fn exemption(name: &str, expires: &str) -> Value {
    json!({
        "policy": "network-filesystem", "namespace": "legacy", "name": name, "reason": "moves in June",
        "expires": expires,
    })
}

/// On NFS, with a password among its arguments.
fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "nats", "namespace": "legacy", "uid": "u1"},
        "spec": {
            "replicas": 1, "serviceName": "nats",
            "selector": {"matchLabels": {"app": "nats"}},
            "template": {
                "metadata": {"labels": {"app": "nats"}},
                "spec": {
                    "containers": [{
                        "name": "nats", "image": "nats:2.14.5",
                        "args": ["-js", "-sd", "/data", "--user", "admin", "--pass", "hunter2"],
                        "volumeMounts": [{"name": "store", "mountPath": "/data"}],
                    }],
                    "volumes": [{"name": "store", "nfs": {"server": "10.0.0.1", "path": "/x"}}],
                },
            },
        },
    })
}

fn verdict(set: Value, settings: &Settings) -> Verdict {
    let mut bundle = Bundle::new(vec![Object::new(set)], Some("legacy"));
    bundle.set_live();
    let seen = Seen {
        absent: Vec::new(),
        bundle,
        id: 0,
        unknown: Vec::new(),
        late: Vec::new(),
        beyond: Vec::new(),
    };
    let report = seen.report(settings);
    Verdict::new(&seen, &report, settings, usize::MAX).unwrap()
}

fn sound() -> Value {
    let mut sound = set();
    let pod = &mut sound["spec"]["template"]["spec"];
    pod["containers"][0]["args"] = json!(["-js", "-sd", "/data"]);
    pod["volumes"] = json!([{"name": "store", "hostPath": {"path": "/x"}}]);
    sound
}

#[test]
fn a_report_says_what_stands_where_and_what_to_do() {
    let verdict = verdict(set(), &settings(&json!([])));
    let report = object(&verdict, Kind::Report);
    schema::check(&report);
    let expected = json!({
        "apiVersion": "openreports.io/v1alpha1",
        "kind": "Report",
        "metadata": {
            "name": "natsguard-statefulset-nats",
            "namespace": "legacy",
            "labels": {"app.kubernetes.io/managed-by": "natsguard"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nats", "uid": "u1"}],
        },
        "source": "natsguard",
        "scope": {"apiVersion": "apps/v1", "kind": "StatefulSet", "namespace": "legacy", "name": "nats", "uid": "u1"},
        "summary": {"pass": 1, "fail": 1, "warn": 1, "error": 0, "skip": 0},
        "results": [
            {
                "source": "natsguard",
                "category": "NATS",
                "policy": "network-filesystem",
                "rule": "JetStream's store lies on a network file system",
                "result": "fail",
                "severity": "high",
                "scored": true,
                "message": "JetStream's store lies on a network file system: volume store of StatefulSet legacy/nats: \
                    NFS: volume store, nfs; to mend it, put the store on a local disk or a block device, as a \
                    StorageClass of such volumes gives",
                "properties": {
                    "action": "deny", "field": "spec.template.spec.volumes[0].nfs", "object": "StatefulSet nats",
                },
            },
            {
                "source": "natsguard",
                "category": "NATS",
                "policy": "exposed-credentials",
                "rule": "credentials stand in the arguments of the container",
                "result": "warn",
                "severity": "low",
                "scored": false,
                "message": "credentials stand in the arguments of the container: --pass of StatefulSet legacy/nats; to \
                    mend it, move them to a configuration file in a Secret, or fill them in from one with $(VAR)",
                "properties": {
                    "action": "warn", "field": "spec.template.spec.containers[0].args[6]", "object": "StatefulSet nats",
                },
            },
        ],
    });
    assert_eq!(report, expected);
}

#[test]
fn a_policy_report_differs_by_its_type_and_where_its_source_stands() {
    let verdict = verdict(set(), &settings(&json!([])));
    let mut report = object(&verdict, Kind::Report);
    let policy_report = object(&verdict, Kind::PolicyReport);
    schema::check(&policy_report);
    report["apiVersion"] = json!("wgpolicyk8s.io/v1alpha2");
    report["kind"] = json!("PolicyReport");
    report.as_object_mut().unwrap().remove("source");
    assert_eq!(policy_report, report);
}

#[test]
fn a_sound_workload_passes_every_policy_and_has_no_results() {
    let verdict = verdict(sound(), &settings(&json!([])));
    let report = object(&verdict, Kind::Report);
    schema::check(&report);
    assert_eq!(
        report["summary"],
        json!({"pass": 3, "fail": 0, "warn": 0, "error": 0, "skip": 0})
    );
    assert_eq!(report["results"], json!([]));
}

#[test]
fn an_exempted_fault_is_skipped_with_reason_and_expiry() {
    let settings = settings(&json!([
        exemption("other", "2027-12-31"),
        exemption("nats", "2027-12-31")
    ]));
    let verdict = verdict(set(), &settings);
    assert_eq!(verdict.exemptions, BTreeSet::from([1]));
    let report = object(&verdict, Kind::Report);
    schema::check(&report);
    assert_eq!(report["summary"]["skip"], 1);
    assert_eq!(report["summary"]["fail"], 0);
    let skipped = &report["results"][1];
    assert_eq!(skipped["result"], "skip");
    assert_eq!(skipped["severity"], "info");
    assert_eq!(skipped["policy"], "network-filesystem");
    assert_eq!(
        skipped["properties"],
        json!({
            "exemption": "moves in June", "expires": "2027-12-31",
            "field": "spec.template.spec.volumes[0].nfs", "object": "StatefulSet nats",
        })
    );
}

#[test]
fn a_fault_says_that_its_exemption_expired() {
    let settings = settings(&json!([exemption("nats", "2027-06-30")]));
    let verdict = verdict(set(), &settings);
    let report = object(&verdict, Kind::Report);
    schema::check(&report);
    let result = &report["results"][0];
    assert_eq!(result["result"], "fail");
    assert_eq!(
        result["message"],
        "the exemption of network-filesystem in legacy expired on 2027-06-30: JetStream's store lies on a network file \
         system: volume store of StatefulSet legacy/nats: NFS: volume store, nfs; to mend it, put the store on a local \
         disk or a block device, as a StorageClass of such volumes gives"
    );
    assert_eq!(result["properties"]["expired"], "2027-06-30");
    assert_eq!(result["properties"]["exemption"], "moves in June");
}

#[test]
fn a_report_is_written_when_it_differs_and_faults_keep_their_time() {
    let verdict = verdict(set(), &settings(&json!([])));
    let wanted = object(&verdict, Kind::Report);
    let first = update(wanted.clone(), None, 100).unwrap();
    schema::check(&first);
    let times = |report: &Value| -> Vec<i64> {
        let results = report["results"].as_array().unwrap();
        results
            .iter()
            .map(|result| result["timestamp"]["seconds"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(times(&first), [100, 100]);
    let mut there = first;
    there["metadata"]["managedFields"] = json!([]);
    there["metadata"]["labels"]["team"] = json!("a");
    assert_eq!(update(wanted.clone(), Some(&there), 200), None);
    let mut owned = there.clone();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "u9"});
    let owners = owned["metadata"]["ownerReferences"].as_array_mut();
    owners.unwrap().insert(0, owner);
    assert_eq!(update(wanted.clone(), Some(&owned), 200), None);
    // One fault says something else.
    there["results"][1]["message"] = json!("before");
    let second = update(wanted.clone(), Some(&there), 200).unwrap();
    assert_eq!(times(&second), [100, 200]);
    for (pointer, value) in [
        ("/summary/pass", json!(7)),
        ("/source", json!("other")),
        ("/scope/uid", json!("u0")),
        ("/metadata/ownerReferences", json!([])),
        ("/results", json!([])),
    ] {
        let mut there = second.clone();
        *there.pointer_mut(pointer).unwrap() = value;
        assert!(
            update(wanted.clone(), Some(&there), 300).is_some(),
            "{pointer}"
        );
    }
}

#[test]
fn faults_with_the_same_words_are_written_once() {
    let mut verdict = verdict(set(), &settings(&json!([])));
    let fault = verdict.entries[0].clone();
    verdict.entries = vec![
        fault.clone(),
        verdict.entries[1].clone(),
        fault.clone(),
        fault,
    ];
    let wanted = object(&verdict, Kind::Report);
    let there = update(wanted.clone(), None, 100).unwrap();
    assert_eq!(update(wanted, Some(&there), 200), None);
}

#[test]
fn a_report_holds_so_many_results_and_its_summary_counts_them_all() {
    let mut bundle = Bundle::new(vec![Object::new(set())], Some("legacy"));
    bundle.set_live();
    let seen = Seen {
        absent: Vec::new(),
        bundle,
        id: 0,
        unknown: Vec::new(),
        late: Vec::new(),
        beyond: Vec::new(),
    };
    let settings = settings(&json!([]));
    let mut found = seen.report(&settings);
    let is_warning = |judged: &&Judged| judged.action == Action::Warn;
    let warning = found.findings.iter().find(is_warning).unwrap().clone();
    found.findings.splice(0..0, vec![warning; 999]);
    for (most, results) in [(usize::MAX, 50), (8 << 10, 9), (0, 1)] {
        let verdict = Verdict::new(&seen, &found, &settings, most).unwrap();
        let report = object(&verdict, Kind::Report);
        let kept = report["results"].as_array().unwrap();
        assert_eq!(kept.len(), results, "{most}");
        // What is worse is kept.
        assert_eq!(kept[0]["result"], "fail");
        let summary = json!({"pass": 1, "fail": 1, "warn": 1000, "error": 0, "skip": 0});
        assert_eq!(report["summary"], summary);
    }
}

#[test]
fn a_name_is_no_longer_than_kubernetes_allows_and_still_one_for_each() {
    let of = |named: String| {
        name(&Workload {
            namespace: "a".to_owned(),
            kind: "DaemonSet".to_owned(),
            name: named,
        })
    };
    assert_eq!(of("nats".to_owned()), "natsguard-daemonset-nats");
    let [one, other] =
        ["a", "b"].map(|end| of(format!("{}.{}{end}", "x".repeat(215), "y".repeat(36))));
    assert_eq!(one.len(), 252);
    assert_ne!(one, other);
    assert!(
        one.starts_with(&format!("natsguard-daemonset-{}-", "x".repeat(215))),
        "{one}"
    );
}

#[test]
fn faults_are_counted_and_exemptions_told_apart() {
    let settings = settings(&json!([
        exemption("exempt", "2027-12-31"),
        exemption("nats", "2027-06-30"),
        exemption("gone", "2027-12-31"),
    ]));
    let mut exempt = set();
    exempt["metadata"]["name"] = json!("exempt");
    let verdicts = [verdict(set(), &settings), verdict(exempt, &settings)];
    let summary = summarize(&verdicts, &Unread::default(), &settings);
    let key = |policy, action| (policy, "legacy".to_owned(), action);
    assert_eq!(
        summary.faults,
        BTreeMap::from([
            (key("exposed-credentials", Action::Warn), 2),
            (key("network-filesystem", Action::Deny), 1),
        ])
    );
    let told = [Standing::Used, Standing::Expired, Standing::Unused].map(Some);
    assert_eq!(summary.exemptions, told);
    // What was not read may be what an exemption is for.
    for unread in [
        Unread {
            kinds: BTreeSet::from(["Deployment"]),
            ..Unread::default()
        },
        Unread {
            workloads: verdicts[..1]
                .iter()
                .map(|one| one.workload.clone())
                .collect(),
            ..Unread::default()
        },
    ] {
        let summary = summarize(&verdicts, &unread, &settings);
        assert_eq!(summary.exemptions, [told[0], told[1], None]);
    }
    assert_eq!(
        super::exemption(2, &settings.exemptions[2]),
        "exemptions[2] (network-filesystem in legacy/gone)"
    );
}
