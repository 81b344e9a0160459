//! The controller on a real cluster: what nobody writes again is looked after, and nothing else is touched.

pub mod existing;
pub mod fight;
pub mod first_file;
pub mod large;
pub mod leader;
pub mod orders;
pub mod ownership;
mod reports;
pub mod rights;
pub mod scale;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use kube::api::{Api, ListParams, PostParams};
use natsguard_tests::bed::nats::{Governing, Nats};
use natsguard_tests::bed::space::Space;
use serde_json::{Value, json};

/// For what takes seconds where the machine is idle.
const START: Duration = Duration::from_secs(90);
/// The annotation by which the controller asks for a repair.
const REVIEWED: &str = "natsguard.dev/reviewed";

/// A deployment whose one route names the Service.
fn faulty(namespace: &str) -> Nats {
    Nats {
        routes: vec!["nats://nats:6222".to_owned()],
        governing: Governing::Published,
        ..Nats::sound(namespace)
    }
}

/// A ConfigMap with a Service route, its Service and its StatefulSet, all of one name.
fn named(namespace: &str, name: &str) -> Result<[Value; 3]> {
    let nats = Nats {
        routes: vec![format!("nats://{name}:6222")],
        ..faulty(namespace)
    };
    let mut objects = nats.objects()?;
    let labels = json!({"app": name});
    for object in &mut objects {
        object["metadata"]["name"] = name.into();
    }
    objects[1]["spec"]["selector"] = labels.clone();
    let set = &mut objects[2]["spec"];
    set["serviceName"] = name.into();
    set["selector"]["matchLabels"] = labels.clone();
    set["template"]["metadata"]["labels"] = labels.clone();
    let pod = &mut set["template"]["spec"];
    pod["volumes"][0]["configMap"]["name"] = name.into();
    pod["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]
        ["matchLabels"] = labels;
    objects
        .try_into()
        .map_err(|_| anyhow::anyhow!("a deployment has three objects"))
}

/// The same for pods that no node takes.
fn idle(namespace: &str, name: &str) -> Result<[Value; 3]> {
    let mut objects = named(namespace, name)?;
    objects[2]["spec"]["template"]["spec"]["nodeSelector"] = json!({"natsguard.dev/no": "node"});
    Ok(objects)
}

/// The routes that a deployment of this name should have.
fn named_routes(namespace: &str, name: &str, replicas: usize) -> Vec<String> {
    (0..replicas)
        .map(|pod| format!("nats://{name}-{pod}.{name}.{namespace}.svc.cluster.local:6222"))
        .collect()
}

/// Makes objects in their order, as fast as the apiserver takes them.
async fn create(space: &Space, objects: &[Value]) -> Result<()> {
    create_in(space, &space.name, objects).await
}

async fn create_in(space: &Space, namespace: &str, objects: &[Value]) -> Result<()> {
    for object in objects {
        let object = object.clone();
        match object["kind"].as_str() {
            Some("ConfigMap") => create_one::<ConfigMap>(space, namespace, object).await?,
            Some("Service") => create_one::<Service>(space, namespace, object).await?,
            _ => create_one::<StatefulSet>(space, namespace, object).await?,
        }
    }
    Ok(())
}

async fn create_one<K>(space: &Space, namespace: &str, object: Value) -> Result<()>
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + serde::Serialize
        + serde::de::DeserializeOwned
        + Clone
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(space.target.client.clone(), namespace);
    api.create(&PostParams::default(), &serde_json::from_value(object)?)
        .await?;
    Ok(())
}

/// The routes of a ConfigMap's file.
fn routes_of(map: &ConfigMap) -> Vec<String> {
    let text = map.data.as_ref().and_then(|data| data.get("nats.conf"));
    text.into_iter()
        .flat_map(|text| text.lines())
        .map(str::trim)
        .filter(|line| line.starts_with("nats://"))
        .map(str::to_owned)
        .collect()
}

async fn routes(space: &Space, name: &str) -> Result<Vec<String>> {
    Ok(routes_of(&space.api::<ConfigMap>().get(name).await?))
}

async fn wait_routes(space: &Space, name: &str, wanted: &[String], limit: Duration) -> Result<()> {
    space
        .wait(&format!("the routes of {name}"), limit, async || {
            let seen = routes(space, name).await?;
            Ok(if seen == wanted {
                Ok(())
            } else {
                Err(format!("they are {seen:?}"))
            })
        })
        .await
}

async fn scale(space: &Space, name: &str, replicas: usize) -> Result<()> {
    let line = format!("scale statefulset {name} --replicas {replicas}");
    space.kubectl(&line, None).await?.ok().map(drop)
}

/// The Events of an object: reason and text.
async fn events(space: &Space, name: &str) -> Result<Vec<(String, String)>> {
    let fields = ListParams::default().fields(&format!("involvedObject.name={name}"));
    let events = space.api::<Event>().list(&fields).await?;
    Ok(events
        .into_iter()
        .map(|event| {
            (
                event.reason.unwrap_or_default(),
                event.message.unwrap_or_default(),
            )
        })
        .collect())
}

async fn wait_event(space: &Space, name: &str, reason: &str, limit: Duration) -> Result<String> {
    space
        .wait(&format!("an Event {reason} of {name}"), limit, async || {
            let events = events(space, name).await?;
            let found = events.iter().find(|(of, _)| of == reason);
            Ok(found
                .map(|(_, text)| text.clone())
                .ok_or_else(|| format!("{events:?}")))
        })
        .await
}

/// The pods of a StatefulSet: their names with uid and restarts, which change with every rollout and every crash.
async fn lives(space: &Space, labels: &str) -> Result<BTreeMap<String, (String, i32)>> {
    let pods = space.pods(labels).await?;
    pods.into_iter()
        .map(|pod| {
            let restarts = pod
                .status
                .and_then(|status| status.container_statuses)
                .into_iter()
                .flatten()
                .map(|container| container.restart_count)
                .sum();
            let name = pod.metadata.name.context("a pod has a name")?;
            Ok((
                name,
                (pod.metadata.uid.context("a pod has a uid")?, restarts),
            ))
        })
        .collect()
}

/// How often natsguard did this to an object, dry runs aside, as the audit log of the apiserver has it.
fn touches(space: &Space, verb: &str, resource: &str, name: &str) -> Result<usize> {
    let mut count = 0;
    for event in space.audit()? {
        let target = &event["objectRef"];
        let is_dry = event["requestURI"]
            .as_str()
            .is_some_and(|uri| uri.contains("dryRun"));
        if event["verb"] == verb
            && target["resource"] == resource
            && target["namespace"] == space.name.as_str()
            && target["name"] == name
            && !is_dry
            && event["responseStatus"]["code"] == 200
        {
            count += 1;
        }
    }
    Ok(count)
}

/// A metric of the controller that leads, summed over its labels.
async fn metric(space: &Space, name: &str) -> Result<f64> {
    let leader = leader::holder(space).await?;
    let uri = format!("/api/v1/namespaces/natsguard-system/pods/{leader}:8080/proxy/metrics");
    let text = space
        .target
        .client
        .request_text(http::Request::get(uri).body(Vec::new())?)
        .await?;
    let values: Vec<f64> = text
        .lines()
        .filter(|line| {
            line.strip_prefix(name)
                .is_some_and(|rest| rest.starts_with([' ', '{']))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    ensure!(!values.is_empty(), "there is no {name} in\n{text}");
    Ok(values.iter().sum())
}
