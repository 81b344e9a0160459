//! What is said of one workload.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use natsguard_policies::bundle::Bundle;
use natsguard_policies::engine::{Judged, Report};
use natsguard_policies::policy::{Action, Finding};
use natsguard_policies::rules::POLICIES;
use natsguard_policies::settings::{Candidate, Settings};
use serde_json::Value;

use crate::live::Seen;
use crate::output::visible;

/// The longest message. It is what a dashboard shows in a table.
const MAX_MESSAGE: usize = 1024;

/// The longest value beside it.
const MAX_PROPERTY: usize = 256;

/// More faults than anybody reads.
const MAX_ENTRIES: usize = 50;

/// What an entry takes beside its words.
const ENTRY: usize = 640;

/// A workload by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Workload {
    /// Its namespace.
    pub namespace: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
}

/// What became of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// A fault that is refused or repaired when it is written.
    Fail,
    /// A fault that is said.
    Warn,
    /// A fault that an exemption lifts.
    Skip,
}

/// One fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What became of it.
    pub grade: Grade,
    /// The id of the policy.
    pub policy: &'static str,
    /// What is done about it when it is written.
    pub action: Action,
    /// What is wrong: the same words every time.
    pub rule: &'static str,
    /// What is wrong this time, and what to do.
    pub message: String,
    /// Where it lies, and what lifts it.
    pub properties: BTreeMap<&'static str, String>,
}

/// All that is said of one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The workload.
    pub workload: Workload,
    /// Its group and version.
    pub api_version: String,
    /// Which one of that name.
    pub uid: Option<String>,
    /// The faults, the worst first; of many not all.
    pub entries: Vec<Entry>,
    /// All faults, counted by policy and action; [`Action::Off`] stands for an exemption.
    pub faults: BTreeMap<(&'static str, Action), usize>,
    /// How many policies found nothing.
    pub passed: usize,
    /// The exemptions that lift something, by index.
    pub exemptions: BTreeSet<usize>,
}

impl Workload {
    /// A workload as the cluster has it. `None` when it has no name or no namespace.
    pub fn of(object: &Value) -> Option<Self> {
        let text = |pointer| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.map(str::to_owned)
        };
        Some(Self {
            namespace: text("/metadata/namespace")?,
            kind: text("/kind")?,
            name: text("/metadata/name")?,
        })
    }
}

impl Grade {
    /// What an action makes of a fault; [`Action::Off`] stands for an exemption.
    pub const fn of(action: Action) -> Self {
        match action {
            Action::Deny | Action::Fix => Self::Fail,
            Action::Warn => Self::Warn,
            Action::Off => Self::Skip,
        }
    }

    /// As reports have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Skip => "skip",
        }
    }
}

