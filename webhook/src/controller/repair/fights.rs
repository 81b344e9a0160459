//! Whoever writes an object wrong again and again is let win for a while: two controllers must not write in a loop.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::plan::Target;
use crate::room;

/// So many repairs of one object within so long are made.
const LIMITS: [(usize, Duration); 2] = [(3, MINUTE), (10, HOUR)];
const MINUTE: Duration = Duration::from_mins(1);
/// Longer ago nothing matters any more.
const HOUR: Duration = Duration::from_hours(1);
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

/// An object, and what is wrong with it: whoever scales often makes another fault each time.
pub(super) type Fault = (Target, u64);

#[derive(Debug, Default)]
struct Record {
    /// Those since the last fight.
    repairs: Vec<Instant>,
    until: Option<Instant>,
    /// After a fight one try shows whether it goes on within so long.
    tried: Option<Duration>,
}

/// The repairs of the last hour, and the objects that are left alone.
#[derive(Debug, Default)]
pub(super) struct Fights(Mutex<BTreeMap<Fault, Record>>);

impl Fights {
    /// Whether an object that is wrong may be repaired.
    pub(super) fn ask(&self, fault: &Fault, now: Instant) -> Permit {
        let mut records = self.lock();
        let Some(record) = records.get_mut(fault) else {
            return Permit::Go;
        };
        if record.is_over(now) {
            records.remove(fault);
            return Permit::Go;
        }
        if let Some(until) = record.until {
            if now < until {
                return Permit::Left(until - now);
            }
            record.repairs.clear();
            return Permit::Go;
        }
        let Some(window) = record.exceeded(now) else {
            return Permit::Go;
        };
        record.until = Some(now + PAUSE);
        record.tried = Some(window);
        Permit::Fight(PAUSE)
    }

    /// Notes a repair.
    pub(super) fn repaired(&self, fault: &Fault, now: Instant) {
        let mut records = self.lock();
        records.retain(|known, record| known == fault || !record.is_over(now));
        // One that is left alone, or was, is known to be fought for.
        room::make(&mut records, fault, MOST, |record| {
            (record.tried.is_some(), record.last())
        });
        let record = records.entry(fault.clone()).or_default();
        record.until = None;
        record.repairs.retain(|at| now - *at < HOUR);
        record.repairs.push(now);
    }

    /// Whether an object was repaired within the last minute.
    pub(super) fn is_recent(&self, target: &Target, now: Instant) -> bool {
        let records = self.lock();
        let mut own = records.iter().filter(|((of, _), _)| of == target);
        own.any(|(_, record)| record.within(MINUTE, now) > 0)
    }

    /// How many objects are left alone.
    pub(super) fn left_alone(&self, now: Instant) -> usize {
        let records = self.lock();
        let is_left = |record: &&Record| record.until.is_some_and(|until| now < until);
        records.values().filter(is_left).count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Fault, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// How many repairs were made within so long.
    fn within(&self, window: Duration, now: Instant) -> usize {
        let recent = self.repairs.iter().filter(|at| now - **at < window);
        recent.count()
    }

    /// Within how long too many repairs were made.
    fn exceeded(&mut self, now: Instant) -> Option<Duration> {
        if let Some(window) = self.tried.filter(|window| self.within(*window, now) > 0) {
            return Some(window);
        }
        // It ended.
        self.tried = None;
        let mut limits = LIMITS.into_iter();
        let exceeded = limits.find(|(most, window)| self.within(*window, now) >= *most);
        exceeded.map(|(_, window)| window)
    }

    /// When something was last done about it.
    fn last(&self) -> Option<Instant> {
        self.until.or(self.repairs.last().copied())
    }

    /// Whether nothing of it matters any more.
    fn is_over(&self, now: Instant) -> bool {
        self.last().is_none_or(|last| now >= last + HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::Kind;
    use super::*;

    fn fault(name: &str) -> Fault {
        let target = Target {
            kind: Kind::ConfigMap,
            namespace: "messaging".to_owned(),
            name: name.to_owned(),
        };
        (target, 0)
    }

    /// Asks every ten seconds, and repairs when that may be done.
    fn run(fights: &Fights, from: Instant, seconds: u64) -> Vec<(u64, Permit)> {
        let map = fault("nats");
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
            let at = now + Duration::from_secs(361 * round);
            assert_eq!(fights.ask(&fault("a"), at), Permit::Go, "{round}");
            fights.repaired(&fault("a"), at);
            assert_eq!(fights.ask(&fault("b"), at), Permit::Go);
        }
    }

    #[test]
    fn who_writes_each_minute_is_noticed_within_the_hour() {
        let (fights, now) = (Fights::default(), Instant::now());
        let map = fault("nats");
        let mut fought = Vec::new();
        for second in (0..3600).step_by(59) {
            let at = now + Duration::from_secs(second);
            match fights.ask(&map, at) {
                Permit::Go => fights.repaired(&map, at),
                Permit::Fight(_) => fought.push(second),
                Permit::Left(_) => {}
            }
        }
        // Ten repairs, and then one after each pause.
        assert_eq!(fought, [590, 1298, 2006, 2714, 3422]);
    }

    #[test]
    fn it_remembers_so_many_objects_and_no_more() {
        let (fights, now) = (Fights::default(), Instant::now());
        for second in 0..3 {
            fights.repaired(&fault("nats"), now + Duration::from_secs(second));
        }
        let later = now + Duration::from_secs(3);
        assert_eq!(fights.ask(&fault("nats"), later), Permit::Fight(PAUSE));
        for index in 0..2000 {
            fights.repaired(&fault(&index.to_string()), later);
        }
        assert_eq!(fights.lock().len(), MOST);
        assert_eq!(fights.ask(&fault("nats"), later), Permit::Left(PAUSE));
        // What nobody asks about any more is forgotten.
        fights.repaired(&fault("other"), later + PAUSE + HOUR);
        assert_eq!(fights.lock().len(), 1);
    }
}
