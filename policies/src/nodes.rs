//! Which nodes take the pods of a workload, as far as the fields of both tell.
//!
//! A node takes a pod unless it is known not to: what can't be read keeps none out.

use core::cmp::Ordering;

use serde_json::Value;

use crate::bundle::Bundle;
use crate::json;

const OS: &str = "kubernetes.io/os";

/// What the scheduler reads of a pod's `spec` to tell the nodes that take it.
const TOLERATIONS: &[&str] = &["tolerations"];
const SELECTOR: &[&str] = &["nodeSelector"];
const AFFINITY: &[&str] = &[
    "affinity",
    "nodeAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
];

/// How many nodes take a pod of this `spec`; of more than are `enough` it counts these. `None` when no nodes are known, or
/// when so much may no longer be compared.
pub(crate) fn count(
    bundle: &Bundle,
    pod: &Value,
    enough: u32,
    may_compare: impl Fn(usize) -> bool,
) -> Option<u32> {
    let mut nodes = bundle.all("", "Node", None).peekable();
    nodes.peek()?;
    let size = [TOLERATIONS, SELECTOR, AFFINITY]
        .iter()
        .filter_map(|path| json::get(pod, path))
        .map(size)
        .sum::<usize>();
    let mut count = 0;
    for (_, node) in nodes {
        if count == enough {
            break;
        }
        if !may_compare(1 + size) {
            return None;
        }
        count += u32::from(takes(&node.value, pod));
    }
    Some(count)
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

fn takes(node: &Value, pod: &Value) -> bool {
    let is_cordoned = json::get(node, &["spec", "unschedulable"]) == Some(&Value::Bool(true));
    !is_cordoned && runs(node, pod) && is_selected(node, pod) && is_tolerated(node, pod)
}

/// Whether it is of the pod's operating system. A pod that says nothing of one is taken for one of Linux.
fn runs(node: &Value, pod: &Value) -> bool {
    let Some(system) = label(node, OS) else {
        return true;
    };
    match json::text(pod, &["os", "name"]) {
        Some(wanted) => system == wanted,
        None => system != "windows" || selects_system(pod),
    }
}

fn selects_system(pod: &Value) -> bool {
    let in_selector = json::map(pod, SELECTOR).is_some_and(|labels| labels.contains_key(OS));
    let in_affinity = || {
        json::get(pod, AFFINITY)
            .into_iter()
            .flat_map(|selector| json::items(selector, &["nodeSelectorTerms"]))
            .flat_map(|term| json::items(term, &["matchExpressions"]))
            .any(|expression| key(expression) == OS)
    };
    in_selector || in_affinity()
}

fn is_selected(node: &Value, pod: &Value) -> bool {
    let by_labels = json::map(pod, SELECTOR).is_none_or(|labels| {
        labels.iter().all(|(key, wanted)| {
            wanted
                .as_str()
                .is_none_or(|wanted| label(node, key) == Some(wanted))
        })
    });
    let by_affinity = || {
        json::get(pod, AFFINITY).is_none_or(|selector| {
            json::items(selector, &["nodeSelectorTerms"])
                .iter()
                .any(|term| matches(node, term))
        })
    };
    by_labels && by_affinity()
}

fn matches(node: &Value, term: &Value) -> bool {
    let labels = json::items(term, &["matchExpressions"]);
    let fields = json::items(term, &["matchFields"]);
    let is_empty = labels.is_empty() && fields.is_empty();
    let name = json::text(node, &["metadata", "name"]);
    // An empty term matches nothing.
    !is_empty
        && labels
            .iter()
            .all(|expression| holds(expression, label(node, key(expression))))
        && fields
            .iter()
            .all(|expression| key(expression) != "metadata.name" || holds(expression, name))
}

fn holds(expression: &Value, found: Option<&str>) -> bool {
    json::expression_holds(expression, found).unwrap_or_else(|| {
        let operator = json::text(expression, &["operator"]).unwrap_or_default();
        let wanted = json::items(expression, &["values"]).first();
        compares(operator, found, wanted.and_then(Value::as_str))
    })
}

fn is_tolerated(node: &Value, pod: &Value) -> bool {
    json::items(node, &["spec", "taints"])
        .iter()
        .filter(|taint| {
            let effect = json::text(taint, &["effect"]);
            matches!(effect, Some("NoSchedule" | "NoExecute"))
        })
        .all(|taint| {
            json::items(pod, TOLERATIONS)
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        })
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let wanted = |field: &str| json::text(toleration, &[field]).unwrap_or_default();
    let found = |field: &str| json::text(taint, &[field]).unwrap_or_default();
    let is_meant = |field| wanted(field).is_empty() || wanted(field) == found(field);
    is_meant("effect")
        && is_meant("key")
        && match wanted("operator") {
            "" | "Equal" => wanted("value") == found("value"),
            "Exists" => true,
            operator => compares(operator, Some(found("value")), Some(wanted("value"))),
        }
}

/// `Gt` and `Lt`, of integers. Any other operator is a later one, of which nothing is known.
fn compares(operator: &str, found: Option<&str>, wanted: Option<&str>) -> bool {
    let order = match operator {
        "Gt" => Ordering::Greater,
        "Lt" => Ordering::Less,
        _ => return true,
    };
    let integer = |text: Option<&str>| text?.parse::<i64>().ok();
    integer(found)
        .zip(integer(wanted))
        .is_some_and(|(found, wanted)| found.cmp(&wanted) == order)
}

fn label<'v>(node: &'v Value, key: &str) -> Option<&'v str> {
    json::text(node, &["metadata", "labels", key])
}

fn key(expression: &Value) -> &str {
    json::text(expression, &["key"]).unwrap_or_default()
}
