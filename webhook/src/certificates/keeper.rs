//! Keeps the CA, the bundles and the served certificate right, for as long as the process lives.
//!
//! Every replica does the same, and none leads: the Secret is written only over the version that was read, the bundle
//! follows from the Secret alone, and the leaf is a replica's own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::time::{Instant, sleep, timeout};

use super::authority::{Authority, Plan, Times, plan};
use super::bundles::{self, Configuration};
use super::ca::{Ca, CaError};
use super::leaf::{self, Leaf, LeafError};
use super::secret::Store;
use super::served::Served;
use super::{BUNDLE, CERTIFICATE, Seconds};
use crate::server::lifecycle::Lifecycle;
use crate::server::panics::caught;
use crate::telemetry::metrics::Metrics;

/// How often a write that lost a race is tried again before the next round.
const ATTEMPTS: usize = 5;
/// How long a round may wait for the apiserver.
const PATIENCE: Duration = Duration::from_secs(10);

/// What to keep right.
#[derive(Debug, Clone)]
pub struct Charge {
    /// The namespace of the Secret.
    pub namespace: String,
    /// The Secret.
    pub secret: String,
    /// DNS names of the served certificate.
    pub names: Vec<String>,
    /// Who must trust it.
    pub configurations: Vec<Configuration>,
    /// How long things live.
    pub times: Times,
    /// How often to look. It bounds how long a spoilt bundle stays.
    pub poll: Duration,
}

/// The loop and what it remembers.
pub struct Keeper {
    charge: Charge,
    client: Client,
    store: Store,
    served: Arc<Served>,
    lifecycle: Arc<Lifecycle>,
    metrics: Arc<Metrics>,
    clock: fn() -> Seconds,
    memory: Option<Memory>,
    leaf: Option<Leaf>,
    /// The version of each configuration in which the present bundle was seen.
    placed: BTreeMap<Configuration, String>,
    /// Since when the bundle is in all of them.
    since: Option<Instant>,
    problem: Option<String>,
}

#[derive(Debug, Clone)]
struct Memory {
    authority: Authority,
    version: String,
}

