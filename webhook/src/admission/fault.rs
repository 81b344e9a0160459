//! A finding with the names that make it comparable between evaluations, and the ratchet: which faults a request brings in.

use std::collections::BTreeMap;

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
}

impl Fault {
    /// The fault behind a finding of a bundle.
    pub(super) fn new(judged: &Judged, bundle: &Bundle) -> Self {
        let object = bundle.object(judged.finding.place.object).map(|object| {
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

    fn kind(&self) -> (&'static str, &'static str, &str) {
        (self.finding.policy, self.finding.reason, &self.object)
    }

    fn instance(&self) -> (&str, &str) {
        (&self.finding.place.field, &self.finding.detail)
    }
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
        })
        .map(|judged| Fault::new(&judged, bundle))
        .collect()
}

/// The faults that were not there before, word for word.
pub(super) fn beyond(faults: Vec<Fault>, before: &[Fault]) -> Vec<Fault> {
    let is_there = |fault: &Fault| {
        before
            .iter()
            .any(|old| old.kind() == fault.kind() && old.instance() == fault.instance())
    };
    faults
        .into_iter()
        .filter(|fault| !is_there(fault))
        .collect()
}

/// For each fault whether the request brings it in. A fault that moved, or says other numbers, is still the old one: of each
/// kind as many are old as there were.
pub(super) fn brought_in(faults: &[Fault], before: &[Fault]) -> Vec<bool> {
    let mut left: BTreeMap<_, Vec<(&str, &str)>> = BTreeMap::new();
    for old in before {
        left.entry(old.kind()).or_default().push(old.instance());
    }
    let mut is_new = vec![true; faults.len()];
    // The same words at the same place before the same words elsewhere, and these before other words.
    for alike in [Alike::Exactly, Alike::InWords, Alike::InKind] {
        for (fault, is_new) in faults
            .iter()
            .zip(&mut is_new)
            .filter(|(_, is_new)| **is_new)
        {
            let Some(old) = left.get_mut(&fault.kind()) else {
                continue;
            };
            if let Some(found) = old
                .iter()
                .position(|old| alike.holds(*old, fault.instance()))
            {
                old.swap_remove(found);
                *is_new = false;
            }
        }
    }
    is_new
}

/// How far two faults of one kind are the same.
#[derive(Clone, Copy)]
enum Alike {
    Exactly,
    InWords,
    InKind,
}

impl Alike {
    fn holds(self, one: (&str, &str), other: (&str, &str)) -> bool {
        match self {
            Self::Exactly => one == other,
            Self::InWords => one.1 == other.1,
            Self::InKind => true,
        }
    }
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
            },
            action: Action::Deny,
            object: "ConfigMap messaging/nats".to_owned(),
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
    fn what_is_not_repaired_is_answered_as_its_policy_says() {
        let mut standing = fault("routes[0]", "a");
        standing.action = Action::Fix;
        assert_eq!(standing.unrepaired(), Action::Deny);
        standing.finding.otherwise = Some(Action::Warn);
        assert_eq!(standing.unrepaired(), Action::Warn);
    }
}
