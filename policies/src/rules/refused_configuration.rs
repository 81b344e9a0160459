//! # refused-configuration
//!
//! nats-server does not start with this file or these flags.
//!
//! ## Why
//!
//! A server that runs keeps its old configuration when it is told to read a new one that it refuses: one line in its log
//! says so. The fault shows at the next restart, when the pod does not come back, and then of all pods, one after the other.
//!
//! ## What is checked
//!
//! The file passed with `-c`, with everything that it includes, is read as nats-server reads it. What keeps the server from
//! starting is said here and by no other policy:
//!
//! | what | as |
//! |---|---|
//! | the file | a syntax error, a variable that refers to itself |
//! | a file that is included or passed with `-c` | missing in the ConfigMap or Secret that should hold it |
//! | `max_memory_store`, `max_file_store` | no size: `"10Gi"` in quotes |
//! | `GOMEMLIMIT` | a size in units of Kubernetes, `3Gi`, not of Go, `3GiB` |
//! | JetStream in a server that listens for routes | no `server_name`, no `cluster.name`, no route and no leaf node remote (a warning for a StatefulSet, whose routes can be made) |
//!
//! In a file, `{{…}}` and `${…}` may be filled in before it is applied, so a template is listed as not checked; in a cluster
//! nobody fills it in. So is a file that is larger or deeper than natsguard reads (128 brackets in each other, 1000 includes),
//! and in a cluster it is refused, because no other policy could judge it.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats}
//! data:
//!   nats.conf: |
//!     jetstream {
//!       store_dir: /data
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//! ```
//!
//! ```yaml sound
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats}
//! data:
//!   nats.conf: |
//!     jetstream {
//!       store_dir: /data
//!     }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers:
//!       - name: nats
//!         image: nats:2.14.5
//!         args: [-c, /etc/nats/nats.conf]
//!         volumeMounts: [{name: config, mountPath: /etc/nats}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//! ```
//!
//! ## References
//!
//! - nats-server `validateJetStreamOptions` (server/jetstream.go), `enableJetStreamClustering` (server/jetstream_cluster.go)
//! - <https://github.com/nats-io/k8s/issues/443>: a reload of an invalid file is refused in one line of the log

use crate::conf;
use crate::context::{Context, finding};
use crate::memory::{self, GoLimit};
use crate::policy::{Action, Finding, Policy};
use crate::routes::list::Routes;
use crate::storage::jetstream::{JetStream, Limit, State};
use crate::workload::{Configuration, Kind, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "refused-configuration",
    title: "nats-server does not start with this configuration",
    action: Action::Deny,
    otherwise: Action::Deny,
    page: include_str!("../../docs/refused-configuration.md"),
    evaluate,
};

const FILE: &str = "nats-server does not start with this file";
const CORRECT: &str = "correct it; nats-server -t -c FILE tells whether it is right";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let own = || workload.own_place(workload.container_pointer.clone());
    let (limit, index) = memory::go_limit(workload.container);
    if limit == GoLimit::Malformed {
        let pointer = format!("{}/env/{index}/value", workload.container_pointer);
        return vec![finding(
            POLICY.id,
            workload.own_place(pointer),
            "nats-server does not start with a GOMEMLIMIT that is none",
            workload.title(),
            "write it in B, KiB, MiB, GiB or TiB, as in 3GiB",
        )];
    }
    match &workload.configuration {
        Configuration::Missing(why) => {
            return vec![finding(
                POLICY.id,
                own(),
                "nats-server does not start without its file",
                format!("{}: {why}", workload.title()),
                "add the file, or pass the path of one that is there with -c",
            )];
        }
        Configuration::Known { config, .. } => {
            if let Some(error) = &config.error {
                return unreadable(workload, error).into_iter().collect();
            }
            // In a cluster nobody fills it in, and no variable can have such a name.
            let is_template = |name: &String| name.starts_with('{');
            if workload.bundle.is_live() && config.unresolved.iter().any(is_template) {
                let place = workload.main_file().unwrap_or_else(own);
                return vec![finding(
                    POLICY.id,
                    place,
                    FILE,
                    format!(
                        "{}: it is a template that nobody has filled in",
                        workload.title()
                    ),
                    "fill in each ${…} before the file is applied",
                )];
            }
        }
        _ => {}
    }
    let State::On(jetstream) = &context.jetstream else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = [
        ("max_memory_store", &jetstream.memory),
        ("max_file_store", &jetstream.file),
    ]
    .into_iter()
    .filter_map(|(name, limit)| no_size(workload, name, limit))
    .collect();
    findings.extend(no_cluster(context, jetstream));
    findings
}

