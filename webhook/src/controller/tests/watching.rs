//! Which StatefulSets are told, and that nothing ends the watch.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::sleep;

use super::apiserver::Apiserver;
use crate::controller::metrics::Metrics;
use crate::controller::watch::{self, Change};

struct Bed {
    server: Apiserver,
    changes: Receiver<Change>,
}

impl Bed {
    fn start(prepare: impl FnOnce(&Apiserver)) -> Self {
        let server = Apiserver::new();
        prepare(&server);
        let (sender, changes) = mpsc::channel(1000);
        let metrics = Metrics::register(&mut Registry::default());
        let since = Timestamp::from_second(1000).unwrap();
        tokio::spawn(watch::run(server.client(), metrics, since, sender));
        Self { server, changes }
    }

    /// What was told within so many seconds: `+` or `-` and the name.
    async fn told(&mut self, seconds: u64) -> Vec<String> {
        sleep(Duration::from_secs(seconds)).await;
        let mut told = Vec::new();
        while let Ok(change) = self.changes.try_recv() {
            told.push(match change {
                Change::Changed(key) => format!("+{}", key.name),
                Change::Gone(key) => format!("-{}", key.name),
            });
        }
        told
    }

    async fn after(&mut self, act: impl FnOnce(&Apiserver)) -> Vec<String> {
        act(&self.server);
        self.told(1).await
    }
}

fn three(server: &Apiserver) {
    let mut world = server.lock();
    world.set("a", "nats:2.12", 1, "u1");
    world.set("b", "postgres:18", 1, "u2");
    world.set("c", "registry.local/nats:2.12", 1, "u3");
}

#[tokio::test(start_paused = true)]
async fn only_new_specs_of_nats_sets_are_told() {
    let mut bed = Bed::start(three);
    assert_eq!(bed.told(1).await, ["+a", "+c"]);
    let status = bed.after(|server| server.lock().set("a", "nats:2.12", 1, "u1"));
    assert!(status.await.is_empty(), "a new status is no new spec");
    let other = bed.after(|server| server.lock().set("b", "postgres:18", 2, "u2"));
    assert!(other.await.is_empty());
    let scaled = bed.after(|server| server.lock().set("a", "nats:2.12", 2, "u1"));
    assert_eq!(scaled.await, ["+a"]);
    let joined = bed.after(|server| server.lock().set("b", "nats:2.12", 3, "u2"));
    assert_eq!(joined.await, ["+b"]);
    let left = bed.after(|server| server.lock().set("c", "busybox", 2, "u3"));
    assert_eq!(left.await, ["-c"]);
    let again = bed.after(|server| {
        let mut world = server.lock();
        world.delete("b");
        world.set("b", "nats:2.12", 3, "u4");
    });
    assert_eq!(again.await, ["-b", "+b"]);
    assert_eq!(bed.server.lock().asked.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_is_told_once_it_changes() {
    let mut bed = Bed::start(|server| {
        let mut world = server.lock();
        for name in ["old", "scaled", "busy"] {
            world.set(name, "nats:2.12", 1, name);
            world.written(name, 999, "");
        }
        world.written("scaled", 1000, "scale");
        world.written("busy", 2000, "status");
    });
    assert_eq!(bed.told(1).await, ["+scaled"]);
    let forged = bed.after(|server| {
        let mut world = server.lock();
        world.set("forged", "nats:2.12", 1, "forged");
        world.forge("forged", "9999-12-31T23:59:59Z");
    });
    assert_eq!(forged.await, ["+forged"]);
    let rolled = bed.after(|server| server.lock().set("old", "nats:2.14", 2, "old"));
    assert_eq!(rolled.await, ["+old"]);
}

#[tokio::test(start_paused = true)]
async fn without_streamed_lists_pages_are_read() {
    let mut bed = Bed::start(|server| {
        let mut world = server.lock();
        world.streams = false;
        for number in 0..600 {
            let image = if number % 3 == 0 { "nats" } else { "redis" };
            world.set(&format!("{number:03}"), image, 1, "u");
        }
    });
    let told = bed.told(5).await;
    assert_eq!(told.len(), 200);
    assert_eq!(told[199], "+597");
    let asked = bed.server.lock().asked.clone();
    let lists = asked.iter().filter(|query| !query.contains("watch=true"));
    let pages: Vec<bool> = lists.map(|query| query.contains("limit=250")).collect();
    assert_eq!(pages, [true; 3]);
    let scaled = bed.after(|server| server.lock().set("000", "nats", 2, "u"));
    assert_eq!(scaled.await, ["+000"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_before_a_410_is_told_and_no_more() {
    for (streams, tells_late) in [(true, true), (true, false), (false, true), (false, false)] {
        let mut bed = Bed::start(|server| {
            three(server);
            let mut world = server.lock();
            (world.streams, world.tells_late) = (streams, tells_late);
        });
        assert_eq!(bed.told(2).await, ["+a", "+c"]);
        {
            let mut world = bed.server.lock();
            world.cut();
            world.delete("a");
            world.set("d", "nats", 1, "u5");
            world.set("e", "nats", 1, "u6");
            world.compact();
        }
        let told = bed.told(5).await;
        assert_eq!(told, ["+d", "+e", "-a"], "{streams} {tells_late}");
        let scaled = bed.after(|server| server.lock().set("d", "nats", 2, "u5"));
        assert_eq!(scaled.await, ["+d"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_was_away_is_watched_again_within_seconds() {
    let mut bed = Bed::start(three);
    assert_eq!(bed.told(1).await, ["+a", "+c"]);
    {
        let mut world = bed.server.lock();
        world.away = Some(StatusCode::SERVICE_UNAVAILABLE);
        world.cut();
    }
    assert!(bed.told(600).await.is_empty());
    // One each eight seconds.
    let asked = bed.server.lock().asked.len();
    assert!((70..80).contains(&asked), "{asked}");
    bed.server.lock().away = None;
    sleep(Duration::from_secs(9)).await;
    let scaled = bed.after(|server| server.lock().set("a", "nats:2.12", 2, "u1"));
    assert_eq!(scaled.await, ["+a"]);
}

#[tokio::test(start_paused = true)]
async fn an_apiserver_that_refuses_everybody_as_it_starts_is_asked_again_soon() {
    let mut bed = Bed::start(three);
    assert_eq!(bed.told(1).await, ["+a", "+c"]);
    let refuse = |bed: &Bed| {
        let mut world = bed.server.lock();
        world.away = Some(StatusCode::FORBIDDEN);
        world.cut();
    };
    refuse(&bed);
    assert!(bed.told(2).await.is_empty());
    bed.server.lock().away = None;
    assert!(bed.told(3).await.is_empty());
    let scaled = bed.after(|server| server.lock().set("a", "nats:2.12", 2, "u1"));
    assert_eq!(scaled.await, ["+a"]);
    // A right that stays missing is asked for less and less.
    refuse(&bed);
    let before = bed.server.lock().asked.len();
    assert!(bed.told(600).await.is_empty());
    let asked = bed.server.lock().asked.len() - before;
    assert!((20..30).contains(&asked), "{asked}");
}
