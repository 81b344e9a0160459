//! A cluster with thousands of StatefulSets, of which a few are NATS.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use natsguard_tests::bed::guard::CONTROLLER_LABELS;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::json;

use super::{START, audit, create, idle, metric};

const MEMORY: u64 = 64 * 1024 * 1024;
const FIRST_SCAN: Duration = Duration::from_secs(30);

pub async fn cluster(space: &Space) -> Result<()> {
    let (all, nats) = if space.options.full {
        (10_000, 200)
    } else {
        (400, 20)
    };
    fill(space, all, nats).await?;
    // A new leader sees all of them for the first time.
    let before = audit(space)?.len();
    let restart = "rollout restart deployment/natsguard-controller";
    space.target.kubectl_guard(restart).await?;
    let start = Instant::now();
    space
        .target
        .kubectl_guard("rollout status deployment/natsguard-controller --timeout 120s")
        .await?;
    let name = "natsguard_scan_completed_timestamp_seconds";
    space
        .wait("the first complete scan", START, async || {
            Ok(match metric(space, name).await {
                Ok(time) if time > 0.0 => Ok(()),
                Ok(_) => Err("it is not complete".to_owned()),
                Err(error) => Err(error.to_string()),
            })
        })
        .await?;
    let waited = start.elapsed();
    let took = metric(space, "natsguard_scan_duration_seconds").await?;
    let workloads = metric(space, "natsguard_scan_workloads").await?;
    let memory = space.target.memory(CONTROLLER_LABELS).await?;
    let most = memory.values().max().copied().unwrap_or_default();
    say(&format!(
        "large: {all} StatefulSets, {nats} of them NATS: the first scan of {workloads} workloads took {took:.1} s and was complete {:.1} s after the rollout began; resident {} MiB",
        waited.as_secs_f64(),
        most / 1024 / 1024
    ));
    for event in &audit(space)?[before..] {
        let target = &event["objectRef"];
        ensure!(
            target["resource"] != "secrets"
                || !matches!(event["verb"].as_str(), Some("list" | "watch")),
            "{event}"
        );
    }
    ensure!(workloads >= f64::from(nats), "{workloads}");
    ensure!(took < FIRST_SCAN.as_secs_f64(), "{took}");
    ensure!(most < MEMORY, "{most} bytes");
    Ok(())
}

/// Makes `all` StatefulSets without pods, `nats` of them NATS with a ConfigMap each.
async fn fill(space: &Space, all: u32, nats: u32) -> Result<()> {
    let made = futures::stream::iter(0..all)
        .map(|number| async move {
            let mut objects = idle(&space.name, &format!("n{number}"))?;
            objects[2]["spec"]["replicas"] = json!(0);
            if number < nats {
                return create(space, &objects).await;
            }
            let pod = &mut objects[2]["spec"]["template"]["spec"];
            pod["containers"] = json!([{"name": "web", "image": "pause"}]);
            pod["volumes"] = json!([]);
            create(space, &objects[2..]).await
        })
        .buffer_unordered(16);
    let failed: Vec<_> = made
        .filter_map(|made| std::future::ready(made.err()))
        .collect()
        .await;
    ensure!(failed.is_empty(), "{failed:?}");
    Ok(())
}
