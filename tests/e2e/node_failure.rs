//! A node is gone, and comes back: what a replicated stream makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, StorageType};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use natsguard_tests::bed::nats::{CLIENT, LABELS, Nats};
use natsguard_tests::bed::say;
use natsguard_tests::bed::space::{Space, node_of};
use natsguard_tests::bed::tunnel::Tunnel;

const START: Duration = Duration::from_mins(2);
/// Publishing goes on after so long: an election starts 4 to 9 s after the last heartbeat (nats-server's server/raft.go).
const PAUSE: Duration = Duration::from_secs(10);
/// The same where both survivors stand at once, split the votes, and have to elect again. Rare, and no fault.
const SECOND_ELECTION: Duration = Duration::from_secs(20);

/// When each message was acknowledged, by its number.
type Acknowledged = Arc<Mutex<BTreeMap<u64, Instant>>>;

/// Publishes numbered messages one after the other until told to stop.
async fn publish(jetstream: jetstream::Context, acknowledged: Acknowledged, stop: Arc<AtomicBool>) {
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let sent = async {
            let ack = jetstream
                .publish("orders", number.to_string().into())
                .await
                .ok()?;
            ack.await.ok()
        };
        if let Ok(Some(_)) = tokio::time::timeout(Duration::from_secs(1), sent).await {
            acknowledged.lock().unwrap().insert(number, Instant::now());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn wait_node(space: &Space, name: &str, ready: bool) -> Result<()> {
    let nodes: Api<Node> = Api::all(space.target.client.clone());
    let what = if ready { "Ready" } else { "NotReady" };
    space
        .wait(&format!("{name} to be {what}"), START, async || {
            let conditions = nodes
                .get(name)
                .await?
                .status
                .and_then(|status| status.conditions);
            let condition = conditions
                .into_iter()
                .flatten()
                .find(|condition| condition.type_ == "Ready");
            let status = condition
                .map(|condition| condition.status)
                .unwrap_or_default();
            Ok(if (status == "True") == ready {
                Ok(())
            } else {
                Err(format!("Ready is {status}"))
            })
        })
        .await
}

/// The node of the stream's leader goes: the worst one to lose.
pub async fn stream(space: &Space) -> Result<()> {
    let class = space.volumes(1, "1Gi").await?;
    let nats = Nats {
        claim: Some(class),
        ..Nats::sound(&space.name)
    };
    space.apply(&nats.objects()?).await?;
    space.wait_meshed(3, START).await?;

    let tunnel = Tunnel::open(space, "nats-0", CLIENT).await?;
    let first = async_nats::connect(tunnel.address().to_string()).await?;
    let mut created = jetstream::new(first.clone())
        .create_stream(Config {
            name: "orders".into(),
            subjects: vec!["orders".into()],
            num_replicas: 3,
            storage: StorageType::File,
            ..Config::default()
        })
        .await?;
    let cluster = created
        .info()
        .await?
        .cluster
        .clone()
        .context("the stream has replicas")?;
    let leader = cluster.leader.context("the stream has a leader")?;
    drop(first);

    let pods = space.pods(LABELS).await?;
    let place: BTreeMap<String, String> = pods
        .iter()
        .filter_map(|pod| Some((pod.metadata.name.clone()?, node_of(pod)?.to_owned())))
        .collect();
    let lost = &place[&leader];
    let survivor = place
        .keys()
        .find(|name| **name != leader)
        .context("there are two more")?;
    let tunnel = Tunnel::open(space, survivor, CLIENT).await?;
    let client = async_nats::connect(tunnel.address().to_string()).await?;
    let jetstream = jetstream::new(client);

    let (acknowledged, stop) = (Acknowledged::default(), Arc::new(AtomicBool::new(false)));
    let publisher = tokio::spawn(publish(
        jetstream.clone(),
        Arc::clone(&acknowledged),
        Arc::clone(&stop),
    ));
    let count = || acknowledged.lock().unwrap().len();
    space
        .wait("the first messages", START, async || {
            Ok(if count() >= 100 {
                Ok(())
            } else {
                Err(format!("{} acknowledged", count()))
            })
        })
        .await?;

    let failed = Instant::now();
    space.fail_node(lost)?;
    // What was on its way is answered by now; what is acknowledged from here on came after the failure.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let known = count();
    space
        .wait("publishing to go on", Duration::from_mins(1), async || {
            Ok(if count() > known {
                Ok(())
            } else {
                Err("nothing is acknowledged".to_owned())
            })
        })
        .await?;
    let first = *acknowledged
        .lock()
        .unwrap()
        .values()
        .find(|at| **at > failed + Duration::from_millis(200))
        .unwrap();
    let pause = first - failed;
    wait_node(space, lost, false).await?;
    let noticed = failed.elapsed();
    let during = count() - known;
    ensure!(
        during > 10,
        "only {during} messages were acknowledged without {lost}"
    );

    let restored = Instant::now();
    space.restore_node(lost)?;
    wait_node(space, lost, true).await?;
    space.wait_meshed(3, START).await?;
    stop.store(true, Ordering::Relaxed);
    publisher.await?;

    // The node's return may cost an election, in which nobody answers.
    let mut stream = space
        .wait("somebody to know the stream", START, async || {
            let stream = jetstream.get_stream("orders").await;
            Ok(stream.map_err(|error| error.to_string()))
        })
        .await?;
    space
        .wait("the stream to be current", START, async || {
            let info = match stream.info().await {
                Ok(info) => info,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let cluster = info.cluster.as_ref().context("the stream has replicas")?;
            let current = cluster
                .replicas
                .iter()
                .filter(|peer| peer.current && !peer.offline)
                .count();
            Ok(if cluster.leader.is_some() && current == 2 {
                Ok(())
            } else {
                Err(format!("{current} of 2 followers are current"))
            })
        })
        .await?;
    let current = restored.elapsed();

    let total = usize::try_from(stream.info().await?.state.messages)?;
    let consumer = stream
        .create_consumer(jetstream::consumer::pull::OrderedConfig::default())
        .await?;
    let mut messages = consumer.messages().await?.take(total);
    let mut stored = BTreeSet::new();
    while let Some(message) = tokio::time::timeout(START, messages.next()).await? {
        stored.insert(std::str::from_utf8(&message?.payload)?.parse::<u64>()?);
    }
    let acknowledged = acknowledged.lock().unwrap();
    let lost_messages: Vec<_> = acknowledged
        .keys()
        .filter(|number| !stored.contains(number))
        .collect();
    assert!(
        lost_messages.is_empty(),
        "acknowledged and lost: {lost_messages:?}"
    );
    say(&format!(
        "node_failure: leader {leader} on {lost} cut off; publishing went on after {:.1} s, NotReady after {:.1} s, current {:.1} s \
         after its return; {} acknowledged, {during} of them without the node, all stored",
        pause.as_secs_f64(),
        noticed.as_secs_f64(),
        current.as_secs_f64(),
        acknowledged.len(),
    ));
    let limit = if space.options.full {
        PAUSE
    } else {
        SECOND_ELECTION
    };
    assert!(pause <= limit, "publishing went on only after {pause:?}");
    Ok(())
}
