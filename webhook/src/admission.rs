//! Answers one AdmissionReview.

use std::fmt;

use http::StatusCode;
use natsguard_policies::policy::Action;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

/// Which of the two webhooks is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// `/mutate`: repairs, denies nothing.
    Mutate,
    /// `/validate`: denies what still stands.
    Validate,
}

/// What came out of a review.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Decision {
    /// Nothing to do.
    #[default]
    Allowed,
    /// Allowed, with repairs.
    Patched,
    /// Denied.
    Denied,
    /// No review could be read.
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

/// What to count and to log of a review: no object, no user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The uid of the request.
    pub uid: String,
    /// CREATE, UPDATE, DELETE, CONNECT.
    pub operation: String,
    /// API group of the object; empty for the core group.
    pub group: String,
    /// Kind of the object.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// What came out.
    pub decision: Decision,
    /// Policy id and action of each finding.
    pub findings: Vec<(String, Action)>,
    /// What was wrong with what is no review.
    pub problem: Option<String>,
}

/// An answer, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// JSON.
    pub body: Vec<u8>,
    /// 200, or 4xx when no review could be read.
    pub status: StatusCode,
    /// What to count and to log.
    pub record: Record,
}

/// Decides reviews.
#[derive(Debug, Clone, Default)]
pub struct Admission {}

#[derive(Deserialize)]
struct Review {
    request: Request,
}

#[derive(Deserialize)]
struct Request {
    uid: String,
}

impl Admission {
    /// One AdmissionReview in, one out. Never panics, never fails for a readable review.
    #[expect(clippy::unused_async, reason = "reads facts once it decides something")]
    pub async fn answer(&self, _step: Step, body: &[u8], _deadline: Instant) -> Answer {
        let uid = serde_json::from_slice(body).map(|review: Review| review.request.uid);
        let readable = uid.is_ok();
        let uid = uid.unwrap_or_default();
        let (status, decision) = if readable {
            (StatusCode::OK, Decision::Allowed)
        } else {
            (StatusCode::BAD_REQUEST, Decision::Unreadable)
        };
        let body = if readable {
            json!({
                "apiVersion": "admission.k8s.io/v1",
                "kind": "AdmissionReview",
                "response": {"uid": uid, "allowed": true},
            })
        } else {
            json!({"kind": "Status", "message": "this is no AdmissionReview"})
        };
        Answer {
            body: body.to_string().into_bytes(),
            status,
            record: Record {
                uid,
                decision,
                ..Record::default()
            },
        }
    }
}
