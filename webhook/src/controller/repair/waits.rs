//! How long to wait before a thing that did not work is tried again: longer each time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const FIRST: Duration = Duration::from_secs(30);
const LONGEST: Duration = Duration::from_mins(10);
/// More are not remembered: the one that waited least begins anew.
const MOST: usize = 4096;

/// The last wait of each thing.
#[derive(Debug)]
pub(super) struct Waits<K>(Mutex<BTreeMap<K, Duration>>);

impl<K> Default for Waits<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Waits<K> {
    /// The next wait: twice the last one.
    pub(super) fn next(&self, key: &K) -> Duration {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waits.len() >= MOST && !waits.contains_key(key) {
            let least = waits.iter().min_by_key(|(_, wait)| **wait);
            if let Some(least) = least.map(|(key, _)| key.clone()) {
                waits.remove(&least);
            }
        }
        let wait = waits
            .get(key)
            .map_or(FIRST, |last| (*last * 2).min(LONGEST));
        waits.insert(key.clone(), wait);
        wait
    }

    /// It worked.
    pub(super) fn end(&self, key: &K) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_wait_is_twice_the_last_one_until_ten_minutes() {
        let waits = Waits::default();
        let seconds: Vec<u64> = (0..7).map(|_| waits.next(&1).as_secs()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(waits.next(&2), FIRST);
        waits.end(&1);
        assert_eq!(waits.next(&1), FIRST);
    }

    #[test]
    fn so_many_are_remembered_and_those_that_waited_long_of_them() {
        let waits = Waits::default();
        waits.next(&0);
        waits.next(&0);
        for key in 1..10_000 {
            waits.next(&key);
        }
        assert_eq!(waits.0.lock().unwrap().len(), MOST);
        assert_eq!(waits.next(&0), FIRST * 4);
    }
}
