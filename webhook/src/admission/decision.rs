//! What is done about an object: a pure function of it, the one before it, the facts and the settings.

use std::cell::RefCell;
use std::collections::BTreeMap;

use json_patch::Patch;
use natsguard_policies::bundle::{Bundle, Object, ObjectId, Referrer};
use natsguard_policies::engine::{evaluate, repair_where, unused_files};
use natsguard_policies::policy::{Action, Edit, Finding};
use natsguard_policies::settings::Settings;
use serde_json::Value;

use super::bound;
use super::change::Change;
use super::claim::is_from_template;
use super::fault::{Fault, beyond, brought_in, exempted, faults};
use super::message;
use super::patch::{Made, make};
use crate::facts::resource::STATEFUL_SETS;
use crate::facts::{Facts, Known, Query, Subject, frozen};

/// Everything a decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The object by name.
    pub subject: Subject<'a>,
    /// The object as it will be.
    pub object: &'a Value,
    /// The object as it was: `None` when it is new.
    pub old: Option<&'a Value>,
    /// What is known of other objects.
    pub facts: &'a Facts,
    /// What the platform wants.
    pub settings: &'a Settings,
    /// Whether the request says nothing but the number of pods: nothing is said but of what that brings in.
    pub is_scale: bool,
}

/// What is answered. Nothing found is the default: allowed, unchanged, in silence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Verdict {
    /// The repair, when one is made: never empty.
    pub patch: Option<Patch>,
    /// Why it is refused: empty when it is not.
    pub denied: Vec<Fault>,
    /// Why it is refused although nobody knows what is wrong: it leads to more than is read.
    pub unread: Option<String>,
    /// What is said about an object that is let through.
    pub warnings: Vec<String>,
    /// Policies, with what was done about a finding of theirs: `fix` is a repair that was made.
    pub findings: Vec<(&'static str, Action)>,
    /// Policies that an exemption of the platform lifted.
    pub exempted: Vec<&'static str>,
}

impl<'a> Case<'a> {
    /// Repairs the object under review, and no other. Denies nothing.
    pub fn mutate(&self) -> Verdict {
        let change = self.change();
        let Some((bundle, id)) = self.bundle() else {
            return Verdict::default();
        };
        if change.is_release() {
            return Verdict::default();
        }
        // The answer may take a parse of the file, and a long list has thousands of edits.
        let fields = RefCell::new(BTreeMap::new());
        // What the workload may make right when it is written, too, is not taken from its file before.
        let is_premature = |finding: &Finding, edit: &Edit| {
            !self.subject.is_workload()
                && finding.rests_on_workload
                && edit.is_removal()
                && !change.is_asked_for()
        };
        let may = |finding: &Finding, edit: &Edit| {
            if is_premature(finding, edit) {
                return false;
            }
            let (object, pointer) = edit.target();
            let mut fields = fields.borrow_mut();
            object == id
                && *fields
                    .entry(pointer.to_owned())
                    .or_insert_with(|| change.may(edit))
        };
        let repaired = repair_where(&bundle, self.settings, &may);
        let after = repaired.bundle.object(id).map(|object| &object.value);
        let policies = |faults: &[Fault]| faults.iter().map(|fault| fault.finding.policy).collect();
        let told = |judged| Fault::new(judged, &bundle);
        let mended: Vec<Fault> = repaired.mended.iter().map(told).collect();
        match after.map_or(Made::Nothing, |after| make(self.object, after)) {
            Made::Nothing => Verdict::default(),
            Made::Impossible => {
                let policies: Vec<&str> = policies(&mended);
                Verdict {
                    warnings: vec![message::line(&[format!(
                        "natsguard could not write a repair as a patch; nothing was changed for {}",
                        policies.join(", ")
                    )])],
                    ..Verdict::default()
                }
            }
            Made::Patch(patch) => {
                let beside: Vec<Fault> = repaired.beside.iter().map(told).collect();
                let own = beside
                    .iter()
                    .filter(|fault| fault.finding.place.object == id);
                let warnings = mended.iter().map(message::repaired);
                let policies: Vec<&'static str> = policies(&mended);
                Verdict {
                    patch: Some(patch),
                    warnings: message::bounded(warnings.chain(own.map(message::warning)).collect()),
                    findings: policies.into_iter().map(|id| (id, Action::Fix)).collect(),
                    ..Verdict::default()
                }
            }
        }
    }

    /// Refuses what still stands and may not; warns of the rest.
    pub fn validate(&self) -> Verdict {
        let change = self.change();
        let Some((bundle, id)) = self.bundle() else {
            return Verdict::default();
        };
        if change.is_release() {
            return Verdict::default();
        }
        if self.is_asked_for(&bundle, id) {
            return Verdict::default();
        }
        let report = evaluate(&bundle, self.settings);
        let mut verdict = Verdict {
            unread: bound::unread(self, &bundle, id),
            warnings: self.unused(&bundle, id),
            ..Verdict::default()
        };
        if self.subject.is_workload() && !self.is_scale {
            let unchecked = report.unchecked.iter();
            verdict.warnings.extend(unchecked.map(message::unchecked));
        }
        if report.findings.is_empty() && report.exempted.is_empty() {
            verdict.warnings = message::bounded(verdict.warnings);
            return verdict;
        }
        // What stands without the object is not its fault; what stands with the one before it is not the request's.
        let without = self.faults_with(None);
        let exempted = beyond(exempted(&report, &bundle), &without);
        let lifted = exempted.iter().filter(|fault| self.answers_for(fault, id));
        verdict.exempted = lifted.map(|fault| fault.finding.policy).collect();
        let faults = beyond(faults(&report, &bundle), &without);
        let is_new = match self.old {
            Some(_) if change.is_shrinking() => vec![false; faults.len()],
            Some(old) => brought_in(&faults, &self.faults_with(Some(old))),
            None => vec![true; faults.len()],
        };
        let said = faults.into_iter().zip(is_new);
        for (fault, is_new) in said.filter(|(_, is_new)| *is_new || !self.is_scale) {
            verdict.add(self.judge(fault, is_new, id));
        }
        if verdict.is_denied() {
            verdict.warnings.clear();
        }
        verdict.warnings = message::bounded(verdict.warnings);
        verdict
    }

