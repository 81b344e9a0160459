//! Traces by option: a span for each review, sent to an OpenTelemetry collector, part of the caller's trace.
//!
//! Spans say what the logs say, and no more. They wait in a queue with a bound: no review ever waits for a collector.

mod client;
mod queue;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Span, field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use self::client::Client;
use self::queue::Queue;
use super::metrics::{Metrics, webhook};
use crate::admission::{Record, Step};

/// The target of spans that are for traces, and of nothing else.
pub(super) const TARGET: &str = "natsguard::traces";

/// How long the end waits for the last spans.
const FLUSH: Duration = Duration::from_secs(2);

/// Where spans go, until the process ends.
#[derive(Debug, Clone)]
pub struct Traces {
    provider: SdkTracerProvider,
}

impl Traces {
    /// Sends spans to the collector at `endpoint`, its base URL: of all traces that nobody has decided about the share
    /// `ratio`, and of others as their caller decided. Needs the runtime that it is called in.
    pub fn new(endpoint: &str, ratio: f64, metrics: &Arc<Metrics>) -> Result<Self, String> {
        let unusable = |problem: &dyn std::fmt::Display| format!("--otlp-endpoint: {problem}");
        let url = url(endpoint).map_err(|problem| unusable(&problem))?;
        let runtime = Handle::try_current().map_err(|error| unusable(&error))?;
        let client = Client::new(runtime);
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client.clone())
            .with_endpoint(url)
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(client::PATIENCE)
            .build()
            .map_err(|error| unusable(&error))?;
        let queue = Queue::new(exporter, client, Arc::clone(metrics));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                ratio,
            ))))
            .with_resource(resource())
            .build();
        Ok(Self { provider })
    }

    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer("natsguard")
    }

    /// Sends what waits, as far as that is possible in two seconds. What ends later is lost.
    pub async fn flush(self) {
        let flush = move || self.provider.shutdown_with_timeout(FLUSH);
        // Whatever could not be sent is counted and logged by the queue.
        let _ = tokio::task::spawn_blocking(flush).await;
    }
}

/// Where traces go, under the base URL of the collector.
fn url(endpoint: &str) -> Result<String, String> {
    let remedy = "give the base URL of the collector's OTLP receiver for HTTP, as in http://collector.observability:4318";
    let uri: Uri = endpoint
        .parse()
        .map_err(|error| format!("{error}; {remedy}"))?;
    let plain = uri.scheme_str() == Some("http") && uri.query().is_none();
    let host = uri
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@'));
    if plain && host {
        Ok(format!("{}/v1/traces", endpoint.trim_end_matches('/')))
    } else {
        // What else there is may be a password.
        Err(format!("no plain http:// URL; {remedy}"))
    }
}

/// Who speaks. `OTEL_RESOURCE_ATTRIBUTES` adds to it.
fn resource() -> Resource {
    let of = |key, variable| Some(KeyValue::new(key, std::env::var(variable).ok()?));
    let pod = [
        of("k8s.namespace.name", "POD_NAMESPACE"),
        of("k8s.pod.name", "POD_NAME"),
    ];
    Resource::builder()
        .with_service_name("natsguard")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attributes(pod.into_iter().flatten())
        .build()
}

/// `traceparent` alone: `tracestate` is for those who pass it on, and as long as a caller likes.
struct TraceParent<'a>(&'a HeaderMap);

impl Extractor for TraceParent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let is_it = key == "traceparent";
        is_it.then(|| self.0.get(key)?.to_str().ok())?
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// The span of a review, child of the caller's.
pub fn review(step: Step, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "review",
        otel.kind = "server",
        otel.status_code = field::Empty,
        webhook = webhook(step),
        uid = field::Empty,
        operation = field::Empty,
        group = field::Empty,
        kind = field::Empty,
        namespace = field::Empty,
        name = field::Empty,
        dry_run = field::Empty,
        policies = field::Empty,
        decision = field::Empty,
        refused = field::Empty,
    );
    if !span.is_disabled() {
        let parent = TraceContextPropagator::new()
            .extract_with_context(&Context::new(), &TraceParent(headers));
        if parent.span().span_context().is_valid() {
            // It fails where spans go nowhere.
            let _ = span.set_parent(parent);
        }
    }
    span
}

/// Notes what became of a review.
pub fn answered(span: &Span, record: &Record) {
    if span.is_disabled() {
        return;
    }
    span.record("uid", &record.uid);
    span.record("operation", &record.operation);
    span.record("group", &record.group);
    span.record("kind", &record.kind);
    span.record("namespace", &record.namespace);
    span.record("name", &record.name);
    span.record("dry_run", record.dry_run);
    span.record("policies", record.policies());
    span.record("decision", field::display(record.decision));
}

/// Notes why there was no review.
pub fn refused(span: &Span, reason: &'static str) {
    span.record("refused", reason);
    span.record("otel.status_code", "ERROR");
}

/// The span of reading what a review refers to.
pub fn facts() -> Span {
    tracing::info_span!(target: TARGET, "facts", unknown = field::Empty)
}

/// The span of deciding.
pub fn evaluation() -> Span {
    tracing::info_span!(target: TARGET, "evaluation")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_a_base_and_holds_no_password() {
        let good = "http://collector.observability:4318/v1/traces";
        for base in [
            "http://collector.observability:4318",
            "http://collector.observability:4318/",
        ] {
            assert_eq!(url(base).as_deref(), Ok(good));
        }
        assert_eq!(
            url("http://[::1]:4318/otlp").as_deref(),
            Ok("http://[::1]:4318/otlp/v1/traces")
        );
        for bad in [
            "collector:4318",
            "https://collector",
            "http://user:hunter2@collector",
            "http://collector?key=hunter2",
            "/v1/traces",
            "http://",
        ] {
            let problem = url(bad).unwrap_err();
            assert!(
                problem.ends_with("as in http://collector.observability:4318")
                    && !problem.contains("hunter2"),
                "{bad}: {problem}"
            );
        }
    }
}
