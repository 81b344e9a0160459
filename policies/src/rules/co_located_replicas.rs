//! # co-located-replicas
//!
//! Nothing keeps two replicas off one node.
//!
//! ## Why
//!
//! The scheduler may put all servers of a cluster on one node, and will, where that node has the most room. The loss of that
//! node is then the loss of the cluster, and of every acknowledged message that no disk had yet: JetStream's
//! durability rests on replicas that do not fail together.
//!
//! ## What is checked
//!
//! For a StatefulSet of more than one pod, that there is a rule over `kubernetes.io/hostname` whose selector matches the
//! workload's own pods in their own namespace:
//!
//! | field | accepted |
//! |---|---|
//! | `affinity.podAntiAffinity` | a term of either strength |
//! | `topologySpreadConstraints` | `maxSkew: 1` with `whenUnsatisfiable: DoNotSchedule` |
//!
//! An anti-affinity that selects something else keeps nothing apart. A `maxSkew` of 2 lets two replicas share a node while a
//! third node has none.
//!
//! ## Repair
//!
//! A required anti-affinity term with the StatefulSet's own selector is added to what is there. It is a preferred one, so
//! that no pod stays pending, and a warning says so, where it is known that
//!
//! - fewer nodes than replicas take the pods. No cordoned node does, nor one that the pods' `nodeSelector` or required
//!   `nodeAffinity` leaves out, nor one with a taint `NoSchedule` or `NoExecute` that their `tolerations` don't name, nor,
//!   unless they ask for it, one of Windows. What can't be read leaves no node out, and whether a node has room for a pod
//!   is not looked at;
//! - the volumes of two replicas can be used on one node only, and that is the same: both have a required `nodeAffinity`
//!   for one `kubernetes.io/hostname`, as local volumes do. Nor is it a required one where they share
//!   [one volume](shared-store.md), and no second warning.
//!
//! ## Example
//!
//! ```yaml fault
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   replicas: 3
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       containers: [{name: nats, image: "nats:2.14.5", args: [-m, "8222"]}]
//! ```
//!
//! ```yaml sound
//! apiVersion: apps/v1
//! kind: StatefulSet
//! metadata: {name: nats}
//! spec:
//!   replicas: 3
//!   serviceName: nats-headless
//!   selector: {matchLabels: {app: nats}}
//!   template:
//!     metadata: {labels: {app: nats}}
//!     spec:
//!       affinity:
//!         podAntiAffinity:
//!           requiredDuringSchedulingIgnoredDuringExecution:
//!           - labelSelector: {matchLabels: {app: nats}}
//!             topologyKey: kubernetes.io/hostname
//!       containers: [{name: nats, image: "nats:2.14.5", args: [-m, "8222"]}]
//! ```
//!
//! ## References
//!
//! - <https://github.com/nats-io/k8s/issues/975>
//! - <https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity>
//! - <https://github.com/nats-io/nats-server/issues/7567>: the defaults assume replicas that do not fail together

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::context::{Context, finding};
use crate::json;
use crate::nodes;
use crate::policy::{Action, Edit, Finding, Policy};
use crate::storage::claims;
use crate::workload::{Kind, Workload};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "co-located-replicas",
    title: "Nothing keeps two replicas off one node",
    action: Action::Fix,
    otherwise: Action::Warn,
    page: include_str!("../../docs/co-located-replicas.md"),
    evaluate,
};

