//! One namespace during a scan: its lists are read once for all its workloads, and what can't be read is noted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use crate::facts::resource::{CONFIG_MAPS, SERVICES};
use crate::facts::{Answering, Cluster, Known, Query, Select};

/// Answers for the workloads of one namespace.
pub(super) struct Namespace {
    name: String,
    cluster: Arc<dyn Cluster>,
    lists: Mutex<BTreeMap<Query, Arc<OnceCell<Known>>>>,
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

    /// Whether a file or a Service stayed unknown. Of other kinds that may be so for good: a right that was not granted,
    /// a list that is too long.
    pub(super) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }

    fn list(&self, query: &Query) -> Arc<OnceCell<Known>> {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lists.entry(query.clone()).or_default())
    }
}

impl Cluster for Namespace {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        Box::pin(async move {
            let mut open = Open {
                matters: [&CONFIG_MAPS, &SERVICES].contains(&query.resource),
                is_unread: &self.is_unread,
            };
            let known = match query.select {
                Select::Named(_) => self.cluster.ask(query).await,
                Select::All => {
                    let list = self.list(query);
                    list.get_or_init(|| self.cluster.ask(query)).await.clone()
                }
            };
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
