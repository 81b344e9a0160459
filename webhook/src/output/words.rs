//! What several formats say in the same words.

use std::fmt::Write as _;

use super::escape::visible;
use crate::listing::{Exempted, Listing, ObjectName, Row, Summary, Unchecked};

/// What a listing calls standard input.
pub(super) const STDIN: &str = "<stdin>";

/// `1 denied, 2 to fix, 3 warnings in 7 objects`; of a cluster `… in 7 workloads`.
pub(super) fn summary(listing: &Listing) -> String {
    let Summary {
        deny,
        fix,
        warn,
        objects,
    } = listing.summary;
    let parts: Vec<String> = [
        (deny, "denied"),
        (fix, "to fix"),
        (warn, plural(warn, "warning", "warnings")),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let mut found = if parts.is_empty() && listing.has_workloads {
        "no findings".to_owned()
    } else if parts.is_empty() {
        "no NATS workload".to_owned()
    } else {
        parts.join(", ")
    };
    if !listing.unchecked.is_empty() {
        let _ = write!(found, ", {} not checked", listing.unchecked.len());
    }
    let of = if listing.live {
        plural(objects, "workload", "workloads")
    } else {
        plural(objects, "object", "objects")
    };
    format!("{found} in {objects} {of}")
}

fn plural(count: usize, one: &'static str, many: &'static str) -> &'static str {
    if count == 1 { one } else { many }
}

/// `ConfigMap nats/nats-config`; `StorageClass nfs`.
pub(super) fn object(object: &ObjectName) -> String {
    let name = object.namespace.as_ref().map_or_else(
        || format!("{} {}", object.kind, object.name),
        |namespace| format!("{} {namespace}/{}", object.kind, object.name),
    );
    visible(&name)
}

/// `deploy/nats.yaml:14:9`; in a cluster `statefulset/messaging/nats`.
pub(super) fn place(row: &Row) -> String {
    if row.workload.is_some() {
        return visible(&row.file);
    }
    format!("{}:{}:{}", visible(&row.file), row.line, row.column)
}

/// `reason: detail. Remedy`.
pub(super) fn sentence(row: &Row) -> String {
    let mut sentence = found(row);
    if !row.remedy.is_empty() {
        let remedy = visible(&row.remedy);
        let mut rest = remedy.chars();
        sentence.push_str(". ");
        sentence.extend(rest.next().into_iter().flat_map(char::to_uppercase));
        sentence.push_str(rest.as_str());
    }
    sentence
}

/// `reason: detail`.
pub(super) fn found(row: &Row) -> String {
    if row.detail.is_empty() {
        row.reason.to_owned()
    } else {
        format!("{}: {}", row.reason, visible(&row.detail))
    }
}

/// `service-route of ConfigMap nats/nats-config at deploy/nats.yaml:14:9: reason (until 2027-01-31)`.
pub(super) fn exempted(exempted: &Exempted) -> String {
    let Exempted {
        row,
        reason,
        expires,
    } = exempted;
    let until = expires
        .as_ref()
        .map(|day| format!(" (until {})", visible(day)))
        .unwrap_or_default();
    format!(
        "{} of {} at {}: {}{until}",
        row.policy,
        object(&row.object),
        place(row),
        visible(reason)
    )
}

/// `network-filesystem of StatefulSet nats/nats (spec.template): reason; remedy`.
pub(super) fn unchecked(unchecked: &Unchecked) -> String {
    format!(
        "{} of {} ({}): {}; {}",
        unchecked.policy,
        object(&unchecked.object),
        visible(&unchecked.field),
        visible(&unchecked.reason),
        visible(&unchecked.remedy)
    )
}

/// Where to read more about the policies of the findings.
pub(super) fn more(listing: &Listing) -> Option<String> {
    match ids(listing).as_slice() {
        [] => None,
        [id] => Some(format!("run natsguard explain {id} for more")),
        ids => Some(format!(
            "run natsguard explain <ID> for more: {}",
            ids.join(", ")
        )),
    }
}

/// The policies of the findings, each once, in order of appearance.
fn ids(listing: &Listing) -> Vec<&'static str> {
    let mut ids = Vec::new();
    for row in &listing.findings {
        if !ids.contains(&row.policy) {
            ids.push(row.policy);
        }
    }
    ids
}

/// A path as forges write it: from the root of the repository, where `check` is run.
pub(super) fn repository_path(file: &str) -> &str {
    let mut path = file;
    while let Some(rest) = path.strip_prefix("./") {
        path = rest.trim_start_matches('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn a_summary_counts_what_there_is() {
        let count = |deny, fix, warn, objects| {
            summary(&Listing {
                summary: Summary {
                    deny,
                    fix,
                    warn,
                    objects,
                },
                has_workloads: true,
                ..Listing::default()
            })
        };
        assert_eq!(
            count(1, 2, 3, 7),
            "1 denied, 2 to fix, 3 warnings in 7 objects"
        );
        assert_eq!(count(0, 0, 1, 1), "1 warning in 1 object");
        assert_eq!(count(0, 0, 0, 7), "no findings in 7 objects");
        assert_eq!(count(0, 0, 0, 0), "no findings in 0 objects");
        assert_eq!(
            summary(&sample::unread()),
            "no NATS workload, 1 not checked in 7 objects"
        );
        assert_eq!(
            summary(&sample::live()),
            "1 denied, 1 to fix, 1 warning in 2 workloads"
        );
    }

    #[test]
    fn a_sentence_needs_neither_detail_nor_remedy() {
        let [mut row, ..] = <[Row; 3]>::try_from(sample::listing().findings).unwrap();
        assert_eq!(
            sentence(&row),
            "a route names a Service: nats-svc leads to any pod. Name each pod"
        );
        row.detail.clear();
        assert_eq!(sentence(&row), "a route names a Service. Name each pod");
        row.remedy.clear();
        assert_eq!(sentence(&row), "a route names a Service");
    }

    #[test]
    fn each_policy_is_named_once() {
        let mut listing = sample::listing();
        listing.findings.extend(sample::listing().findings);
        assert_eq!(
            ids(&listing),
            ["service-route", "co-located-replicas", "network-filesystem"]
        );
    }

    #[test]
    fn a_path_starts_at_the_root_of_the_repository() {
        assert_eq!(repository_path("./deploy/nats.yaml"), "deploy/nats.yaml");
        assert_eq!(repository_path(".//././nats.yaml"), "nats.yaml");
        assert_eq!(repository_path("../nats.yaml"), "../nats.yaml");
        assert_eq!(repository_path("/srv/nats.yaml"), "/srv/nats.yaml");
    }
}
