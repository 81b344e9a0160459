//! natsguard is down: only NATS objects notice, and it comes back by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use natsguard_tests::bed::guard::{NAMESPACE, RELEASE};
use natsguard_tests::bed::nats::{LABELS, Nats};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::{Value, json};

use super::START;

fn nats_file(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
        "data": {"nats.conf": "cluster { port: 6222, routes: [nats://nats:6222] }"}})
}

async fn write(space: &Space, namespace: &str, object: &Value) -> Result<Result<(), String>> {
    let said = space
        .target
        .run(
            "kubectl",
            namespace,
            "apply --filename - --request-timeout=20s",
            Some(object.to_string()),
        )
        .await?;
    Ok(if said.success {
        Ok(())
    } else {
        Err(said.stderr)
    })
}

/// What everybody can do all the same, and what nobody can.
async fn others_are_free(space: &Space) -> Result<()> {
    let unrelated = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "unrelated"}, "data": {"key": "value"}});
    for (namespace, object) in [
        (space.name.as_str(), &unrelated),
        ("kube-system", &nats_file(&space.name)),
        (NAMESPACE, &nats_file(&space.name)),
    ] {
        write(space, namespace, object)
            .await?
            .map_err(anyhow::Error::msg)?;
        let line = format!(
            "delete configmap {}",
            object["metadata"]["name"].as_str().unwrap_or_default()
        );
        let said = space.target.run("kubectl", namespace, &line, None).await?;
        ensure!(said.success, "{}", said.stderr);
    }
    Ok(())
}

pub async fn all_dead(space: &Space) -> Result<()> {
    // One that was there before can be labelled, scaled and deleted all the same.
    space.apply(&Nats::sound(&space.name).objects()?).await?;
    space.wait_meshed(3, START).await?;
    space
        .target
        .kubectl_guard(&format!("scale deployment/{RELEASE} --replicas 0"))
        .await?;
    // They would go on to serve open connections for a while.
    space
        .target
        .kubectl_guard("delete pods --all --force --grace-period=0 --wait=false")
        .await?;
    space
        .wait("natsguard to be gone", START, async || {
            Ok(match space.target.guards().await?.len() {
                0 => Ok(()),
                left => Err(format!("{left} pods are left")),
            })
        })
        .await?;
    others_are_free(space).await?;
    let refused = write(space, &space.name, &nats_file("faulty"))
        .await?
        .expect_err("Fail means refused");
    ensure!(
        refused.contains("failed calling webhook \"configmaps.validate.natsguard.dev\""),
        "{refused}"
    );
    for line in [
        "label statefulset nats team=messaging",
        "scale statefulset nats --replicas 2",
        "delete statefulset nats",
    ] {
        let said = space.kubectl(line, None).await?;
        // A scale is no write of the StatefulSet itself, and a label is nothing that a policy reads.
        ensure!(said.success, "{line}: {}", said.stderr);
    }

    space
        .target
        .kubectl_guard(&format!("scale deployment/{RELEASE} --replicas 3"))
        .await?;
    space.target.wait_guards(START).await?;
    // All at once, as when the nodes lose power; nobody helps.
    for pod in space.target.guards().await? {
        space
            .target
            .local()?
            .kill_pod(&pod.metadata.uid.unwrap_or_default())?;
    }
    let start = Instant::now();
    others_are_free(space).await?;
    space
        .wait("natsguard to be back", START, async || {
            Ok(
                match write(space, &space.name, &nats_file("faulty")).await? {
                    Ok(()) => Ok(()),
                    Err(error) => Err(error),
                },
            )
        })
        .await?;
    say(&format!(
        "absence: back {:.1} s after all pods were killed",
        start.elapsed().as_secs_f64()
    ));
    assert!(start.elapsed() < Duration::from_mins(1));
    space.wait_pods(LABELS, 0, START, "left", |_| true).await?;
    Ok(())
}
