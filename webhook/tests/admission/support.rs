//! A cluster made of manifests, and an apiserver that asks both webhooks before it keeps anything.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use natsguard::admission::{Admission, Answer, Decision, Step};
use natsguard::facts::{Answering, Cluster, Known, Query, Select};
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};
use tokio::time::Instant;

/// The objects of a YAML stream.
pub fn objects(yaml: &str) -> Vec<Value> {
    let values: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap();
    values
        .into_iter()
        .filter(|value| !value.is_null())
        .collect()
}

/// What a cluster holds, and what it can't tell.
#[derive(Default)]
pub struct State {
    /// The objects.
    pub objects: Vec<Value>,
    /// Kinds that can't be read.
    pub hidden: BTreeSet<&'static str>,
    /// Kinds that never answer.
    pub silent: BTreeSet<&'static str>,
    /// Whether objects may exist that it does not hold.
    pub open: bool,
    /// What was asked.
    pub asked: Vec<Query>,
}

/// A cluster.
#[derive(Clone, Default)]
pub struct World {
    /// What it holds.
    pub state: Arc<Mutex<State>>,
    /// What the platform wants.
    pub settings: Settings,
}

impl Cluster for World {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        Box::pin(async move {
            let known = {
                let mut state = self.state.lock().unwrap();
                state.asked.push(query.clone());
                let kind = query.resource.kind;
                if state.hidden.contains(kind) {
                    Some(Known::Unknown)
                } else if state.silent.contains(kind) {
                    None
                } else {
                    let known = answer(&state.objects, query);
                    let is_open = state.open && known == Known::Absent;
                    Some(if is_open { Known::Unknown } else { known })
                }
            };
            match known {
                Some(known) => known,
                None => std::future::pending().await,
            }
        })
    }
}

fn answer(objects: &[Value], query: &Query) -> Known {
    let of_kind = objects.iter().filter(|object| {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        let claimed = object["spec"]["claimRef"]["namespace"].as_str();
        object["apiVersion"] == query.resource.api_version()
            && object["kind"] == query.resource.kind
            && match (&query.select, query.resource.kind) {
                (Select::All, "PersistentVolume") => {
                    claimed.is_none_or(|from| from == query.namespace)
                }
                _ => namespace == query.namespace,
            }
    });
    match &query.select {
        Select::All => Known::Objects(Arc::new(of_kind.cloned().collect())),
        Select::Named(name) => {
            let mut named = of_kind.filter(|object| object["metadata"]["name"] == *name);
            named.next().map_or(Known::Absent, |object| {
                Known::Objects(Arc::new(vec![object.clone()]))
            })
        }
    }
}

/// What came of writing an object.
#[derive(Debug)]
pub struct Written {
    /// The object as it would be kept.
    pub object: Value,
    /// The patch, as operations.
    pub patch: Vec<Value>,
    /// What kubectl prints.
    pub warnings: Vec<String>,
    /// Why it was refused.
    pub denied: Option<Value>,
    /// The audit annotations of both webhooks.
    pub audit: Vec<Value>,
    /// Both answers.
    pub answers: Vec<Answer>,
}

impl Written {
    /// The message of the denial.
    pub fn message(&self) -> &str {
        let denied = self.denied.as_ref().expect("it was let through");
        denied["message"].as_str().unwrap()
    }
}

impl World {
    /// What the platform wants, and the DNS domain that is found in a cluster.
    pub fn settings(&self) -> Settings {
        Settings {
            found_domain: Some("cluster.local".to_owned()),
            ..self.settings.clone()
        }
    }

    /// The webhook of this cluster.
    pub fn admission(&self) -> Admission {
        let settings = ArcSwap::from_pointee(self.settings());
        Admission::new(Arc::new(settings), Arc::new(self.clone()))
    }

    /// The object the cluster holds under the name of another.
    pub fn held(&self, object: &Value) -> Option<Value> {
        let same = |held: &&Value| {
            ["/kind", "/metadata/namespace", "/metadata/name"]
                .iter()
                .all(|field| held.pointer(field) == object.pointer(field))
        };
        self.state
            .lock()
            .unwrap()
            .objects
            .iter()
            .find(same)
            .cloned()
    }

