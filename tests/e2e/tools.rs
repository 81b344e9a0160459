//! What the test bed itself has to do right, for the tests that stand on it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use natsguard_tests::bed::nats::{LABELS, Nats};
use natsguard_tests::bed::space::Space;
use serde_json::json;

/// Helm 4 installs a chart into the test's namespace and removes it.
pub async fn helm(space: &Space) -> Result<()> {
    let folder = space.options.logs.join(format!("{}-chart", space.name));
    std::fs::create_dir_all(&folder)?;
    let chart = folder.join("demo");
    let run = async |line: String| {
        let said = space.helm(&line).await?;
        ensure!(said.success, "helm {line}: {}", said.stderr);
        anyhow::Ok(said.stdout)
    };
    run(format!("create {}", chart.display())).await?;
    run(format!(
        "install demo {} --set replicaCount=0 --wait",
        chart.display()
    ))
    .await?;
    let listed: serde_json::Value =
        serde_json::from_str(&run("list --output json".to_owned()).await?)?;
    assert_eq!(listed[0]["status"], "deployed");
    let version = run("version --template {{.Version}}".to_owned()).await?;
    assert!(version.starts_with("v4."), "{version}");
    run("uninstall demo --wait".to_owned()).await?;
    let left = space
        .kubectl("get deployments,services --output name", None)
        .await?;
    assert_eq!(left.stdout, "");
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

/// `natsguard explain` in a pod of each node prints what it prints here.
pub async fn image(space: &Space) -> Result<()> {
    let image = space.target.project_image(&space.stop).await?;
    let nodes = space.nodes().await?;
    let pods: Vec<_> = nodes
        .iter()
        .map(|node| {
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": node, "labels": {"app": "natsguard"}}, "spec": {
                "nodeName": node, "restartPolicy": "Never",
                "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "natsguard", "image": image, "args": ["explain", "service-route"],
                    "securityContext": {"allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                                        "capabilities": {"drop": ["ALL"]}}}]}})
        })
        .collect();
    space.apply(&pods).await?;
    space
        .wait_pods(
            "app=natsguard",
            nodes.len(),
            Duration::from_mins(1),
            "done",
            |pod| {
                pod.status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref())
                    == Some("Succeeded")
            },
        )
        .await?;
    let page = natsguard_policies::rules::find("service-route").context("the policy is there")?;
    for node in nodes {
        let said = space.kubectl(&format!("logs {node}"), None).await?;
        assert!(said.stdout.contains(page.id), "{node}: {}", said.stdout);
    }
    Ok(())
}

/// A server whose processes are stopped answers no more, and answers again once they go on; so does the apiserver.
pub async fn pause(space: &Space) -> Result<()> {
    const PATIENCE: Duration = Duration::from_secs(3);
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    space.wait_meshed(3, Duration::from_secs(90)).await?;
    let pods = space.pods(LABELS).await?;
    let uid = pods[2].metadata.uid.clone().context("a pod has a uid")?;
    let answers = async || {
        let asked = tokio::time::timeout(PATIENCE, space.monitor("nats-2", "/varz")).await;
        matches!(asked, Ok(Ok(_)))
    };
    let local = space.target.local()?;
    local.pause_pod(&uid)?;
    let paused = answers().await;
    local.resume_pod(&uid)?;
    assert!(!paused, "a stopped server answered");
    assert!(answers().await, "the server goes on");

    space.pause("kube-apiserver")?;
    let listed = tokio::time::timeout(PATIENCE, space.pods(LABELS)).await;
    space.resume("kube-apiserver")?;
    assert!(listed.is_err(), "a stopped apiserver answered");
    assert_eq!(space.pods(LABELS).await?.len(), 3);
    Ok(())
}
