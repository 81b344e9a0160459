//! A test's own namespace, and what a test does in it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use k8s_openapi::api::core::v1::{Namespace, Node, PersistentVolume, Pod};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, DeleteParams, ListParams, LogParams, PostParams};
use serde_json::{Value, json};

use super::Options;
use super::target::{Said, Target};
use crate::cluster::Cluster;
use crate::cluster::command::Stop;

/// A namespace that goes with its test.
pub struct Space {
    /// The cluster.
    pub target: Arc<Target>,
    /// What the run was asked for.
    pub options: Options,
    /// Raised when the run has to end.
    pub stop: Stop,
    /// Its name.
    pub name: String,
    test: String,
    /// What natsguard asked before this test is before this byte of the audit log.
    audit_from: u64,
    failed_nodes: Mutex<BTreeSet<String>>,
    paused: Mutex<BTreeSet<String>>,
    volumes: Mutex<bool>,
}

impl Space {
    /// Makes the namespace.
    pub async fn make(
        target: Arc<Target>,
        options: Options,
        stop: Stop,
        test: &str,
    ) -> Result<Self> {
        let local = target.local.as_ref();
        let audit_from = local.map_or(Ok(0), Cluster::audit_size)?;
        let namespaces: Api<Namespace> = Api::all(target.client.clone());
        let made: Namespace = namespaces
            .create(
                &PostParams::default(),
                &serde_json::from_value(json!({"metadata": {
                    "generateName": "e2e-", "annotations": {"natsguard.dev/test": test}}}))?,
            )
            .await
            .context("a namespace for the test can't be made")?;
        Ok(Self {
            target,
            options,
            stop,
            name: made.metadata.name.context("the namespace has no name")?,
            test: test.to_owned(),
            audit_from,
            failed_nodes: Mutex::default(),
            paused: Mutex::default(),
            volumes: Mutex::default(),
        })
    }

