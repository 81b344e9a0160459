//! The two webhook configurations: what is called, when, and what nobody can undo.

use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, RuleWithOperations, ValidatingWebhookConfiguration,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use serde_json::{Value, json};

use crate::helm;

/// But for Secrets, whose entry stays when it is turned off, and Scales, which nothing is repaired in.
const RESOURCES: [&str; 9] = [
    "configmaps",
    "cronjobs",
    "daemonsets",
    "deploymentconfigs",
    "deployments",
    "persistentvolumeclaims",
    "rollouts",
    "services",
    "statefulsets",
];

fn configurations(values: &str) -> (MutatingWebhookConfiguration, ValidatingWebhookConfiguration) {
    let objects = helm::render(values);
    let of = |kind| helm::only(&objects, kind).clone();
    (
        serde_json::from_value(of("MutatingWebhookConfiguration")).expect("its type"),
        serde_json::from_value(of("ValidatingWebhookConfiguration")).expect("its type"),
    )
}

/// The entries as they are rendered.
fn entries(objects: &[Value]) -> Vec<&Value> {
    [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ]
    .iter()
    .flat_map(|kind| {
        helm::only(objects, kind)["webhooks"]
            .as_array()
            .expect("webhooks")
    })
    .collect()
}

fn rule(resource: &str) -> RuleWithOperations {
    let (group, version) = match resource {
        "cronjobs" => ("batch", "v1"),
        "daemonsets" | "deployments" | "statefulsets" => ("apps", "v1"),
        "deploymentconfigs" => ("apps.openshift.io", "v1"),
        "rollouts" => ("argoproj.io", "v1alpha1"),
        _ => ("", "v1"),
    };
    serde_json::from_value(json!({
        "apiGroups": [group], "apiVersions": [version], "operations": ["CREATE", "UPDATE"],
        "resources": [resource], "scope": "Namespaced"
    }))
    .expect("a rule")
}

#[test]
fn there_is_one_entry_a_resource_and_every_default_is_written_out() {
    for (values, secrets) in [
        ("ci/default-values.yaml", false),
        ("ci/everything-values.yaml", true),
    ] {
        let (mutating, validating) = configurations(values);
        let mut resources = RESOURCES.to_vec();
        resources.push("secrets");
        let rules = |resource: &str| {
            let is_off = resource == "secrets" && !secrets;
            (!is_off).then(|| vec![rule(resource)])
        };
        let mutating = mutating.webhooks.expect("webhooks");
        let mut validating = validating.webhooks.expect("webhooks");
        let scale = validating.pop().expect("the last is the one of Scales");
        assert_eq!(scale.name, "statefulsets-scale.validate.natsguard.dev");
        assert_eq!(scale.failure_policy.as_deref(), Some("Ignore"));
        let asked = json!([{
            "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"],
            "resources": ["statefulsets/scale"], "scope": "Namespaced"
        }]);
        assert_eq!(json!(scale.rules), asked);
        assert_eq!(mutating.len(), resources.len());
        let (validating, hinted) = validating.split_at(resources.len());
        let kinds = ["cronjobs", "daemonsets", "deployments", "statefulsets"];
        assert_eq!(hinted.len(), kinds.len());
        for (kind, entry) in kinds.iter().zip(hinted) {
            assert_eq!(entry.name, format!("{kind}-hinted.validate.natsguard.dev"));
            assert_eq!(entry.failure_policy.as_deref(), Some("Ignore"));
            assert_eq!(entry.rules, rules(kind));
        }
        for ((resource, mutate), validate) in
            resources.iter().zip(mutating).zip(validating.to_vec())
        {
            assert_eq!(mutate.name, format!("{resource}.mutate.natsguard.dev"));
            assert_eq!(mutate.admission_review_versions, ["v1"]);
            assert_eq!(mutate.failure_policy.as_deref(), Some("Ignore"));
            assert_eq!(mutate.match_policy.as_deref(), Some("Equivalent"));
            assert_eq!(mutate.reinvocation_policy.as_deref(), Some("IfNeeded"));
            assert_eq!(mutate.side_effects, "None");
            assert_eq!(mutate.timeout_seconds, Some(3));
            assert_eq!(mutate.object_selector, Some(LabelSelector::default()));
            assert_eq!(mutate.rules, rules(resource));
            let service = mutate.client_config.service.expect("a Service");
            assert_eq!(service.path.as_deref(), Some("/mutate"));
            assert_eq!(service.port, Some(443));
            assert_eq!(service.namespace, helm::NAMESPACE);

            assert_eq!(validate.name, format!("{resource}.validate.natsguard.dev"));
            assert_eq!(validate.admission_review_versions, ["v1"]);
            // The apiserver has no schema of these, so a condition may fail on what it lets in.
            let is_custom = ["deploymentconfigs", "rollouts"].contains(resource);
            let policy = if is_custom { "Ignore" } else { "Fail" };
            assert_eq!(validate.failure_policy.as_deref(), Some(policy));
            assert_eq!(validate.match_policy.as_deref(), Some("Equivalent"));
            assert_eq!(validate.side_effects, "None");
            assert_eq!(validate.timeout_seconds, Some(5));
            assert_eq!(validate.object_selector, Some(LabelSelector::default()));
            assert_eq!(validate.rules, rules(resource));
            let service = validate.client_config.service.expect("a Service");
            assert_eq!(service.path.as_deref(), Some("/validate"));
            assert_eq!(service.port, Some(443));

            for conditions in [mutate.match_conditions, validate.match_conditions] {
                let names: Vec<String> = conditions
                    .expect("conditions")
                    .into_iter()
                    .map(|condition| condition.name)
                    .collect();
                assert_eq!(names, ["changed", "nats"], "{resource}");
            }
        }
    }
}

