//! # unbounded-store
//!
//! JetStream's limits are missing, or exceed the claim or the memory limit.
//!
//! ## Why
//!
//! Without `max_memory_store` a server takes 75% of the node's memory for streams (or of `GOMEMLIMIT`, when that is less), not
//! of the container's; without
//! `max_file_store` 75% of the space that is free when it starts. Limits beyond what is there are worse: the server
//! accepts streams that it can't hold, and ends with a full disk, which JetStream answers by switching itself off, or
//! out of memory.
//!
//! ## What is checked
//!
//! | limit | accepted |
//! |---|---|
//! | `max_memory_store` (`max_mem`) | set, not negative, not above the container's memory limit |
//! | `max_file_store` (`max_file`) | set, not negative, not above the claim's storage request |
//!
//! Sizes are read as nats-server reads them: `10G` is 10·1000³ and `"10G"` 10·1024³ bytes, `10Gi` is a size and `"10Gi"` an
//! error. 0 is really none. A limit that comes from a variable, or may stand in an include that is not in the input, is not
//! judged.
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
//!       max_memory_store: 1Gi
//!       max_file_store: 1TB
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
//!         volumeMounts: [{name: config, mountPath: /etc/nats}, {name: store, mountPath: /data}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//!   volumeClaimTemplates:
//!   - metadata: {name: store}
//!     spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 20Gi}}}
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
//!       max_memory_store: 1Gi
//!       max_file_store: 18Gi
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
//!         resources: {limits: {memory: 4Gi}}
//!         volumeMounts: [{name: config, mountPath: /etc/nats}, {name: store, mountPath: /data}]
//!       volumes: [{name: config, configMap: {name: nats}}]
//!   volumeClaimTemplates:
//!   - metadata: {name: store}
//!     spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 20Gi}}}
//! ```
//!
//! ## References
//!
//! - nats-server `dynJetStreamConfig` (server/jetstream.go), `getStorageSize` (server/opts.go)
//! - <https://github.com/nats-io/nats-server/issues/5739>

use crate::context::{Context, finding};
use crate::json;
use crate::policy::{Action, Finding, Place, Policy};
use crate::storage::jetstream::{Limit, State};

/// The policy.
pub const POLICY: Policy = Policy {
    id: "unbounded-store",
    title: "JetStream's limits are missing or too large",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/unbounded-store.md"),
    evaluate,
};

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let State::On(jetstream) = &context.jetstream else {
        return Vec::new();
    };
    let memory = json::get(
        context.workload.container,
        &["resources", "limits", "memory"],
    )
    .and_then(json::quantity);
    let claim = context.backing.as_ref().and_then(|backing| backing.request);
    let memory = limit(
        context,
        &jetstream.memory,
        &jetstream.place,
        ("max_memory_store", "75% of the node's memory"),
        memory.map(|bytes| (bytes, "the container's memory limit")),
    );
    let file = limit(
        context,
        &jetstream.file,
        &jetstream.place,
        (
            "max_file_store",
            "75% of the space that is free when it starts",
        ),
        claim.map(|bytes| (bytes, "the claim")),
    );
    memory.into_iter().chain(file).collect()
}

fn limit(
    context: &Context<'_>,
    limit: &Limit,
    block: &Place,
    (name, default): (&str, &str),
    bound: Option<(i128, &str)>,
) -> Option<Finding> {
    let title = context.workload.title();
    let below = bound.map_or_else(String::new, |(bytes, what)| {
        format!(" of at most {bytes} bytes ({what})")
    });
    // What there is, is the claim's and the container's to say.
    let rests_on_workload = matches!(limit, Limit::Bytes(..));
    let (place, reason, detail, remedy) = match limit {
        Limit::Unset => (
            block.clone(),
            "a limit of JetStream is not set",
            format!("without {name} {title} takes {default}"),
            format!("set {name} to a size{below}"),
        ),
        Limit::Dynamic(place) => (
            place.clone(),
            "a limit of JetStream is negative, which sets none",
            format!("{title} takes {default}"),
            format!("set {name} to a size{below}"),
        ),
        Limit::Bytes(bytes, place) => {
            let (most, what) = bound.filter(|(most, _)| i128::from(*bytes) > *most)?;
            (
                place.clone(),
                "a limit of JetStream is more than there is",
                format!("{name} of {title} is {bytes} bytes, {what} {most}"),
                format!("set {name} to at most {most} bytes, or raise {what}"),
            )
        }
        // A server does not start with a limit that is no size.
        Limit::Invalid(_) | Limit::Unseen => return None,
    };
    let found = finding(POLICY.id, place, reason, detail, remedy);
    Some(if rests_on_workload {
        found.rests_on_workload()
    } else {
        found
    })
}
