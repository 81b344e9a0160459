//! What the apiservers of tests have in common: a client that reaches nobody else, refusals, and chance that repeats itself.

use std::convert::Infallible;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::Client;
use kube::client::Body;
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};
use tower::service_fn;

/// The default settings in a cluster whose DNS domain is known.
pub(crate) fn settings() -> Settings {
    Settings {
        found_domain: Some("cluster.local".to_owned()),
        ..Settings::default()
    }
}

/// A client whose requests are answered here. A body that is no JSON is null.
pub(crate) fn client<F>(answer: impl Fn(Parts, Value) -> F + Send + Sync + 'static) -> Client
where
    F: Future<Output = (StatusCode, Value)> + Send + 'static,
{
    let answer = Arc::new(answer);
    let service = service_fn(move |request: Request<Body>| {
        let answer = Arc::clone(&answer);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let (status, value) = answer(head, body).await;
            let mut response = Response::new(Body::from(value.to_string().into_bytes()));
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }
    });
    Client::new(service, "natsguard")
}

/// What an apiserver says when it does not do what it is asked.
pub(crate) fn refusal(code: StatusCode, reason: &str, name: &str) -> (StatusCode, Value) {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "reason": reason, "message": reason, "code": code.as_u16(), "details": {"name": name},
    });
    (code, status)
}

/// The next number of a series that is the same each time.
pub(crate) fn random(state: &mut u64) -> u64 {
    *state = state
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}
