//! NATS deployments, sound and faulty, as the manifests that users write.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::space::{Space, is_ready};
use crate::cluster::images::nats;

/// The port for monitoring.
const MONITOR: u16 = 8222;
/// The port for clients.
pub const CLIENT: u16 = 4222;
/// The port for routes.
pub const ROUTE: u16 = 6222;
/// Selects the pods.
pub const LABELS: &str = "app=nats";

/// What the governing Service is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governing {
    /// A ClusterIP Service: one address for all pods.
    ClusterIp,
    /// Headless: a name for each pod, once it is Ready.
    Headless,
    /// Headless, with `publishNotReadyAddresses`: a name for each pod, at once.
    Published,
}

/// A NATS deployment called `nats`: a ConfigMap, a Service, a StatefulSet.
#[derive(Debug, Clone)]
pub struct Nats {
    /// How many pods.
    pub replicas: usize,
    /// The routes in its file.
    pub routes: Vec<String>,
    /// Its Service.
    pub governing: Governing,
    /// Whether a rule keeps its pods on different nodes.
    pub apart: bool,
    /// What its store is on: a volume of the pod, or a claim with this class (none: the cluster's default).
    pub claim: Option<Option<String>>,
}

impl Nats {
    /// Three servers with JetStream, a route to each, as they should be.
    pub fn sound(namespace: &str) -> Self {
        Self {
            replicas: 3,
            routes: full_names(namespace, 3),
            governing: Governing::Published,
            apart: true,
            claim: None,
        }
    }

    /// The manifests.
    pub fn objects(&self) -> Result<Vec<Value>> {
        let image = nats()?;
        let routes = self.routes.join("\n    ");
        let conf = format!(
            "server_name: $POD_NAME
port: {CLIENT}
http_port: {MONITOR}
jetstream {{
  store_dir: /data
  max_memory_store: 64MB
  max_file_store: 256MB
}}
cluster {{
  name: nats
  port: {ROUTE}
  routes: [
    {routes}
  ]
}}
"
        );
        let mut service = json!({"selector": {"app": "nats"}, "ports": [
            {"name": "client", "port": CLIENT}, {"name": "cluster", "port": ROUTE}, {"name": "monitor", "port": MONITOR}]});
        if self.governing != Governing::ClusterIp {
            service["clusterIP"] = "None".into();
        }
        if self.governing == Governing::Published {
            service["publishNotReadyAddresses"] = true.into();
        }
        let mut pod = json!({
            "terminationGracePeriodSeconds": 5,
            "containers": [{
                "name": "nats", "image": image, "args": ["--config", "/etc/nats/nats.conf"],
                "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "ports": [{"name": "client", "containerPort": CLIENT}, {"name": "cluster", "containerPort": ROUTE},
                          {"name": "monitor", "containerPort": MONITOR}],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": "monitor"}, "periodSeconds": 2},
                "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/nats"}, {"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "config", "configMap": {"name": "nats-config"}}],
        });
        if self.apart {
            pod["affinity"] = json!({"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
                {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "nats"}}}]}});
        }
        let mut set = json!({
            "replicas": self.replicas, "serviceName": "nats", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "nats"}},
        });
        match &self.claim {
            None => {
                if let Some(volumes) = pod["volumes"].as_array_mut() {
                    volumes.push(json!({"name": "data", "emptyDir": {}}));
                }
            }
            Some(class) => {
                let mut claim = json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "256Mi"}}});
                if let Some(class) = class {
                    claim["storageClassName"] = class.as_str().into();
                }
                set["volumeClaimTemplates"] =
                    json!([{"metadata": {"name": "data"}, "spec": claim}]);
            }
        }
        set["template"] = json!({"metadata": {"labels": {"app": "nats"}}, "spec": pod});
        Ok(vec![
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nats-config"}, "data": {"nats.conf": conf}}),
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nats"}, "spec": service}),
            json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "nats"}, "spec": set}),
        ])
    }
}

/// A route to each of `count` pods by its full name.
pub fn full_names(namespace: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|ordinal| format!("nats://nats-{ordinal}.nats.{namespace}.svc.cluster.local:{ROUTE}"))
        .collect()
}

impl Space {
    /// What a server's monitoring port says, as JSON.
    pub async fn monitor(&self, pod: &str, path: &str) -> Result<Value> {
        let (status, text) = self.get(pod, MONITOR, path).await?;
        ensure!(status == 200, "{pod} answers {path} with {status} {text:?}");
        serde_json::from_str(&text).with_context(|| format!("{pod} answers {path} with {text:?}"))
    }

    /// The servers that a server has routes to, by name. Routes are pooled: several lead to the same one.
    pub async fn remotes(&self, pod: &str) -> Result<BTreeSet<String>> {
        let routez = self.monitor(pod, "/routez").await?;
        let routes = routez["routes"].as_array().cloned().unwrap_or_default();
        Ok(routes
            .iter()
            .filter_map(|route| Some(route.get("remote_name")?.as_str()?.to_owned()))
            .collect())
    }

    /// Waits until `count` servers form one cluster: all Ready, each with routes to all others, one meta leader in the eyes
    /// of all. Gives its name.
    pub async fn wait_meshed(&self, count: usize, limit: Duration) -> Result<String> {
        self.wait_pods(LABELS, count, limit, "Ready", is_ready)
            .await?;
        let names: BTreeSet<String> = (0..count)
            .map(|ordinal| format!("nats-{ordinal}"))
            .collect();
        self.wait("one cluster", limit, async || {
            // A request that fails is a server that has still to come.
            let leader = self.meta_leader(&names).await;
            Ok(leader.map_err(|error| format!("{error:#}")))
        })
        .await
    }

    /// The meta leader of servers that form one cluster.
    async fn meta_leader(&self, names: &BTreeSet<String>) -> Result<String> {
        let mut leaders = BTreeSet::new();
        for name in names {
            let mut seen = self.remotes(name).await?;
            seen.insert(name.clone());
            ensure!(seen == *names, "{name} sees {seen:?}");
            let jsz = self.monitor(name, "/jsz").await?;
            leaders.insert(
                jsz["meta_cluster"]["leader"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        match leaders.first() {
            Some(leader) if leaders.len() == 1 && names.contains(leader) => Ok(leader.clone()),
            _ => bail!("the meta leaders are {leaders:?}"),
        }
    }
}
