//! The objects of a deployment in every order: whichever comes last, the servers end as one cluster.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures::future::join_all;
use k8s_openapi::api::core::v1::Service;
use natsguard_tests::bed::nats::{Governing, LABELS, Nats, full_names};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::{Space, node_of};
use serde_json::{Value, json};

use super::routes;

/// Deployments at once: each is three servers.
const AT_ONCE: usize = 6;

/// To one cluster. Servers that started with a wrong file are restarted 30 s after it was repaired.
const MESHED: Duration = Duration::from_mins(3);

/// What comes with a ConfigMap, a Service and a StatefulSet.
#[derive(Debug, Clone, Copy)]
enum Fourth {
    /// The class of the claims.
    StorageClass,
    /// A claim that all servers mount beside their stores.
    Claim,
}

/// Each object last; with `--full` all orders, with each of the fourth ones.
pub async fn all(space: &Space) -> Result<()> {
    let orders = if space.options.full {
        let all = permutations();
        ensure!(all.len() == 24);
        let each = |order| [(order, Fourth::StorageClass), (order, Fourth::Claim)];
        all.into_iter().flat_map(each).collect()
    } else {
        vec![
            ([0, 1, 2, 3], Fourth::StorageClass),
            ([1, 2, 3, 0], Fourth::StorageClass),
            ([2, 3, 0, 1], Fourth::Claim),
            ([3, 0, 1, 2], Fourth::Claim),
        ]
    };
    let start = Instant::now();
    for some in orders.chunks(AT_ONCE) {
        let runs = some
            .iter()
            .map(|(order, fourth)| one(space, *order, *fourth));
        for result in join_all(runs).await {
            result?;
        }
        space.stop.check()?;
    }
    say(&format!(
        "orders: {} of them in {:.0} s",
        orders.len(),
        start.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// All orders of four things.
fn permutations() -> Vec<[usize; 4]> {
    let places = || 0..4;
    places()
        .flat_map(|a| {
            places()
                .flat_map(move |b| places().flat_map(move |c| places().map(move |d| [a, b, c, d])))
        })
        .filter(|order| order.iter().collect::<BTreeSet<_>>().len() == 4)
        .collect()
}

/// One order, in a namespace of its own.
async fn one(space: &Space, order: [usize; 4], fourth: Fourth) -> Result<()> {
    let name = format!("controller::orders::{order:?}-{fourth:?}");
    let own = Space::make(
        Arc::clone(&space.target),
        space.options.clone(),
        space.stop.clone(),
        &name,
    )
    .await?;
    let result = in_order(&own, order, fourth)
        .await
        .with_context(|| format!("in the order {order:?} with a {fourth:?}"));
    own.end(result).await
}

async fn in_order(space: &Space, order: [usize; 4], fourth: Fourth) -> Result<()> {
    let objects = objects(space, fourth).await?;
    let start = Instant::now();
    for place in order {
        space.apply(&objects[place..=place]).await?;
    }
    space.wait_meshed(3, MESHED).await?;
    let took = start.elapsed();
    assert_eq!(
        routes(space, "nats-config").await?,
        full_names(&space.name, 3)
    );
    let service = space.api::<Service>().get("nats").await?;
    let publishes = service
        .spec
        .and_then(|spec| spec.publish_not_ready_addresses);
    assert_eq!(publishes, Some(true));
    let pods = space.pods(LABELS).await?;
    let nodes: BTreeSet<_> = pods.iter().filter_map(node_of).collect();
    assert_eq!(nodes.len(), 3);
    let kinds = order.map(|place| {
        objects[place]["kind"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    });
    say(&format!(
        "orders: {} in {:.0} s",
        kinds.join(", "),
        took.as_secs_f64()
    ));
    Ok(())
}

/// A ConfigMap with a Service route, a Service that hides pods that are not ready, a StatefulSet that lets them share a node, and
/// the fourth.
async fn objects(space: &Space, fourth: Fourth) -> Result<Vec<Value>> {
    let name = &space.name;
    let faulty = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::Headless,
        apart: false,
        ..Nats::sound(name)
    };
    // Folders of whichever node: a claim that comes before its class is bound wherever there is room.
    space.owns_volumes();
    match fourth {
        Fourth::StorageClass => {
            let volumes: Vec<Value> = (0..3).map(|number| volume(name, number, name)).collect();
            space.apply(&volumes).await?;
            let claim = Some(Some(name.clone()));
            let mut objects = Nats { claim, ..faulty }.objects()?;
            objects.push(json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
                "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate"}));
            Ok(objects)
        }
        Fourth::Claim => {
            let mut objects = faulty.objects()?;
            let pod = &mut objects[2]["spec"]["template"]["spec"];
            let claim =
                json!({"name": "archive", "persistentVolumeClaim": {"claimName": "archive"}});
            push(&mut pod["volumes"], claim);
            let mount = json!({"name": "archive", "mountPath": "/archive"});
            push(&mut pod["containers"][0]["volumeMounts"], mount);
            let mut volume = volume(name, 0, "");
            // Without a class it would be anybody's.
            volume["spec"]["claimRef"] = json!({"namespace": name, "name": "archive"});
            objects.push(json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "archive"},
                "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": "", "volumeName": volume["metadata"]["name"],
                    "resources": {"requests": {"storage": "1Mi"}}}}));
            space.apply(&[volume]).await?;
            Ok(objects)
        }
    }
}

fn volume(name: &str, number: usize, class: &str) -> Value {
    let volume = format!("{name}-{number}");
    json!({"apiVersion": "v1", "kind": "PersistentVolume",
        "metadata": {"name": volume, "labels": {"natsguard.dev/test": name}},
        "spec": {"capacity": {"storage": "256Mi"}, "accessModes": ["ReadWriteOnce", "ReadWriteMany"], "storageClassName": class,
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": format!("/var/tmp/{volume}"), "type": "DirectoryOrCreate"}}})
}

fn push(list: &mut Value, item: Value) {
    if let Some(items) = list.as_array_mut() {
        items.push(item);
    }
}
