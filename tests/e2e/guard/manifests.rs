//! The charts that most NATS deployments come from install through natsguard, and what is not faulty stays as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use natsguard_tests::cluster::place;
use serde_json::{Value, json};

/// Rendered charts of others, which are not ours to keep here; a short run does with the project's own manifests.
fn files(full: bool) -> Result<Vec<PathBuf>> {
    let charts = std::env::var_os("NATSGUARD_MANIFESTS").map_or_else(
        || place::repository().join("../shared/manifests"),
        PathBuf::from,
    );
    let has_charts = charts.is_dir();
    ensure!(
        has_charts || !full,
        "NATSGUARD_MANIFESTS names the folder of rendered charts: there is no {}",
        charts.display()
    );
    let folder = if has_charts {
        charts
    } else {
        place::repository().join("tests/manifests")
    };
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        if has_charts {
            name.starts_with("natsio-chart") || name.starts_with("bitnami")
        } else {
            // Its store lies on NFS.
            name != "partitioned.yaml"
        }
    });
    files.sort();
    ensure!(files.len() >= 5, "{} has only {files:?}", folder.display());
    Ok(files)
}

/// The objects of a file that any cluster knows, moved to the test's namespace.
fn objects(space: &Space, file: &Path) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(file)?;
    let all: Vec<Value> =
        serde_saphyr::from_multiple(&text).with_context(|| file.display().to_string())?;
    let known = |object: &Value| {
        let version = object["apiVersion"].as_str().unwrap_or_default();
        [
            "v1",
            "apps/v1",
            "policy/v1",
            "networking.k8s.io/v1",
            "rbac.authorization.k8s.io/v1",
        ]
        .contains(&version)
    };
    let all = all.into_iter().flat_map(|mut object| {
        let items = object.get_mut("items").map(Value::take);
        match items {
            Some(Value::Array(items)) => items,
            _ => vec![object],
        }
    });
    Ok(all
        .filter(known)
        .map(|mut object| {
            object["metadata"]["namespace"] = space.name.as_str().into();
            object
        })
        .collect())
}

/// What the apiserver would store of each object.
async fn stored(space: &Space, objects: &[Value]) -> Result<BTreeMap<String, Value>> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let said = space
        .kubectl(
            "apply --dry-run=server --output json --filename -",
            Some(list.to_string()),
        )
        .await?;
    ensure!(said.success, "{}", said.stderr);
    let mut answer: Value = serde_json::from_str(&said.stdout)?;
    let items = match answer["items"].take() {
        Value::Array(items) => items,
        _ => vec![answer],
    };
    Ok(items
        .into_iter()
        .map(|mut object| {
            let name =
                format!("{} {}", object["kind"], object["metadata"]["name"]).replace('"', "");
            if let Some(metadata) = object["metadata"].as_object_mut() {
                // What every creation makes anew.
                metadata.retain(|key, _| {
                    ![
                        "uid",
                        "creationTimestamp",
                        "resourceVersion",
                        "generation",
                        "managedFields",
                    ]
                    .contains(&key.as_str())
                });
            }
            // So are the addresses and node ports of a Service.
            if object["kind"] == "Service" && object["spec"]["clusterIP"] != "None" {
                for field in ["clusterIP", "clusterIPs", "ports"] {
                    object["spec"][field].take();
                }
            }
            (name, object)
        })
        .collect())
}

pub async fn charts(space: &Space) -> Result<()> {
    let files = files(space.options.full)?;
    space.target.uninstall().await?;
    let mut before = Vec::new();
    for file in &files {
        let objects = objects(space, file)?;
        before.push(
            stored(space, &objects)
                .await
                .with_context(|| file.display().to_string())?,
        );
    }
    space.target.install(&space.stop, "").await?;
    let (mut same, mut repaired) = (0, 0);
    for (file, before) in files.iter().zip(before) {
        let objects = objects(space, file)?;
        let after = stored(space, &objects)
            .await
            .with_context(|| file.display().to_string())?;
        ensure!(before.keys().eq(after.keys()));
        for (name, mut was) in before {
            let mut is = after[&name].clone();
            if was == is {
                same += 1;
            } else {
                repaired += 1;
                // Nothing is known of other objects in a dry run, so only the workload itself has a fault to repair.
                ensure!(
                    name.starts_with("StatefulSet "),
                    "{name} was changed: {was} to {is}"
                );
                is["spec"]["template"]["spec"]["affinity"].take();
                was["spec"]["template"]["spec"]["affinity"].take();
                ensure!(
                    was == is,
                    "more than the affinity of {name} was changed: {was} to {is}"
                );
            }
        }
        let said = space
            .apply(&objects)
            .await
            .with_context(|| file.display().to_string())?;
        ensure!(said.success);
        let gone = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let said = space
            .kubectl("delete --wait=false --filename -", Some(gone.to_string()))
            .await?;
        ensure!(said.success, "{}", said.stderr);
    }
    say(&format!(
        "manifests: {} files, {same} objects the same, {repaired} repaired",
        files.len()
    ));
    ensure!(
        same >= 15 && repaired >= 1,
        "{same} the same, {repaired} repaired"
    );
    Ok(())
}
