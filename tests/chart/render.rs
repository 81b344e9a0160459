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
use natsguard::rights::{Reach, Right, Tasks, controller, webhook};
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

/// In an order of its own.
#[test]
fn helm_3_renders_the_same_objects() {
    for values in helm::ci() {
        let [four, three] = ["helm", "helm3"].map(|program| {
            let rendered = helm::template_by(program, &["--values", &values]);
            let mut objects = helm::objects(&rendered.expect("what Helm renders"));
            objects.sort_by_key(|object| {
                (
                    object["kind"].to_string(),
                    object["metadata"]["name"].to_string(),
                )
            });
            objects
        });
        assert!(four.len() > 10, "{values}");
        assert_eq!(four, three, "{values}");
    }
    let refused = helm::template_by("helm3", &["--set", "replica=3"]).expect_err("a typo");
    assert!(refused.contains("replica"), "{refused}");
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
                "Certificate" | "Issuer" | "PodMonitor" | "PrometheusRule" | "ServiceMonitor" => {
                    Vec::new()
                }
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

/// The rights of a component: `scope apiGroup/resource[names]: verbs`, a line a resource.
fn rights(objects: &[Value], component: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for kind in ["ClusterRole", "Role"] {
        let words = |value: &Value| -> Vec<String> {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items
                .iter()
                .map(|word| word.as_str().expect("a word").to_owned())
                .collect()
        };
        for rule in helm::part(objects, kind, component)["rules"]
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

/// Every right that the webhook has. A longer list is a decision, not a detail.
const RIGHTS: [&str; 14] = [
    "ClusterRole /configmaps: get",
    "ClusterRole /persistentvolumeclaims: get",
    "ClusterRole /persistentvolumes: get list",
    "ClusterRole /services: get list",
    "ClusterRole storage.k8s.io/storageclasses: get list",
    "ClusterRole apps/statefulsets: get list",
    "ClusterRole /namespaces: get",
    "ClusterRole /nodes: list",
    "ClusterRole admissionregistration.k8s.io/mutatingwebhookconfigurations[natsguard]: get patch",
    "ClusterRole admissionregistration.k8s.io/validatingwebhookconfigurations[natsguard]: get patch",
    "Role /secrets: create",
    "Role /secrets[natsguard-ca]: get update",
    "Role /events: create",
    "Role coordination.k8s.io/leases[natsguard-controller]: get",
];

#[test]
fn these_are_all_rights_of_the_webhook() {
    let of = |values: &str| rights(&helm::render(values), "webhook");
    assert_eq!(of("ci/default-values.yaml"), RIGHTS);
    let mut with_secrets: Vec<String> = RIGHTS
        .iter()
        .map(|line| line.replace("natsguard", "guard"))
        .collect();
    with_secrets.insert(8, "ClusterRole /secrets: get".to_owned());
    assert_eq!(of("ci/everything-values.yaml"), with_secrets);
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
        assert_eq!(of(values), reading, "{values}");
    }
    assert_eq!(of("ci/admission-only-values.yaml"), RIGHTS[..13]);
}

/// Every right that the controller has.
const CONTROLLER: [&str; 17] = [
    "ClusterRole /persistentvolumeclaims: get list watch",
    "ClusterRole /persistentvolumes: get list",
    "ClusterRole storage.k8s.io/storageclasses: get list watch",
    "ClusterRole /nodes: list",
    "ClusterRole /namespaces: get",
    "ClusterRole apps/statefulsets: get list watch",
    "ClusterRole apps/daemonsets: list",
    "ClusterRole apps/deployments: list",
    "ClusterRole /configmaps: get list watch patch",
    "ClusterRole /services: get list watch patch",
    "ClusterRole /pods: list delete",
    "ClusterRole events.k8s.io/events: create patch",
    "ClusterRole openreports.io/reports: list delete create patch",
    "ClusterRole wgpolicyk8s.io/policyreports: list delete create patch",
    "Role coordination.k8s.io/leases: create",
    "Role coordination.k8s.io/leases[natsguard-controller]: get update",
    "Role /events: create",
];

#[test]
fn these_are_all_rights_of_the_controller() {
    let of = |values: &str| rights(&helm::render(values), "controller");
    assert_eq!(of("ci/default-values.yaml"), CONTROLLER);
    // What is not written is at most removed.
    let only_removing = |kinds: &[&str]| -> Vec<String> {
        let is_one = |line: &str| kinds.iter().any(|kind| line.contains(kind));
        CONTROLLER
            .iter()
            .map(|line| {
                let writing = if is_one(line) { " create patch" } else { "" };
                line.strip_suffix(writing).unwrap_or(line).to_owned()
            })
            .collect()
    };
    assert_eq!(
        of("ci/secret-values.yaml"),
        only_removing(&["openreports.io"])
    );
    let mut everything: Vec<String> = only_removing(&["wgpolicyk8s.io"])
        .iter()
        .map(|line| line.replace("natsguard", "guard"))
        .collect();
    everything.insert(10, "ClusterRole /secrets: get patch".to_owned());
    assert_eq!(of("ci/everything-values.yaml"), everything);
    let none = helm::template(&["--set", "controller.reports=none"]).expect("it renders");
    assert_eq!(
        rights(&helm::objects(&none), "controller"),
        only_removing(&["openreports.io", "wgpolicyk8s.io"])
    );
}

/// One list says what natsguard needs; `doctor`, as the chart starts it, asks for the same.
#[test]
fn the_chart_grants_what_is_needed_and_no_more() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        let line = arguments(&objects, "Pod", "doctor");
        let line = ["natsguard".to_owned()].into_iter().chain(line);
        let Command::Doctor(doctor) = Args::parse_from(line).command else {
            panic!("{values}: the pod of the test runs no doctor");
        };
        let service = doctor.place.service.as_str();
        agree(&objects, "webhook", service, &webhook(doctor.uses()));
        assert_eq!(doctor.controller.is_some(), helm::has_controller(&objects));
        let Some(name) = &doctor.controller else {
            continue;
        };
        assert_eq!(
            helm::part(&objects, "Deployment", "controller")["metadata"]["name"],
            name.as_str()
        );
        let line = arguments(&objects, "Deployment", "controller");
        let writes = |kind: &str| {
            let is_said = |word: &str| line.contains(&format!("--reports={word}"));
            is_said(kind) || is_said("auto")
        };
        let tasks = Tasks {
            openreports: writes("openreports"),
            policyreports: writes("policyreports"),
            ..doctor.tasks()
        };
        agree(&objects, "controller", service, &controller(tasks));
    }
}

