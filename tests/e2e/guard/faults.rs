//! The faults that took the first users' clusters apart, with natsguard: refused or repaired.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use natsguard_tests::bed::nats::{Governing, LABELS, Nats, full_names};
use natsguard_tests::bed::space::{Space, is_running, node_of};
use natsguard_tests::bed::target::Said;
use serde_json::{Value, json};

use super::START;

/// Applies what must be refused, and gives what was said.
pub(super) async fn refused(space: &Space, objects: &[Value]) -> Result<String> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let said = space
        .kubectl("apply --filename -", Some(list.to_string()))
        .await?;
    ensure!(
        !said.success,
        "it was let through: {}{}",
        said.stdout,
        said.stderr
    );
    let denials: Vec<_> = said
        .stderr
        .lines()
        .filter(|line| !line.starts_with("Warning: "))
        .collect();
    Ok(denials.join("\n"))
}

fn warnings(said: &Said) -> Vec<&str> {
    said.stderr
        .lines()
        .filter_map(|line| line.strip_prefix("Warning: "))
        .collect()
}

/// Refused, and the text says how to mend it.
pub async fn cluster_ip(space: &Space) -> Result<()> {
    let nats = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::ClusterIp,
        ..Nats::sound(&space.name)
    };
    let said = refused(space, &nats.objects()?).await?;
    let (name, set) = (&space.name, format!("StatefulSet {}/nats", space.name));
    for part in [
        "admission webhook \"statefulsets.validate.natsguard.dev\" denied the request: 2 faults:"
            .to_owned(),
        format!(
            "- ConfigMap {name}/nats-config, data[\"nats.conf\"].cluster.routes[0]: a cluster route names a Service, an address or a \
             bare host instead of a pod: nats://nats:6222 leads to any pod of {set}; to mend it, make a headless Service (clusterIP: \
             None, publishNotReadyAddresses: true), name it in spec.serviceName instead of nats, and name each pod in the routes \
             (natsguard explain service-route)"
        ),
        format!(
            "- {set}, spec.serviceName: the governing Service is not headless, so the pods have no DNS names: Service nats of {set} has \
             an address of its own; to mend it, make a second Service with clusterIP: None and publishNotReadyAddresses: true, and name \
             it in spec.serviceName instead of nats (natsguard explain unresolvable-peers)"
        ),
    ] {
        assert!(said.contains(&part), "{part}\nis not in\n{said}");
    }
    assert_eq!(space.pods(LABELS).await?.len(), 0);
    Ok(())
}

/// Applies the StatefulSet first, so that what follows belongs to a workload that is known, in the order given of the
/// ConfigMap (0) and the Service (1). Gives the repairs that were said.
async fn apply_known(space: &Space, nats: &Nats, order: [usize; 2]) -> Result<Vec<String>> {
    let objects = nats.objects()?;
    let ordered = [2, order[0], order[1]].map(|place| objects[place].clone());
    let said = space.apply(&ordered).await?;
    let repairs = warnings(&said)
        .into_iter()
        .filter(|line| line.contains(" repaired "));
    Ok(repairs.map(str::to_owned).collect())
}

/// The pods mesh; and applying the faulty manifests again is repaired again and changes nothing.
async fn meshes_and_stays(space: &Space, nats: &Nats) -> Result<()> {
    space.wait_meshed(3, START).await?;
    let versions = async || {
        let query = "get configmap/nats-config service/nats statefulset/nats --output jsonpath={.items[*].metadata.generation}\
                     {.items[*].data}{.items[*].spec.publishNotReadyAddresses}";
        space.kubectl(query, None).await
    };
    let before = versions().await?;
    ensure!(before.success, "{}", before.stderr);
    space.apply(&nats.objects()?).await?;
    assert_eq!(versions().await?.stdout, before.stdout);
    Ok(())
}

/// A Service that hides pods until they are Ready is repaired as it is applied.
pub async fn hidden_names(space: &Space) -> Result<()> {
    let nats = Nats {
        governing: Governing::Headless,
        ..Nats::sound(&space.name)
    };
    let repairs = apply_known(space, &nats, [0, 1]).await?;
    assert_eq!(
        repairs,
        [format!(
            "natsguard repaired unresolvable-peers at spec.publishNotReadyAddresses: Service nats of StatefulSet {}/nats",
            space.name
        )]
    );
    let service = space
        .api::<Service>()
        .get("nats")
        .await?
        .spec
        .unwrap_or_default();
    assert_eq!(service.publish_not_ready_addresses, Some(true));
    meshes_and_stays(space, &nats).await
}

