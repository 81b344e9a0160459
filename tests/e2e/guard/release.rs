//! Installing twice, comparing, removing: nothing moves that need not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, PostParams};
use natsguard_tests::bed::guard::{NAMESPACE, RELEASE};
use natsguard_tests::bed::nats::Nats;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use natsguard_tests::bed::target::Target;
use serde_json::json;

use super::START;
use super::certificates::bundles;

/// The pods and everything of the release, with its version.
async fn state(space: &Space) -> Result<String> {
    let kinds = "deployment,service,configmap,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding,poddisruptionbudget,\
                 networkpolicy,mutatingwebhookconfiguration,validatingwebhookconfiguration,pod";
    space
        .target
        .kubectl_guard(&format!(
            "get {kinds} --selector app.kubernetes.io/instance={RELEASE} --sort-by=.metadata.uid --output \
             jsonpath={{range.items[*]}}{{.kind}}/{{.metadata.name}}={{.metadata.uid}}@{{.metadata.generation}}{{\"\\n\"}}{{end}}"
        ))
        .await
}

pub async fn upgrade(space: &Space) -> Result<()> {
    let before = state(space).await?;
    ensure!(before.lines().count() > 12, "{before}");
    space.target.install(&space.stop, "").await?;
    assert_eq!(state(space).await?, before);

    is_as_applied(&space.target, NAMESPACE, RELEASE, "").await
}

/// A server-side apply of a release's manifests would change nothing.
pub async fn is_as_applied(
    target: &Target,
    namespace: &str,
    release: &str,
    flags: &str,
) -> Result<()> {
    let get = format!("get manifest {release}");
    let manifests = target.run("helm", namespace, &get, None).await?.ok()?;
    let diff = format!("diff --server-side {flags} --filename -");
    let diff = target
        .run("kubectl", namespace, &diff, Some(manifests))
        .await?;
    assert_eq!(
        (diff.success, diff.stdout.as_str()),
        (true, ""),
        "{}",
        diff.stderr
    );
    Ok(())
}

/// Secrets are looked at or not, as an upgrade says, although natsguard wrote its bundle into their entry.
pub async fn secrets_on_and_off(space: &Space) -> Result<()> {
    for enabled in [true, false, true, false] {
        space
            .target
            .install(&space.stop, &format!("--set secrets.enabled={enabled}"))
            .await?;
        for kind in ["mutating", "validating"] {
            let names = space
                .target
                .kubectl_guard(&format!(
                    "get {kind}webhookconfiguration {RELEASE} --output jsonpath={{.webhooks[*].rules[*].resources[*]}}"
                ))
                .await?;
            ensure!(
                names.contains("secrets") == enabled && names.contains("statefulsets"),
                "secrets.enabled={enabled}: {kind} looks at {names}"
            );
        }
        space
            .wait("every entry to be trusted", START, async || {
                let seen = bundles(space).await?;
                Ok(if seen.len() == 1 && !seen.contains(&Vec::new()) {
                    Ok(())
                } else {
                    Err(format!("there are {} bundles", seen.len()))
                })
            })
            .await?;
    }
    Ok(())
}

/// The doctor finds nothing wrong: in a pod, as Helm's own test, and here, through a port-forward.
pub async fn doctor(space: &Space) -> Result<()> {
    let test = format!("test {RELEASE} --logs --timeout 60s");
    let tested = space.target.helm("helm", &test).await?;
    ensure!(tested.contains("Succeeded"), "{tested}");
    let line = format!("doctor --namespace {NAMESPACE} --controller {RELEASE}-controller");
    let said = space.target.natsguard(&space.stop, &line).await?;
    let lines = |state: &str| -> Vec<_> {
        let lines = said.stdout.lines();
        lines
            .filter_map(|line| line.strip_prefix(state)?.split_whitespace().next())
            .collect()
    };
    let all = format!("{}{}", said.stdout, said.stderr);
    ensure!(said.success && lines("ok").contains(&"review"), "{all}");
    assert_eq!(lines("not seen"), ["dns", "tcp"], "{all}");
    Ok(())
}

/// Helm 3 does all of it, too.
pub async fn helm_3(space: &Space) -> Result<()> {
    const HELM: &str = "helm3";
    space.target.uninstall().await?;
    space.target.install_by(HELM, &space.stop, "").await?;
    let before = state(space).await?;
    space.target.install_by(HELM, &space.stop, "").await?;
    assert_eq!(state(space).await?, before);
    let test = format!("test {RELEASE} --timeout 60s");
    space.target.helm(HELM, &test).await?;
    uninstall_by(space, HELM).await
}

/// Writes of all kinds go on while natsguard is removed, and none fails; then nothing is left of it.
pub async fn uninstall(space: &Space) -> Result<()> {
    uninstall_by(space, "helm").await
}

async fn uninstall_by(space: &Space, helm: &'static str) -> Result<()> {
    let before = space.target.calls().await?;
    let stop = Arc::new(AtomicBool::new(false));
    let maps: Api<ConfigMap> = space.api();
    let sets = space.api();
    let set: k8s_openapi::api::apps::v1::StatefulSet =
        serde_json::from_value(Nats::sound(&space.name).objects()?.swap_remove(2))?;
    let writer = {
        let stop = Arc::clone(&stop);
        tokio::spawn(async move {
            let dry = PostParams {
                dry_run: true,
                ..PostParams::default()
            };
            let (mut writes, mut problems) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                let map = json!({"metadata": {"generateName": "map-"}, "data": {"nats.conf": "cluster { routes: [] }"}});
                match serde_json::from_value(map) {
                    Ok(map) => {
                        if let Err(error) = maps.create(&dry, &map).await {
                            problems.push(error.to_string());
                        }
                    }
                    Err(error) => problems.push(error.to_string()),
                }
                if let Err(error) = sets.create(&dry, &set).await {
                    problems.push(error.to_string());
                }
                writes += 2;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            (writes, problems)
        })
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    let calls = space.target.calls().await?.since(before);
    let uninstall = format!("uninstall {RELEASE}");
    let removed = space.target.helm(helm, &uninstall).await;
    // Whatever would still call it had the time to.
    tokio::time::sleep(Duration::from_secs(5)).await;
    stop.store(true, Ordering::Relaxed);
    let (writes, problems) = writer.await?;
    removed?;
    say(&format!(
        "release: {writes} writes during the uninstall by {helm}, {} failed; {} calls before it",
        problems.len(),
        calls.made
    ));
    ensure!(writes > 50 && calls.made > 0, "{writes} writes, {calls:?}");
    ensure!(problems.is_empty(), "{problems:#?}");
    let left = space
        .target
        .run(
            "kubectl",
            "default",
            "get clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration,priorityclass,\
             customresourcedefinition --output name",
            None,
        )
        .await?
        .ok()?;
    let left: Vec<_> = left
        .lines()
        .filter(|name| name.contains("natsguard"))
        .collect();
    ensure!(left.is_empty(), "{left:?}");
    let leases = space
        .target
        .kubectl_guard("get leases --output name")
        .await?;
    assert_eq!(leases, "");
    Ok(())
}
