//! Faults that hide behind other objects, containers, words, kinds and times. They are refused all the same.

use anyhow::{Context as _, Result, ensure};
use natsguard_tests::bed::nats::{Governing, LABELS, Nats};
use natsguard_tests::bed::space::{Space, node_of};
use natsguard_tests::cluster::images::nats;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use super::START;
use super::faults::refused;

/// A StorageClass of NFS, and its name. It goes with the test.
async fn nfs_class(space: &Space) -> Result<String> {
    let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": space.name},
        "provisioner": "nfs.csi.k8s.io", "volumeBindingMode": "WaitForFirstConsumer"});
    space.owns_volumes();
    space.apply(&[class]).await?;
    Ok(space.name.clone())
}

/// The StatefulSet of a deployment, its store on a claim of this class.
fn set(space: &Space, class: &str) -> Result<Value> {
    let nats = Nats {
        claim: Some(Some(class.to_owned())),
        ..Nats::sound(&space.name)
    };
    nats.objects()?.pop().context("the last is the StatefulSet")
}

fn push(list: &mut Value, item: Value) {
    if let Some(items) = list.as_array_mut() {
        items.push(item);
    }
}

/// A store on NFS, seen from a container that runs a server in a way of its own.
pub async fn stores(space: &Space) -> Result<()> {
    let class = nfs_class(space).await?;
    let plain = set(space, &class)?;
    let container = plain["spec"]["template"]["spec"]["containers"][0].clone();
    let image = nats()?;
    let command = |words: &[&str]| {
        let mut container = container.clone();
        container["image"] = "registry.example.org/messaging:1".into();
        container["args"] = Value::Null;
        container["command"] = json!(words);
        vec![container]
    };
    let idle = json!({"name": "idle", "image": "registry.example.org/idle:1"});
    let with = |containers: Vec<Value>, init: Vec<Value>| {
        let mut set = plain.clone();
        let pod = &mut set["spec"]["template"]["spec"];
        (pod["containers"], pod["initContainers"]) = (json!(containers), json!(init));
        set
    };

    let mut crowded = plain.clone();
    let pod = &mut crowded["spec"]["template"]["spec"];
    for number in 0..62 {
        let name = format!("extra-{number}");
        let volume = json!({"name": name, "configMap": {"name": name, "optional": true}});
        push(&mut pod["volumes"], volume);
        let mount = json!({"name": name, "mountPath": format!("/extra/{number}")});
        push(&mut pod["containers"][0]["volumeMounts"], mount);
    }
    let mut sidecar = container.clone();
    sidecar["restartPolicy"] = "Always".into();
    let decoy = json!({"name": "decoy", "image": image, "args": ["--port", "4333"]});
    let mut second = container.clone();
    second["name"] = "second".into();
    let cases = [
        ("62 files that need not be there", crowded),
        ("a sidecar", with(vec![idle], vec![sidecar])),
        ("the second server", with(vec![decoy, second], vec![])),
        (
            "a wrapper",
            with(
                command(&[
                    "/usr/bin/env",
                    "A=1",
                    "nats-server",
                    "-c",
                    "/etc/nats/nats.conf",
                ]),
                vec![],
            ),
        ),
        (
            "a shell",
            with(
                command(&["sh", "-c", "exec nats-server -js -sd /data"]),
                vec![],
            ),
        ),
    ];
    let config = Nats::sound(&space.name).objects()?;
    space.apply(&config[..2]).await?;
    for (what, set) in cases {
        let said = refused(space, &[set]).await.context(what)?;
        for part in ["network-filesystem", "nfs.csi.k8s.io"] {
            ensure!(said.contains(part), "{what}: {part} is not in {said}");
        }
    }
    ensure!(space.pods(LABELS).await?.is_empty(), "a pod was made");

    // A Deployment has no template of claims; it names one.
    let claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "store"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": class, "resources": {"requests": {"storage": "1Mi"}}}});
    space.apply(&[claim]).await?;
    let mut pod = plain["spec"]["template"].clone();
    let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": "store"}});
    push(&mut pod["spec"]["volumes"], volume);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "nats"}, "spec": {
        "replicas": 1, "selector": plain["spec"]["selector"], "template": pod}});
    let said = refused(space, &[deployment]).await?;
    ensure!(said.contains("network-filesystem"), "{said}");
    Ok(())
}

/// A Service with an address and a file that nats-server can't read, both after their StatefulSet.
pub async fn late(space: &Space) -> Result<()> {
    let nats = Nats {
        governing: Governing::ClusterIp,
        ..Nats::sound(&space.name)
    };
    let [mut file, service, mut set] = <[Value; 3]>::try_from(nats.objects()?)
        .map_err(|_| anyhow::anyhow!("a deployment has three objects"))?;
    set["spec"]["template"]["spec"]["nodeSelector"] = json!({"natsguard.dev/no": "node"});
    space.apply(&[set, file.clone()]).await?;
    let said = refused(space, &[service]).await?;
    ensure!(
        said.contains("natsguard explain unresolvable-peers"),
        "{said}"
    );
    space
        .kubectl("delete configmap nats-config", None)
        .await?
        .ok()?;
    let text = file["data"]["nats.conf"].as_str().unwrap_or_default();
    file["data"]["nats.conf"] = text.replace("cluster {", "cluster {{").into();
    let said = refused(space, &[file]).await?;
    ensure!(
        said.contains("natsguard explain refused-configuration"),
        "{said}"
    );
    Ok(())
}

