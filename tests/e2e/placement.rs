//! Where the scheduler puts the pods of a NATS cluster.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use natsguard_tests::bed::nats::{LABELS, Nats, full_names};
use natsguard_tests::bed::space::{Space, is_running, node_of};

const START: Duration = Duration::from_secs(90);

fn nodes_of(pods: &[Pod]) -> BTreeSet<&str> {
    pods.iter().filter_map(node_of).collect()
}

/// Three pods are on three nodes, and of one pod more than there are nodes, one waits.
pub async fn apart(space: &Space) -> Result<()> {
    let nodes = space.nodes().await?.len();
    ensure!(
        nodes >= 3,
        "this needs three nodes, the cluster has {nodes}"
    );
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    let pods = space
        .wait_pods(LABELS, 3, START, "running", is_running)
        .await?;
    assert_eq!(nodes_of(&pods).len(), 3);

    let more = nodes + 1;
    let said = space
        .kubectl(&format!("scale statefulset nats --replicas {more}"), None)
        .await?;
    ensure!(said.success, "{}", said.stderr);
    space
        .wait_pods(LABELS, nodes, START, "running", is_running)
        .await?;
    space
        .wait("one pod to find no node", START, async || {
            let pods = space.pods(LABELS).await?;
            let reasons: Vec<String> = pods
                .iter()
                .filter_map(|pod| pod.status.as_ref()?.conditions.as_ref())
                .flatten()
                .filter(|condition| condition.reason.as_deref() == Some("Unschedulable"))
                .filter_map(|condition| condition.message.clone())
                .collect();
            Ok(match &reasons[..] {
                [reason] if reason.contains("anti-affinity rules") => Ok(()),
                _ => Err(format!("{reasons:?}")),
            })
        })
        .await
}

/// The same pods without the rule all find a node, so two share one.
pub async fn together(space: &Space) -> Result<()> {
    let more = space.nodes().await?.len() + 1;
    let nats = Nats {
        apart: false,
        replicas: more,
        routes: full_names(&space.name, more),
        ..Nats::sound(&space.name)
    };
    space.apply(&nats.objects()?).await?;
    let pods = space
        .wait_pods(LABELS, more, START, "running", is_running)
        .await?;
    assert!(nodes_of(&pods).len() < more);
    Ok(())
}
