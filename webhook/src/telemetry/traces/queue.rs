//! The spans that wait: never more than a bound, each counted when it is sent or lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::client::Client;
use crate::telemetry::metrics::Metrics;

/// Spans that wait. With the longest names that the log takes, they are some 8 MiB.
const WAITING: usize = 1024;

/// Spans in one request.
const BATCH: usize = 256;

/// How long a span waits, at most, for others.
const DELAY: Duration = Duration::from_secs(5);

/// In front of the SDK's own queue, which drops what is too much without telling how much.
#[derive(Debug)]
pub(super) struct Queue {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
}

impl Queue {
    pub(super) fn new<E: SpanExporter + 'static>(
        exporter: E,
        client: Client,
        metrics: Arc<Metrics>,
    ) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counting = Counting {
            exporter,
            client,
            waiting: Arc::clone(&waiting),
            metrics: Arc::clone(&metrics),
            away: AtomicBool::new(false),
        };
        let bounds = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        Self {
            batches: BatchSpanProcessor::new(counting, bounds),
            waiting,
            metrics,
        }
    }
}

impl SpanProcessor for Queue {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        let one_more = |waiting| (waiting < WAITING).then_some(waiting + 1);
        if self
            .waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more)
            .is_ok()
        {
            self.batches.on_end(span);
        } else {
            self.metrics.spans("dropped", 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Counts what is sent, and says once when the collector is away and once when it is back.
#[derive(Debug)]
struct Counting<E> {
    exporter: E,
    client: Client,
    waiting: Arc<AtomicUsize>,
    metrics: Arc<Metrics>,
    away: AtomicBool,
}

impl<E: SpanExporter> SpanExporter for Counting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        self.metrics
            .spans(if result.is_ok() { "sent" } else { "failed" }, count);
        let was_away = self.away.swap(result.is_err(), Ordering::Relaxed);
        match (&result, was_away) {
            (Err(_), false) => {
                let problem = self.client.problem();
                tracing::warn!(
                    problem,
                    "traces are lost until the collector at --otlp-endpoint takes them"
                );
            }
            (Ok(()), true) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Mutex, PoisonError};

    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// Takes each batch only when told to; when nobody can tell any more, at once.
    #[derive(Debug)]
    struct Slow(Mutex<Receiver<()>>);

    impl SpanExporter for Slow {
        async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
            let told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = told.recv();
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_too_much_is_dropped_at_once_and_counted() {
        let (tell, told) = channel();
        let metrics = Metrics::new();
        let client = Client::new(tokio::runtime::Handle::current());
        let queue = Queue::new(Slow(Mutex::new(told)), client, Arc::clone(&metrics));
        let waiting = Arc::clone(&queue.waiting);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(queue)
            .build();
        let tracer = provider.tracer("test");
        for _ in 0..5000 {
            drop(tracer.start("review"));
        }
        assert!(waiting.load(Ordering::Relaxed) <= WAITING);
        drop(tell);
        provider.shutdown().unwrap();
        let text = metrics.text();
        let count = |result: &str| -> usize {
            let name = format!("natsguard_trace_spans_total{{result=\"{result}\"}} ");
            let count = text.lines().find_map(|line| line.strip_prefix(&name));
            count.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
        };
        assert!(count("dropped") >= 5000 - WAITING - BATCH, "{text}");
        assert_eq!(count("sent") + count("dropped"), 5000);
    }
}
