//! One leads at a time, whatever the network does, and soon another when it is gone.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};

use super::apiserver::Apiserver;
use crate::controller::leader::Elector;
use crate::controller::metrics::Metrics;
use crate::controller::run;

/// When someone began (`+`) or ended (`-`) to work.
type Log = Arc<Mutex<Vec<(Instant, String)>>>;

struct Replica {
    deaf: Arc<AtomicBool>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

struct Working(Log, String, Arc<AtomicUsize>);

impl Working {
    fn begin(log: &Log, name: &str, working: &Arc<AtomicUsize>) -> Self {
        assert_eq!(working.fetch_add(1, Ordering::SeqCst), 0, "two work");
        let entry = (Instant::now(), format!("+{name}"));
        log.lock().unwrap().push(entry);
        Self(Arc::clone(log), name.to_owned(), Arc::clone(working))
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.2.fetch_sub(1, Ordering::SeqCst);
        let entry = (Instant::now(), format!("-{}", self.1));
        self.0.lock().unwrap().push(entry);
    }
}

struct Bed {
    server: Apiserver,
    log: Log,
    working: Arc<AtomicUsize>,
}

impl Bed {
    fn new() -> Self {
        Self {
            server: Apiserver::new(),
            log: Log::default(),
            working: Arc::default(),
        }
    }

    fn start(&self, name: &str) -> Replica {
        let deaf = Arc::<AtomicBool>::default();
        let client = self.server.client_behind(Arc::clone(&deaf));
        let elector = Elector::new(client, "natsguard", "natsguard-controller", name.to_owned());
        let (stop, stopped) = oneshot::channel();
        let (log, working, name) = (
            Arc::clone(&self.log),
            Arc::clone(&self.working),
            name.to_owned(),
        );
        let running = tokio::spawn(async move {
            let metrics = Metrics::register(&mut Registry::default());
            let begin = |_| {
                let work = Working::begin(&log, &name, &working);
                let mut parts = JoinSet::new();
                parts.spawn(async move {
                    let _work = work;
                    std::future::pending::<()>().await;
                });
                parts
            };
            let stop = async {
                let _ = stopped.await;
            };
            run(elector, &metrics, begin, stop).await.unwrap();
        });
        Replica {
            deaf,
            stop: Some(stop),
            running,
        }
    }

    fn told(&self) -> Vec<String> {
        let log = self.log.lock().unwrap();
        log.iter().map(|(_, what)| what.clone()).collect()
    }

