//! What the chart grants the controller is what it uses: the audit log beside the list of rights.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use natsguard::reports::Kind;
use natsguard::rights::{Reach, Right, Tasks, controller};
use natsguard_tests::bed::nats::{LABELS, Nats};
use natsguard_tests::bed::space::{Space, is_running};
use serde_json::{Value, json};

use super::{START, idle, lives, named_routes, reports, scale, touches, wait_event, wait_routes};

const USER: &str = "system:serviceaccount:natsguard-system:natsguard-controller";

/// Servers that started with the wrong file while no controller was there, and all else that it does.
pub async fn used(space: &Space) -> Result<()> {
    space.target.uninstall().await?;
    let before = space.audit()?.len();
    reports::with(space, &[Kind::Report], async || work(space).await).await?;

    let tasks = Tasks {
        secrets: false,
        openreports: true,
        policyreports: false,
    };
    let granted: BTreeSet<_> = controller(tasks)
        .into_iter()
        .filter(|right| !is_unseen(right))
        .map(|right| {
            (
                right.group.to_owned(),
                right.resource.to_owned(),
                right.verb.to_owned(),
            )
        })
        .collect();
    let mut seen = BTreeSet::new();
    for event in &space.audit()?[before..] {
        let target = &event["objectRef"];
        if event["user"]["username"] != USER || !target.is_object() {
            continue;
        }
        ensure!(event["responseStatus"]["code"] != 403, "{event}");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        seen.insert((
            text(&target["apiGroup"]),
            text(&target["resource"]),
            text(&event["verb"]),
        ));
    }
    assert_eq!(seen, granted);
    Ok(())
}

/// What is needed, and not seen here: Events about settings that are refused, which the kubelet takes a minute to bring; the
/// same Event twice in six minutes; the create that an apply of a new report is authorized as; the kind of reports that this
/// cluster does not have; the labels of namespaces, where no selector asks for them.
fn is_unseen(right: &Right) -> bool {
    match (right.resource, right.verb) {
        ("events", verb) => right.reach == Reach::Own || verb == "patch",
        ("namespaces", _) => true,
        ("reports", verb) => verb == "create",
        (resource, _) => resource == "policyreports",
    }
}

async fn work(space: &Space) -> Result<()> {
    // What was there before natsguard is left as it is: nothing keeps these pods apart, so the nodes matter.
    let mut apart = idle(&space.name, "apart")?;
    apart[2]["spec"]["template"]["spec"]["affinity"] = Value::Null;
    space.apply(&apart).await?;
    let flags = "--set controller.reports=openreports --set controller.scanEvery=5s --set controller.restartAfter=5s";
    space.target.install(&space.stop, flags).await?;
    scale_controller(space, 0).await?;
    // No server finds another with this file.
    let nats = Nats {
        claim: Some(space.volumes(1, "256Mi").await?),
        routes: vec![format!(
            "nats://nats-9.nats.{}.svc.cluster.local:6222",
            space.name
        )],
        ..Nats::sound(&space.name)
    };
    space.apply(&nats.objects()?).await?;
    space
        .wait_pods(LABELS, 3, START, "running", is_running)
        .await?;
    let wrong = lives(space, LABELS).await?;
    scale_controller(space, 2).await?;
    space.wait_meshed(3, START).await?;
    let right = lives(space, LABELS).await?;
    for (pod, (uid, _)) in &wrong {
        let (now, restarts) = right.get(pod).context("the pod is back")?;
        ensure!(now != uid && *restarts == 0, "{pod}: {wrong:?} {right:?}");
        assert_eq!(touches(space, "delete", "pods", pod)?, 1, "{pod}");
    }
    assert_eq!(touches(space, "patch", "configmaps", "nats-config")?, 1);

    for replicas in [2, 3] {
        scale(space, "nats", replicas).await?;
        let wanted = natsguard_tests::bed::nats::full_names(&space.name, replicas);
        wait_routes(space, "nats-config", &wanted, START).await?;
        wait_event(space, "nats", "ReloadDue", START).await?;
    }

    // One without a class, whose Service goes: hidden first, so that there is something to repair about it.
    let mut objects = idle(&space.name, "other")?;
    objects[1]["spec"]["publishNotReadyAddresses"] = json!(false);
    let set = &mut objects[2]["spec"];
    set["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]);
    if let Some(volumes) = set["template"]["spec"]["volumes"].as_array_mut() {
        volumes.retain(|volume| volume["name"] != "data");
    }
    space.apply(&objects).await?;
    wait_routes(
        space,
        "other",
        &named_routes(&space.name, "other", 3),
        START,
    )
    .await?;
    space
        .wait("the Service to be repaired", START, async || {
            Ok(match touches(space, "patch", "services", "other")? {
                1 => Ok(()),
                count => Err(format!("it was touched {count} times")),
            })
        })
        .await?;
    space.kubectl("delete service other", None).await?.ok()?;
    scale(space, "other", 2).await?;
    wait_report(space, "natsguard-statefulset-other", true).await?;

    missing(space).await?;

    // No NATS any more: its report goes.
    let patch = json!({"spec": {"template": {"spec": {"volumes": null,
        "containers": [{"name": "web", "image": "pause"}]}}}});
    let line = format!("patch statefulset other --type merge --patch {patch}");
    space.kubectl(&line, None).await?.ok()?;
    wait_report(space, "natsguard-statefulset-other", false).await
}

/// Three StatefulSets, without their file, the claim of their store, and its class: each of them is watched, as the Service was.
async fn missing(space: &Space) -> Result<()> {
    let absent = format!("{}-absent", space.name);
    let [_, _, file] = idle(&space.name, "file")?;
    space.apply(&[file]).await?;
    let mut claim = idle(&space.name, "claim")?;
    claim[2]["spec"]["template"]["spec"]["volumes"][1] =
        json!({"name": "data", "persistentVolumeClaim": {"claimName": "absent"}});
    claim[2]["spec"]["replicas"] = json!(1);
    space.apply(&claim).await?;
    let mut class = idle(&space.name, "class")?;
    let set = &mut class[2]["spec"];
    set["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": {"storageClassName": absent,
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}}]);
    if let Some(volumes) = set["template"]["spec"]["volumes"].as_array_mut() {
        volumes.retain(|volume| volume["name"] != "data");
    }
    space.apply(&class).await?;
    for resource in [
        "configmaps",
        "services",
        "persistentvolumeclaims",
        "storageclasses",
    ] {
        let what = format!("a watch of {resource}");
        space
            .wait(&what, START, async || {
                let is_one = |event: &Value| {
                    event["verb"] == "watch" && event["objectRef"]["resource"] == resource
                };
                Ok(if space.audit()?.iter().any(is_one) {
                    Ok(())
                } else {
                    Err("there is none".to_owned())
                })
            })
            .await?;
    }
    Ok(())
}

async fn scale_controller(space: &Space, replicas: usize) -> Result<()> {
    let target = &space.target;
    target
        .kubectl_guard(&format!(
            "scale deployment/natsguard-controller --replicas {replicas}"
        ))
        .await?;
    target
        .kubectl_guard("rollout status deployment/natsguard-controller --timeout 60s")
        .await?;
    Ok(())
}

async fn wait_report(space: &Space, name: &str, there: bool) -> Result<()> {
    space
        .wait(&format!("the report {name}"), START, async || {
            let line =
                format!("get reports.openreports.io {name} --ignore-not-found --output name");
            let said = space.kubectl(&line, None).await?;
            Ok(if said.stdout.is_empty() == there {
                Err(said.stdout + &said.stderr)
            } else {
                Ok(())
            })
        })
        .await
}
