//! A cluster with thousands of StatefulSets, of which a few are NATS.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use natsguard_tests::bed::guard::CONTROLLER_LABELS;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::json;

use super::leader::holder;
use super::{START, create_in, idle, metric};

const MEMORY: u64 = 64 * 1024 * 1024;
const FIRST_SCAN: Duration = Duration::from_secs(30);

const LABEL: &str = "natsguard.dev/test";

pub async fn cluster(space: &Space) -> Result<()> {
    let (all, nats) = if space.options.full {
        (10_000, 200)
    } else {
        (400, 20)
    };
    let filled = fill(space, all, nats).await;
    let result = match filled {
        Ok(()) => first_scan(space, all, nats).await,
        Err(error) => Err(error),
    };
    empty(space).await?;
    result
}

async fn first_scan(space: &Space, all: u32, nats: u32) -> Result<()> {
    // A new leader sees all of them for the first time.
    let before = space.audit()?.len();
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
            // The former leader may still be there.
            let pods = space.target.memory(CONTROLLER_LABELS).await?;
            match holder(space).await {
                Ok(leader) if pods.contains_key(&leader) => {}
                other => return Ok(Err(format!("{other:?} leads"))),
            }
            Ok(match metric(space, name).await {
                Ok(time) if time > 0.0 => Ok(()),
                Ok(_) => Err("it is not complete".to_owned()),
                Err(error) => Err(error.to_string()),
            })
        })
        .await?;
    let waited = start.elapsed();
    let took = metric(space, "natsguard_scan_duration_seconds_sum").await?
        / metric(space, "natsguard_scan_duration_seconds_count").await?;
    let workloads = metric(space, "natsguard_scan_workloads").await?;
    let memory = space.target.memory(CONTROLLER_LABELS).await?;
    let most = memory.values().max().copied().unwrap_or_default();
    say(&format!(
        "large: {all} StatefulSets, {nats} of them NATS: the first scan of {workloads} workloads took {took:.1} s and was complete {:.1} s after the rollout began; resident {} MiB",
        waited.as_secs_f64(),
        most / 1024 / 1024
    ));
    for event in &space.audit()?[before..] {
        let target = &event["objectRef"];
        ensure!(
            target["resource"] != "secrets"
                || !matches!(event["verb"].as_str(), Some("list" | "watch")),
            "{event}"
        );
    }
    ensure!(workloads >= f64::from(nats), "{workloads}");
    ensure!(waited < FIRST_SCAN, "{waited:?}");
    ensure!(most < MEMORY, "{most} bytes");
    Ok(())
}

/// Makes `all` StatefulSets without pods, `nats` of them NATS with a file and a Service, a hundred to a namespace.
async fn fill(space: &Space, all: u32, nats: u32) -> Result<()> {
    const EACH: u32 = 100;
    let namespaces: Api<Namespace> = Api::all(space.target.client.clone());
    for number in 0..all / EACH {
        let namespace =
            json!({"metadata": {"name": name(space, number), "labels": {LABEL: space.name}}});
        namespaces
            .create(&PostParams::default(), &serde_json::from_value(namespace)?)
            .await?;
    }
    let made = futures::stream::iter(0..all)
        .map(|number| async move {
            let namespace = name(space, number / EACH);
            let mut objects = idle(&namespace, &format!("n{number}"))?;
            objects[2]["spec"]["replicas"] = json!(0);
            if number % (all / nats) == 0 {
                return create_in(space, &namespace, &objects).await;
            }
            let pod = &mut objects[2]["spec"]["template"]["spec"];
            pod["containers"] = json!([{"name": "web", "image": "pause"}]);
            pod["volumes"] = json!([]);
            create_in(space, &namespace, &objects[2..]).await
        })
        .buffer_unordered(16);
    let failed: Vec<_> = made
        .filter_map(|made| std::future::ready(made.err()))
        .collect()
        .await;
    ensure!(failed.is_empty(), "{failed:?}");
    Ok(())
}

fn name(space: &Space, number: u32) -> String {
    format!("{}-{number}", space.name)
}

/// Removes them; the cluster does it in its own time.
async fn empty(space: &Space) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(space.target.client.clone());
    let own = ListParams::default().labels(&format!("{LABEL}={}", space.name));
    for namespace in namespaces.list(&own).await? {
        let name = namespace.metadata.name.unwrap_or_default();
        namespaces
            .delete(&name, &DeleteParams::background())
            .await?;
    }
    Ok(())
}
