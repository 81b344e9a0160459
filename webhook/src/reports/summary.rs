//! The numbers of all workloads, and what the exemptions are good for.

use std::collections::{BTreeMap, BTreeSet};

use natsguard_policies::policy::Action;
use natsguard_policies::settings::{Exemption, Settings, Standing};

use super::verdict::{Grade, Verdict, Workload};

/// What a scan could not read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// Kinds of workloads that could not be listed.
    pub kinds: BTreeSet<&'static str>,
    /// Workloads of which something could not be read.
    pub workloads: BTreeSet<Workload>,
}

impl Unread {
    /// Whether nothing new can be said of a workload.
    pub fn has(&self, workload: &Workload) -> bool {
        self.kinds.contains(workload.kind.as_str()) || self.workloads.contains(workload)
    }
}

/// The numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many faults stand, by policy, namespace and action.
    pub faults: BTreeMap<(&'static str, String, Action), usize>,
    /// What each exemption is good for, in the order of the settings; `None` where that can't be told.
    pub exemptions: Vec<Option<Standing>>,
}

/// Counts.
pub fn summarize<'a>(
    verdicts: impl IntoIterator<Item = &'a Verdict>,
    unread: &Unread,
    settings: &Settings,
) -> Summary {
    let mut summary = Summary::default();
    let mut used = BTreeSet::new();
    for verdict in verdicts {
        used.extend(&verdict.exemptions);
        for (&(policy, action), count) in &verdict.faults {
            if Grade::of(action) != Grade::Skip {
                let namespace = verdict.workload.namespace.clone();
                let key = (policy, namespace, action);
                *summary.faults.entry(key).or_default() += count;
            }
        }
    }
    // What was not read may be what an exemption is for.
    let namespaces: BTreeSet<&str> = unread
        .workloads
        .iter()
        .map(|workload| workload.namespace.as_str())
        .collect();
    let is_told = |exemption: &Exemption, standing| {
        standing != Standing::Unused
            || unread.kinds.is_empty()
                && !namespaces.iter().any(|namespace| {
                    exemption.namespace.is_empty() || exemption.namespace == *namespace
                })
    };
    summary.exemptions = settings
        .exemptions
        .iter()
        .zip(settings.standings(&used))
        .map(|(exemption, standing)| is_told(exemption, standing).then_some(standing))
        .collect();
    summary
}

/// An exemption as people are told of it: `exemptions[2] (network-filesystem in legacy)`.
pub fn exemption(index: usize, exemption: &Exemption) -> String {
    let Exemption {
        policy,
        namespace,
        name,
        ..
    } = exemption;
    let name = name
        .as_ref()
        .map(|name| format!("/{name}"))
        .unwrap_or_default();
    let namespace = match namespace.as_str() {
        "" => "namespaces by label",
        namespace => namespace,
    };
    format!("exemptions[{index}] ({policy} in {namespace}{name})")
}
