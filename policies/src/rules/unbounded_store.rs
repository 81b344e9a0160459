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
//! | `max_memory_store` (`max_mem`) | set, not negative, at most 75% of the container's memory limit, and of `GOMEMLIMIT` |
//! | `max_file_store` (`max_file`) | set, not negative, at most 90% of the claim's storage request |
//!
//! `max_memory_store` bounds the messages, not the process that holds them: it needs room beside them. So do the files: they
//! take more than the messages in them, and a volume that is full ends JetStream (the official chart makes `max_file_store`
//! as large as the claim unless `config.jetstream.fileStore.maxSize` is set).
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
//! - <https://github.com/nats-io/nats-server/issues/5739>, <https://github.com/nats-io/nats-server/issues/7654>

use crate::context::{Context, finding};
use crate::memory::{self, GoLimit};
use crate::policy::{Action, Finding, Place, Policy};
use crate::storage::jetstream::{Limit, State};
use crate::workload::Configuration;

/// The policy.
pub const POLICY: Policy = Policy {
    id: "unbounded-store",
    title: "JetStream's limits are missing or too large",
    action: Action::Warn,
    otherwise: Action::Warn,
    page: include_str!("../../docs/unbounded-store.md"),
    evaluate,
};

/// How much of the memory limit is for messages: the server needs the rest for itself.
const OF_MEMORY: i128 = 75;

/// How much of the claim is for messages: a full volume ends JetStream, and its files take more than the messages in them.
const OF_CLAIM: i128 = 90;

/// What there is for a limit: so many bytes, of which so many per cent may be given away.
struct Bound {
    bytes: i128,
    percent: i128,
    what: &'static str,
}

impl Bound {
    fn most(&self) -> i128 {
        self.bytes.saturating_mul(self.percent) / 100
    }

    /// The most in the words of a remedy.
    fn shown(&self) -> String {
        let Self { percent, what, .. } = self;
        format!("{} ({percent}% of {what})", size(self.most()))
    }
}

/// A size that nats-server takes as it is, without quotes.
fn size(bytes: i128) -> String {
    let whole = bytes >> 20;
    if whole > 0 {
        format!("{whole}Mi")
    } else {
        bytes.to_string()
    }
}

fn evaluate(context: &Context<'_>) -> Vec<Finding> {
    let State::On(jetstream) = &context.jetstream else {
        return Vec::new();
    };
    let container = context.workload.container;
    let bound = |percent, what| {
        move |bytes| Bound {
            bytes,
            percent,
            what,
        }
    };
    let own = memory::limit(container).map(bound(OF_MEMORY, "the container's memory limit"));
    let told = match memory::go_limit(container).0 {
        GoLimit::Bytes(bytes) => Some(bound(OF_MEMORY, "GOMEMLIMIT")(bytes)),
        GoLimit::None | GoLimit::Malformed => None,
    };
    let memory = own.into_iter().chain(told).min_by_key(|bound| bound.bytes);
    let claim = context.backing.as_ref().and_then(|backing| backing.request);
    let memory = limit(
        context,
        &jetstream.memory,
        &jetstream.place,
        ("max_memory_store", "75% of the node's memory"),
        memory,
    );
    let file = limit(
        context,
        &jetstream.file,
        &jetstream.place,
        (
            "max_file_store",
            "75% of the space that is free when it starts",
        ),
        claim.map(bound(OF_CLAIM, "the claim")),
    );
    memory.into_iter().chain(file).collect()
}

fn limit(
    context: &Context<'_>,
    limit: &Limit,
    block: &Place,
    (name, default): (&str, &str),
    bound: Option<Bound>,
) -> Option<Finding> {
    let title = context.workload.title();
    let below = bound.as_ref().map_or_else(String::new, |bound| {
        format!(" of at most {}", bound.shown())
    });
    // There is no flag for it.
    let file = match context.workload.configuration {
        Configuration::None => ", in a file passed with -c",
        _ => "",
    };
    let set = format!("set {name} to a size{below}{file}");
    let (place, reason, detail, remedy) = match limit {
        Limit::Unset => (
            block.clone(),
            "a limit of JetStream is not set",
            format!("without {name} {title} takes {default}"),
            set,
        ),
        Limit::Dynamic(place) => (
            place.clone(),
            "a limit of JetStream is negative, which sets none",
            format!("{title} takes {default}"),
            set,
        ),
        Limit::Bytes(bytes, place) => {
            let bytes = i128::from(*bytes);
            let bound = bound.filter(|bound| bytes > bound.most())?;
            let reason = if bytes > bound.bytes {
                "a limit of JetStream is more than there is"
            } else {
                "a limit of JetStream leaves too little room beside it"
            };
            let Bound {
                bytes: there, what, ..
            } = bound;
            (
                place.clone(),
                reason,
                format!("{name} of {title} is {bytes} bytes, {what} {there}"),
                format!("set {name} to at most {}, or raise {what}", bound.shown()),
            )
        }
        // A server does not start with a limit that is no size.
        Limit::Invalid(_) | Limit::Unseen => return None,
    };
    Some(finding(POLICY.id, place, reason, detail, remedy))
}
