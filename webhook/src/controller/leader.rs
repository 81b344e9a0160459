//! Which of several replicas works: whoever holds a Lease, and only as long as it surely does.
//!
//! A Lease is never judged by the clock of whoever wrote it. Others wait until they saw it unchanged for a whole duration by
//! their own clock; the holder gives up well before that, counted from the moment it began its last renewal that succeeded.
//! Every write names the version it replaces, so of several that want a Lease one gets it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::{Client, Error};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::problem::Problem;
use crate::kubernetes::words;

/// How long a Lease holds after its last renewal. With a look each second another replica leads within 12 s of a crash.
const DURATION: Duration = Duration::from_secs(10);

/// How often the holder renews it.
const RENEW: Duration = Duration::from_secs(2);

/// When the holder gives up: what it has asked for by then is done when the Lease runs out.
const DEADLINE: Duration = Duration::from_secs(7);

/// How often the others look.
const LOOK: Duration = Duration::from_secs(1);

/// How long the former holder may have had still to do something about a change: it waits ten minutes at most before it tries
/// again.
const DEALT: SignedDuration = SignedDuration::from_hours(1);

/// How soon a failed renewal is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// How long the apiserver may take to answer. One lost packet must not cost the whole term.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long the way out may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// One who wants to lead.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The Lease of another as last seen, and since when it is like that.
    seen: Option<(Option<LeaseSpec>, Instant)>,
    problem: Problem,
}

/// A Lease that was won and has to be held.
#[derive(Debug)]
pub struct Term {
    /// What changed since then is for this leader to look at: what the former one still had to do is known to nobody, and what
    /// was written while nobody led was seen by nobody. What it had long left as it was, by settings that may be others now, stays
    /// so until it changes.
    pub since: Timestamp,
    lease: Lease,
    /// When the last renewal that succeeded was begun.
    renewed: Instant,
}

impl Elector {
    /// Wants nothing yet. No two processes may have the same identity.
    pub fn new(client: Client, namespace: &str, name: &str, identity: String) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            identity,
            seen: None,
            problem: Problem::new("the Lease can't be had"),
        }
    }

    /// Who this is.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// Waits until it leads.
    pub async fn win(&mut self) -> Term {
        loop {
            let begun = Instant::now();
            match timeout(PATIENCE, self.attempt()).await {
                Ok(Ok(won)) => {
                    self.problem.over();
                    if let Some((lease, since)) = won {
                        return Term {
                            since,
                            lease,
                            renewed: begun,
                        };
                    }
                }
                Ok(Err(error)) => self.problem.is(&words(&error)),
                Err(_) => self.problem.is(LATE),
            }
            sleep(LOOK).await;
        }
    }

    /// Renews the Lease until it is lost, or may be by the time that others see it.
    pub async fn hold(&mut self, mut term: Term) {
        loop {
            sleep_until(term.renewed + RENEW).await;
            let end = term.renewed + DEADLINE;
            loop {
                let begun = Instant::now();
                match timeout_at(end.min(begun + PATIENCE), self.renew(&term.lease)).await {
                    Ok(Ok(Some(lease))) => {
                        self.problem.over();
                        term = Term {
                            lease,
                            renewed: begun,
                            ..term
                        };
                        break;
                    }
                    Ok(Ok(None)) => return,
                    Ok(Err(error)) => self.problem.is(&words(&error)),
                    Err(_) => self.problem.is(LATE),
                }
                if Instant::now() + AGAIN >= end {
                    return;
                }
                sleep(AGAIN).await;
            }
        }
    }

    /// Gives the Lease back, if it is held, so that nobody has to wait for it to run out.
    pub async fn release(&self) {
        let freed = timeout(FAREWELL, async {
            let Some(lease) = self.api.get_opt(&self.name).await? else {
                return Ok(());
            };
            if !self.is_held(&lease) {
                return Ok(());
            }
            let spec = LeaseSpec {
                holder_identity: None,
                ..lease.spec.clone().unwrap_or_default()
            };
            self.put(&lease, spec).await.map(drop)
        });
        match freed.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(problem = words(&error), "can't give the Lease back");
            }
            Err(_) => tracing::warn!(problem = LATE, "can't give the Lease back"),
        }
    }

    /// Takes the Lease if it is free. With it comes since when changes are to be looked at.
    async fn attempt(&mut self) -> Result<Option<(Lease, Timestamp)>, Error> {
        let Some(lease) = self.api.get_opt(&self.name).await? else {
            let created = self.create().await?;
            return Ok(created.map(|lease| {
                let installed = installed(&lease);
                (lease, installed)
            }));
        };
        if !self.is_held(&lease) && !self.is_free(&lease) {
            return Ok(None);
        }
        let since = since(&lease, Timestamp::now());
        let former = lease.spec.clone().unwrap_or_default();
        let now = Some(MicroTime(Timestamp::now()));
        let spec = LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: Some(former.lease_transitions.unwrap_or(0).saturating_add(1)),
            ..former
        };
        let won = self.put(&lease, spec).await?;
        Ok(won.map(|lease| (lease, since)))
    }

    /// Renews the Lease; `None` when it is another's by now, or gone.
    async fn renew(&self, lease: &Lease) -> Result<Option<Lease>, Error> {
        let mut lease = lease.clone();
        loop {
            if let Some(renewed) = self.put(&lease, renewed(&lease)).await? {
                return Ok(Some(renewed));
            }
            // It is not as it was: an earlier renewal came through without an answer, someone labelled it, or it is lost.
            match self.api.get_opt(&self.name).await? {
                Some(found) if self.is_held(&found) => lease = found,
                _ => return Ok(None),
            }
        }
    }

    async fn create(&self) -> Result<Option<Lease>, Error> {
        let now = Some(MicroTime(Timestamp::now()));
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                acquire_time: now.clone(),
                renew_time: now,
                lease_transitions: Some(0),
                ..LeaseSpec::default()
            }),
        };
        raced(self.api.create(&PostParams::default(), &lease).await)
    }

    /// Replaces the Lease unless it changed since it was read.
    async fn put(&self, lease: &Lease, spec: LeaseSpec) -> Result<Option<Lease>, Error> {
        let mut next = lease.clone();
        next.spec = Some(spec);
        let params = PostParams::default();
        raced(self.api.replace(&self.name, &params, &next).await)
    }

    fn is_held(&self, lease: &Lease) -> bool {
        holder(lease) == Some(self.identity.as_str())
    }

    /// Whether nobody holds it, or whoever did has not renewed it for its whole duration.
    fn is_free(&mut self, lease: &Lease) -> bool {
        if holder(lease).is_none() {
            return true;
        }
        let now = Instant::now();
        match &self.seen {
            Some((spec, since)) if *spec == lease.spec => now - *since >= duration(lease),
            _ => {
                self.seen = Some((lease.spec.clone(), now));
                false
            }
        }
    }
}

