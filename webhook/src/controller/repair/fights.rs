//! Whoever writes an object wrong again and again is let win for a while: two controllers must not write in a loop.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::plan::Target;

/// So many repairs of one object within [`WINDOW`] are made.
const REPAIRS: usize = 3;
/// After a fight one try shows whether it goes on.
const TRIES: usize = 1;
const WINDOW: Duration = Duration::from_mins(1);
/// How long an object is left alone.
const PAUSE: Duration = Duration::from_mins(10);
/// More objects are not remembered; the one whose last repair is the longest ago is forgotten first.
const MOST: usize = 1024;

/// Whether an object may be repaired now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// It may.
    Go,
    /// Not for so long: this would have been one repair too many.
    Fight(Duration),
    /// Not for so long, as was said before.
    Left(Duration),
}

#[derive(Debug, Default)]
struct Record {
    repairs: Vec<Instant>,
    until: Option<Instant>,
    is_tried: bool,
}

/// The repairs of the last minute, and the objects that are left alone.
#[derive(Debug, Default)]
pub(super) struct Fights(Mutex<BTreeMap<Target, Record>>);

impl Fights {
    /// Whether an object that is wrong may be repaired.
    pub(super) fn ask(&self, target: &Target, now: Instant) -> Permit {
        let mut records = self.lock();
        let Some(record) = records.get_mut(target) else {
            return Permit::Go;
        };
        if let Some(until) = record.until {
            if now < until {
                return Permit::Left(until - now);
            }
            record.until = None;
            record.is_tried = true;
            record.repairs.clear();
        } else if record.is_over(now) {
            records.remove(target);
            return Permit::Go;
        }
        let recent = record.repairs.iter().filter(|at| now - **at < WINDOW);
        let most = if record.is_tried { TRIES } else { REPAIRS };
        if recent.count() < most {
            return Permit::Go;
        }
        record.until = Some(now + PAUSE);
        Permit::Fight(PAUSE)
    }

    /// Notes a repair.
    pub(super) fn repaired(&self, target: &Target, now: Instant) {
        let mut records = self.lock();
        records.retain(|known, record| known == target || !record.is_over(now));
        if records.len() >= MOST && !records.contains_key(target) {
            let last = |record: &Record| record.repairs.last().copied();
            let oldest = records.iter().min_by_key(|(_, record)| last(record));
            if let Some(oldest) = oldest.map(|(target, _)| target.clone()) {
                records.remove(&oldest);
            }
        }
        let record = records.entry(target.clone()).or_default();
        record.repairs.retain(|at| now - *at < WINDOW);
        record.repairs.push(now);
    }

    /// Whether an object was repaired within the last minute.
    pub(super) fn is_recent(&self, target: &Target, now: Instant) -> bool {
        let records = self.lock();
        let mut repairs = records
            .get(target)
            .into_iter()
            .flat_map(|record| &record.repairs);
        repairs.any(|at| now - *at < WINDOW)
    }

    /// How many objects are left alone.
    pub(super) fn left_alone(&self, now: Instant) -> usize {
        let records = self.lock();
        let is_left = |record: &&Record| record.until.is_some_and(|until| now < until);
        records.values().filter(is_left).count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Target, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Whether nothing of it matters any more. One without repairs has still to be tried after a fight.
    fn is_over(&self, now: Instant) -> bool {
        let last = self.repairs.last();
        self.until.is_none() && last.is_some_and(|at| now - *at >= WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Kind;
    use super::*;

    fn target(name: &str) -> Target {
        Target {
            kind: Kind::ConfigMap,
            namespace: "messaging".to_owned(),
            name: name.to_owned(),
        }
    }

    /// Asks every ten seconds, and repairs when that may be done.
    fn run(fights: &Fights, from: Instant, seconds: u64) -> Vec<(u64, Permit)> {
        let map = target("nats");
        let mut changes: Vec<(u64, Permit)> = Vec::new();
        for second in (0..seconds).step_by(10) {
            let now = from + Duration::from_secs(second);
            let permit = fights.ask(&map, now);
            if permit == Permit::Go {
                fights.repaired(&map, now);
            }
            if !matches!(permit, Permit::Left(_)) {
                changes.push((second, permit));
            }
        }
        changes
    }

    #[test]
    fn a_fight_is_left_for_ten_minutes_and_then_tried_once() {
        let (fights, now) = (Fights::default(), Instant::now());
        let expected = [
            (0, Permit::Go),
            (10, Permit::Go),
            (20, Permit::Go),
            (30, Permit::Fight(PAUSE)),
            (630, Permit::Go),
            (640, Permit::Fight(PAUSE)),
            (1240, Permit::Go),
        ];
        assert_eq!(run(&fights, now, 1250), expected);
        let at = |second| now + Duration::from_secs(second);
        assert_eq!(fights.left_alone(at(1250)), 0);
        // After a quiet minute all is forgotten.
        assert_eq!(run(&fights, at(1400), 40)[2], (20, Permit::Go));
        assert_eq!(fights.left_alone(at(1440)), 1);
        assert_eq!(fights.left_alone(at(2100)), 0);
    }

    #[test]
    fn repairs_that_are_far_apart_are_no_fight() {
        let (fights, now) = (Fights::default(), Instant::now());
        for round in 0..20 {
            let at = now + Duration::from_secs(21 * round);
            assert_eq!(fights.ask(&target("a"), at), Permit::Go, "{round}");
            fights.repaired(&target("a"), at);
            assert_eq!(fights.ask(&target("b"), at), Permit::Go);
        }
    }

    #[test]
    fn it_remembers_so_many_objects_and_no_more() {
        let (fights, now) = (Fights::default(), Instant::now());
        for index in 0..2000 {
            fights.repaired(&target(&index.to_string()), now);
        }
        assert_eq!(fights.lock().len(), MOST);
    }
}
