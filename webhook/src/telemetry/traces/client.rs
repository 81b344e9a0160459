//! HTTP to the collector, within time and size, over the stack that is here anyway.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::header::HOST;
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long one batch may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// More than a collector has to say.
const MAX_ANSWER: usize = 64 << 10;

type Sent = Result<Response<Bytes>, HttpError>;

/// One connection for each batch: they are seconds apart.
#[derive(Debug, Clone)]
pub(super) struct Client {
    runtime: Handle,
    lookups: Arc<Semaphore>,
    problem: Arc<Mutex<String>>,
}

impl Client {
    pub(super) fn new(runtime: Handle) -> Self {
        Self {
            runtime,
            lookups: Arc::new(Semaphore::new(1)),
            problem: Arc::default(),
        }
    }

    /// Why the last request failed.
    pub(super) fn problem(&self) -> String {
        self.problem
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn failed(&self, problem: String) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = problem;
    }
}

impl HttpClient for Client {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Sent> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let sending = send(request, Arc::clone(&self.lookups));
        // The caller is a thread of its own, outside of the runtime.
        let sent = self
            .runtime
            .spawn(async { timeout(PATIENCE, sending).await });
        Box::pin(async move {
            let sent = match sent.await {
                Ok(Ok(sent)) => sent,
                Ok(Err(_)) => Err(format!("no answer within {PATIENCE:?}").into()),
                Err(error) => Err(error.into()),
            };
            match &sent {
                Ok(response) if response.status().is_success() => {}
                Ok(response) => self.failed(format!("answered {}", response.status())),
                Err(error) => self.failed(error.to_string()),
            }
            sent
        })
    }
}

async fn send(mut request: Request<Bytes>, lookups: Arc<Semaphore>) -> Sent {
    let authority = request.uri().authority().ok_or("no host")?.clone();
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let addresses = addresses(lookups, host, authority.port_u16().unwrap_or(80)).await?;
    let stream = TcpStream::connect(addresses.as_slice()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Dropped with the request, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(path.unwrap_or(PathAndQuery::from_static("/")));
    request
        .headers_mut()
        .insert(HOST, HeaderValue::from_str(authority.as_str())?);
    let response = sender.send_request(request.map(Full::new)).await?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// The system looks names up on a thread that nobody can end, and there are few of them: one at a time.
async fn addresses(
    lookups: Arc<Semaphore>,
    host: String,
    port: u16,
) -> Result<Vec<SocketAddr>, HttpError> {
    let turn = lookups
        .try_acquire_owned()
        .map_err(|_| "its name is still being looked up")?;
    let lookup = tokio::spawn(async move {
        let found = lookup_host((host, port)).await.map(Iterator::collect);
        drop(turn);
        found
    });
    Ok(lookup.await??)
}
