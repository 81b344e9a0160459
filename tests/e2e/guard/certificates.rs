//! Certificates come and go while reviews go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use natsguard_tests::bed::guard::{NAMESPACE, RELEASE};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::{Space, node_of};
use serde_json::json;

use super::START;
use super::hostile::Door;
use super::load::Load;

const CA: &str = "natsguard-ca";
/// Each pod says so when it takes a certificate.
pub const TAKEN: &str = "\"serving a new certificate\"";
/// The aim: whatever is broken is whole again after so long.
const HEALED: Duration = Duration::from_secs(5);

/// The CA bundles of all webhooks, each once.
pub async fn bundles(space: &Space) -> Result<BTreeSet<Vec<u8>>> {
    let client = &space.target.client;
    let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone())
        .get(RELEASE)
        .await?;
    let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone())
        .get(RELEASE)
        .await?;
    let mutating = mutating
        .webhooks
        .into_iter()
        .flatten()
        .map(|webhook| webhook.client_config);
    let validating = validating
        .webhooks
        .into_iter()
        .flatten()
        .map(|webhook| webhook.client_config);
    Ok(mutating
        .chain(validating)
        .map(|config| config.ca_bundle.unwrap_or_default().0)
        .collect())
}

async fn wait_healed(
    space: &Space,
    what: &str,
    is_whole: impl Fn(&BTreeSet<Vec<u8>>) -> bool,
) -> Result<()> {
    let start = Instant::now();
    loop {
        let seen = bundles(space).await?;
        if is_whole(&seen) {
            break;
        }
        ensure!(
            start.elapsed() < START,
            "{what} is not healed after {START:?}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let healed = start.elapsed();
    say(&format!(
        "certificates: {what}: healed after {:.1} s",
        healed.as_secs_f64()
    ));
    ensure!(healed <= HEALED, "{what}: healed only after {healed:?}");
    Ok(())
}

/// Whoever comes now, with the bundle of any webhook, trusts every pod.
async fn are_trusted(space: &Space, settle: Duration) -> Result<()> {
    let start = Instant::now();
    for bundle in bundles(space).await? {
        for door in Door::all(space, [&bundle]).await? {
            let opened = door.open().await;
            // A bundle that is older than that may know too little.
            if start.elapsed() < settle {
                opened.context("a new connection with the present bundle")?;
            }
        }
    }
    Ok(())
}

/// How often the log of each pod has a text.
pub async fn logged(space: &Space, text: &str) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for pod in space.target.guards().await? {
        let name = pod.metadata.name.context("a pod has a name")?;
        let log = space.target.kubectl_guard(&format!("logs {name}")).await?;
        counts.insert(name, log.matches(text).count());
    }
    Ok(counts)
}

/// A CA every 20 s, or 10, leaves oftener, while reviews go on; then the CA's Secret is deleted and spoilt.
pub async fn rotation(space: &Space) -> Result<()> {
    let (flags, settle, span, least) = if space.options.full {
        let slow = "--ca-lifetime=60s,--ca-rotate-after=20s,--leaf-lifetime=30s";
        (slow, 5, 120, 5)
    } else {
        let fast = "--ca-lifetime=30s,--ca-rotate-after=10s,--leaf-lifetime=15s";
        (fast, 3, 22, 2)
    };
    let flags = format!("--set extraArgs={{{flags},--ca-settle={settle}s}}");
    space.target.install(&space.stop, &flags).await?;
    let settle = Duration::from_secs(settle);
    let secrets: Api<Secret> = Api::namespaced(space.target.client.clone(), NAMESPACE);
    let load = Load::start(space).await?;
    let (start, mut seen) = (Instant::now(), BTreeSet::new());
    while start.elapsed() < Duration::from_secs(span) {
        let data = secrets.get(CA).await?.data.unwrap_or_default();
        seen.insert(data.get("ca.crt").context("there is a CA")?.0.clone());
        are_trusted(space, settle).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        space.stop.check()?;
    }
    secrets.delete(CA, &DeleteParams::default()).await?;
    let mut spoilt = space
        .wait("the deleted CA to be back", HEALED, async || {
            let found = secrets.get_opt(CA).await?;
            Ok(found.ok_or_else(|| "it is not there".to_owned()))
        })
        .await?;
    for value in spoilt.data.iter_mut().flat_map(|data| data.values_mut()) {
        *value = ByteString(b"spoilt".to_vec());
    }
    // Whatever a rotation wrote in between.
    spoilt.metadata.resource_version = None;
    secrets.replace(CA, &PostParams::default(), &spoilt).await?;
    space
        .wait("the spoilt CA to be mended", HEALED, async || {
            let data = secrets.get(CA).await?.data.unwrap_or_default();
            Ok(if data.values().any(|value| value.0 == b"spoilt") {
                Err("it is not".to_owned())
            } else {
                Ok(())
            })
        })
        .await?;
    // Reviews have to believe the new one.
    tokio::time::sleep(Duration::from_secs(2)).await;
    are_trusted(space, settle).await?;
    let outcome = load.end(space, Duration::ZERO).await?;
    let leaves = logged(space, TAKEN).await?;
    say(&format!(
        "certificates: {} CAs in {} s, leaves {:?}: {} writes, {} failed, {:?}",
        seen.len(),
        start.elapsed().as_secs(),
        leaves.values(),
        outcome.writes,
        outcome.problems.len(),
        outcome.calls
    ));
    ensure!(seen.len() >= least, "there were only {} CAs", seen.len());
    ensure!(leaves.values().all(|count| *count > 1), "{leaves:?}");
    // Whoever is installed next would go on with a CA that ends within seconds.
    space.target.uninstall().await?;
    outcome.check()
}

/// Gives every webhook another bundle.
async fn set_bundle(space: &Space, bundle: &ByteString) -> Result<()> {
    for kind in [
        ApiResource::erase::<MutatingWebhookConfiguration>(&()),
        ApiResource::erase::<ValidatingWebhookConfiguration>(&()),
    ] {
        let all: Api<DynamicObject> = Api::all_with(space.target.client.clone(), &kind);
        let mut webhooks = all.get(RELEASE).await?.data["webhooks"].take();
        for webhook in webhooks.as_array_mut().into_iter().flatten() {
            webhook["clientConfig"]["caBundle"] = json!(bundle);
        }
        let patch = Patch::Merge(json!({"webhooks": webhooks}));
        all.patch(RELEASE, &PatchParams::default(), &patch).await?;
    }
    Ok(())
}

/// The bundles are emptied and replaced while reviews go on: whole again in seconds, and believed from then on.
pub async fn broken_bundle(space: &Space) -> Result<()> {
    /// How long a write takes at most that was under way.
    const MOMENT: Duration = Duration::from_secs(1);
    let before = bundles(space).await?;
    ensure!(
        before.len() == 1 && !before.contains(&Vec::new()),
        "every webhook has the same bundle"
    );
    let foreign = rcgen::generate_simple_self_signed(["elsewhere".to_owned()])?
        .cert
        .pem();
    let load = Load::start(space).await?;
    let mut breaks = Vec::new();
    for (what, bundle) in [
        ("an emptied bundle", ByteString::default()),
        ("a foreign bundle", ByteString(foreign.into_bytes())),
    ] {
        tokio::time::sleep(MOMENT).await;
        let begun = load.elapsed();
        set_bundle(space, &bundle).await?;
        breaks.push(begun.saturating_sub(MOMENT)..load.elapsed() + HEALED);
        wait_healed(space, what, |seen| *seen == before).await?;
    }
    let least = load.elapsed() + HEALED * 2;
    let outcome = load.end(space, least).await?;
    say(&format!(
        "certificates: bundles broken twice: {} writes, {} failed, {:?}",
        outcome.writes,
        outcome.problems.len(),
        outcome.calls
    ));
    let later: Vec<_> = outcome
        .problems
        .iter()
        .filter(|(at, _)| !breaks.iter().any(|span| span.contains(at)))
        .collect();
    ensure!(later.is_empty(), "broken at {breaks:?}: {later:#?}");
    Ok(())
}

/// Five replicas that start at once without a CA agree on one.
pub async fn one_authority(space: &Space) -> Result<()> {
    space.target.uninstall().await?;
    space
        .target
        .install(&space.stop, "--set replicas=5")
        .await?;
    let pods = space.target.guards().await?;
    assert_eq!(pods.len(), 5);
    let places: BTreeSet<_> = pods.iter().map(node_of).collect();
    assert_eq!(places.len(), 3, "five pods are on three nodes");
    let writers = logged(space, "\"wrote the CA Secret\"").await?;
    assert_eq!(writers.values().sum::<usize>(), 1, "{writers:?}");
    let seen = bundles(space).await?;
    assert_eq!(seen.len(), 1);
    let text = String::from_utf8(seen.into_iter().next().unwrap_or_default())?;
    assert_eq!(text.matches("BEGIN CERTIFICATE").count(), 1, "{text}");
    // The apiserver dials any of the five; each has a leaf of this CA.
    let load = Load::start(space).await?;
    for pod in &pods {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        space
            .target
            .kubectl_guard(&format!("delete pod {name} --wait=false"))
            .await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    load.end(space, Duration::from_secs(10)).await?.check()
}
