//! natsguard comes into a cluster full of NATS: it says what it sees, and leaves it as it is until somebody touches it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DynamicObject, ListParams};
use natsguard::reports::Kind;
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use serde_json::{Value, json};

use super::{START, lives, named, named_routes, reports, routes, scale, wait_routes};

const DEPLOYMENTS: usize = 10;
const LABELS: &str = "natsguard.dev/test=existing";

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

/// Ten of them are there before natsguard, and both kinds of reports.
pub async fn install(space: &Space) -> Result<()> {
    space.target.uninstall().await?;
    reports::with(space, &Kind::ALL, async || {
        reported_and_repaired(space).await?;
        the_older_kind(space).await
    })
    .await
}

/// What is left is written as the older kind when the better one goes.
async fn the_older_kind(space: &Space) -> Result<()> {
    let (newer, older) = (
        reports::api(space, Kind::Report),
        reports::api(space, Kind::PolicyReport),
    );
    let before = newer.list(&ListParams::default()).await?.items;
    ensure!(!before.is_empty(), "nothing is left to report");
    let is_unused = older.list(&ListParams::default()).await?.items.is_empty();
    ensure!(is_unused, "both kinds are written");
    reports::remove(space, Kind::Report).await?;
    let told = |reports: &[DynamicObject]| -> BTreeMap<_, _> {
        let tells = |report: &DynamicObject| {
            let data = &report.data;
            let what = ["scope", "results", "summary"].map(|field| {
                let mut value = data[field].clone();
                for result in value.as_array_mut().into_iter().flatten() {
                    result["timestamp"] = Value::Null;
                }
                value
            });
            (report.metadata.name.clone(), what)
        };
        reports.iter().map(tells).collect()
    };
    space
        .wait("policy reports", START, async || {
            let now = older.list(&ListParams::default()).await?.items;
            Ok(if now.len() == before.len() {
                assert_eq!(told(&now), told(&before));
                Ok(())
            } else {
                Err(format!("there are {}", now.len()))
            })
        })
        .await
}

/// `natsguard scan` sees what is reported, and its plan is what is due.
async fn scanned_by_hand(space: &Space, reports: &[DynamicObject]) -> Result<()> {
    let scan = async |flags: &str| {
        let line = format!(
            "scan --cluster-domain cluster.local --namespace {} {flags}",
            space.name
        );
        let said = space.target.natsguard(&space.stop, &line).await?;
        assert_eq!((said.success, said.stderr.as_str()), (true, ""), "{line}");
        anyhow::Ok(said.stdout)
    };
    let scanned: Value = serde_json::from_str(&scan("--output json --fail-on deny").await?)?;
    let mut seen: Vec<_> = rows(&scanned["findings"])
        .map(|row| {
            let place = row["file"].as_str().unwrap_or_default();
            let name = place.rsplit('/').next().unwrap_or_default();
            (name.to_owned(), row["policy"].clone().to_string())
        })
        .collect();
    let mut reported: Vec<_> = reports
        .iter()
        .flat_map(|report| {
            let name = report.data["scope"]["name"].as_str().unwrap_or_default();
            rows(&report.data["results"]).map(|row| (name.to_owned(), row["policy"].to_string()))
        })
        .collect();
    seen.sort();
    reported.sort();
    assert_eq!(seen, reported);

    let plan = scan("--fix-plan").await?;
    for number in 0..DEPLOYMENTS {
        let name = name(number);
        for route in named_routes(&space.name, &name, 2) {
            ensure!(plan.contains(&route), "no {route} in\n{plan}");
        }
    }
    Ok(())
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

async fn reported_and_repaired(space: &Space) -> Result<()> {
    let reports = reports::api(space, Kind::Report);
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
        .install(&space.stop, "--set controller.scanEvery=5s")
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
    scanned_by_hand(space, &found).await?;
    // A second scan writes nothing, and nothing has moved.
    let reported = |list: &[DynamicObject]| -> Vec<_> {
        list.iter()
            .map(|report| report.metadata.resource_version.clone())
            .collect()
    };
    tokio::time::sleep(Duration::from_secs(8)).await;
    let again = reports.list(&ListParams::default()).await?.items;
    assert_eq!(reported(&again), reported(&found));
    assert_eq!(lives(space, LABELS).await?, lives_before);
    assert_eq!(versions(space).await?, versions_before);

    for number in 0..DEPLOYMENTS {
        let name = name(number);
        assert_eq!(routes(space, &name).await?, [format!("nats://{name}:6222")]);
        // What is wrong already is not refused for it.
        let patch = json!({"spec": {"minReadySeconds": 1}});
        let line =
            format!("patch statefulset {name} --dry-run=server --type merge --patch {patch}");
        space.kubectl(&line, None).await?.ok()?;
        scale(space, &name, 3).await?;
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
