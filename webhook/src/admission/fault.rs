//! A finding with the names that make it comparable between evaluations, and the ratchet: which faults a request brings in.

use std::collections::{BTreeMap, BTreeSet};

use natsguard_policies::bundle::Bundle;
use natsguard_policies::engine::{Judged, Report};
use natsguard_policies::policy::{Action, Finding};
use natsguard_policies::rules;

/// A finding, with the object that holds it by name: indices differ from bundle to bundle.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The finding.
    pub finding: Finding,
    /// What is done about it.
    pub action: Action,
    /// What holds it: `ConfigMap messaging/nats`.
    pub object: String,
    /// What keeps it from being repaired: `ConfigMap nats is immutable`.
    pub frozen: Option<String>,
    /// Whether what holds it is the workload, and none of its parts.
    pub is_in_workload: bool,
}

/// Policy, reason, object, and whether it is refused: what a fault is, wherever it stands. One that was a warning and is
/// refused now is another.
type Kind<'a> = (&'static str, &'static str, &'a str, bool);

impl Fault {
    /// The fault behind a finding of a bundle.
    pub(super) fn new(judged: &Judged, bundle: &Bundle) -> Self {
        let place = &judged.finding.place;
        let holder = bundle.object(place.object);
        let is_in_workload = holder.is_some_and(|holder| !is_part(holder.group(), holder.kind()));
        let object = holder.map(|object| {
            let kind = object.kind();
            match bundle.namespace(object) {
                Some(namespace) => format!("{kind} {namespace}/{}", object.name()),
                None => format!("{kind} {}", object.name()),
            }
        });
        Self {
            finding: judged.finding.clone(),
            action: judged.action,
            object: object.unwrap_or_default(),
            frozen: judged.frozen.and_then(|id| bundle.object(id)?.hindrance()),
            is_in_workload,
        }
    }

    /// What is done about it when it is not repaired.
    pub(super) fn unrepaired(&self) -> Action {
        match self.action {
            Action::Fix => self.finding.otherwise.unwrap_or_else(|| {
                rules::find(self.finding.policy).map_or(Action::Warn, |policy| policy.otherwise)
            }),
            action => action,
        }
    }

    fn kind(&self) -> Kind<'_> {
        let is_grave = self.unrepaired() == Action::Deny;
        let finding = &self.finding;
        (finding.policy, finding.reason, &self.object, is_grave)
    }

    /// Everything that is said of it.
    fn words(&self) -> (Kind<'_>, &str, &str) {
        let finding = &self.finding;
        (
            self.kind(),
            finding.place.field.as_str(),
            finding.detail.as_str(),
        )
    }
}

/// Whether a kind is a part of workloads: a file, a name or a place for the store, that comes and goes beside them.
pub(super) fn is_part(group: &str, kind: &str) -> bool {
    let parts = ["ConfigMap", "Secret", "Service", "PersistentVolumeClaim"];
    group.is_empty() && parts.contains(&kind)
}

/// The faults of a report.
pub(super) fn faults(report: &Report, bundle: &Bundle) -> Vec<Fault> {
    let found = report.findings.iter();
    found.map(|judged| Fault::new(judged, bundle)).collect()
}

/// What a report lets through by an exemption.
pub(super) fn exempted(report: &Report, bundle: &Bundle) -> Vec<Fault> {
    let found = report.exempted.iter();
    found
        .map(|exempted| Judged {
            finding: exempted.finding.clone(),
            action: Action::Warn,
            frozen: None,
        })
        .map(|judged| Fault::new(&judged, bundle))
        .collect()
}

/// The faults that were not there before, word for word.
pub(super) fn beyond(faults: Vec<Fault>, before: &[Fault]) -> Vec<Fault> {
    let there: BTreeSet<_> = before.iter().map(Fault::words).collect();
    faults
        .into_iter()
        .filter(|fault| !there.contains(&fault.words()))
        .collect()
}

