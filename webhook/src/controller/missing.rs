//! What StatefulSets refer to and is not there: who waits for it is reviewed when it comes.
//!
//! Of a kind in a namespace the metadata is watched, as long as something of it is missing: of one object alone where only
//! one is. There are at most `WATCHES` of them. What is not watched, a Secret above all, is found by those who ask again.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{AbortHandle, Abortable};
use futures::stream::FuturesUnordered;
use kube::api::{Api, ApiResource, DynamicObject};
use kube::core::PartialObjectMeta;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Client, ResourceExt as _};
use tokio::sync::Notify;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep};

use super::metrics::Metrics;
use super::problem::{Problem, watch_words};
use super::watch::{Change, Key, LASTS};
use crate::facts::cluster::is_name;
use crate::facts::resource::{CLAIMS, CLASSES, CONFIG_MAPS, Resource, SERVICES, Scope};
use crate::facts::{Query, Select};

/// The kinds that are watched. Secrets are read by name and in no other way.
const WATCHED: [&Resource; 4] = [&CLAIMS, &CLASSES, &CONFIG_MAPS, &SERVICES];

/// Watches at once. Where more are wanted those go on that were wanted last: an object that is optional may never come.
const WATCHES: usize = 64;

/// More StatefulSets are not remembered: the one that waits longest is forgotten.
const MAX_SETS: usize = 4096;

/// Objects of a page. Their annotations may hold them whole.
const PAGE: u32 = 16;

/// The first and the longest wait after an error.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_mins(1)];

/// Who waits for what.
#[derive(Debug, Default)]
pub struct Missing {
    waits: Mutex<Waits>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Waits {
    sets: BTreeMap<Key, Waiting>,
    /// Who waits for an object.
    by_object: BTreeMap<Query, BTreeSet<Key>>,
    /// Those for which something came unwatched.
    came: BTreeSet<Key>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    objects: BTreeSet<Query>,
}

impl Missing {
    /// Notes what a StatefulSet that was reviewed refers to and is not there: nothing any more, say.
    pub fn reviewed(&self, key: &Key, absent: &[Query]) {
        self.replace(key, absent);
    }

    /// Notes the same of one that was only looked at. What is there by now is a reason for a review.
    pub fn looked_at(&self, key: &Key, absent: &[Query]) {
        if self.replace(key, absent) {
            self.lock().came.insert(key.clone());
            self.changed.notify_one();
        }
    }

    /// Nobody waits for anything.
    pub fn clear(&self) {
        *self.lock() = Waits::default();
    }

    /// Whether something is not missing any more.
    fn replace(&self, key: &Key, absent: &[Query]) -> bool {
        // A name that no object can have is not waited for.
        let may_come =
            |query: &&Query| matches!(&query.select, Select::Named(name) if is_name(name));
        let objects: BTreeSet<Query> = absent.iter().filter(may_come).cloned().collect();
        let mut waits = self.lock();
        let former = waits.remove(key);
        let is_same = former
            .as_ref()
            .map_or(objects.is_empty(), |former| former.objects == objects);
        let has_come = former
            .as_ref()
            .is_some_and(|former| !former.objects.is_subset(&objects));
        if !objects.is_empty() {
            let since = former
                .filter(|_| is_same)
                .map_or_else(Instant::now, |former| former.since);
            waits.insert(key, Waiting { since, objects });
        }
        if !is_same {
            self.changed.notify_one();
        }
        has_come
    }

    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells who waits for an object when it comes, until nobody listens.
    pub async fn run(&self, client: Client, metrics: Metrics, changes: Sender<Change>) {
        let mut watched: BTreeMap<Query, AbortHandle> = BTreeMap::new();
        let mut watches = FuturesUnordered::new();
        loop {
            let (wanted, came) = {
                let mut waits = self.lock();
                metrics.missing(waits.by_object.len());
                (waits.wanted(), std::mem::take(&mut waits.came))
            };
            watched.retain(|query, watch| {
                let is_wanted = wanted.contains(query);
                if !is_wanted {
                    watch.abort();
                }
                is_wanted
            });
            for query in wanted {
                if !watched.contains_key(&query) {
                    let (handle, registration) = AbortHandle::new_pair();
                    watched.insert(query.clone(), handle);
                    let watch = self.watch(client.clone(), query, changes.clone());
                    watches.push(Abortable::new(watch, registration));
                }
            }
            for key in came {
                if changes.send(Change::Changed(key)).await.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = self.changed.notified() => {}
                Some(_) = watches.next() => {}
                () = changes.closed() => return,
            }
        }
    }

