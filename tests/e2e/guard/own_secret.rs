//! `tls.mode: secret`: a platform signs the certificate, renews it, and moves to another CA.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret};
use kube::api::{Api, Patch, PatchParams, PostParams};
use natsguard_tests::bed::guard::{NAMESPACE, RELEASE};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::START;
use super::certificates::{TAKEN, bundles, logged};
use super::load::Load;

const SECRET: &str = "platform-certificate";

struct Platform {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Platform {
    fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    fn secret(&self) -> Result<Value> {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([format!("{RELEASE}.{NAMESPACE}.svc")])?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "type": "kubernetes.io/tls",
            "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()}}))
    }
}

async fn install(space: &Space, authorities: &[&Platform]) -> Result<()> {
    let bundle: String = authorities
        .iter()
        .map(|authority| authority.certificate.as_str())
        .collect();
    let path = space.options.logs.join(format!("{}-ca.crt", space.name));
    fs::create_dir_all(&space.options.logs)?;
    fs::write(&path, &bundle)?;
    let flags = format!(
        "--set tls.mode=secret --set tls.secretName={SECRET} --set-file tls.caBundle={}",
        path.display()
    );
    let result = space.target.install(&space.stop, &flags).await;
    fs::remove_file(&path)?;
    result?;
    assert_eq!(bundles(space).await?, [bundle.into_bytes()].into());
    Ok(())
}

/// Waits until every pod has taken a certificate so many times.
async fn wait_taken(space: &Space, times: usize) -> Result<()> {
    space
        .wait("the certificate to be served", START, async || {
            let taken = logged(space, TAKEN).await?;
            Ok(if taken.values().all(|count| *count == times) {
                Ok(())
            } else {
                Err(format!("they took {taken:?} of {times}"))
            })
        })
        .await
}

/// The Secret's certificate is replaced by one of another CA while reviews go on, and the former CA is forgotten.
pub async fn replaced(space: &Space) -> Result<()> {
    space.target.uninstall().await?;
    let client = &space.target.client;
    let place: Namespace = serde_json::from_value(json!({"metadata": {"name": NAMESPACE}}))?;
    Api::all(client.clone())
        .create(&PostParams::default(), &place)
        .await?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let (former, next) = (Platform::new("former")?, Platform::new("next")?);
    let apply = PatchParams::apply("platform").force();
    secrets
        .patch(SECRET, &apply, &Patch::Apply(former.secret()?))
        .await?;
    install(space, &[&former, &next]).await?;
    wait_taken(space, 1).await?;

    let load = Load::start(space).await?;
    secrets
        .patch(SECRET, &apply, &Patch::Apply(next.secret()?))
        .await?;
    // The kubelet brings a Secret within a minute or so, and at once to a pod that changes.
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    for pod in space.target.guards().await? {
        let name = pod.metadata.name.context("a pod has a name")?;
        let change = json!({"metadata": {"annotations": {"natsguard.dev/test": "now"}}});
        pods.patch(&name, &PatchParams::default(), &Patch::Merge(change))
            .await?;
    }
    wait_taken(space, 2).await?;
    install(space, &[&next]).await?;
    let outcome = load.end(space, Duration::from_secs(5)).await?;
    say(&format!(
        "own secret: another CA's certificate: {} writes, {} failed, {:?}",
        outcome.writes,
        outcome.problems.len(),
        outcome.calls
    ));
    // Whoever is installed next would find this Secret, and bundles of another owner.
    space.target.uninstall().await?;
    outcome.check()
}
