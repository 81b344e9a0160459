//! Whether natsguard may do what it does.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec, SubjectAccessReview,
    SubjectAccessReviewSpec,
};
use kube::api::{Api, PostParams};
use kube::{Client, Error};

use super::line::Line;
use crate::kubernetes::words;
use crate::rights::{FACTS, Reach, Right};

/// Whose rights are looked at, and what they are about.
pub(super) struct Subject<'a> {
    /// `None`: whoever looks.
    pub(super) user: Option<&'a str>,
    pub(super) namespace: &'a str,
    pub(super) secret: &'a str,
    pub(super) configuration: &'a str,
    pub(super) lease: &'a str,
    pub(super) rights: Vec<Right>,
}

pub(super) async fn look(client: &Client, subject: &Subject<'_>) -> Line {
    const WHAT: &str = "rights";
    let rights = &subject.rights;
    let mut missing = Vec::new();
    for right in rights {
        match allowed(client, subject, right).await {
            Ok(true) => {}
            Ok(false) => missing.push(right),
            Err(error) => {
                return Line::unseen(WHAT, format!("can't ask for them: {}", words(&error)));
            }
        }
    }
    let who = subject.user.unwrap_or("this service account");
    let Some(first) = missing.first() else {
        return Line::fine(WHAT, format!("{who} has all {}", rights.len()));
    };
    let names: Vec<String> = missing
        .iter()
        .map(|right| {
            let dot = if right.group.is_empty() { "" } else { "." };
            format!("{} {}{dot}{}", right.verb, right.resource, right.group)
        })
        .collect();
    Line::broken(
        WHAT,
        format!(
            "{who} may not {}: {}",
            names.join(", "),
            missing
                .iter()
                .map(|right| right.without)
                .find(|without| *without != FACTS)
                .unwrap_or(first.without)
        ),
        "restore the chart's ClusterRole, Role and bindings",
    )
}

async fn allowed(client: &Client, subject: &Subject<'_>, right: &Right) -> Result<bool, Error> {
    let (namespace, name) = match right.reach {
        Reach::Cluster => (None, None),
        Reach::Own => (Some(subject.namespace), None),
        Reach::Ca => (Some(subject.namespace), Some(subject.secret)),
        Reach::Configuration => (None, Some(subject.configuration)),
        Reach::Lease => (Some(subject.namespace), Some(subject.lease)),
    };
    let attributes = ResourceAttributes {
        group: Some(right.group.to_owned()),
        resource: Some(right.resource.to_owned()),
        verb: Some(right.verb.to_owned()),
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
    use crate::rights::{Tasks, Uses, controller, webhook};

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

    const SELF: Uses = Uses {
        ca: true,
        secrets: false,
        controller: false,
    };

    async fn looked(resource: &'static str, user: Option<&str>, uses: Uses) -> String {
        asked(resource, user, webhook(uses)).await
    }

    async fn asked(resource: &'static str, user: Option<&str>, rights: Vec<Right>) -> String {
        let subject = Subject {
            user,
            namespace: "natsguard",
            secret: "natsguard-ca",
            configuration: "natsguard",
            lease: "natsguard-controller",
            rights,
        };
        look(&all_but(resource), &subject).await.to_string()
    }

    #[tokio::test]
    async fn a_missing_right_is_named_with_what_it_costs() {
        assert_eq!(
            looked("none", None, SELF).await,
            "ok        rights         this service account has all 20"
        );
        assert_eq!(
            looked(
                "nodes",
                Some("system:serviceaccount:natsguard:natsguard"),
                SELF
            )
            .await,
            "BROKEN    rights         system:serviceaccount:natsguard:natsguard may not list nodes: \
             policies that need these don't know them and stay silent; restore the chart's \
             ClusterRole, Role and bindings"
        );
        assert_eq!(
            looked("mutatingwebhookconfigurations", None, SELF).await,
            "BROKEN    rights         this service account may not get \
             mutatingwebhookconfigurations.admissionregistration.k8s.io, patch \
             mutatingwebhookconfigurations.admissionregistration.k8s.io: in tls.mode self the CA \
             bundle can't be set; restore the chart's ClusterRole, Role and bindings"
        );
    }

    #[tokio::test]
    async fn secrets_are_asked_for_where_they_are_used() {
        let files = |secrets| Uses {
            ca: false,
            secrets,
            controller: false,
        };
        assert_eq!(
            looked("secrets", None, files(false)).await,
            "ok        rights         this service account has all 15"
        );
        assert_eq!(
            looked("secrets", None, files(true)).await,
            "BROKEN    rights         this service account may not get secrets: policies that need these don't know \
             them and stay silent; restore the chart's ClusterRole, Role and bindings"
        );
        assert_eq!(
            looked("secrets", None, SELF).await,
            "BROKEN    rights         this service account may not create secrets, get secrets, update secrets: in \
             tls.mode self the CA can't be kept; restore the chart's ClusterRole, Role and bindings"
        );
        assert_eq!(
            looked("events", None, SELF).await,
            "BROKEN    rights         this service account may not create events: settings that can't be used are said \
             in the log only; restore the chart's ClusterRole, Role and bindings"
        );
    }

    #[tokio::test]
    async fn the_controller_has_rights_of_its_own() {
        let lease = Uses {
            controller: true,
            ..SELF
        };
        assert_eq!(
            looked("leases", None, lease).await,
            "BROKEN    rights         this service account may not get leases.coordination.k8s.io: doctor can't tell \
             whether the controller works; restore the chart's ClusterRole, Role and bindings"
        );
        let user = Some("system:serviceaccount:natsguard:natsguard-controller");
        let tasks = Tasks {
            secrets: false,
            openreports: false,
            policyreports: false,
        };
        assert_eq!(
            asked("none", user, controller(tasks)).await,
            "ok        rights         system:serviceaccount:natsguard:natsguard-controller has all 35"
        );
        assert_eq!(
            asked("pods", user, controller(tasks)).await,
            "BROKEN    rights         system:serviceaccount:natsguard:natsguard-controller may not list pods, delete \
             pods: pods that started with a wrong file are not restarted; restore the chart's ClusterRole, Role and \
             bindings"
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
