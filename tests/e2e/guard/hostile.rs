//! Whoever reaches the port gets a documented answer, and slows nobody else down for long.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use natsguard_tests::bed::guard::{LABELS, NAMESPACE};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::Space;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::START;
use super::certificates::bundles;
use super::conduct::restarts;
use super::load::workload;

const PATIENCE: Duration = Duration::from_secs(20);
const REVIEWS: usize = 500;
/// So many hostile connections.
const CROWD: usize = 600;
/// So many of them make a crowd.
const ENOUGH: usize = 550;
/// A head or a body may take 10 s, less a margin. Whoever goes sooner was not cut off for that.
const CUT_OFF: Duration = Duration::from_secs(9);

/// The way to one pod of natsguard.
pub(super) struct Door {
    address: String,
    connector: TlsConnector,
}

impl Door {
    async fn find(space: &Space) -> Result<Self> {
        let every = Self::all(space, &bundles(space).await?).await?;
        every.into_iter().next().context("there is a pod")
    }

    /// One to each pod, which is trusted if any of these bundles says so.
    pub(super) async fn all<'a>(
        space: &Space,
        bundles: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> Result<Vec<Self>> {
        let mut roots = rustls::RootCertStore::empty();
        for bundle in bundles {
            for certificate in CertificateDer::pem_slice_iter(bundle) {
                roots.add(certificate?)?;
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        let pods = space.target.guards().await?;
        pods.into_iter()
            .map(|pod| {
                let ip = pod.status.and_then(|status| status.pod_ip);
                let ip = ip.context("the pod has an address")?;
                Ok(Self {
                    address: format!("{ip}:10250"),
                    connector: connector.clone(),
                })
            })
            .collect()
    }

    pub(super) async fn open(&self) -> Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(format!("natsguard.{NAMESPACE}.svc"))?;
        Ok(self.connector.connect(name, stream).await?)
    }
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: natsguard\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Reads one answer: its status and its body.
async fn answer(stream: &mut TlsStream<TcpStream>) -> Result<(u16, String)> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 16384]);
    loop {
        let count = tokio::time::timeout(PATIENCE, stream.read(&mut buffer)).await??;
        bytes.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse::<usize>()
                    .ok()
            });
            if length.is_none_or(|length| body.len() >= length) || count == 0 {
                let status = head.split(' ').nth(1).context("a status line")?.parse()?;
                return Ok((status, body.to_owned()));
            }
        }
        if count == 0 {
            bail!("closed after {text:?}");
        }
    }
}

async fn ask(door: &Door, request: &[u8]) -> Result<(u16, String)> {
    let mut stream = door.open().await?;
    // A server that has heard enough may close before it has read all.
    let _ = stream.write_all(request).await;
    answer(&mut stream).await
}

fn review(object: &Value) -> Value {
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "1", "operation": "CREATE", "namespace": "none", "name": "load",
        "kind": {"group": "apps", "version": "v1", "kind": "StatefulSet"},
        "resource": {"group": "apps", "version": "v1", "resource": "statefulsets"}, "object": object}})
}

/// What is wrong in itself, and what is said to it.
pub async fn answers(space: &Space) -> Result<()> {
    let door = Door::find(space).await?;
    let deep = format!("{}1{}", "[".repeat(5000), "]".repeat(5000));
    let text = |object: &str| {
        review(&json!("OBJECT"))
            .to_string()
            .replace("\"OBJECT\"", object)
    };
    let foreign = review(&json!({"kind": "Pod"}))
        .to_string()
        .replace("StatefulSet", "Pod");
    let old = review(&json!({}))
        .to_string()
        .replace("admission.k8s.io/v1", "admission.k8s.io/v1beta1");
    let twice = text("{}").replacen('{', "{\"kind\":\"AdmissionReview\",", 1);
    let cases: [(&str, Vec<u8>, u16, &str); 12] = [
        ("no JSON", post("/validate", b"nonsense"), 400, ""),
        ("invalid UTF-8", post("/validate", b"{\"kind\": \"\xff\"}"), 400, ""),
        ("a key of the envelope twice", post("/validate", twice.as_bytes()), 400, ""),
        ("another version", post("/validate", old.as_bytes()), 400, ""),
        ("a null object", post("/validate", text("null").as_bytes()), 200, "\"allowed\":true"),
        ("a foreign kind", post("/validate", foreign.as_bytes()), 200, "\"allowed\":true"),
        ("a deep object", post("/validate", text(&deep).as_bytes()), 200, "\"allowed\":false"),
        ("a deep object to mutate", post("/mutate", text(&deep).as_bytes()), 200, "\"allowed\":true"),
        ("a key of the object twice", post("/validate", text("{\"spec\":1,\"spec\":{}}").as_bytes()), 200, "\"allowed\":true"),
        ("another path", post("/elsewhere", b"{}"), 404, ""),
        ("another method", b"GET /validate HTTP/1.1\r\nHost: natsguard\r\n\r\n".to_vec(), 405, ""),
        ("another type", b"POST /validate HTTP/1.1\r\nHost: natsguard\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}".to_vec(), 415, ""),
    ];
    for (what, request, status, part) in cases {
        let (got, body) = ask(&door, &request)
            .await
            .with_context(|| what.to_owned())?;
        ensure!(got == status && body.contains(part), "{what}: {got} {body}");
    }
    let head = "POST /validate HTTP/1.1\r\nHost: natsguard\r\nContent-Type: application/json\r\n";
    let large = format!("{head}Content-Length: 99999999\r\n\r\n");
    let (status, body) = ask(&door, large.as_bytes()).await?;
    ensure!(
        status == 413 && body.contains("more than 16777216 bytes"),
        "oversize: {status} {body}"
    );
    let endless = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let mut stream = door.open().await?;
    stream.write_all(endless.as_bytes()).await?;
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    // The limit is 256 of them.
    let mut sent = 0;
    while sent < 260 && stream.write_all(&chunk).await.is_ok() {
        sent += 1;
    }
    let ended = answer(&mut stream).await;
    ensure!(
        sent >= 256
            && match &ended {
                Ok((status, _)) => *status == 413,
                // Whoever still writes when it is closed may miss the answer.
                Err(_) => sent < 260,
            },
        "endless: {ended:?} after {sent} chunks"
    );
    Ok(())
}