    /// Asks one webhook.
    pub fn ask(&self, step: Step, review: &Value) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let body = serde_json::to_vec(review).unwrap();
        let admission = self.admission();
        runtime.block_on(async {
            let deadline = Instant::now() + Duration::from_secs(2);
            admission.answer(step, &body, deadline).await
        })
    }

    /// Applies an object: as an update when the cluster holds it already. Keeps it unless it is refused.
    pub fn apply(&self, object: &Value) -> Written {
        let written = self.try_apply(object, self.held(object).as_ref());
        if written.denied.is_none() {
            let mut state = self.state.lock().unwrap();
            let name = (object["kind"].clone(), object["metadata"].clone());
            state.objects.retain(|held| {
                let own = &held["metadata"];
                held["kind"] != name.0
                    || own["name"] != name.1["name"]
                    || own["namespace"] != name.1["namespace"]
            });
            state.objects.push(written.object.clone());
        }
        written
    }

    /// Asks both webhooks, the second about what the first made of the object.
    pub fn try_apply(&self, object: &Value, old: Option<&Value>) -> Written {
        let mutated = self.ask(Step::Mutate, &review(object, old));
        let mut written = Written {
            object: object.clone(),
            patch: Vec::new(),
            warnings: Vec::new(),
            denied: None,
            audit: Vec::new(),
            answers: Vec::new(),
        };
        let response = checked(&mutated, Step::Mutate);
        if let Some(patch) = response.get("patch") {
            let patch = STANDARD.decode(patch.as_str().unwrap()).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut written.object, &patch).unwrap();
            assert_ne!(written.object, *object, "a patch that changes nothing");
            let again = self.ask(Step::Mutate, &review(&written.object, old));
            assert_eq!(
                checked(&again, Step::Mutate).get("patch"),
                None,
                "not idempotent"
            );
            let operations = serde_json::to_value(&patch).unwrap();
            written.patch.clone_from(operations.as_array().unwrap());
        }
        let validated = self.ask(Step::Validate, &review(&written.object, old));
        let second = checked(&validated, Step::Validate);
        for response in [&response, &second] {
            let warnings = response.get("warnings").and_then(Value::as_array);
            for warning in warnings.into_iter().flatten() {
                let warning = warning.as_str().unwrap().to_owned();
                if !written.warnings.contains(&warning) {
                    written.warnings.push(warning);
                }
            }
            written
                .audit
                .extend(response.get("auditAnnotations").cloned());
        }
        written.denied = second.get("status").cloned();
        written.answers = vec![mutated, validated];
        written
    }
}

/// A review as the apiserver writes it.
pub fn review(object: &Value, old: Option<&Value>) -> Value {
    let (group, version) = object["apiVersion"]
        .as_str()
        .unwrap_or_default()
        .rsplit_once('/')
        .unwrap_or_default();
    let kind = json!({"group": group, "version": version, "kind": object["kind"]});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "0b4a1f0e-5f5c-4f86-8a63-0d2a4f5e1a11",
            "kind": kind, "requestKind": kind,
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": {"username": "MARKED-user", "groups": ["system:authenticated"]},
            "object": object, "oldObject": old, "dryRun": false,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}
        }
    })
}

/// The response of an answer, after a look at everything the apiserver asks of it.
pub fn checked(answer: &Answer, step: Step) -> Value {
    assert_eq!(answer.status, StatusCode::OK);
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(!text.contains("MARKED"), "{text}");
    let review: Value = serde_json::from_str(text).unwrap();
    assert_eq!(review["apiVersion"], "admission.k8s.io/v1");
    assert_eq!(review["kind"], "AdmissionReview");
    let response = &review["response"];
    assert_eq!(response["uid"], answer.record.uid);
    let allowed = response["allowed"].as_bool().unwrap();
    let patch = response.get("patch");
    assert_eq!(patch.is_some(), response.get("patchType").is_some());
    assert_eq!(response.get("status").is_some(), !allowed);
    if let Some(patch) = patch {
        assert_eq!(step, Step::Mutate);
        assert!(allowed);
        assert_eq!(response["patchType"], "JSONPatch");
        let patch = STANDARD.decode(patch.as_str().unwrap()).unwrap();
        let patch: Value = serde_json::from_slice(&patch).unwrap();
        assert!(!patch.as_array().unwrap().is_empty());
    }
    if step == Step::Mutate {
        assert!(allowed, "{text}");
    }
    let mut total = 0;
    let warnings = response.get("warnings").and_then(Value::as_array);
    assert!(allowed || warnings.is_none());
    for warning in warnings.into_iter().flatten() {
        let warning = warning.as_str().unwrap();
        assert!(
            !warning.is_empty() && warning.chars().count() <= 120,
            "{warning}"
        );
        assert!(!warning.contains(|c: char| c.is_control()), "{warning}");
        total += warning.chars().count();
    }
    assert!(total <= 4096);
    for (key, value) in response["auditAnnotations"]
        .as_object()
        .into_iter()
        .flatten()
    {
        assert!(key.len() <= 63 && key.bytes().all(|byte| byte.is_ascii_lowercase()));
        for id in value.as_str().unwrap().split(',') {
            assert!(natsguard_policies::rules::find(id).is_some(), "{id}");
        }
    }
    if let Some(status) = response.get("status").filter(|_| !allowed) {
        assert!(status["code"].as_u64().unwrap() >= 400);
        assert!(!status["message"].as_str().unwrap().is_empty());
        assert!(status["details"]["causes"].is_array());
    }
    let decision = match (allowed, patch) {
        (false, _) => Decision::Denied,
        (true, Some(_)) => Decision::Patched,
        (true, None) => Decision::Allowed,
    };
    assert_eq!(answer.record.decision, decision);
    response.clone()
}