    /// Follows one kind in a namespace, or one object. Whatever goes wrong, it begins anew: it only has to notice what is there.
    async fn watch(&self, client: Client, query: Query, changes: Sender<Change>) {
        let api = api(client, &query);
        let mut config = watcher::Config::default().timeout(LASTS).page_size(PAGE);
        if let Select::Named(name) = &query.select {
            config = config.fields(&format!("metadata.name={name}"));
        }
        let mut problem = Problem::new("objects that StatefulSets wait for can't be watched");
        let mut pause = PAUSES[0];
        loop {
            let mut events = pin!(watcher(api.clone(), config.clone()));
            while let Some(event) = events.next().await {
                match event {
                    Ok(Event::InitApply(object) | Event::Apply(object)) => {
                        for key in self.waiting(&query, object.name_any()) {
                            if changes.send(Change::Changed(key)).await.is_err() {
                                return;
                            }
                        }
                    }
                    Ok(Event::InitDone) => {
                        problem.over();
                        pause = PAUSES[0];
                    }
                    Ok(Event::Init | Event::Delete(_)) => {}
                    Err(error) => {
                        problem.is(&watch_words(&error));
                        break;
                    }
                }
            }
            sleep(pause).await;
            pause = PAUSES[1].min(pause * 2);
        }
    }

    /// Who waits for an object of this name.
    fn waiting(&self, query: &Query, name: String) -> BTreeSet<Key> {
        let object = Query {
            select: Select::Named(name),
            ..query.clone()
        };
        let waits = self.lock();
        waits.by_object.get(&object).cloned().unwrap_or_default()
    }
}

impl Waits {
    fn insert(&mut self, key: &Key, waiting: Waiting) {
        if self.sets.len() >= MAX_SETS && !self.sets.contains_key(key) {
            let longest = self.sets.iter().min_by_key(|(_, waiting)| waiting.since);
            if let Some(longest) = longest.map(|(key, _)| key.clone()) {
                self.remove(&longest);
            }
        }
        for object in &waiting.objects {
            let keys = self.by_object.entry(object.clone()).or_default();
            keys.insert(key.clone());
        }
        self.sets.insert(key.clone(), waiting);
    }

    fn remove(&mut self, key: &Key) -> Option<Waiting> {
        self.came.remove(key);
        let waiting = self.sets.remove(key)?;
        for object in &waiting.objects {
            if let Some(keys) = self.by_object.get_mut(object) {
                keys.remove(key);
                if keys.is_empty() {
                    self.by_object.remove(object);
                }
            }
        }
        Some(waiting)
    }

    /// What is to be watched.
    fn wanted(&self) -> BTreeSet<Query> {
        let mut places: BTreeMap<(&'static Resource, &str), Place<'_>> = BTreeMap::new();
        for (object, keys) in &self.by_object {
            if !WATCHED.contains(&object.resource) {
                continue;
            }
            let since = keys.iter().filter_map(|key| self.sets.get(key));
            let since = since.map(|waiting| waiting.since).max();
            let place = (object.resource, object.namespace.as_str());
            let place = places.entry(place).or_default();
            place.last = place.last.max(since);
            place.objects.push(object);
        }
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_by_key(|(_, place)| Reverse(place.last));
        places
            .into_iter()
            .take(WATCHES)
            .map(|((resource, namespace), place)| match place.objects[..] {
                [object] => object.clone(),
                _ => Query::all(resource, namespace),
            })
            .collect()
    }
}

/// What is missing of a kind in a namespace, and since when the last of it.
#[derive(Default)]
struct Place<'a> {
    last: Option<Instant>,
    objects: Vec<&'a Query>,
}

fn api(client: Client, query: &Query) -> Api<PartialObjectMeta<DynamicObject>> {
    let Resource {
        group,
        version,
        plural,
        kind,
        scope,
        ..
    } = query.resource;
    let resource = ApiResource {
        group: (*group).to_owned(),
        version: (*version).to_owned(),
        api_version: query.resource.api_version(),
        kind: (*kind).to_owned(),
        plural: (*plural).to_owned(),
    };
    match scope {
        Scope::Namespaced => Api::namespaced_with(client, &query.namespace, &resource),
        Scope::Cluster => Api::all_with(client, &resource),
    }
}

#[cfg(test)]
mod tests;
