//! The one that works is killed, the apiserver goes away: the work goes on, and nothing is done twice.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::jiff::Timestamp;
use kube::api::Api;
use natsguard_tests::bed::guard::NAMESPACE;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;

use super::{REVIEWED, START, create, idle, named_routes, touches, wait_routes};

/// Workloads, two a second: the last ones when the next leader has taken over.
const NAMES: usize = 45;
/// An apiserver that was away is watched again, and what was missed repaired, after so long.
const MISSED: Duration = Duration::from_secs(20);
/// Another has taken over after so long.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// And has repaired what waited for it, at five a second, after so long.
const CAUGHT_UP: Duration = Duration::from_secs(TAKEN_OVER.as_secs() + 9);
/// Before this one the leader is killed.
const KILLED: usize = 6;
/// Before this one the next leader hangs.
const HUNG: usize = 20;

async fn lease(space: &Space) -> Result<LeaseSpec> {
    let leases: Api<Lease> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let lease = leases.get("natsguard-controller").await?;
    lease.spec.context("a Lease says something")
}

/// The pod that leads.
pub async fn holder(space: &Space) -> Result<String> {
    let holder = lease(space).await?.holder_identity;
    holder
        .filter(|holder| !holder.is_empty())
        .context("nobody leads")
}

/// The pod that leads, by uid.
async fn holder_uid(space: &Space) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let uid = pods.get(&holder(space).await?).await?.metadata.uid;
    uid.context("a pod has a uid")
}

/// Workloads go on to appear while the leader is killed, which its pod survives, and while the next one hangs and comes back.
pub async fn lost(space: &Space) -> Result<()> {
    let local = space.target.local()?;
    create(space, &idle(&space.name, "first")?).await?;
    wait_routes(
        space,
        "first",
        &named_routes(&space.name, "first", 3),
        START,
    )
    .await?;
    let killed = holder_uid(space).await?;
    let mut hung: Option<(String, String, Instant)> = None;
    let mut took = None;
    for number in 0..NAMES {
        match number {
            KILLED => local.kill_pod(&killed)?,
            HUNG => {
                let (leader, uid) = (holder(space).await?, holder_uid(space).await?);
                local.pause_pod(&uid)?;
                hung = Some((leader, uid, Instant::now()));
            }
            _ => {}
        }
        create(space, &idle(&space.name, &format!("n{number}"))?).await?;
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if let Some((leader, uid, since)) = &hung
                && took.is_none()
                && holder(space).await.is_ok_and(|now| now != *leader)
            {
                took = Some(since.elapsed());
                local.resume_pod(uid)?;
            }
        }
        space.stop.check()?;
    }
    let took = took.context("nobody else took over")?;
    let mut times = Vec::new();
    for number in 0..NAMES {
        let name = format!("n{number}");
        let wanted = named_routes(&space.name, &name, 3);
        wait_routes(space, &name, &wanted, START).await?;
        let count = touches(space, "patch", "configmaps", &name)?;
        ensure!(count == 1, "{name} was touched {count} times");
        times.push(made_and_repaired(space, &name).await?);
    }
    // What comes next is in no order that is known here.
    let next = times[KILLED..].iter().map(|(_, repaired)| repaired).min();
    let next = next.context("there are some")?;
    let paused = next.duration_since(times[KILLED].0).unsigned_abs();
    let waits = times
        .iter()
        .map(|(made, repaired)| repaired.duration_since(*made).unsigned_abs());
    let longest = waits.max().unwrap_or_default();
    say(&format!(
        "leader: repairs went on {} s after one was killed, and another led {:.1} s after the next hung; {NAMES} workloads repaired once each, after {} s at most",
        paused.as_secs(),
        took.as_secs_f64(),
        longest.as_secs()
    ));
    ensure!(took < TAKEN_OVER, "it took {took:?}");
    ensure!(paused < TAKEN_OVER, "after the kill it took {paused:?}");
    ensure!(longest < CAUGHT_UP, "one waited for {longest:?}");
    Ok(())
}

/// When a ConfigMap was made, and when the leader had it repaired.
async fn made_and_repaired(space: &Space, name: &str) -> Result<(Timestamp, Timestamp)> {
    let meta = space.api::<ConfigMap>().get(name).await?.metadata;
    let made = meta.creation_timestamp.context("it was made")?.0;
    let marks = meta.annotations.unwrap_or_default();
    let repaired = marks.get(REVIEWED).context("it was touched")?;
    Ok((made, repaired.parse()?))
}

/// What the leader says of a watch that is answered with 410 Gone.
const BEHIND: &str = "the watch fell behind; listing StatefulSets again";

/// Every watch breaks, and the new apiserver knows nothing of what the watched have seen: it answers 410, and all begins again.
pub async fn apiserver_restarted(space: &Space) -> Result<()> {
    create(space, &idle(&space.name, "before")?).await?;
    wait_routes(
        space,
        "before",
        &named_routes(&space.name, "before", 3),
        START,
    )
    .await?;
    let term = lease(space).await?.acquire_time;
    space.target.local()?.restart_apiserver()?;
    space
        .wait("the apiserver", START, async || {
            let answer = space.target.client.apiserver_version().await;
            Ok(answer.map(drop).map_err(|error| error.to_string()))
        })
        .await?;
    let start = Instant::now();
    // Admission needs its endpoints known to the apiserver again.
    let after = idle(&space.name, "after")?;
    space
        .wait("a workload to be admitted", START, async || {
            Ok(space.apply(&after).await.map_err(|error| error.to_string()))
        })
        .await?;
    wait_routes(
        space,
        "after",
        &named_routes(&space.name, "after", 3),
        START,
    )
    .await?;
    let took = start.elapsed();
    say(&format!(
        "leader: repaired {:.1} s after the apiserver was back",
        took.as_secs_f64()
    ));
    ensure!(took < MISSED, "it took {took:?}");
    assert_eq!(touches(space, "patch", "configmaps", "before")?, 1);
    let leader = holder(space).await?;
    let said = space
        .target
        .kubectl_guard(&format!("logs {leader}"))
        .await?;
    // Whoever leads since then has begun anew in any case.
    let is_new = lease(space).await?.acquire_time != term;
    ensure!(is_new || said.contains(BEHIND), "no 410 in:\n{said}");
    Ok(())
}