    fn judge(&self, fault: Fault, is_new: bool, id: ObjectId) -> Answer {
        let is_grave = is_new && fault.unrepaired() == Action::Deny;
        if !self.answers_for(&fault, id) {
            // It says what it does to the workload.
            return match (
                is_grave && fault.action == Action::Deny,
                self.may_deny(&fault),
            ) {
                (true, true) => Answer::Deny(fault),
                (true, false) => Answer::Warn(message::warning(&fault), fault),
                (false, _) => Answer::Nothing,
            };
        }
        let is_own = fault.finding.place.object == id;
        if !is_own && fault.action == Action::Fix {
            return Answer::Warn(message::pending(&fault), fault);
        }
        if is_grave && self.may_deny(&fault) {
            return Answer::Deny(fault);
        }
        Answer::Warn(message::warning(&fault), fault)
    }

    /// A workload answers for all its parts, a part for itself.
    fn answers_for(&self, fault: &Fault, id: ObjectId) -> bool {
        fault.finding.place.object == id || self.subject.is_workload()
    }

    /// Whether the object may be refused for what is wrong: a workload for everything, a part for what holds whatever its
    /// workload becomes. One upgrade may change both, and the workload is written last.
    fn may_deny(&self, fault: &Fault) -> bool {
        let is_the_parts = match self.subject.kind {
            _ if self.subject.is_workload() => return true,
            "PersistentVolumeClaim" => true,
            // What gives the pods their names is settled when a StatefulSet is made.
            "Service" if fault.finding.place.pointer == "/spec/serviceName" => true,
            // So is what its claims lie on.
            "ConfigMap" | "Secret"
                if fault
                    .finding
                    .place
                    .pointer
                    .starts_with("/spec/volumeClaimTemplates/") =>
            {
                true
            }
            _ => !fault.is_in_workload,
        };
        is_the_parts && !fault.finding.rests_on_workload
    }

    /// Whether a StatefulSet that was let through has it made.
    fn is_asked_for(&self, bundle: &Bundle, id: ObjectId) -> bool {
        let claim = bundle.object(id);
        let is_new_claim = self.old.is_none() && self.subject.kind == "PersistentVolumeClaim";
        is_new_claim && claim.is_some_and(|claim| is_from_template(claim, bundle))
    }

    /// The nats.conf files that nobody mounts yet, so that nobody can say whose routes they hold.
    fn unused(&self, bundle: &Bundle, id: ObjectId) -> Vec<String> {
        if self.subject.kind != "ConfigMap" {
            return Vec::new();
        }
        let sets = Query::all(&STATEFUL_SETS, self.subject.namespace);
        let is_known = matches!(self.facts.get(&sets), Known::Objects(_));
        let done = if frozen(self.object).is_some() {
            "checked"
        } else {
            "checked and repaired"
        };
        let change = self.change();
        unused_files(bundle)
            .into_iter()
            .filter(|place| place.object == id && change.brings_file(&place.pointer))
            .map(|place| {
                let field = place.field;
                if is_known {
                    message::line(&[
                        format!(
                            "natsguard: no StatefulSet mounts {field} yet; its routes are {done} when one does"
                        ),
                        format!("natsguard: no StatefulSet mounts {field} yet"),
                    ])
                } else {
                    message::line(&[
                        format!("natsguard: the routes of {field} were not checked: who mounts it could not be asked"),
                        format!("natsguard: the routes of {field} were not checked"),
                    ])
                }
            })
            .collect()
    }

    fn change(&self) -> Change<'a> {
        Change {
            kind: self.subject.kind,
            object: self.object,
            old: self.old,
        }
    }

    /// The facts with the object among them, and its place there: `None` when it is not what the review says it is.
    fn bundle(&self) -> Option<(Bundle, ObjectId)> {
        let Subject {
            group,
            kind,
            namespace,
            name,
        } = self.subject;
        let object = Object {
            frozen: self.change().frozen(),
            ..Object::new(self.object.clone())
        };
        let bundle = self.facts.bundle(&self.subject, Some(object));
        let own = Referrer {
            namespace: Some(namespace),
            origin: None,
        };
        let (id, _) = bundle.lookup(own, group, kind, name).found()?;
        Some((bundle, id))
    }

    fn faults_with(&self, object: Option<&Value>) -> Vec<Fault> {
        let object = object.cloned().map(Object::new);
        let bundle = self.facts.bundle(&self.subject, object);
        let report = evaluate(&bundle, self.settings);
        let mut faults = faults(&report, &bundle);
        faults.extend(exempted(&report, &bundle));
        faults
    }
}

enum Answer {
    Nothing,
    Warn(String, Fault),
    Deny(Fault),
}

impl Verdict {
    /// Whether it is refused.
    pub fn is_denied(&self) -> bool {
        !self.denied.is_empty() || self.unread.is_some()
    }

    fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Nothing => {}
            Answer::Warn(warning, fault) => {
                self.findings.push((fault.finding.policy, Action::Warn));
                self.warnings.push(warning);
            }
            Answer::Deny(fault) => {
                self.findings.push((fault.finding.policy, Action::Deny));
                self.denied.push(fault);
            }
        }
    }
}
