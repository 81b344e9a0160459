//! The Secret that holds the CAs, with the races that several replicas run.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, GetParams, ObjectMeta, PostParams};
use kube::{Client, Error};

use super::authority::{Data, KEYS};
use crate::kubernetes::MANAGER;

/// Reads and writes one Secret. It is never listed, and no other one is read.
#[derive(Debug, Clone)]
pub struct Store {
    api: Api<Secret>,
    namespace: String,
    name: String,
}

/// A Secret as it was at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its resourceVersion.
    pub version: String,
    /// What it held.
    pub data: Data,
    /// Its type.
    kind: Option<String>,
}

impl Store {
    /// For the Secret of this name.
    pub fn new(client: Client, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// The version of the Secret, from the apiserver's cache: cheap, and possibly a moment old.
    pub async fn version(&self) -> Result<Option<String>, Error> {
        let found = self
            .api
            .get_metadata_opt_with(&self.name, &GetParams::any())
            .await?;
        Ok(found.and_then(|found| found.metadata.resource_version))
    }

    /// The Secret as it is now.
    pub async fn read(&self) -> Result<Option<Stored>, Error> {
        Ok(self.api.get_opt(&self.name).await?.map(stored))
    }

    /// Writes the Secret in place of what was read; `None` when another replica was faster, so read again.
    pub async fn write(
        &self,
        instead_of: Option<&Stored>,
        data: &Data,
    ) -> Result<Option<Stored>, Error> {
        // Its type can't be changed, and may ask for keys that are not ours.
        let (kind, mut all) = match instead_of {
            None => (Some("Opaque".to_owned()), Data::new()),
            Some(stored) => (stored.kind.clone(), stored.data.clone()),
        };
        all.retain(|key, _| !KEYS.contains(&key.as_str()));
        all.extend(data.clone());
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                namespace: Some(self.namespace.clone()),
                // The precondition: a write over any other version is a conflict.
                resource_version: instead_of.map(|stored| stored.version.clone()),
                labels: Some([("app.kubernetes.io/name".into(), "natsguard".into())].into()),
                ..ObjectMeta::default()
            },
            data: Some(
                all.into_iter()
                    .map(|(key, value)| (key, ByteString(value)))
                    .collect(),
            ),
            type_: kind,
            ..Secret::default()
        };
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = match instead_of {
            None => self.api.create(&params, &secret).await,
            Some(_) => self.api.replace(&self.name, &params, &secret).await,
        };
        match written {
            Ok(secret) => Ok(Some(stored(secret))),
            Err(Error::Api(status))
                if status.is_already_exists() || status.is_conflict() || status.is_not_found() =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

fn stored(secret: Secret) -> Stored {
    Stored {
        kind: secret.type_,
        version: secret.metadata.resource_version.unwrap_or_default(),
        data: secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, ByteString(value))| (key, value))
            .collect(),
    }
}
