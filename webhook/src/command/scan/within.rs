//! A cluster of which only namespaces are asked: who has rights in one sees what an administrator who names it sees.

use crate::facts::cluster::Kube;
use crate::facts::resource::Scope;
use crate::facts::{Answering, Cluster, Known, Query};

/// What lies outside namespaces is unknown.
pub(super) struct Within(pub(super) Kube);

impl Cluster for Within {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        match query.resource.scope {
            Scope::Namespaced => self.0.ask(query),
            Scope::Cluster => Box::pin(async { Known::Unknown }),
        }
    }
}
