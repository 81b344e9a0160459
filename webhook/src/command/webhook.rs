//! `natsguard webhook`: wires the parts of the admission server together and lives until it is told to end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::net::TcpListener;

use super::apiserver::client;
use super::process::{CUT_SHORT, bind, prepare, runtime, told};
use super::{SUCCESS, UNUSABLE, complain, fights, settings};
use crate::admission::Admission;
use crate::args::{Bounds, Tls as TlsArgs, TlsMode, Tracing, Webhook};
use crate::certificates::authority::Times;
use crate::certificates::files::{self, Files};
use crate::certificates::keeper::{Charge, Keeper};
use crate::certificates::served::Served;
use crate::certificates::{BUNDLE, CERTIFICATE, now, seconds};
use crate::facts::cluster::Kube;
use crate::facts::{Cluster, Nowhere};
use crate::server::lifecycle::Lifecycle;
use crate::server::limits::Limits;
use crate::server::signals::Signals;
use crate::server::tls::Tls;
use crate::server::{Server, panics};
use crate::settings::Watch;
use crate::telemetry::log;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::traces::Traces;

/// What readiness says while a review would find the port closed.
const LISTENER: &str = "not listening for reviews yet";

/// The 90 s after which the apiserver drops idle connections, and some more.
const SAFE_IDLE: Duration = Duration::from_mins(2);

pub(super) fn run(args: Webhook) -> io::Result<u8> {
    let runtime = runtime()?;
    let status = runtime.block_on(async {
        let metrics = Metrics::new();
        let lived = async {
            let traces = traces(&args.tracing, &metrics)?;
            log::install(args.process.log_level, traces.as_ref());
            panics::log_places();
            let parts = Parts::prepare(args, metrics).await?;
            Ok::<_, String>((parts.live().await, traces))
        };
        match lived.await {
            // Told twice, it doesn't even wait for this.
            Ok((CUT_SHORT, _)) => CUT_SHORT,
            Ok((status, traces)) => {
                if let Some(traces) = traces {
                    traces.flush().await;
                }
                status
            }
            Err(problem) => {
                complain(&problem);
                UNUSABLE
            }
        }
    });
    // Whoever is still connected has had the time for it.
    runtime.shutdown_background();
    Ok(status)
}

/// All parts, ready to run.
struct Parts {
    server: Server,
    lifecycle: Arc<Lifecycle>,
    listen: SocketAddr,
    probes: TcpListener,
    signals: Signals,
}

impl Parts {
    async fn prepare(args: Webhook, metrics: Arc<Metrics>) -> Result<Self, String> {
        let signals = prepare()?;
        let watch = Watch::open(args.process.settings.clone())?;
        let own = args.tls.tls_mode == TlsMode::Own;
        let client = client().await;
        let needs: &[&'static str] = if own {
            &[CERTIFICATE, BUNDLE, LISTENER]
        } else {
            &[CERTIFICATE, LISTENER]
        };
        let lifecycle = Arc::new(Lifecycle::new(needs));
        let served = Arc::new(Served::default());
        let tls = tls(&args.tls, Arc::clone(&served))?;
        if own {
            let charge = charge(&args, client.clone()?)?;
            tokio::spawn(keeper(charge, served, &lifecycle, &metrics).run());
        } else {
            let (certificate, key) = (args.tls.cert_file.clone(), args.tls.key_file.clone());
            let (lifecycle, metrics) = (Arc::clone(&lifecycle), Arc::clone(&metrics));
            tokio::spawn(Files::new(certificate, key, served, lifecycle, metrics).run());
        }
        let client = client
            .inspect_err(|problem| {
                tracing::warn!(problem, "no facts about other objects are known");
            })
            .ok();
        let cluster: Arc<dyn Cluster> = match &client {
            Some(client) => Arc::new(Kube::new(client.clone())),
            None => Arc::new(Nowhere),
        };
        let admission = Admission::new(watch.current(), cluster);
        let reviewer = fights::watched(admission, client.clone(), Arc::clone(&metrics));
        tokio::spawn(settings::follow(watch, client, metrics.process.clone()));
        let probes = bind(args.process.metrics_listen, "--metrics-listen").await?;
        Ok(Self {
            server: Server::new(
                limits(&args.bounds),
                Arc::new(reviewer),
                tls,
                Arc::clone(&lifecycle),
                metrics,
            ),
            lifecycle,
            listen: args.listen,
            probes,
            signals,
        })
    }

    /// Serves until told to end, and then as long as the end takes.
    async fn live(self) -> u8 {
        let Self {
            server,
            lifecycle,
            listen,
            probes,
            signals,
        } = self;
        let lasting = server.clone();
        tokio::spawn(async move { lasting.serve_probes(probes).await });
        let reviews = async {
            // Until there is a certificate a caller is better off with a refused connection than with a failed handshake.
            tokio::select! {
                () = lifecycle.has(CERTIFICATE) => {}
                () = lifecycle.draining() => return SUCCESS,
            }
            match bind(listen, "--listen").await {
                Ok(listener) => {
                    lifecycle.note(LISTENER, true);
                    tracing::info!(%listen, "serving reviews");
                    server.serve(listener).await;
                    SUCCESS
                }
                Err(problem) => {
                    complain(&problem);
                    UNUSABLE
                }
            }
        };
        tokio::select! {
            status = reviews => status,
            status = told(signals, &lifecycle, "no longer ready") => status,
        }
    }
}

