//! The values: what is refused, with which words, and that values, schema and templates have the same keys.

use std::collections::BTreeSet;

use natsguard_policies::rules::POLICIES;
use natsguard_policies::settings::Settings;
use serde_json::Value;

use crate::helm;

fn refusal(arguments: &[&str]) -> String {
    helm::template(arguments).expect_err("these values are refused")
}

#[test]
fn a_typo_is_refused_with_its_place() {
    let head = "Error: values don't meet the specifications of the schema(s) in the following chart(s):\nnatsguard:\n";
    let cases = [
        (
            "replica=2",
            "- at '': additional properties 'replica' not allowed",
        ),
        (
            "webhook.mutating.failurepolicy=Fail",
            "- at '/webhook/mutating': additional properties 'failurepolicy' not allowed",
        ),
        (
            "settings.policies.short-routes.action=warn",
            "- at '/settings/policies': additional properties 'short-routes' not allowed",
        ),
        (
            "settings.policies.short-route.action=wran",
            "- at '/settings/policies/short-route/action': value must be one of 'off', 'warn', 'fix', 'deny'",
        ),
        (
            "tls.mode=selfsigned",
            "- at '/tls/mode': value must be one of 'self', 'cert-manager', 'openshift', 'secret'",
        ),
        (
            "webhook.port=443",
            "- at '/webhook/port': minimum: got 443, want 1,025",
        ),
        (
            "controller.scanEvery=0s",
            "- at '/controller/scanEvery': '0s' does not match pattern '^[1-9][0-9]*[smh]$'",
        ),
        (
            "controller.reports=all",
            "- at '/controller/reports': value must be one of 'auto', 'openreports', 'policyreports', 'none'",
        ),
        (
            "controller.replicas=0",
            "- at '/controller/replicas': minimum: got 0, want 1",
        ),
        (
            "tracing.sampleRatio=2",
            "- at '/tracing/sampleRatio': maximum: got 2, want 1",
        ),
        (
            "webhook.validating.failurePolicy=fail",
            "- at '/webhook/validating/failurePolicy': value must be one of 'Ignore', 'Fail'",
        ),
    ];
    for (set, message) in cases {
        assert_eq!(
            refusal(&["--set", set]).trim_end(),
            format!("{head}{message}"),
            "{set}"
        );
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let cases: [(&[&str], &str); 6] = [
        (
            &["tls.mode=secret"],
            "tls.mode is secret: name the Secret that has tls.crt and tls.key in tls.secretName",
        ),
        (
            &["tls.mode=secret", "tls.secretName=x"],
            "tls.mode is secret: put the certificates of the CA that signed it, in PEM, in tls.caBundle",
        ),
        (
            &["tls.secretName=x"],
            "tls.secretName and tls.caBundle belong to tls.mode secret, and tls.mode is self: remove them or set tls.mode: secret",
        ),
        (
            &["metrics.port=10250"],
            "webhook.port and metrics.port are both 10250: give them two",
        ),
        (
            &["webhook.hostNetwork=true"],
            "webhook.hostNetwork: the kubelet listens on 10250 of the node; set webhook.port to another port, such as 9443",
        ),
        (
            &[],
            "install natsguard in a namespace of its own, not in kube-system: helm install --namespace natsguard --create-namespace",
        ),
    ];
    for (sets, message) in cases {
        let mut arguments: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
        if sets.is_empty() {
            arguments.extend(["--namespace", "kube-system"]);
        }
        assert_eq!(
            refusal(&arguments).trim_end(),
            format!(
                "Error: execution error at (natsguard/templates/deployment.yaml:1:4): {message}\n\n\
                 Use --debug flag to render out invalid YAML"
            )
        );
    }
}

/// A parent chart with `condition: natsguard.enabled` hands the value down.
#[test]
fn it_can_be_the_dependency_of_another_chart() {
    let rendered = helm::template(&["--set", "enabled=true", "--set", "global.a=b"]);
    assert!(rendered.is_ok(), "{rendered:?}");
}

#[test]
fn the_settings_are_ones_that_natsguard_reads() {
    for values in helm::ci() {
        let objects = helm::render(&values);
        let map = objects
            .iter()
            .find(|object| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                object["kind"] == "ConfigMap" && name.ends_with("-settings")
            })
            .expect("the settings");
        let text = map["data"]["settings.yaml"].as_str().expect("a text");
        let settings: Settings = serde_saphyr::from_str(text)
            .unwrap_or_else(|error| panic!("{values}: {error}\n{text}"));
        settings.validate().expect("they are valid");
        assert_eq!(
            settings == Settings::default(),
            !["ci/everything-values.yaml", "ci/warn-only-values.yaml"].contains(&values.as_str()),
            "{values}"
        );
    }
}

