//! Accepts connections and serves each until it ends, is late, or must make room.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse as _;
use http::HeaderValue;
use http::header::CONNECTION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::lifecycle::Lifecycle;
use super::limits::Limits;
use super::paced::Paced;
use super::panics::caught;
use super::refusal::Refusal;
use super::table::{Phase, Place, Table};
use super::tls::Tls;
use crate::telemetry::metrics::Process;

/// Everything a connection needs.
#[derive(Clone)]
pub(super) struct Port {
    pub(super) name: &'static str,
    /// Plain when absent.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) router: Router,
    pub(super) limits: Arc<Limits>,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) process: Process,
    pub(super) table: Arc<Table>,
}

impl Port {
    /// Accepts connections until dropped.
    pub(super) async fn accept(&self, listener: &TcpListener) {
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly.
                    self.table.evict(&self.limits);
                    tracing::warn!(port = self.name, %error, "can't accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let place = Arc::new(self.table.enter(&self.limits).await);
            tokio::spawn(self.clone().connection(stream, place));
        }
    }

    async fn connection(self, stream: TcpStream, place: Arc<Place>) {
        let _open = self.process.connection(self.name);
        let _ = stream.set_nodelay(true);
        tokio::select! {
            cut = place.overdue(&self.limits) => {
                self.process.cut(self.name, cut.label());
                tracing::debug!(port = self.name, reason = cut.label(), "cut a connection");
            }
            () = self.serve(stream, &place) => {}
        }
    }

    async fn serve(&self, stream: TcpStream, place: &Arc<Place>) {
        let Some(tls) = &self.tls else {
            self.requests(stream, place).await;
            return;
        };
        match TlsAcceptor::from(tls.config()).accept(stream).await {
            Ok(stream) => self.requests(stream, place).await,
            Err(error) => {
                self.process.handshake_failures.inc();
                tracing::debug!(%error, "a TLS handshake failed");
            }
        }
    }

    async fn requests<S>(&self, stream: S, place: &Arc<Place>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        place.enter(Phase::Idle);
        let service = service_fn(|request: hyper::Request<hyper::body::Incoming>| {
            place.enter(Phase::Busy);
            let answer = self.router.clone().oneshot(request.map(Body::new));
            async move {
                let mut response = match caught(answer).await {
                    Some(Ok(response)) => response,
                    None => {
                        self.process.panics.inc();
                        (&Refusal::Panicked).into_response()
                    }
                };
                if self.lifecycle.is_draining() {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                place.enter(Phase::Write);
                Ok::<_, Infallible>(response)
            }
        });
        let connection = http1::Builder::new()
            .header_read_timeout(None)
            // One TLS record. It bounds the head, too.
            .max_buf_size(16 << 10)
            .max_headers(64)
            .serve_connection(TokioIo::new(Paced::new(stream, Arc::clone(place))), service);
        if let Err(error) = connection.await {
            tracing::debug!(port = self.name, %error, "a connection broke");
        }
    }
}
