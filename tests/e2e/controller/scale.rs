//! The number of pods changes: the routes follow, and nothing is rolled.

use std::time::Duration;

use anyhow::{Result, ensure};
use natsguard_tests::bed::nats::{LABELS, Nats, full_names};
use natsguard_tests::bed::space::Space;
use serde_json::json;

use super::{START, lives, scale, wait_event, wait_routes};

/// The pods that were there before are the same, and never restarted.
async fn are_untouched(
    space: &Space,
    before: &std::collections::BTreeMap<String, (String, i32)>,
) -> Result<()> {
    let now = lives(space, LABELS).await?;
    for (name, life) in before {
        ensure!(now.get(name) == Some(life), "{name}: {life:?} {now:?}");
    }
    Ok(())
}

/// A person scales up and down again.
pub async fn by_hand(space: &Space) -> Result<()> {
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    space.wait_meshed(3, START).await?;
    let before = lives(space, LABELS).await?;
    for replicas in [5, 3] {
        scale(space, "nats", replicas).await?;
        let wanted = full_names(&space.name, replicas);
        wait_routes(space, "nats-config", &wanted, START).await?;
    }
    let told = wait_event(space, "nats", "ReloadDue", START).await?;
    ensure!(
        told.contains("nats-config") && told.contains("nats-0"),
        "{told}"
    );
    tokio::time::sleep(Duration::from_secs(5)).await;
    are_untouched(space, &before).await
}

/// An autoscaler does. Without metrics it still keeps to its least number.
pub async fn by_autoscaler(space: &Space) -> Result<()> {
    let nats = Nats {
        apart: false,
        ..Nats::sound(&space.name)
    };
    space.apply(&nats.objects()?).await?;
    space.wait_meshed(3, START).await?;
    let before = lives(space, LABELS).await?;
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "nats"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nats"},
            "minReplicas": 4, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
    space.apply(&[scaler]).await?;
    wait_routes(space, "nats-config", &full_names(&space.name, 4), START).await?;
    are_untouched(space, &before).await
}
