//! Answers that may be used again for a few seconds; bounded in number and bytes.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Known, Query};

const MAX_ENTRIES: usize = 256;

/// As the apiserver sent them; parsed they take a few times that.
const MAX_BYTES: usize = 2 << 20;

#[derive(Debug)]
struct Entry {
    until: Instant,
    bytes: usize,
    known: Known,
}

/// The answers.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<BTreeMap<Query, Entry>>);

impl Cache {
    /// The answer to a question, while it may be used.
    pub(super) fn get(&self, query: &Query, now: Instant) -> Option<Known> {
        let entries = self.lock();
        let entry = entries.get(query).filter(|entry| now < entry.until)?;
        Some(entry.known.clone())
    }

    /// Keeps an answer of a kind that may be used again, or that it is too much, which is dear to find out. That something is
    /// not there is not kept: it may be made at any moment.
    pub(super) fn put(&self, query: &Query, known: &Known, bytes: usize, now: Instant) {
        let is_known = matches!(known, Known::Objects(_) | Known::TooMuch);
        if query.resource.fresh == Duration::ZERO || !is_known || bytes > MAX_BYTES {
            return;
        }
        let mut entries = self.lock();
        entries.retain(|_, entry| now < entry.until);
        entries.remove(query);
        let mut total: usize = entries.values().map(|entry| entry.bytes).sum();
        while entries.len() >= MAX_ENTRIES || total + bytes > MAX_BYTES {
            let oldest = entries.iter().min_by_key(|(_, entry)| entry.until);
            let Some(oldest) = oldest.map(|(query, _)| query.clone()) else {
                break;
            };
            total -= entries.remove(&oldest).map_or(0, |entry| entry.bytes);
        }
        let entry = Entry {
            until: now + query.resource.fresh,
            bytes,
            known: known.clone(),
        };
        entries.insert(query.clone(), entry);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Query, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::facts::resource::{CLASSES, CONFIG_MAPS};

    fn found(name: &str) -> Known {
        Known::Objects(Arc::new(vec![json!({"metadata": {"name": name}})]))
    }

    fn class(name: &str) -> Query {
        Query::named(&CLASSES, "", name)
    }

    #[test]
    fn an_answer_is_used_until_its_time_is_up() {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(&class("a"), &found("a"), 10, now);
        let at = |seconds| now + Duration::from_secs(seconds);
        assert_eq!(cache.get(&class("a"), at(4)), Some(found("a")));
        assert_eq!(cache.get(&class("a"), at(5)), None);
        assert_eq!(cache.get(&class("b"), now), None);
    }

    #[test]
    fn what_may_change_at_any_moment_is_not_kept() {
        let (cache, now) = (Cache::default(), Instant::now());
        let map = Query::named(&CONFIG_MAPS, "messaging", "nats");
        cache.put(&map, &found("nats"), 10, now);
        cache.put(&class("a"), &Known::Absent, 10, now);
        cache.put(&class("b"), &Known::Unknown, 10, now);
        assert!(cache.lock().is_empty());
        cache.put(&class("c"), &Known::TooMuch, 0, now);
        assert_eq!(cache.get(&class("c"), now), Some(Known::TooMuch));
    }

    #[test]
    fn it_holds_so_many_entries_and_bytes_and_no_more() {
        let (cache, now) = (Cache::default(), Instant::now());
        let later = |index: u64| now + Duration::from_millis(index);
        for index in 0..1000 {
            let name = index.to_string();
            cache.put(&class(&name), &found(&name), 1, later(index));
        }
        assert_eq!(cache.lock().len(), MAX_ENTRIES);
        assert!(cache.get(&class("999"), later(999)).is_some());
        assert!(cache.get(&class("0"), later(999)).is_none());
        cache.put(&class("large"), &found("large"), MAX_BYTES, later(1000));
        assert_eq!(cache.lock().len(), 1);
        cache.put(
            &class("larger"),
            &found("larger"),
            MAX_BYTES + 1,
            later(1001),
        );
        assert!(cache.get(&class("larger"), later(1001)).is_none());
    }
}
