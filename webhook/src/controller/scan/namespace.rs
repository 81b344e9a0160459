//! One namespace during a scan: its lists are read once for all its workloads, and what can't be read is noted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::facts::resource::{CONFIG_MAPS, SERVICES};
use crate::facts::{Answering, Cluster, Known, Query, Select};

/// Answers for the workloads of one namespace, which are looked at one after the other.
pub(super) struct Namespace {
    name: String,
    cluster: Arc<dyn Cluster>,
    lists: Mutex<BTreeMap<Query, Known>>,
    is_unread: AtomicBool,
}

impl Namespace {
    pub(super) fn new(name: &str, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            name: name.to_owned(),
            cluster,
            lists: Mutex::default(),
            is_unread: AtomicBool::new(false),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Another workload is looked at.
    pub(super) fn begin(&self) {
        self.is_unread.store(false, Ordering::Relaxed);
    }

    /// Whether a file or a Service of this workload stayed without an answer. Other kinds may stay so for good: a right that
    /// was not granted.
    pub(super) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    async fn answer(&self, query: &Query) -> Known {
        if query.select != Select::All {
            return self.cluster.ask(query).await;
        }
        let known = self.lists().get(query).cloned();
        if let Some(known) = known {
            return known;
        }
        let known = self.cluster.ask(query).await;
        self.lists().insert(query.clone(), known.clone());
        known
    }

    fn lists(&self) -> MutexGuard<'_, BTreeMap<Query, Known>> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster for Namespace {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        Box::pin(async move {
            let mut open = Open {
                matters: [&CONFIG_MAPS, &SERVICES].contains(&query.resource),
                is_unread: &self.is_unread,
            };
            let known = self.answer(query).await;
            open.matters &= known == Known::Unknown;
            known
        })
    }
}

/// A question without an answer yet. Who asks gives up by dropping it.
struct Open<'a> {
    matters: bool,
    is_unread: &'a AtomicBool,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if self.matters {
            self.is_unread.store(true, Ordering::Relaxed);
        }
    }
}
