//! Whether the controller works: its Lease is held, and was renewed lately.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::Api;

use super::line::{Line, State};
use crate::certificates::{Seconds, now};
use crate::kubernetes::words;

const WHAT: &str = "controller";

/// A Lease that was just made, or whose holder has gone, is taken within this time.
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_secs(2);

/// How far the clocks of two nodes may be apart, in seconds.
const SKEW: Seconds = 10;

pub(super) async fn look(client: &Client, namespace: &str, name: &str) -> Line {
    let api: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let mut waited = Duration::ZERO;
    loop {
        let line = match api.get_opt(name).await {
            Ok(lease) => judge(name, lease, now()),
            Err(error) => return Line::unseen(WHAT, words(&error)),
        };
        if line.state == State::Fine || waited >= PATIENCE {
            return line;
        }
        tokio::time::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

/// `name` is that of the Lease and of the Deployment.
fn judge(name: &str, lease: Option<Lease>, now: Seconds) -> Line {
    let broken = |text| {
        let remedy = format!("see to the pods of Deployment {name}");
        Line::broken(WHAT, text, &remedy)
    };
    let Some(lease) = lease else {
        return broken(format!("there is no Lease {name}"));
    };
    let spec = lease.spec.unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
        return broken(format!("nobody holds Lease {name}"));
    };
    let renewed = spec.renew_time.map_or(0, |time| time.0.as_second());
    let lasts = Seconds::from(spec.lease_duration_seconds.unwrap_or_default());
    let past = now.saturating_sub(renewed);
    if past > lasts.saturating_add(SKEW) {
        return broken(format!(
            "{holder} holds Lease {name} for {lasts} s at a time, and renewed it {past} s ago"
        ));
    }
    Line::fine(WHAT, format!("{holder} holds Lease {name}"))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;

    fn lease(spec: &Value) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "natsguard-controller", "namespace": "natsguard"}, "spec": spec
        })
    }

    fn judged(spec: &Value) -> String {
        let lease = serde_json::from_value(lease(spec)).unwrap();
        judge("natsguard-controller", Some(lease), 1000).to_string()
    }

    #[test]
    fn a_lease_says_whether_the_controller_works() {
        let held = |renewed: &str| {
            judged(&json!({
                "holderIdentity": "natsguard-controller-0", "leaseDurationSeconds": 15,
                "renewTime": format!("1970-01-01T00:{renewed}.000000Z")
            }))
        };
        let fine =
            "ok        controller     natsguard-controller-0 holds Lease natsguard-controller";
        assert_eq!(held("16:35"), fine);
        // Its clock is ahead of ours.
        assert_eq!(held("17:00"), fine);
        assert_eq!(
            held("16:14"),
            "BROKEN    controller     natsguard-controller-0 holds Lease natsguard-controller for 15 s at a time, and \
             renewed it 26 s ago; see to the pods of Deployment natsguard-controller"
        );
        for spec in [json!({}), json!({"holderIdentity": ""})] {
            assert_eq!(
                judged(&spec),
                "BROKEN    controller     nobody holds Lease natsguard-controller; see to the pods of Deployment \
                 natsguard-controller"
            );
        }
        assert_eq!(
            judge("natsguard-controller", None, 1000).to_string(),
            "BROKEN    controller     there is no Lease natsguard-controller; see to the pods of Deployment \
             natsguard-controller"
        );
    }

    /// An apiserver that has the Lease, held, from the nth question on.
    fn held_from(nth: usize) -> (Client, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let service = service_fn(move |_: Request<Body>| {
            let (status, body) = if count.fetch_add(1, Ordering::Relaxed) + 1 < nth {
                let status = json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404});
                (404, status)
            } else {
                let spec = json!({"holderIdentity": "a", "leaseDurationSeconds": 15, "renewTime": "2200-01-01T00:00:00.000000Z"});
                (200, lease(&spec))
            };
            let response = Response::builder()
                .status(status)
                .body(Body::from(body.to_string().into_bytes()));
            async { Ok::<_, Infallible>(response.unwrap()) }
        });
        (Client::new(service, "natsguard"), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn a_controller_that_starts_is_waited_for() {
        let (client, asked) = held_from(4);
        assert_eq!(
            look(&client, "natsguard", "natsguard-controller")
                .await
                .to_string(),
            "ok        controller     a holds Lease natsguard-controller"
        );
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        let (client, asked) = held_from(usize::MAX);
        let line = look(&client, "natsguard", "natsguard-controller").await;
        assert_eq!(line.state, State::Broken);
        assert_eq!(asked.load(Ordering::Relaxed), 11);
    }
}
