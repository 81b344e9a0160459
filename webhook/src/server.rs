//! The admission server: an accept loop that knows how an apiserver pools connections and what a hostile caller may try.

mod body;
mod budget;
mod connection;
pub mod lifecycle;
pub mod limits;
mod paced;
pub mod panics;
pub mod probes;
mod refusal;
mod reviews;
pub mod signals;
mod table;
#[cfg(test)]
pub(crate) mod tests;
pub mod tls;

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use self::connection::Port;
use self::lifecycle::Lifecycle;
use self::limits::Limits;
use self::probes::Probes;
use self::reviews::Reviews;
pub use self::reviews::{Deciding, Reviewer};
use self::table::Table;
use self::tls::Tls;
use crate::telemetry::metrics::Metrics;

/// The two ports of the webhook.
#[derive(Clone)]
pub struct Server {
    reviews: Port,
    probes: Probes,
}

impl Server {
    /// A server that isn't listening yet.
    pub fn new(
        limits: Limits,
        reviewer: Arc<dyn Reviewer>,
        tls: Arc<Tls>,
        lifecycle: Arc<Lifecycle>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let process = metrics.process.clone();
        let scraped = Arc::clone(&metrics);
        let probes = Probes::new(
            &limits,
            Arc::clone(&lifecycle),
            process.clone(),
            Arc::new(move || scraped.text()),
        );
        let limits = Arc::new(limits);
        let reviews = Reviews::new(reviewer, Arc::clone(&limits), metrics);
        Self {
            reviews: Port {
                name: "webhook",
                tls: Some(tls),
                router: reviews.router(),
                limits,
                lifecycle,
                process,
                table: Table::new(),
            },
            probes,
        }
    }

    /// Serves reviews over TLS until drained.
    ///
    /// The end, which begins with [`Lifecycle::drain`]: each answer closes its connection, so that the caller's pool lets
    /// go of it; new connections are taken for a while, because the rest of the cluster doesn't know yet. Idle connections
    /// are left alone. A caller that sends a request at the moment its connection is closed takes that for a failure.
    pub async fn serve(&self, listener: TcpListener) {
        let (limits, lifecycle) = (&self.reviews.limits, &self.reviews.lifecycle);
        tokio::select! {
            () = self.reviews.accept(&listener) => {}
            () = async {
                lifecycle.draining().await;
                sleep(limits.drain_delay).await;
            } => {}
        }
        drop(listener);
        let rest = limits.drain.saturating_sub(limits.drain_delay);
        let open = self.reviews.table.len();
        tracing::info!(open, "no longer accepting connections");
        if timeout(rest, self.reviews.table.empty()).await.is_err() {
            let open = self.reviews.table.len();
            tracing::info!(open, "closing connections that nobody used again");
        }
    }

    /// Serves probes and metrics without TLS until dropped.
    pub async fn serve_probes(&self, listener: TcpListener) {
        self.probes.serve(&listener).await;
    }
}
