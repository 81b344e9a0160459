//! The faults that took the first users' clusters apart, on real pods.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;
use natsguard_tests::bed::nats::{Governing, LABELS, Nats};
use natsguard_tests::bed::space::{Space, is_ready, is_running};

const START: Duration = Duration::from_secs(90);

/// Three servers that run, are never Ready, have no routes, and say that they wait for a meta leader.
async fn never_forms(space: &Space, nats: &Nats) -> Result<()> {
    space.apply(&nats.objects()?).await?;
    space
        .wait_pods(LABELS, 3, START, "running", is_running)
        .await?;
    let observed = Duration::from_secs(if space.options.full { 180 } else { 12 });
    let start = Instant::now();
    while start.elapsed() < observed {
        let ready = space
            .pods(LABELS)
            .await?
            .iter()
            .filter(|pod| is_ready(pod))
            .count();
        assert_eq!(ready, 0, "Ready after {} s", start.elapsed().as_secs());
        space.stop.check()?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    for pod in ["nats-0", "nats-1", "nats-2"] {
        let routez = space.monitor(pod, "/routez").await?;
        assert_eq!(routez["num_routes"], 0, "{pod}: {routez}");
        assert_eq!(space.remotes(pod).await?, BTreeSet::new());
        let (status, text) = space.get(pod, 8222, "/healthz").await?;
        assert_eq!(status, 503, "{pod}: {text}");
        assert!(
            text.contains("JetStream is still recovering meta layer"),
            "{pod}: {text}"
        );
    }
    Ok(())
}

pub async fn service_route(space: &Space) -> Result<()> {
    let nats = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::ClusterIp,
        ..Nats::sound(&space.name)
    };
    never_forms(space, &nats).await
}

pub async fn hidden_names(space: &Space) -> Result<()> {
    let nats = Nats {
        governing: Governing::Headless,
        ..Nats::sound(&space.name)
    };
    never_forms(space, &nats).await
}

pub async fn published_names(space: &Space) -> Result<()> {
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    space.wait_meshed(3, START).await?;
    Ok(())
}
