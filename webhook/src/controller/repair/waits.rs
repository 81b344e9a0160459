//! How long to wait before a thing that did not work is tried again: longer each time.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::room;

/// The first wait after what somebody has to mend.
const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(10);
/// What did not fail for so long, though it would have been tried, works, or is not tried any more.
const OVER: Duration = Duration::from_mins(20);
/// More are not remembered: the one that waited least begins anew.
const MOST: usize = 4096;

/// A thing that fails.
#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    /// The last wait, if there was one.
    wait: Duration,
}

/// Things that fail.
#[derive(Debug)]
pub(super) struct Waits<K> {
    first: Duration,
    all: Mutex<BTreeMap<K, Failing>>,
}

impl<K> Default for Waits<K> {
    fn default() -> Self {
        Self::from(FIRST)
    }
}

impl<K> Waits<K> {
    /// Waits that begin with this one.
    pub(super) fn from(first: Duration) -> Self {
        Self {
            first,
            all: Mutex::default(),
        }
    }
}

impl<K: Ord + Clone> Waits<K> {
    /// It failed: the next wait, twice the last one.
    pub(super) fn next(&self, key: &K, now: Instant) -> Duration {
        self.failed(key, now, |failing| {
            failing.wait = (failing.wait * 2).clamp(self.first, LONGEST);
            failing.wait
        })
    }

    /// It failed: for how long it has done so.
    pub(super) fn lasts(&self, key: &K, now: Instant) -> Duration {
        self.failed(key, now, |failing| now - failing.since)
    }

    /// It worked.
    pub(super) fn end(&self, key: &K) {
        self.lock().remove(key);
    }

    fn failed(
        &self,
        key: &K,
        now: Instant,
        note: impl FnOnce(&mut Failing) -> Duration,
    ) -> Duration {
        let mut all = self.lock();
        all.retain(|_, failing| now < failing.last + OVER);
        room::make(&mut all, key, MOST, |failing| failing.wait);
        let failing = all.entry(key.clone()).or_insert(Failing {
            since: now,
            last: now,
            wait: Duration::ZERO,
        });
        failing.last = now;
        note(failing)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<K, Failing>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_last_one_until_ten_minutes() {
        let (waits, now) = (Waits::default(), Instant::now());
        let seconds: Vec<u64> = (0..7).map(|_| waits.next(&1, now).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(waits.next(&2, now), FIRST);
        waits.end(&1);
        assert_eq!(waits.next(&1, now), FIRST);
    }

    #[test]
    fn it_tells_for_how_long_a_thing_fails_and_forgets_it() {
        let (waits, now) = (Waits::default(), Instant::now());
        let at = |minutes| now + Duration::from_mins(minutes);
        let lasts: Vec<u64> = [0, 1, 5]
            .map(|minute| waits.lasts(&1, at(minute)).as_secs())
            .into();
        assert_eq!(lasts, [0, 60, 300]);
        assert_eq!(waits.next(&1, at(5)), FIRST);
        assert_eq!(waits.next(&1, at(6)), FIRST * 2);
        // Nobody tried it for twice the longest wait.
        assert_eq!(waits.lasts(&1, at(26)), Duration::ZERO);
        assert_eq!(waits.next(&1, at(26)), FIRST);
    }

    #[test]
    fn so_many_are_remembered_and_those_that_waited_long_of_them() {
        let (waits, now) = (Waits::default(), Instant::now());
        waits.next(&0, now);
        waits.next(&0, now);
        for key in 1..10_000 {
            waits.next(&key, now);
        }
        assert_eq!(waits.lock().len(), MOST);
        assert_eq!(waits.next(&0, now), FIRST * 4);
    }
}
