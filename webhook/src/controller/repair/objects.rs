//! The requests of a review: one StatefulSet and its pods are read, an annotation is patched, a pod is deleted.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
};
use kube::core::Selector;
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::plan::{Target, content};
use crate::admission::REVIEWED;

/// How long to wait for an answer. An apiserver waits up to 30 s for webhooks.
const PATIENCE: Duration = Duration::from_secs(40);

/// Whose writes these are.
pub(super) const MANAGER: &str = "natsguard";

/// What came of a touch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Written {
    /// The object as it is, or would be, kept: admission repaired it.
    Repaired(Value),
    /// Nobody repaired it.
    Unchanged,
    /// It is another one than was read by now, or gone.
    Raced,
}

/// Reads and writes through a client.
#[derive(Clone)]
pub(super) struct Objects(Client);

impl Objects {
    pub(super) const fn new(client: Client) -> Self {
        Self(client)
    }

    /// The StatefulSet as the apiserver sends it, its status included.
    pub(super) async fn stateful_set(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Error> {
        let kind = resource("apps", "StatefulSet", "statefulsets");
        let api: Api<DynamicObject> = Api::namespaced_with(self.0.clone(), namespace, &kind);
        let found = timely(api.get_opt(name)).await?;
        found.as_ref().map(value).transpose()
    }

    /// The pods that a StatefulSet made, in the order of their names.
    pub(super) async fn pods(&self, set: &Value) -> Result<Vec<Pod>, Error> {
        let text = |pointer| {
            set.pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let selector = set.pointer("/spec/selector").cloned().unwrap_or_default();
        let selector: LabelSelector =
            serde_json::from_value(selector).map_err(Error::SerdeError)?;
        // The apiserver takes no other one.
        let Ok(selector) = Selector::try_from(selector) else {
            return Ok(Vec::new());
        };
        let api: Api<Pod> = Api::namespaced(self.0.clone(), text("/metadata/namespace"));
        let params = ListParams::default().labels_from(&selector);
        let found = timely(api.list(&params)).await?;
        let uid = text("/metadata/uid");
        let is_own = |pod: &Pod| {
            let mut owners = pod.metadata.owner_references.iter().flatten();
            owners.any(|owner| owner.controller == Some(true) && owner.uid == uid)
        };
        Ok(found.items.into_iter().filter(is_own).collect())
    }

    /// Sets the one annotation that is ours on an object as it was read. The patch names nothing else, so that all else
    /// stays with whoever manages it.
    pub(super) async fn touch(
        &self,
        target: &Target,
        read: &Value,
        mark: &str,
        is_dry: bool,
    ) -> Result<Written, Error> {
        let kind = resource("", target.kind.name(), target.kind.plural());
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.0.clone(), &target.namespace, &kind);
        let patch = json!({"metadata": {
            "annotations": {REVIEWED: mark},
            "resourceVersion": read.pointer("/metadata/resourceVersion"),
        }});
        let params = PatchParams {
            dry_run: is_dry,
            field_manager: Some(MANAGER.to_owned()),
            ..PatchParams::default()
        };
        match api.patch(&target.name, &params, &Patch::Merge(patch)).await {
            Ok(object) => {
                let after = value(&object)?;
                Ok(if content(&after) == content(read) {
                    Written::Unchanged
                } else {
                    Written::Repaired(after)
                })
            }
            Err(error) if is_raced(&error) => Ok(Written::Raced),
            Err(error) => Err(error),
        }
    }

    /// Deletes a pod, if it is the one that was read and nothing has happened to it since.
    pub(super) async fn delete(&self, namespace: &str, pod: &Pod) -> Result<bool, Error> {
        let api: Api<Pod> = Api::namespaced(self.0.clone(), namespace);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: pod.metadata.uid.clone(),
                resource_version: pod.metadata.resource_version.clone(),
            }),
            ..DeleteParams::default()
        };
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match timely(api.delete(name, &params)).await {
            Ok(_) => Ok(true),
            Err(error) if is_raced(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// What an error says. One about an answer that can't be read may quote it, so it is not repeated.
pub(super) fn words(error: &Error) -> String {
    match error {
        Error::Api(status) => format!("{} ({})", status.message, status.code),
        Error::SerdeError(_) => "the answer of the apiserver can't be read".to_owned(),
        error => error.to_string(),
    }
}

/// A request that gets no answer must not hold up a review for ever.
pub(super) async fn timely<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(PATIENCE, request).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::Service(
            format!("no answer within {} s", PATIENCE.as_secs()).into(),
        )),
    }
}

fn is_raced(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.is_conflict() || status.is_not_found())
}

fn value(object: &DynamicObject) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(Error::SerdeError)
}

fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() { "v1" } else { "apps/v1" };
    ApiResource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}