#[test]
fn the_cluster_and_natsguard_start_without_it_whatever_the_values_say() {
    let first = json!({
        "key": "kubernetes.io/metadata.name", "operator": "NotIn",
        "values": ["guards", "kube-node-lease", "kube-public", "kube-system"]
    });
    for values in helm::ci() {
        for entry in entries(&helm::render(&values)) {
            let selector = &entry["namespaceSelector"];
            // Requirements are joined by "and": whatever follows can only leave out more.
            assert_eq!(selector["matchExpressions"][0], first, "{values}");
            if values == "ci/everything-values.yaml" {
                assert_eq!(selector["matchExpressions"][2]["values"][0], "kube-system");
                assert_eq!(selector["matchLabels"], json!({"guarded": "true"}));
            } else {
                assert_eq!(selector, &json!({"matchExpressions": [first]}), "{values}");
            }
        }
    }
}

/// A certificate that signs itself would be another bundle with each renewal, before the pods have it.
#[test]
fn a_renewal_by_cert_manager_leaves_the_bundle_as_it_is() {
    let named = |values: &str| -> Vec<String> {
        let objects = helm::render(values);
        let mut found: Vec<String> = objects
            .iter()
            .filter(|object| object["apiVersion"] == "cert-manager.io/v1")
            .map(|object| {
                let (spec, name) = (&object["spec"], object["metadata"]["name"].as_str());
                let name = name.expect("a name");
                let by = match object["kind"].as_str() {
                    Some("Certificate") => &spec["issuerRef"]["name"],
                    _ if spec["ca"].is_object() => &spec["ca"]["secretName"],
                    _ => &Value::Null,
                };
                let key = &spec["privateKey"]["rotationPolicy"];
                format!("{} {name} by {by}, key {key}", object["kind"])
            })
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        named("ci/cert-manager-self-signed-values.yaml"),
        [
            r#""Certificate" natsguard by "natsguard", key "Always""#,
            r#""Certificate" natsguard-root by "natsguard-root", key "Never""#,
            r#""Issuer" natsguard by "natsguard-root", key null"#,
            r#""Issuer" natsguard-root by null, key null"#,
        ]
    );
    assert_eq!(
        named("ci/cert-manager-values.yaml"),
        [r#""Certificate" natsguard by "platform", key "Always""#]
    );
}

#[test]
fn the_bundle_is_whoevers_job_it_is() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        let mode = values
            .trim_start_matches("ci/")
            .trim_end_matches("-values.yaml");
        for entry in entries(&objects) {
            // Even an empty one would be taken from its writer by server-side apply.
            let bundle = entry["clientConfig"].get("caBundle");
            assert_eq!(bundle.is_some(), mode == "secret", "{values}");
        }
        for kind in [
            "MutatingWebhookConfiguration",
            "ValidatingWebhookConfiguration",
        ] {
            let metadata = &helm::only(&objects, kind)["metadata"];
            for place in ["labels", "annotations"] {
                assert_eq!(metadata[place]["admissions.enforcer/disabled"], "true");
            }
            let annotation = |name: &str| metadata["annotations"].get(name).and_then(Value::as_str);
            assert_eq!(
                annotation("cert-manager.io/inject-ca-from"),
                mode.starts_with("cert-manager")
                    .then_some("guards/natsguard"),
                "{values}"
            );
            assert_eq!(
                annotation("service.beta.openshift.io/inject-cabundle"),
                (mode == "openshift").then_some("true"),
                "{values}"
            );
        }
        let service = &helm::only(&objects, "Service")["metadata"]["annotations"];
        assert_eq!(
            service["service.beta.openshift.io/serving-cert-secret-name"].as_str(),
            (mode == "openshift").then_some("natsguard-tls"),
            "{values}"
        );
        // What the process writes itself, the chart must not.
        assert!(objects.iter().all(|object| object["kind"] != "Secret"));
    }
}
