//! One AdmissionReview in, one out: reads the envelope, gathers the facts, decides, answers.

mod bound;
mod change;
mod claim;
mod decision;
mod fault;
mod fights;
mod message;
mod patch;
mod response;
mod review;
mod scale;

use std::fmt;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::StatusCode;
use natsguard_policies::policy::Action;
use natsguard_policies::settings::Settings;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument as _;

pub use change::REVIEWED;
pub use decision::{Case, Verdict};
pub use fault::Fault;
pub use fights::{Fight, Fights};

use crate::facts::resource::STATEFUL_SETS;
use crate::facts::{Cluster, Facts, Inquiry, Known, Nowhere, Subject, gather};
use crate::telemetry::traces;
use review::{Request, Unreadable};
use scale::{Growth, growth, is_scale};

/// More of a name than Kubernetes allows.
const MAX_NAME: usize = 253;

/// So many reviews hold facts at once, which together bounds their memory.
const READERS: usize = 6;

/// So many decisions are made at once. One thread less than the runtime has for what blocks, so that names are still resolved.
const DECIDERS: usize = 3;

/// Which of the two questions is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What should be changed: `/mutate`.
    Mutate,
    /// Whether it may be kept: `/validate`.
    Validate,
}

/// What was decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decision {
    /// Let through as it is.
    #[default]
    Allowed,
    /// Let through with repairs.
    Patched,
    /// Refused.
    Denied,
    /// Not a review.
    Unreadable,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allowed => "allowed",
            Self::Patched => "patched",
            Self::Denied => "denied",
            Self::Unreadable => "unreadable",
        })
    }
}

/// What to count and log. The strings come from whoever sent the review; none is fit to be a metric's label but those of
/// `findings`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// By which the apiserver's log knows the review.
    pub uid: String,
    /// `CREATE`, `UPDATE`, …
    pub operation: String,
    /// The API group: empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The part of the object: empty for the object itself.
    pub subresource: String,
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What was decided.
    pub decision: Decision,
    /// Policies, with what was done about a finding of theirs; `fix` is a repair that was made.
    pub findings: Vec<(String, Action)>,
    /// Policies that an exemption lifted.
    pub exempted: Vec<String>,
    /// How many facts could not be read in time.
    pub unknown: usize,
    /// How many were not read because they are more than one review reads.
    pub beyond: usize,
    /// Whether nothing will be kept.
    pub dry_run: bool,
    /// What was wrong with what is no review, or with its object.
    pub problem: Option<String>,
}

/// What is sent back, and what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// JSON.
    pub body: Vec<u8>,
    /// 200, or 400 when no review could be read.
    pub status: StatusCode,
    /// What to count and log.
    pub record: Record,
}

/// Answers reviews. It keeps nothing of them, so a dry run needs no care.
#[derive(Clone)]
pub struct Admission {
    settings: Arc<ArcSwap<Settings>>,
    cluster: Arc<dyn Cluster>,
    readers: Arc<Semaphore>,
    deciders: Arc<Semaphore>,
}

impl Default for Admission {
    /// The default settings, and no cluster to ask.
    fn default() -> Self {
        let settings = Arc::new(ArcSwap::from_pointee(Settings::default()));
        Self::new(settings, Arc::new(Nowhere))
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission").finish_non_exhaustive()
    }
}

