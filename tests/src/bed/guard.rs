//! natsguard on the cluster of the tests, installed as a platform team would: the chart, with its defaults.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams};

use super::say;
use super::target::Target;
use crate::cluster::command::Stop;
use crate::cluster::place;

/// Where it is installed.
pub const NAMESPACE: &str = "natsguard-system";
/// The release, and so the name of its objects.
pub const RELEASE: &str = "natsguard";
/// Selects the pods of the webhook.
pub const LABELS: &str = "app.kubernetes.io/name=natsguard,app.kubernetes.io/component=webhook";
/// Selects the pods of the controller.
pub const CONTROLLER_LABELS: &str =
    "app.kubernetes.io/name=natsguard,app.kubernetes.io/component=controller";

/// What kube-apiserver counts of the calls to webhooks, all of them together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls made.
    pub made: u64,
    /// Requests refused because a call failed.
    pub errors: u64,
    /// Requests let through although a call failed.
    pub ignored: u64,
}

impl Calls {
    /// What came to be counted since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            made: self.made - before.made,
            errors: self.errors - before.errors,
            ignored: self.ignored - before.ignored,
        }
    }
}

impl Target {
    /// Sees to it that natsguard is installed, or is not.
    pub async fn guard(&self, stop: &Stop, wanted: bool) -> Result<()> {
        let mut known = self.guarded.lock().await;
        if *known == Some(wanted) {
            return Ok(());
        }
        *known = None;
        if wanted {
            self.install(stop, "").await?;
        } else {
            self.uninstall().await?;
        }
        *known = Some(wanted);
        Ok(())
    }

    /// Whether natsguard is installed, if that is known.
    pub async fn is_guarded(&self) -> Option<bool> {
        *self.guarded.lock().await
    }

    /// Says that natsguard may not be as it should: whoever needs it next installs it again, whoever needs it gone removes it.
    pub(super) async fn forget_guard(&self) {
        *self.guarded.lock().await = None;
    }

    /// Installs or upgrades natsguard with more flags for Helm, whatever values it had, and waits until it is Ready.
    pub async fn install(&self, stop: &Stop, flags: &str) -> Result<()> {
        self.install_by("helm", stop, flags).await
    }

    /// The same by `helm`, which is Helm 4, or `helm3`.
    pub async fn install_by(&self, helm: &'static str, stop: &Stop, flags: &str) -> Result<()> {
        self.project_image(stop).await?;
        say(&format!("installing natsguard {flags}"));
        let line = format!(
            "upgrade --install {RELEASE} {} --create-namespace --reset-values --wait --timeout 120s \
             {flags}",
            place::repository().join("chart").display()
        );
        self.helm(helm, &line).await.map(drop)
    }

    /// Removes natsguard and its namespace. Its pods would serve connections that are still open for a minute and a half,
    /// which nobody waits for here.
    pub async fn uninstall(&self) -> Result<()> {
        self.helm("helm", &format!("uninstall {RELEASE} --ignore-not-found"))
            .await?;
        for line in [
            "delete pods --all --force --grace-period=0 --wait=false".to_owned(),
            format!("delete namespace {NAMESPACE} --ignore-not-found --timeout 60s"),
        ] {
            self.kubectl_guard(&line).await?;
        }
        Ok(())
    }

    /// Runs `helm` or `helm3` in natsguard's namespace, which must go well.
    pub async fn helm(&self, helm: &'static str, arguments: &str) -> Result<String> {
        let said = self.run(helm, NAMESPACE, arguments, None).await?;
        said.ok().with_context(|| format!("{helm} {arguments}"))
    }

    /// Runs kubectl in natsguard's namespace, which must go well.
    pub async fn kubectl_guard(&self, arguments: &str) -> Result<String> {
        let said = self.run("kubectl", NAMESPACE, arguments, None).await?;
        said.ok().with_context(|| format!("kubectl {arguments}"))
    }

    /// The pods of natsguard's webhook, by name, without those on their way out.
    pub async fn guards(&self) -> Result<Vec<Pod>> {
        self.own_pods(LABELS).await
    }

    async fn own_pods(&self, labels: &str) -> Result<Vec<Pod>> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut pods = pods
            .list(&ListParams::default().labels(labels))
            .await?
            .items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        Ok(pods)
    }

    /// The resident memory of each of natsguard's pods that labels select, in bytes, by the name of the pod.
    pub async fn memory(&self, labels: &str) -> Result<BTreeMap<String, u64>> {
        let local = self.local()?;
        let mut memory = BTreeMap::new();
        for pod in self.own_pods(labels).await? {
            let uid = pod.metadata.uid.context("a pod has a uid")?;
            let bytes = local.memory_of(&uid, "natsguard")?;
            memory.insert(pod.metadata.name.context("a pod has a name")?, bytes);
        }
        Ok(memory)
    }

    /// What the apiserver has counted so far.
    pub async fn calls(&self) -> Result<Calls> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let text = self.client.request_text(request).await?;
        let sum = |name: &str, label: &str| {
            text.lines()
                .filter(|line| line.starts_with(name) && line.contains(label))
                .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
                .map(|count| format!("{count:.0}").parse::<u64>().unwrap_or_default())
                .sum()
        };
        Ok(Calls {
            made: sum(
                "apiserver_admission_webhook_request_total{",
                ".natsguard.dev\"",
            ),
            errors: sum(
                "apiserver_admission_webhook_rejection_count{",
                "error_type=\"calling_webhook_error\"",
            ),
            ignored: sum(
                "apiserver_admission_webhook_fail_open_count{",
                ".natsguard.dev\"",
            ),
        })
    }

    /// Waits until all replicas of natsguard are Ready and none is left of before.
    pub async fn wait_guards(&self, limit: Duration) -> Result<()> {
        self.kubectl_guard(&format!(
            "rollout status deployment/{RELEASE} --timeout {}s",
            limit.as_secs()
        ))
        .await
        .map(drop)
    }
}
