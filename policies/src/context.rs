//! What a policy is given: one workload, the settings, and what several policies need to know of both.

use crate::policy::{Finding, Place};
use crate::routes::list::{self, Routes};
use crate::routes::neighbours::{FAULT, Neighbours};
use crate::routes::plan::{Plan, plan};
use crate::settings::Settings;
use crate::storage::backing::{self, Backing};
use crate::storage::jetstream::{self, State};
use crate::workload::Workload;

/// One workload under evaluation.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workload.
    pub workload: &'a Workload<'a>,
    /// The other workloads, and what may still be spent.
    pub neighbours: &'a Neighbours<'a>,
    /// The settings.
    pub settings: &'a Settings,
    /// The routes as written.
    pub routes: Routes,
    /// The routes of a StatefulSet, judged.
    pub plan: Option<Plan>,
    /// JetStream's settings.
    pub jetstream: State,
    /// What the store of a running JetStream lies on, where its directory is known.
    pub backing: Option<Backing>,
}

impl<'a> Context<'a> {
    /// Looks at a workload.
    pub fn new(
        workload: &'a Workload<'a>,
        neighbours: &'a Neighbours<'a>,
        settings: &'a Settings,
    ) -> Self {
        let (routes, plan) = judge(workload, neighbours, settings);
        let jetstream = jetstream::read(workload);
        let directory = match &jetstream {
            State::On(jetstream) => jetstream.directory.path(),
            State::Off | State::Unseen => None,
        };
        let backing = directory.map(|directory| backing::of(workload, settings, directory));
        Self {
            workload,
            neighbours,
            settings,
            routes,
            plan,
            jetstream,
            backing,
        }
    }
}

/// The routes, and what is to be said of them.
fn judge<'a>(
    workload: &'a Workload<'a>,
    neighbours: &'a Neighbours<'a>,
    settings: &'a Settings,
) -> (Routes, Option<Plan>) {
    let routes = list::read(workload);
    let Routes::Listed { home, entries } = &routes else {
        return (routes, None);
    };
    let is_first = neighbours.is_first(home);
    let may = |effort| is_first || neighbours.may_judge(effort);
    if may(entries.len()) {
        let plan = plan(workload, neighbours, &routes, settings.domain());
        if may(FAULT * plan.as_ref().map_or(0, Plan::faults)) {
            return (routes, plan);
        }
    }
    let opaque = Routes::Opaque {
        place: home.place().clone(),
        detail: "too many workloads share them".to_owned(),
    };
    (opaque, None)
}

/// A finding without a fix.
pub(crate) fn finding(
    policy: &'static str,
    place: Place,
    reason: &'static str,
    detail: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        policy,
        place,
        reason,
        detail: detail.into(),
        remedy: remedy.into(),
        fix: None,
        otherwise: None,
        rests_on_workload: false,
        is_unchecked: false,
    }
}
