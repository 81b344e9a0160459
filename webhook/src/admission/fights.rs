//! An object whose repairs somebody undoes again and again. Each review alone looks well; all of them together are two writers
//! who will not agree.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use tokio::time::Instant;

use super::{Decision, Record, Step};
use crate::room;

/// More repairs of one object within so long are a fight. Each replica sees its share of the reviews only.
const LIMITS: [(usize, Duration); 2] = [(4, MINUTE), (15, HOUR)];
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
/// A fight that goes on is told again after so long.
const QUIET: Duration = Duration::from_mins(10);
/// More objects are not remembered; the one whose last repair is the longest ago is forgotten first.
const MOST: usize = 1024;

/// Kind, namespace and name.
type Object = (String, String, String);

/// The repairs of the last hour.
#[derive(Debug, Default)]
pub struct Fights(BTreeMap<Object, Repairs>);

#[derive(Debug, Default)]
struct Repairs {
    /// As many as matter, the oldest first.
    made: Vec<Instant>,
    told: Option<Instant>,
}

/// An object that is repaired again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fight {
    /// Its kind.
    pub kind: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What is wrong with it: ids of policies, each once.
    pub policies: String,
    /// More than so many repairs
    pub repairs: usize,
    /// within so many minutes.
    pub minutes: u64,
}

impl Fights {
    /// Takes note of an answer; a fight is told once, and again after a while if it goes on.
    pub fn note(&mut self, step: Step, record: &Record, now: Instant) -> Option<Fight> {
        let is_repair = step == Step::Mutate && record.decision == Decision::Patched;
        // Without a name it is another object each time; a dry run is somebody who looks.
        if !is_repair || record.dry_run || record.name.is_empty() {
            return None;
        }
        let object = (
            record.kind.clone(),
            record.namespace.clone(),
            record.name.clone(),
        );
        if self.0.len() >= MOST {
            self.0.retain(|_, repairs| repairs.within(HOUR, now) > 0);
        }
        room::make(&mut self.0, &object, MOST, |repairs| {
            repairs.made.last().copied()
        });
        let repairs = self.0.entry(object).or_default();
        let (repairs, within) = repairs.add(now)?;
        Some(Fight {
            kind: record.kind.clone(),
            namespace: record.namespace.clone(),
            name: record.name.clone(),
            policies: record.policies(),
            repairs,
            minutes: within.as_secs() / 60,
        })
    }
}

impl Repairs {
    /// The limit that is exceeded, if that is worth to be told.
    fn add(&mut self, now: Instant) -> Option<(usize, Duration)> {
        self.made.push(now);
        let most = LIMITS.map(|(most, _)| most).into_iter().max();
        let extra = self.made.len().saturating_sub(most.unwrap_or_default() + 1);
        self.made.drain(..extra);
        if self.told.is_some_and(|told| now < told + QUIET) {
            return None;
        }
        let mut limits = LIMITS.into_iter();
        let exceeded = limits.find(|(most, within)| self.within(*within, now) > *most)?;
        self.told = Some(now);
        Some(exceeded)
    }

    fn within(&self, time: Duration, now: Instant) -> usize {
        self.made.iter().filter(|at| now < **at + time).count()
    }
}

impl fmt::Display for Fight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            namespace,
            name,
            policies,
            repairs,
            minutes,
        } = self;
        let time = match minutes {
            1 => "a minute".to_owned(),
            _ => format!("{minutes} minutes"),
        };
        write!(
            f,
            "{kind} {namespace}/{name} was repaired more than {repairs} times within {time} ({policies}): whoever writes it puts the \
             fault back; its managedFields say who, mend it there or exempt the object"
        )
    }
}

#[cfg(test)]
mod tests {
    use natsguard_policies::policy::Action;

    use super::*;

    fn repair(name: &str) -> Record {
        Record {
            kind: "ConfigMap".to_owned(),
            namespace: "messaging".to_owned(),
            name: name.to_owned(),
            decision: Decision::Patched,
            findings: vec![
                ("service-route".into(), Action::Fix),
                ("short-route".into(), Action::Fix),
                ("service-route".into(), Action::Fix),
            ],
            ..Record::default()
        }
    }

    /// The seconds at which a fight is told, of a repair every so many seconds.
    fn told(every: usize, until: u64) -> Vec<(u64, usize)> {
        let (mut fights, start) = (Fights::default(), Instant::now());
        (0..until)
            .step_by(every)
            .filter_map(|second| {
                let now = start + Duration::from_secs(second);
                let fight = fights.note(Step::Mutate, &repair("nats"), now)?;
                Some((second, fight.repairs))
            })
            .collect()
    }

    #[test]
    fn a_fight_is_told_once_in_ten_minutes() {
        assert_eq!(told(1, 700), [(4, 4), (604, 4)]);
        assert_eq!(told(14, 700), [(56, 4), (658, 4)]);
        // Once a minute is seldom, for an hour it is not.
        assert_eq!(
            told(60, 3600),
            [900, 1500, 2100, 2700, 3300].map(|second| (second, 15))
        );
        // An object that is written every five minutes is repaired as often.
        assert_eq!(told(300, 36_000), []);
    }

    #[test]
    fn it_says_which_object_and_what_to_do() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        let mut told = (0..5).filter_map(|_| fights.note(Step::Mutate, &repair("nats"), now));
        assert_eq!(
            told.next().map(|fight| fight.to_string()).as_deref(),
            Some(
                "ConfigMap messaging/nats was repaired more than 4 times within a minute (service-route,short-route): whoever \
                 writes it puts the fault back; its managedFields say who, mend it there or exempt the object"
            )
        );
    }

    #[test]
    fn what_stores_no_repair_is_no_fight() {
        let (mut fights, now) = (Fights::default(), Instant::now());
        let nameless = repair("");
        let look = Record {
            dry_run: true,
            ..repair("a")
        };
        let denied = Record {
            decision: Decision::Denied,
            ..repair("b")
        };
        for _ in 0..100 {
            for record in [&nameless, &look, &denied] {
                assert_eq!(fights.note(Step::Mutate, record, now), None);
            }
            assert_eq!(fights.note(Step::Validate, &repair("c"), now), None);
        }
        assert!(fights.0.is_empty());
    }

    #[test]
    fn it_remembers_so_many_objects_and_no_more() {
        let (mut fights, start) = (Fights::default(), Instant::now());
        for number in 0..MOST + 10 {
            let now = start + Duration::from_millis(u64::try_from(number).unwrap());
            fights.note(Step::Mutate, &repair(&number.to_string()), now);
        }
        assert_eq!(fights.0.len(), MOST);
        let key = |name: &str| ("ConfigMap".into(), "messaging".into(), name.into());
        assert!(!fights.0.contains_key(&key("9")) && fights.0.contains_key(&key("10")));
        // What is long over makes room first.
        fights.note(Step::Mutate, &repair("a"), start + 2 * HOUR);
        assert_eq!(fights.0.len(), 1);
    }
}