/// A file that can't be read.
fn unreadable(workload: &Workload<'_>, error: &conf::ConfigError) -> Option<Finding> {
    let place = workload.error_place(error)?;
    let detail = format!("{}: {error}", workload.title());
    let found =
        |reason, remedy: &str| finding(POLICY.id, place.clone(), reason, detail.clone(), remedy);
    let is_live = workload.bundle.is_live();
    Some(match error.cause {
        // nats-server may take it. In a cluster what nobody can judge is not let in.
        conf::Cause::Limit => {
            let found = found(
                "the configuration is larger or deeper than natsguard reads",
                "write it with less nesting, fewer includes and fewer variables",
            );
            if is_live { found } else { found.unchecked() }
        }
        _ if workload.may_be_filled_in() => found(
            "the configuration is a template",
            "fill it in, and check the result",
        )
        .unchecked(),
        // What is mounted beside the file is the template's.
        conf::Cause::Include => found(FILE, CORRECT).rests_on_workload(),
        conf::Cause::Text => found(FILE, CORRECT),
    })
}

fn no_size(workload: &Workload<'_>, name: &str, limit: &Limit) -> Option<Finding> {
    let Limit::Invalid(place) = limit else {
        return None;
    };
    Some(finding(
        POLICY.id,
        place.clone(),
        "nats-server does not start with a limit of JetStream that is no size",
        format!("{name} of {}", workload.title()),
        format!("write {name} without quotes, as in 10Gi"),
    ))
}

/// What a server with JetStream lacks to listen for routes.
fn no_cluster(context: &Context<'_>, jetstream: &JetStream) -> Option<Finding> {
    let workload = context.workload;
    let nothing = conf::Map::default();
    let values = match &workload.configuration {
        Configuration::None if !workload.command.hidden => &nothing,
        Configuration::Known { config, .. } if config.unknown_includes.is_empty() => &config.root,
        // What is not seen may say it.
        _ => return None,
    };
    let cluster = values.find(&["cluster"]);
    let block = cluster.and_then(conf::Value::as_map).unwrap_or(&nothing);
    let is_set = |flags: &[&str]| workload.command.last(flags).is_some();
    let listens = match workload.command.last(&["cluster", "cluster_listen"]) {
        Some(flag) => !flag.value.is_empty(),
        None => block
            .find(&["port", "listen"])
            .is_some_and(|port| port.as_i64() != Some(0)),
    };
    if !listens {
        return None;
    }
    let is_named = is_set(&["n", "name", "server_name"]) || values.find(&["server_name"]).is_some();
    // A cluster with a gateway has its name.
    let has_cluster_name = is_set(&["cluster_name"])
        || block.find(&["name"]).is_some()
        || values.find(&["gateway"]).is_some();
    let is_listed =
        !matches!(&context.routes, Routes::Listed { entries, .. } if entries.is_empty());
    // A list that can be made is incomplete-routes' to make.
    let is_due = context
        .plan
        .as_ref()
        .is_some_and(|plan| !plan.missing.is_empty());
    let has_routes = is_listed || is_due || values.find(&["leafnodes", "leaf"]).is_some();
    let (what, remedy) = if !is_named {
        (
            "no server_name",
            "set server_name to the name of the pod, as in server_name: $POD_NAME",
        )
    } else if !has_cluster_name {
        ("no cluster.name", "set cluster.name")
    } else if !has_routes {
        (
            "no route",
            "leave out the cluster block of a single server, or run three servers with a route to each",
        )
    } else {
        return None;
    };
    let place = cluster.and_then(|cluster| workload.place(&cluster.origin, "cluster"));
    let found = finding(
        POLICY.id,
        place.unwrap_or_else(|| jetstream.place.clone()),
        "nats-server does not start JetStream in a cluster without names and routes",
        format!("{} has {what}", workload.title()),
        remedy,
    )
    .rests_on_workload();
    // The routes of a StatefulSet are made when it grows, and it may always shrink.
    Some(
        if is_named && has_cluster_name && workload.kind == Kind::StatefulSet {
            found.otherwise(Action::Warn)
        } else {
            found
        },
    )
}
