//! What the chart renders is what it is meant to be: typed, stable, with few rights.

use std::collections::BTreeSet;

use clap::Parser as _;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, PodSpec, ResourceQuota, Service, ServiceAccount};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use natsguard::args::{Args, Command};
use natsguard::rights::{Reach, needed};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::helm;

/// The fields of an object that its type does not have, or has with another type.
fn lost<T: DeserializeOwned + Serialize>(object: &Value) -> Vec<String> {
    match serde_json::from_value::<T>(object.clone()) {
        Ok(typed) => {
            let mut lost = Vec::new();
            let kept = serde_json::to_value(typed).expect("a type of Kubernetes can be written");
            compare(object, &kept, "", &mut lost);
            lost
        }
        Err(error) => vec![error.to_string()],
    }
}

fn compare(object: &Value, kept: &Value, path: &str, lost: &mut Vec<String>) {
    match (object, kept) {
        (Value::Object(fields), Value::Object(others)) => {
            for (key, value) in fields {
                let path = format!("{path}/{key}");
                match others.get(key) {
                    Some(other) => compare(value, other, &path, lost),
                    None => lost.push(path),
                }
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (index, (value, other)) in items.iter().zip(others).enumerate() {
                compare(value, other, &format!("{path}/{index}"), lost);
            }
        }
        (object, kept) if object == kept => {}
        (object, kept) => lost.push(format!("{path}: {object} is read as {kept}")),
    }
}

#[test]
fn a_field_that_a_type_does_not_have_is_found() {
    let service = json!({"apiVersion": "v1", "kind": "Service", "spec": {"port": [], "ports": [{"port": 1}]}});
    assert_eq!(lost::<Service>(&service), ["/spec/port"]);
}

#[test]
fn every_object_has_the_fields_of_its_type() {
    for values in helm::ci() {
        for object in helm::render(&values) {
            let kind = object["kind"].as_str().unwrap_or_default();
            let lost = match kind {
                "ClusterRole" => lost::<ClusterRole>(&object),
                "ClusterRoleBinding" => lost::<ClusterRoleBinding>(&object),
                "ConfigMap" => lost::<ConfigMap>(&object),
                "Deployment" => lost::<Deployment>(&object),
                "MutatingWebhookConfiguration" => lost::<MutatingWebhookConfiguration>(&object),
                "NetworkPolicy" => lost::<NetworkPolicy>(&object),
                "Pod" => lost::<Pod>(&object),
                "PodDisruptionBudget" => lost::<PodDisruptionBudget>(&object),
                "ResourceQuota" => lost::<ResourceQuota>(&object),
                "Role" => lost::<Role>(&object),
                "RoleBinding" => lost::<RoleBinding>(&object),
                "Service" => lost::<Service>(&object),
                "ServiceAccount" => lost::<ServiceAccount>(&object),
                "ValidatingWebhookConfiguration" => lost::<ValidatingWebhookConfiguration>(&object),
                // Of other projects; k8s-openapi has no types of these.
                "Certificate" | "Issuer" | "PrometheusRule" | "ServiceMonitor" => Vec::new(),
                other => panic!("{values}: a test of kind {other} is missing here"),
            };
            assert_eq!(lost, [""; 0], "{values}: {kind}");
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/instance"], "natsguard", "{kind}");
        }
    }
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    for values in helm::ci() {
        let arguments = ["--values", values.as_str()];
        let first = helm::template(&arguments).expect("it renders");
        assert!(
            first == helm::template(&arguments).expect("it renders"),
            "{values}"
        );
        // The namesakes of templates/uninstall.yaml would be applied over the real configurations.
        assert!(!first.contains("pre-delete"), "{values}");
    }
}

/// `scope apiGroup/resource[names]: verbs`, a line a resource.
fn rights(values: &str) -> Vec<String> {
    let objects = helm::render(values);
    let mut lines = Vec::new();
    for kind in ["ClusterRole", "Role"] {
        let words = |value: &Value| -> Vec<String> {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items
                .iter()
                .map(|word| word.as_str().expect("a word").to_owned())
                .collect()
        };
        for rule in helm::only(&objects, kind)["rules"]
            .as_array()
            .expect("rules")
        {
            let names = words(&rule["resourceNames"]);
            let names = if names.is_empty() {
                String::new()
            } else {
                format!("[{}]", names.join(" "))
            };
            for group in words(&rule["apiGroups"]) {
                for resource in words(&rule["resources"]) {
                    let verbs = words(&rule["verbs"]).join(" ");
                    lines.push(format!("{kind} {group}/{resource}{names}: {verbs}"));
                }
            }
        }
    }
    lines
}

/// Every right that natsguard has. A longer list is a decision, not a detail.
const RIGHTS: [&str; 12] = [
    "ClusterRole /configmaps: get",
    "ClusterRole /persistentvolumeclaims: get",
    "ClusterRole /persistentvolumes: get list",
    "ClusterRole /services: get list",
    "ClusterRole storage.k8s.io/storageclasses: get list",
    "ClusterRole apps/statefulsets: list",
    "ClusterRole /nodes: list",
    "ClusterRole admissionregistration.k8s.io/mutatingwebhookconfigurations[natsguard]: get patch",
    "ClusterRole admissionregistration.k8s.io/validatingwebhookconfigurations[natsguard]: get patch",
    "Role /secrets: create",
    "Role /secrets[natsguard-ca]: get update",
    "Role /events: create",
];

#[test]
fn these_are_all_rights() {
    assert_eq!(rights("ci/default-values.yaml"), RIGHTS);
    let mut with_secrets: Vec<String> = RIGHTS
        .iter()
        .map(|line| line.replace("natsguard", "guard"))
        .collect();
    with_secrets.insert(8, "ClusterRole /secrets: get".to_owned());
    assert_eq!(rights("ci/everything-values.yaml"), with_secrets);
    // Where somebody else makes the certificate there is nothing to write.
    let reading: Vec<String> = RIGHTS
        .iter()
        .filter(|line| !line.contains("/secrets"))
        .map(|line| line.replace(" patch", ""))
        .collect();
    for values in [
        "ci/cert-manager-values.yaml",
        "ci/openshift-values.yaml",
        "ci/secret-values.yaml",
    ] {
        assert_eq!(rights(values), reading, "{values}");
    }
}

/// One list says what natsguard needs; `doctor`, as the chart starts it, asks for the same.
#[test]
fn the_chart_grants_what_is_needed_and_no_more() {
    for values in helm::ci() {
        let granted: Vec<String> = rights(&values)
            .iter()
            .flat_map(|line| {
                let (what, verbs) = line.split_once(": ").expect("verbs");
                verbs.split(' ').map(move |verb| format!("{what}: {verb}"))
            })
            .collect();
        let [_, pod] = pods(&helm::render(&values));
        let line = pod.containers[0].args.clone().expect("arguments");
        let line = ["natsguard".to_owned()].into_iter().chain(line);
        let Command::Doctor(doctor) = Args::parse_from(line).command else {
            panic!("{values}: the pod of the test runs no doctor");
        };
        let service = &doctor.place.service;
        let wanted: Vec<String> = needed(doctor.uses())
            .iter()
            .map(|right| {
                let (kind, names) = match right.reach {
                    Reach::Cluster => ("ClusterRole", String::new()),
                    Reach::Own => ("Role", String::new()),
                    Reach::Ca => ("Role", format!("[{service}-ca]")),
                    Reach::Configuration => ("ClusterRole", format!("[{service}]")),
                };
                let (group, resource) = (right.group, right.resource);
                format!("{kind} {group}/{resource}{names}: {}", right.verb)
            })
            .collect();
        let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(set(&granted), set(&wanted), "{values}");
        assert_eq!(granted.len(), wanted.len(), "{values}");
    }
}

fn pods(objects: &[Value]) -> [PodSpec; 2] {
    let typed = |value: &Value| serde_json::from_value(value.clone()).expect("a pod");
    [
        typed(&helm::only(objects, "Deployment")["spec"]["template"]["spec"]),
        typed(&helm::only(objects, "Pod")["spec"]),
    ]
}

/// Pod Security `restricted`, and OpenShift's restricted-v2, which refuses a fixed user.
#[test]
fn pods_can_do_nothing() {
    for values in helm::ci() {
        for pod in pods(&helm::render(&values)) {
            let context = pod.security_context.expect("a security context");
            assert_eq!(context.run_as_non_root, Some(true));
            assert_eq!(
                (context.run_as_user, context.run_as_group, context.fs_group),
                (None, None, None)
            );
            assert_eq!(
                context.seccomp_profile.expect("a profile").type_,
                "RuntimeDefault"
            );
            assert_eq!(pod.automount_service_account_token, Some(false));
            assert_eq!(pod.enable_service_links, Some(false));
            assert!(
                pod.init_containers.is_none() && pod.host_pid.is_none() && pod.host_ipc.is_none()
            );
            let is_everything = values == "ci/everything-values.yaml";
            assert!(pod.host_network.is_none() || is_everything, "{values}");
            for volume in pod.volumes.unwrap_or_default() {
                assert!(volume.host_path.is_none(), "{values}");
            }
            for container in pod.containers {
                let context = container.security_context.expect("a security context");
                assert_eq!(context.allow_privilege_escalation, Some(false));
                assert_eq!(context.privileged, Some(false));
                assert_eq!(context.read_only_root_filesystem, Some(true));
                assert_eq!((context.run_as_user, context.run_as_group), (None, None));
                let capabilities = context.capabilities.expect("capabilities");
                assert_eq!(
                    (capabilities.add, capabilities.drop),
                    (None, Some(vec!["ALL".to_owned()]))
                );
                let resources = container.resources.expect("resources");
                assert!(resources.requests.expect("requests").contains_key("memory"));
                assert!(!resources.limits.expect("limits").contains_key("cpu"));
                for mount in container.volume_mounts.unwrap_or_default() {
                    assert_eq!(mount.read_only, Some(true), "{}", mount.mount_path);
                }
            }
        }
    }
}

#[test]
fn a_rollout_and_a_drain_leave_somebody_to_answer() {
    let objects = helm::render("ci/default-values.yaml");
    let spec = &helm::only(&objects, "Deployment")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["minReadySeconds"], 5);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 120);
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    let keys: Vec<_> = pod["topologySpreadConstraints"]
        .as_array()
        .expect("constraints")
        .iter()
        .map(|constraint| {
            assert_eq!(constraint["labelSelector"], spec["selector"]);
            (&constraint["topologyKey"], &constraint["whenUnsatisfiable"])
        })
        .collect();
    let soft = json!("ScheduleAnyway");
    assert_eq!(
        keys,
        [
            (&json!("kubernetes.io/hostname"), &soft),
            (&json!("topology.kubernetes.io/zone"), &soft)
        ]
    );
    let budget = &helm::only(&objects, "PodDisruptionBudget")["spec"];
    assert_eq!(budget["minAvailable"], 1);
    assert_eq!(budget["selector"], spec["selector"]);
    // A restart is never forced by settings: the process reads them.
    let annotations = &spec["template"]["metadata"]["annotations"];
    assert_eq!(annotations, &Value::Null);
    // One pod can't be kept from being drained.
    let one = helm::render("ci/warn-only-values.yaml");
    assert!(
        one.iter()
            .all(|object| object["kind"] != "PodDisruptionBudget")
    );
}

