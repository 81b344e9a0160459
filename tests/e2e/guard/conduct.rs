//! No review fails while natsguard's pods come and go.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, PostParams};
use natsguard_tests::bed::guard::RELEASE;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::{Space, is_ready};

use super::START;
use super::load::{Load, Outcome, workload};

/// How long reviews go on at least: what happens to natsguard meanwhile may take longer.
fn span(space: &Space) -> Duration {
    Duration::from_secs(if space.options.full { 120 } else { 8 })
}

pub async fn rolling_update(space: &Space) -> Result<()> {
    let load = Load::start(space).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    space
        .target
        .kubectl_guard(&format!("rollout restart deployment/{RELEASE}"))
        .await?;
    space.target.wait_guards(START * 2).await?;
    let rolled = load.elapsed().as_secs_f64();
    let outcome = load.end(space, span(space)).await?;
    report(&format!("rolling update in {rolled:.0} s"), &outcome);
    outcome.check()
}

pub async fn scaling(space: &Space) -> Result<()> {
    let load = Load::start(space).await?;
    for replicas in [1, 3] {
        tokio::time::sleep(Duration::from_secs(2)).await;
        space
            .target
            .kubectl_guard(&format!("scale deployment/{RELEASE} --replicas {replicas}"))
            .await?;
        space.target.wait_guards(START).await?;
    }
    let outcome = load.end(space, span(space)).await?;
    report("3, 1, 3 replicas", &outcome);
    outcome.check()
}

/// A pod is deleted, as a drained node or a person would.
pub async fn deleted_pod(space: &Space) -> Result<()> {
    let load = Load::start(space).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let pods = space.target.guards().await?;
    let name = pods.first().and_then(|pod| pod.metadata.name.clone());
    let name = name.context("there are pods")?;
    space
        .target
        .kubectl_guard(&format!("delete pod {name} --wait=false"))
        .await?;
    let outcome = load.end(space, span(space)).await?;
    space.target.wait_guards(START).await?;
    report("a pod deleted", &outcome);
    outcome.check()
}

/// How long a write takes at most that was under way when a pod crashed.
const MOMENT: Duration = Duration::from_secs(1);
/// How long a pod that crashed may be dialled: until the kubelet has noticed and the endpoint is gone everywhere.
const NOTICED: Duration = Duration::from_secs(4);

/// A pod crashes, which nobody can announce: what was on its way to it is lost, and what is dialled before its endpoint is
/// gone. The apiserver tries none of that again. Nothing else is lost. Each of the three is killed once, and the next one dies
/// when the one before is back: three that crash at once are another matter.
pub async fn killed_pod(space: &Space) -> Result<()> {
    let load = Load::start(space).await?;
    let mut kills = Vec::new();
    let pause = (span(space) / 4).max(NOTICED);
    for pod in space.target.guards().await? {
        tokio::time::sleep(pause).await;
        let uid = pod.metadata.uid.as_deref().context("a pod has a uid")?;
        space.target.local()?.kill_pod(uid)?;
        kills.push(load.elapsed());
        wait_back(space, &pod).await?;
    }
    let outcome = load.end(space, pause * 4).await?;
    let failed = |at: Duration| {
        let last = kills.iter().rfind(|kill| at + MOMENT >= **kill);
        last.map(|kill| at.saturating_sub(*kill))
    };
    let longest = outcome.problems.iter().map(|(at, _)| failed(*at)).max();
    report("three pods killed, one after the other", &outcome);
    say(&format!(
        "conduct: the last write that failed began {:.1} s after a kill",
        longest.flatten().unwrap_or_default().as_secs_f64()
    ));
    let elsewhere: Vec<_> = outcome
        .problems
        .iter()
        .filter(|(at, _)| failed(*at).is_none_or(|since| since >= NOTICED))
        .collect();
    ensure!(elsewhere.is_empty(), "killed at {kills:?}: {elsewhere:#?}");
    Ok(())
}

/// Waits until the container of a pod runs anew and the pod is Ready.
async fn wait_back(space: &Space, pod: &Pod) -> Result<()> {
    let what = format!("{:?} to be back", pod.metadata.name);
    space
        .wait(&what, START, async || {
            let pods = space.target.guards().await?;
            let now = pods
                .iter()
                .find(|now| now.metadata.uid == pod.metadata.uid)
                .context("a pod that crashes stays")?;
            Ok(if restarts(now) > restarts(pod) && is_ready(now) {
                Ok(())
            } else {
                Err(format!("its status is {:?}", now.status))
            })
        })
        .await
}

pub(super) fn restarts(pod: &Pod) -> i32 {
    let status = pod.status.as_ref();
    let containers = status.and_then(|status| status.container_statuses.as_ref());
    let containers = containers.into_iter().flatten();
    containers.map(|container| container.restart_count).sum()
}

/// Connections that the apiserver left idle for any while still answer.
pub async fn idle(space: &Space) -> Result<()> {
    let pauses: &[u64] = if space.options.full {
        &[1, 2, 5, 10, 30, 60, 89, 91, 119, 121]
    } else {
        &[1, 2, 5]
    };
    let (before, start) = (space.target.calls().await?, Instant::now());
    let api: Api<_> = space.api();
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let object = workload(&space.name)?;
    for pause in pauses {
        api.create(&dry, &object)
            .await
            .with_context(|| format!("before a pause of {pause} s"))?;
        tokio::time::sleep(Duration::from_secs(*pause)).await;
        space.stop.check()?;
    }
    api.create(&dry, &object).await?;
    let calls = space.target.calls().await?.since(before);
    say(&format!(
        "conduct: {} pauses in {} s: {calls:?}",
        pauses.len(),
        start.elapsed().as_secs()
    ));
    assert_eq!((calls.errors, calls.ignored), (0, 0));
    // Nobody else kept them warm.
    assert_eq!(calls.made, 2 * (u64::try_from(pauses.len())? + 1));
    Ok(())
}

fn report(what: &str, outcome: &Outcome) {
    say(&format!(
        "conduct: {what}: {} writes, {} failed, {:?}",
        outcome.writes,
        outcome.problems.len(),
        outcome.calls
    ));
}
