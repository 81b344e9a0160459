//! How a server comes by its configuration, and what it takes for it to notice another one.

use jiff::Timestamp;
use natsguard_policies::conf::{self, Included};
use natsguard_policies::workload::{Configuration, discover, has_reloader, mounts};
use serde_json::Value;

use super::plan::Target;
use super::restart::BEGINNING;
use super::words::Remedy;
use crate::admission::REVIEWED;
use crate::facts::resource::CLAIMS;
use crate::live::Seen;

/// The server's container and its files.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Server {
    /// The name of the container.
    pub(super) container: String,
    /// Whether a container beside it tells it when a file changes.
    pub(super) has_reloader: bool,
    /// Whether it may recover what was there before its StatefulSet: a claim is older, or was not to be read.
    pub(super) holds_data: bool,
    /// The files it reads.
    pub(super) files: Vec<File>,
}

/// A file that the server reads.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct File {
    /// What holds it.
    pub(super) target: Target,
    /// JSON pointer of its text.
    pub(super) pointer: String,
    /// Whether a running pod keeps the file it started with: the kubelet never updates what is mounted with `subPath`.
    pub(super) is_pinned: bool,
    /// When the controller last had it repaired.
    pub(super) reviewed: Option<Timestamp>,
}

impl Server {
    pub(super) fn of(seen: &Seen) -> Option<Self> {
        let workloads = discover(&seen.bundle);
        let workload = workloads.into_iter().find(|found| found.id == seen.id)?;
        let Configuration::Known { sources, .. } = &workload.configuration else {
            return None;
        };
        let file = |source: &natsguard_policies::workload::Source| {
            let object = seen.bundle.object(source.object)?;
            let mount = mounts::mount_of(workload.container, &source.path)?;
            Some(File {
                target: Target::of(&seen.bundle, object)?,
                pointer: source.pointer.clone(),
                is_pinned: mount.value.get("subPath").is_some_and(|path| path != ""),
                reviewed: reviewed(&object.value),
            })
        };
        let container = workload.container.get("name").and_then(Value::as_str);
        Some(Self {
            container: container.unwrap_or_default().to_owned(),
            has_reloader: has_reloader(workload.pod),
            holds_data: holds_data(seen),
            files: sources.iter().filter_map(file).collect(),
        })
    }

    /// Whether a restart may be what it takes, and harms nothing.
    pub(super) fn may_restart(&self) -> bool {
        !self.has_reloader && !self.holds_data
    }

    /// Whether it reads a file of an object.
    pub(super) fn reads(&self, target: &Target) -> bool {
        self.files.iter().any(|file| file.target == *target)
    }

    /// What makes a server that runs take over the files of an object that was repaired.
    pub(super) fn remedy(&self, target: &Target, before: &Value, after: &Value) -> Remedy {
        let mut changed = self.files.iter().filter(|file| {
            let pointer = &file.pointer;
            file.target == *target && before.pointer(pointer) != after.pointer(pointer)
        });
        if changed.clone().any(|file| file.is_pinned) {
            Remedy::PinnedRestart
        } else if !changed.all(|file| changes_only_routes(before, after, &file.pointer)) {
            Remedy::Restart
        } else if self.has_reloader {
            Remedy::Reloader
        } else {
            Remedy::Signal
        }
    }

    /// When the controller last had one of the files repaired.
    pub(super) fn reviewed(&self) -> Option<Timestamp> {
        self.files.iter().filter_map(|file| file.reviewed).max()
    }
}

/// Whether a StatefulSet found data: one that was removed and made again is young, and what its claims hold is not. Claims that
/// were made together with it hold nothing yet.
fn holds_data(seen: &Seen) -> bool {
    let made = |object: &Value| -> Option<Timestamp> {
        let made = object.pointer("/metadata/creationTimestamp")?;
        made.as_str()?.parse().ok()
    };
    let set = seen.bundle.object(seen.id).and_then(|set| made(&set.value));
    let mut claims = seen.bundle.of_kind("", CLAIMS.kind);
    let mut unknown = seen.unknown.iter();
    unknown.any(|query| *query.resource == CLAIMS)
        || claims.any(|(_, claim)| match (made(&claim.value), set) {
            (Some(claim), Some(set)) => set.duration_since(claim) > BEGINNING,
            _ => true,
        })
}

/// When the controller last touched an object.
fn reviewed(object: &Value) -> Option<Timestamp> {
    let annotations = object.pointer("/metadata/annotations")?;
    annotations.get(REVIEWED)?.as_str()?.parse().ok()
}

