//! What a policy is given: one workload, the settings, and what several policies need to know of both.

use crate::policy::{Finding, Place};
use crate::routes::plan::{Plan, plan};
use crate::settings::Settings;
use crate::storage::jetstream::{self, State};
use crate::workload::Workload;

/// One workload under evaluation.
#[derive(Debug)]
pub struct Context<'a> {
    /// The workload.
    pub workload: &'a Workload<'a>,
    /// The settings.
    pub settings: &'a Settings,
    /// The routes of a StatefulSet, judged.
    pub plan: Option<Plan>,
    /// JetStream's settings.
    pub jetstream: State,
}

impl<'a> Context<'a> {
    /// Looks at a workload.
    pub fn new(workload: &'a Workload<'a>, settings: &'a Settings) -> Self {
        Self {
            workload,
            settings,
            plan: plan(workload, &settings.cluster_domain),
            jetstream: jetstream::read(workload),
        }
    }
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
    }
}
