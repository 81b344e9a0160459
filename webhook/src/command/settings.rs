//! Follows the settings file, and says what became of each edit: in the log, in metrics, and as an Event where people look.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event as KubeEvent, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};

use crate::settings::{Event, Watch};
use crate::telemetry::metrics::Process;

/// Looks until dropped.
pub(super) async fn follow(mut watch: Watch, client: Option<Client>, metrics: Process) {
    loop {
        match watch.next().await {
            Event::Replaced { generation } => {
                metrics.settings_replaced(generation);
                tracing::info!(generation, "took new settings");
            }
            Event::Refused {
                generation,
                problem,
            } => {
                metrics.settings_refused.inc();
                tracing::error!(generation, problem, "the former settings stay");
                if let Some(client) = &client {
                    tell(client, &problem).await;
                }
            }
        }
    }
}

/// An Event on this pod, if it knows which one it is.
async fn tell(client: &Client, problem: &str) {
    let (Ok(namespace), Ok(name)) = (std::env::var("POD_NAMESPACE"), std::env::var("POD_NAME"))
    else {
        return;
    };
    let api: Api<KubeEvent> = Api::namespaced(client.clone(), &namespace);
    let event = event(&namespace, &name, problem, Timestamp::now());
    if let Err(error) = api.create(&PostParams::default(), &event).await {
        tracing::warn!(%error, "can't write an Event");
    }
}

fn event(namespace: &str, pod: &str, problem: &str, now: Timestamp) -> KubeEvent {
    // The apiserver refuses longer ones.
    let message: String = format!("the former settings stay: {problem}")
        .chars()
        .take(1000)
        .collect();
    KubeEvent {
        metadata: ObjectMeta {
            generate_name: Some(format!("{pod}-settings-")),
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
        reason: Some("SettingsRefused".to_owned()),
        message: Some(message),
        type_: Some("Warning".to_owned()),
        source: Some(EventSource {
            component: Some("natsguard".to_owned()),
            host: None,
        }),
        count: Some(1),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        ..KubeEvent::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_about_the_pod_and_not_too_long() {
        let problem = "policies.nfs: there is no policy nfs";
        let event = event("ops", "natsguard-0", problem, Timestamp::UNIX_EPOCH);
        assert_eq!(event.involved_object.name.as_deref(), Some("natsguard-0"));
        assert_eq!(
            event.message.as_deref(),
            Some("the former settings stay: policies.nfs: there is no policy nfs")
        );
        let long = super::event("ops", "p", &"ä".repeat(5000), Timestamp::UNIX_EPOCH);
        assert_eq!(long.message.map(|text| text.chars().count()), Some(1000));
    }
}
