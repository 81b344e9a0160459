//! The one that works is killed, the apiserver goes away: the work goes on, and nothing is done twice.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Api;
use natsguard_tests::bed::guard::NAMESPACE;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;

use super::{START, create, idle, named_routes, touches, wait_routes};

/// Another has taken over after so long.
const TAKEN_OVER: Duration = Duration::from_secs(15);

/// The pod that leads.
pub async fn holder(space: &Space) -> Result<String> {
    let leases: Api<Lease> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let lease = leases.get("natsguard-controller").await?;
    lease
        .spec
        .and_then(|spec| spec.holder_identity)
        .filter(|holder| !holder.is_empty())
        .context("nobody leads")
}

/// Workloads go on to appear while the leader is killed.
pub async fn killed(space: &Space) -> Result<()> {
    create(space, &idle(&space.name, "first")?).await?;
    wait_routes(
        space,
        "first",
        &named_routes(&space.name, "first", 3),
        START,
    )
    .await?;
    let leader = holder(space).await?;
    let pods: Api<Pod> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let uid = pods.get(&leader).await?.metadata.uid;
    let mut names = Vec::new();
    let mut killed = None;
    let mut took = None;
    for number in 0..40 {
        let name = format!("n{number}");
        create(space, &idle(&space.name, &name)?).await?;
        names.push(name);
        if number == 10 {
            space
                .target
                .local()?
                .kill_pod(uid.as_deref().context("a pod has a uid")?)?;
            killed = Some(Instant::now());
        }
        if let Some(killed) = killed
            && took.is_none()
            && holder(space).await.is_ok_and(|now| now != leader)
        {
            took = Some(killed.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        space.stop.check()?;
    }
    let took = took.context("nobody else took over")?;
    for name in &names {
        let wanted = named_routes(&space.name, name, 3);
        wait_routes(space, name, &wanted, START).await?;
        let count = touches(space, "configmaps", name)?;
        ensure!(count == 1, "{name} was touched {count} times");
    }
    say(&format!(
        "leader: another led {:.1} s after the kill; {} workloads repaired once each",
        took.as_secs_f64(),
        names.len()
    ));
    ensure!(took < TAKEN_OVER, "it took {took:?}");
    Ok(())
}

/// Every watch breaks, and begins again.
pub async fn apiserver_restarted(space: &Space) -> Result<()> {
    create(space, &idle(&space.name, "before")?).await?;
    wait_routes(
        space,
        "before",
        &named_routes(&space.name, "before", 3),
        START,
    )
    .await?;
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
    say(&format!(
        "leader: repaired {:.1} s after the apiserver was back",
        start.elapsed().as_secs_f64()
    ));
    assert_eq!(touches(space, "configmaps", "before")?, 1);
    Ok(())
}