/// A cluster of three servers; `routes` are the lines of its list.
#[derive(Debug)]
pub struct Nats {
    /// Its file.
    pub map: Value,
    /// Its governing Service.
    pub service: Value,
    /// Its StatefulSet.
    pub set: Value,
}

impl Nats {
    /// Sound but for what `routes` say.
    pub fn with_routes(routes: &[&str]) -> Self {
        let lines: String = routes
            .iter()
            .map(|route| format!("    {route}\n"))
            .collect();
        let conf = format!(
            "port: 4222\nserver_name: $POD_NAME\ncluster {{\n  name: nats\n  port: 6222\n  routes = [\n{lines}  ]\n}}\n"
        );
        Self {
            map: json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": "nats-config", "namespace": "messaging"},
                "data": {"nats.conf": conf}
            }),
            service: json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {"name": "nats-headless", "namespace": "messaging"},
                "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "nats"}}
            }),
            set: json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {"name": "nats", "namespace": "messaging"},
                "spec": {
                    "serviceName": "nats-headless", "replicas": 3, "podManagementPolicy": "Parallel",
                    "selector": {"matchLabels": {"app": "nats"}},
                    "template": {
                        "metadata": {"labels": {"app": "nats"}},
                        "spec": {
                            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                                {"labelSelector": {"matchLabels": {"app": "nats"}}, "topologyKey": "kubernetes.io/hostname"}
                            ]}},
                            "containers": [{
                                "name": "nats", "image": "nats:2.14.5", "args": ["-c", "/etc/nats/nats.conf"],
                                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                                "volumeMounts": [{"name": "config", "mountPath": "/etc/nats"}]
                            }],
                            "volumes": [{"name": "config", "configMap": {"name": "nats-config"}}]
                        }
                    }
                }
            }),
        }
    }

    /// Routes to each pod by its full name.
    pub fn sound() -> Self {
        Self::with_routes(&[
            "nats://nats-0.nats-headless.messaging.svc.cluster.local:6222",
            "nats://nats-1.nats-headless.messaging.svc.cluster.local:6222",
            "nats://nats-2.nats-headless.messaging.svc.cluster.local:6222",
        ])
    }

    /// One route, to the Service.
    pub fn partitioned() -> Self {
        Self::with_routes(&["nats://user:MARKED-password@nats-headless:6222"])
    }

    /// Its store on a claim of this class.
    pub fn with_class(mut self, class: &str) -> Self {
        let conf = self.map["data"]["nats.conf"].as_str().unwrap();
        self.map["data"]["nats.conf"] = Value::from(format!(
            "{conf}jetstream {{ store_dir: /data, max_mem: 1G, max_file: 1G }}\n"
        ));
        let spec = &mut self.set["spec"];
        let mounts = &mut spec["template"]["spec"]["containers"][0]["volumeMounts"];
        let mount = json!({"name": "data", "mountPath": "/data"});
        mounts.as_array_mut().unwrap().push(mount);
        spec["volumeClaimTemplates"] = json!([{
            "metadata": {"name": "data"},
            "spec": {
                "storageClassName": class, "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": "10Gi"}}
            }
        }]);
        self
    }

    /// Its StatefulSet without anti-affinity.
    pub fn without_affinity(mut self) -> Self {
        let pod = self.set["spec"]["template"]["spec"]
            .as_object_mut()
            .unwrap();
        pod.remove("affinity");
        self
    }
}

/// A StorageClass on NFS.
pub fn nfs_class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
        "metadata": {"name": "shared"}, "provisioner": "nfs.csi.k8s.io"
    })
}
