//! What natsguard would repair of what runs, object by object. A plan: nothing here writes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use natsguard_policies::bundle::{Object, ObjectId};
use natsguard_policies::engine::{Report, repair_where};
use natsguard_policies::policy::{Action, Edit, Finding};
use natsguard_policies::settings::Settings;
use serde_json::Value;

use crate::admission::REVIEWED;
use crate::diff::Diff;
use crate::listing::ObjectName;
use crate::live::{Seen, owner};
use crate::manifest::Manifest;
use crate::mask;
use crate::output::visible;

/// The repairs of every object that has some.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: Vec<Entry>,
    /// Findings without a repair.
    left: usize,
}

/// The repairs of one object.
#[derive(Debug)]
struct Entry {
    object: ObjectName,
    policies: BTreeSet<&'static str>,
    fate: Fate,
}

/// What becomes of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    /// It is repaired when natsguard touches it: the masked changes.
    Touched(String),
    /// Its pods would restart, which is for their owner to say.
    Later,
    /// Its owner would write it again.
    Owned(String),
    /// Nobody can edit it: the sentence about that.
    Frozen(String),
}

impl Plan {
    /// What is due at one workload.
    pub(super) fn new(seen: &Seen, report: &Report, settings: &Settings) -> Self {
        let due: Vec<(&'static str, Vec<ObjectId>)> = report
            .findings
            .iter()
            .filter(|judged| judged.action == Action::Fix)
            .map(|judged| {
                let edits = judged.finding.fix.iter().flat_map(|fix| &fix.edits);
                let objects = edits.map(|edit| edit.target().0).collect();
                (judged.finding.policy, objects)
            })
            .collect();
        let hindrance =
            |id: &ObjectId| seen.bundle.object(*id).map_or(Some(Fate::Later), hindrance);
        let mut touched: BTreeMap<ObjectId, BTreeSet<&'static str>> = BTreeMap::new();
        let mut hindered = Vec::new();
        let mut plan = Self {
            entries: Vec::new(),
            left: report.findings.len() - due.len(),
        };
        for (policy, objects) in due {
            // A repair is made as a whole or not at all.
            let other = objects.iter().find_map(|id| Some((*id, hindrance(id)?)));
            if let Some((id, fate)) = other {
                hindered.push((id, BTreeSet::from([policy]), fate));
            } else {
                for id in objects {
                    touched.entry(id).or_default().insert(policy);
                }
            }
        }
        hindered.extend(report.findings.iter().filter_map(|judged| {
            let id = judged.frozen?;
            let why = seen.bundle.object(id)?.hindrance()?;
            let policies = BTreeSet::from([judged.finding.policy]);
            Some((id, policies, Fate::Frozen(why)))
        }));
        let may = |_: &Finding, edit: &Edit| touched.contains_key(&edit.target().0);
        let repaired = repair_where(&seen.bundle, settings, &may);
        for (id, policies) in touched {
            let values = (seen.bundle.object(id), repaired.bundle.object(id));
            if let (Some(before), Some(after)) = values
                && before.value != after.value
            {
                let path = ObjectName::of(&seen.bundle, before).path();
                let fate = Fate::Touched(changes(&path, &before.value, &after.value));
                plan.add(seen, id, policies, fate);
            }
        }
        for (id, policies, fate) in hindered {
            plan.add(seen, id, policies, fate);
        }
        plan
    }

    /// Adds another workload's plan; objects that both use stand in it once.
    pub(super) fn merge(&mut self, other: Self) {
        self.left += other.left;
        for entry in other.entries {
            self.put(entry);
        }
    }

    fn add(&mut self, seen: &Seen, id: ObjectId, policies: BTreeSet<&'static str>, fate: Fate) {
        if let Some(object) = seen.bundle.object(id) {
            let object = ObjectName::of(&seen.bundle, object);
            self.put(Entry {
                object,
                policies,
                fate,
            });
        }
    }

    fn put(&mut self, entry: Entry) {
        let same = |known: &&mut Entry| known.object == entry.object;
        match self.entries.iter_mut().find(same) {
            Some(known) => known.policies.extend(entry.policies),
            None => self.entries.push(entry),
        }
    }

    fn count(&self, is_counted: impl Fn(&Fate) -> bool) -> usize {
        let fates = self.entries.iter().map(|entry| &entry.fate);
        fates.filter(|fate| is_counted(fate)).count()
    }
}

/// Why natsguard itself leaves an object alone.
fn hindrance(object: &Object) -> Option<Fate> {
    if let Some(owner) = owner(&object.value) {
        return Some(Fate::Owned(owner));
    }
    (!matches!(object.kind(), "ConfigMap" | "Secret" | "Service")).then_some(Fate::Later)
}

/// The masked difference of an object before and after repair.
fn changes(path: &str, before: &Value, after: &Value) -> String {
    let read = |value| Manifest::of(path, value).map(|manifest| mask::all(&manifest));
    match (read(before), read(after)) {
        (Ok(before), Ok(after)) if before == after => "what changes is not shown\n".to_owned(),
        (Ok(before), Ok(after)) => Diff::new(&before, &after).of_lines(path),
        (Err(error), _) | (_, Err(error)) => format!("what changes can't be shown: {error}\n"),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for entry in &self.entries {
            let path = visible(&entry.object.path());
            let policies: Vec<&str> = entry.policies.iter().copied().collect();
            let policies = policies.join(", ");
            match &entry.fate {
                Fate::Touched(changes) => {
                    let condition = if entry.object.kind == "Secret" {
                        ", where natsguard looks at Secrets"
                    } else {
                        ""
                    };
                    write!(
                        f,
                        "{path}: repaired when it is touched{condition}: {policies}\n{changes}\n"
                    )?;
                }
                Fate::Later => {
                    write!(
                        f,
                        "{path}: repaired when it is next changed: {policies}\n\n"
                    )?;
                }
                Fate::Owned(owner) => {
                    let owner = visible(owner);
                    write!(f, "{path}: left to its owner, {owner}: {policies}\n\n")?;
                }
                Fate::Frozen(why) => {
                    let why = visible(why);
                    write!(f, "{path}: can't be repaired: {policies}\n{why}\n\n")?;
                }
            }
        }
        let touched = self.count(|fate| matches!(fate, Fate::Touched(_)));
        let later = self.count(|fate| *fate == Fate::Later);
        let owned = self.count(|fate| matches!(fate, Fate::Owned(_)));
        writeln!(
            f,
            "{touched} to touch, {later} to repair when next changed, {owned} left to owners; findings without a repair: {}; nothing was written",
            self.left
        )?;
        let is_touched = |entry: &&Entry| matches!(entry.fate, Fate::Touched(_));
        let Some(Entry { object, .. }) = self.entries.iter().find(is_touched) else {
            return Ok(());
        };
        // A value that stands there already would change nothing, and so ask for nothing.
        writeln!(
            f,
            "where natsguard runs, this has one repaired now: kubectl --namespace {} annotate {} {} {REVIEWED}=\"$(date)\" --overwrite",
            visible(object.namespace.as_deref().unwrap_or_default()),
            visible(&object.kind.to_lowercase()),
            visible(&object.name),
        )
    }
}