impl Admission {
    /// Decides by these settings, which may be replaced at any time, and asks this cluster.
    pub fn new(settings: Arc<ArcSwap<Settings>>, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            settings,
            cluster,
            readers: Arc::new(Semaphore::new(READERS)),
            deciders: Arc::new(Semaphore::new(DECIDERS)),
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> &Arc<ArcSwap<Settings>> {
        &self.settings
    }

    /// One AdmissionReview in, one out. Never panics, never fails for a readable review.
    pub async fn answer(&self, step: Step, body: &[u8], deadline: Instant) -> Answer {
        let request = match Request::read(body) {
            Ok(request) => request,
            Err(problem) => return unreadable(problem),
        };
        let mut record = Record::of(&request);
        // What is repaired is the StatefulSet's, and no part of a Scale.
        let is_scale = step == Step::Validate && is_scale(&request);
        if !is_scale && !is_judged(&request) {
            return readable(record, response::allow(&request.uid, &[]));
        }
        let read = match is_scale.then(|| growth(&request)) {
            None => objects(&request),
            Some(Ok(None)) => Ok((None, None)),
            Some(Err(unreadable)) => Err(unreadable),
            Some(Ok(Some(growth))) => {
                let query = Growth::query(&request);
                let known = timeout_at(deadline, self.cluster.ask(&query)).await;
                let known = known.unwrap_or(Known::Unknown);
                if matches!(known, Known::Unknown | Known::TooMuch) {
                    record.unknown = 1;
                    let warning = message::unseen_growth(&request.name);
                    return readable(record, response::allow(&request.uid, &[warning]));
                }
                Ok(growth
                    .of(&known)
                    .map_or((None, None), |(set, old)| (Some(set), Some(old))))
            }
        };
        let (object, old) = match read {
            Ok((Some(object), old)) => (object, old),
            Ok((None, _)) => return readable(record, response::allow(&request.uid, &[])),
            Err(Unreadable) => return opaque(step, &request, record),
        };
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let (group, kind) = if is_scale {
            (STATEFUL_SETS.group, STATEFUL_SETS.kind)
        } else {
            (request.kind.group.as_str(), request.kind.kind.as_str())
        };
        let subject = Subject {
            group,
            kind,
            namespace: &request.namespace,
            name: &name,
        };
        let (object, old) = (Arc::new(object), old.map(Arc::new));
        let both = [Some(&object), old.as_ref()].into_iter().flatten().cloned();
        let settings = self.settings.load_full();
        let turns = Arc::clone(&self.deciders);
        let inquiry = Inquiry::new(&subject, both.collect(), Arc::clone(&settings), turns);
        let reader = timeout_at(deadline, Arc::clone(&self.readers).acquire_owned()).await;
        // Whose turn does not come in time knows as little as whoever gets no answer in time.
        let cluster = match &reader {
            Ok(Ok(_)) => Arc::clone(&self.cluster),
            Ok(Err(_)) | Err(_) => Arc::new(Nowhere),
        };
        let reading = traces::facts();
        let facts = gather(&cluster, inquiry, deadline)
            .instrument(reading.clone())
            .await;
        reading.record("unknown", facts.unknown());
        drop(reading);
        record.unknown = facts.late().count();
        record.beyond = facts.beyond().count();
        let turn = Arc::clone(&self.deciders).acquire_owned().await;
        let evaluation = traces::evaluation();
        let decide = decision(step, subject, settings, (object, old), facts, is_scale);
        let decided = spawn_blocking(move || {
            // Both are given back when the work is done, though nobody may wait for it any more.
            let _turns = (turn, reader);
            evaluation.in_scope(decide)
        });
        let verdict = match decided.await {
            Ok(verdict) => verdict,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // The process is ending: nobody hears an answer.
            Err(_) => pending().await,
        };
        record.decision = match (&verdict.patch, verdict.is_denied()) {
            (_, true) => Decision::Denied,
            (Some(_), false) => Decision::Patched,
            (None, false) => Decision::Allowed,
        };
        record.problem.clone_from(&verdict.unread);
        let body = response::answer(&request.uid, &subject, &verdict);
        let findings = verdict.findings.into_iter();
        record.findings = findings
            .map(|(id, action)| (id.to_owned(), action))
            .collect();
        record.exempted = verdict.exempted.into_iter().map(str::to_owned).collect();
        readable(record, body)
    }
}

impl Record {
    /// The ids of the policies that found something, each once, with commas between.
    pub fn policies(&self) -> String {
        let mut ids: Vec<&str> = self.findings.iter().map(|(id, _)| id.as_ref()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.join(",")
    }

    fn of(request: &Request<'_>) -> Self {
        let short = |text: &str| text.chars().take(MAX_NAME).collect();
        Self {
            uid: short(&request.uid),
            operation: short(&request.operation),
            group: short(&request.kind.group),
            kind: short(&request.kind.kind),
            subresource: short(&request.sub_resource),
            namespace: short(&request.namespace),
            name: short(&request.name),
            dry_run: request.dry_run == Some(true),
            ..Self::default()
        }
    }
}

/// A decision that is still to be made, by these settings. It owns all it needs: a large one takes long, and is made
/// where it keeps no other review and no probe waiting.
fn decision(
    step: Step,
    subject: Subject<'_>,
    settings: Arc<Settings>,
    (object, old): (Arc<Value>, Option<Arc<Value>>),
    facts: Facts,
    is_scale: bool,
) -> impl FnOnce() -> Verdict + Send + 'static {
    let Subject {
        group,
        kind,
        namespace,
        name,
    } = subject;
    let [group, kind, namespace, name] = [group, kind, namespace, name].map(str::to_owned);
    move || {
        let case = Case {
            subject: Subject {
                group: &group,
                kind: &kind,
                namespace: &namespace,
                name: &name,
            },
            object: &object,
            old: old.as_deref(),
            facts: &facts,
            settings: &settings,
            is_scale,
        };
        match step {
            Step::Mutate => case.mutate(),
            Step::Validate => case.validate(),
        }
    }
}

/// Whole objects that are made or changed are judged: deleting and status always work.
fn is_judged(request: &Request<'_>) -> bool {
    let subject = Subject {
        group: &request.kind.group,
        kind: &request.kind.kind,
        namespace: &request.namespace,
        name: &request.name,
    };
    let is_written = matches!(request.operation.as_str(), "CREATE" | "UPDATE");
    is_written && request.sub_resource.is_empty() && subject.is_known()
}

fn objects(request: &Request<'_>) -> Result<(Option<Value>, Option<Value>), Unreadable> {
    let object = review::object(request.object)?;
    let old = if request.operation == "UPDATE" {
        review::object(request.old_object)?
    } else {
        None
    };
    Ok((object, old))
}

fn readable(record: Record, body: Vec<u8>) -> Answer {
    Answer {
        body,
        status: StatusCode::OK,
        record,
    }
}

/// An object that no apiserver sends: nothing can be repaired, and nobody can say that it is sound.
fn opaque(step: Step, request: &Request<'_>, mut record: Record) -> Answer {
    const PROBLEM: &str = "natsguard: the object of the review is no JSON object, nests too deeply or holds half a surrogate pair";
    record.problem = Some(PROBLEM.to_owned());
    let subject = Subject {
        group: &request.kind.group,
        kind: &request.kind.kind,
        namespace: &request.namespace,
        name: &request.name,
    };
    let body = match step {
        Step::Mutate => response::allow(&request.uid, &[]),
        Step::Validate => {
            record.decision = Decision::Denied;
            response::refuse(&request.uid, &subject, PROBLEM)
        }
    };
    readable(record, body)
}

fn unreadable(problem: String) -> Answer {
    let body = response::unreadable(&problem);
    let record = Record {
        decision: Decision::Unreadable,
        problem: Some(problem),
        ..Record::default()
    };
    Answer {
        body,
        status: StatusCode::BAD_REQUEST,
        record,
    }
}
