//! The reports in the cluster: listed page by page, applied where they differ, deleted where nothing stands behind them.

use std::collections::{BTreeMap, BTreeSet};

use http::Request;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::reports::{Kind, MANAGED_BY, MANAGER, Unread, Verdict, Workload, name, object, update};

/// Reports asked for at a time.
const PAGE: usize = 100;

/// Writes under way together.
const AT_ONCE: usize = 4;

/// How often a list may begin again because the cluster forgot where it was.
const BEGINNINGS: usize = 3;

const FORBIDDEN: u16 = 403;
const NOT_FOUND: u16 = 404;
const CONFLICT: u16 = 409;
const GONE: u16 = 410;

pub(super) struct Store {
    client: Client,
}

/// What was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) written: usize,
    pub(super) removed: usize,
    pub(super) failures: usize,
}

/// A report by namespace and name.
type Id = (String, String);

enum Step {
    Apply(Value),
    /// The report with this uid.
    Delete(Option<String>),
}

#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    items: Vec<Value>,
}

#[derive(Deserialize)]
struct PageMetadata {
    #[serde(rename = "continue", default)]
    next: Option<String>,
}

impl Store {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
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
        let mut kept = Kept::default();
        let steps = match self.plan(kind, verdicts, unread, now).await {
            Ok(steps) => steps,
            // Who may not list the reports that are not written did not write them before.
            Err(error) if verdicts.is_none() && is(&error, FORBIDDEN) => return kept,
            Err(error) => {
                tracing::warn!(%error, kind = kind.name(), "can't list reports; they stay as they are");
                kept.failures += 1;
                return kept;
            }
        };
        let mut taking = JoinSet::new();
        let mut problem = None;
        let mut note = |taken: Option<Result<Taken, tokio::task::JoinError>>| match taken {
            Some(Ok(Ok(Some(true)))) => kept.written += 1,
            Some(Ok(Ok(Some(false)))) => kept.removed += 1,
            Some(Ok(Err(error))) => {
                kept.failures += 1;
                problem.get_or_insert(error.to_string());
            }
            Some(Ok(Ok(None)) | Err(_)) | None => {}
        };
        for (id, step) in steps {
            if taking.len() >= AT_ONCE {
                note(taking.join_next().await);
            }
            taking.spawn(take(self.client.clone(), kind, id, step));
        }
        while let Some(taken) = taking.join_next().await {
            note(Some(taken));
        }
        if let Some(problem) = problem {
            let failures = kept.failures;
            tracing::warn!(problem, failures, kind = kind.name(), "can't write reports");
        }
        kept
    }

    async fn plan(
        &self,
        kind: Kind,
        verdicts: Option<&BTreeMap<Workload, Verdict>>,
        unread: &Unread,
        now: i64,
    ) -> Result<BTreeMap<Id, Step>, Error> {
        let mut beginnings = 0;
        loop {
            match self.pages(kind, verdicts, unread, now).await {
                Err(error) if is(&error, GONE) && beginnings < BEGINNINGS => beginnings += 1,
                ended => return ended,
            }
        }
    }

    async fn pages(
        &self,
        kind: Kind,
        verdicts: Option<&BTreeMap<Workload, Verdict>>,
        unread: &Unread,
        now: i64,
    ) -> Result<BTreeMap<Id, Step>, Error> {
        let wanted: BTreeMap<Id, &Verdict> = verdicts
            .into_iter()
            .flatten()
            .map(|(workload, verdict)| ((workload.namespace.clone(), name(workload)), verdict))
            .collect();
        let spared: BTreeSet<Id> = unread
            .workloads
            .iter()
            .map(|workload| (workload.namespace.clone(), name(workload)))
            .collect();
        let is_spared = |id: &Id, report: &Value| {
            let kind = text(report, "/scope/kind").unwrap_or_default();
            spared.contains(id) || unread.kinds.contains(kind)
        };
        let (mut steps, mut there, mut next) = (BTreeMap::new(), BTreeSet::new(), String::new());
        loop {
            let page = self.page(kind, &next).await?;
            for report in page.items {
                let Some(id) = id(&report) else {
                    continue;
                };
                if let Some(verdict) = wanted.get(&id) {
                    let apply = update(object(verdict, kind), Some(&report), now);
                    steps.extend(apply.map(|apply| (id.clone(), Step::Apply(apply))));
                    there.insert(id);
                } else if !is_spared(&id, &report) {
                    let uid = text(&report, "/metadata/uid").map(str::to_owned);
                    steps.insert(id, Step::Delete(uid));
                }
            }
            next = page.metadata.next.unwrap_or_default();
            if next.is_empty() {
                break;
            }
        }
        for (id, verdict) in wanted {
            if !there.contains(&id) {
                let apply = update(object(verdict, kind), None, now);
                steps.extend(apply.map(|apply| (id, Step::Apply(apply))));
            }
        }
        Ok(steps)
    }

    async fn page(&self, kind: Kind, next: &str) -> Result<Page, Error> {
        let (version, plural) = (kind.api_version(), kind.plural());
        let label = MANAGED_BY.replace('/', "%2F");
        let mut path =
            format!("/apis/{version}/{plural}?labelSelector={label}%3D{MANAGER}&limit={PAGE}");
        if !next.is_empty() {
            // A token is base64 for URLs.
            path.push_str("&continue=");
            path.push_str(next);
        }
        let request = Request::get(path)
            .body(Vec::new())
            .map_err(Error::HttpError)?;
        self.client.request(request).await
    }
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
