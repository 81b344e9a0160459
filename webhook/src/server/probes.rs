//! `/livez`, `/readyz` and `/metrics` on the plain port.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;

use tokio::net::TcpListener;

use super::connection::Port;
use super::lifecycle::Lifecycle;
use super::limits::Limits;
use super::table::Table;
use crate::telemetry::metrics::Process;

/// Gives all metrics as OpenMetrics text.
pub type Scrape = Arc<dyn Fn() -> String + Send + Sync>;

/// The plain port.
#[derive(Clone)]
pub struct Probes {
    port: Port,
}

impl Probes {
    /// A port that isn't listening yet.
    pub fn new(
        limits: &Limits,
        lifecycle: Arc<Lifecycle>,
        process: Process,
        scrape: Scrape,
    ) -> Self {
        Self {
            port: Port {
                name: "metrics",
                tls: None,
                router: router(Arc::clone(&lifecycle), scrape),
                limits: Arc::new(limits.plain()),
                lifecycle,
                process,
                table: Table::new(),
            },
        }
    }

    /// Serves without TLS until dropped.
    pub async fn serve(&self, listener: &TcpListener) {
        self.port.accept(listener).await;
    }
}

#[derive(Clone)]
struct Told {
    lifecycle: Arc<Lifecycle>,
    scrape: Scrape,
}

fn router(lifecycle: Arc<Lifecycle>, scrape: Scrape) -> Router {
    Router::new()
        // Alive is whoever answers: a restart mends neither an apiserver that is away nor a certificate that is late.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(Told { lifecycle, scrape })
}

async fn readyz(State(told): State<Told>) -> Response {
    let missing = told.lifecycle.missing();
    if missing.is_empty() {
        "ok\n".into_response()
    } else {
        let text = format!("not ready: {}\n", missing.join(", "));
        (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
    }
}

async fn metrics(State(told): State<Told>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], (told.scrape)()).into_response()
}