#[test]
fn the_command_line_is_the_one_of_the_mode() {
    let arguments = |values: &str| -> Vec<String> {
        let [webhook, _] = pods(&helm::render(values));
        webhook.containers[0].args.clone().expect("arguments")
    };
    let first = [
        "webhook",
        "--listen=0.0.0.0:10250",
        "--metrics-listen=0.0.0.0:8080",
        "--namespace=$(POD_NAMESPACE)",
        "--service=natsguard",
        "--webhook-configuration=natsguard",
        "--settings=/etc/natsguard/settings.yaml",
    ];
    let files = [
        "--cert-file=/etc/natsguard-tls/tls.crt",
        "--key-file=/etc/natsguard-tls/tls.key",
    ];
    let with = |mode: &'static str, more: &[&'static str]| {
        let mode = match mode {
            "self" => "--tls-mode=self",
            "cert-manager" => "--tls-mode=cert-manager",
            "openshift" => "--tls-mode=openshift",
            _ => "--tls-mode=secret",
        };
        [first.as_slice(), &[mode], more].concat()
    };
    assert_eq!(
        arguments("ci/default-values.yaml"),
        with("self", &["--ca-secret=natsguard-ca"])
    );
    assert_eq!(
        arguments("ci/cert-manager-values.yaml"),
        with("cert-manager", &files)
    );
    assert_eq!(
        arguments("ci/openshift-values.yaml"),
        with("openshift", &files)
    );
    let client = [
        files[0],
        files[1],
        "--client-ca-file=/etc/natsguard-client-ca/ca.crt",
    ];
    assert_eq!(arguments("ci/secret-values.yaml"), with("secret", &client));
    assert_eq!(
        arguments("ci/everything-values.yaml")[7..],
        [
            "--tls-mode=self",
            "--allow-tls12",
            "--ca-secret=guard-ca",
            "--otlp-endpoint=http://collector.observability:4318",
            "--trace-sample-ratio=0.1",
            "--log-level=debug"
        ]
    );
    let [_, doctor] = pods(&helm::render("ci/default-values.yaml"));
    assert_eq!(
        doctor.containers[0].args.clone().expect("arguments"),
        [
            "doctor",
            "--port=10250",
            "--namespace=$(POD_NAMESPACE)",
            "--service=natsguard",
            "--webhook-configuration=natsguard",
            "--tls-mode=self"
        ]
    );
}

/// Every selector finds the pods of the Deployment, and not the one of the test.
#[test]
fn selectors_find_the_pods() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        let deployment = &helm::only(&objects, "Deployment")["spec"];
        let set = |value: &Value| -> BTreeSet<(String, String)> {
            let map = value.as_object().expect("a map");
            map.iter()
                .map(|(key, value)| (key.clone(), value.to_string()))
                .collect()
        };
        let labels = set(&deployment["template"]["metadata"]["labels"]);
        let doctor = set(&helm::only(&objects, "Pod")["metadata"]["labels"]);
        let mut selectors = vec![
            set(&deployment["selector"]["matchLabels"]),
            set(&helm::only(&objects, "Service")["spec"]["selector"]),
        ];
        for (kind, field) in [
            ("NetworkPolicy", "podSelector"),
            ("PodDisruptionBudget", "selector"),
        ] {
            let of_kind = objects.iter().filter(|object| object["kind"] == kind);
            selectors.extend(of_kind.map(|object| set(&object["spec"][field]["matchLabels"])));
        }
        for selector in selectors {
            assert!(selector.is_subset(&labels), "{values}: {selector:?}");
            assert!(!selector.is_subset(&doctor), "{values}: {selector:?}");
        }
    }
}
