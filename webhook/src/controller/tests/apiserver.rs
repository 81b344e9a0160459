//! As much of an apiserver as one Lease and many StatefulSets need.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::body::Body as Answer;
use futures::stream;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::broadcast;
use tokio::time::sleep;
use tower::service_fn;

use crate::fake::{self, refusal};

pub(super) const LEASE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/natsguard/leases/natsguard-controller";
const SETS: &str = "/apis/apps/v1/statefulsets";

#[derive(Clone)]
pub(super) struct Apiserver(Arc<Mutex<World>>);

pub(super) struct World {
    pub(super) lease: Option<Value>,
    version: u64,
    random: u64,
    /// Nothing is answered but this: 503, or the 403 of an apiserver that has just started.
    pub(super) away: Option<StatusCode>,
    /// Lists can be streamed.
    pub(super) streams: bool,
    /// Watches that go on from a version before this are refused.
    oldest: u64,
    /// They are refused by an event, not by a status.
    pub(super) tells_late: bool,
    pub(super) sets: BTreeMap<String, Value>,
    events: broadcast::Sender<String>,
    /// Queries about StatefulSets.
    pub(super) asked: Vec<String>,
}

/// The line that ends all watches.
const CUT: &str = "";

impl Apiserver {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            lease: None,
            version: 0,
            random: 0,
            away: None,
            streams: true,
            oldest: 0,
            tells_late: false,
            sets: BTreeMap::new(),
            events: broadcast::channel(1000).0,
            asked: Vec::new(),
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn client(&self) -> Client {
        self.client_behind(Arc::default())
    }

    /// A client whose requests get lost, or whose answers do, as long as `deaf` is set.
    pub(super) fn client_behind(&self, deaf: Arc<AtomicBool>) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (server, deaf) = (server.clone(), Arc::clone(&deaf));
            async move {
                let lose = async |server: &Self| {
                    let delay = server.lock().random() % 20;
                    sleep(Duration::from_millis(delay)).await;
                    if deaf.load(Ordering::Relaxed) {
                        std::future::pending::<()>().await;
                    }
                };
                lose(&server).await;
                let answer = server.serve(request).await;
                lose(&server).await;
                Ok::<_, Infallible>(answer)
            }
        });
        Client::new(service, "natsguard")
    }

    async fn serve(&self, request: Request<Body>) -> Response<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut world = self.lock();
        if head.uri.path() == SETS {
            let query = head.uri.query().unwrap_or_default();
            world.asked.push(query.to_owned());
        }
        if let Some(code) = world.away {
            return status(code, code.canonical_reason().unwrap_or_default());
        }
        match (head.method.as_str(), head.uri.path()) {
            ("GET", SETS) => world.sets(head.uri.query().unwrap_or_default()),
            ("GET", LEASE) => match &world.lease {
                Some(lease) => answer(lease),
                None => status(StatusCode::NOT_FOUND, "NotFound"),
            },
            ("POST", _) => match &world.lease {
                Some(_) => status(StatusCode::CONFLICT, "AlreadyExists"),
                None => world.put(body),
            },
            ("PUT", LEASE) => match &world.lease {
                None => status(StatusCode::NOT_FOUND, "NotFound"),
                Some(lease)
                    if lease["metadata"]["resourceVersion"]
                        != body["metadata"]["resourceVersion"] =>
                {
                    status(StatusCode::CONFLICT, "Conflict")
                }
                Some(_) => world.put(body),
            },
            other => panic!("{other:?}"),
        }
    }
}

impl World {
    pub(super) fn random(&mut self) -> u64 {
        fake::random(&mut self.random)
    }

