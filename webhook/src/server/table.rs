//! The open connections: how many there are, what each is doing, and which one goes when all places are taken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until, timeout};

use super::limits::Limits;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The TLS handshake.
    Handshake,
    /// Nothing: no byte of a request is there.
    Idle,
    /// Reading the head of a request.
    Head,
    /// Reading the body and finding the answer. The handler has its own, shorter times.
    Busy,
    /// Writing the answer.
    Write,
}

impl Phase {
    /// Whether the head of a request is complete.
    fn has_request(self) -> bool {
        matches!(self, Self::Busy | Self::Write)
    }
}

/// Why a connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It took too long in this phase.
    Late(Phase),
    /// Its place was needed.
    Crowded,
}

impl Cut {
    /// As a metric label.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Late(Phase::Handshake) => "slow-handshake",
            Self::Late(Phase::Idle) => "idle",
            Self::Late(Phase::Head) => "slow-head",
            Self::Late(Phase::Busy) => "slow-request",
            Self::Late(Phase::Write) => "slow-reader",
            Self::Crowded => "crowded",
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    since: Instant,
    opened: Instant,
    /// A request was answered on it.
    proven: bool,
    /// Its place is needed.
    unwanted: bool,
}

/// All open connections of a listener.
#[derive(Debug)]
pub(super) struct Table {
    open: Mutex<Open>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    connections: BTreeMap<u64, watch::Sender<State>>,
}

/// The place of one connection; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    table: Arc<Table>,
    id: u64,
    state: watch::Sender<State>,
}