/// `None` unless it is told where to; an empty variable tells nothing.
fn traces(args: &Tracing, metrics: &Arc<Metrics>) -> Result<Option<Traces>, String> {
    let endpoint = args.otlp_endpoint.as_deref().map(str::trim);
    endpoint
        .filter(|endpoint| !endpoint.is_empty())
        .map(|endpoint| Traces::new(endpoint, args.trace_sample_ratio, metrics))
        .transpose()
}

fn tls(args: &TlsArgs, served: Arc<Served>) -> Result<Arc<Tls>, String> {
    let client_ca = args
        .client_ca_file
        .as_deref()
        .map(files::read)
        .transpose()?;
    let tls = Tls::new(served, args.allow_tls12, client_ca.as_deref())
        .map(Arc::new)
        .map_err(|error| error.to_string())?;
    if let (Some(path), Some(seen)) = (&args.client_ca_file, client_ca) {
        tokio::spawn(files::follow_client_ca(
            path.clone(),
            seen,
            Arc::clone(&tls),
        ));
    }
    Ok(tls)
}

fn charge(args: &Webhook, client: Client) -> Result<(Charge, Client), String> {
    let namespace = args
        .place
        .namespace
        .clone()
        .unwrap_or_else(|| client.default_namespace().to_owned());
    let times = times(&args.tls)?;
    let mut names = vec![format!("{}.{namespace}.svc", args.place.service)];
    names.extend(args.tls.certificate_name.iter().cloned());
    let charge = Charge {
        secret: args.tls.ca_secret.clone(),
        names,
        configurations: args.place.configurations(),
        times,
        poll: args.tls.ca_poll,
        namespace,
    };
    Ok((charge, client))
}

fn times(args: &TlsArgs) -> Result<Times, String> {
    let lifetime = seconds(args.ca_lifetime);
    let times = Times {
        ca_lifetime: lifetime,
        rotate_after: args.ca_rotate_after.map_or(lifetime * 2 / 3, seconds),
        settle: seconds(args.ca_settle),
        leaf_lifetime: seconds(args.leaf_lifetime),
    };
    if times.leaf_lifetime < 1 || times.rotate_after < 1 {
        return Err("--leaf-lifetime and --ca-rotate-after must be at least 1s".to_owned());
    }
    if times.rotate_after + times.settle + 2 * seconds(args.ca_poll) >= lifetime {
        return Err(
            "--ca-lifetime must be longer than --ca-rotate-after, --ca-settle and twice --ca-poll together, or a CA \
             expires before its successor is known"
                .to_owned(),
        );
    }
    Ok(times)
}

fn keeper(
    (charge, client): (Charge, Client),
    served: Arc<Served>,
    lifecycle: &Arc<Lifecycle>,
    metrics: &Arc<Metrics>,
) -> Keeper {
    let (lifecycle, metrics) = (Arc::clone(lifecycle), Arc::clone(metrics));
    Keeper::new(charge, client, served, lifecycle, metrics, now)
}

fn limits(bounds: &Bounds) -> Limits {
    if bounds.idle_timeout < SAFE_IDLE {
        tracing::warn!(
            "--idle-timeout is below 120s: the apiserver will use connections that are just being closed"
        );
    }
    Limits {
        handshake: bounds.handshake_timeout,
        idle: bounds.idle_timeout,
        head: bounds.header_timeout,
        body: bounds.body_timeout,
        review: bounds.review_timeout,
        connections: bounds.max_connections,
        reviews: bounds.max_reviews,
        body_bytes: bounds.max_body_bytes,
        memory_bytes: bounds.max_memory_bytes,
        drain_delay: bounds.drain_delay,
        drain: bounds.drain_timeout,
        ..Limits::default()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};

    fn parse(flags: &[&str]) -> Webhook {
        let command = ["natsguard", "webhook"].iter().chain(flags);
        match Args::parse_from(command).command {
            Command::Webhook(args) => *args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_defaults_of_the_command_line_are_those_of_the_server() {
        assert_eq!(limits(&parse(&[]).bounds), Limits::default());
    }

    #[test]
    fn a_ca_lives_longer_than_its_successor_needs() {
        let of = |flags: &[&str]| times(&parse(flags).tls);
        let usual = of(&[]).unwrap();
        assert_eq!(usual.rotate_after, 365 * 86_400 * 2 / 3);
        let forced = [
            "--ca-lifetime=60s",
            "--ca-rotate-after=20s",
            "--ca-settle=5s",
        ];
        assert_eq!(of(&forced).unwrap().rotate_after, 20);
        assert_eq!(
            of(&["--ca-lifetime=60s"]).unwrap_err(),
            "--ca-lifetime must be longer than --ca-rotate-after, --ca-settle and twice --ca-poll together, or a CA \
             expires before its successor is known"
        );
    }
}
