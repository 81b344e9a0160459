//! Findings ready to be printed: each with the file, line and column it points at.

use natsguard_policies::engine::Report;
use natsguard_policies::policy::{Action, Finding};
use serde::Serialize;

use crate::input::Input;
use crate::mask;

/// Everything a report prints, in the order of the input.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Listing {
    /// The findings.
    pub findings: Vec<Row>,
    /// How many there are.
    pub summary: Summary,
    /// Findings that the settings let through: for people, not part of the machine formats.
    #[serde(skip)]
    pub exempted: Vec<Exempted>,
}

/// One finding. No text holds credentials.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The policy's id.
    pub policy: &'static str,
    /// What admission would do: `deny`, `fix` or `warn`.
    pub action: Action,
    /// The object that holds the field.
    pub object: ObjectName,
    /// The field, as in `spec.template.spec.volumes[2].nfs` or `data["nats.conf"].cluster.routes[0]`.
    pub field: String,
    /// What is wrong, the same words every time.
    pub reason: &'static str,
    /// The values this time.
    pub detail: String,
    /// What to do.
    pub remedy: String,
    /// The file as it was named on the command line or found in a directory; `<stdin>` for standard input.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// That line with credentials masked, where it may be shown: nothing of a Secret is.
    #[serde(skip)]
    pub excerpt: Option<String>,
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// `None` for a cluster-scoped kind.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

/// How many findings of each kind, and how many objects were looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Refused.
    pub deny: usize,
    /// Repaired.
    pub fix: usize,
    /// Said.
    pub warn: usize,
    /// Objects read.
    pub objects: usize,
}

/// A finding that the settings let through.
#[derive(Debug, Clone, PartialEq)]
pub struct Exempted {
    /// The finding.
    pub row: Row,
    /// Why.
    pub reason: String,
    /// The last day of the exemption.
    pub expires: Option<String>,
}

impl Listing {
    /// Finds the lines of a report's findings in the input.
    pub fn new(input: &Input, report: &Report) -> Self {
        let findings = report
            .findings
            .iter()
            .filter_map(|judged| row(input, &judged.finding, judged.action))
            .collect();
        let exempted = report
            .exempted
            .iter()
            .filter_map(|exempted| {
                Some(Exempted {
                    row: row(input, &exempted.finding, Action::Off)?,
                    reason: exempted.reason.clone(),
                    expires: exempted.expires.clone(),
                })
            })
            .collect();
        let summary = Summary {
            deny: report.count(Action::Deny),
            fix: report.count(Action::Fix),
            warn: report.count(Action::Warn),
            objects: report.objects,
        };
        Self {
            findings,
            summary,
            exempted,
        }
    }
}

/// Bytes of the longest line that is shown.
const LONGEST_EXCERPT: usize = 2000;

fn row(input: &Input, finding: &Finding, action: Action) -> Option<Row> {
    let place = &finding.place;
    let object = input.bundle.object(place.object)?;
    let is_secret = object.kind() == "Secret";
    // Bytes of a decoded file have no place of their own in base64.
    let offset = place
        .span
        .as_ref()
        .map(|span| span.start)
        .filter(|_| !is_secret);
    let (manifest, location) = input.locate(place.object, &place.pointer, offset)?;
    // A line that nobody can read at a glance is no excerpt, and masking one for each finding would cost its square.
    let excerpt = Some(manifest.line(location.line))
        .filter(|line| {
            !is_secret
                && !matches!(finding.policy, "exposed-credentials" | "opaque-routes")
                && line.len() <= LONGEST_EXCERPT
        })
        .map(mask::line);
    Some(Row {
        policy: finding.policy,
        action,
        object: ObjectName {
            api_version: object.api_version().to_owned(),
            kind: object.kind().to_owned(),
            namespace: input.bundle.namespace(object).map(str::to_owned),
            name: object.name().to_owned(),
        },
        field: place.field.clone(),
        reason: finding.reason,
        detail: finding.detail.clone(),
        remedy: finding.remedy.clone(),
        file: manifest.name().to_owned(),
        line: location.line,
        column: location.column,
        excerpt,
    })
}
