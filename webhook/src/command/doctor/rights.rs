//! Whether natsguard may do what it does.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Error};

use super::line::Line;

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// In every namespace, or outside of namespaces.
    Cluster,
    /// In natsguard's own namespace.
    Own,
    /// The webhook configurations, by name.
    Configuration,
}

struct Right {
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
    reach: Reach,
    /// What doesn't work without it.
    without: &'static str,
}

const FACTS: &str = "policies that need these don't know them and stay silent";

/// Everything that natsguard asks the apiserver for.
const RIGHTS: [Right; 11] = [
    read("", "configmaps", &["get"]),
    read("", "persistentvolumeclaims", &["get"]),
    read("", "persistentvolumes", &["get", "list"]),
    read("", "services", &["get", "list"]),
    read("", "nodes", &["list"]),
    read("apps", "statefulsets", &["list"]),
    read("autoscaling", "horizontalpodautoscalers", &["list"]),
    read("storage.k8s.io", "storageclasses", &["get", "list"]),
    Right {
        group: "",
        resource: "secrets",
        verbs: &["create", "get", "update"],
        reach: Reach::Own,
        without: "in tls.mode self the CA can't be kept",
    },
    configuration("mutatingwebhookconfigurations"),
    configuration("validatingwebhookconfigurations"),
];

const fn read(
    group: &'static str,
    resource: &'static str,
    verbs: &'static [&'static str],
) -> Right {
    Right {
        group,
        resource,
        verbs,
        reach: Reach::Cluster,
        without: FACTS,
    }
}

const fn configuration(resource: &'static str) -> Right {
    Right {
        group: "admissionregistration.k8s.io",
        resource,
        verbs: &["get", "patch"],
        reach: Reach::Configuration,
        without: "in tls.mode self the CA bundle can't be set",
    }
}

/// Whose rights are looked at, and what they are about.
pub(super) struct Subject<'a> {
    /// `None`: whoever looks.
    pub(super) user: Option<&'a str>,
    pub(super) namespace: &'a str,
    pub(super) secret: &'a str,
    pub(super) configuration: &'a str,
}

pub(super) async fn look(client: &Client, subject: &Subject<'_>) -> Line {
    const WHAT: &str = "rights";
    let mut missing = Vec::new();
    let mut count = 0;
    for right in &RIGHTS {
        for verb in right.verbs {
            count += 1;
            match allowed(client, subject, right, verb).await {
                Ok(true) => {}
                Ok(false) => missing.push((right, verb)),
                Err(error) => return Line::unseen(WHAT, format!("can't ask for them: {error}")),
            }
        }
    }
    let who = subject.user.unwrap_or("this service account");
    let Some((first, _)) = missing.first() else {
        return Line::fine(WHAT, format!("{who} has all {count}"));
    };
    let names: Vec<String> = missing
        .iter()
        .map(|(right, verb)| {
            let dot = if right.group.is_empty() { "" } else { "." };
            format!("{verb} {}{dot}{}", right.resource, right.group)
        })
        .collect();
    Line::broken(
        WHAT,
        format!(
            "{who} may not {}: {}",
            names.join(", "),
            missing
                .iter()
                .map(|(right, _)| right.without)
                .find(|without| *without != FACTS)
                .unwrap_or(first.without)
        ),
        "restore the chart's ClusterRole, Role and bindings",
    )
}

async fn allowed(
    client: &Client,
    subject: &Subject<'_>,
    right: &Right,
    verb: &str,
) -> Result<bool, Error> {
    let (namespace, name) = match right.reach {
        Reach::Cluster => (None, None),
        // No name limits a create: the object has none yet.
        Reach::Own => (
            Some(subject.namespace),
            (verb != "create").then_some(subject.secret),
        ),
        Reach::Configuration => (None, Some(subject.configuration)),
    };
    let attributes = ResourceAttributes {
        group: Some(right.group.to_owned()),
        resource: Some(right.resource.to_owned()),
        verb: Some(verb.to_owned()),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        ..ResourceAttributes::default()
    };
    let params = PostParams::default();
    let status = match subject.user {
        None => {
            let review = SelfSubjectAccessReview {
                spec: SelfSubjectAccessReviewSpec {
                    resource_attributes: Some(attributes),
                    ..SelfSubjectAccessReviewSpec::default()
                },
                ..SelfSubjectAccessReview::default()
            };
            let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
            api.create(&params, &review).await?.status
        }
        Some(user) => {
            let review = SubjectAccessReview {
                spec: SubjectAccessReviewSpec {
                    user: Some(user.to_owned()),
                    groups: Some(groups(user)),
                    resource_attributes: Some(attributes),
                    ..SubjectAccessReviewSpec::default()
                },
                ..SubjectAccessReview::default()
            };
            let api: Api<SubjectAccessReview> = Api::all(client.clone());
            api.create(&params, &review).await?.status
        }
    };
    Ok(status.is_some_and(|status| status.allowed))
}

/// The groups that the apiserver gives a service account.
fn groups(user: &str) -> Vec<String> {
    let mut groups = vec!["system:authenticated".to_owned()];
    if let Some(account) = user.strip_prefix("system:serviceaccount:") {
        groups.push("system:serviceaccounts".to_owned());
        let namespace = account.split(':').next().unwrap_or_default();
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    groups
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http::{Request, Response};
    use http_body_util::BodyExt as _;
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    /// An apiserver that allows everything but one resource.
    fn all_but(resource: &'static str) -> Client {
        let service = service_fn(move |request: Request<Body>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut review: Value = serde_json::from_slice(&body).unwrap();
            let asked = &review["spec"]["resourceAttributes"];
            let right = asked["resource"] != resource;
            review["status"] = json!({"allowed": right});
            Ok::<_, Infallible>(Response::new(Body::from(review.to_string().into_bytes())))
        });
        Client::new(service, "natsguard")
    }

    async fn looked(resource: &'static str, user: Option<&str>) -> String {
        let subject = Subject {
            user,
            namespace: "natsguard",
            secret: "natsguard-ca",
            configuration: "natsguard",
        };
        look(&all_but(resource), &subject).await.to_string()
    }

    #[tokio::test]
    async fn a_missing_right_is_named_with_what_it_costs() {
        assert_eq!(
            looked("none", None).await,
            "ok        rights         this service account has all 18"
        );
        assert_eq!(
            looked("nodes", Some("system:serviceaccount:natsguard:natsguard")).await,
            "BROKEN    rights         system:serviceaccount:natsguard:natsguard may not list nodes: \
             policies that need these don't know them and stay silent; restore the chart's \
             ClusterRole, Role and bindings"
        );
        assert_eq!(
            looked("mutatingwebhookconfigurations", None).await,
            "BROKEN    rights         this service account may not get \
             mutatingwebhookconfigurations.admissionregistration.k8s.io, patch \
             mutatingwebhookconfigurations.admissionregistration.k8s.io: in tls.mode self the CA \
             bundle can't be set; restore the chart's ClusterRole, Role and bindings"
        );
    }

    #[test]
    fn a_service_account_has_its_groups() {
        assert_eq!(
            groups("system:serviceaccount:a:b"),
            [
                "system:authenticated",
                "system:serviceaccounts",
                "system:serviceaccounts:a"
            ]
        );
    }
}
