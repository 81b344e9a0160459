//! The APIs of reports, as those who define them do.

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use natsguard::reports::Kind;
use natsguard_tests::bed::space::Space;
use natsguard_tests::cluster::definitions::Definition;

use super::START;

fn definition(kind: Kind) -> Definition {
    match kind {
        Kind::Report => Definition::Reports,
        Kind::PolicyReport => Definition::PolicyReports,
    }
}

/// Does something while the cluster has these kinds, and takes them away again.
pub async fn with(
    space: &Space,
    kinds: &[Kind],
    work: impl AsyncFnOnce() -> Result<()>,
) -> Result<()> {
    let mut result = Ok(());
    for &kind in kinds {
        result = result.and(define(space, kind).await);
    }
    if result.is_ok() {
        result = work().await;
    }
    for &kind in kinds {
        result = result.and(remove(space, kind).await);
    }
    result
}

/// The reports of a namespace.
pub fn api(space: &Space, kind: Kind) -> Api<DynamicObject> {
    Api::namespaced_with(space.target.client.clone(), &space.name, &kind.resource())
}

async fn define(space: &Space, kind: Kind) -> Result<()> {
    let stop = space.stop.clone();
    let text = tokio::task::spawn_blocking(move || definition(kind).text(&stop)).await??;
    let definition: CustomResourceDefinition = serde_saphyr::from_str(&text)?;
    let definitions: Api<CustomResourceDefinition> = Api::all(space.target.client.clone());
    definitions
        .create(&PostParams::default(), &definition)
        .await?;
    let reports = api(space, kind);
    space
        .wait(kind.plural(), START, async || {
            let list = reports.list(&ListParams::default()).await;
            Ok(list.map(drop).map_err(|error| error.to_string()))
        })
        .await
}

/// Takes a kind away from the cluster, and all reports with it, if it is there.
pub async fn remove(space: &Space, kind: Kind) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(space.target.client.clone());
    let name = format!("{}.{}", kind.plural(), kind.group());
    match definitions.delete(&name, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            space
                .wait(&format!("{name} to go"), START, async || {
                    Ok(match definitions.get_opt(&name).await? {
                        None => Ok(()),
                        Some(_) => Err("it is there".to_owned()),
                    })
                })
                .await
        }
    }
}
