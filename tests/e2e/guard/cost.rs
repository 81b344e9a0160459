//! What natsguard costs whoever has nothing to do with NATS: no call, little memory.

use std::fmt::Debug;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};
use kube::api::{Api, Patch, PatchParams, PostParams};
use natsguard_tests::bed::guard::LABELS;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::load::workload;

/// 200 writes a second of ConfigMaps, Secrets and Services: the apiserver calls nobody.
pub async fn strangers(space: &Space) -> Result<()> {
    const PACE: u64 = 200;
    let span = if space.options.full { 60 } else { 5 };
    space
        .target
        .install(&space.stop, "--set secrets.enabled=true")
        .await?;
    let before = space.target.calls().await?;
    let start = Instant::now();
    let mut tick = tokio::time::interval(Duration::from_micros(2_000_000 / PACE));
    let mut running = tokio::task::JoinSet::new();
    let mut writes = 0;
    for number in 0..PACE / 2 * span {
        tick.tick().await;
        let (maps, secrets, services) = (space.api(), space.api(), space.api());
        running.spawn(async move {
            // One write makes it, the next changes what policies read.
            match number % 3 {
                0 => {
                    let text = |level| json!({"data": {"application.yaml": format!("port: 80\nlevel: {level}\n")}});
                    make_and_change::<ConfigMap>(&maps, number, text("info"), text("debug")).await
                }
                1 => {
                    let password = |text| json!({"stringData": {"password": text}});
                    make_and_change::<Secret>(&secrets, number, password("x"), password("y")).await
                }
                _ => {
                    let alias = |name| json!({"spec": {"type": "ExternalName", "externalName": name}});
                    make_and_change::<Service>(&services, number, alias("a.example.org"), alias("b.example.org")).await
                }
            }
        });
        while let Some(done) = running.try_join_next() {
            done??;
            writes += 2;
        }
    }
    while let Some(done) = running.join_next().await {
        done??;
        writes += 2;
    }
    let (calls, seconds) = (
        space.target.calls().await?.since(before),
        start.elapsed().as_secs_f64(),
    );
    let pace = f64::from(writes) / seconds;
    say(&format!(
        "cost: {writes} writes at {pace:.0} a second: {} calls",
        calls.made
    ));
    ensure!(pace > 150.0, "only {pace:.0} writes a second");
    assert_eq!(calls.made, 0);
    // A write that concerns natsguard is counted.
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    space.api().create(&dry, &workload(&space.name)?).await?;
    assert_eq!(space.target.calls().await?.since(before).made, 2);
    Ok(())
}

/// Two writes of one object.
async fn make_and_change<K>(
    api: &Api<K>,
    number: u64,
    mut object: Value,
    change: Value,
) -> Result<()>
where
    K: Serialize + DeserializeOwned + Clone + Debug,
{
    let name = format!("object-{number}");
    object["metadata"] = json!({"name": name});
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    api.patch(&name, &PatchParams::default(), &Patch::Merge(change))
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
