//! A cluster of three servers, and a controller that reviews it in simulated time.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use kube::core::Selector;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::{Next, Options, RepairError, Repairer};
use super::apiserver::{Apiserver, path};
use crate::controller::scope::Scope;
use crate::facts::cluster::Kube;
use crate::fake;

const START: i64 = 1_800_000_000;
pub(super) const RESTART_AFTER: Duration = Duration::from_secs(40);

pub(super) struct Bed {
    pub(super) server: Apiserver,
    pub(super) repairer: Repairer,
    registry: Registry,
    began: Instant,
}

/// The routes of so many pods, by their full names.
pub(super) fn routes(count: usize) -> Vec<String> {
    (0..count)
        .map(|pod| format!("nats://nats-{pod}.nats-headless.messaging.svc.cluster.local:6222"))
        .collect()
}

pub(super) fn conf(routes: &[String]) -> String {
    let lines = routes
        .iter()
        .fold(String::new(), |lines, route| lines + "    " + route + "\n");
    format!("port: 4222\ncluster {{\n  port: 6222\n  routes = [\n{lines}  ]\n}}\n")
}

pub(super) fn wrong() -> String {
    conf(&["nats://nats-headless:6222".to_owned()])
}

pub(super) fn map(conf: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "nats-config", "namespace": "messaging", "uid": "map"},
        "data": {"nats.conf": conf}
    })
}

pub(super) fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "nats-headless", "namespace": "messaging", "uid": "service"},
        "spec": {"clusterIP": "None", "publishNotReadyAddresses": true, "selector": {"app": "nats"}}
    })
}

pub(super) fn set() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "nats", "namespace": "messaging", "uid": "set", "creationTimestamp": "2027-01-15T07:59:30Z"},
        "spec": {
            "serviceName": "nats-headless", "replicas": 3,
            "selector": {"matchLabels": {"app": "nats"}},
            "template": {
                "metadata": {"labels": {"app": "nats"}},
                "spec": {
                    "containers": [{
                        "name": "nats", "image": "nats:2.14.5", "args": ["-c", "/etc/nats/nats.conf"],
                        "volumeMounts": [{"name": "config", "mountPath": "/etc/nats"}]
                    }],
                    "volumes": [{"name": "config", "configMap": {"name": "nats-config"}}]
                }
            }
        },
        "status": {"replicas": 3, "currentRevision": "nats-1", "updateRevision": "nats-1"}
    })
}

/// A pod that started at a moment and was, or was not, Ready since another.
pub(super) fn pod(name: &str, started: Timestamp, ready: Option<Timestamp>) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "messaging", "creationTimestamp": started.to_string(),
            "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nats", "uid": "set", "controller": true}
            ]
        },
        "spec": {"containers": []},
        "status": {
            "phase": "Running", "startTime": started.to_string(),
            "conditions": [{
                "type": "Ready", "status": if ready.is_some() { "True" } else { "False" },
                "lastTransitionTime": ready.unwrap_or(started).to_string(),
            }],
            "containerStatuses": [{
                "name": "nats", "image": "nats", "imageID": "", "ready": ready.is_some(), "restartCount": 0,
                "state": {"running": {"startedAt": started.to_string()}}
            }]
        }
    })
}

impl Bed {
    pub(super) fn with(objects: impl IntoIterator<Item = Value>) -> Self {
        Self::with_options(objects, false)
    }

    pub(super) fn with_options(objects: impl IntoIterator<Item = Value>, owned: bool) -> Self {
        let server = Apiserver::default();
        for object in objects {
            server.lock().put(object);
        }
        let mut registry = Registry::with_prefix("natsguard");
        let options = Options {
            owned,
            writes_per_second: 10,
            restart_after: RESTART_AFTER,
        };
        let settings = Arc::new(ArcSwap::from_pointee(fake::settings()));
        let cluster = Arc::new(Kube::new(server.client()));
        let began = Instant::now();
        let scope = Scope::new(server.client(), "natsguard", Selector::default());
        let mut repairer = Repairer::new(
            server.client(),
            cluster,
            settings,
            Arc::default(),
            scope,
            options,
            &mut registry,
        );
        repairer.clock = Box::new(move || at(began));
        Self {
            server,
            repairer,
            registry,
            began,
        }
    }

    /// With this file, and all else sound.
    pub(super) fn of(conf: &str) -> Self {
        Self::with([map(conf), service(), set()])
    }

    pub(super) async fn review(&self) -> Next {
        self.try_review().await.unwrap()
    }

    pub(super) async fn try_review(&self) -> Result<Next, RepairError> {
        self.repairer.review("messaging", "nats").await
    }

    /// Reviews as often as it is asked to, for so long. Returns how often.
    pub(super) async fn run(&self, time: Duration) -> usize {
        let end = Instant::now() + time;
        let mut reviews = 0;
        loop {
            reviews += 1;
            let Next::Again(after) = self.review().await else {
                return reviews;
            };
            if Instant::now() + after > end {
                return reviews;
            }
            tokio::time::sleep(after).await;
        }
    }

    pub(super) fn put(&self, object: Value) -> Value {
        self.server.lock().put(object)
    }

    pub(super) fn held(&self, object: &Value) -> Value {
        self.server.lock().objects[&path(object)].clone()
    }

    pub(super) fn conf(&self) -> String {
        self.held(&map(""))["data"]["nats.conf"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    pub(super) fn writes(&self) -> Vec<String> {
        self.server.lock().writes.clone()
    }

    /// `type reason object: note` of each Event.
    pub(super) fn events(&self) -> Vec<String> {
        let world = self.server.lock();
        let event = |event: &Value| {
            let text = |pointer: &str| {
                event
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap()
                    .to_owned()
            };
            assert!(event["series"].is_null(), "{event}");
            assert_eq!(text("/reportingController"), "natsguard");
            format!(
                "{} {} {}/{}: {}",
                text("/type"),
                text("/reason"),
                text("/regarding/kind"),
                text("/regarding/name"),
                text("/note")
            )
        };
        world.events.iter().map(event).collect()
    }

    pub(super) fn now(&self) -> Timestamp {
        at(self.began)
    }

    /// The counters that are not zero, in the order of their names.
    pub(super) fn metrics(&self) -> Vec<String> {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        let mut samples: Vec<String> = text
            .lines()
            .filter(|line| {
                !line.starts_with('#') && !line.contains("_seconds") && !line.ends_with(" 0")
            })
            .map(str::to_owned)
            .collect();
        samples.sort();
        samples
    }
}

fn at(began: Instant) -> Timestamp {
    let passed = i64::try_from(began.elapsed().as_millis()).unwrap();
    Timestamp::from_millisecond(START * 1000 + passed).unwrap()
}
