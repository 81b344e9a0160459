//! Traces: what a collector gets, and what becomes of reviews when there is none.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::run;
use crate::webhook::Webhook;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Head and body.
type Request = (String, Vec<u8>);

/// Takes what comes on a port.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Request>>>);

impl Collector {
    fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap());
        let collector = Self::default();
        let taker = collector.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                taker.take(stream.unwrap());
            }
        });
        (collector, endpoint)
    }

    fn take(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        self.0.lock().unwrap().push((head, body));
        reader
            .get_mut()
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        let taken = self.0.lock().unwrap();
        let decoded = taken.iter().map(|(head, body)| {
            assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
            assert!(head.contains("content-type: application/x-protobuf\r\n"));
            ExportTraceServiceRequest::decode(body.as_slice()).unwrap()
        });
        decoded.collect()
    }

    fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|r| r.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let taken = self.0.lock().unwrap();
        taken.iter().flat_map(|(_, body)| body.clone()).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.clone()? {
        AnyValue {
            value: Some(Value::StringValue(text)),
            ..
        } => Some(text),
        other => Some(format!("{other:?}")),
    }
}

/// One connection, on which reviews follow each other.
struct Caller(BufReader<StreamOwned<ClientConnection, TcpStream>>);

impl Caller {
    fn new(webhook: &Webhook) -> Self {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&webhook.certificate()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("natsguard.natsguard.svc").unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        let stream = TcpStream::connect(("127.0.0.1", webhook.listen)).unwrap();
        // The head goes out before the body, which would else wait 40 ms for it to be acknowledged.
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(StreamOwned::new(connection, stream)))
    }

    fn review(&mut self, uid: &str, headers: &str) {
        let body = format!(
            r#"{{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{{"uid":"{uid}","kind":{{"group":"","version":"v1","kind":"ConfigMap"}},"resource":{{"group":"","version":"v1","resource":"configmaps"}},"operation":"CREATE","namespace":"messaging","name":"nats","object":{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"nats","namespace":"messaging"}},"data":{{"nats.conf":"authorization {{ password: hunter2 }}"}}}}}}}}"#
        );
        let head = format!(
            "POST /validate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
            body.len()
        );
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let mut answer = vec![0; length.parse().unwrap()];
        self.0.read_exact(&mut answer).unwrap();
    }
}