/// What is written on a file that is right: no time, since no pod has to start again for it.
pub(super) const MOUNTED: &str = "mounted";

/// Whether admission sees each write of an object, whatever it holds.
pub(super) fn is_marked(object: &Value) -> bool {
    let annotations = object.pointer("/metadata/annotations");
    annotations.is_some_and(|annotations| annotations.get(REVIEWED).is_some())
}

/// Whether an object was ever touched to have it repaired.
pub(super) fn was_touched(object: &Value) -> bool {
    reviewed(object).is_some()
}

/// What to write on an object so that admission repairs it: the time, and never the value that stands there.
pub(super) fn mark(object: &Value, now: Timestamp) -> String {
    let second = now.as_second();
    let is_taken = reviewed(object).is_some_and(|taken| taken.as_second() == second);
    let marked = Timestamp::from_second(second.saturating_add(i64::from(is_taken)));
    marked.unwrap_or(now).to_string()
}

/// Whether two versions of a file differ in their routes only, which nats-server takes over on SIGHUP; of other options
/// many can't be reloaded, and one of them keeps it from reloading all.
fn changes_only_routes(before: &Value, after: &Value, pointer: &str) -> bool {
    match (
        beside_routes(before, pointer),
        beside_routes(after, pointer),
    ) {
        (Some(before), Some(after)) => before == after,
        _ => false,
    }
}

fn beside_routes(object: &Value, pointer: &str) -> Option<Value> {
    let text = object.pointer(pointer)?.as_str()?;
    let bytes = if mounts::is_encoded(object, pointer) {
        mounts::decode(text)?
    } else {
        text.as_bytes().to_vec()
    };
    let config = conf::read(&bytes, &mut |_, _| Included::Unknown);
    let mut values = config.root.to_json();
    let is_routes = |key: &str| key.eq_ignore_ascii_case("routes");
    let map = values.as_object_mut()?;
    // An included file holds the inside of the block.
    map.retain(|key, _| !is_routes(key));
    for (key, value) in map.iter_mut() {
        if let (true, Some(cluster)) = (key.eq_ignore_ascii_case("cluster"), value.as_object_mut())
        {
            cluster.retain(|key, _| !is_routes(key));
        }
    }
    config.error.is_none().then_some(values)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(text: &str) -> Value {
        json!({"kind": "ConfigMap", "data": {"nats.conf": text}})
    }

    #[test]
    fn only_routes_reload_for_sure() {
        let before = map("port: 4222\ncluster { port: 6222, routes = [nats://nats:6222] }");
        let only = |text: &str| changes_only_routes(&before, &map(text), "/data/nats.conf");
        assert!(only(
            "port: 4222\ncluster { port: 6222, routes = [nats://a:6222, nats://b:6222] }"
        ));
        assert!(only("port: 4222 # the same\ncluster { port: 6222 }"));
        assert!(!only(
            "port: 4222\ncluster { port: 6223, routes = [nats://nats:6222] }"
        ));
        assert!(!only(
            "port: 4222\nhttp: 8222\ncluster { port: 6222, routes = [] }"
        ));
        assert!(!only("cluster {"));
        assert!(changes_only_routes(
            &map("routes = [a]"),
            &map("routes = [b]"),
            "/data/nats.conf"
        ));
    }

    #[test]
    fn a_secret_is_read_decoded() {
        // `routes = []`, `routes=[]` and `port: 1`
        let secret = |data: &str| json!({"kind": "Secret", "data": {"a": data}});
        let [spaced, tight, port] =
            ["cm91dGVzID0gW10=", "cm91dGVzPVtd", "cG9ydDogMQ=="].map(secret);
        assert!(changes_only_routes(&spaced, &tight, "/data/a"));
        assert!(!changes_only_routes(&spaced, &port, "/data/a"));
    }

    #[test]
    fn a_mark_is_another_one_than_stands_there() {
        let now: Timestamp = "2026-01-02T03:04:05.678Z".parse().unwrap();
        let marked = |mark: &str| json!({"metadata": {"annotations": {REVIEWED: mark}}});
        assert_eq!(mark(&json!({}), now), "2026-01-02T03:04:05Z");
        assert_eq!(
            mark(&marked("2026-01-02T03:04:05Z"), now),
            "2026-01-02T03:04:06Z"
        );
        assert_eq!(
            mark(&marked("2026-01-02T03:04:06Z"), now),
            "2026-01-02T03:04:05Z"
        );
        assert_eq!(mark(&marked("never"), now), "2026-01-02T03:04:05Z");
    }
}
