//! What an UPDATE may have repaired: only what the request itself changes, so that nothing is started that nobody asked for.

use natsguard_policies::conf::{self, Included};
use natsguard_policies::policy::Edit;
use natsguard_policies::workload::mounts;
use serde_json::Value;

use crate::facts::frozen;

/// The annotation by which the controller asks for a repair: a request that changes it changes everything.
pub const REVIEWED: &str = "natsguard.dev/reviewed";

/// What the apiserver lets change in the `spec` of a StatefulSet that exists.
const MUTABLE: &[&str] = &[
    "/spec/minReadySeconds",
    "/spec/ordinals",
    "/spec/persistentVolumeClaimRetentionPolicy",
    "/spec/replicas",
    "/spec/revisionHistoryLimit",
    "/spec/template",
    "/spec/updateStrategy",
];

/// An object, and the one it takes the place of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change<'a> {
    /// The kind.
    pub kind: &'a str,
    /// The object as it will be.
    pub object: &'a Value,
    /// The object as it was: `None` when it is new.
    pub old: Option<&'a Value>,
}

impl Change<'_> {
    /// Whether an edit of the object may be made.
    pub(super) fn may(&self, edit: &Edit) -> bool {
        let Some(old) = self.old else { return true };
        let (_, pointer) = edit.target();
        match self.kind {
            "ConfigMap" | "Secret" => self.is_touched(old) || self.changes_routes(old, pointer),
            "Service" | "PersistentVolumeClaim" => {
                self.is_touched(old) || self.differs(old, "/spec")
            }
            // A workload.
            kind => {
                let template = match kind {
                    "CronJob" => "/spec/jobTemplate",
                    _ => "/spec/template",
                };
                is_mutable(kind, pointer)
                    && (!is_below(pointer, template) || self.differs(old, template))
            }
        }
    }

    /// Why the object can't be edited, when it can't. What is immutable is open in the request that makes it, and in one that
    /// would change it: that one is refused by the apiserver, unless the repair turns it into what is kept.
    pub(super) fn frozen(&self) -> Option<&'static str> {
        let old = self.old?;
        let mut files = ["/data", "/binaryData"].iter();
        frozen(old).filter(|_| files.all(|files| !self.differs(old, files)))
    }

    /// Whether the file behind a pointer is new or another one.
    pub(super) fn brings_file(&self, pointer: &str) -> bool {
        self.old.is_none_or(|old| self.differs(old, pointer))
    }

    /// Whether the request takes pods away and changes nothing else.
    pub(super) fn is_shrinking(&self) -> bool {
        let replicas = |object: &Value| match object.pointer("/spec/replicas") {
            None | Some(Value::Null) => Some(1),
            Some(replicas) => replicas.as_u64(),
        };
        let rest = |object: &Value| {
            let spec = object.get("spec").and_then(Value::as_object);
            spec.map(|spec| {
                let mut spec = spec.clone();
                spec.remove("replicas");
                spec
            })
        };
        self.old.is_some_and(|old| {
            replicas(self.object) < replicas(old) && rest(self.object) == rest(old)
        })
    }

    /// Whether the request only lets go of an object that is being deleted: a finalizer that keeps it makes it no safer to
    /// change anything else.
    pub(super) fn is_release(&self) -> bool {
        let is_same = |old: &Value| {
            let spoken_of = |object: &Value| {
                let mut object = object.clone();
                for part in ["metadata", "status"] {
                    object.as_object_mut().map(|fields| fields.remove(part));
                }
                object
            };
            spoken_of(old) == spoken_of(self.object)
        };
        let is_ending = |old: &&Value| {
            let time = old.pointer("/metadata/deletionTimestamp");
            time.is_some_and(|time| !time.is_null())
        };
        self.old.filter(is_ending).is_some_and(is_same)
    }

    fn differs(&self, old: &Value, pointer: &str) -> bool {
        self.object.pointer(pointer) != old.pointer(pointer)
    }

    /// Whether somebody asks for a repair: the controller, or a person.
    pub(super) fn is_asked_for(&self) -> bool {
        self.old.is_some_and(|old| self.is_touched(old))
    }

    fn is_touched(&self, old: &Value) -> bool {
        let annotation = |object: &Value| {
            object
                .pointer("/metadata/annotations")
                .and_then(|annotations| annotations.get(REVIEWED).cloned())
        };
        annotation(self.object) != annotation(old)
    }

    /// Whether the request changes the routes of the file behind a pointer, and not just something else in that file.
    fn changes_routes(&self, old: &Value, pointer: &str) -> bool {
        let (Some(new), Some(old)) = (text(self.object, pointer), text(old, pointer)) else {
            return true;
        };
        new != old && (routes(&new).is_none() || routes(&new) != routes(&old))
    }
}

fn is_mutable(kind: &str, pointer: &str) -> bool {
    kind != "StatefulSet"
        || !is_below(pointer, "/spec")
        || MUTABLE.iter().any(|field| is_below(pointer, field))
}

