//! Findings ready to be printed: each with the file, line and column it points at, or with the workload that runs.

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::Report;
use natsguard_policies::policy::{Action, Finding};
use natsguard_policies::workload::discover;
use serde::Serialize;

use crate::input::Input;
use crate::live::Seen;
use crate::mask::{self, Excerpt};

/// Everything a report prints, in the order of the input.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Listing {
    /// The findings.
    pub findings: Vec<Row>,
    /// What could not be judged.
    pub unchecked: Vec<Unchecked>,
    /// What could not be read or used.
    pub problems: Vec<String>,
    /// How many there are.
    pub summary: Summary,
    /// Findings that the settings let through: for people, not part of the machine formats.
    #[serde(skip)]
    pub exempted: Vec<Exempted>,
    /// Whether this is about the workloads of a cluster and not about files.
    #[serde(skip)]
    pub live: bool,
    /// Whether any object is a NATS workload.
    #[serde(skip)]
    pub has_workloads: bool,
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
    /// The file as it was named on the command line or found in a directory; `<stdin>` for standard input; in a cluster
    /// the workload, as in `statefulset/messaging/nats`.
    pub file: String,
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// The line and column after the last character of what is meant, where it stands in a file.
    #[serde(skip)]
    pub end: Option<(usize, usize)>,
    /// That line, as far as it may be shown: nothing of a Secret is.
    #[serde(skip)]
    pub excerpt: Option<Excerpt>,
    /// In a cluster the workload that is at fault: there are no lines then.
    #[serde(skip)]
    pub workload: Option<ObjectName>,
}

/// What could not be judged, and so is no finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unchecked {
    /// The policy's id.
    pub policy: &'static str,
    /// The object that holds the field.
    pub object: ObjectName,
    /// The field.
    pub field: String,
    /// Why it could not be judged.
    pub reason: String,
    /// What to do, so that it can.
    pub remedy: String,
}

impl From<Row> for Unchecked {
    fn from(row: Row) -> Self {
        let reason = match row.detail.as_str() {
            "" => row.reason.to_owned(),
            detail => format!("{}: {detail}", row.reason),
        };
        Self {
            policy: row.policy,
            object: row.object,
            field: row.field,
            reason,
            remedy: row.remedy,
        }
    }
}

/// The name of an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// `apps/v1`.
    pub api_version: String,
    /// `StatefulSet`.
    pub kind: String,
    /// `None` for a cluster-scoped kind, and where it is not known.
    pub namespace: Option<String>,
    /// `metadata.name`.
    pub name: String,
}

impl ObjectName {
    /// The name of an object of a bundle.
    pub fn of(bundle: &Bundle, object: &Object) -> Self {
        Self {
            api_version: object.api_version().to_owned(),
            kind: object.kind().to_owned(),
            namespace: bundle.namespace(object).map(str::to_owned),
            name: object.name().to_owned(),
        }
    }

    /// `statefulset/messaging/nats`; `storageclass/nfs`.
    pub fn path(&self) -> String {
        let kind = self.kind.to_lowercase();
        match &self.namespace {
            Some(namespace) => format!("{kind}/{namespace}/{}", self.name),
            None => format!("{kind}/{}", self.name),
        }
    }
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
    /// Objects read; in a cluster the NATS workloads.
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
        let listing = Self::of(report, report.objects, |finding, action| {
            row(input, finding, action)
        });
        Self {
            problems: input.problems.clone(),
            has_workloads: !discover(&input.bundle).is_empty(),
            ..listing
        }
    }

    /// What was found at no workload of a cluster yet.
    pub fn live() -> Self {
        Self {
            live: true,
            has_workloads: true,
            ..Self::default()
        }
    }

    /// Adds what a workload of a cluster is at fault with.
    pub fn add(&mut self, seen: &Seen, report: &Report) {
        let Some(workload) = seen.name() else {
            return;
        };
        self.merge(Self::of(report, 1, |finding, action| {
            Some(Row {
                file: workload.path(),
                line: 1,
                column: 1,
                workload: Some(workload.clone()),
                ..bare(&seen.bundle, finding, action)?
            })
        }));
    }

    /// Adds what another listing says.
    pub fn merge(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.unchecked.extend(other.unchecked);
        self.exempted.extend(other.exempted);
        self.summary.deny += other.summary.deny;
        self.summary.fix += other.summary.fix;
        self.summary.warn += other.summary.warn;
        self.summary.objects += other.summary.objects;
    }

    /// The strongest action of all findings; [`Action::Off`] for what could not be checked.
    pub fn worst(&self) -> Option<Action> {
        let unchecked = self.unchecked.iter().map(|_| Action::Off);
        self.findings
            .iter()
            .map(|row| row.action)
            .chain(unchecked)
            .max()
    }

    fn of(report: &Report, objects: usize, row: impl Fn(&Finding, Action) -> Option<Row>) -> Self {
        let findings = report
            .findings
            .iter()
            .filter_map(|judged| row(&judged.finding, judged.action))
            .collect();
        let exempted = report
            .exempted
            .iter()
            .filter_map(|exempted| {
                Some(Exempted {
                    row: row(&exempted.finding, Action::Off)?,
                    reason: exempted.reason.clone(),
                    expires: exempted.expires.clone(),
                })
            })
            .collect();
        let summary = Summary {
            deny: report.count(Action::Deny),
            fix: report.count(Action::Fix),
            warn: report.count(Action::Warn),
            objects,
        };
        let unchecked = report
            .unchecked
            .iter()
            .filter_map(|finding| row(finding, Action::Off).map(Unchecked::from))
            .collect();
        Self {
            findings,
            unchecked,
            summary,
            exempted,
            ..Self::default()
        }
    }
}

impl Seen {
    /// The workload.
    pub fn name(&self) -> Option<ObjectName> {
        let object = self.bundle.object(self.id)?;
        Some(ObjectName::of(&self.bundle, object))
    }
}

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
    let end = offset
        .and(place.span.as_ref())
        .and_then(|span| input.locate(place.object, &place.pointer, Some(span.end)))
        .map(|(_, end)| end)
        .filter(|end| *end > location)
        .or_else(|| {
            manifest
                .end_of_line(location.line)
                .filter(|end| *end > location)
        });
    let excerpt = (!is_secret)
        .then(|| mask::line(manifest, location.line, location.column))
        .flatten();
    Some(Row {
        file: manifest.name().to_owned(),
        line: location.line,
        column: location.column,
        end: end.map(|end| (end.line, end.column)),
        excerpt,
        ..bare(&input.bundle, finding, action)?
    })
}

/// What is said of a finding wherever it stands.
fn bare(bundle: &Bundle, finding: &Finding, action: Action) -> Option<Row> {
    let object = bundle.object(finding.place.object)?;
    Some(Row {
        policy: finding.policy,
        action,
        object: ObjectName::of(bundle, object),
        field: finding.place.field.clone(),
        reason: finding.reason,
        detail: finding.detail.clone(),
        remedy: finding.remedy.clone(),
        file: String::new(),
        line: 0,
        column: 0,
        end: None,
        excerpt: None,
        workload: None,
    })
}
