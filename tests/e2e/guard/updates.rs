//! Objects that were faulty before natsguard came can be used and removed, and nothing restarts.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use natsguard_tests::bed::nats::{Governing, LABELS, Nats};
use natsguard_tests::bed::space::{Space, is_running};
use serde_json::json;

use super::START;

pub async fn faulty_before(space: &Space) -> Result<()> {
    let faulty = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::ClusterIp,
        apart: false,
        ..Nats::sound(&space.name)
    };
    space.target.uninstall().await?;
    space.apply(&faulty.objects()?).await?;
    space
        .wait_pods(LABELS, 3, START, "running", is_running)
        .await?;
    space.target.install(&space.stop, "").await?;

    let revision = async || -> Result<(String, BTreeSet<String>)> {
        let said = space
            .kubectl(
                "get statefulset nats --output jsonpath={.status.updateRevision}",
                None,
            )
            .await?;
        let pods = space.pods(LABELS).await?;
        Ok((
            said.stdout,
            pods.into_iter()
                .filter_map(|pod| pod.metadata.uid)
                .collect(),
        ))
    };
    let before = revision().await?;
    let patch = |sort: &str, text: &serde_json::Value| {
        format!("patch statefulset nats --type {sort} --patch {text}")
    };
    let finalizer = |list: serde_json::Value| json!({"metadata": {"finalizers": list}});
    for line in [
        "label statefulset nats team=messaging".to_owned(),
        "annotate statefulset nats note=kept".to_owned(),
        "label configmap nats-config team=messaging".to_owned(),
        "label service nats team=messaging".to_owned(),
        patch("merge", &finalizer(json!(["example.org/held"]))),
        patch("merge", &finalizer(json!([]))),
        format!(
            "{} --subresource status",
            patch("merge", &json!({"status": {"observedGeneration": 1}}))
        ),
        // A field that policies read, but not one that makes anything worse.
        patch("merge", &json!({"spec": {"minReadySeconds": 1}})),
    ] {
        let said = space.kubectl(&line, None).await?;
        ensure!(said.success, "{line}: {}", said.stderr);
    }
    // The same manifest again, as a pipeline does every hour.
    let mut again = faulty.objects()?;
    again[2]["metadata"]["labels"] = json!({"team": "messaging"});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": again});
    let said = space
        .kubectl("apply --filename -", Some(list.to_string()))
        .await?;
    ensure!(said.success, "{}", said.stderr);
    assert_eq!(revision().await?, before, "something was rolled out");

    for line in [
        "scale statefulset nats --replicas 2",
        "scale statefulset nats --replicas 3",
        "delete statefulset nats",
        "delete configmap nats-config",
        "delete service nats",
    ] {
        let said = space.kubectl(line, None).await?;
        ensure!(said.success, "{line}: {}", said.stderr);
    }
    // What an update brings in is refused: here a new one of the same.
    let list = json!({"apiVersion": "v1", "kind": "List", "items": faulty.objects()?});
    let said = space
        .kubectl("apply --filename -", Some(list.to_string()))
        .await?;
    ensure!(
        !said.success && said.stderr.contains("natsguard explain service-route"),
        "{}",
        said.stderr
    );
    Ok(())
}