    fn put(&mut self, mut lease: Value) -> Response<Answer> {
        self.version += 1;
        lease["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let answer = answer(&lease);
        self.lease = Some(lease);
        answer
    }

    /// Someone else's edit, which touches no field of ours.
    pub(super) fn label(&mut self) {
        if let Some(mut lease) = self.lease.take() {
            lease["metadata"]["labels"] = json!({"a": self.version.to_string()});
            self.put(lease);
        }
    }

    pub(super) fn holder(&self) -> Option<String> {
        let holder = &self.lease.as_ref()?["spec"]["holderIdentity"];
        holder.as_str().map(str::to_owned)
    }

    /// Stores a StatefulSet, and tells those who watch.
    pub(super) fn set(&mut self, name: &str, image: &str, generation: i64, uid: &str) {
        let kind = if self.sets.contains_key(name) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        let set = self.numbered(json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": name, "namespace": "messaging", "generation": generation, "uid": uid},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [{"name": "a", "image": image}]}}},
            "status": {"replicas": 3},
        }));
        self.tell(kind, &set);
        self.sets.insert(name.to_owned(), set);
    }

    /// Notes that somebody wrote a set, or its status.
    pub(super) fn written(&mut self, name: &str, second: i64, subresource: &str) {
        let time = jiff::Timestamp::from_second(second).unwrap().to_string();
        let entry = json!({"manager": "helm", "operation": "Apply", "time": time, "subresource": subresource});
        let metadata = &mut self.sets.get_mut(name).unwrap()["metadata"];
        if metadata["managedFields"].is_null() {
            metadata["creationTimestamp"] = json!("1970-01-01T00:00:01Z");
            metadata["managedFields"] = json!([]);
        }
        metadata["managedFields"]
            .as_array_mut()
            .unwrap()
            .push(entry);
    }

    /// A set whose fields claim a time.
    pub(super) fn forge(&mut self, name: &str, time: &str) {
        let set = self.sets.get_mut(name).unwrap();
        set["metadata"]["managedFields"] = json!([{"manager": "helm", "time": time}]);
        let set = set.clone();
        self.tell("MODIFIED", &set);
    }

    pub(super) fn delete(&mut self, name: &str) {
        let set = self.sets.remove(name).unwrap();
        let set = self.numbered(set);
        self.tell("DELETED", &set);
    }

    fn numbered(&mut self, mut set: Value) -> Value {
        self.version += 1;
        set["metadata"]["resourceVersion"] = json!(self.version.to_string());
        set
    }

    fn tell(&self, kind: &str, object: &Value) {
        let _ = self.events.send(event(kind, object));
    }

    /// Forgets what happened so far.
    pub(super) fn compact(&mut self) {
        self.oldest = self.version;
    }

    /// Ends all watches.
    pub(super) fn cut(&self) {
        let _ = self.events.send(CUT.to_owned());
    }

    fn sets(&self, query: &str) -> Response<Answer> {
        let has = |pair: &str| query.split('&').any(|have| have == pair);
        if !has("watch=true") {
            return self.page(query);
        }
        let mut first = String::new();
        if has("sendInitialEvents=true") {
            if !self.streams {
                return status(StatusCode::UNPROCESSABLE_ENTITY, "Invalid");
            }
            for set in self.sets.values() {
                first += &event("ADDED", set);
            }
            let end = json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {
                    "resourceVersion": self.version.to_string(),
                    "annotations": {"k8s.io/initial-events-end": "true"},
                },
            });
            first += &event("BOOKMARK", &end);
        } else if number(query, "resourceVersion=").unwrap() < self.oldest {
            if self.tells_late {
                return Response::new(Answer::from(event(
                    "ERROR",
                    &refusal(StatusCode::GONE, "Expired", "").1,
                )));
            }
            return status(StatusCode::GONE, "Expired");
        }
        let events = self.events.subscribe();
        let lines = stream::unfold((Some(first), events), |(first, mut events)| async move {
            let line = match first {
                Some(first) => first,
                None => events.recv().await.ok().filter(|line| line != CUT)?,
            };
            Some((Ok::<_, Infallible>(line), (None, events)))
        });
        Response::new(Answer::from_stream(lines))
    }

    fn page(&self, query: &str) -> Response<Answer> {
        let from = number(query, "continue=").map_or(0, |from| usize::try_from(from).unwrap());
        let to = from + usize::try_from(number(query, "limit=").unwrap()).unwrap();
        let items: Vec<&Value> = self.sets.values().skip(from).take(to - from).collect();
        let next = (to < self.sets.len()).then(|| to.to_string());
        answer(&json!({
            "apiVersion": "apps/v1", "kind": "StatefulSetList",
            "metadata": {"resourceVersion": self.version.to_string(), "continue": next},
            "items": items,
        }))
    }
}

fn event(kind: &str, object: &Value) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn answer(value: &Value) -> Response<Answer> {
    Response::new(Answer::from(value.to_string()))
}

fn status(code: StatusCode, reason: &str) -> Response<Answer> {
    let mut answer = answer(&refusal(code, reason, "").1);
    *answer.status_mut() = code;
    answer
}

fn number(query: &str, name: &str) -> Option<u64> {
    let pair = query.split('&').find_map(|pair| pair.strip_prefix(name));
    pair.map(|value| value.parse().unwrap())
}
