//! natsguard comes into a cluster full of NATS: it says what it sees, and leaves it as it is until somebody touches it.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams, PostParams};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::{Value, json};

use super::{START, lives, named, named_routes, routes, wait_routes};

const DEPLOYMENTS: usize = 10;
const LABELS: &str = "natsguard.dev/test=existing";

/// Reports of openreports.io/v1alpha1, as far as natsguard writes them: the fields and types of the project's own definition.
fn definition() -> Result<CustomResourceDefinition> {
    let text = json!({"type": "string"});
    let count = json!({"type": "integer"});
    let subject = json!({"type": "object", "properties": {
        "apiVersion": text, "kind": text, "namespace": text, "name": text, "uid": text}});
    let result = json!({"type": "object", "required": ["policy"], "properties": {
        "source": text, "category": text, "policy": text, "rule": text, "message": text, "scored": {"type": "boolean"},
        "result": {"type": "string", "enum": ["pass", "fail", "warn", "error", "skip"]},
        "severity": {"type": "string", "enum": ["critical", "high", "low", "medium", "info"]},
        "properties": {"type": "object", "additionalProperties": text},
        "timestamp": {"type": "object", "required": ["seconds", "nanos"], "properties": {
            "seconds": {"type": "integer", "format": "int64"}, "nanos": {"type": "integer", "format": "int32"}}}}});
    let schema = json!({"type": "object", "properties": {
        "source": text, "scope": subject, "results": {"type": "array", "items": result},
        "summary": {"type": "object", "properties": {
            "pass": count, "fail": count, "warn": count, "error": count, "skip": count}}}});
    Ok(serde_json::from_value(json!({
        "metadata": {"name": "reports.openreports.io"},
        "spec": {"group": "openreports.io", "scope": "Namespaced",
            "names": {"plural": "reports", "singular": "report", "kind": "Report", "listKind": "ReportList"},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}}))?)
}

/// The API of reports, for as long as a test needs it.
pub async fn with_reports(space: &Space) -> Result<Api<DynamicObject>> {
    let definitions: Api<CustomResourceDefinition> = Api::all(space.target.client.clone());
    definitions
        .create(&PostParams::default(), &definition()?)
        .await?;
    let kind = ApiResource {
        group: "openreports.io".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "openreports.io/v1alpha1".to_owned(),
        kind: "Report".to_owned(),
        plural: "reports".to_owned(),
    };
    let reports: Api<DynamicObject> =
        Api::namespaced_with(space.target.client.clone(), &space.name, &kind);
    space
        .wait("the API of reports", START, async || {
            let list = reports.list(&ListParams::default()).await;
            Ok(list.map(drop).map_err(|error| error.to_string()))
        })
        .await?;
    Ok(reports)
}

/// Takes it away again.
pub async fn without_reports(space: &Space) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(space.target.client.clone());
    definitions
        .delete("reports.openreports.io", &DeleteParams::default())
        .await?;
    Ok(())
}

/// A faulty deployment of two servers under a name of its own.
fn deployment(space: &Space, name: &str) -> Result<[Value; 3]> {
    let mut objects = named(&space.name, name)?;
    let set = &mut objects[2]["spec"];
    set["replicas"] = json!(2);
    set["template"]["metadata"]["labels"]["natsguard.dev/test"] = "existing".into();
    let pod = &mut set["template"]["spec"];
    pod["affinity"] = json!(null);
    // Its cluster never comes together; that its servers run is enough here.
    pod["containers"][0]["readinessProbe"] = json!(null);
    Ok(objects)
}

fn name(number: usize) -> String {
    format!("nats-{number}")
}

async fn versions(space: &Space) -> Result<Vec<Option<String>>> {
    let maps = space
        .api::<ConfigMap>()
        .list(&ListParams::default())
        .await?;
    Ok(maps
        .into_iter()
        .filter(|map| {
            map.metadata
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with("nats-"))
        })
        .map(|map| map.metadata.resource_version)
        .collect())
}

/// Ten of them are there before natsguard.
pub async fn install(space: &Space) -> Result<()> {
    space.target.uninstall().await?;
    let reports = with_reports(space).await?;
    let result = reported_and_repaired(space, &reports).await;
    without_reports(space).await?;
    result
}

async fn reported_and_repaired(space: &Space, reports: &Api<DynamicObject>) -> Result<()> {
    for number in 0..DEPLOYMENTS {
        space.apply(&deployment(space, &name(number))?).await?;
    }
    let running = natsguard_tests::bed::space::is_running;
    space
        .wait_pods(LABELS, DEPLOYMENTS * 2, START, "running", running)
        .await?;
    let (lives_before, versions_before) = (lives(space, LABELS).await?, versions(space).await?);

    space
        .target
        .install(&space.stop, "--set controller.scanEvery=10s")
        .await?;
    let found = space
        .wait("ten reports", START, async || {
            let found = reports.list(&ListParams::default()).await?.items;
            Ok(if found.len() == DEPLOYMENTS {
                Ok(found)
            } else {
                Err(format!("there are {}", found.len()))
            })
        })
        .await?;
    for report in &found {
        let data = &report.data;
        let fails = data["summary"]["fail"].as_u64().context("a count")?;
        let results = data["results"].as_array().context("results")?;
        ensure!(
            fails > 0
                && results
                    .iter()
                    .any(|result| result["policy"] == "service-route" && result["result"] == "fail"),
            "{data}"
        );
        ensure!(data["source"] == "natsguard", "{data}");
    }
    // A second scan writes nothing, and nothing has moved.
    let reported = |list: &[DynamicObject]| -> Vec<_> {
        list.iter()
            .map(|report| report.metadata.resource_version.clone())
            .collect()
    };
    tokio::time::sleep(Duration::from_secs(15)).await;
    let again = reports.list(&ListParams::default()).await?.items;
    assert_eq!(reported(&again), reported(&found));
    assert_eq!(lives(space, LABELS).await?, lives_before);
    assert_eq!(versions(space).await?, versions_before);

    for number in 0..DEPLOYMENTS {
        let name = name(number);
        assert_eq!(routes(space, &name).await?, [format!("nats://{name}:6222")]);
        let said = space
            .kubectl(&format!("scale statefulset {name} --replicas 3"), None)
            .await?;
        ensure!(said.success, "{}", said.stderr);
        wait_routes(space, &name, &named_routes(&space.name, &name, 3), START).await?;
    }
    let now = lives(space, LABELS).await?;
    for (pod, life) in &lives_before {
        ensure!(now.get(pod) == Some(life), "{pod}: {life:?} {now:?}");
    }
    space
        .wait("reports without the fault", START, async || {
            let found = reports.list(&ListParams::default()).await?.items;
            let left = found.iter().filter(|report| {
                report.data["results"].as_array().is_some_and(|results| {
                    results.iter().any(|one| one["policy"] == "service-route")
                })
            });
            Ok(match left.count() {
                0 => Ok(()),
                left => Err(format!("{left} still tell of it")),
            })
        })
        .await?;
    say(&format!(
        "existing: {DEPLOYMENTS} deployments of two pods reported and unchanged, then repaired as each was scaled"
    ));
    Ok(())
}