/// What a component is granted and what it needs are the same, and each is granted once.
fn agree(objects: &[Value], component: &str, service: &str, needed: &[Right]) {
    let granted: Vec<String> = rights(objects, component)
        .iter()
        .flat_map(|line| {
            let (what, verbs) = line.split_once(": ").expect("verbs");
            verbs.split(' ').map(move |verb| format!("{what}: {verb}"))
        })
        .collect();
    let wanted: Vec<String> = needed
        .iter()
        .map(|right| {
            let (kind, names) = match right.reach {
                Reach::Cluster => ("ClusterRole", String::new()),
                Reach::Own => ("Role", String::new()),
                Reach::Ca => ("Role", format!("[{service}-ca]")),
                Reach::Configuration => ("ClusterRole", format!("[{service}]")),
                Reach::Lease => ("Role", format!("[{service}-controller]")),
            };
            let (group, resource) = (right.group, right.resource);
            format!("{kind} {group}/{resource}{names}: {}", right.verb)
        })
        .collect();
    let set = |lines: &[String]| lines.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(set(&granted), set(&wanted), "{component}");
    assert_eq!(granted.len(), wanted.len(), "{component}");
}

/// Each binding gives a component's role to its own account, and no account has another's.
#[test]
fn each_component_has_its_own_account() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        let mut components = vec!["webhook"];
        components.extend(helm::has_controller(&objects).then_some("controller"));
        for component in components {
            let account = &helm::part(&objects, "ServiceAccount", component)["metadata"]["name"];
            let pod = &helm::part(&objects, "Deployment", component)["spec"]["template"]["spec"];
            assert_eq!(&pod["serviceAccountName"], account);
            for kind in ["ClusterRole", "Role"] {
                let role = &helm::part(&objects, kind, component)["metadata"]["name"];
                let binding = helm::part(&objects, &format!("{kind}Binding"), component);
                assert_eq!(&binding["roleRef"]["name"], role);
                assert_eq!(binding["roleRef"]["kind"], kind);
                assert_eq!(
                    binding["subjects"],
                    json!([{"kind": "ServiceAccount", "name": account, "namespace": helm::NAMESPACE}])
                );
            }
        }
    }
}

/// The pods of a kind and component.
fn pod(objects: &[Value], kind: &str, component: &str) -> PodSpec {
    let spec = &helm::part(objects, kind, component)["spec"];
    let pod = if kind == "Pod" {
        spec
    } else {
        &spec["template"]["spec"]
    };
    serde_json::from_value(pod.clone()).expect("a pod")
}

