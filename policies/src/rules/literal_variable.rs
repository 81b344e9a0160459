//! # literal-variable
//!
//! `$NAME` inside a string, or a template that nothing has filled in, is taken literally.
//!
//! ## Why
//!
//! nats-server replaces `$NAME` only where it is the whole of a value and has no quotes. `server_name: "$POD_NAME"` gives all
//! servers the name `$POD_NAME`, and servers of one name refuse each other; `nats://$HOST:6222` is a route to the host `$HOST`.
//! `%3Cno+value%3E` and `<no value>` are what Go's templates write where there is no value.
//!
//! ## What is checked
//!
//! `server_name`, `client_advertise`, names, hosts, users and passwords of `cluster`, `gateway` and their routes, and
//! `store_dir`, `domain` and `key` of `jetstream`. A `$` inside a password may belong to it; a password that is nothing
//! but `$NAME` is a variable.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     server_name: "$POD_NAME"
//!     jetstream { store_dir: /data }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 1
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
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     server_name: $POD_NAME
//!     jetstream { store_dir: /data }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 1
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
//! - <https://docs.nats.io/running-a-nats-service/configuration#variables>
//! - <https://github.com/nats-io/nats-server/issues/5320>

use crate::conf;
use crate::context::{Context, finding};
use crate::policy::{Action, Finding, Place, Policy};
use crate::routes::list::Routes;
use crate::routes::url::Route;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "literal-variable",
    title: "A variable inside a string is taken literally",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/literal-variable.md"),
    evaluate,
};

/// The options that are looked at: the block, and the names in it.
const OPTIONS: [(&[&str], &[&str]); 4] = [
    (&[], &["server_name", "client_advertise"]),
    (
        &["cluster"],
        &["name", "host", "listen", "advertise", "cluster_advertise"],
    ),
    (&["gateway"], &["name", "host", "listen", "advertise"]),
    (
        &["jetstream"],
        &[
            "store_dir",
            "storedir",
            "store",
            "domain",
            "key",
            "ek",
            "encryption_key",
        ],
    ),
];

const VARIABLE: &str = "a variable inside a string is taken literally";
const REMEDY: &str =
    "write $NAME without quotes as the whole value, or fill it in before the server reads it";
const UNFILLED: &str = "a template that nothing has filled in is taken literally";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let found = |place: Place, (reason, remedy): (&'static str, &str)| {
        finding(POLICY.id, place, reason, workload.title(), remedy)
    };
    // `${NAME}` may be filled in before the file is applied.
    let is_live = workload.bundle.is_live();
    let variable = |text: &str, is_secret: bool| {
        let is_it = holds_variable(text, is_secret) && (is_live || !text.contains("${"));
        is_it.then_some((VARIABLE, REMEDY))
    };
    let mut findings = Vec::new();
    if let Some(values) = workload.values() {
        for (block, names) in OPTIONS {
            let map = match block {
                [] => Some(values),
                block => values.find(block).and_then(conf::Value::as_map),
            };
            for name in names {
                let Some(value) = map.and_then(|map| map.find(&[name])) else {
                    continue;
                };
                let path: Vec<&str> = block.iter().chain([name]).copied().collect();
                let text = value.as_str().filter(|_| !value.origin.variable);
                let fault = text.and_then(|text| {
                    let is_secret = name.ends_with("key") || *name == "ek";
                    unfilled(text).or_else(|| variable(text, is_secret))
                });
                let place = workload.place(&value.origin, &path.join("."));
                findings.extend(place.zip(fault).map(|(place, fault)| found(place, fault)));
            }
        }
    }
    if let Routes::Listed { entries, .. } = &context.routes {
        for entry in entries {
            let route = Route::parse(&entry.text);
            let (user, password) = match route.userinfo.map(|userinfo| userinfo.split_once(':')) {
                Some(Some((user, password))) => (user, password),
                _ => (route.userinfo.unwrap_or_default(), ""),
            };
            let fault = unfilled(&entry.text)
                .or_else(|| variable(route.host, false))
                .or_else(|| variable(route.port.unwrap_or_default(), false))
                .or_else(|| variable(user, true))
                .or_else(|| variable(password, true));
            findings.extend(fault.map(|fault| found(entry.place.clone(), fault)));
        }
    }
    findings
}

/// What Go's templates write for what is not there.
fn unfilled(text: &str) -> Option<(&'static str, &'static str)> {
    let text = text.to_ascii_lowercase();
    let is_it = text.contains("<no value>") || text.contains("%3cno+value%3e");
    is_it.then_some((UNFILLED, "set the value that the template asks for"))
}

/// Whether there is a variable in a text; in a secret, which may hold a `$` of its own, only one that is all of it.
fn holds_variable(text: &str, is_secret: bool) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices('$').any(|(at, _)| {
        let rest = text.get(at + 1..).unwrap_or_default();
        let rest = rest.trim_start_matches(['{', '(']);
        let end = rest
            .trim_start_matches(is_name)
            .trim_start_matches(['}', ')']);
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
        rest.starts_with(starts) && (!is_secret || (at == 0 && end.is_empty()))
    })
}
