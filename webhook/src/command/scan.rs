//! `natsguard scan`: what is wrong with what runs.
//!
//! It is printed when all of it is known. Ctrl-C ends the process where it stands, so that no half report looks whole.

mod client;
mod plan;
mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use kube::Client;
use natsguard_policies::settings::Settings;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::plan::Plan;
use self::progress::Progress;
use super::{SUCCESS, UNUSABLE, complain, rules, show, status};
use crate::args::Scan;
use crate::controller::scope::SYSTEM;
use crate::facts::cluster::Kube;
use crate::facts::{Cluster, Query};
use crate::kubernetes::words;
use crate::listing::Listing;
use crate::live::{FindError, RARE_WORKLOADS, WORKLOADS, find, see};
use crate::output::{Screen, render};

/// Workloads looked at at the same time: each asks a dozen questions.
const AT_ONCE: usize = 4;

/// What a workload refers to is read in this time, or unknown.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn run(args: &Scan) -> io::Result<u8> {
    let namespace = args.rules.namespace.as_deref();
    let settings = rules::settings(&args.rules).and_then(|settings| {
        namespace.map_or(Ok(()), is_namespace)?;
        Ok(settings)
    });
    let settings = match settings {
        Ok(settings) => settings,
        Err(problem) => {
            complain(&problem);
            return Ok(UNUSABLE);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let mut progress = Progress::new();
    let scanned = runtime.block_on(scan(args, settings, &mut progress));
    progress.end();
    runtime.shutdown_background();
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(problems) => {
            for problem in problems {
                complain(&problem);
            }
            return Ok(UNUSABLE);
        }
    };
    let text = if args.fix_plan {
        Ok(scanned.plan.to_string())
    } else {
        render(
            args.output,
            &scanned.listing,
            args.fail_on.threshold(),
            Screen::stdout(),
        )
    };
    if !show(text)? {
        return Ok(UNUSABLE);
    }
    for note in notes(&scanned, namespace) {
        complain(&note);
    }
    if args.fix_plan {
        return Ok(SUCCESS);
    }
    Ok(status(&scanned.listing, args.fail_on.threshold()))
}

/// What a scan found.
struct Scanned {
    /// Workloads of any kind.
    workloads: usize,
    /// Why kinds of them were not looked at.
    unlisted: Vec<String>,
    listing: Listing,
    plan: Plan,
    missing: BTreeSet<Query>,
    /// Workloads that lead to more than is read for one.
    beyond: Vec<String>,
}

/// What one workload gave.
struct Looked {
    listing: Listing,
    plan: Plan,
    missing: Vec<Query>,
    beyond: Option<String>,
}

async fn scan(
    args: &Scan,
    settings: Settings,
    progress: &mut Progress,
) -> Result<Scanned, Vec<String>> {
    let namespace = args.rules.namespace.as_deref();
    let client = client::client(args)
        .await
        .map_err(|problem| vec![problem])?;
    let Listed {
        found,
        workloads,
        unlisted,
    } = list(&client, namespace, progress).await?;
    let cluster: Arc<dyn Cluster> = Arc::new(Kube::new(client));
    let (settings, is_plan) = (Arc::new(settings), args.fix_plan);
    let count = found.len();
    let mut waiting = found.into_iter().enumerate();
    let mut at_work = JoinSet::new();
    let mut done = BTreeMap::new();
    loop {
        while at_work.len() < AT_ONCE
            && let Some((index, workload)) = waiting.next()
        {
            let (cluster, settings) = (Arc::clone(&cluster), Arc::clone(&settings));
            at_work
                .spawn(async move { (index, look(&cluster, &settings, &workload, is_plan).await) });
        }
        let Some(joined) = at_work.join_next().await else {
            break;
        };
        let (index, looked) =
            joined.map_err(|error| vec![format!("can't look at a workload: {error}")])?;
        done.insert(index, looked);
        progress.say(|| format!("{} of {count} NATS workloads looked at", done.len()));
    }
    let mut scanned = Scanned {
        workloads,
        unlisted,
        listing: Listing::live(),
        plan: Plan::default(),
        missing: BTreeSet::new(),
        beyond: Vec::new(),
    };
    // In the order of the workloads, whichever was looked at first.
    for looked in done.into_values().flatten() {
        scanned.listing.merge(looked.listing);
        scanned.plan.merge(looked.plan);
        scanned.missing.extend(looked.missing);
        scanned.beyond.extend(looked.beyond);
    }
    Ok(scanned)
}

/// The workloads of a cluster.
struct Listed {
    /// Those that may run NATS.
    found: Vec<Value>,
    /// How many there are of any kind.
    workloads: usize,
    /// Why kinds of them are not among them.
    unlisted: Vec<String>,
}