/// All pods that are rendered.
fn pods(objects: &[Value]) -> Vec<PodSpec> {
    let mut pods = vec![
        pod(objects, "Deployment", "webhook"),
        pod(objects, "Pod", "doctor"),
    ];
    pods.extend(helm::has_controller(objects).then(|| pod(objects, "Deployment", "controller")));
    pods
}

/// The arguments of a pod's one container.
fn arguments(objects: &[Value], kind: &str, component: &str) -> Vec<String> {
    let [container] = <[_; 1]>::try_from(pod(objects, kind, component).containers)
        .unwrap_or_else(|several| panic!("{} containers", several.len()));
    container.args.expect("arguments")
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
            let is_webhook = pod.containers[0].name == "natsguard";
            assert!(
                pod.host_network.is_none() || is_everything && is_webhook,
                "{values}"
            );
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
    let spec = &helm::part(&objects, "Deployment", "webhook")["spec"];
    assert_eq!(spec["replicas"], 3);
    assert_eq!(spec["minReadySeconds"], 5);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}})
    );
    // One pod a node: a rollout that wanted one more than there are nodes would never end.
    let host = helm::render("ci/everything-values.yaml");
    assert_eq!(
        helm::part(&host, "Deployment", "webhook")["spec"]["strategy"]["rollingUpdate"],
        json!({"maxSurge": 0, "maxUnavailable": 1})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 120);
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_spread(spec);
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

/// Over nodes and zones, softly, counting the Deployment's own pods. With two constraints the scheduler would ignore nodes that
/// have no zone (`requireAllTopologies` in its plugin PodTopologySpread), and so spread nothing where no node has one.
fn assert_spread(spec: &Value) {
    let pod = &spec["template"]["spec"];
    let keys = json!(["pod-template-hash"]);
    assert_eq!(
        pod["topologySpreadConstraints"],
        json!([{"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": spec["selector"], "matchLabelKeys": keys}])
    );
    assert_eq!(
        pod["affinity"],
        json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": {
            "topologyKey": "topology.kubernetes.io/zone", "labelSelector": spec["selector"], "matchLabelKeys": keys}}]}})
    );
}

#[test]
fn one_controller_works_and_another_waits() {
    let objects = helm::render("ci/default-values.yaml");
    let spec = &helm::part(&objects, "Deployment", "controller")["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(spec["strategy"]["type"], "RollingUpdate");
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["terminationGracePeriodSeconds"], 15);
    assert_eq!(pod["priorityClassName"], "system-cluster-critical");
    assert_eq!(
        pod["containers"][0]["resources"],
        json!({"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}})
    );
    assert_spread(spec);
    assert_eq!(spec["template"]["metadata"]["annotations"], Value::Null);
    // A namespace's quota of the priority is enough for a rollout of both.
    let quota = |values: &str| {
        helm::only(&helm::render(values), "ResourceQuota")["spec"]["hard"]["pods"].clone()
    };
    assert_eq!(quota("ci/everything-values.yaml"), "18");
    assert_eq!(quota("ci/admission-only-values.yaml"), "8");
}

/// The Lease is the process's. Its namesake is a hook of `helm uninstall`, which Argo CD and `kubectl apply` must never see; that
/// it removes the Lease is seen on a cluster.
#[test]
fn the_lease_is_no_part_of_what_is_rendered() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        assert!(
            objects.iter().all(|object| object["kind"] != "Lease"),
            "{values}"
        );
        if helm::has_controller(&objects) {
            let name = if values == "ci/everything-values.yaml" {
                "guard-controller"
            } else {
                "natsguard-controller"
            };
            let flag = format!("--lease={name}");
            assert!(arguments(&objects, "Deployment", "controller").contains(&flag));
        }
    }
}

