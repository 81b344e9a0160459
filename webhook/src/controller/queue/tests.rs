use std::sync::{Arc, Mutex};

use prometheus_client::registry::Registry;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::sleep;

use super::*;

type Answer = fn(usize) -> Result<Next, String>;

/// A queue whose reviews take 100 ms and end as `answer` says for their number.
struct Bed {
    began: Instant,
    changes: Sender<Change>,
    /// When which review began, in milliseconds.
    log: Arc<Mutex<Vec<(u128, String)>>>,
    registry: Registry,
}

impl Bed {
    fn start(answer: Answer) -> Self {
        let began = Instant::now();
        let (changes, receiver) = mpsc::channel(1000);
        let log = Arc::<Mutex<Vec<(u128, String)>>>::default();
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let seen = Arc::clone(&log);
        tokio::spawn(async move {
            let review = |key: Key| {
                let seen = Arc::clone(&seen);
                async move {
                    let number = {
                        let mut seen = seen.lock().unwrap();
                        seen.push((began.elapsed().as_millis(), key.name));
                        seen.len() - 1
                    };
                    sleep(Duration::from_millis(100)).await;
                    answer(number)
                }
            };
            run(receiver, review, |_| (), metrics).await;
        });
        Self {
            began,
            changes,
            log,
            registry,
        }
    }

    async fn changed(&self, name: &str) {
        self.changes.send(Change::Changed(key(name))).await.unwrap();
    }

    /// When reviews of this name began.
    fn times(&self, name: &str) -> Vec<u128> {
        let log = self.log.lock().unwrap();
        let of = log.iter().filter(|(_, reviewed)| reviewed == name);
        of.map(|(at, _)| *at).collect()
    }

    async fn until(&self, seconds: u64) {
        sleep_until(self.began + Duration::from_secs(seconds)).await;
    }

    fn counted(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("controller_reviews_total"));
        let mut lines: Vec<&str> = lines.collect();
        lines.sort_unstable();
        lines.join(" ")
    }
}

fn key(name: &str) -> Key {
    Key {
        namespace: "messaging".to_owned(),
        name: name.to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_changes_is_one_review_and_a_late_one_another() {
    let bed = Bed::start(|_| Ok(Next::Wait));
    for _ in 0..5 {
        bed.changed("a").await;
    }
    sleep(Duration::from_millis(50)).await;
    bed.changed("a").await;
    bed.until(3600).await;
    let times = bed.times("a");
    assert_eq!(times.len(), 2, "{times:?}");
    assert!(times[0] <= 20, "{times:?}");
    assert!(
        (110..130).contains(&times[1]),
        "not while it is being reviewed: {times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_a_change_begins_anew() {
    let bed = Bed::start(|_| Err("no".to_owned()));
    bed.changed("a").await;
    bed.until(2000).await;
    let waits = |times: &[u128]| -> Vec<u128> {
        times
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) / 1000)
            .collect()
    };
    let times = bed.times("a");
    assert_eq!(
        waits(&times),
        [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]
    );
    bed.changed("a").await;
    bed.until(2010).await;
    let times = bed.times("a");
    assert_eq!(waits(&times[14..]), [1, 2, 4]);
    assert_eq!(bed.counted(), r#"{result="failed"} 18"#);
}

#[tokio::test(start_paused = true)]
async fn a_review_may_ask_for_another_look() {
    let bed = Bed::start(|number| match number {
        0 => Ok(Next::Again(Duration::from_secs(10))),
        _ => Ok(Next::Wait),
    });
    bed.changed("a").await;
    bed.until(3600).await;
    let times = bed.times("a");
    assert_eq!(times.len(), 2);
    assert_eq!((times[1] - times[0]) / 100, 101);
    assert_eq!(bed.counted(), r#"{result="again"} 1 {result="done"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_not_looked_at_again() {
    let bed = Bed::start(|_| Err("no".to_owned()));
    bed.changed("waits").await;
    sleep(Duration::from_millis(500)).await;
    bed.changed("busy").await;
    sleep(Duration::from_millis(50)).await;
    for name in ["waits", "busy"] {
        bed.changes.send(Change::Gone(key(name))).await.unwrap();
    }
    bed.until(3600).await;
    assert_eq!((bed.times("waits").len(), bed.times("busy").len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_review() {
    let bed = Bed::start(|number| {
        assert!(number != 0, "of the test");
        Ok(Next::Wait)
    });
    bed.changed("a").await;
    bed.until(3600).await;
    assert_eq!(bed.times("a").len(), 2);
    assert_eq!(bed.counted(), r#"{result="done"} 1 {result="panicked"} 1"#);
}

#[tokio::test(start_paused = true)]
async fn four_are_reviewed_at_once_and_all_of_them_once() {
    let bed = Bed::start(|_| Ok(Next::Wait));
    for number in 0..200 {
        bed.changed(&number.to_string()).await;
    }
    bed.until(3600).await;
    let log = bed.log.lock().unwrap();
    assert_eq!(log.len(), 200);
    for at in log.iter().map(|(at, _)| *at) {
        let same = log.iter().filter(|(other, _)| at.abs_diff(*other) < 50);
        assert_eq!(same.count(), 4);
    }
}
