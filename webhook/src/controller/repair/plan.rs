//! What is wrong with the objects around a StatefulSet and is repaired there: data in, data out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use natsguard_policies::bundle::{Bundle, Object, ObjectId, Referrer};
use natsguard_policies::engine::{Judged, repair_where};
use natsguard_policies::policy::{Action, Edit, Finding};
use natsguard_policies::settings::Settings;
use serde_json::Value;

use super::server::{Server, is_marked};
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

/// An object that is wrong and that nobody can repair.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Frozen {
    pub(super) target: Target,
    pub(super) policies: Vec<&'static str>,
    pub(super) before: Value,
    /// The end of a sentence about it.
    pub(super) why: &'static str,
}

/// What is due about one StatefulSet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Plan {
    pub(super) touches: Vec<Touch>,
    pub(super) owned: Vec<Owned>,
    pub(super) frozen: Vec<Frozen>,
    /// Files that are right, and that admission is not sure to see when they are written again.
    pub(super) unmarked: Vec<(Target, Value)>,
    /// How the server comes by its files: `None` when that can't be seen.
    pub(super) server: Option<Server>,
}

/// What is due. `owned`: also objects that belong to another controller.
pub(super) fn plan(seen: &Seen, settings: &Settings, owned: bool) -> Plan {
    let mut plan = Plan {
        server: Server::of(seen),
        ..Plan::default()
    };
    let findings = seen.report(settings).findings;
    for (id, faults) in by_object(&findings, |judged| judged.frozen) {
        if let Some((target, object)) = lasting(&seen.bundle, id)
            && let Some(why) = object.frozen
        {
            plan.frozen.push(Frozen {
                target,
                policies: policies(&faults),
                before: object.value.clone(),
                why,
            });
        }
    }
    for (id, faults) in by_object(&findings, repaired_at) {
        let Some((target, object)) = lasting(&seen.bundle, id) else {
            continue;
        };
        // As admission will: only this object, and what it takes for that.
        let may = |_: &Finding, edit: &Edit| edit.target().0 == id;
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
    plan.unmarked = unmarked(seen, &plan, owned);
    plan
}

/// The files of the server that nobody has marked, and that are neither repaired nor left alone.
fn unmarked(seen: &Seen, plan: &Plan, owned: bool) -> Vec<(Target, Value)> {
    let files = plan.server.iter().flat_map(|server| &server.files);
    let targets: BTreeSet<&Target> = files.map(|file| &file.target).collect();
    let is_touched = |target: &Target| plan.touches.iter().any(|touch| touch.target == *target);
    let object = |target: &Target| {
        let Target {
            kind,
            namespace,
            name,
        } = target;
        let by = Referrer {
            namespace: Some(namespace),
            origin: None,
        };
        let (id, _) = seen.bundle.lookup(by, "", kind.name(), name).found()?;
        let (_, object) = lasting(&seen.bundle, id)?;
        let is_left = object.frozen.is_some()
            || is_marked(&object.value)
            || !owned && owner(&object.value).is_some();
        (!is_left).then(|| (target.clone(), object.value.clone()))
    };
    targets
        .into_iter()
        .filter(|target| !is_touched(target))
        .filter_map(object)
        .collect()
}

impl Plan {
    /// Whether the files of the server are as they should be.
    pub(super) fn is_right(&self, server: &Server) -> bool {
        let touched = self.touches.iter().map(|touch| &touch.target);
        let owned = self.owned.iter().map(|owned| &owned.target);
        let frozen = self.frozen.iter().map(|frozen| &frozen.target);
        let mut wrong = touched.chain(owned).chain(frozen);
        !wrong.any(|target| server.reads(target))
    }
}

/// A fault by policy, and what is said of it.
type Fault = (&'static str, String);

fn policies(faults: &BTreeSet<Fault>) -> Vec<&'static str> {
    let mut policies: Vec<_> = faults.iter().map(|(policy, _)| *policy).collect();
    policies.dedup();
    policies
}

/// The faults by an object that each leads to.
fn by_object(
    findings: &[Judged],
    object: impl Fn(&Judged) -> Option<ObjectId>,
) -> BTreeMap<ObjectId, BTreeSet<Fault>> {
    let mut objects: BTreeMap<ObjectId, BTreeSet<Fault>> = BTreeMap::new();
    for judged in findings {
        if let Some(id) = object(judged) {
            let finding = &judged.finding;
            objects
                .entry(id)
                .or_default()
                .insert((finding.policy, finding.detail.clone()));
        }
    }
    objects
}

/// The object that a repair changes.
fn repaired_at(judged: &Judged) -> Option<ObjectId> {
    let edits = judged.finding.fix.iter().flat_map(|fix| &fix.edits);
    let ids: BTreeSet<ObjectId> = edits.map(|edit| edit.target().0).collect();
    // A repair of two objects at once is none that a request can make.
    let is_due = judged.action == Action::Fix && ids.len() == 1;
    ids.first().copied().filter(|_| is_due)
}

/// An object of a kind that is touched, unless it is on its way out.
fn lasting(bundle: &Bundle, id: ObjectId) -> Option<(Target, &Object)> {
    let object = bundle.object(id)?;
    let time = object.value.pointer("/metadata/deletionTimestamp");
    let is_ending = time.is_some_and(|time| !time.is_null());
    let target = Target::of(bundle, object)?;
    (!is_ending).then_some((target, object))
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