/// For each fault whether the request brings it in. A fault that moved, or says other numbers, is still the old one: of each
/// kind as many are old as there were. The same words at the same place go before the same words elsewhere, and these before
/// other words.
pub(super) fn brought_in(faults: &[Fault], before: &[Fault]) -> Vec<bool> {
    let mut is_new = vec![true; faults.len()];
    let old = before.iter().collect();
    let old = pair(faults, &mut is_new, old, Fault::words);
    let old = pair(faults, &mut is_new, old, |fault| {
        (fault.kind(), fault.finding.detail.as_str())
    });
    pair(faults, &mut is_new, old, Fault::kind);
    is_new
}

/// Pairs faults that are still new with old ones of the same key. Returns the old ones without a partner.
fn pair<'a, K: Ord>(
    faults: &'a [Fault],
    is_new: &mut [bool],
    old: Vec<&'a Fault>,
    key: impl Fn(&'a Fault) -> K,
) -> Vec<&'a Fault> {
    let mut left: BTreeMap<K, Vec<&'a Fault>> = BTreeMap::new();
    for old in old {
        left.entry(key(old)).or_default().push(old);
    }
    for (fault, is_new) in faults.iter().zip(is_new).filter(|(_, is_new)| **is_new) {
        let partner = left.get_mut(&key(fault)).and_then(Vec::pop);
        *is_new = partner.is_none();
    }
    left.into_values().flatten().collect()
}

#[cfg(test)]
mod tests {
    use natsguard_policies::policy::Place;

    use super::*;

    fn fault(field: &str, detail: &str) -> Fault {
        Fault {
            finding: Finding {
                policy: "service-route",
                place: Place {
                    object: 0,
                    pointer: String::new(),
                    span: None,
                    field: field.to_owned(),
                },
                reason: "a reason",
                detail: detail.to_owned(),
                remedy: String::new(),
                fix: None,
                otherwise: None,
                is_unchecked: false,
                rests_on_workload: false,
            },
            action: Action::Deny,
            object: "ConfigMap messaging/nats".to_owned(),
            frozen: None,
            is_in_workload: false,
        }
    }

    #[test]
    fn a_fault_that_was_there_is_not_brought_in_wherever_it_went() {
        let before = [fault("routes[0]", "a"), fault("routes[1]", "b")];
        let moved = [fault("routes[3]", "a"), fault("routes[0]", "b")];
        assert_eq!(brought_in(&moved, &before), [false, false]);
        assert_eq!(brought_in(&moved[..1], &before), [false]);
    }

    #[test]
    fn one_more_of_a_kind_is_brought_in_and_it_is_the_one_that_is_new() {
        let before = [fault("routes[1]", "b")];
        let after = [fault("routes[0]", "a"), fault("routes[1]", "b")];
        assert_eq!(brought_in(&after, &before), [true, false]);
        let pushed = [fault("routes[1]", "a"), fault("routes[2]", "b")];
        assert_eq!(brought_in(&pushed, &before), [true, false]);
    }

    #[test]
    fn the_same_fault_of_another_object_is_another_fault() {
        let mut other = fault("routes[0]", "a");
        other.object = "ConfigMap messaging/other".to_owned();
        assert_eq!(brought_in(&[other], &[fault("routes[0]", "a")]), [true]);
    }

    #[test]
    fn a_fault_that_gets_worse_is_another_fault() {
        let mut before = fault("routes[0]", "a");
        before.action = Action::Warn;
        let after = [fault("routes[0]", "a")];
        assert_eq!(brought_in(&after, std::slice::from_ref(&before)), [true]);
        assert_eq!(brought_in(std::slice::from_ref(&before), &after), [true]);
        let better = [before.clone()];
        assert_eq!(brought_in(&better, std::slice::from_ref(&before)), [false]);
    }

    #[test]
    fn what_is_not_repaired_is_answered_as_its_policy_says() {
        let mut standing = fault("routes[0]", "a");
        standing.action = Action::Fix;
        assert_eq!(standing.unrepaired(), Action::Deny);
        standing.finding.otherwise = Some(Action::Warn);
        assert_eq!(standing.unrepaired(), Action::Warn);
    }
}
