//! `caBundle` of natsguard's own webhook configurations: seen, and set where it is wrong.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::api::{Api, ApiResource, DynamicObject, GetParams, Patch, PatchParams};
use kube::{Client, Error};
use serde_json::{Value, json};

use crate::kubernetes::MANAGER;

const API_VERSION: &str = "admissionregistration.k8s.io/v1";

/// Which of the two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `MutatingWebhookConfiguration`.
    Mutating,
    /// `ValidatingWebhookConfiguration`.
    Validating,
}

/// A webhook configuration that must trust this server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

/// A configuration as it was at a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its resourceVersion.
    pub version: String,
    /// Each webhook's name and bundle.
    pub webhooks: Vec<(String, Vec<u8>)>,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Mutating, Self::Validating];

    fn resource(self) -> ApiResource {
        let (kind, plural) = match self {
            Self::Mutating => (
                "MutatingWebhookConfiguration",
                "mutatingwebhookconfigurations",
            ),
            Self::Validating => (
                "ValidatingWebhookConfiguration",
                "validatingwebhookconfigurations",
            ),
        };
        ApiResource {
            group: "admissionregistration.k8s.io".to_owned(),
            version: "v1".to_owned(),
            api_version: API_VERSION.to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mutating => "mutating",
            Self::Validating => "validating",
        })
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Names of configurations as they are given: `NAME` stands for one of each kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configurations(pub Vec<Configuration>);

impl FromStr for Configurations {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kinds, name): (&[Kind], &str) = match text.split_once('/') {
            None => (&Kind::ALL, text),
            Some(("mutating", name)) => (&[Kind::Mutating], name),
            Some(("validating", name)) => (&[Kind::Validating], name),
            Some((kind, _)) => {
                return Err(format!(
                    "there is no kind {kind}; write NAME, mutating/NAME or validating/NAME"
                ));
            }
        };
        if name.is_empty() {
            return Err("the name is missing; write NAME, mutating/NAME or validating/NAME".into());
        }
        Ok(Self(
            kinds
                .iter()
                .map(|&kind| Configuration {
                    kind,
                    name: name.to_owned(),
                })
                .collect(),
        ))
    }
}

/// The version of a configuration, from the apiserver's cache: cheap, and possibly a moment old.
pub async fn version(
    client: &Client,
    configuration: &Configuration,
) -> Result<Option<String>, Error> {
    let found = api(client, configuration)
        .get_metadata_opt_with(&configuration.name, &GetParams::any())
        .await?;
    Ok(found.and_then(|found| found.metadata.resource_version))
}

/// A configuration as it is now.
pub async fn read(client: &Client, configuration: &Configuration) -> Result<Option<Seen>, Error> {
    let found = api(client, configuration)
        .get_opt(&configuration.name)
        .await?;
    Ok(found.map(|found| seen(&found)))
}

/// A configuration as it is now, whole.
pub async fn object(
    client: &Client,
    configuration: &Configuration,
) -> Result<Option<Value>, Error> {
    let found = api(client, configuration)
        .get_opt(&configuration.name)
        .await?;
    Ok(found.map(|found| found.data))
}

/// Sets the bundle of these webhooks, and nothing else.
///
/// It is one field of each entry that belongs to this field manager; everything else stays the chart's.
pub async fn write(
    client: &Client,
    configuration: &Configuration,
    webhooks: &[&str],
    bundle: &str,
) -> Result<Seen, Error> {
    let entries: Vec<Value> = webhooks
        .iter()
        .map(|name| json!({"name": name, "clientConfig": {"caBundle": STANDARD.encode(bundle)}}))
        .collect();
    let patch = json!({
        "apiVersion": API_VERSION,
        "kind": configuration.kind.resource().kind,
        "metadata": {"name": configuration.name},
        "webhooks": entries,
    });
    let params = PatchParams::apply(MANAGER).force();
    api(client, configuration)
        .patch(&configuration.name, &params, &Patch::Apply(patch))
        .await
        .map(|found| seen(&found))
}

fn api(client: &Client, configuration: &Configuration) -> Api<DynamicObject> {
    Api::all_with(client.clone(), &configuration.kind.resource())
}

fn seen(found: &DynamicObject) -> Seen {
    let webhooks = found.data.get("webhooks").and_then(Value::as_array);
    let entry = |webhook: &Value| {
        let name = webhook.get("name").and_then(Value::as_str)?;
        let bundle = webhook
            .pointer("/clientConfig/caBundle")
            .and_then(Value::as_str)
            .and_then(|text| STANDARD.decode(text).ok())
            .unwrap_or_default();
        Some((name.to_owned(), bundle))
    };
    Seen {
        version: found.metadata.resource_version.clone().unwrap_or_default(),
        webhooks: webhooks.into_iter().flatten().filter_map(entry).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_one_of_each_kind() {
        let names = |text: &str| -> Vec<String> {
            let Configurations(all) = text.parse().unwrap();
            all.iter().map(ToString::to_string).collect()
        };
        assert_eq!(
            names("natsguard"),
            ["mutating/natsguard", "validating/natsguard"]
        );
        assert_eq!(names("validating/x"), ["validating/x"]);
        for (text, problem) in [
            (
                "other/x",
                "there is no kind other; write NAME, mutating/NAME or validating/NAME",
            ),
            (
                "mutating/",
                "the name is missing; write NAME, mutating/NAME or validating/NAME",
            ),
        ] {
            assert_eq!(text.parse::<Configurations>().unwrap_err(), problem);
        }
    }
}