fn schema() -> Value {
    serde_json::from_str(&helm::file("values.schema.json")).expect("the schema is JSON")
}

#[test]
fn the_schema_knows_the_policies() {
    let schema = schema();
    let settings = &schema["properties"]["settings"]["properties"];
    let policies = settings["policies"]["properties"]
        .as_object()
        .expect("policies");
    let ids: BTreeSet<&str> = POLICIES.iter().map(|policy| policy.id).collect();
    assert_eq!(
        policies.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        ids
    );
    let exempt = schema["$defs"]["exemption"]["properties"]["policy"]["enum"].as_array();
    let exempt = exempt.expect("ids").iter().filter_map(Value::as_str);
    assert_eq!(exempt.collect::<BTreeSet<_>>(), ids);
}

/// An object without a word on other properties would take any.
#[test]
fn the_schema_leaves_nothing_open_by_mistake() {
    fn walk(value: &Value, path: &str, open: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                if map.get("type").is_some_and(|kind| kind == "object")
                    && !map.contains_key("additionalProperties")
                {
                    open.push(path.to_owned());
                }
                for (key, value) in map {
                    walk(value, &format!("{path}/{key}"), open);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{path}/{index}"), open);
                }
            }
            _ => {}
        }
    }
    let mut open = Vec::new();
    walk(&schema(), "", &mut open);
    // Types of Kubernetes that the apiserver checks, and what Helm shares between charts.
    open.sort();
    assert_eq!(
        open,
        [
            "/properties/affinity",
            "/properties/global",
            "/properties/networkPolicy/properties/extraEgress/items",
            "/properties/networkPolicy/properties/metricsFrom/items",
            "/properties/tolerations/items",
        ]
    );
}

/// The dotted paths of all values: down to what is not a map, or is an empty one.
fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                paths(value, &path, all);
            }
        }
        None => all.push(path.to_owned()),
    }
}

#[test]
fn values_schema_and_templates_have_the_same_keys() {
    let values: Value =
        serde_saphyr::from_str(&helm::file("values.yaml")).expect("values are YAML");
    let mut leaves = Vec::new();
    paths(&values, "", &mut leaves);
    let folder = helm::chart().join("templates");
    let mut templates = String::new();
    for folder in [
        folder.clone(),
        folder.join("controller"),
        folder.join("tests"),
    ] {
        for entry in std::fs::read_dir(folder).expect("templates") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                templates += &std::fs::read_to_string(path).expect("a template");
            }
        }
    }
    for leaf in &leaves {
        let mut parts: Vec<&str> = leaf.split('.').collect();
        // `.Values.resources` uses all that is below it.
        let is_used = loop {
            if parts.is_empty() {
                break false;
            }
            let name = format!(".Values.{}", parts.join("."));
            let used = templates.match_indices(&name).any(|(at, _)| {
                !templates[at + name.len()..]
                    .starts_with(|next: char| next == '.' || next.is_alphanumeric())
            });
            if used {
                break true;
            }
            parts.pop();
        };
        assert!(is_used, "no template uses {leaf}");
    }
    // What the schema allows has a default that can be read.
    let schema = schema();
    for (key, property) in schema["properties"].as_object().expect("properties") {
        // A parent chart's.
        if ["global", "enabled"].contains(&key.as_str()) {
            continue;
        }
        assert!(values.get(key).is_some(), "values.yaml has no {key}");
        if key == "settings" {
            continue;
        }
        for below in property["properties"]
            .as_object()
            .into_iter()
            .flat_map(|map| map.keys())
        {
            assert!(
                values[key].get(below).is_some(),
                "values.yaml has no {key}.{below}"
            );
        }
    }
}
