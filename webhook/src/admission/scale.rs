//! A Scale says how many pods there will be, and not of what: it is judged as the StatefulSet that it is a part of.

use serde_json::{Value, json};

use super::review::{self, Request, Unreadable};
use crate::facts::resource::STATEFUL_SETS;
use crate::facts::{Known, Query};

/// A growing number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Growth {
    from: u64,
    to: u64,
}

/// Whether a review is of how many pods a StatefulSet has.
pub(super) fn is_scale(request: &Request<'_>) -> bool {
    let of = &request.resource;
    (of.group.as_str(), of.resource.as_str()) == ("apps", "statefulsets")
        && request.sub_resource == "scale"
        && request.operation == "UPDATE"
}

/// How the number grows: `None` when it doesn't, which is never judged.
pub(super) fn growth(request: &Request<'_>) -> Result<Option<Growth>, Unreadable> {
    let number = |scale: Option<Value>| {
        let replicas = scale?.pointer("/spec/replicas")?.as_u64()?;
        Some(replicas)
    };
    let from = number(review::object(request.old_object)?).unwrap_or(0);
    let to = number(review::object(request.object)?).unwrap_or(0);
    Ok((to > from).then_some(Growth { from, to }))
}

impl Growth {
    /// The question for the StatefulSet.
    pub(super) fn query(request: &Request<'_>) -> Query {
        Query::named(&STATEFUL_SETS, &request.namespace, &request.name)
    }

    /// The StatefulSet as it will be and as it was: `None` where there is none, or it can't be read.
    pub(super) fn of(self, known: &Known) -> Option<(Value, Value)> {
        let Known::Objects(found) = known else {
            return None;
        };
        let with = |replicas: u64| {
            let mut set = found.first()?.clone();
            let spec = set.get_mut("spec")?.as_object_mut()?;
            spec.insert("replicas".to_owned(), json!(replicas));
            Some(set)
        };
        Some((with(self.to)?, with(self.from)?))
    }
}
