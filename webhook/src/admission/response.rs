//! The AdmissionReview v1 that goes out, as the apiserver wants it: a patch and its type together or not at all, warnings only
//! when it is let through, a status only when it is not.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use natsguard_policies::policy::Action;
use serde::Serialize;
use serde_json::json;

use super::decision::Verdict;
use super::message;
use super::review::{API_VERSION, KIND};
use crate::facts::Subject;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    api_version: &'static str,
    kind: &'static str,
    response: Response<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    audit_annotations: BTreeMap<&'static str, String>,
}

#[derive(Serialize)]
struct Status<'a> {
    code: u16,
    reason: &'static str,
    message: String,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    group: &'a str,
    kind: &'a str,
    causes: Vec<Cause<'a>>,
}

#[derive(Serialize)]
struct Cause<'a> {
    reason: &'a str,
    message: String,
    field: String,
}

/// A verdict as an answer.
pub(super) fn answer(uid: &str, subject: &Subject<'_>, verdict: &Verdict) -> Vec<u8> {
    let is_denied = verdict.is_denied();
    let patch = verdict
        .patch
        .as_ref()
        .and_then(|patch| serde_json::to_vec(patch).ok());
    let warnings = if is_denied {
        &[]
    } else {
        verdict.warnings.as_slice()
    };
    write(Response {
        uid,
        allowed: !is_denied,
        patch_type: patch.as_ref().map(|_| "JSONPatch"),
        patch: patch.map(|patch| STANDARD.encode(patch)),
        status: is_denied.then(|| refusal(subject, verdict)),
        warnings,
        audit_annotations: annotations(verdict),
    })
}

/// A review that is let through unseen.
pub(super) fn allow(uid: &str, warnings: &[String]) -> Vec<u8> {
    write(Response {
        uid,
        allowed: true,
        warnings,
        ..Response::default()
    })
}

/// A review whose object can't be read.
pub(super) fn refuse(uid: &str, subject: &Subject<'_>, problem: &str) -> Vec<u8> {
    let Subject {
        group, kind, name, ..
    } = *subject;
    write(Response {
        uid,
        status: Some(Status {
            code: 400,
            reason: "BadRequest",
            message: problem.to_owned(),
            details: Details {
                name,
                group,
                kind,
                causes: Vec::new(),
            },
        }),
        ..Response::default()
    })
}

/// The answer to what is no review: a `Status`, whose message the apiserver passes on.
pub(super) fn unreadable(problem: &str) -> Vec<u8> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure",
        "code": 400, "reason": "BadRequest", "message": problem,
    });
    status.to_string().into_bytes()
}

fn refusal<'a>(subject: &Subject<'a>, verdict: &'a Verdict) -> Status<'a> {
    let shown = verdict.denied.iter().take(message::MAX_FAULTS);
    let causes: Vec<Cause<'a>> = shown
        .map(|fault| Cause {
            reason: fault.finding.policy,
            message: message::cause(fault),
            field: message::field(fault),
        })
        .collect();
    let texts = causes.iter().map(|cause| cause.message.clone());
    let texts: Vec<String> = texts.chain(verdict.unread.clone()).collect();
    let more = verdict.denied.len() - causes.len();
    Status {
        code: 403,
        reason: "Forbidden",
        message: message::denial(&texts, more),
        details: Details {
            name: subject.name,
            group: subject.group,
            kind: subject.kind,
            causes,
        },
    }
}

/// Which policies did what, for the audit log: the apiserver puts the webhook's name before each key.
fn annotations(verdict: &Verdict) -> BTreeMap<&'static str, String> {
    let with = |action| {
        let found = verdict
            .findings
            .iter()
            .filter(move |(_, done)| *done == action);
        found.map(|(id, _)| *id).collect::<BTreeSet<_>>()
    };
    let exempted = verdict.exempted.iter().copied().collect();
    [
        ("repaired", with(Action::Fix)),
        ("denied", with(Action::Deny)),
        ("warned", with(Action::Warn)),
        ("exempted", exempted),
    ]
    .into_iter()
    .filter(|(_, ids)| !ids.is_empty())
    .map(|(key, ids)| (key, ids.into_iter().collect::<Vec<_>>().join(",")))
    .collect()
}

fn write(response: Response<'_>) -> Vec<u8> {
    let envelope = Envelope {
        api_version: API_VERSION,
        kind: KIND,
        response,
    };
    // Strings, numbers and lists of them can always be written.
    serde_json::to_vec(&envelope).unwrap_or_default()
}
