//! What is wrong with the objects around a StatefulSet and is repaired there: data in, data out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use natsguard_policies::bundle::{Bundle, Object, ObjectId};
use natsguard_policies::engine::repair_where;
use natsguard_policies::policy::{Action, Edit};
use natsguard_policies::settings::Settings;
use serde_json::Value;

use super::server::Server;
use crate::controller::digest;
use crate::live::{Seen, owner};

/// The kinds that are touched. A workload never is: its template is repaired only with a request that changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Kind {
    ConfigMap,
    Secret,
    Service,
}

/// An object by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// An object that admission would repair, were it written.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Touch {
    pub(super) target: Target,
    /// What is repaired.
    pub(super) policies: Vec<&'static str>,
    /// Tells what is wrong apart: the same when somebody writes the same fault again, another when the pods change.
    pub(super) fault: u64,
    /// As it was read.
    pub(super) before: Value,
}

/// An object that is left alone, for another controller writes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    pub(super) target: Target,
    pub(super) before: Value,
    /// Kind and name of the owner.
    pub(super) owner: String,
}

/// What is due about one StatefulSet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) touches: Vec<Touch>,
    pub(super) owned: Vec<Owned>,
    /// How the server comes by its files: `None` when that can't be seen.
    pub(super) server: Option<Server>,
}

/// What is due. `owned`: also objects that belong to another controller.
pub(super) fn plan(seen: &Seen, settings: &Settings, owned: bool) -> Plan {
    let mut plan = Plan {
        server: Server::of(seen),
        ..Plan::default()
    };
    for (id, faults) in repairable(seen, settings) {
        let Some(object) = seen.bundle.object(id) else {
            continue;
        };
        let Some(target) = Target::of(&seen.bundle, object) else {
            continue;
        };
        if is_closed(&object.value) {
            continue;
        }
        // As admission will: only this object, and what it takes for that.
        let may = |edit: &Edit| edit.target().0 == id;
        let repaired = repair_where(&seen.bundle, settings, &may);
        if repaired.bundle.object(id) == Some(object) {
            continue;
        }
        let before = object.value.clone();
        match owner(&before).filter(|_| !owned) {
            Some(owner) => plan.owned.push(Owned {
                target,
                before,
                owner,
            }),
            None => plan.touches.push(Touch {
                target,
                policies: policies(&faults),
                fault: digest(&faults),
                before,
            }),
        }
    }
    plan
}

impl Plan {
    /// Whether the files of the server are as they should be.
    pub(super) fn is_right(&self, server: &Server) -> bool {
        let touched = self.touches.iter().map(|touch| &touch.target);
        let owned = self.owned.iter().map(|owned| &owned.target);
        !touched.chain(owned).any(|target| server.reads(target))
    }
}

/// A fault by policy, and what is said of it.
type Fault = (&'static str, String);

fn policies(faults: &BTreeSet<Fault>) -> Vec<&'static str> {
    let mut policies: Vec<_> = faults.iter().map(|(policy, _)| *policy).collect();
    policies.dedup();
    policies
}

/// The objects that repairs of this workload's faults change, with the faults that ask for it.
fn repairable(seen: &Seen, settings: &Settings) -> BTreeMap<ObjectId, BTreeSet<Fault>> {
    let mut objects: BTreeMap<ObjectId, BTreeSet<Fault>> = BTreeMap::new();
    for judged in seen.report(settings).findings {
        let edits = judged.finding.fix.iter().flat_map(|fix| &fix.edits);
        let ids: BTreeSet<ObjectId> = edits.map(|edit| edit.target().0).collect();
        // A repair of two objects at once is none that a request can make.
        if let (Action::Fix, 1, Some(id)) = (judged.action, ids.len(), ids.first()) {
            objects
                .entry(*id)
                .or_default()
                .insert((judged.finding.policy, judged.finding.detail));
        }
    }
    objects
}

/// Whether an object can't be changed, or is on its way out.
fn is_closed(object: &Value) -> bool {
    object.get("immutable") == Some(&Value::Bool(true))
        || object
            .pointer("/metadata/deletionTimestamp")
            .is_some_and(|time| !time.is_null())
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::Service => "Service",
        }
    }

    pub(super) const fn plural(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Secret => "secrets",
            Self::Service => "services",
        }
    }
}

impl Target {
    pub(super) fn of(bundle: &Bundle, object: &Object) -> Option<Self> {
        let kind = match (object.group(), object.kind()) {
            ("", "ConfigMap") => Kind::ConfigMap,
            ("", "Secret") => Kind::Secret,
            ("", "Service") => Kind::Service,
            _ => return None,
        };
        Some(Self {
            kind,
            namespace: bundle.namespace(object)?.to_owned(),
            name: object.name().to_owned(),
        })
    }
}

/// `ConfigMap nats-config`: everything said of it is said in its namespace.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.name)
    }
}

/// What an object says, without who says it: all but its type, its metadata and its status.
pub(super) fn content(object: &Value) -> BTreeMap<&str, &Value> {
    const ENVELOPE: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
    let fields = object.as_object().into_iter().flatten();
    fields
        .map(|(key, value)| (key.as_str(), value))
        .filter(|(key, value)| !ENVELOPE.contains(key) && !value.is_null())
        .collect()
}
