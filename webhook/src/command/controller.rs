//! `natsguard controller`: wires the parts of the controller together and lives until it is told to end.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use kube::Config;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;

use super::apiserver::{config, connect};
use super::process::{bind, prepare, runtime, told};
use super::{SUCCESS, UNUSABLE, complain, settings};
use crate::args::Controller;
use crate::controller::leader::Elector;
use crate::controller::metrics::Metrics;
use crate::controller::missing::Missing;
use crate::controller::repair::{Options as RepairOptions, Repairer};
use crate::controller::scan::{Options as ScanOptions, Scanner};
use crate::controller::scope::Scope;
use crate::controller::watch::LASTS;
use crate::controller::{self, Work};
use crate::facts::Cluster;
use crate::facts::cluster::Kube;
use crate::server::lifecycle::Lifecycle;
use crate::server::limits::Limits;
use crate::server::panics;
use crate::server::probes::Probes;
use crate::server::signals::Signals;
use crate::settings::Watch;
use crate::telemetry::log;
use crate::telemetry::metrics::Process;

/// Work went on after its end.
const STUCK: u8 = 1;

pub(super) fn run(args: Controller) -> io::Result<u8> {
    let runtime = runtime()?;
    let status = runtime.block_on(async {
        log::install(args.process.log_level, None);
        panics::log_places();
        match Parts::prepare(args).await {
            Ok(parts) => parts.live().await,
            Err(problem) => {
                complain(&problem);
                UNUSABLE
            }
        }
    });
    runtime.shutdown_background();
    Ok(status)
}

/// All parts, ready to run.
struct Parts {
    elector: Elector,
    work: Work,
    lifecycle: Arc<Lifecycle>,
    probes: Probes,
    listener: TcpListener,
    signals: Signals,
}

impl Parts {
    async fn prepare(args: Controller) -> Result<Self, String> {
        let signals = prepare()?;
        let watch = Watch::open(args.process.settings)?;
        let config = config().await?;
        let client = connect(config.clone())?;
        let watcher = connect(watching(config))?;
        let listener = bind(args.process.metrics_listen, "--metrics-listen").await?;

        let mut registry = Registry::with_prefix("natsguard");
        let process = Process::register(&mut registry);
        let metrics = Metrics::register(&mut registry);
        let cluster: Arc<dyn Cluster> = Arc::new(Kube::new(client.clone()));
        let namespace = args
            .leader
            .namespace
            .unwrap_or_else(|| client.default_namespace().to_owned());
        let scope = Scope::new(client.clone(), &namespace, args.namespace_selector);
        let missing = Arc::<Missing>::default();
        let repairer = Repairer::new(
            client.clone(),
            Arc::clone(&cluster),
            watch.current(),
            Arc::clone(&missing),
            scope.clone(),
            RepairOptions {
                owned: args.repairs.owned,
                writes_per_second: args.repairs.writes_per_second,
                restart_after: args.repairs.restart_after,
            },
            &mut registry,
        );
        let scanner = Scanner::new(
            client.clone(),
            cluster,
            watch.current(),
            Arc::clone(&missing),
            scope,
            ScanOptions {
                every: args.scans.scan_every,
                reports: args.scans.reports,
            },
            &mut registry,
        );
        let elector = Elector::new(client.clone(), &namespace, &args.leader.lease, identity());
        let lifecycle = Arc::new(Lifecycle::new(&[]));
        let scraped = process.clone();
        let probes = Probes::new(
            &Limits::default(),
            Arc::clone(&lifecycle),
            process.clone(),
            Arc::new(move || scraped.text(&registry)),
        );
        let work = Work {
            watcher,
            repairer: Arc::new(repairer),
            scanner: Arc::new(scanner),
            missing,
            metrics,
            panics: process.panics.clone(),
        };
        tokio::spawn(settings::follow(watch, Some(client), process));
        Ok(Self {
            elector,
            work,
            lifecycle,
            probes,
            listener,
            signals,
        })
    }

    /// Works until told to end, and then as long as it takes to hand over.
    async fn live(self) -> u8 {
        let Self {
            elector,
            work,
            lifecycle,
            probes,
            listener,
            signals,
        } = self;
        tokio::spawn(async move { probes.serve(&listener).await });
        let works = controller::run(
            elector,
            &work.metrics,
            |since| work.begin(since),
            lifecycle.draining(),
        );
        tokio::select! {
            worked = works => match worked {
                Ok(()) => SUCCESS,
                Err(stuck) => {
                    tracing::error!("{stuck}");
                    STUCK
                }
            },
            status = told(signals, &lifecycle, "handing over") => status,
        }
    }
}

/// For watches, of which nothing may come as long as they last. One that was never answered ends, too.
fn watching(mut config: Config) -> Config {
    let lasts = Duration::from_secs(u64::from(LASTS));
    config.read_timeout = Some(lasts + Duration::from_secs(10));
    config
}

/// The pod, whose one container runs this once at a time; elsewhere something that no other process has.
fn identity() -> String {
    std::env::var("POD_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| {
            let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let random = RandomState::new().build_hasher().finish();
            format!("{}_{random:016x}", host.trim())
        })
}

#[cfg(test)]
mod tests {
    use http::Request;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_never_answered_ends_after_a_while() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("http://{}/", silent.local_addr().unwrap());
        let mut config = Config::new(place.parse().unwrap());
        config.connect_timeout = None;
        let client = connect(watching(config)).unwrap();
        let began = Instant::now();
        let request = Request::get("/").body(Vec::new()).unwrap();
        let ended = tokio::time::timeout(Duration::from_hours(1), client.request_text(request));
        assert!(ended.await.unwrap().is_err());
        assert_eq!(began.elapsed().as_secs(), 130);
    }
}