/// The value of a counter, once it is there.
fn counted(webhook: &Webhook, result: &str) -> u64 {
    let name = format!("natsguard_trace_spans_total{{result=\"{result}\"}} ");
    let began = Instant::now();
    loop {
        let text = webhook.get("/metrics");
        if let Some(count) = text.lines().find_map(|line| line.strip_prefix(&name)) {
            return count.parse().unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

const SHORT: [&str; 2] = ["--drain-delay=0s", "--drain-timeout=20s"];

fn end(webhook: Webhook, caller: Caller) -> String {
    drop(caller);
    webhook.signal("TERM");
    let (status, log) = webhook.end();
    assert_eq!(status, Some(0), "{log}");
    log
}

#[test]
fn a_review_is_part_of_its_callers_trace() {
    let (collector, endpoint) = Collector::start();
    let flags = [SHORT[0], SHORT[1], &endpoint, "--trace-sample-ratio=0"];
    let webhook = Webhook::start(&flags);
    let mut caller = Caller::new(&webhook);
    let long = "x=y,".repeat(1000);
    caller.review(
        "u-1",
        &format!("traceparent: 00-{TRACE}-{CALLER}-01\r\ntracestate: {long}\r\n"),
    );
    // The caller decided against it; nobody decided, and the ratio is 0.
    caller.review("u-2", &format!("traceparent: 00-{TRACE}-{CALLER}-00\r\n"));
    caller.review("u-3", "");
    // Nothing is waited for but the end.
    let log = end(webhook, caller);

    let mut spans = collector.spans();
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    let [evaluation, facts, review] = spans.as_slice() else {
        panic!("{spans:#?}\n{log}");
    };
    assert_eq!(
        [&evaluation.name, &facts.name, &review.name],
        ["evaluation", "facts", "review"]
    );
    for span in &spans {
        assert_eq!(hex(&span.trace_id), TRACE);
        assert_eq!(span.trace_state, "");
        assert!(span.start_time_unix_nano >= review.start_time_unix_nano);
        assert!(span.end_time_unix_nano <= review.end_time_unix_nano);
    }
    assert_eq!(hex(&review.parent_span_id), CALLER);
    assert_eq!(review.kind(), SpanKind::Server);
    assert_eq!(facts.parent_span_id, review.span_id);
    assert_eq!(evaluation.parent_span_id, review.span_id);
    for (key, value) in [
        ("webhook", "validate"),
        ("uid", "u-1"),
        ("operation", "CREATE"),
        ("group", ""),
        ("kind", "ConfigMap"),
        ("namespace", "messaging"),
        ("name", "nats"),
        ("policies", ""),
        ("decision", "allowed"),
    ] {
        assert_eq!(
            attribute(&review.attributes, key).as_deref(),
            Some(value),
            "{key}"
        );
    }
    let requests = collector.requests();
    let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
    assert_eq!(
        attribute(&resource.attributes, "service.name").as_deref(),
        Some("natsguard")
    );
    let bytes = collector.bytes();
    assert!(!bytes.windows(7).any(|seven| seven == b"hunter2"));
}

#[test]
fn without_a_caller_who_decides_the_ratio_does() {
    let (collector, endpoint) = Collector::start();
    let webhook = Webhook::start(&[SHORT[0], SHORT[1], &endpoint]);
    let mut caller = Caller::new(&webhook);
    caller.review("u-1", "");
    caller.review("u-2", "traceparent: 00-nonsense\r\n");
    end(webhook, caller);
    let spans = collector.spans();
    let roots: Vec<&Span> = spans.iter().filter(|span| span.name == "review").collect();
    assert_eq!(roots.len(), 2, "{spans:#?}");
    assert!(roots.iter().all(|root| root.parent_span_id.is_empty()));
    assert_ne!(roots[0].trace_id, roots[1].trace_id);
}

#[test]
fn a_refused_request_is_a_failed_span() {
    let (collector, endpoint) = Collector::start();
    let webhook = Webhook::start(&[SHORT[0], SHORT[1], &endpoint]);
    let mut caller = Caller::new(&webhook);
    let stream = caller.0.get_mut();
    stream
        .write_all(
            b"POST /mutate HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n",
        )
        .unwrap();
    let mut answer = String::new();
    let _ = caller.0.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    end(webhook, caller);
    let spans = collector.spans();
    let [span] = spans.as_slice() else {
        panic!("{spans:#?}");
    };
    assert_eq!(span.status.as_ref().unwrap().code, 2);
    assert_eq!(
        attribute(&span.attributes, "refused").as_deref(),
        Some("media-type")
    );
}

#[test]
fn a_collector_that_is_away_costs_spans_and_one_line() {
    let endpoint = "--otlp-endpoint=http://127.0.0.1:1";
    let webhook = Webhook::start(&[SHORT[0], SHORT[1], endpoint]);
    let mut caller = Caller::new(&webhook);
    let mut reviews = |count: u32| {
        let began = Instant::now();
        for _ in 0..count {
            caller.review("u", "");
        }
        began.elapsed() / count
    };
    // More than one batch of 256 spans, so that more than one fails.
    reviews(100);
    let first = counted(&webhook, "failed");
    let each = reviews(400);
    assert!(each < Duration::from_millis(200), "{each:?}");
    let began = Instant::now();
    while counted(&webhook, "failed") == first {
        assert!(began.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(50));
    }
    let log = end(webhook, caller);
    let said: Vec<&str> = log.lines().filter(|line| line.contains("trace")).collect();
    let [line] = said.as_slice() else {
        panic!("{log}");
    };
    assert!(
        line.contains("Connection refused")
            && line.contains("traces are lost until the collector at --otlp-endpoint takes them"),
        "{line}"
    );
}

#[test]
fn the_end_does_not_wait_long_for_a_collector_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("--otlp-endpoint=http://{}", listener.local_addr().unwrap());
    let webhook = Webhook::start(&[SHORT[0], SHORT[1], &endpoint]);
    let mut caller = Caller::new(&webhook);
    caller.review("u", "");
    let began = Instant::now();
    end(webhook, caller);
    // Two seconds; one request alone may take five.
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1500), "{took:?}");
    assert!(took < Duration::from_millis(4500), "{took:?}");
}

#[test]
fn what_is_no_collector_is_said() {
    let result = run(&["webhook", "--otlp-endpoint=https://user:hunter2@collector"]);
    assert_eq!(result.status, 2);
    assert_eq!(
        result.err,
        "natsguard: --otlp-endpoint: no plain http:// URL; give the base URL of the collector's OTLP receiver for \
         HTTP, as in http://collector.observability:4318\n"
    );
    let result = run(&["webhook", "--trace-sample-ratio=2"]);
    assert!(
        result.err.contains("write a number from 0 to 1, as in 0.1"),
        "{}",
        result.err
    );
}
