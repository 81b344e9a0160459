//! # routes-without-credentials
//!
//! The cluster demands credentials that its routes lack.
//!
//! ## Why
//!
//! `cluster.authorization` is what a server asks of those who connect to it, and not what it says when it connects itself:
//! that stands in the URL of the route. Without it each server refuses all others ("Authorization Violation"), and gossip,
//! which would use `cluster.authorization`, never starts.
//!
//! ## What is checked
//!
//! A clustered workload of more than one pod whose `cluster.authorization`, or flag `--cluster`, has a user, and a route to one
//! of its own pods has none. With `verify_and_map` certificates take the place of credentials. A user that comes from a
//! variable, or from an include that is not in the input, is not judged.
//!
//! ## Repair
//!
//! The user and the password, percent-encoded, are put into the URLs of the routes, where both stand literally beside the
//! routes: in the same ConfigMap or Secret, or the same arguments. No credentials are carried to another object. Where there
//! is no repair the object is refused if no route has credentials, else there is a warning.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: v1
//! kind: ConfigMap
//! metadata: {name: nats, namespace: messaging}
//! data:
//!   nats.conf: |
//!     cluster {
//!       port: 6222
//!       authorization { user: mesh, password: "a b" }
//!       routes = [
//!         nats://nats-0.nats-headless.messaging.svc.cluster.local:6222
//!         nats://nats-1.nats-headless.messaging.svc.cluster.local:6222
//!       ]
//!     }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 2
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
//!     cluster {
//!       port: 6222
//!       authorization { user: mesh, password: "a b" }
//!       routes = [
//!         nats://mesh:a%20b@nats-0.nats-headless.messaging.svc.cluster.local:6222
//!         nats://mesh:a%20b@nats-1.nats-headless.messaging.svc.cluster.local:6222
//!       ]
//!     }
//! ---
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats, namespace: messaging}
//! spec:
//!   replicas: 2
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
//! - nats-server `sendRouteConnect` (server/route.go), `isRouterAuthorized` (server/auth.go)
//! - <https://github.com/nats-io/k8s/issues/288>, <https://github.com/nats-io/nats-server/issues/2504>

use core::fmt::Write as _;

use crate::bundle::ObjectId;
use crate::conf;
use crate::context::{Context, finding};
use crate::policy::{Action, Edit, Finding, Policy};
use crate::routes::list::{Home, Routes};
use crate::routes::name::{Named, Names};
use crate::routes::url::Route;
use crate::workload::Workload;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "routes-without-credentials",
    title: "The cluster demands credentials that its routes lack",
    action: Action::Fix,
    otherwise: Action::Deny,
    page: include_str!("../../docs/routes-without-credentials.md"),
    evaluate,
};

/// What the servers of a cluster ask of each other.
struct Demand {
    /// `user:password`, percent-encoded, where both are written out.
    userinfo: Option<String>,
    /// The string that holds them.
    holder: Option<(ObjectId, String)>,
}

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let Routes::Listed { home, entries } = &context.routes else {
        return Vec::new();
    };
    if workload.replicas.is_some_and(|replicas| replicas < 2) {
        return Vec::new();
    }
    let Some(demand) = demand(workload) else {
        return Vec::new();
    };
    let names = Names::new(workload, context.settings.domain());
    let has_none = entries
        .iter()
        .all(|entry| Route::parse(&entry.text).userinfo.is_none());
    let lacking = entries.iter().enumerate().filter_map(|(index, entry)| {
        let route = Route::parse(&entry.text);
        let is_own = matches!(
            names.read(route.host),
            Named::Pod { .. } | Named::Service | Named::Loopback
        );
        (is_own && route.userinfo.is_none()).then_some((index, entry, route))
    });
    lacking
        .map(|(index, entry, route)| {
            let edits = repair(&demand, home, index, &route);
            let found = finding(
                POLICY.id,
                entry.place.clone(),
                "the cluster demands credentials, and a cluster route has none",
                format!("{} of {}", route.shown(), workload.title()),
                "put user:password of cluster.authorization, percent-encoded, before the host",
            );
            let found = if has_none {
                found
            } else {
                found.otherwise(Action::Warn)
            };
            found.with_fix(edits)
        })
        .collect()
}

/// The credentials that the servers ask for: `None` where they ask for none, or nobody can tell.
fn demand(workload: &Workload<'_>) -> Option<Demand> {
    // The flag's word counts: without credentials it clears those of the file.
    if let Some(flag) = workload.command.last(&["cluster", "cluster_listen"]) {
        let userinfo = Route::parse(&flag.value).userinfo?;
        let is_literal = !flag.is_expanded_later();
        return is_literal.then(|| Demand {
            userinfo: Some(userinfo.to_owned()),
            holder: Some((workload.id, flag.pointer.clone())),
        });
    }
    let cluster = workload.cluster()?;
    let tls = cluster.find(&["tls"]).and_then(conf::Value::as_map);
    let by_certificate = ["verify_and_map", "verify_cert_and_check_known_urls"];
    if tls.is_some_and(|tls| tls.find(&by_certificate).is_some()) {
        return None;
    }
    let authorization = cluster.find(&["authorization"])?.as_map()?;
    let literal = |names: &[&str]| {
        let value = authorization.find(names)?;
        value.as_str().filter(|_| !value.origin.variable)
    };
    let user = literal(&["user", "username"])?;
    // A hash is held against the password, and tells nobody what it is.
    let password = literal(&["pass", "password"]).filter(|password| !password.starts_with("$2"));
    let holder = authorization.find(&["pass", "password"]);
    let holder = holder.and_then(|value| workload.source(&value.origin));
    Some(Demand {
        userinfo: password.map(|password| format!("{}:{}", encoded(user), encoded(password))),
        holder: holder.map(|source| (source.object, source.pointer.clone())),
    })
}

fn repair(demand: &Demand, home: &Home, index: usize, route: &Route<'_>) -> Vec<Edit> {
    let (Some(userinfo), Some((object, pointer)), Home::List(list, _)) =
        (&demand.userinfo, &demand.holder, home)
    else {
        return Vec::new();
    };
    // Nothing of a file goes into arguments, nothing of a Secret into a ConfigMap.
    let is_argument = |pointer: &str| pointer.contains("/containers/");
    let Some(port) = route.port else {
        return Vec::new();
    };
    if *object != list.object || is_argument(pointer) != is_argument(&list.pointer) {
        return Vec::new();
    }
    let route = Route {
        userinfo: Some(userinfo),
        ..*route
    };
    vec![Edit::Element {
        list: list.clone(),
        index,
        with: vec![route.to(route.host, port)],
    }]
}

/// Percent-encoded, all but what no URL gives a meaning to.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
