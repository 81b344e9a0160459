//! As much of an apiserver as a review needs: it asks the webhook before it keeps what is patched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::request::Parts;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::admission::{Admission, Step};
use crate::facts::cluster::Kube;
use crate::fake::{self, refusal};

#[derive(Clone, Default)]
pub(super) struct Apiserver(Arc<Mutex<World>>);

type Deed = Box<dyn FnOnce(&mut World) + Send>;

#[derive(Default)]
pub(super) struct World {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    /// Kinds that may not be read, by their plural.
    pub(super) hidden: BTreeSet<&'static str>,
    /// Kinds that are never answered, by their plural, or by a verb and it.
    pub(super) silent: BTreeSet<&'static str>,
    /// How patches are refused.
    pub(super) refused: Option<StatusCode>,
    /// The webhook is not called.
    pub(super) away: bool,
    /// What somebody else does before the next write is looked at.
    pub(super) meanwhile: Option<Deed>,
    /// What somebody else writes, past the webhook, after each write.
    pub(super) rewritten: Option<Value>,
    /// Writes that were kept, as `METHOD path`.
    pub(super) writes: Vec<String>,
    /// Queries and bodies of patches, dry runs among them.
    pub(super) patches: Vec<(String, Value)>,
    /// Queries about pods.
    pub(super) lists: Vec<String>,
    pub(super) events: Vec<Value>,
    /// What the controller does, as `verb plural`.
    pub(super) rights: BTreeSet<String>,
    version: u64,
}

const PLURALS: [(&str, &str); 9] = [
    ("ConfigMap", "configmaps"),
    ("Event", "events"),
    ("Node", "nodes"),
    ("PersistentVolume", "persistentvolumes"),
    ("PersistentVolumeClaim", "persistentvolumeclaims"),
    ("Pod", "pods"),
    ("Secret", "secrets"),
    ("Service", "services"),
    ("StatefulSet", "statefulsets"),
];

pub(super) fn path(object: &Value) -> String {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap();
    let version = text("/apiVersion");
    let root = if version == "v1" { "api" } else { "apis" };
    let kind = text("/kind");
    let (_, plural) = PLURALS.iter().find(|(known, _)| *known == kind).unwrap();
    let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
    format!("/{root}/{version}/namespaces/{namespace}/{plural}/{name}")
}

impl Apiserver {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// The client of the controller.
    pub(super) fn client(&self) -> Client {
        self.client_of(true)
    }

    fn client_of(&self, is_controller: bool) -> Client {
        let server = self.clone();
        fake::client(move |head, body| {
            let server = server.clone();
            async move { server.serve(head, body, is_controller).await }
        })
    }

    async fn serve(&self, head: Parts, body: Value, is_controller: bool) -> (StatusCode, Value) {
        let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
        let (parent, name) = path.rsplit_once('/').unwrap();
        let is_list = PLURALS.iter().any(|(_, plural)| *plural == name);
        let plural = if is_list {
            name
        } else {
            parent.rsplit('/').next().unwrap()
        };
        let verb = match head.method.as_str() {
            "GET" if is_list => "list",
            "GET" => "get",
            "PATCH" => "patch",
            "DELETE" => "delete",
            "POST" => "create",
            other => panic!("{other}"),
        };
        if is_controller {
            self.lock().rights.insert(format!("{verb} {plural}"));
        }
        let right = format!("{verb} {plural}");
        let is_silent =
            |world: &World| world.silent.contains(plural) || world.silent.contains(right.as_str());
        if is_silent(&self.lock()) {
            std::future::pending::<()>().await;
        }
        if self.lock().hidden.contains(plural) {
            refusal(StatusCode::FORBIDDEN, "Forbidden", name)
        } else {
            match verb {
                "get" => self.lock().get(path, name),
                "list" => self.lock().list(path, query),
                "create" => {
                    assert_eq!(plural, "events");
                    self.lock().events.push(body.clone());
                    (StatusCode::CREATED, body)
                }
                "delete" => self.lock().delete(path, name, &body),
                _ => self.patch(path, query, name, body).await,
            }
        }
    }

