//! What the tests of this suite share: manifests as text, and the one harness that evaluates them.

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::conf;
use natsguard_policies::engine::{Repaired, Report, evaluate, repair};
use natsguard_policies::patch::patch;
use natsguard_policies::policy::{Action, Finding};
use natsguard_policies::settings::Settings;
use serde_json::Value;

/// The default settings in a cluster whose DNS domain is known.
pub fn settings() -> Settings {
    Settings {
        cluster_domain: Some("cluster.local".to_owned()),
        ..Settings::default()
    }
}

/// The objects of a YAML stream.
pub fn objects(yaml: &str) -> Vec<Value> {
    let values: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect()
}

/// A StatefulSet of three servers with this in the `spec` of its pods.
pub fn set(spec: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: nats}}\nspec:\n  replicas: 3\n  serviceName: nats\n  \
         selector: {{matchLabels: {{app: nats}}}}\n  template:\n    metadata: {{labels: {{app: nats}}}}\n    spec:\n{spec}      \
         containers: [{{name: nats, image: nats, args: [-m, '8222']}}]\n"
    )
}

/// The objects of a YAML stream as a bundle; those that state no namespace are in `default`.
pub fn bundle(yaml: &str) -> Bundle {
    Bundle::new(
        objects(yaml).into_iter().map(Object::new).collect(),
        Some("default"),
    )
}

/// Evaluates, and one line a finding: `action policy field: detail`.
pub fn findings(bundle: &Bundle) -> Vec<String> {
    lines(&check(bundle, &settings()).0)
}

/// One line a finding, and one for each thing that could not be judged.
pub fn lines(report: &Report) -> Vec<String> {
    let line = |action: &dyn std::fmt::Display, finding: &Finding| {
        format!(
            "{action} {} {}: {}",
            finding.policy, finding.place.field, finding.detail
        )
    };
    let findings = report.findings.iter();
    let unchecked = report.unchecked.iter();
    findings
        .map(|judged| line(&judged.action, &judged.finding))
        .chain(unchecked.map(|finding| line(&"unchecked", finding)))
        .collect()
}

/// Evaluates and repairs, and asserts what holds of every repair: it leaves nothing to repair, repairing again changes
/// nothing, the patch makes the repaired object of the first one, other objects are as they were, the repaired object
/// still has its type, and a configuration file still reads.
pub fn check(bundle: &Bundle, settings: &Settings) -> (Report, Repaired) {
    let report = evaluate(bundle, settings);
    let repaired = repair(bundle, settings);
    assert_eq!(
        repaired.report.count(Action::Fix),
        0,
        "{:?}",
        lines(&repaired.report)
    );
    let again = repair(&repaired.bundle, settings);
    assert_eq!(again.bundle.objects(), repaired.bundle.objects());
    for (id, (before, after)) in bundle
        .objects()
        .iter()
        .zip(repaired.bundle.objects())
        .enumerate()
    {
        let patch = patch(&before.value, &after.value, "");
        let mut patched = before.value.clone();
        json_patch::patch(&mut patched, &patch).unwrap();
        assert_eq!(patched, after.value);
        let is_named = report.findings.iter().any(|judged| {
            let edits = judged.finding.fix.iter().flat_map(|fix| &fix.edits);
            judged.action == Action::Fix && edits.clone().any(|edit| edit.target().0 == id)
        });
        assert!(
            is_named || patch.0.is_empty(),
            "object {id} was changed without a finding"
        );
        if !patch.0.is_empty() {
            keeps_its_type(&before.value, &after.value);
        }
        for (key, text) in after.value["data"].as_object().into_iter().flatten() {
            let before = before.value["data"][key].as_str().unwrap();
            let text = text.as_str().unwrap();
            if text != before && after.kind() == "ConfigMap" {
                assert_eq!(
                    conf::Document::parse(text.as_bytes()).error(),
                    None,
                    "{text}"
                );
            }
        }
    }
    (report, repaired)
}