/// Growth is judged, and shrinking never is.
pub async fn scaling(space: &Space) -> Result<()> {
    let nats = Nats {
        replicas: 1,
        governing: Governing::ClusterIp,
        apart: false,
        routes: Vec::new(),
        ..Nats::sound(&space.name)
    };
    let mut objects = nats.objects()?;
    let text = objects[0]["data"]["nats.conf"].as_str().unwrap_or_default();
    // A single server, and no cluster yet.
    let alone = text
        .split("cluster {")
        .next()
        .unwrap_or_default()
        .to_owned();
    objects[0]["data"]["nats.conf"] = alone.into();
    let pod = &mut objects[2]["spec"]["template"]["spec"];
    pod["nodeSelector"] = json!({"natsguard.dev/no": "node"});
    pod["volumes"][1] = json!({"name": "data", "persistentVolumeClaim": {"claimName": "store"}});
    space.apply(&objects).await?;
    let scale = |replicas: usize| format!("scale statefulset nats --replicas {replicas}");
    let said = space.kubectl(&scale(3), None).await?;
    ensure!(
        !said.success,
        "three servers share a claim: {}",
        said.stdout
    );
    ensure!(
        said.stderr.contains("natsguard explain shared-store"),
        "{}",
        said.stderr
    );
    for replicas in [0, 1] {
        space.kubectl(&scale(replicas), None).await?.ok()?;
    }
    space.kubectl("delete statefulset nats", None).await?.ok()?;
    Ok(())
}

/// Three teams, each with all of its objects in one file, in the order that comes to mind.
pub async fn teams(space: &Space) -> Result<()> {
    let in_order = |order: [usize; 3], nats: &Nats| -> Result<Vec<Value>> {
        let objects = nats.objects()?;
        Ok(order.map(|place| objects[place].clone()).into())
    };
    let faulty = Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::Headless,
        apart: false,
        ..Nats::sound(&space.name)
    };
    let by_class = Nats {
        claim: Some(Some(nfs_class(space).await?)),
        ..faulty.clone()
    };
    let by_address = Nats {
        governing: Governing::ClusterIp,
        ..faulty.clone()
    };
    for (nats, policy) in [
        (by_class, "network-filesystem"),
        (by_address, "unresolvable-peers"),
    ] {
        let said = refused(space, &in_order([0, 1, 2], &nats)?).await?;
        ensure!(
            said.contains(&format!("natsguard explain {policy}")),
            "{said}"
        );
        space
            .kubectl("delete service nats --wait=false", None)
            .await?
            .ok()?;
        space
            .kubectl("delete configmap nats-config --wait=false", None)
            .await?
            .ok()?;
    }

    space.apply(&in_order([1, 2, 0], &faulty)?).await?;
    for _ in 0..2 {
        space.wait_meshed(3, START).await?;
        let pods = space.pods(LABELS).await?;
        let nodes: BTreeSet<_> = pods.iter().filter_map(node_of).collect();
        ensure!(nodes.len() == 3, "the servers share a node");
        space
            .kubectl("delete pods --all --grace-period 1", None)
            .await?
            .ok()?;
    }
    space.wait_meshed(3, START).await.map(drop)
}

/// What Helm writes file by file: what the files say before their StatefulSet follows is never in the way.
pub async fn upgrades(space: &Space) -> Result<()> {
    let chart = space.options.logs.join(format!("{}-chart", space.name));
    let templates = chart.join("templates");
    std::fs::create_dir_all(&templates)?;
    let about = "apiVersion: v2\nname: messaging\nversion: 0.1.0\n";
    std::fs::write(chart.join("Chart.yaml"), about)?;
    let result = upgrade(space, &chart).await;
    std::fs::remove_dir_all(&chart)?;
    result
}

async fn upgrade(space: &Space, chart: &std::path::Path) -> Result<()> {
    let write = |nats: &Nats, change: &dyn Fn(&mut Vec<Value>)| -> Result<()> {
        let mut objects = nats.objects()?;
        objects[2]["spec"]["template"]["spec"]["nodeSelector"] =
            json!({"natsguard.dev/no": "node"});
        change(&mut objects);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        Ok(std::fs::write(
            chart.join("templates/all.yaml"),
            list.to_string(),
        )?)
    };
    let install = async |what: &str| -> Result<()> {
        let line = format!("upgrade --install nats {}", chart.display());
        let said = space.helm(&line).await?;
        ensure!(said.success, "{what}: {}", said.stderr);
        Ok(())
    };
    let replace = |objects: &mut Vec<Value>, from: &str, to: &str| {
        let text = objects[0]["data"]["nats.conf"].as_str().unwrap_or_default();
        objects[0]["data"]["nats.conf"] = text.replace(from, to).into();
    };
    let image = |objects: &mut Vec<Value>, image: &str| {
        objects[2]["spec"]["template"]["spec"]["containers"][0]["image"] = image.into();
    };
    let one = Nats {
        replicas: 1,
        routes: natsguard_tests::bed::nats::full_names(&space.name, 1),
        apart: false,
        ..Nats::sound(&space.name)
    };
    let three = Nats::sound(&space.name);
    write(&one, &|objects| image(objects, "nats:2.10.29"))?;
    install("one server").await?;
    write(&three, &|objects| image(objects, "nats:2.10.29"))?;
    install("from one to three").await?;
    write(&three, &|objects| {
        image(objects, "nats:2.12.3");
        replace(objects, "jetstream {", "jetstream {\n  strict: true");
    })?;
    install("a newer image and an option that only it knows").await?;
    write(&three, &|objects| {
        image(objects, "nats:2.12.3");
        replace(objects, "store_dir: /data", "store_dir: /store");
        objects[2]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"][1]["mountPath"] =
            "/store".into();
    })?;
    install("mount and store together").await
}
