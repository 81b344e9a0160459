//! What the controller brings about stays the release's: Helm upgrades as if nothing had happened.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::ConfigMap;
use natsguard_tests::bed::nats::full_names;
use natsguard_tests::bed::space::Space;
use serde_json::Value;

use super::{REVIEWED, START, faulty, wait_routes};
use crate::guard::release::is_as_applied;

/// A chart with the faulty manifests as they are.
fn chart(space: &Space) -> Result<std::path::PathBuf> {
    let folder = std::env::temp_dir().join(format!("natsguard-{}", space.name));
    fs::create_dir_all(folder.join("templates"))?;
    fs::write(
        folder.join("Chart.yaml"),
        "apiVersion: v2\nname: messaging\nversion: 0.1.0\n",
    )?;
    for (number, object) in faulty(&space.name).objects()?.iter().enumerate() {
        fs::write(
            folder.join(format!("templates/{number}.yaml")),
            object.to_string(),
        )?;
    }
    Ok(folder)
}

/// Who says that a field is theirs.
fn owners(map: &ConfigMap, field: &str) -> Result<Vec<String>> {
    let mut owners = Vec::new();
    for entry in map.metadata.managed_fields.iter().flatten() {
        let fields = serde_json::to_value(&entry.fields_v1)?;
        if fields.pointer(field).is_some() {
            owners.push(entry.manager.clone().unwrap_or_default());
        }
    }
    Ok(owners)
}

/// What the next start of a server would read, and whether one is due.
async fn state(space: &Space) -> Result<(Option<BTreeMap<String, String>>, Option<i64>)> {
    let map = space.api::<ConfigMap>().get("nats-config").await?;
    let set = space.api::<StatefulSet>().get("nats").await?;
    Ok((map.data, set.metadata.generation))
}

async fn version(space: &Space) -> Result<Option<String>> {
    let map = space.api::<ConfigMap>().get("nats-config").await?;
    Ok(map.metadata.resource_version)
}

async fn run(space: &Space, helm: &'static str, line: &str) -> Result<()> {
    let said = space.target.run(helm, &space.name, line, None).await?.ok();
    said.map(drop).with_context(|| format!("{helm} {line}"))
}

/// Helm 4's server-side apply.
pub async fn server_side(space: &Space) -> Result<()> {
    upgrade(space, "helm").await?;
    is_as_applied(&space.target, &space.name, "messaging", "--force-conflicts").await
}

/// Helm 3's patches.
pub async fn patches(space: &Space) -> Result<()> {
    upgrade(space, "helm3").await
}

async fn upgrade(space: &Space, helm: &'static str) -> Result<()> {
    let folder = chart(space)?;
    let chart = folder.display();
    run(space, helm, &format!("install messaging {chart}")).await?;
    let wanted = full_names(&space.name, 3);
    wait_routes(space, "nats-config", &wanted, START).await?;
    space.wait_meshed(3, START).await?;

    let map = space.api::<ConfigMap>().get("nats-config").await?;
    let pointer = format!(
        "/f:metadata/f:annotations/f:{}",
        REVIEWED.replace('/', "~1")
    );
    assert_eq!(owners(&map, "/f:data/f:nats.conf")?, ["helm"]);
    assert_eq!(owners(&map, &pointer)?, ["natsguard"]);
    let own: Vec<Value> = map
        .metadata
        .managed_fields
        .iter()
        .flatten()
        .filter(|entry| entry.manager.as_deref() == Some("natsguard"))
        .map(|entry| serde_json::to_value(&entry.fields_v1))
        .collect::<Result<_, _>>()?;
    let only = own.first().context("natsguard owns its annotation")?;
    assert!(only.get("f:data").is_none(), "{only}");

    let (before, written) = (state(space).await?, version(space).await?);
    run(space, helm, &format!("upgrade messaging {chart}")).await?;
    assert_eq!(state(space).await?, before, "the same manifests again");
    if helm == "helm" {
        assert_eq!(version(space).await?, written, "nothing to write");
    }

    // Other content of the same file, still with the wrong route.
    let file = folder.join("templates/0.yaml");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, text.replace("256MB", "250MB"))?;
    run(space, helm, &format!("upgrade messaging {chart}")).await?;
    wait_routes(space, "nats-config", &wanted, START).await?;
    let map = space.api::<ConfigMap>().get("nats-config").await?;
    let conf = map.data.context("data")?;
    assert!(conf["nats.conf"].contains("250MB"), "{conf:?}");
    fs::remove_dir_all(&folder)?;
    Ok(())
}
