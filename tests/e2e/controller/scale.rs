//! The number of pods changes: the routes follow, and nothing is rolled.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use natsguard_tests::bed::nats::{LABELS, Nats, full_names};
use natsguard_tests::bed::space::Space;
use serde_json::json;

use super::{START, lives, scale, wait_event, wait_routes};

/// What a rollout would change at once, and what later.
struct State {
    template: PodTemplateSpec,
    revision: Option<String>,
    lives: BTreeMap<String, (String, i32)>,
}

impl State {
    async fn of(space: &Space) -> Result<Self> {
        let set = space.api::<StatefulSet>().get("nats").await?;
        Ok(Self {
            template: set.spec.template,
            revision: set.status.and_then(|status| status.update_revision),
            lives: lives(space, LABELS).await?,
        })
    }

    /// There is no rollout, and the pods that were there are the same and never restarted.
    async fn is_kept(&self, space: &Space) -> Result<()> {
        let now = Self::of(space).await?;
        assert_eq!(now.template, self.template);
        assert_eq!(now.revision, self.revision);
        for (name, life) in &self.lives {
            let now = now.lives.get(name);
            ensure!(now == Some(life), "{name}: {life:?} {now:?}");
        }
        Ok(())
    }
}

/// A person scales up and down again.
pub async fn by_hand(space: &Space) -> Result<()> {
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    space.wait_meshed(3, START).await?;
    let before = State::of(space).await?;
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
    before.is_kept(space).await
}

/// An autoscaler does. Without metrics it still keeps to its least number.
pub async fn by_autoscaler(space: &Space) -> Result<()> {
    let nats = Nats {
        apart: false,
        ..Nats::sound(&space.name)
    };
    space.apply(&nats.objects()?).await?;
    space.wait_meshed(3, START).await?;
    let before = State::of(space).await?;
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "nats"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "nats"},
            "minReplicas": 4, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]}});
    space.apply(&[scaler]).await?;
    wait_routes(space, "nats-config", &full_names(&space.name, 4), START).await?;
    before.is_kept(space).await
}