fn is_below(pointer: &str, field: &str) -> bool {
    pointer
        .strip_prefix(field)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn text(object: &Value, pointer: &str) -> Option<Vec<u8>> {
    let text = object.pointer(pointer)?.as_str()?;
    if mounts::is_encoded(object, pointer) {
        mounts::decode(text)
    } else {
        Some(text.as_bytes().to_vec())
    }
}

/// The routes of a file, of the `cluster` block or of a file that is included there: `None` when it can't be read.
fn routes(text: &[u8]) -> Option<[Option<Value>; 2]> {
    let config = conf::read(text, &mut |_, _| Included::Unknown);
    if config.error.is_some() {
        return None;
    }
    let values = |map: &conf::Map| map.find(&["routes"]).map(conf::Value::to_json);
    let cluster = config.root.find(&["cluster"]).and_then(conf::Value::as_map);
    Some([values(&config.root), cluster.and_then(values)])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(pointer: &str) -> Edit {
        Edit::Set {
            object: 0,
            pointer: pointer.to_owned(),
            value: Value::Null,
        }
    }

    fn may(kind: &str, old: &Value, object: &Value, pointer: &str) -> bool {
        let change = Change {
            kind,
            object,
            old: Some(old),
        };
        change.may(&set(pointer))
    }

    #[test]
    fn what_is_new_may_be_repaired_anywhere() {
        let object = json!({});
        let change = Change {
            kind: "StatefulSet",
            object: &object,
            old: None,
        };
        assert!(change.may(&set("/spec/podManagementPolicy")));
    }

    #[test]
    fn a_pod_template_is_repaired_only_with_one_that_the_request_changes() {
        let old = json!({"spec": {"replicas": 1, "template": {"spec": {"nodeName": "a"}}}});
        let scaled = json!({"spec": {"replicas": 3, "template": {"spec": {"nodeName": "a"}}}});
        let rolled = json!({"spec": {"replicas": 1, "template": {"spec": {"nodeName": "b"}}}});
        let template = "/spec/template/spec/affinity";
        assert!(!may("StatefulSet", &old, &scaled, template));
        assert!(may("StatefulSet", &old, &rolled, template));
        assert!(may(
            "StatefulSet",
            &old,
            &rolled,
            "/spec/updateStrategy/type"
        ));
        for fixed in [
            "/spec/serviceName",
            "/spec/podManagementPolicy",
            "/spec/templates",
        ] {
            assert!(!may("StatefulSet", &old, &rolled, fixed), "{fixed}");
        }
    }

    fn map(text: &str) -> Value {
        json!({"kind": "ConfigMap", "data": {"nats.conf": text}})
    }

    #[test]
    fn routes_are_repaired_only_when_the_request_changes_them() {
        let old = map("port: 4222\ncluster { routes = [nats://nats:6222] }");
        let file = "/data/nats.conf";
        let same = [
            "port: 4223\ncluster { routes = [nats://nats:6222] }",
            "# a comment\ncluster {\n  routes: [\n    nats://nats:6222\n  ]\n}",
        ];
        for text in same {
            assert!(!may("ConfigMap", &old, &map(text), file), "{text}");
        }
        let other = [
            "cluster { routes = [nats://nats:6223] }",
            "cluster { port: 6222 }",
            "cluster { routes = [",
        ];
        for text in other {
            assert!(may("ConfigMap", &old, &map(text), file), "{text}");
        }
        let included = map("routes = [nats://nats:6222]");
        assert!(may("ConfigMap", &included, &map("routes = []"), file));
        assert!(!may(
            "ConfigMap",
            &included,
            &map("routes = [nats://nats:6222] # x"),
            file
        ));
    }

    #[test]
    fn the_controllers_touch_asks_for_a_repair() {
        let old = map("cluster { routes = [nats://nats:6222] }");
        let mut touched = old.clone();
        touched["metadata"] = json!({"annotations": {REVIEWED: "1"}});
        assert!(may("ConfigMap", &old, &touched, "/data/nats.conf"));
        assert!(!may("ConfigMap", &touched, &touched, "/data/nats.conf"));
        let service = json!({"spec": {"clusterIP": "None"}});
        let mut asked = service.clone();
        asked["metadata"] = json!({"annotations": {REVIEWED: "1"}});
        let field = "/spec/publishNotReadyAddresses";
        assert!(may("Service", &service, &asked, field));
        asked["metadata"] = json!({"labels": {"a": "b"}});
        assert!(!may("Service", &service, &asked, field));
    }

    #[test]
    fn what_is_immutable_is_frozen_once_it_is_made_and_stays_as_it_is() {
        let mut old = map("cluster { routes = [nats://nats:6222] }");
        old["immutable"] = json!(true);
        let frozen = |object: &Value, old: Option<&Value>| {
            let change = Change {
                kind: "ConfigMap",
                object,
                old,
            };
            change.frozen().is_some()
        };
        let mut touched = old.clone();
        touched["metadata"] = json!({"annotations": {REVIEWED: "1"}});
        assert!(frozen(&touched, Some(&old)));
        assert!(!frozen(&touched, None));
        let mut other = old.clone();
        other["data"] = json!({});
        assert!(!frozen(&other, Some(&old)));
        old["immutable"] = json!(false);
        assert!(!frozen(&touched, Some(&old)));
    }

    #[test]
    fn a_secret_is_compared_decoded() {
        let secret = |data: &str| json!({"kind": "Secret", "data": {"a": data}});
        // `routes = []` and `routes=[]`
        let (old, new) = (secret("cm91dGVzID0gW10="), secret("cm91dGVzPVtd"));
        assert!(!may("Secret", &old, &new, "/data/a"));
    }
}
