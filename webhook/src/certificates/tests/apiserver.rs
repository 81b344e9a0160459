//! As much of an apiserver as one Secret and two webhook configurations need.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{Method, StatusCode};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::fake::{self, refusal};

#[derive(Clone, Default)]
pub(super) struct Apiserver(Arc<Mutex<World>>);

#[derive(Default)]
pub(super) struct World {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    version: u64,
    random: u64,
    /// Nothing is answered.
    pub(super) away: bool,
    /// Successful writes, as `METHOD path`.
    pub(super) writes: Vec<String>,
    /// Reads of whole objects.
    pub(super) reads: usize,
    /// Queries and bodies of applies.
    pub(super) applies: Vec<(String, Value)>,
}

pub(super) const SECRET: &str = "/api/v1/namespaces/natsguard/secrets/natsguard-ca";
const REGISTRATION: &str = "/apis/admissionregistration.k8s.io/v1";

pub(super) fn configurations() -> [String; 2] {
    ["mutating", "validating"]
        .map(|kind| format!("{REGISTRATION}/{kind}webhookconfigurations/natsguard"))
}

impl Apiserver {
    /// With both configurations installed, each with two webhooks and no bundle.
    pub(super) fn installed() -> Self {
        let server = Self::default();
        for path in configurations() {
            server.install(&path);
        }
        server
    }

    pub(super) fn install(&self, path: &str) {
        let webhook = |name: &str| {
            json!({
                "name": name,
                "clientConfig": {"service": {"name": "natsguard", "namespace": "natsguard"}},
            })
        };
        let object = json!({
            "metadata": {"name": "natsguard"},
            "webhooks": [webhook("a.natsguard.dev"), webhook("b.natsguard.dev")],
        });
        self.lock().put(path, object);
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        fake::client(move |head, body| {
            let server = server.clone();
            async move { server.serve(head, body).await }
        })
    }

    async fn serve(&self, head: Parts, body: Value) -> (StatusCode, Value) {
        // Replicas overtake each other.
        let delay = self.lock().random() % 40;
        sleep(Duration::from_millis(delay)).await;
        let whole = head
            .headers
            .get("accept")
            .is_none_or(|accept| !accept.to_str().unwrap().contains("PartialObjectMetadata"));
        let query = head.uri.query().unwrap_or_default();
        let answer = self
            .lock()
            .answer(&head.method, head.uri.path(), query, whole, body);
        let delay = self.lock().random() % 40;
        sleep(Duration::from_millis(delay)).await;
        answer
    }

    /// The bundle of each webhook.
    pub(super) fn bundles(&self) -> Vec<String> {
        let world = self.lock();
        configurations()
            .iter()
            .filter_map(|path| world.objects.get(path))
            .flat_map(|object| object["webhooks"].as_array().unwrap().clone())
            .map(|webhook| {
                let text = webhook["clientConfig"]["caBundle"]
                    .as_str()
                    .unwrap_or_default();
                String::from_utf8(STANDARD.decode(text).unwrap()).unwrap()
            })
            .collect()
    }
}

impl World {
    pub(super) fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    pub(super) fn random(&mut self) -> u64 {
        fake::random(&mut self.random)
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        whole: bool,
        body: Value,
    ) -> (StatusCode, Value) {
        if self.away {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", "");
        }
        let target = if *method == Method::POST {
            format!("{path}/{}", body["metadata"]["name"].as_str().unwrap())
        } else {
            path.to_owned()
        };
        let found = self.objects.get(&target).cloned();
        let done = match (method.as_str(), found) {
            ("GET", Some(found)) => {
                self.reads += usize::from(whole);
                return (StatusCode::OK, found);
            }
            ("POST", None) => self.put(&target, body),
            ("POST", Some(_)) => return refusal(StatusCode::CONFLICT, "AlreadyExists", ""),
            ("PUT", Some(found)) => {
                if found["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] {
                    return refusal(StatusCode::CONFLICT, "Conflict", "");
                }
                if found["type"] != body["type"] {
                    return refusal(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", "");
                }
                self.put(&target, body)
            }
            ("PATCH", Some(found)) => {
                self.applies.push((query.to_owned(), body.clone()));
                let merged = merge(found, &body);
                self.put(&target, merged)
            }
            ("DELETE", Some(found)) => {
                self.objects.remove(&target);
                found
            }
            (_, None) => return refusal(StatusCode::NOT_FOUND, "NotFound", ""),
            other => panic!("{other:?}"),
        };
        self.writes.push(format!("{method} {path}"));
        (StatusCode::OK, done)
    }
}

/// What a server-side apply of bundles comes to: entries are merged by name.
fn merge(mut object: Value, applied: &Value) -> Value {
    for webhook in object["webhooks"].as_array_mut().unwrap() {
        let entries = applied["webhooks"].as_array().unwrap();
        if let Some(entry) = entries
            .iter()
            .find(|entry| entry["name"] == webhook["name"])
        {
            webhook["clientConfig"]["caBundle"] = entry["clientConfig"]["caBundle"].clone();
        }
    }
    object
}
