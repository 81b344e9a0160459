//! Memory for bodies: a shared amount, taken as bytes arrive. When it is used up, the body that has held the most without a
//! new byte for the longest time gives way, if it is still arriving.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

const UNIT: usize = 1024;

/// The memory that all bodies share.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    state: Arc<Mutex<State>>,
    left: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    free: usize,
    next: u64,
    arriving: BTreeMap<u64, Arriving>,
}

/// A body that isn't complete yet.
#[derive(Debug)]
struct Arriving {
    units: usize,
    /// When its last byte came.
    since: Instant,
    cut: Arc<Notify>,
    unwanted: bool,
}

impl Arriving {
    /// What it costs the others by standing still. A caller that means well is through in milliseconds, and a large body that
    /// keeps coming holds nobody up for longer than it must.
    fn burden(&self, now: Instant) -> u128 {
        (self.units as u128).saturating_mul((now - self.since).as_micros())
    }
}

/// Bytes taken from a budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    id: u64,
    units: usize,
    cut: Arc<Notify>,
    waits: Arc<AtomicBool>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                free: bytes / UNIT,
                next: 0,
                arriving: BTreeMap::new(),
            })),
            left: Arc::new(Notify::new()),
        }
    }

    /// Nothing yet, for a body that begins to arrive.
    pub(super) fn hold(&self) -> Held {
        let cut = Arc::new(Notify::new());
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        let arriving = Arriving {
            units: 0,
            since: Instant::now(),
            cut: Arc::clone(&cut),
            unwanted: false,
        };
        state.arriving.insert(id, arriving);
        Held {
            budget: self.clone(),
            id,
            units: 0,
            cut,
            waits: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Tells the heaviest of the bodies that are still arriving to go. False when it is this one, or there is none.
    fn make_room(&mut self, id: u64) -> bool {
        let now = Instant::now();
        let is_one_going = self
            .arriving
            .iter()
            .any(|(other, body)| *other != id && body.unwanted && body.units > 0);
        if is_one_going {
            return true;
        }
        let heaviest = self
            .arriving
            .iter_mut()
            .max_by_key(|(_, body)| body.burden(now));
        match heaviest {
            Some((other, body)) if *other != id && body.units > 0 => {
                body.unwanted = true;
                body.cut.notify_one();
                true
            }
            _ => false,
        }
    }
}

impl Held {
    /// Takes as much as is missing to hold so many bytes; false when there isn't enough and nobody else has to go.
    pub(super) async fn grow(&mut self, bytes: usize) -> bool {
        loop {
            let left = self.budget.left.clone();
            let left = left.notified();
            {
                let mut state = self.budget.lock();
                let missing = bytes.div_ceil(UNIT).saturating_sub(self.units);
                if let Some(free) = state.free.checked_sub(missing) {
                    state.free = free;
                    self.units += missing;
                    if let Some(body) = state.arriving.get_mut(&self.id) {
                        body.units = self.units;
                    }
                    return true;
                }
                if !state.make_room(self.id) {
                    return false;
                }
            }
            self.waits.store(true, Ordering::Relaxed);
            left.await;
            self.waits.store(false, Ordering::Relaxed);
        }
    }

    /// More bytes of the body came.
    pub(super) fn moved(&self) {
        if let Some(body) = self.budget.lock().arriving.get_mut(&self.id) {
            body.since = Instant::now();
        }
    }

    /// Tells whether it waits for others to give memory back.
    pub(super) fn waits(&self) -> impl Fn() -> bool + use<> {
        let waits = Arc::clone(&self.waits);
        move || waits.load(Ordering::Relaxed)
    }

    /// The body is complete: what it holds is its own until it is answered.
    pub(super) fn arrived(&self) {
        self.budget.lock().arriving.remove(&self.id);
        // Whoever waits for it to go must look for another.
        self.budget.left.notify_waiters();
    }

    /// Waits until the body has to go.
    pub(super) fn unwanted(&self) -> impl Future<Output = ()> + use<> {
        let cut = Arc::clone(&self.cut);
        async move { cut.notified().await }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        state.free += self.units;
        state.arriving.remove(&self.id);
        drop(state);
        self.budget.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn what_is_held_is_missing_elsewhere_until_it_is_given_back() {
        let budget = Budget::new(4 * UNIT);
        let (mut one, mut other) = (budget.hold(), budget.hold());
        one.arrived();
        other.arrived();
        assert!(one.grow(1).await && one.grow(UNIT).await && one.grow(3 * UNIT).await);
        assert!(other.grow(UNIT).await);
        assert!(!other.grow(UNIT + 1).await && !one.grow(4 * UNIT).await);
        drop(one);
        assert!(other.grow(4 * UNIT).await);
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_that_stood_still_gives_way_before_the_one_that_comes_in() {
        let budget = Budget::new(8 * UNIT);
        let (mut still, mut coming) = (budget.hold(), budget.hold());
        assert!(still.grow(2 * UNIT).await && coming.grow(6 * UNIT).await);
        sleep(Duration::from_secs(1)).await;
        coming.moved();
        sleep(Duration::from_millis(10)).await;
        let mut quick = budget.hold();
        let going = still.unwanted();
        let gone = async {
            going.await;
            drop(still);
        };
        let both = async { tokio::join!(quick.grow(2 * UNIT), gone) };
        let (grown, ()) = timeout(Duration::from_secs(1), both).await.unwrap();
        assert!(grown);
    }

    #[tokio::test(start_paused = true)]
    async fn the_body_that_held_the_most_for_the_longest_time_gives_way() {
        let budget = Budget::new(8 * UNIT);
        let mut complete = budget.hold();
        assert!(complete.grow(2 * UNIT).await);
        complete.arrived();
        let (mut small, mut large) = (budget.hold(), budget.hold());
        assert!(small.grow(UNIT).await && large.grow(4 * UNIT).await);
        sleep(Duration::from_secs(1)).await;
        let mut quick = budget.hold();
        let going = large.unwanted();
        let gone = async {
            going.await;
            drop(large);
        };
        let (grown, ()) = tokio::join!(quick.grow(4 * UNIT), gone);
        assert!(grown);
        sleep(Duration::from_secs(1)).await;
        assert!(!quick.grow(8 * UNIT).await, "it is the heaviest itself");
    }
}
