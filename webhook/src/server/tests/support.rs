//! A server on a port of its own, and a client that can misbehave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::admission::{Admission, Answer, Record, Step};
use crate::certificates::ca::Ca;
use crate::certificates::leaf::Leaf;
use crate::certificates::now;
use crate::certificates::served::Served;
use crate::server::lifecycle::Lifecycle;
use crate::server::limits::Limits;
use crate::server::tls::Tls;
use crate::server::{Deciding, Reviewer, Server};
use crate::telemetry::metrics::Metrics;

pub(crate) const NAME: &str = "natsguard.natsguard.svc";
pub(crate) const REVIEW: &str = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u-1","kind":{"group":"","version":"v1","kind":"ConfigMap"},"resource":{"group":"","version":"v1","resource":"configmaps"},"operation":"CREATE","namespace":"a","name":"b","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"a"}}}}"#;

/// Does what the body says, else what admission does.
struct Obedient;

impl Reviewer for Obedient {
    fn answer<'a>(&'a self, step: Step, body: &'a [u8], deadline: Instant) -> Deciding<'a> {
        Box::pin(async move {
            let word = std::str::from_utf8(body).unwrap_or_default();
            if word == "panic" {
                panic!("told to");
            } else if let Some(millis) = word.strip_prefix("sleep ") {
                sleep(Duration::from_millis(millis.trim().parse().unwrap())).await;
            } else if word == "until the deadline" {
                tokio::time::sleep_until(deadline).await;
            } else if let Some(bytes) = word.strip_prefix("write ") {
                return plain("x".repeat(bytes.parse().unwrap()));
            } else {
                return Admission::default().answer(step, body, deadline).await;
            }
            plain("done".to_owned())
        })
    }
}

fn plain(text: String) -> Answer {
    Answer {
        body: text.into_bytes(),
        status: StatusCode::OK,
        record: Record::default(),
    }
}

pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) served: Arc<Served>,
    pub(crate) ca: Ca,
    metrics: Arc<Metrics>,
    pub(crate) serving: JoinHandle<()>,
    probes: SocketAddr,
}

/// Short times, far enough apart that a busy machine doesn't confuse them.
pub(crate) fn limits() -> Limits {
    let ms = Duration::from_millis;
    Limits {
        handshake: ms(400),
        idle: ms(3000),
        head: ms(400),
        body: ms(400),
        review: ms(5000),
        margin: ms(100),
        write: ms(400),
        queue: ms(100),
        linger: ms(200),
        grace: ms(100),
        body_bytes: 64 << 10,
        memory_bytes: 4 << 20,
        drain_delay: ms(300),
        drain: ms(1500),
        ..Limits::default()
    }
}

impl Bed {
    pub(crate) async fn new(limits: Limits) -> Self {
        Self::with(limits, false, None).await
    }

    pub(crate) async fn with(limits: Limits, allow_tls12: bool, client_ca: Option<&Ca>) -> Self {
        let ca = Ca::generate(now(), 3600).unwrap();
        let served = Arc::new(Served::default());
        served.put(leaf(&ca));
        let lifecycle = Arc::new(Lifecycle::new(&[]));
        let metrics = Metrics::new();
        let client_ca = client_ca.map(|ca| ca.certificate.pem.as_bytes());
        let tls = Tls::new(Arc::clone(&served), allow_tls12, client_ca).unwrap();
        let server = Server::new(
            limits,
            Arc::new(Obedient),
            Arc::new(tls),
            Arc::clone(&lifecycle),
            Arc::clone(&metrics),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, probes) = (listener.local_addr().unwrap(), plain.local_addr().unwrap());
        let other = server.clone();
        tokio::spawn(async move { other.serve_probes(plain).await });
        let serving = tokio::spawn(async move { server.serve(listener).await });
        Self {
            address,
            lifecycle,
            served,
            ca,
            metrics,
            serving,
            probes,
        }
    }

    pub(crate) async fn call(&self) -> Call<TlsStream<TcpStream>> {
        self.call_as(client(&self.ca, &rustls::version::TLS13))
            .await
            .unwrap()
    }

    pub(crate) async fn call_as(
        &self,
        config: ClientConfig,
    ) -> std::io::Result<Call<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from(NAME).unwrap();
        let stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await?;
        Ok(Call {
            stream,
            read: Vec::new(),
        })
    }

    /// A request to the plain port.
    pub(crate) async fn probe(&self, path: &str) -> Reply {
        let stream = TcpStream::connect(self.probes).await.unwrap();
        let mut call = Call {
            stream,
            read: Vec::new(),
        };
        call.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n"))
            .await;
        call.reply().await.unwrap()
    }

    /// Whether a metric has this line.
    pub(crate) fn counts(&self, line: &str) -> bool {
        self.metrics.text().lines().any(|have| have == line)
    }

    pub(crate) async fn still_serves(&self) {
        let reply = self.call().await.review(REVIEW).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
}

pub(crate) fn leaf(ca: &Ca) -> rustls::sign::CertifiedKey {
    Leaf::sign(ca, &[NAME.to_owned()], now(), 3600)
        .unwrap()
        .1
        .key
}

pub(crate) fn client(ca: &Ca, version: &'static SupportedProtocolVersion) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(ca.certificate.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn closes(&self) -> bool {
        self.head.contains("\r\nconnection: close")
    }
}

/// One connection, used byte by byte.
pub(crate) struct Call<S> {
    pub(crate) stream: S,
    read: Vec<u8>,
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin> Call<S> {
    /// Sends bytes, as long as the other side takes them.
    pub(crate) async fn send(&mut self, text: &str) {
        let _ = self.stream.write_all(text.as_bytes()).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) async fn review(&mut self, body: &str) -> Reply {
        self.post("/validate?timeout=30s", body).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &str) -> Reply {
        self.send(&post(path, body)).await;
        self.reply().await.expect("an answer")
    }

    /// The next answer; `None` when the connection ends before.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let end = loop {
            if let Some(at) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.read.drain(..end + 4).collect()).unwrap();
        let length: usize = head
            .split("\r\n")
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        while self.read.len() < length {
            self.more().await?;
        }
        let body = String::from_utf8(self.read.drain(..length).collect()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Reply { status, head, body })
    }

    async fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 8192];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => None,
            Ok(count) => {
                self.read.extend_from_slice(&buffer[..count]);
                Some(())
            }
        }
    }

    /// How long until the other side closes.
    pub(crate) async fn closed(&mut self) -> Duration {
        let began = Instant::now();
        let ended = timeout(Duration::from_secs(20), async {
            while self.more().await.is_some() {}
        });
        ended.await.expect("the connection stays open");
        began.elapsed()
    }

    /// Whether the connection is open now.
    pub(crate) async fn is_open(&mut self) -> bool {
        timeout(Duration::from_millis(20), self.more())
            .await
            .is_err()
    }
}

pub(crate) fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
