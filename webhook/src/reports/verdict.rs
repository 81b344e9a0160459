//! What is said of one workload.

use std::collections::{BTreeMap, BTreeSet};

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::Report;
use natsguard_policies::policy::{Action, Finding};
use natsguard_policies::rules::POLICIES;
use natsguard_policies::settings::Settings;
use serde_json::Value;

use crate::live::Seen;
use crate::output::visible;

/// The longest message. It is what a dashboard shows in a table.
const MAX_MESSAGE: usize = 1024;

/// The longest value beside it.
const MAX_PROPERTY: usize = 256;

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
    /// The faults.
    pub entries: Vec<Entry>,
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
    /// What a report comes to. `None` when the workload is not in its bundle.
    pub fn new(seen: &Seen, report: &Report, settings: &Settings) -> Option<Self> {
        let object = seen.bundle.object(seen.id)?;
        let workload = Workload::of(&object.value)?;
        let mut entries: Vec<Entry> = report
            .findings
            .iter()
            .map(|judged| {
                let mut entry = entry(&judged.finding, judged.action, &seen.bundle);
                entry.say_expired(settings, &workload, object);
                entry
            })
            .collect();
        entries.extend(report.exempted.iter().map(|exempted| {
            let mut entry = entry(&exempted.finding, Action::Off, &seen.bundle);
            let reason = cut(&exempted.reason, MAX_PROPERTY);
            entry.properties.insert("exemption", reason);
            let expires = exempted.expires.clone().map(|day| ("expires", day));
            entry.properties.extend(expires);
            entry
        }));
        let faulty: BTreeSet<&str> = entries.iter().map(|entry| entry.policy).collect();
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
            workload,
        })
    }

    /// How many faults have this grade.
    pub fn count(&self, grade: Grade) -> usize {
        let alike = |entry: &&Entry| entry.grade == grade;
        self.entries.iter().filter(alike).count()
    }
}

impl Entry {
    /// Says that an exemption would have lifted it.
    fn say_expired(&mut self, settings: &Settings, workload: &Workload, object: &Object) {
        let Workload {
            namespace, name, ..
        } = workload;
        let expired = settings.expired(self.policy, namespace, name, &object.value);
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
    let grade = match action {
        Action::Deny | Action::Fix => Grade::Fail,
        Action::Warn => Grade::Warn,
        Action::Off => Grade::Skip,
    };
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
        grade,
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
