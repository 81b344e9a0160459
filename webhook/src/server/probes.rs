//! `/livez`, `/readyz` and `/metrics` on the plain port.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::lifecycle::Lifecycle;
use crate::telemetry::metrics::Metrics;

#[derive(Clone)]
struct Probes {
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
}

pub(super) fn router(lifecycle: Arc<Lifecycle>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        // Alive is whoever answers: a restart mends neither an apiserver that is away nor a certificate that is late.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(scrape))
        .with_state(Probes { lifecycle, metrics })
}

async fn readyz(State(probes): State<Probes>) -> Response {
    let missing = probes.lifecycle.missing();
    if missing.is_empty() {
        "ok\n".into_response()
    } else {
        let text = format!("not ready: {}\n", missing.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

async fn scrape(State(probes): State<Probes>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], probes.metrics.text()).into_response()
}
