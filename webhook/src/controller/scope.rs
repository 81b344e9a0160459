//! The namespaces that are looked at: those that admission looks at, so that nothing is touched that it does not repair.

use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use kube::core::{Selector, SelectorExt as _};
use kube::{Client, Error};

/// No selector reaches these: the cluster has to start without natsguard.
pub(crate) const SYSTEM: [&str; 3] = ["kube-node-lease", "kube-public", "kube-system"];

/// Which namespaces.
#[derive(Clone)]
pub struct Scope {
    api: Api<Namespace>,
    /// natsguard's own, which is none of them.
    own: String,
    selector: Selector,
}

impl Scope {
    /// Those whose labels the selector takes.
    pub fn new(client: Client, own: &str, selector: Selector) -> Self {
        Self {
            api: Api::all(client),
            own: own.to_owned(),
            selector,
        }
    }

    /// Whether a namespace is looked at. It is read only where its labels decide.
    pub async fn holds(&self, namespace: &str) -> Result<bool, Error> {
        if SYSTEM.contains(&namespace) || namespace == self.own {
            return Ok(false);
        }
        if self.selector.selects_all() {
            return Ok(true);
        }
        let found = self.api.get_metadata_opt(namespace).await?;
        let labels = found.map(|found| found.metadata.labels.unwrap_or_default());
        Ok(labels.is_some_and(|labels| self.selector.matches(&labels)))
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
    use serde_json::{Value, json};

    use super::*;
    use crate::fake::{self, refusal};

    fn scope(selector: Value) -> Scope {
        let client = fake::client(|head, _| async move {
            match head.uri.path() {
                "/api/v1/namespaces/shop" => (
                    StatusCode::OK,
                    json!({"metadata": {"name": "shop", "labels": {"tier": "prod"}}}),
                ),
                "/api/v1/namespaces/bare" => {
                    (StatusCode::OK, json!({"metadata": {"name": "bare"}}))
                }
                "/api/v1/namespaces/gone" => refusal(StatusCode::NOT_FOUND, "NotFound", "gone"),
                path => panic!("{path}"),
            }
        });
        let selector: LabelSelector = serde_json::from_value(selector).unwrap();
        Scope::new(client, "natsguard", selector.try_into().unwrap())
    }

    async fn held(scope: &Scope) -> Vec<&'static str> {
        let mut held = Vec::new();
        for namespace in [
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "natsguard",
            "shop",
            "bare",
            "gone",
        ] {
            if scope.holds(namespace).await.unwrap() {
                held.push(namespace);
            }
        }
        held
    }

    #[tokio::test]
    async fn labels_decide_where_they_may() {
        assert_eq!(held(&scope(json!({}))).await, ["shop", "bare", "gone"]);
        let production = json!({"matchLabels": {"tier": "prod"}});
        assert_eq!(held(&scope(production)).await, ["shop"]);
        let system = json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]});
        assert_eq!(held(&scope(system)).await, ["bare"]);
    }
}