impl Verdict {
    /// What a report comes to, in about so many bytes. `None` when the workload is not in its bundle.
    pub fn new(seen: &Seen, report: &Report, settings: &Settings, most: usize) -> Option<Self> {
        let object = seen.bundle.object(seen.id)?;
        let workload = Workload::of(&object.value)?;
        let mut faults: BTreeMap<(&'static str, Action), usize> = BTreeMap::new();
        for judged in &report.findings {
            let key = (judged.finding.policy, judged.action);
            *faults.entry(key).or_default() += 1;
        }
        for exempted in &report.exempted {
            let key = (exempted.finding.policy, Action::Off);
            *faults.entry(key).or_default() += 1;
        }
        // The worst first: they are not what is left out.
        let mut judged: Vec<&Judged> = report.findings.iter().collect();
        judged.sort_by_key(|judged| Reverse(judged.action));
        let standing = judged.into_iter().map(|judged| {
            let mut entry = entry(&judged.finding, judged.action, &seen.bundle);
            entry.say_expired(settings, settings.candidate(&seen.bundle, object));
            entry
        });
        let exempted = report.exempted.iter().map(|exempted| {
            let mut entry = entry(&exempted.finding, Action::Off, &seen.bundle);
            let reason = cut(&exempted.reason, MAX_PROPERTY);
            entry.properties.insert("exemption", reason);
            let expires = exempted.expires.clone().map(|day| ("expires", day));
            entry.properties.extend(expires);
            entry
        });
        let entries = fitting(standing.chain(exempted), most);
        let faulty: BTreeSet<&str> = faults.keys().map(|(policy, _)| *policy).collect();
        let passed = POLICIES
            .iter()
            .filter(|policy| settings.action(policy) != Action::Off)
            .filter(|policy| !faulty.contains(policy.id))
            .count();
        Some(Self {
            api_version: object.api_version().to_owned(),
            uid: object
                .value
                .pointer("/metadata/uid")
                .and_then(Value::as_str)
                .map(str::to_owned),
            passed,
            exemptions: report
                .exempted
                .iter()
                .flat_map(|exempted| exempted.exemptions.iter().copied())
                .collect(),
            entries,
            faults,
            workload,
        })
    }

    /// How many faults have this grade.
    pub fn count(&self, grade: Grade) -> usize {
        let faults = self.faults.iter();
        let alike = faults.filter(|((_, action), _)| Grade::of(*action) == grade);
        alike.map(|(_, count)| count).sum()
    }
}

/// As many as fit, one at least.
fn fitting(all: impl Iterator<Item = Entry>, most: usize) -> Vec<Entry> {
    let (mut entries, mut left) = (Vec::new(), most);
    for entry in all.take(MAX_ENTRIES) {
        let heft = entry.heft();
        if heft > left && !entries.is_empty() {
            break;
        }
        left = left.saturating_sub(heft);
        entries.push(entry);
    }
    entries
}

impl Entry {
    /// About the memory that it takes.
    fn heft(&self) -> usize {
        let properties = self.properties.values().map(String::len);
        ENTRY + self.message.len() + properties.sum::<usize>()
    }

    /// Says that an exemption would have lifted it.
    fn say_expired(&mut self, settings: &Settings, workload: Candidate<'_>) {
        let namespace = workload.namespace.unwrap_or_default();
        let expired = settings.expired(self.policy, workload);
        let Some((exemption, day)) =
            expired.and_then(|exemption| Some((exemption, exemption.expires.as_ref()?)))
        else {
            return;
        };
        // It goes first, so that it is never what is cut.
        let message = format!(
            "the exemption of {} in {namespace} expired on {day}: {}",
            self.policy, self.message
        );
        self.message = cut(&message, MAX_MESSAGE);
        let reason = cut(&exemption.reason, MAX_PROPERTY);
        self.properties.insert("exemption", reason);
        self.properties.insert("expired", day.clone());
    }
}

/// A finding in the words of a report; [`Action::Off`] stands for an exemption.
fn entry(finding: &Finding, action: Action, bundle: &Bundle) -> Entry {
    let mut message = finding.reason.to_owned();
    if !finding.detail.is_empty() {
        message.push_str(": ");
        message.push_str(&finding.detail);
    }
    message.push_str("; to mend it, ");
    message.push_str(&finding.remedy);
    let mut properties = BTreeMap::new();
    properties.insert("field", cut(&finding.place.field, MAX_PROPERTY));
    if let Some(object) = bundle.object(finding.place.object) {
        let (kind, name) = (object.kind(), object.name());
        properties.insert("object", cut(&format!("{kind} {name}"), MAX_PROPERTY));
    }
    if action != Action::Off {
        properties.insert("action", action.name().to_owned());
    }
    Entry {
        grade: Grade::of(action),
        policy: finding.policy,
        action,
        rule: finding.reason,
        message: cut(&message, MAX_MESSAGE),
        properties,
    }
}

fn cut(text: &str, most: usize) -> String {
    let text = visible(text);
    if text.chars().count() <= most {
        return text;
    }
    let mut text: String = text.chars().take(most.saturating_sub(3)).collect();
    text.push_str("...");
    text
}