/// An object that the types of Kubernetes could hold is one after repair.
fn keeps_its_type(before: &Value, after: &Value) {
    use k8s_openapi::api::{apps::v1::StatefulSet, core::v1::Service};
    let decodes = |value: &Value| match value["kind"].as_str() {
        Some("StatefulSet") => serde_json::from_value::<StatefulSet>(value.clone()).is_ok(),
        Some("Service") => serde_json::from_value::<Service>(value.clone()).is_ok(),
        _ => true,
    };
    assert!(!decodes(before) || decodes(after), "{after}");
}

#[derive(Debug)]
/// A clustered StatefulSet `nats` in namespace `messaging` with its headless Service and its file.
pub struct Cluster {
    /// `spec.replicas`.
    pub replicas: u32,
    /// `data["nats.conf"]`.
    pub conf: String,
    /// `spec` of the Service `nats-headless`; no such Service when empty.
    pub service: String,
    /// More documents.
    pub more: String,
    /// More volumes, as YAML flow items with a leading comma.
    pub volumes: String,
    /// More mounts, likewise.
    pub mounts: String,
    /// More of the StatefulSet's `spec`.
    pub spec: String,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            replicas: 3,
            conf: String::new(),
            service: "{clusterIP: None, publishNotReadyAddresses: true, selector: {app: nats}}"
                .to_owned(),
            more: String::new(),
            volumes: String::new(),
            mounts: String::new(),
            spec: String::new(),
        }
    }
}

impl Cluster {
    /// A cluster with these routes, one a line of an array.
    pub fn with_routes(routes: &[&str]) -> Self {
        let lines: String = routes
            .iter()
            .map(|route| format!("    {route}\n"))
            .collect();
        Self {
            conf: format!("cluster {{\n  port: 6222\n  routes = [\n{lines}  ]\n}}\n"),
            ..Self::default()
        }
    }

    /// The objects.
    pub fn bundle(&self) -> Bundle {
        let Self {
            replicas,
            service,
            more,
            volumes,
            mounts,
            spec,
            ..
        } = self;
        let conf: String = self
            .conf
            .lines()
            .map(|line| format!("    {line}\n"))
            .collect();
        let service = if service.is_empty() {
            String::new()
        } else {
            format!(
                "---\napiVersion: v1\nkind: Service\nmetadata: {{name: nats-headless, namespace: messaging}}\nspec: {service}\n"
            )
        };
        bundle(&format!(
            "apiVersion: v1
kind: ConfigMap
metadata: {{name: nats, namespace: messaging}}
data:
  nats.conf: |
{conf}{service}---
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: nats, namespace: messaging}}
spec:
  replicas: {replicas}
  serviceName: nats-headless
  selector: {{matchLabels: {{app: nats}}}}
  template:
    metadata: {{labels: {{app: nats}}}}
    spec:
      affinity: {{podAntiAffinity: {{requiredDuringSchedulingIgnoredDuringExecution: [
        {{labelSelector: {{matchLabels: {{app: nats}}}}, topologyKey: kubernetes.io/hostname}}]}}}}
      containers:
      - name: nats
        image: nats:2.14.5
        args: [-c, /etc/nats/nats.conf]
        volumeMounts: [{{name: config, mountPath: /etc/nats}}{mounts}]
      volumes: [{{name: config, configMap: {{name: nats}}}}{volumes}]
{spec}
---
{more}
"
        ))
    }

    /// The findings of an evaluation.
    pub fn findings(&self) -> Vec<String> {
        findings(&self.bundle())
    }

    /// The routes after repair.
    pub fn repaired_routes(&self) -> Vec<String> {
        let (_, repaired) = check(&self.bundle(), &settings());
        let text = repaired.bundle.objects()[0].value["data"]["nats.conf"]
            .as_str()
            .unwrap()
            .to_owned();
        let config = conf::read(text.as_bytes(), &mut |_, _| conf::Included::Unknown);
        let cluster = config.root.find(&["cluster"]).unwrap().as_map().unwrap();
        let routes = cluster
            .find(&["routes"])
            .map(|routes| routes.as_array().unwrap())
            .unwrap_or_default();
        routes
            .iter()
            .map(|route| route.as_str().unwrap().to_owned())
            .collect()
    }
}
