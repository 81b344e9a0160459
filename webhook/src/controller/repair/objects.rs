//! The requests of a review: one StatefulSet and its pods are read, an annotation is patched, a pod is deleted.

use std::pin::pin;
use std::time::Duration;

use futures::AsyncReadExt as _;
use http::Request;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, ObjectMeta, OwnerReference, Time,
};
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, Preconditions,
};
use kube::core::Selector;
use kube::core::request::Request as Requests;
use kube::{Client, Error, Resource as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::plan::{Target, content};
use crate::admission::REVIEWED;
use crate::facts::Page;
use crate::kubernetes::MANAGER;

/// How long an answer may take, from the first word to the last: the client itself waits so long for each.
const PATIENCE: Duration = Duration::from_secs(10);

/// Pods asked for at a time: most sets have no more.
const PAGE: u32 = 16;

/// A page is no larger than this, else fewer are asked for. One pod is at most 1.5 MiB in etcd.
const MAX_BYTES: usize = 4 << 20;

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

    /// The pods that a StatefulSet made, in the order of their names, and of each what tells whether it has to start again.
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
        let pods = Requests::new(Pod::url_path(&(), Some(text("/metadata/namespace"))));
        let mut params = ListParams::default().labels_from(&selector).limit(PAGE);
        let mut limit = PAGE;
        let mut own = Vec::new();
        loop {
            let request = pods.list(&params).map_err(Error::BuildRequest)?;
            let Some(page) = timely(self.read(request)).await? else {
                limit /= 2;
                if limit == 0 {
                    return Err(Error::Service("a pod is too large to be read".into()));
                }
                params = params.limit(limit);
                continue;
            };
            let page: Page<'_> = serde_json::from_slice(&page).map_err(Error::SerdeError)?;
            for item in page.items.unwrap_or_default() {
                let pod: Slim = serde_json::from_str(item.get()).map_err(Error::SerdeError)?;
                if pod.belongs_to(text("/metadata/uid")) {
                    own.push(pod.into());
                }
            }
            match page.metadata.next.filter(|next| !next.is_empty()) {
                Some(next) => params = params.continue_token(&next),
                None => return Ok(own),
            }
        }
    }

    /// `None` when the answer is too large.
    async fn read(&self, request: Request<Vec<u8>>) -> Result<Option<Vec<u8>>, Error> {
        let answer = pin!(self.0.request_stream(request).await?);
        let mut text = Vec::new();
        let read = answer
            .take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut text)
            .await;
        read.map_err(|error| Error::Service(error.into()))?;
        Ok((text.len() <= MAX_BYTES).then_some(text))
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
        let patch = Patch::Merge(patch);
        match timely(api.patch(&target.name, &params, &patch)).await {
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

/// As much of a pod as is read.
#[derive(Deserialize)]
struct Slim {
    metadata: Metadata,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: Option<String>,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    #[serde(default)]
    owner_references: Vec<OwnerReference>,
}

impl Slim {
    fn belongs_to(&self, uid: &str) -> bool {
        let mut owners = self.metadata.owner_references.iter();
        owners.any(|owner| owner.controller == Some(true) && owner.uid == uid)
    }
}

impl From<Slim> for Pod {
    fn from(Slim { metadata, status }: Slim) -> Self {
        Self {
            metadata: ObjectMeta {
                name: metadata.name,
                namespace: metadata.namespace,
                uid: metadata.uid,
                resource_version: metadata.resource_version,
                creation_timestamp: metadata.creation_timestamp,
                deletion_timestamp: metadata.deletion_timestamp,
                ..ObjectMeta::default()
            },
            spec: None,
            status: Some(PodStatus {
                phase: status.phase,
                start_time: status.start_time,
                conditions: status.conditions,
                container_statuses: status.container_statuses,
                ..PodStatus::default()
            }),
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

/// What became of a write. Other webhooks say what they like, and may quote the object, so only the code is repeated.
pub(super) fn refusal(error: &Error) -> String {
    match error {
        Error::Api(status) => format!("the apiserver refuses it ({})", status.code),
        error => words(error),
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
