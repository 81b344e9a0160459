//! The reports in the cluster: listed page by page, applied where they differ, deleted where nothing stands behind them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::StatusCode;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Pace;
use super::missed::Missed;
use crate::facts::heft;
use crate::kubernetes::MANAGER;
use crate::live::FindError;
use crate::live::pages::{BEGINNINGS, Pages};
use crate::reports::{Kind, MANAGED_BY, Unread, Verdict, Workload, name, object, update};
use crate::server::panics::caught;

/// Reports asked for at a time.
const PAGE: usize = 50;

/// No report of ours takes more memory than this.
const MAX_REPORT: usize = 1 << 20;

const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;

pub(super) struct Store {
    client: Client,
    pace: Arc<Pace>,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) written: usize,
    pub(super) removed: usize,
    pub(super) missed: Missed,
    /// The first that was missed.
    problem: Option<String>,
}

/// A report by namespace and name.
type Id = (String, String);

enum Step {
    Apply(Value),
    /// The report with this uid.
    Delete(Option<String>),
}

impl Store {
    pub(super) fn new(client: Client, pace: Arc<Pace>) -> Self {
        Self { client, pace }
    }

    /// The kinds of reports that the cluster has, the best first.
    pub(super) async fn served(&self) -> Result<Vec<Kind>, Error> {
        let mut served = Vec::new();
        for kind in Kind::ALL {
            let version = kind.api_version();
            match self.client.list_api_group_resources(&version).await {
                Ok(list) => {
                    let found = list
                        .resources
                        .iter()
                        .any(|found| found.name == kind.plural());
                    served.extend(found.then_some(kind));
                }
                Err(error) if is(&error, NOT_FOUND) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(served)
    }

    /// Brings the reports of a kind to what was seen. Without `verdicts` another kind is written, and there are to be none.
    pub(super) async fn keep(
        &self,
        kind: Kind,
        verdicts: Option<&BTreeMap<Workload, Verdict>>,
        unread: &Unread,
        now: i64,
    ) -> Kept {
        let id = |workload: &Workload| (workload.namespace.clone(), name(workload));
        let wanted = Wanted {
            kind,
            now,
            verdicts: verdicts
                .into_iter()
                .flatten()
                .map(|(workload, verdict)| (id(workload), verdict))
                .collect(),
            spared: unread.workloads.iter().map(id).collect(),
            unlisted: &unread.kinds,
        };
        let (mut kept, mut beginnings) = (Kept::default(), 0);
        loop {
            match self.pages(&wanted, &mut kept).await {
                Ok(()) => break,
                Err(error) if error.is_forgotten() && beginnings < BEGINNINGS => {
                    beginnings += 1;
                }
                // Who may not list the reports that are not written did not write them before.
                Err(error)
                    if verdicts.is_none() && error.status() == Some(StatusCode::FORBIDDEN) =>
                {
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, kind = kind.name(), "the others stay as they are");
                    kept.missed.failures += 1;
                    break;
                }
            }
        }
        if let Some(problem) = &kept.problem {
            let Missed { failures, refused } = kept.missed;
            tracing::warn!(
                problem,
                failures,
                refused,
                kind = kind.name(),
                "can't write reports"
            );
        }
        kept
    }

    /// Takes the steps of one page before it reads the next: all reports together may be more than fits.
    async fn pages(&self, wanted: &Wanted<'_>, kept: &mut Kept) -> Result<(), FindError> {
        let kind = wanted.kind;
        let (version, plural) = (kind.api_version(), kind.plural());
        let label = MANAGED_BY.replace('/', "%2F");
        let path = format!("/apis/{version}/{plural}?labelSelector={label}%3D{MANAGER}");
        let mut pages = Pages::new(&self.client, plural, path, PAGE);
        let (mut there, mut is_more) = (BTreeSet::new(), true);
        while is_more {
            let mut steps = Vec::new();
            is_more = pages
                .read(&mut |item| {
                    let report = read(item)?;
                    let Some(id) = id(&report) else {
                        return Ok(());
                    };
                    steps.extend(wanted.step(&id, &report).map(|step| (id.clone(), step)));
                    if wanted.verdicts.contains_key(&id) {
                        there.insert(id);
                    }
                    Ok(())
                })
                .await?;
            for (id, step) in steps {
                self.take(kind, id, step, kept).await;
            }
        }
        for (id, verdict) in &wanted.verdicts {
            if there.contains(id) {
                continue;
            }
            if let Some(apply) = update(object(verdict, kind), None, wanted.now) {
                self.take(kind, id.clone(), Step::Apply(apply), kept).await;
            }
        }
        Ok(())
    }

    async fn take(&self, kind: Kind, id: Id, step: Step, kept: &mut Kept) {
        self.pace.turn().await;
        match caught(take(self.client.clone(), kind, id, step)).await {
            Some(Ok(Some(true))) => kept.written += 1,
            Some(Ok(Some(false))) => kept.removed += 1,
            Some(Ok(None)) => {}
            Some(Err(error)) => {
                kept.missed.count(&error);
                kept.problem.get_or_insert(error.to_string());
            }
            None => kept.missed.failures += 1,
        }
    }
}

/// What there is to be.
struct Wanted<'a> {
    kind: Kind,
    now: i64,
    verdicts: BTreeMap<Id, &'a Verdict>,
    /// Reports of workloads that may be there although they were not read.
    spared: BTreeSet<Id>,
    /// Kinds of such workloads.
    unlisted: &'a BTreeSet<&'static str>,
}

