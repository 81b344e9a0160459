//! One namespace during a scan: its lists are read once for all its workloads, and what can't be read is noted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::facts::resource::{CONFIG_MAPS, SERVICES};
use crate::facts::{Answering, Cluster, Known, Query, Select, heft};

/// The lists of a namespace take no more memory than this together, and what one workload refers to no more either. It is
/// three times what real ones come to, and a third of what the controller may take.
const MAX_HELD: usize = 12 << 20;

/// Answers for the workloads of one namespace, which are looked at one after the other.
pub(super) struct Namespace {
    name: String,
    cluster: Arc<dyn Cluster>,
    lists: Mutex<BTreeMap<Query, Known>>,
    is_unread: AtomicBool,
    listed: AtomicUsize,
    held: AtomicUsize,
}

impl Namespace {
    pub(super) fn new(name: &str, cluster: Arc<dyn Cluster>) -> Self {
        Self {
            name: name.to_owned(),
            cluster,
            lists: Mutex::default(),
            is_unread: AtomicBool::new(false),
            listed: AtomicUsize::new(0),
            held: AtomicUsize::new(0),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Another workload is looked at.
    pub(super) fn begin(&self) {
        self.is_unread.store(false, Ordering::Relaxed);
        self.held.store(0, Ordering::Relaxed);
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
        let known = within(self.cluster.ask(query).await, &self.listed);
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
            let known = within(self.answer(query).await, &self.held);
            open.matters &= known == Known::Unknown;
            known
        })
    }

    /// One after the other: so what fits is the same each time.
    fn at_once(&self) -> usize {
        1
    }
}

/// An answer, if it fits beside what is held already.
fn within(known: Known, held: &AtomicUsize) -> Known {
    let Known::Objects(objects) = &known else {
        return known;
    };
    let heft = objects.iter().map(heft::of).sum::<usize>();
    let all = heft + held.load(Ordering::Relaxed);
    if all > MAX_HELD {
        return Known::TooMuch;
    }
    held.store(all, Ordering::Relaxed);
    known
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