/// The workloads that may run NATS, by namespace.
async fn list(
    client: &Client,
    namespace: Option<&str>,
    progress: &mut Progress,
) -> Result<Listed, Vec<String>> {
    let (mut found, mut before) = (Vec::new(), 0);
    let (mut problems, mut unlisted) = (Vec::new(), Vec::new());
    for resource in WORKLOADS.into_iter().chain(RARE_WORKLOADS) {
        let is_rare = RARE_WORKLOADS.contains(&resource);
        let mut looked = 0;
        let listed = find(client, resource, namespace, &mut |count| {
            looked = count;
            progress.say(|| format!("{} workloads listed", before + count));
        })
        .await;
        match listed {
            Ok(some) => found.extend(some),
            // The cluster has no such kind.
            Err(error) if is_rare && error.status() == Some(StatusCode::NOT_FOUND) => {}
            Err(error) if is_rare && matches!(error, FindError::Refused { .. }) => {
                unlisted.push(problem(&error, resource.group, namespace));
            }
            Err(error) => {
                problems.push(problem(&error, resource.group, namespace));
                // Of rights all that are missing are named; who doesn't answer isn't asked again.
                if !matches!(error, FindError::Refused { .. }) {
                    break;
                }
            }
        }
        before += looked;
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    // Admission looks at none of these; a person who names one sees it.
    if namespace.is_none() {
        found.retain(|workload| {
            let namespace = workload.pointer("/metadata/namespace");
            !SYSTEM
                .iter()
                .any(|system| namespace == Some(&Value::from(*system)))
        });
    }
    found.sort_by_cached_key(|workload| {
        ["/metadata/namespace", "/kind", "/metadata/name"].map(|pointer| {
            let text = workload.pointer(pointer).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        })
    });
    Ok(Listed {
        found,
        workloads: before,
        unlisted,
    })
}

/// Looks at one workload. `None` when it runs no NATS server after all.
async fn look(
    cluster: &Arc<dyn Cluster>,
    settings: &Arc<Settings>,
    workload: &Value,
    is_plan: bool,
) -> Option<Looked> {
    let seen = see(cluster, settings, workload, Instant::now() + PATIENCE).await?;
    if !seen.is_server() {
        return None;
    }
    let report = seen.report(settings);
    let mut listing = Listing::live();
    listing.add(&seen, &report);
    Some(Looked {
        listing,
        plan: if is_plan {
            Plan::new(&seen, &report, settings)
        } else {
            Plan::default()
        },
        beyond: seen
            .name()
            .filter(|_| !seen.beyond.is_empty())
            .map(|name| name.path()),
        missing: seen.unknown,
    })
}

/// A name that may stand in a path.
fn is_namespace(name: &str) -> Result<(), String> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(is_fine) {
        return Ok(());
    }
    Err(format!(
        "--namespace: {name:?} is no name of a namespace; write lower-case letters, digits and hyphens"
    ))
}

fn problem(error: &FindError, group: &str, namespace: Option<&str>) -> String {
    let group = if group.is_empty() { "\"\"" } else { group };
    match error {
        FindError::Client { error, .. } => {
            format!(
                "can't reach the cluster: {}; see to the kubeconfig",
                words(error)
            )
        }
        FindError::Refused {
            plural,
            status: StatusCode::FORBIDDEN,
            message,
        } => match namespace {
            Some(namespace) => format!(
                "may not list {plural} in namespace {namespace}: {message}; ask for the verb list on {plural} (API group {group}) there"
            ),
            None => format!(
                "may not list {plural} in all namespaces: {message}; ask for the verb list on {plural} (API group {group}), or limit the scan with --namespace NAMESPACE"
            ),
        },
        FindError::Refused {
            status: StatusCode::UNAUTHORIZED,
            ..
        } => format!("{error}; see to the user in the kubeconfig"),
        FindError::Refused { .. } | FindError::Body { .. } => error.to_string(),
    }
}

/// What a report can't say by itself.
fn notes(scanned: &Scanned, namespace: Option<&str>) -> Vec<String> {
    let mut notes = scanned.unlisted.clone();
    if scanned.listing.summary.objects == 0 {
        let place = namespace.map_or_else(
            || "the cluster".to_owned(),
            |namespace| format!("namespace {namespace}"),
        );
        notes.push(format!(
            "no NATS workload runs in {place} (workloads looked at: {}); custom resources but Argo's Rollouts are not looked at",
            scanned.workloads
        ));
    }
    let unread = &scanned.missing;
    if !unread.is_empty() {
        notes.push(format!(
            "{} could not be read: {}; policies that need them stay silent",
            facts(unread.len()),
            kinds(unread)
        ));
    }
    for workload in &scanned.beyond {
        notes.push(format!(
            "{workload} leads to more objects than are read for one workload, so nobody can say that it is sound; name fewer in it"
        ));
    }
    notes
}

fn facts(count: usize) -> String {
    let of = if count == 1 { "fact" } else { "facts" };
    format!("{count} {of}")
}

/// `nodes, secrets (3)`.
fn kinds(queries: &BTreeSet<Query>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for query in queries {
        *counts.entry(query.resource.plural).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .into_iter()
        .map(|(plural, count)| match count {
            1 => plural.to_owned(),
            count => format!("{plural} ({count})"),
        })
        .collect();
    counts.join(", ")
}