impl Table {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            left: Notify::new(),
        })
    }

    /// How many connections are open.
    pub(super) fn len(&self) -> usize {
        self.lock().connections.len()
    }

    /// Takes a place, and frees one first when all are taken.
    pub(super) async fn enter(self: &Arc<Self>, limits: &Limits) -> Place {
        loop {
            if let Some(place) = self.try_enter(limits) {
                return place;
            }
            self.evict(limits);
            // A place may also become evictable without anyone leaving.
            let _ = timeout(Duration::from_millis(50), self.left.notified()).await;
        }
    }

    /// Waits until no connection is left.
    pub(super) async fn empty(&self) {
        while self.len() > 0 {
            let _ = timeout(Duration::from_millis(50), self.left.notified()).await;
        }
    }

    fn try_enter(self: &Arc<Self>, limits: &Limits) -> Option<Place> {
        let mut open = self.lock();
        if open.connections.len() >= limits.connections {
            return None;
        }
        let now = Instant::now();
        let (state, _) = watch::channel(State {
            phase: Phase::Handshake,
            since: now,
            opened: now,
            proven: false,
            unwanted: false,
        });
        let id = open.next;
        open.next += 1;
        open.connections.insert(id, state.clone());
        Some(Place {
            table: Arc::clone(self),
            id,
            state,
        })
    }

    /// Tells the one connection that matters least to go.
    ///
    /// Those that never finished a request go first, the oldest of them before the others: a legitimate caller is through
    /// with its first request in milliseconds, unless the machine is busy. So those whose request is there go last, and those
    /// that are too young yet are not looked at. While there is any that never finished one, the idle stay. Then the longest
    /// idle. Whoever is being served stays.
    pub(super) fn evict(&self, limits: &Limits) {
        let now = Instant::now();
        let open = self.lock();
        let seen = |sender: &watch::Sender<State>| *sender.borrow();
        let wanted = || {
            open.connections
                .values()
                .map(|sender| (seen(sender), sender))
                .filter(|(state, _)| !state.unwanted)
        };
        let unproven = || wanted().filter(|(state, _)| !state.proven);
        let victim = if unproven().next().is_some() {
            unproven()
                .filter(|(state, _)| now - state.opened >= limits.grace)
                .min_by_key(|(state, _)| (state.phase.has_request(), state.opened))
        } else {
            wanted()
                .filter(|(state, _)| state.phase == Phase::Idle)
                .min_by_key(|(state, _)| state.since)
        };
        if let Some((_, sender)) = victim {
            sender.send_modify(|state| state.unwanted = true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Notes what the connection does now.
    pub(super) fn enter(&self, phase: Phase) {
        self.state.send_modify(|state| {
            if state.phase == Phase::Write {
                state.proven = true;
            }
            state.phase = phase;
            state.since = Instant::now();
        });
    }

    /// Goes from one phase to the next, if it is in the one.
    pub(super) fn pass(&self, from: Phase, to: Phase) {
        if self.state.borrow().phase == from {
            self.enter(to);
        }
    }

    /// Ends when the connection must be cut.
    pub(super) async fn overdue(&self, limits: &Limits) -> Cut {
        let mut state = self.state.subscribe();
        loop {
            let seen = *state.borrow_and_update();
            if seen.unwanted {
                return Cut::Crowded;
            }
            let time = match seen.phase {
                Phase::Handshake => limits.handshake,
                Phase::Idle => limits.idle,
                Phase::Head => limits.head,
                Phase::Busy => limits.body + limits.review + limits.queue + limits.linger,
                Phase::Write => limits.write,
            };
            tokio::select! {
                // The sender lives as long as this place.
                _ = state.changed() => {}
                () = sleep_until(seen.since + time) => return Cut::Late(seen.phase),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.lock().connections.remove(&self.id);
        // One waits for a place, or one for all to be gone; never both.
        self.table.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            connections: 2,
            ..Limits::default()
        }
    }

    async fn cut(place: &Place) -> Option<Cut> {
        timeout(Duration::from_millis(1), place.overdue(&limits()))
            .await
            .ok()
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_has_its_own_time() {
        let (table, limits) = (Table::new(), limits());
        for (phase, seconds) in [
            (Phase::Handshake, 10),
            (Phase::Idle, 180),
            (Phase::Head, 10),
            (Phase::Write, 10),
        ] {
            let place = table.enter(&limits).await;
            place.enter(phase);
            let began = Instant::now();
            assert_eq!(place.overdue(&limits).await, Cut::Late(phase));
            assert_eq!(began.elapsed().as_secs(), seconds, "{phase:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_ends_the_idle_time() {
        let (table, limits) = (Table::new(), limits());
        let place = table.enter(&limits).await;
        place.enter(Phase::Idle);
        let began = Instant::now();
        let request = async {
            tokio::time::sleep(Duration::from_secs(170)).await;
            place.pass(Phase::Idle, Phase::Head);
            place.pass(Phase::Idle, Phase::Write);
        };
        let (cut, ()) = tokio::join!(place.overdue(&limits), request);
        assert_eq!(cut, Cut::Late(Phase::Head));
        assert_eq!(began.elapsed().as_secs(), 180);
    }

    #[tokio::test(start_paused = true)]
    async fn who_never_asked_anything_goes_before_who_is_idle() {
        let (table, limits) = (Table::new(), limits());
        let served = table.enter(&limits).await;
        served.enter(Phase::Write);
        served.enter(Phase::Idle);
        let silent = table.enter(&limits).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(table.try_enter(&limits).is_none());
        table.evict(&limits);
        assert_eq!(cut(&silent).await, Some(Cut::Crowded));
        assert_eq!(cut(&served).await, None);
        table.evict(&limits);
        assert_eq!(cut(&served).await, Some(Cut::Crowded));
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_sent_no_request_yet_goes_before_who_waits_for_a_first_answer() {
        let (table, limits) = (Table::new(), limits());
        let waiting = table.enter(&limits).await;
        waiting.enter(Phase::Busy);
        let other = table.enter(&limits).await;
        table.evict(&limits);
        assert_eq!(cut(&waiting).await, None);
        tokio::time::sleep(Duration::from_secs(2)).await;
        table.evict(&limits);
        assert_eq!(cut(&waiting).await, None);
        assert_eq!(cut(&other).await, Some(Cut::Crowded));
        drop(other);
        let other = table.enter(&limits).await;
        other.enter(Phase::Busy);
        table.evict(&limits);
        assert_eq!(cut(&other).await, None);
        assert_eq!(cut(&waiting).await, Some(Cut::Crowded));
    }

    #[tokio::test(start_paused = true)]
    async fn a_young_one_keeps_nobody_who_is_old_enough() {
        let (table, limits) = (Table::new(), limits());
        let slow = table.enter(&limits).await;
        slow.enter(Phase::Busy);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let young = table.enter(&limits).await;
        table.evict(&limits);
        assert_eq!(cut(&young).await, None);
        assert_eq!(cut(&slow).await, Some(Cut::Crowded));
    }

    #[tokio::test(start_paused = true)]
    async fn the_young_and_the_busy_stay() {
        let (table, limits) = (Table::new(), limits());
        let busy = table.enter(&limits).await;
        busy.enter(Phase::Write);
        busy.enter(Phase::Busy);
        table.evict(&limits);
        assert_eq!(cut(&busy).await, None);
        busy.enter(Phase::Idle);
        let young = table.enter(&limits).await;
        table.evict(&limits);
        assert_eq!(cut(&busy).await, None);
        assert_eq!(cut(&young).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_waits_for_a_place() {
        let (table, limits) = (Table::new(), limits());
        let first = table.enter(&limits).await;
        let _second = table.enter(&limits).await;
        let newcomer = async {
            let place = table.enter(&limits).await;
            (place, Instant::now())
        };
        let leave = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            drop(first);
            Instant::now()
        };
        let ((_place, entered), left) = tokio::join!(newcomer, leave);
        assert!(entered >= left);
        assert_eq!(table.len(), 2);
    }
}
