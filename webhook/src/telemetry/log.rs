//! JSON logs: one line for each denial or repair, none for what is simply allowed.

use std::io;
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::metrics::webhook;
use super::traces::{self, Traces};
use crate::admission::{Decision, Record, Step};

/// Sends what the process has to say to standard error, one JSON object a line.
///
/// The level is natsguard's own. Libraries only warn: below that, they print requests. kube prints whole answers that it can't
/// read, and says the same again in its error.
pub fn install(level: LevelFilter, traces: Option<&Traces>) {
    // A second call, in a test, finds one installed.
    let _ = subscriber(level, io::stderr, traces).try_init();
}

fn subscriber<W>(
    level: LevelFilter,
    writer: W,
    traces: Option<&Traces>,
) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("natsguard", level)
        .with_target("kube_client", level.min(LevelFilter::ERROR))
        .with_target(traces::TARGET, LevelFilter::OFF);
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(writer)
        .with_filter(targets);
    let spans = traces.map(|traces| {
        tracing_opentelemetry::layer()
            .with_tracer(traces.tracer())
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(Targets::new().with_target(traces::TARGET, LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(lines).with(spans)
}

/// Logs a review. The uid is the one in the apiserver's audit log.
pub fn review(step: Step, record: &Record, took: Duration, bytes: usize) {
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                uid = record.uid,
                webhook = webhook(step),
                operation = record.operation,
                group = record.group,
                kind = record.kind,
                namespace = record.namespace,
                name = record.name,
                dry_run = record.dry_run,
                policies = record.policies(),
                took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
                bytes,
                problem = record.problem,
                "{}",
                record.decision
            )
        };
    }
    match record.decision {
        Decision::Denied | Decision::Patched => line!(info),
        // Anyone who reaches the port can send nonsense, so it is counted and fills no log.
        Decision::Allowed | Decision::Unreadable => line!(debug),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use natsguard_policies::policy::Action;
    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(level: LevelFilter, decision: Decision) -> Vec<Value> {
        let lines = Lines::default();
        let writer = lines.clone();
        let record = Record {
            uid: "705ab4f5".to_owned(),
            namespace: "messaging".to_owned(),
            decision,
            findings: vec![
                ("short-route".into(), Action::Fix),
                ("service-route".into(), Action::Fix),
                ("short-route".into(), Action::Fix),
            ],
            ..Record::default()
        };
        tracing::subscriber::with_default(subscriber(level, move || writer.clone(), None), || {
            review(Step::Mutate, &record, Duration::from_micros(42), 7);
        });
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    #[test]
    fn a_repair_is_one_line_with_its_uid_and_its_policies() {
        let lines = logged(LevelFilter::INFO, Decision::Patched);
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(line["uid"], "705ab4f5");
        assert_eq!(line["webhook"], "mutate");
        assert_eq!(line["message"], "patched");
        assert_eq!(line["policies"], "service-route,short-route");
        assert_eq!(line["namespace"], "messaging");
        assert_eq!(line["took_us"], 42);
    }

    #[test]
    fn what_is_simply_allowed_or_nonsense_is_silent_at_info() {
        assert!(logged(LevelFilter::INFO, Decision::Allowed).is_empty());
        assert!(logged(LevelFilter::INFO, Decision::Unreadable).is_empty());
        assert_eq!(logged(LevelFilter::DEBUG, Decision::Allowed).len(), 1);
    }
}
