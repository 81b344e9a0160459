//! What a scan says where people look: faults on their workloads when the cluster has no reports, exemptions on this pod.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Client, Error};
use natsguard_policies::policy::Action;
use natsguard_policies::settings::{Settings, Standing};
use tokio::time::Instant;

use super::Pace;
use super::missed::Missed;
use crate::controller::digest;
use crate::kubernetes::MANAGER;
use crate::reports::{Verdict, Workload, exemption};

/// An apiserver keeps an Event so long: a fault that still stands is said anew then, so that there is one at any time.
const AGAIN: Duration = Duration::from_hours(1);

/// The reason of an Event about a workload that leads to too much.
const BEYOND: &str = "TooMuchToRead";

/// The apiserver refuses longer notes. In bytes.
const MAX_NOTE: usize = 1000;

pub(super) struct Events {
    recorder: Recorder,
    pace: Arc<Pace>,
    /// This pod, when it knows which one it is.
    pub(super) pod: Option<ObjectReference>,
    /// By workload and policy: the hash of what was said, and when.
    faults: BTreeMap<(Workload, &'static str), (u64, Instant)>,
    /// What was said of workloads that lead to too much, and when.
    beyond: BTreeMap<Workload, (usize, Instant)>,
    exemptions: BTreeSet<(Standing, String)>,
}

impl Events {
    pub(super) fn new(client: Client, pace: Arc<Pace>) -> Self {
        let variable = |name| std::env::var(name).ok();
        let pod = variable("POD_NAMESPACE").zip(variable("POD_NAME"));
        Self {
            recorder: Recorder::new(client, MANAGER.into()),
            pace,
            pod: pod.map(|(namespace, name)| self::pod(namespace, name)),
            faults: BTreeMap::new(),
            beyond: BTreeMap::new(),
            exemptions: BTreeSet::new(),
        }
    }

    /// Reports say it now.
    pub(super) fn forget_faults(&mut self) {
        self.faults.clear();
    }

    /// One Event for each policy that a workload would be refused for. Returns how many were not written.
    pub(super) async fn faults(&mut self, verdicts: impl Iterator<Item = &Verdict>) -> Missed {
        let mut standing = BTreeMap::new();
        let mut missed = Missed::default();
        for verdict in verdicts {
            if verdict.entries.is_empty() {
                // Nothing, or what was said before and could not be read this time.
                let said = self.faults.iter();
                let said = said.filter(|((workload, _), _)| *workload == verdict.workload);
                let said = said.filter(|_| !verdict.faults.is_empty());
                standing.extend(said.map(|(key, said)| (key.clone(), *said)));
                continue;
            }
            for (policy, note) in refusals(verdict) {
                let key = (verdict.workload.clone(), policy);
                let hash = digest(&note);
                let said = self.faults.get(&key);
                let said = said.filter(|(said, at)| *said == hash && at.elapsed() < AGAIN);
                if let Some(said) = said {
                    standing.insert(key, *said);
                    continue;
                }
                match self
                    .publish("StandingFault", policy, &note, &reference(verdict))
                    .await
                {
                    Ok(()) => {
                        standing.insert(key, (hash, Instant::now()));
                    }
                    Err(error) => {
                        missed.count(&error);
                        tracing::warn!(%error, "can't write an Event");
                    }
                }
            }
        }
        self.faults = standing;
        missed
    }

    /// Says of which workloads not all is read that they lead to. Reports can't: nothing is known to be wrong.
    pub(super) async fn beyond(
        &mut self,
        found: &BTreeMap<Workload, (ObjectReference, usize)>,
    ) -> Missed {
        let mut now = BTreeMap::new();
        let mut missed = Missed::default();
        for (workload, (about, count)) in found {
            let said = self.beyond.get(workload);
            if let Some(said) = said.filter(|(said, at)| said == count && at.elapsed() < AGAIN) {
                now.insert(workload.clone(), *said);
                continue;
            }
            let objects = if *count == 1 { "object" } else { "objects" };
            let note = format!(
                "it leads to {count} {objects} more than are read for one workload, so nobody can say that it is sound; name fewer"
            );
            match self.publish(BEYOND, BEYOND, &note, about).await {
                Ok(()) => {
                    now.insert(workload.clone(), (*count, Instant::now()));
                }
                Err(error) => {
                    missed.count(&error);
                    tracing::warn!(%error, "can't write an Event");
                }
            }
        }
        self.beyond = now;
        missed
    }