/// What went wrong in a round. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeeperError {
    #[error("Secret {secret}: {error}")]
    Secret { secret: String, error: String },
    #[error("Secret {secret}: other replicas wrote it {ATTEMPTS} times in a row")]
    Race { secret: String },
    #[error("{configuration}: {error}")]
    Configuration {
        configuration: Configuration,
        error: String,
    },
    #[error(
        "{configuration} does not exist; install the chart, or name another with --webhook-configuration"
    )]
    NoConfiguration { configuration: Configuration },
    #[error("the apiserver did not answer within {} s", PATIENCE.as_secs())]
    Late,
    #[error(transparent)]
    Ca(#[from] CaError),
    #[error(transparent)]
    Leaf(#[from] LeafError),
}

impl Keeper {
    /// Nothing is read yet.
    pub fn new(
        charge: Charge,
        client: Client,
        served: Arc<Served>,
        lifecycle: Arc<Lifecycle>,
        metrics: Arc<Metrics>,
        clock: fn() -> Seconds,
    ) -> Self {
        Self {
            store: Store::new(client.clone(), &charge.namespace, &charge.secret),
            charge,
            client,
            served,
            lifecycle,
            metrics,
            clock,
            memory: None,
            leaf: None,
            placed: BTreeMap::new(),
            since: None,
            problem: None,
        }
    }

    /// Keeps everything right until dropped.
    pub async fn run(mut self) {
        loop {
            // Without this loop the certificate would end unnoticed, so nothing ends the loop.
            if caught(self.round()).await.is_none() {
                self.metrics.process.panics.inc();
            }
            sleep(self.charge.poll).await;
        }
    }

    /// Looks once, and mends what is wrong.
    ///
    /// A replica on its way out only keeps its own certificate: it may outlive its release, and would bring the CAs of that
    /// into the next one.
    pub(super) async fn round(&mut self) {
        if self.lifecycle.is_draining() {
            let renewed = self.renew();
            self.report(renewed.err().map(|error| error.to_string()));
            return;
        }
        let agreed = timeout(PATIENCE, self.agree())
            .await
            .unwrap_or(Err(KeeperError::Late));
        // The leaf comes from memory, so it is renewed although the apiserver may be away.
        let renewed = self.renew();
        // The bundle only after the first leaf: nobody is told to trust a server that can't answer.
        let outcome = match agreed.and(renewed) {
            Ok(()) => timeout(PATIENCE, self.place())
                .await
                .unwrap_or(Err(KeeperError::Late)),
            Err(error) => Err(error),
        };
        self.report(outcome.err().map(|error| error.to_string()));
    }

    /// Comes to the same CAs as the other replicas.
    async fn agree(&mut self) -> Result<(), KeeperError> {
        let failed = |error: kube::Error| KeeperError::Secret {
            secret: format!("{}/{}", self.charge.namespace, self.charge.secret),
            error: error.to_string(),
        };
        if let Some(memory) = &self.memory {
            let version = self.store.version().await.map_err(failed)?;
            let found = memory.authority.data();
            if version.as_ref() == Some(&memory.version)
                && matches!(self.plan(Some(&found))?, Plan::Keep(_))
            {
                return Ok(());
            }
        }
        for _ in 0..ATTEMPTS {
            let found = self.store.read().await.map_err(failed)?;
            match self.plan(found.as_ref().map(|found| &found.data))? {
                Plan::Keep(authority) => {
                    let version = found.map(|found| found.version).unwrap_or_default();
                    self.remember(authority, version);
                    return Ok(());
                }
                Plan::Store(authority, reason) => {
                    let written = self
                        .store
                        .write(found.as_ref(), &authority.data())
                        .await
                        .map_err(failed)?;
                    if let Some(written) = written {
                        tracing::info!(secret = self.charge.secret, reason, "wrote the CA Secret");
                        self.remember(authority, written.version);
                        return Ok(());
                    }
                }
            }
        }
        Err(KeeperError::Race {
            secret: format!("{}/{}", self.charge.namespace, self.charge.secret),
        })
    }

    fn plan(&self, found: Option<&super::authority::Data>) -> Result<Plan, CaError> {
        let now = (self.clock)();
        let memory = self.memory.as_ref().map(|memory| &memory.authority);
        let times = &self.charge.times;
        plan(found, memory, self.settled(), now, times, || {
            Ca::generate(now, times.ca_lifetime)
        })
    }

    fn remember(&mut self, authority: Authority, version: String) {
        let before = self.memory.as_ref().map(|memory| &memory.authority);
        if before.map(Authority::bundle).as_deref() != Some(authority.bundle().as_str()) {
            self.placed.clear();
            self.since = None;
        }
        if before.map(|before| &before.current) != Some(&authority.current) {
            self.metrics
                .certificate("ca", authority.current.certificate.expires);
        }
        self.memory = Some(Memory { authority, version });
    }

    /// Whether every caller had time to learn the present bundle.
    fn settled(&self) -> bool {
        self.since
            .is_some_and(|since| super::seconds(since.elapsed()) >= self.charge.times.settle)
    }

    fn renew(&mut self) -> Result<(), KeeperError> {
        let now = (self.clock)();
        let signed = match &self.memory {
            None => None,
            Some(memory) => leaf::renew(
                self.leaf.as_ref(),
                &memory.authority,
                self.settled(),
                &self.charge.names,
                now,
                &self.charge.times,
            )?,
        };
        if let Some((leaf, pair)) = signed {
            self.metrics.certificate("serving", pair.expires);
            tracing::info!(expires = pair.expires, "serving a new certificate");
            self.served.put(pair.key);
            self.leaf = Some(leaf);
        }
        let valid = self.leaf.as_ref().is_some_and(|leaf| leaf.expires > now);
        self.lifecycle.note(CERTIFICATE, valid);
        Ok(())
    }

    /// Sees to it that all configurations hold the bundle.
    async fn place(&mut self) -> Result<(), KeeperError> {
        let mut problem = None;
        for configuration in self.charge.configurations.clone() {
            if let Err(error) = self.place_in(&configuration).await {
                self.placed.remove(&configuration);
                problem = Some(error);
            }
        }
        if let Some(problem) = problem {
            // Who doesn't answer isn't wrong: readiness stays, for being unready mends nothing.
            self.since = None;
            return Err(problem);
        }
        self.since.get_or_insert_with(Instant::now);
        self.lifecycle.note(BUNDLE, true);
        Ok(())
    }

    async fn place_in(&mut self, configuration: &Configuration) -> Result<(), KeeperError> {
        let client = self.client.clone();
        let failed = |error: kube::Error| KeeperError::Configuration {
            configuration: configuration.clone(),
            error: error.to_string(),
        };
        let metrics = Arc::clone(&self.metrics);
        let label = configuration.to_string();
        let missing = || {
            metrics.bundle(&label, false);
            KeeperError::NoConfiguration {
                configuration: configuration.clone(),
            }
        };
        let version = bundles::version(&client, configuration)
            .await
            .map_err(failed)?
            .ok_or_else(missing)?;
        if self.placed.get(configuration) == Some(&version) {
            return Ok(());
        }
        let seen = bundles::read(&client, configuration)
            .await
            .map_err(failed)?
            .ok_or_else(missing)?;
        let wrong = |seen: &bundles::Seen, bundle: &str| -> Vec<String> {
            let wrong = seen
                .webhooks
                .iter()
                .filter(|(_, have)| have != bundle.as_bytes());
            wrong.map(|(name, _)| name.clone()).collect()
        };
        if wrong(&seen, &self.bundle()).is_empty() {
            metrics.bundle(&label, true);
            self.placed.insert(configuration.clone(), seen.version);
            return Ok(());
        }
        // It may be another replica that is ahead of us, so ask the Secret again before undoing its work.
        self.reread().await?;
        let bundle = self.bundle();
        let names = wrong(&seen, &bundle);
        self.since = None;
        metrics.bundle(&label, names.is_empty());
        if names.is_empty() {
            self.placed.insert(configuration.clone(), seen.version);
            return Ok(());
        }
        // All entries, not only the wrong ones: an apply takes away what it leaves out.
        let all: Vec<&str> = seen
            .webhooks
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let seen = bundles::write(&client, configuration, &all, &bundle)
            .await
            .map_err(failed)?;
        tracing::info!(%configuration, webhooks = names.join(","), "set the CA bundle");
        metrics.bundle(&label, true);
        metrics.bundle_written(&label);
        self.placed.insert(configuration.clone(), seen.version);
        Ok(())
    }

    async fn reread(&mut self) -> Result<(), KeeperError> {
        if let Some(memory) = &mut self.memory {
            memory.version.clear();
        }
        self.agree().await
    }

    fn bundle(&self) -> String {
        self.memory
            .as_ref()
            .map(|memory| memory.authority.bundle())
            .unwrap_or_default()
    }

    /// Logs a problem when it is new, and its end.
    fn report(&mut self, problem: Option<String>) {
        if problem.is_some() {
            self.metrics.certificate_error();
        }
        if problem == self.problem {
            return;
        }
        if let Some(problem) = &problem {
            tracing::warn!(problem, "certificates: will try again");
        } else {
            tracing::info!("certificates: all is well again");
        }
        self.problem = problem;
    }
}