const LATE: &str = "the apiserver did not answer in time";

fn holder(lease: &Lease) -> Option<&str> {
    let holder = lease.spec.as_ref()?.holder_identity.as_deref()?;
    (!holder.is_empty()).then_some(holder)
}

/// When natsguard was installed: since then its Lease is there.
fn installed(lease: &Lease) -> Timestamp {
    let created = lease.metadata.creation_timestamp.as_ref();
    created.map_or_else(Timestamp::now, |created| created.0)
}

/// Some time before the last renewal: whoever held the Lease then saw all changes until shortly before, and had dealt with them.
fn since(lease: &Lease, now: Timestamp) -> Timestamp {
    let renewed = lease
        .spec
        .as_ref()
        .and_then(|spec| spec.renew_time.as_ref());
    let dealt = renewed.map(|renewed| renewed.0.min(now) - DEALT);
    installed(lease).max(dealt.unwrap_or(Timestamp::MIN))
}

/// As long as its holder counts on, whatever version of natsguard that is.
fn duration(lease: &Lease) -> Duration {
    let seconds = lease
        .spec
        .as_ref()
        .and_then(|spec| u64::try_from(spec.lease_duration_seconds?).ok());
    seconds.map_or(DURATION, Duration::from_secs).max(DURATION)
}

fn renewed(lease: &Lease) -> LeaseSpec {
    LeaseSpec {
        renew_time: Some(MicroTime(Timestamp::now())),
        ..lease.spec.clone().unwrap_or_default()
    }
}

/// `None` when another was faster, or the Lease is gone.
fn raced(written: Result<Lease, Error>) -> Result<Option<Lease>, Error> {
    match written {
        Ok(lease) => Ok(Some(lease)),
        Err(Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_looks_at_what_changed_shortly_before_it_and_after_the_install() {
        let time = |hours: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1000 + hours);
        let of = |installed: i64, renewed: Option<i64>| {
            let lease: Lease = serde_json::from_value(serde_json::json!({
                "metadata": {"creationTimestamp": time(installed).to_string()},
                "spec": {"renewTime": renewed.map(|renewed| MicroTime(time(renewed)))},
            }))
            .unwrap();
            since(&lease, time(0))
        };
        assert_eq!(of(-100, None), time(-100));
        assert_eq!(of(-100, Some(0)), time(-1));
        // Nobody led for two days.
        assert_eq!(of(-100, Some(-48)), time(-49));
        assert_eq!(of(-48, Some(-48)), time(-48));
        // The former one's clock is fast.
        assert_eq!(of(-100, Some(24)), time(-1));
    }
}