/// A route to the Service becomes one to each pod as the file is applied.
pub async fn service_route(space: &Space) -> Result<()> {
    let nats = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        ..Nats::sound(&space.name)
    };
    let repairs = apply_known(space, &nats, [1, 0]).await?;
    assert_eq!(
        repairs,
        ["natsguard repaired service-route at data[\"nats.conf\"].cluster.routes[0]"]
    );
    let map = space.api::<ConfigMap>().get("nats-config").await?;
    let conf = map
        .data
        .unwrap_or_default()
        .remove("nats.conf")
        .unwrap_or_default();
    for route in full_names(&space.name, 3) {
        ensure!(conf.contains(&route), "{route} is not in {conf}");
    }
    meshes_and_stays(space, &nats).await
}

pub async fn together(space: &Space) -> Result<()> {
    let nats = Nats {
        apart: false,
        ..Nats::sound(&space.name)
    };
    let said = space.apply(&nats.objects()?).await?;
    ensure!(
        said.stderr
            .contains("natsguard repaired co-located-replicas"),
        "{}",
        said.stderr
    );
    let pods = space
        .wait_pods(LABELS, 3, START, "running", is_running)
        .await?;
    let nodes: BTreeSet<_> = pods.iter().filter_map(node_of).collect();
    assert_eq!(nodes.len(), 3);
    // An idle scheduler spreads them in any case.
    let set = space.api::<StatefulSet>().get("nats").await?;
    let pod = serde_json::to_value(set.spec.template.spec)?;
    let sound = Nats::sound(&space.name).objects()?;
    assert_eq!(
        pod["affinity"],
        sound[2]["spec"]["template"]["spec"]["affinity"]
    );
    Ok(())
}

/// A store on NFS: a volume of the pod, a claim of such a class, a claim that is bound to such a volume.
pub async fn nfs(space: &Space) -> Result<()> {
    let volume = |nats: &Nats| -> Result<Vec<Value>> {
        let mut objects = nats.objects()?;
        objects[2]["spec"]["template"]["spec"]["volumes"][1] =
            json!({"name": "data", "nfs": {"server": "files.example.org", "path": "/nats"}});
        Ok(objects)
    };
    let said = refused(space, &volume(&Nats::sound(&space.name))?).await?;
    let name = &space.name;
    assert!(
        said.contains(&format!(
            "StatefulSet {name}/nats, spec.template.spec.volumes[1].nfs: JetStream's store lies on a network file system: volume data of \
             StatefulSet {name}/nats: NFS: volume data, nfs; to mend it, put the store on a local disk or a block device, as \
             a StorageClass of such volumes gives (natsguard explain network-filesystem)"
        )),
        "{said}"
    );

    let class = format!("{name}-files");
    space
        .apply(&[json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
            "provisioner": "nfs.csi.k8s.io", "volumeBindingMode": "WaitForFirstConsumer"})])
        .await?;
    let by_class = Nats {
        claim: Some(Some(class.clone())),
        ..Nats::sound(name)
    };
    let said = refused(space, &by_class.objects()?).await;
    let said = said.inspect_err(|_| ())?;
    for part in [
        "network-filesystem",
        "data",
        &class,
        "nfs.csi.k8s.io",
        "put the store on a local disk or a block device",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }

    // A class without a provisioner tells nothing; the volume that the claim is bound to does.
    let (plain, volume) = (format!("{name}-plain"), format!("{name}-volume"));
    space
        .apply(&[
            json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": plain},
                "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "Immediate"}),
            json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": plain,
                "claimRef": {"namespace": name, "name": "data-nats-0"}, "nfs": {"server": "files.example.org", "path": "/nats"}}}),
            json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data-nats-0"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": plain, "volumeName": volume,
                "resources": {"requests": {"storage": "256Mi"}}}}),
        ])
        .await?;
    let by_volume = Nats {
        claim: Some(Some(plain.clone())),
        ..Nats::sound(name)
    };
    let said = refused(space, &by_volume.objects()?).await;
    for (kind, object) in [
        ("storageclass", &class),
        ("storageclass", &plain),
        ("persistentvolume", &volume),
    ] {
        space
            .kubectl(&format!("delete {kind} {object} --wait=false"), None)
            .await?;
    }
    let said = said?;
    for part in [
        "network-filesystem",
        "volume data of StatefulSet",
        &format!("NFS: PersistentVolume {volume}, nfs"),
        "put the store on a local disk or a block device",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    Ok(())
}
