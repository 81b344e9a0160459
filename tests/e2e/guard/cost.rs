//! What natsguard costs whoever has nothing to do with NATS: no call, little memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use natsguard_tests::bed::guard::LABELS;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::json;

/// 200 writes a second of ConfigMaps, Secrets and pods: the apiserver calls nobody.
pub async fn strangers(space: &Space) -> Result<()> {
    const PACE: u64 = 200;
    let span = if space.options.full { 60 } else { 5 };
    let (maps, secrets, pods): (Api<ConfigMap>, Api<Secret>, Api<Pod>) =
        (space.api(), space.api(), space.api());
    let before = space.target.calls().await?;
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / PACE));
    let mut running = tokio::task::JoinSet::new();
    let mut writes = 0;
    for number in 0..PACE * span {
        tick.tick().await;
        let (maps, secrets, pods) = (maps.clone(), secrets.clone(), pods.clone());
        running.spawn(async move {
            // Of six writes two are of each kind: one makes it, the next changes it.
            let (name, change) = (format!("object-{}", number / 6), json!({"metadata": {"labels": {"n": number.to_string()}}}));
            let (make, merge) = (PostParams::default(), PatchParams::default());
            match number % 6 {
                0 => {
                    let object = json!({"metadata": {"name": name}, "data": {"application.yaml": "port: 80\nlevel: info\n"}});
                    maps.create(&make, &serde_json::from_value(object)?).await.map(drop)?;
                }
                1 => {
                    let object = json!({"metadata": {"name": name}, "stringData": {"password": "x"}});
                    secrets.create(&make, &serde_json::from_value(object)?).await.map(drop)?;
                }
                2 => {
                    // No scheduler of this name runs: the pod is an object and no more.
                    let object = json!({"metadata": {"name": name}, "spec": {"schedulerName": "none",
                        "containers": [{"name": "web", "image": "nginx:1.29", "args": ["-c", "/etc/nginx.conf"]}]}});
                    pods.create(&make, &serde_json::from_value(object)?).await.map(drop)?;
                }
                kind => {
                    // What it changes may not be there yet: that is a write that fails, not one less.
                    let patch = Patch::Merge(change);
                    match kind {
                        3 => drop(maps.patch(&name, &merge, &patch).await),
                        4 => drop(secrets.patch(&name, &merge, &patch).await),
                        _ => drop(pods.patch(&name, &merge, &patch).await),
                    }
                }
            }
            anyhow::Ok(())
        });
        while let Some(done) = running.try_join_next() {
            done??;
            writes += 1;
        }
    }
    while let Some(done) = running.join_next().await {
        done??;
        writes += 1;
    }
    let (calls, seconds) = (
        space.target.calls().await?.since(before),
        start.elapsed().as_secs_f64(),
    );
    let pace = f64::from(u32::try_from(writes)?) / seconds;
    say(&format!(
        "cost: {writes} writes at {pace:.0} a second: {} calls",
        calls.made
    ));
    ensure!(pace > 150.0, "only {pace:.0} writes a second");
    assert_eq!(calls.made, 0);
    pods.delete_collection(
        &DeleteParams::default().grace_period(0),
        &ListParams::default(),
    )
    .await?;
    Ok(())
}

/// At most 32 MiB at rest, and no more with a cluster full of objects.
pub async fn memory(space: &Space) -> Result<()> {
    const MIB: u64 = 1024 * 1024;
    let many: usize = if space.options.full { 20_000 } else { 500 };
    let before = space.target.memory(LABELS).await?;
    let (maps, secrets): (Api<ConfigMap>, Api<Secret>) = (space.api(), space.api());
    let make = PostParams::default();
    stream::iter(0..many)
        .map(|number| {
            let (maps, secrets, make) = (&maps, &secrets, &make);
            async move {
                let name = format!("object-{number}");
                let map = json!({"metadata": {"name": name}, "data": {"text": "x".repeat(200)}});
                let secret =
                    json!({"metadata": {"name": name}, "stringData": {"text": "x".repeat(200)}});
                maps.create(make, &serde_json::from_value(map)?).await?;
                secrets
                    .create(make, &serde_json::from_value(secret)?)
                    .await?;
                space.stop.check()
            }
        })
        .buffer_unordered(16)
        .try_collect::<()>()
        .await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = space.target.memory(LABELS).await?;
    let show = |memory: &std::collections::BTreeMap<String, u64>| {
        memory
            .values()
            .map(|bytes| format!("{} KiB", bytes / 1024))
            .collect::<Vec<_>>()
            .join(", ")
    };
    say(&format!(
        "cost: resident {}; with {many} ConfigMaps and {many} Secrets more {}",
        show(&before),
        show(&after)
    ));
    for (pod, bytes) in &after {
        ensure!(*bytes <= 32 * MIB, "{pod} has {} MiB", bytes / MIB);
        let was = before.get(pod).copied().unwrap_or(*bytes);
        ensure!(*bytes <= was + 2 * MIB, "{pod} grew from {was} to {bytes}");
    }
    Ok(())
}
