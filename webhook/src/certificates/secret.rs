//! The Secret that holds the CAs, with the races that several replicas run.

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, GetParams, ObjectMeta, PostParams};
use kube::{Client, Error};

use super::authority::Data;

/// Whose writes these are.
pub const MANAGER: &str = "natsguard";

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
                data.iter()
                    .map(|(key, value)| (key.clone(), ByteString(value.clone())))
                    .collect(),
            ),
            type_: Some("Opaque".to_owned()),
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
            // The type of a Secret can't be changed, so one of another type has to go.
            Err(Error::Api(status)) if status.is_invalid() && instead_of.is_some() => {
                self.remove().await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn remove(&self) -> Result<(), Error> {
        match self.api.delete(&self.name, &Default::default()).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn stored(secret: Secret) -> Stored {
    Stored {
        version: secret.metadata.resource_version.unwrap_or_default(),
        data: secret
            .data
            .unwrap_or_default()
            .into_iter()
            .map(|(key, ByteString(value))| (key, value))
            .collect(),
    }
}