    /// Says which exemptions expired or lift nothing, once for each change: in the log, and on this pod. Returns how many
    /// Events were not written.
    pub(super) async fn exemptions(
        &mut self,
        settings: &Settings,
        standings: &[Option<Standing>],
    ) -> Missed {
        let mut now = BTreeSet::new();
        for (index, (of, standing)) in settings.exemptions.iter().zip(standings).enumerate() {
            let said = exemption(index, of);
            match standing {
                // Whether it lifts anything is not known this time: as before.
                None => {
                    let before = (Standing::Unused, said);
                    now.extend(self.exemptions.contains(&before).then_some(before));
                }
                Some(Standing::Used) => {}
                Some(standing) => {
                    now.insert((*standing, said));
                }
            }
        }
        let mut missed = Missed::default();
        for (standing, reason, words) in [
            (
                Standing::Expired,
                "ExpiredExemption",
                "expired; renew it or remove it",
            ),
            (
                Standing::Unused,
                "UnusedExemption",
                "lifts no fault of any workload; correct it or remove it",
            ),
        ] {
            let news: Vec<&str> = now
                .difference(&self.exemptions)
                .filter(|(of, _)| *of == standing)
                .map(|(_, exemption)| exemption.as_str())
                .collect();
            if news.is_empty() {
                continue;
            }
            for exemption in &news {
                tracing::warn!(exemption, "the exemption {words}");
            }
            if let Some(pod) = &self.pod {
                let note = cut(format!("{}: {words}", news.join(", ")));
                if let Err(error) = self.publish(reason, reason, &note, pod).await {
                    missed.count(&error);
                    tracing::warn!(%error, "can't write an Event");
                }
            }
        }
        self.exemptions = now;
        missed
    }

    async fn publish(
        &self,
        reason: &str,
        action: &str,
        note: &str,
        about: &ObjectReference,
    ) -> Result<(), Error> {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_owned(),
            note: Some(note.to_owned()),
            action: action.to_owned(),
            secondary: None,
        };
        self.pace.turn().await;
        self.recorder.publish(&event, about).await
    }
}

/// The policies that a workload would be refused for, each with what to say of it.
fn refusals(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    let mut faults: BTreeMap<&'static str, (String, usize)> = BTreeMap::new();
    for entry in &verdict.entries {
        if entry.action == Action::Deny {
            let first = || (format!("{}: {}", entry.policy, entry.message), 0);
            faults.entry(entry.policy).or_insert_with(first).1 += 1;
        }
    }
    let note = |(first, count): (String, usize)| match count {
        0 | 1 => cut(first),
        _ => cut(format!("{count} faults, the first: {first}")),
    };
    faults
        .into_iter()
        .map(|(policy, fault)| (policy, note(fault)))
        .collect()
}

pub(super) fn reference(verdict: &Verdict) -> ObjectReference {
    let Workload {
        namespace,
        kind,
        name,
    } = verdict.workload.clone();
    ObjectReference {
        api_version: Some(verdict.api_version.clone()),
        kind: Some(kind),
        namespace: Some(namespace),
        name: Some(name),
        uid: verdict.uid.clone(),
        ..ObjectReference::default()
    }
}

/// A pod as Events refer to it.
pub(super) fn pod(namespace: String, name: String) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: Some(namespace),
        name: Some(name),
        ..ObjectReference::default()
    }
}

fn cut(mut note: String) -> String {
    if note.len() > MAX_NOTE {
        note.truncate(note.floor_char_boundary(MAX_NOTE - 3));
        note.push_str("...");
    }
    note
}

#[cfg(test)]
mod tests {
    use natsguard_policies::policy::Action;

    use super::*;
    use crate::reports::{Entry, Grade};

    fn entry(policy: &'static str, action: Action, message: String) -> Entry {
        Entry {
            grade: Grade::Fail,
            policy,
            action,
            rule: "",
            message,
            properties: BTreeMap::new(),
        }
    }

    #[test]
    fn a_policy_is_said_once_however_many_its_faults_and_only_when_it_refuses() {
        let verdict = Verdict {
            workload: Workload {
                namespace: "a".to_owned(),
                kind: "StatefulSet".to_owned(),
                name: "nats".to_owned(),
            },
            api_version: "apps/v1".to_owned(),
            uid: None,
            entries: vec![
                entry("service-route", Action::Deny, "one".to_owned()),
                entry("service-route", Action::Deny, "two".to_owned()),
                entry("short-route", Action::Fix, "three".to_owned()),
                entry("network-filesystem", Action::Deny, "ä".repeat(2000)),
            ],
            faults: BTreeMap::new(),
            passed: 0,
            exemptions: BTreeSet::new(),
        };
        let notes = refusals(&verdict);
        assert_eq!(notes.len(), 2);
        assert_eq!(
            notes["service-route"],
            "2 faults, the first: service-route: one"
        );
        let long = &notes["network-filesystem"];
        assert!(long.len() <= MAX_NOTE && long.ends_with("ää..."), "{long}");
    }
}