const HOSTNAME: &str = "kubernetes.io/hostname";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let workload = context.workload;
    let Some(replicas) = workload.replicas.filter(|replicas| *replicas > 1) else {
        return Vec::new();
    };
    if workload.kind != Kind::StatefulSet || is_kept_apart(workload) {
        return Vec::new();
    }
    let rules = format!("{}/affinity/podAntiAffinity", workload.pod_pointer);
    let place = workload.own_place(&rules);
    let title = workload.title();
    let selector = json::get(&workload.object.value, &["spec", "selector"]);
    // A selector that misses the pods is refused by the apiserver; a term made of it would keep nothing apart.
    let Some(selector) = selector.filter(|selector| matches_own_pods(workload, Some(selector)))
    else {
        return vec![finding(
            POLICY.id,
            place,
            "nothing keeps two replicas off one node",
            format!("{title} has no selector that matches its pods"),
            "give the StatefulSet a selector that matches its pods, and an anti-affinity over kubernetes.io/hostname",
        )];
    };
    let term = json!({"labelSelector": selector, "topologyKey": HOSTNAME});
    let may_place = |demands| context.neighbours.may_place(demands);
    let few = nodes::count(workload.bundle, workload.pod, replicas, may_place)
        .filter(|nodes| *nodes < replicas)
        .map(|nodes| {
            (
                "fewer nodes than replicas can take the pods",
                format!("{title} has {replicas} replicas, and {nodes} nodes can take them"),
                "add nodes that take these pods, then make the anti-affinity a required one",
            )
        });
    let tied = tied_pods(workload).map(|([one, other], host)| {
        let name = workload.name();
        (
            "two replicas have their volumes on one node",
            format!("the volumes of {name}-{one} and {name}-{other} of {title} are tied to node {host}"),
            "move the volume of one of them to another node, then make the anti-affinity a required one",
        )
    });
    // What shares one volume may have to share its node, which shared-store speaks of.
    let share = context
        .backing
        .as_ref()
        .and_then(|backing| backing.share.as_ref());
    let is_shared = share.is_some_and(|share| share.is_common);
    let (key, term) = if few.is_none() && tied.is_none() && !is_shared {
        (REQUIRED, term)
    } else {
        (PREFERRED, json!({"weight": 100, "podAffinityTerm": term}))
    };
    let mut terms = json::items(workload.pod, &["affinity", "podAntiAffinity", key]).to_vec();
    terms.push(term);
    let edit = Edit::Set {
        object: workload.id,
        pointer: format!("{rules}/{key}"),
        value: Value::Array(terms),
    };
    let mut findings = vec![
        finding(
            POLICY.id,
            place.clone(),
            "nothing keeps two replicas off one node",
            format!("{title} has {replicas} replicas"),
            "add an anti-affinity over kubernetes.io/hostname with the StatefulSet's own selector",
        )
        .with_fix(vec![edit]),
    ];
    let obstacles = few.into_iter().chain(tied);
    findings.extend(obstacles.map(|(reason, detail, remedy)| {
        finding(POLICY.id, place.clone(), reason, detail, remedy).otherwise(Action::Warn)
    }));
    findings
}

/// The first two pods whose volumes can be used on one host only, which is the same, and that host.
fn tied_pods<'a>(workload: &Workload<'a>) -> Option<([u32; 2], &'a str)> {
    let templates: Vec<&str> =
        json::items(&workload.object.value, &["spec", "volumeClaimTemplates"])
            .iter()
            .filter_map(|template| json::text(template, &["metadata", "name"]))
            .collect();
    let mut pods = BTreeMap::new();
    claims::of_templates(workload, &templates).find_map(|(pod, claim)| {
        let host = claims::volume_of(workload, &claim).and_then(claims::host_of)?;
        let first = *pods.entry(host).or_insert(pod);
        (first != pod).then_some(([first, pod], host))
    })
}

fn is_kept_apart(workload: &Workload<'_>) -> bool {
    let anti = |key: &str| json::items(workload.pod, &["affinity", "podAntiAffinity", key]).iter();
    let preferred = anti(PREFERRED).filter_map(|term| json::get(term, &["podAffinityTerm"]));
    let spread = json::items(workload.pod, &["topologySpreadConstraints"])
        .iter()
        .any(|constraint| {
            json::text(constraint, &["topologyKey"]) == Some(HOSTNAME)
                && json::text(constraint, &["whenUnsatisfiable"]) == Some("DoNotSchedule")
                && json::get(constraint, &["maxSkew"]).and_then(Value::as_u64) == Some(1)
                && matches_own_pods(workload, json::get(constraint, &["labelSelector"]))
        });
    spread
        || anti(REQUIRED)
            .chain(preferred)
            .any(|term| keeps_apart(workload, term))
}

/// Whether an anti-affinity term speaks of the workload's own pods, in their own namespace, over nodes.
fn keeps_apart(workload: &Workload<'_>, term: &Value) -> bool {
    let namespaces = json::items(term, &["namespaces"]);
    let own_namespace = namespaces
        .iter()
        .any(|namespace| workload.namespace.is_none_or(|own| namespace == own))
        || match json::get(term, &["namespaceSelector"]) {
            // The empty selector means every namespace; which ones another selects is not known here.
            Some(selector) => selector.as_object().is_some_and(serde_json::Map::is_empty),
            None => namespaces.is_empty(),
        };
    json::text(term, &["topologyKey"]) == Some(HOSTNAME)
        && own_namespace
        && matches_own_pods(workload, json::get(term, &["labelSelector"]))
}

fn matches_own_pods(workload: &Workload<'_>, selector: Option<&Value>) -> bool {
    json::selector_matches(selector, workload.pod_labels())
}
