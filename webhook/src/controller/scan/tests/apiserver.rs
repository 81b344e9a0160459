//! As much of an apiserver as a scan needs: objects by path, lists in small pages, discovery, applies, Events.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use crate::reports::{Kind, schema};

/// Small enough that every list of the tests has several pages.
const PAGE: usize = 2;

#[derive(Clone, Default)]
pub(super) struct Apiserver(Arc<Mutex<World>>);

#[derive(Default)]
pub(super) struct World {
    /// By path.
    pub(super) objects: BTreeMap<String, Value>,
    /// Kinds of reports that there are.
    pub(super) kinds: BTreeSet<Kind>,
    /// Paths that begin so are refused.
    pub(super) broken: Vec<String>,
    /// Writes whose paths begin so are refused with this status and message.
    pub(super) refuses: Option<(String, StatusCode, &'static str)>,
    /// Who asks for this path panics.
    pub(super) panics: Option<String>,
    /// Whether the next page of the next list of reports is forgotten.
    pub(super) forgets: bool,
    /// `METHOD path` of all that was asked.
    pub(super) asked: Vec<String>,
    /// Events, as `kind/name: note`.
    pub(super) events: Vec<String>,
    uid: u64,
}

impl Apiserver {
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.serve(request).await) }
        });
        Client::new(service, "natsguard")
    }

    async fn serve(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        let panics = self.lock().panics.clone();
        assert_ne!(panics.as_deref(), Some(head.uri.path()));
        let (status, value) = self
            .lock()
            .answer(&head.method, head.uri.path(), query, body);
        Response::builder()
            .status(status)
            .body(Body::from(serde_json::to_vec(&value).unwrap()))
            .unwrap()
    }
}

impl World {
    pub(super) fn put(&mut self, path: &str, mut object: Value) {
        self.uid += 1;
        let parts: Vec<&str> = path.split('/').collect();
        object["metadata"]["name"] = json!(parts[parts.len() - 1]);
        object["metadata"]["namespace"] = json!(parts[parts.len() - 3]);
        object["metadata"]["uid"] = json!(format!("u{}", self.uid));
        self.objects.insert(path.to_owned(), object);
    }

    /// Writes since the last call.
    pub(super) fn writes(&mut self) -> Vec<String> {
        let asked = std::mem::take(&mut self.asked);
        asked
            .into_iter()
            .filter(|asked| !asked.starts_with("GET"))
            .collect()
    }

    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        mut body: Value,
    ) -> (StatusCode, Value) {
        self.asked.push(format!("{method} {path}"));
        if self.broken.iter().any(|broken| path.starts_with(broken)) {
            return status(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "");
        }
        if let Some((refused, code, message)) = &self.refuses
            && path.starts_with(refused)
            && method != Method::GET
        {
            return status(*code, message, "");
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some(kind) = path
            .split('/')
            .nth(2)
            .map(|group| Kind::ALL.into_iter().find(|kind| kind.group() == group))
        else {
            return status(StatusCode::NOT_FOUND, "NotFound", name);
        };
        if let Some(kind) = kind {
            let version = kind.api_version();
            if !self.kinds.contains(&kind) {
                return status(StatusCode::NOT_FOUND, "NotFound", "");
            }
            if path == format!("/apis/{version}") {
                let resource = json!({"name": kind.plural(), "singularName": "", "namespaced": true, "kind": kind.name(), "verbs": []});
                return (
                    StatusCode::OK,
                    json!({"groupVersion": version, "resources": [resource]}),
                );
            }
        }
        let found = self.objects.get(path).cloned();
        match method.as_str() {
            "GET" if is_list(path) => self.list(path, query),
            "GET" => found.map_or_else(
                || status(StatusCode::NOT_FOUND, "NotFound", name),
                |found| (StatusCode::OK, found),
            ),
            "PATCH" | "POST" if path.contains("/events") => {
                let text = |pointer: &str| body.pointer(pointer).unwrap().as_str().unwrap();
                let (kind, name) = (text("/regarding/kind"), text("/regarding/name"));
                let event = format!("{kind}/{name}: {}: {}", text("/reason"), text("/note"));
                self.events.push(event);
                (StatusCode::CREATED, body)
            }
            "PATCH" => {
                assert_eq!(query, "&force=true&fieldManager=natsguard");
                schema::check(&body);
                if let Some(found) = found {
                    body["metadata"]["uid"] = found["metadata"]["uid"].clone();
                    self.objects.insert(path.to_owned(), body.clone());
                } else {
                    self.put(path, body.clone());
                }
                (StatusCode::OK, body)
            }
            "DELETE" => {
                let found = self.objects.remove(path).unwrap();
                assert_eq!(body["preconditions"]["uid"], found["metadata"]["uid"]);
                (StatusCode::OK, found)
            }
            other => panic!("{other} {path}"),
        }
    }

    fn list(&mut self, path: &str, query: &str) -> (StatusCode, Value) {
        let plural = path.rsplit('/').next().unwrap();
        let all = path.strip_suffix(&format!("/{plural}")).unwrap();
        let is_ours = query.contains("labelSelector=app.kubernetes.io%2Fmanaged-by%3Dnatsguard");
        let name = query
            .split_once("fieldSelector=metadata.name%3D")
            .map(|(_, rest)| rest.split('&').next().unwrap());
        // A token says behind which object a page begins, so that nothing is left out when some go meanwhile.
        let after = query.split_once("continue=").map(|(_, token)| token);
        if after.is_some() && is_ours && std::mem::take(&mut self.forgets) {
            return status(StatusCode::GONE, "Expired", "");
        }
        let mut found = self.objects.iter().filter(|(key, object)| {
            let rest = key.strip_prefix(all);
            let metadata = &object["metadata"];
            rest.is_some_and(|rest| rest.contains(&format!("/{plural}/")))
                && (!is_ours || metadata["labels"]["app.kubernetes.io/managed-by"] == "natsguard")
                && name.is_none_or(|name| metadata["name"] == name)
                && after.is_none_or(|after| key.as_str() > after)
        });
        let page: Vec<_> = found.by_ref().take(PAGE).collect();
        let next = found.next().and(page.last()).map(|(key, _)| key);
        let items: Vec<&Value> = page.iter().map(|(_, object)| *object).collect();
        (
            StatusCode::OK,
            json!({"metadata": {"continue": next}, "items": items}),
        )
    }
}

/// `/apis/apps/v1/statefulsets`, `/api/v1/namespaces/a/services`.
fn is_list(path: &str) -> bool {
    let skipped = if path.starts_with("/api/") { 3 } else { 4 };
    let parts: Vec<&str> = path.split('/').skip(skipped).collect();
    let rest = match parts.as_slice() {
        ["namespaces", _, rest @ ..] => rest,
        all => all,
    };
    rest.len() == 1
}

fn status(code: StatusCode, reason: &str, name: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": reason, "code": code.as_u16(), "details": {"name": name},
    });
    (code, status)
}