#[test]
fn the_controller_gets_its_values() {
    let of = |values: &str| {
        let line = arguments(&helm::render(values), "Deployment", "controller");
        let parsed = ["natsguard".to_owned()].into_iter().chain(line.clone());
        let taken = Args::parse_from(parsed).command;
        assert!(matches!(taken, Command::Controller(_)), "{values}");
        line
    };
    assert_eq!(
        of("ci/default-values.yaml"),
        [
            "controller",
            "--metrics-listen=[::]:8080",
            "--namespace=$(POD_NAMESPACE)",
            "--lease=natsguard-controller",
            "--settings=/etc/natsguard/settings.yaml",
            "--reports=auto",
            "--scan-every=10m",
            "--restart-after=30s",
            "--writes-per-second=5",
        ]
    );
    assert_eq!(
        of("ci/everything-values.yaml"),
        [
            "controller",
            "--metrics-listen=[::]:8080",
            "--namespace=$(POD_NAMESPACE)",
            "--lease=guard-controller",
            "--settings=/etc/natsguard/settings.yaml",
            "--reports=openreports",
            "--scan-every=1h",
            "--restart-after=1m",
            "--writes-per-second=20",
            "--namespace-selector={\"matchExpressions\":[{\"key\":\"team\",\"operator\":\"Exists\"},\
             {\"key\":\"kubernetes.io/metadata.name\",\"operator\":\"In\",\"values\":[\"kube-system\",\"messaging\"]}],\
             \"matchLabels\":{\"guarded\":\"true\"}}",
            "--owned",
            "--log-level=debug",
        ]
    );
    let off = helm::render("ci/admission-only-values.yaml");
    assert!(off.iter().all(|object| {
        object["metadata"]["labels"]["app.kubernetes.io/component"] != "controller"
    }));
}

#[test]
fn the_command_line_is_the_one_of_the_mode() {
    let arguments =
        |values: &str| -> Vec<String> { arguments(&helm::render(values), "Deployment", "webhook") };
    let first = [
        "webhook",
        "--listen=[::]:10250",
        "--metrics-listen=[::]:8080",
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
    let doctor = |values: &str| self::arguments(&helm::render(values), "Pod", "doctor");
    let all = [
        "doctor",
        "--port=10250",
        "--namespace=$(POD_NAMESPACE)",
        "--service=natsguard",
        "--webhook-configuration=natsguard",
        "--tls-mode=self",
        "--controller=natsguard-controller",
    ];
    assert_eq!(doctor("ci/default-values.yaml"), all);
    assert_eq!(doctor("ci/admission-only-values.yaml"), all[..6]);
}

/// Every selector finds the pods of its own component, and no others.
#[test]
fn selectors_find_their_own_pods() {
    fn set(value: &Value) -> BTreeSet<(String, String)> {
        let map = value.as_object().expect("a map");
        map.iter()
            .map(|(key, value)| (key.clone(), value.to_string()))
            .collect()
    }
    for values in helm::ci() {
        let objects = helm::render(&values);
        let mut pods = vec![(
            "doctor",
            set(&helm::part(&objects, "Pod", "doctor")["metadata"]["labels"]),
        )];
        let mut components = vec!["webhook"];
        components.extend(helm::has_controller(&objects).then_some("controller"));
        for component in &components {
            let template = &helm::part(&objects, "Deployment", component)["spec"]["template"];
            pods.push((component, set(&template["metadata"]["labels"])));
        }
        let mut found = BTreeSet::new();
        for object in &objects {
            let spec = &object["spec"];
            let selector = match object["kind"].as_str().unwrap_or_default() {
                "Deployment" | "PodDisruptionBudget" | "PodMonitor" | "ServiceMonitor" => {
                    &spec["selector"]["matchLabels"]
                }
                "Service" => &spec["selector"],
                "NetworkPolicy" => &spec["podSelector"]["matchLabels"],
                _ => continue,
            };
            let component = &object["metadata"]["labels"]["app.kubernetes.io/component"];
            let selector = set(selector);
            let picked: Vec<_> = pods
                .iter()
                .filter(|(_, labels)| selector.is_subset(labels))
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(json!(picked), json!([component]), "{values}: {object}");
            found.insert((component.to_string(), object["kind"].to_string()));
        }
        let has_monitors = ["ci/everything-values.yaml", "ci/admission-only-values.yaml"]
            .contains(&values.as_str());
        let mut count = 3 + usize::from(values != "ci/warn-only-values.yaml");
        count += usize::from(has_monitors);
        if components.len() == 2 {
            count += 2 + usize::from(has_monitors);
        }
        assert_eq!(found.len(), count, "{values}: {found:?}");
    }
}

/// In: whoever reads the metrics. Out: the apiserver and DNS.
#[test]
fn the_controller_talks_to_the_apiserver_only() {
    let objects = helm::render("ci/everything-values.yaml");
    let from = json!([{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]);
    let spec = &helm::part(&objects, "NetworkPolicy", "controller")["spec"];
    assert_eq!(spec["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(
        spec["ingress"],
        json!([{"ports": [{"protocol": "TCP", "port": "metrics"}], "from": from}])
    );
    assert_eq!(
        spec["egress"],
        json!([
            {"ports": [{"protocol": "TCP", "port": 443}, {"protocol": "TCP", "port": 6443}]},
            {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
        ])
    );
}