    async fn patch(&self, path: &str, query: &str, name: &str, body: Value) -> (StatusCode, Value) {
        let is_dry = query.contains("dryRun=All");
        let (old, mut new) = {
            let mut world = self.lock();
            world.patches.push((query.to_owned(), body.clone()));
            if let Some(code) = world.refused {
                return refusal(code, "a webhook says MARKED", name);
            }
            if !is_dry && let Some(deed) = world.meanwhile.take() {
                deed(&mut world);
            }
            let Some(old) = world.objects.get(path).cloned() else {
                return refusal(StatusCode::NOT_FOUND, "NotFound", name);
            };
            let wanted = &body["metadata"]["resourceVersion"];
            if !wanted.is_null() && *wanted != old["metadata"]["resourceVersion"] {
                return refusal(StatusCode::CONFLICT, "Conflict", name);
            }
            let mut new = old.clone();
            json_patch::merge(&mut new, &body);
            (old, new)
        };
        if !self.lock().away {
            new = self.admit(&old, new).await;
        }
        let mut world = self.lock();
        let is_same = world.objects.get(path) == Some(&old);
        if !is_same {
            return refusal(StatusCode::CONFLICT, "Conflict", name);
        }
        if is_dry {
            return (StatusCode::OK, new);
        }
        world.writes.push(format!("PATCH {path}"));
        let kept = world.put(new);
        if let Some(rewritten) = world.rewritten.clone() {
            let mut object = kept.clone();
            json_patch::merge(&mut object, &rewritten);
            world.put(object);
        }
        (StatusCode::OK, kept)
    }

    /// What `/mutate` makes of an update.
    async fn admit(&self, old: &Value, new: Value) -> Value {
        let settings = Arc::new(ArcSwap::from_pointee(fake::settings()));
        let cluster = Arc::new(Kube::new(self.client_of(false)));
        let admission = Admission::new(settings, cluster);
        let kind = json!({"group": "", "version": "v1", "kind": new["kind"]});
        let review = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {
                "uid": "1", "kind": kind, "requestKind": kind, "operation": "UPDATE",
                "name": new["metadata"]["name"], "namespace": new["metadata"]["namespace"],
                "object": new, "oldObject": old,
            }
        });
        let deadline = Instant::now() + Duration::from_secs(2);
        let body = serde_json::to_vec(&review).unwrap();
        let answer = admission.answer(Step::Mutate, &body, deadline).await;
        let answer: Value = serde_json::from_slice(&answer.body).unwrap();
        let mut new = new;
        if let Some(patch) = answer["response"]["patch"].as_str() {
            let patch = STANDARD.decode(patch).unwrap();
            let patch: json_patch::Patch = serde_json::from_slice(&patch).unwrap();
            json_patch::patch(&mut new, &patch).unwrap();
        }
        new
    }
}

impl World {
    pub(super) fn put(&mut self, mut object: Value) -> Value {
        self.version += 1;
        let path = path(&object);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        }
        self.objects.insert(path, object.clone());
        object
    }

    fn get(&self, path: &str, name: &str) -> (StatusCode, Value) {
        match self.objects.get(path) {
            Some(object) => (StatusCode::OK, object.clone()),
            None => refusal(StatusCode::NOT_FOUND, "NotFound", name),
        }
    }

    fn list(&mut self, path: &str, query: &str) -> (StatusCode, Value) {
        if path.ends_with("/pods") {
            self.lists.push(query.to_owned());
        }
        let number = |name| {
            let mut pairs = query.split('&');
            let value = pairs.find_map(|pair| pair.strip_prefix(name));
            value.map(|value| value.parse::<usize>().unwrap())
        };
        let from = number("continue=").unwrap_or(0);
        let limit = number("limit=").unwrap_or(usize::MAX);
        let below = |key: &str| {
            key.rsplit_once('/')
                .is_some_and(|(parent, _)| parent == path)
        };
        let items: Vec<&Value> = self
            .objects
            .iter()
            .filter(|(key, _)| below(key))
            .map(|(_, object)| object)
            .collect();
        let next = from.saturating_add(limit);
        let page: Vec<_> = items.iter().skip(from).take(limit).collect();
        let next = (next < items.len()).then(|| next.to_string());
        let list = json!({"metadata": {"continue": next}, "items": page});
        (StatusCode::OK, list)
    }

    fn delete(&mut self, path: &str, name: &str, body: &Value) -> (StatusCode, Value) {
        if let Some(deed) = self.meanwhile.take() {
            deed(self);
        }
        let Some(object) = self.objects.get(path).cloned() else {
            return refusal(StatusCode::NOT_FOUND, "NotFound", name);
        };
        for field in ["uid", "resourceVersion"] {
            let wanted = &body["preconditions"][field];
            assert!(wanted.is_string(), "{body}");
            if *wanted != object["metadata"][field] {
                return refusal(StatusCode::CONFLICT, "Conflict", name);
            }
        }
        self.objects.remove(path);
        self.writes.push(format!("DELETE {path}"));
        (StatusCode::OK, object)
    }
}