    /// Ends a test: what it took away is given back, what tells why it failed is kept, its namespace goes.
    pub async fn end(self, result: Result<()>) -> Result<()> {
        let kept = match &result {
            Ok(()) => None,
            Err(_) => Some(self.keep_logs().await),
        };
        for process in std::mem::take(&mut *lock(&self.paused)) {
            self.target.local()?.resume(&process)?;
        }
        for node in std::mem::take(&mut *lock(&self.failed_nodes)) {
            self.target.local()?.restore_node(&node)?;
        }
        if !(self.options.keep && result.is_err()) {
            let namespaces: Api<Namespace> = Api::all(self.target.client.clone());
            namespaces
                .delete(&self.name, &DeleteParams::background())
                .await?;
            if *lock(&self.volumes) {
                let all: Api<PersistentVolume> = Api::all(self.target.client.clone());
                let own =
                    ListParams::default().labels(&format!("natsguard.dev/test={}", self.name));
                all.delete_collection(&DeleteParams::background(), &own)
                    .await?;
                let classes: Api<StorageClass> = Api::all(self.target.client.clone());
                match classes.delete(&self.name, &DeleteParams::default()).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => {}
                    ended => drop(ended?),
                }
            }
        }
        result.map_err(|error| match kept {
            Some(Ok(folder)) => error.context(format!("failed; logs in {folder}")),
            Some(Err(problem)) => error.context(format!("failed; no logs: {problem:#}")),
            None => error,
        })
    }

    async fn keep_logs(&self) -> Result<String> {
        let folder = self.options.logs.join(self.test.replace("::", "-"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder)?;
        // No Secrets: what is kept may be shown to anyone.
        for (file, arguments) in [
            ("events.txt", "get events --sort-by=.lastTimestamp"),
            ("pods.txt", "get pods --output=wide"),
            ("describe.txt", "describe pods"),
            (
                "objects.yaml",
                "get configmaps,services,statefulsets,deployments,pods,persistentvolumeclaims --output=yaml",
            ),
            ("nodes.txt", "describe nodes"),
        ] {
            let said = self.kubectl(arguments, None).await?;
            fs::write(folder.join(file), said.stdout + &said.stderr)?;
        }
        let pods: Api<Pod> = self.api();
        for pod in pods.list(&ListParams::default()).await? {
            let name = pod.metadata.name.unwrap_or_default();
            for container in pod.spec.unwrap_or_default().containers {
                let parameters = LogParams {
                    container: Some(container.name.clone()),
                    ..LogParams::default()
                };
                let text = match pods.logs(&name, &parameters).await {
                    Ok(text) => text,
                    Err(error) => format!("no logs: {error}"),
                };
                fs::write(folder.join(format!("{name}-{}.log", container.name)), text)?;
            }
        }
        if let Some(local) = &self.target.local {
            local.copy_logs(&folder.join("cluster"))?;
        }
        Ok(folder.display().to_string())
    }

    /// A typed client of this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.target.client.clone(), &self.name)
    }

    /// Runs kubectl in this namespace; `input` is its standard input.
    pub async fn kubectl(&self, arguments: &str, input: Option<String>) -> Result<Said> {
        self.command("kubectl", arguments, input).await
    }

    /// Runs helm in this namespace.
    pub async fn helm(&self, arguments: &str) -> Result<Said> {
        self.command("helm", arguments, None).await
    }

    async fn command(
        &self,
        program: &'static str,
        arguments: &str,
        input: Option<String>,
    ) -> Result<Said> {
        self.target.run(program, &self.name, arguments, input).await
    }

    /// Applies objects as a user would, with `kubectl apply`. What was said on the way (warnings) is given.
    pub async fn apply(&self, objects: &[Value]) -> Result<Said> {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let said = self
            .kubectl("apply --filename -", Some(list.to_string()))
            .await?;
        if !said.success {
            bail!("kubectl apply failed: {}", said.stderr);
        }
        Ok(said)
    }

    /// Asks `done` once a second until it gives a value; after `limit` the last thing that it said was missing is the error.
    pub async fn wait<T>(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl AsyncFnMut() -> Result<Result<T, String>>,
    ) -> Result<T> {
        let start = Instant::now();
        loop {
            let missing = match done().await? {
                Ok(value) => return Ok(value),
                Err(missing) => missing,
            };
            self.stop.check()?;
            if start.elapsed() > limit {
                bail!(
                    "gave up waiting for {what} after {} s: {missing}",
                    limit.as_secs()
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// The pods that a label selector picks, by name.
    pub async fn pods(&self, labels: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = self.api();
        let mut pods = pods
            .list(&ListParams::default().labels(labels))
            .await?
            .items;
        pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        Ok(pods)
    }

    /// Waits until `count` pods that a label selector picks are there and `reached` of each.
    pub async fn wait_pods(
        &self,
        labels: &str,
        count: usize,
        limit: Duration,
        what: &str,
        reached: fn(&Pod) -> bool,
    ) -> Result<Vec<Pod>> {
        self.wait(&format!("{count} pods to be {what}"), limit, async || {
            let pods = self.pods(labels).await?;
            let there = pods.iter().filter(|pod| reached(pod)).count();
            Ok(if there == count {
                Ok(pods)
            } else {
                Err(format!("{there} of {} are", pods.len()))
            })
        })
        .await
    }

    /// What a pod answers on a port, asked through the apiserver, so from anywhere: the status and the text.
    pub async fn get(&self, pod: &str, port: u16, path: &str) -> Result<(u16, String)> {
        let uri = format!(
            "/api/v1/namespaces/{}/pods/{pod}:{port}/proxy{path}",
            self.name
        );
        let request = http::Request::get(uri).body(kube::client::Body::empty())?;
        let response = self.target.client.send(request).await?;
        let status = response.status().as_u16();
        let body = response.into_body().collect_bytes().await?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }

    /// What natsguard asked the apiserver for since the test began, as events of the audit log.
    pub fn audit(&self) -> Result<Vec<Value>> {
        let log = self.target.local()?.audit_log(self.audit_from)?;
        // The last line may still be written.
        let whole = log.rfind('\n').map_or("", |end| &log[..end]);
        whole
            .lines()
            .map(|line| Ok(serde_json::from_str(line)?))
            .collect()
    }

    /// The names of the nodes that pods can go to.
    pub async fn nodes(&self) -> Result<Vec<String>> {
        let nodes: Api<Node> = Api::all(self.target.client.clone());
        Ok(nodes
            .list(&ListParams::default())
            .await?
            .into_iter()
            .filter(|node| {
                let spec = node.spec.as_ref();
                spec.is_none_or(|spec| {
                    spec.taints.as_ref().is_none_or(Vec::is_empty)
                        && spec.unschedulable != Some(true)
                })
            })
            .filter_map(|node| node.metadata.name)
            .collect())
    }

    /// Makes local disks, `each` on every node, of a StorageClass of this test's own, and gives its name. On a foreign
    /// cluster there is nothing to make: none means its default class.
    pub async fn volumes(&self, each: usize, size: &str) -> Result<Option<String>> {
        let Some(local) = &self.target.local else {
            return Ok(None);
        };
        let class = json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": self.name},
            "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"});
        let mut objects = vec![class];
        for node in local.nodes() {
            for number in 0..each {
                let name = format!("{}-{node}-{number}", self.name);
                let path = local.disk(&node, &name)?;
                objects.push(json!({"apiVersion": "v1", "kind": "PersistentVolume",
                    "metadata": {"name": name, "labels": {"natsguard.dev/test": self.name}},
                    "spec": {"capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"],
                        "persistentVolumeReclaimPolicy": "Retain", "storageClassName": self.name, "local": {"path": path},
                        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [
                            {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}]}}}}));
            }
        }
        self.owns_volumes();
        self.apply(&objects).await?;
        Ok(Some(self.name.clone()))
    }

    /// PersistentVolumes with the label `natsguard.dev/test` and the name of this namespace go with the test.
    pub fn owns_volumes(&self) {
        *lock(&self.volumes) = true;
    }

    /// Cuts a node off the network until [`Self::restore_node`], or the end of the test.
    pub fn fail_node(&self, node: &str) -> Result<()> {
        lock(&self.failed_nodes).insert(node.to_owned());
        self.target.local()?.fail_node(node)
    }

    /// Connects it again.
    pub fn restore_node(&self, node: &str) -> Result<()> {
        lock(&self.failed_nodes).remove(node);
        self.target.local()?.restore_node(node)
    }

    /// Stops a process of the cluster where it is until [`Self::resume`], or the end of the test.
    pub fn pause(&self, process: &str) -> Result<()> {
        lock(&self.paused).insert(process.to_owned());
        self.target.local()?.pause(process)
    }

    /// Lets it go on.
    pub fn resume(&self, process: &str) -> Result<()> {
        lock(&self.paused).remove(process);
        self.target.local()?.resume(process)
    }
}

/// Whether all containers of a pod have started.
pub fn is_running(pod: &Pod) -> bool {
    let status = pod.status.as_ref();
    status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
}

/// Whether a pod is Ready.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The node that a pod is on.
pub fn node_of(pod: &Pod) -> Option<&str> {
    pod.spec.as_ref()?.node_name.as_deref()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