    /// The time from the one entry to the other, in milliseconds.
    fn between(&self, first: usize, second: usize) -> u128 {
        let log = self.log.lock().unwrap();
        (log[second].0 - log[first].0).as_millis()
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_another_leads_within_12_s() {
    for millis in 0..20 {
        let bed = Bed::new();
        let first = bed.start("a");
        sleep(Duration::from_secs(1)).await;
        let _second = bed.start("b");
        sleep(Duration::from_millis(60_000 + 137 * millis)).await;
        assert_eq!(bed.told(), ["+a"]);
        first.running.abort();
        sleep(Duration::from_secs(20)).await;
        assert_eq!(bed.told(), ["+a", "-a", "+b"]);
        let took = bed.between(1, 2);
        assert!((7_900..12_200).contains(&took), "{took}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_told_to_stop_hands_over_at_once() {
    let bed = Bed::new();
    let mut first = bed.start("a");
    sleep(Duration::from_secs(1)).await;
    let _second = bed.start("b");
    sleep(Duration::from_mins(1)).await;
    first.stop.take().unwrap().send(()).unwrap();
    first.running.await.unwrap();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bed.told(), ["+a", "-a", "+b"]);
    let took = bed.between(1, 2);
    assert!(took < 1_200, "{took}");
}

#[tokio::test(start_paused = true)]
async fn while_the_apiserver_hangs_the_leader_stops_before_another_may_begin() {
    let bed = Bed::new();
    let first = bed.start("a");
    sleep(Duration::from_secs(1)).await;
    let _second = bed.start("b");
    sleep(Duration::from_mins(1)).await;
    let hung = Instant::now();
    first.deaf.store(true, Ordering::Relaxed);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(bed.told(), ["+a", "-a", "+b"]);
    let stopped = bed.log.lock().unwrap()[1].0 - hung;
    assert!(stopped <= Duration::from_secs(7), "{stopped:?}");
    let apart = bed.between(1, 2);
    assert!(apart >= 2_900, "{apart}");
    first.deaf.store(false, Ordering::Relaxed);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(bed.told().len(), 3, "who was deaf waits its turn");
}

#[tokio::test(start_paused = true)]
async fn while_nobody_can_be_asked_nobody_works() {
    let bed = Bed::new();
    let _first = bed.start("a");
    sleep(Duration::from_secs(10)).await;
    bed.server.lock().away = Some(StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(7)).await;
    assert_eq!(bed.told(), ["+a", "-a"]);
    sleep(Duration::from_mins(10)).await;
    bed.server.lock().away = None;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(bed.told(), ["+a", "-a", "+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_label_on_the_lease_costs_nobody_anything() {
    let bed = Bed::new();
    let _first = bed.start("a");
    sleep(Duration::from_secs(1)).await;
    let _second = bed.start("b");
    for _ in 0..100 {
        sleep(Duration::from_millis(730)).await;
        bed.server.lock().label();
    }
    assert_eq!(bed.told(), ["+a"]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_is_won_anew() {
    let bed = Bed::new();
    let _first = bed.start("a");
    sleep(Duration::from_secs(10)).await;
    bed.server.lock().lease = None;
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bed.told(), ["+a", "-a", "+a"]);
    assert_eq!(bed.server.lock().holder().as_deref(), Some("a"));
}

#[tokio::test(start_paused = true)]
async fn of_five_replicas_in_a_bad_network_never_two_work() {
    let bed = Bed::new();
    let replicas = ["a", "b", "c", "d", "e"].map(|name| bed.start(name));
    for _ in 0..2000 {
        let (who, millis) = {
            let mut world = bed.server.lock();
            (world.random() % 5, world.random() % 6000)
        };
        let deaf = &replicas[usize::try_from(who).unwrap()].deaf;
        deaf.fetch_xor(true, Ordering::Relaxed);
        sleep(Duration::from_millis(millis)).await;
    }
    let told = bed.told();
    assert!(told.len() > 100, "{}", told.len());
    for pair in told.chunks(2) {
        if let [began, ended] = pair {
            assert_eq!(began[1..], ended[1..]);
        }
    }
    assert!(
        replicas
            .iter()
            .all(|replica| !replica.running.is_finished())
    );
}

/// Work that does not end when it is told to, on a thread of its own, until the sender is dropped.
fn endless() -> (impl Fn(Timestamp) -> JoinSet<()>, Sender<()>) {
    let elsewhere = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    // It can't be dropped where the test runs.
    let handle = Box::leak(Box::new(elsewhere)).handle();
    let (sender, receiver) = mpsc::channel();
    let receiver = Arc::new(Mutex::new(receiver));
    let begun = Arc::<AtomicBool>::default();
    let begin = move |_| {
        assert!(!begun.swap(true, Ordering::SeqCst), "two work");
        let (receiver, mut parts) = (Arc::clone(&receiver), JoinSet::new());
        let (started, starts) = mpsc::channel();
        let work = async move {
            started.send(()).unwrap();
            let _ = receiver.lock().unwrap().recv();
        };
        parts.spawn_on(work, handle);
        starts.recv().unwrap();
        parts
    };
    (begin, sender)
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_ends_the_process_and_keeps_the_lease() {
    for is_told in [true, false] {
        let server = Apiserver::new();
        let name = "natsguard-controller";
        let elector = Elector::new(server.client(), "natsguard", name, "a".to_owned());
        let (begin, end) = endless();
        let metrics = Metrics::register(&mut Registry::default());
        let stop = async {
            sleep(Duration::from_secs(10)).await;
            if !is_told {
                server.lock().away = Some(StatusCode::SERVICE_UNAVAILABLE);
                std::future::pending::<()>().await;
            }
        };
        let began = Instant::now();
        let ended = run(elector, &metrics, begin, stop).await;
        assert_eq!(
            ended.unwrap_err().to_string(),
            "work goes on though it was told to stop; ending without giving the Lease back; please report this"
        );
        // Before the Lease runs out.
        assert!(began.elapsed() < Duration::from_secs(20));
        assert_eq!(server.lock().holder().as_deref(), Some("a"));
        drop(end);
    }
}