impl Wanted<'_> {
    /// What is to be done about a report.
    fn step(&self, id: &Id, report: &Value) -> Option<Step> {
        if let Some(verdict) = self.verdicts.get(id) {
            let apply = update(object(verdict, self.kind), Some(report), self.now);
            return apply.map(Step::Apply);
        }
        let kind = text(report, "/scope/kind").unwrap_or_default();
        let is_spared = self.spared.contains(id) || self.unlisted.contains(kind);
        let uid = text(report, "/metadata/uid").map(str::to_owned);
        (!is_spared).then_some(Step::Delete(uid))
    }
}

/// A report in the cluster. Of one that is heavier than any of ours only what it is called.
fn read(item: &RawValue) -> Result<Value, serde_json::Error> {
    if heft::of_text(item.get()) <= MAX_REPORT {
        return serde_json::from_str(item.get());
    }
    let Named { metadata } = serde_json::from_str(item.get())?;
    Ok(json!({"metadata": metadata}))
}

#[derive(Deserialize)]
struct Named {
    metadata: NamedMetadata,
}

#[derive(Serialize, Deserialize)]
struct NamedMetadata {
    namespace: String,
    name: String,
    uid: String,
}

/// `Some(true)` for a report written, `Some(false)` for one removed, `None` when its place is gone already.
type Taken = Result<Option<bool>, Error>;

async fn take(client: Client, kind: Kind, (namespace, name): Id, step: Step) -> Taken {
    let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &kind.resource());
    let (taken, is_written) = match step {
        Step::Apply(object) => {
            let params = PatchParams::apply(MANAGER).force();
            let applied = api.patch(&name, &params, &Patch::Apply(object)).await;
            (applied.map(|_| ()), true)
        }
        Step::Delete(uid) => {
            let params = DeleteParams::default().preconditions(Preconditions {
                resource_version: None,
                uid,
            });
            (api.delete(&name, &params).await.map(|_| ()), false)
        }
    };
    match taken {
        Ok(()) => Ok(Some(is_written)),
        // The namespace is gone, or the report; or it is another one by now.
        Err(error) if is(&error, NOT_FOUND) => Ok(None),
        Err(error) if is(&error, CONFLICT) && !is_written => Ok(None),
        Err(error) => Err(error),
    }
}

/// The namespace and the name of a report that is ours: anybody can write a label.
fn id(report: &Value) -> Option<Id> {
    let name = text(report, "/metadata/name")?;
    let namespace = text(report, "/metadata/namespace")?;
    let is_ours = name
        .strip_prefix(MANAGER)
        .is_some_and(|rest| rest.starts_with('-'));
    is_ours.then(|| (namespace.to_owned(), name.to_owned()))
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn is(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api(status) if status.code == code)
}
