//! Somebody who writes the wrong file again and again: noticed, said, and left alone.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace};
use kube::api::{Api, ListParams, Patch, PatchParams};
use natsguard_tests::bed::guard::NAMESPACE;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::{Value, json};

use super::{START, create, idle, metric, named_routes, routes, touches, wait_event, wait_routes};

/// So many repairs are made before it is called a fight.
const PATIENCE: usize = 3;

/// Admission would repair each write of the owner inside the owner's request, so the owner writes while its namespace is
/// not guarded.
pub async fn owner(space: &Space) -> Result<()> {
    space
        .target
        .install(
            &space.stop,
            "--set webhook.namespaceSelector.matchLabels.guarded=yes",
        )
        .await?;
    guard(space, true).await?;
    let objects = idle(&space.name, "fought")?;
    space.apply(&objects).await?;
    let wanted = named_routes(&space.name, "fought", 3);
    let (start, mut repaired) = (Instant::now(), 0);
    for round in 1..=8 {
        // Each takes less than a second.
        let limit = if repaired < PATIENCE { 20 } else { 8 };
        if !is_repaired(space, &wanted, Duration::from_secs(limit)).await? {
            break;
        }
        repaired += 1;
        ensure!(
            start.elapsed() < Duration::from_secs(50),
            "{repaired} rounds took longer than a minute"
        );
        write_wrong(space, &objects[0], round).await?;
    }
    ensure!(
        (PATIENCE..=PATIENCE + 1).contains(&repaired),
        "repaired {repaired} times"
    );
    let told = wait_event(space, "fought", "RepairFight", START).await?;
    let count = touches(space, "patch", "configmaps", "fought")?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(touches(space, "patch", "configmaps", "fought")?, count);
    assert_eq!(routes(space, "fought").await?, ["nats://fought:6222"]);
    ensure!(metric(space, "natsguard_controller_fights_total").await? >= 1.0);
    say(&format!("fight: left alone after {count} repairs: {told}"));
    Ok(())
}

/// The owner writes where it is guarded: every write is repaired inside the owner's request, and its next one finds a file that
/// it did not write.
pub async fn against_admission(space: &Space) -> Result<()> {
    let objects = idle(&space.name, "fought")?;
    create(space, &objects).await?;
    let wanted = named_routes(&space.name, "fought", 3);
    wait_routes(space, "fought", &wanted, START).await?;
    let events: Api<Event> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let (maps, data) = (
        space.api::<ConfigMap>(),
        json!({"data": objects[0]["data"]}),
    );
    let start = Instant::now();
    let told = space
        .wait("the fight to be told", START, async || {
            for _ in 0..5 {
                let params = PatchParams::default();
                maps.patch("fought", &params, &Patch::Merge(&data)).await?;
            }
            assert_eq!(routes(space, "fought").await?, wanted);
            let all = events.list(&ListParams::default()).await?;
            let own = format!("ConfigMap {}/fought ", space.name);
            let told = all.into_iter().find(|event| {
                event.reason.as_deref() == Some("RepairFight")
                    && event
                        .message
                        .as_ref()
                        .is_some_and(|message| message.starts_with(&own))
            });
            Ok(told.ok_or_else(|| "no Event says so".to_owned()))
        })
        .await?;
    say(&format!(
        "fight: told after {:.1} s: {}",
        start.elapsed().as_secs_f64(),
        told.message.unwrap_or_default()
    ));
    Ok(())
}

async fn is_repaired(space: &Space, wanted: &[String], limit: Duration) -> Result<bool> {
    let start = Instant::now();
    while start.elapsed() < limit {
        if routes(space, "fought").await? == wanted {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(false)
}

/// The owner's write, and a change of the StatefulSet that makes natsguard look.
async fn write_wrong(space: &Space, map: &Value, round: usize) -> Result<()> {
    guard(space, false).await?;
    let data = json!({"data": map["data"]});
    space
        .api::<ConfigMap>()
        .patch("fought", &PatchParams::default(), &Patch::Merge(data))
        .await?;
    guard(space, true).await?;
    let line = format!(
        "patch statefulset fought --type merge --patch {{\"spec\":{{\"minReadySeconds\":{round}}}}}"
    );
    space.kubectl(&line, None).await?.ok().map(drop)
}

/// Whether natsguard looks at the namespace. The apiserver knows a moment later.
async fn guard(space: &Space, guarded: bool) -> Result<()> {
    assert_ne!(space.name, NAMESPACE);
    let label = json!({"metadata": {"labels": {"guarded": if guarded { "yes" } else { "no" }}}});
    Api::<Namespace>::all(space.target.client.clone())
        .patch(&space.name, &PatchParams::default(), &Patch::Merge(label))
        .await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(())
}
