//! Events on natsguard's own pod: what people should know of it without reading its log.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

/// A warning on this pod, if it knows which one it is.
pub(super) async fn warn(client: &Client, reason: &str, message: &str) {
    let (Ok(namespace), Ok(name)) = (std::env::var("POD_NAMESPACE"), std::env::var("POD_NAME"))
    else {
        return;
    };
    let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
    let event = event(&namespace, &name, reason, message, Timestamp::now());
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::warn!(%error, "can't write an Event");
    }
}

fn event(namespace: &str, pod: &str, reason: &str, message: &str, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            generate_name: Some(format!("{pod}-")),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(pod.to_owned()),
            ..ObjectReference::default()
        },
        reason: Some(reason.to_owned()),
        // The apiserver refuses longer ones.
        message: Some(message.chars().take(1000).collect()),
        type_: Some("Warning".to_owned()),
        source: Some(EventSource {
            component: Some("natsguard".to_owned()),
            host: None,
        }),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_the_pod_and_not_too_long() {
        let of = |message: &str| {
            event(
                "ops",
                "natsguard-0",
                "SettingsRefused",
                message,
                Timestamp::UNIX_EPOCH,
            )
        };
        let short = of("policies.nfs: there is no policy nfs");
        assert_eq!(short.involved_object.name.as_deref(), Some("natsguard-0"));
        assert_eq!(short.reason.as_deref(), Some("SettingsRefused"));
        assert_eq!(
            short.message.as_deref(),
            Some("policies.nfs: there is no policy nfs")
        );
        let long = of(&"ä".repeat(5000));
        assert_eq!(long.message.map(|text| text.chars().count()), Some(1000));
    }
}