/// The time that all but one of a hundred reviews take, on one connection as the apiserver keeps it.
async fn p99(door: &Door, request: &[u8]) -> Result<Duration> {
    let mut stream = door.open().await?;
    let mut times = Vec::with_capacity(REVIEWS);
    for _ in 0..REVIEWS {
        let start = Instant::now();
        stream.write_all(request).await?;
        let (status, _) = answer(&mut stream).await?;
        ensure!(status == 200, "{status}");
        times.push(start.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort();
    Ok(times[REVIEWS * 99 / 100])
}

/// One hostile connection, until it is cut off or has had enough: a slow hello, a slow header, a body that never ends.
async fn annoy(door: &Door, number: usize, seen: &Mutex<BTreeSet<usize>>) -> Result<()> {
    let (head, piece, pause, times): (&[u8], &[u8], _, _) = match number % 3 {
        0 => {
            let mut stream = TcpStream::connect(&door.address).await?;
            stream.write_all(&[22]).await?;
            seen.lock().unwrap().insert(number);
            tokio::time::sleep(Duration::from_secs(5)).await;
            return Ok(());
        }
        1 => (b"POST /validate HTTP/1.1\r\nA: ", b"a", 500, 25),
        _ => (
            b"POST /validate HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 16000000\r\n\r\n",
            &[b' '; 1024],
            200,
            60,
        ),
    };
    let mut stream = door.open().await?;
    stream.write_all(head).await?;
    seen.lock().unwrap().insert(number);
    for _ in 0..times {
        stream.write_all(piece).await?;
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    Ok(())
}

/// Slow hellos, slow headers, bodies that never end: reviews go on, memory is bounded.
pub async fn crowd(space: &Space) -> Result<()> {
    let restarted = async || -> Result<Vec<i32>> {
        let pods = space.target.guards().await?;
        Ok(pods.iter().map(restarts).collect())
    };
    let before = restarted().await?;
    let door = Arc::new(Door::find(space).await?);
    let request = post(
        "/validate",
        review(&serde_json::to_value(workload("none")?)?)
            .to_string()
            .as_bytes(),
    );
    p99(&door, &request).await?;
    let quiet = p99(&door, &request).await?;
    let mut crowd = tokio::task::JoinSet::new();
    let seen = Arc::<Mutex<BTreeSet<usize>>>::default();
    for number in 0..CROWD {
        let (door, seen) = (Arc::clone(&door), Arc::clone(&seen));
        crowd.spawn(async move {
            loop {
                let start = Instant::now();
                let ended = annoy(&door, number, &seen).await;
                // Whoever is cut off in time comes back at once.
                if let Err(error) = ended
                    && start.elapsed() < CUT_OFF
                {
                    return error;
                }
            }
        });
    }
    space
        .wait("the crowd", START, async || {
            let there = seen.lock().unwrap().len();
            Ok(if there >= ENOUGH {
                Ok(())
            } else {
                Err(format!("{there} are there"))
            })
        })
        .await?;
    let busy = p99(&door, &request).await?;
    let memory = space.target.memory(LABELS).await?;
    let mut gone = Vec::new();
    while let Some(error) = crowd.try_join_next() {
        gone.push(error?);
    }
    crowd.abort_all();
    let most = memory.values().max().copied().unwrap_or_default();
    say(&format!(
        "hostile: p99 of a review {:.2} ms alone, {:.2} ms beside {CROWD} hostile connections, of which {} went early; resident {} MiB",
        quiet.as_secs_f64() * 1000.0,
        busy.as_secs_f64() * 1000.0,
        gone.len(),
        most / 1024 / 1024
    ));
    ensure!(CROWD - gone.len() >= ENOUGH, "{gone:#?}");
    // The container's limit is 128 MiB: past it nothing could be measured.
    ensure!(most < 96 * 1024 * 1024, "{most} bytes");
    assert_eq!(restarted().await?, before);
    // A fifth of what the shortest timeout allows; the ratio is what the full run is for.
    ensure!(busy < Duration::from_millis(600), "{busy:?}");
    if space.options.full {
        ensure!(
            busy <= quiet.max(Duration::from_millis(1)) * 2,
            "{quiet:?} alone, {busy:?} in a crowd"
        );
    }
    Ok(())
}
