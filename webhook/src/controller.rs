//! The controller: looks after the NATS workloads that run. Of several replicas one works, the others wait.

pub mod leader;
pub mod metrics;
pub mod missing;
mod problem;
pub mod queue;
pub mod repair;
pub mod scan;
pub mod scope;
#[cfg(test)]
mod tests;
pub mod watch;

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::leader::Elector;
use self::metrics::Metrics;
use self::missing::Missing;
use self::repair::Repairer;
use self::scan::Scanner;
use crate::server::panics::caught;

/// Changes that may wait between the watch and the queue.
const CHANGES: usize = 64;

/// How long work may take to notice that it is over: it does at its next await.
const STOP: Duration = Duration::from_secs(2);

/// Everything the controller does, once it leads.
#[derive(Clone)]
pub struct Work {
    /// Watches StatefulSets. An answer to it may take minutes.
    pub watcher: Client,
    /// Reviews each that changes.
    pub repairer: Arc<Repairer>,
    /// Looks at all of them now and then.
    pub scanner: Arc<Scanner>,
    /// Who waits for what is not there yet.
    pub missing: Arc<Missing>,
    /// Counts what is done.
    pub metrics: Metrics,
    /// Counts parts that panicked.
    pub panics: Counter,
}

impl Work {
    /// Begins; it ends with the result. Of StatefulSets those are reviewed that are written from `since` on.
    pub fn begin(&self, since: Timestamp) -> JoinSet<()> {
        let mut parts = JoinSet::new();
        let work = self.clone();
        parts.spawn(lasting(self.panics.clone(), move || {
            work.clone().review(since)
        }));
        let scanner = Arc::clone(&self.scanner);
        parts.spawn(lasting(self.panics.clone(), move || {
            let scanner = Arc::clone(&scanner);
            async move { scanner.run().await }
        }));
        parts
    }

    /// Reviews what changes. Dropped whole, so that nothing of it goes on alone.
    async fn review(self, since: Timestamp) {
        let (sender, changes) = mpsc::channel(CHANGES);
        let (repairer, missing, metrics) = (&self.repairer, &self.missing, &self.metrics);
        // Another one led in between.
        missing.clear();
        let missed = missing.run(self.watcher.clone(), metrics.clone(), sender.clone());
        let watch = watch::run(self.watcher, metrics.clone(), since, sender);
        let review =
            |key: watch::Key| async move { repairer.review(&key.namespace, &key.name).await };
        let gone = |key: &watch::Key| missing.reviewed(key, &[]);
        let queue = queue::run(changes, review, gone, metrics.clone());
        tokio::join!(watch, missed, queue);
    }
}

/// Work that goes on though it was told to end. While it does, its process must neither give the Lease back nor win it again:
/// it has to end, before the Lease runs out.
#[derive(Debug, thiserror::Error)]
#[error(
    "work goes on though it was told to stop; ending without giving the Lease back; please report this"
)]
pub struct Stuck;

/// Leads whenever it may, and works while it leads, until told to stop. Then it hands over.
pub async fn run(
    mut elector: Elector,
    metrics: &Metrics,
    begin: impl Fn(Timestamp) -> JoinSet<()>,
    stop: impl Future<Output = ()>,
) -> Result<(), Stuck> {
    let mut stop = pin!(stop);
    loop {
        let term = tokio::select! {
            term = elector.win() => term,
            () = &mut stop => break,
        };
        tracing::info!(identity = elector.identity(), "leading");
        metrics.leads(true);
        let mut parts = begin(term.since);
        let stopped = tokio::select! {
            () = elector.hold(term) => false,
            () = &mut stop => true,
        };
        // Nobody else may begin while something of this still goes on.
        let ended = timeout(STOP, parts.shutdown()).await;
        metrics.leads(false);
        ended.map_err(|_| Stuck)?;
        if stopped {
            break;
        }
        tracing::warn!(
            identity = elector.identity(),
            "no longer leading; waiting for the Lease"
        );
    }
    elector.release().await;
    Ok(())
}

/// Tells things apart that are too long to be remembered. Not the same in every version of natsguard.
fn digest(of: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}

/// Begins a part again whenever it ends or panics.
async fn lasting<F, R>(panics: Counter, part: F)
where
    F: Fn() -> R,
    R: Future<Output = ()>,
{
    loop {
        if caught(part()).await.is_none() {
            panics.inc();
        }
        sleep(Duration::from_secs(1)).await;
    }
}
