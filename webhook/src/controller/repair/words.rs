//! What people are told as Events: what, where, what to do. Names and counts, never content.

use kube::runtime::events::EventType;

use super::plan::{Frozen, Owned, Target, Touch};
use crate::output::visible;

/// So many pods are named.
const NAMED: usize = 5;

/// The API takes no more bytes of a text.
const MOST: usize = 1024;

/// An Event, without the object that it is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) kind: EventType,
    pub(super) reason: &'static str,
    pub(super) text: String,
}

/// What makes servers that run take over a repaired file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Remedy {
    /// The reloader beside them, by itself.
    Reloader,
    /// A signal, or a restart.
    Signal,
    /// A restart: more than routes changed, and what can't be reloaded keeps all from being so.
    Restart,
    /// A restart: the kubelet does not update what is mounted with `subPath`.
    PinnedRestart,
}

fn note(kind: EventType, reason: &'static str, text: &str) -> Note {
    // Names of owners are whatever their kind allows.
    let mut text = visible(text);
    text.truncate(text.floor_char_boundary(MOST));
    Note { kind, reason, text }
}

/// A repair that is another controller's to make.
pub(super) fn owned(owned: &Owned) -> Note {
    let Owned { target, owner, .. } = owned;
    note(
        EventType::Warning,
        "RepairOwned",
        &format!(
            "{target} is wrong and left as it is: {owner} writes it; mend it there, or let natsguard (controller.owned)"
        ),
    )
}

/// A repair that nobody can make.
pub(super) fn frozen(frozen: &Frozen) -> Note {
    let Frozen {
        target,
        policies,
        why,
        ..
    } = frozen;
    note(
        EventType::Warning,
        "RepairImpossible",
        &format!("{target} is wrong ({}) and {why}", policies.join(", ")),
    )
}

/// A touch that changed nothing.
pub(super) fn not_admitted(touch: &Touch) -> Note {
    note(
        EventType::Warning,
        "RepairNotAdmitted",
        &format!(
            "{} is wrong ({}) and was not repaired: the webhook is away or does not see this namespace; `natsguard doctor` says which",
            touch.target,
            touch.policies.join(", ")
        ),
    )
}

/// A touch that the apiserver did not take.
pub(super) fn failed(touch: &Touch, why: &str) -> Note {
    note(
        EventType::Warning,
        "RepairFailed",
        &format!(
            "{} is wrong ({}) and could not be repaired: {why}; another webhook, a policy or its size may be why, which `kubectl annotate --dry-run=server` says",
            touch.target,
            touch.policies.join(", ")
        ),
    )
}

/// Somebody writes it wrong again and again.
pub(super) fn fight(target: &Target) -> Note {
    note(
        EventType::Warning,
        "RepairFight",
        &format!(
            "{target} was repaired 3 times within a minute, or 10 within an hour, and is wrong again: somebody writes it in a loop; natsguard leaves it for 10 minutes; mend what writes it"
        ),
    )
}

/// Pods run with the file as it was before.
pub(super) fn reload(target: &Target, pods: &[&str], remedy: Remedy) -> Note {
    let pods = names(pods);
    let (kind, reason, rest) = match remedy {
        Remedy::Reloader => (
            EventType::Normal,
            "ReloadExpected",
            "the reloader sends SIGHUP; routes reload without a restart",
        ),
        Remedy::Signal => (
            EventType::Warning,
            "ReloadDue",
            "nats-server does not notice: in a minute send SIGHUP (nats-server --signal reload) or restart the pods; routes are reloaded",
        ),
        Remedy::Restart => (
            EventType::Warning,
            "ReloadDue",
            "more than routes changed, which nats-server may refuse to reload: restart the pods",
        ),
        Remedy::PinnedRestart => (
            EventType::Warning,
            "ReloadDue",
            "they keep the old file, for it is mounted with subPath: restart the pods",
        ),
    };
    note(
        kind,
        reason,
        &format!("{target} was repaired while {pods} run; {rest}"),
    )
}

/// A pod was restarted.
pub(super) fn restarted(pod: &str) -> Note {
    note(
        EventType::Normal,
        "Restarted",
        &format!(
            "Pod {pod} was deleted, to start again: it started before its configuration was repaired and was never ready"
        ),
    )
}

fn names(pods: &[&str]) -> String {
    let named: Vec<&str> = pods.iter().take(NAMED).copied().collect();
    let more = pods.len().saturating_sub(NAMED);
    if more > 0 {
        format!("{} and {more} more", named.join(", "))
    } else {
        named.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::plan::Kind;
    use super::*;

    fn target() -> Target {
        Target {
            kind: Kind::Secret,
            namespace: "messaging".to_owned(),
            name: "nats".to_owned(),
        }
    }

    #[test]
    fn more_than_routes_takes_a_restart() {
        let note = reload(&target(), &["nats-0"], Remedy::Restart);
        assert_eq!(
            note.text,
            "Secret nats was repaired while nats-0 run; more than routes changed, which nats-server may refuse to \
             reload: restart the pods"
        );
        assert_eq!((note.kind, note.reason), (EventType::Warning, "ReloadDue"));
    }

    #[test]
    fn a_text_is_as_long_as_the_api_takes_and_fit_to_be_shown() {
        let owner = format!("Bus a\n{}", "\u{e9}".repeat(1000));
        let note = owned(&Owned {
            target: target(),
            before: Value::Null,
            owner,
        });
        assert!((1023..=1024).contains(&note.text.len()));
        let start = r"Secret nats is wrong and left as it is: Bus a\n";
        assert!(note.text.starts_with(start), "{}", note.text);
    }
}
