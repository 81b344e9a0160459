//! The report of one workload as an object of the cluster.
//!
//! Both kinds have the same shape, but for `source`, which a PolicyReport has in its results only.

use serde_json::{Map, Value, json};

use super::kind::Kind;
use super::verdict::{Entry, Grade, Verdict, Workload};
use crate::kubernetes::MANAGER;

/// The label that tells who writes a report.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";

/// What Kubernetes allows for a name.
const MAX_NAME: usize = 253;

/// The hash of a name that had to be cut, and the dash before it.
const HASH: usize = 17;

/// The name of a workload's report.
pub fn name(workload: &Workload) -> String {
    let kind = workload.kind.to_lowercase();
    let whole = format!("{MANAGER}-{kind}-{}", workload.name);
    if whole.len() <= MAX_NAME {
        return whole;
    }
    let kept: String = whole.chars().take(MAX_NAME - HASH).collect();
    // A part of a name ends with a letter or a digit.
    let kept = kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    format!("{kept}-{:016x}", hash(&whole))
}

/// FNV-1a: the same in every version of everything, unlike what the standard library has.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A workload's report, its results without times.
pub fn object(verdict: &Verdict, kind: Kind) -> Value {
    let Verdict {
        workload,
        api_version,
        uid,
        entries,
        passed,
        ..
    } = verdict;
    let mut metadata = json!({
        "name": name(workload),
        "namespace": workload.namespace,
        "labels": {MANAGED_BY: MANAGER},
    });
    let mut scope = json!({
        "apiVersion": api_version,
        "kind": workload.kind,
        "namespace": workload.namespace,
        "name": workload.name,
    });
    if let Some(uid) = uid {
        scope["uid"] = json!(uid);
        metadata["ownerReferences"] = json!([{
            "apiVersion": api_version,
            "kind": workload.kind,
            "name": workload.name,
            "uid": uid,
        }]);
    }
    let results: Vec<Value> = entries.iter().map(result).collect();
    let mut object = json!({
        "apiVersion": kind.api_version(),
        "kind": kind.name(),
        "metadata": metadata,
        "scope": scope,
        "summary": {
            "pass": passed,
            "fail": verdict.count(Grade::Fail),
            "warn": verdict.count(Grade::Warn),
            "error": 0,
            "skip": verdict.count(Grade::Skip),
        },
        "results": results,
    });
    if kind == Kind::Report {
        object["source"] = json!(MANAGER);
    }
    object
}

fn result(entry: &Entry) -> Value {
    let severity = match entry.action.name() {
        "deny" => "high",
        "fix" => "medium",
        "warn" => "low",
        _ => "info",
    };
    json!({
        "source": MANAGER,
        "category": "NATS",
        "policy": entry.policy,
        "rule": entry.rule,
        "result": entry.grade.name(),
        "severity": severity,
        "scored": entry.grade == Grade::Fail,
        "message": entry.message,
        "properties": entry.properties,
    })
}

/// What to apply so that the cluster has this report: `None` when it has it. A fault that it has already keeps the time
/// since when it stands; `now` is in seconds since 1970.
pub fn update(mut wanted: Value, there: Option<&Value>, now: i64) -> Option<Value> {
    let mut known: Vec<(Value, Value)> = Vec::new();
    let old = there.and_then(|there| there.get("results")?.as_array());
    for result in old.into_iter().flatten() {
        let mut result = result.clone();
        let time = result.as_object_mut().and_then(|map| map.remove(TIME));
        known.push((result, time.unwrap_or(Value::Null)));
    }
    let mut is_same = there.is_some_and(|there| is_alike(&wanted, there));
    let results = wanted.get_mut("results").and_then(Value::as_array_mut);
    for (index, result) in results.into_iter().flatten().enumerate() {
        // Two faults may have the same words: each is first looked for in its own place.
        let is_it = |(known, _): &(Value, Value)| known == result;
        let at = match known.get(index) {
            Some(known) if is_it(known) => Some(index),
            _ => known.iter().position(is_it),
        };
        is_same &= at == Some(index);
        let since = at
            .and_then(|at| known.get(at))
            .map(|(_, time)| time.clone());
        let since = since.filter(|time| !time.is_null());
        result[TIME] = since.unwrap_or_else(|| json!({"seconds": now, "nanos": 0}));
    }
    (!is_same).then_some(wanted)
}

const TIME: &str = "timestamp";

/// Whether all but the words of the results is there.
fn is_alike(wanted: &Value, there: &Value) -> bool {
    let count = |report: &Value| {
        report
            .get("results")
            .and_then(Value::as_array)
            .map(Vec::len)
    };
    let fields = ["source", "scope", "summary"];
    let metadata = |report: &Value, field: &str| report.get("metadata")?.get(field).cloned();
    let labels = |report: &Value| -> Map<String, Value> {
        let labels = metadata(report, "labels");
        labels
            .and_then(|labels| labels.as_object().cloned())
            .unwrap_or_default()
    };
    // Others may add owners of their own.
    let owners = |report: &Value| -> Vec<Value> {
        let owners = metadata(report, "ownerReferences");
        owners
            .and_then(|owners| owners.as_array().cloned())
            .unwrap_or_default()
    };
    count(wanted) == count(there)
        && fields
            .iter()
            .all(|field| wanted.get(field) == there.get(field))
        && owners(wanted)
            .iter()
            .all(|owner| owners(there).contains(owner))
        && labels(there).get(MANAGED_BY) == labels(wanted).get(MANAGED_BY)
}
