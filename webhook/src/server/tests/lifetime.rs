//! How long connections live, and how the server ends.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::support::{Bed, REVIEW, client, leaf, limits, post};
use crate::certificates::ca::Ca;
use crate::certificates::now;
use crate::server::limits::Limits;

#[tokio::test]
async fn an_idle_connection_outlives_every_other_time() {
    let bed = Bed::new(limits()).await;
    let (mut used, mut fresh) = (bed.call().await, bed.call().await);
    assert_eq!(used.review(REVIEW).await.status, 200);
    // Four times what a handshake, a head, a body or an answer may take.
    sleep(limits().head * 4).await;
    assert_eq!(used.review(REVIEW).await.status, 200);
    assert_eq!(fresh.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn an_idle_connection_ends_when_its_time_is_over() {
    let bed = Bed::new(Limits {
        idle: Duration::from_millis(600),
        ..limits()
    })
    .await;
    let mut call = bed.call().await;
    assert_eq!(call.review(REVIEW).await.status, 200);
    let idle = call.closed().await;
    assert!(idle >= Duration::from_millis(500), "{idle:?}");
    assert!(bed.counts(r#"natsguard_connections_cut_total{port="webhook",reason="idle"} 1"#));
}

#[tokio::test]
async fn the_end_begins_unready_and_slams_no_connection() {
    let bed = Bed::new(Limits {
        drain: Duration::from_secs(30),
        ..limits()
    })
    .await;
    let (mut idle, mut busy) = (bed.call().await, bed.call().await);
    assert_eq!(idle.review(REVIEW).await.status, 200);
    busy.send(&post("/validate", "sleep 800")).await;
    sleep(Duration::from_millis(100)).await;
    bed.lifecycle.drain();
    assert_eq!(bed.probe("/readyz").await.status, 503);

    let mut late = bed.call().await;
    let reply = late.review(REVIEW).await;
    assert_eq!(reply.status, 200);
    assert!(reply.closes());
    late.closed().await;

    let reply = busy.reply().await.unwrap();
    assert_eq!(reply.status, 200);
    assert!(reply.closes());

    // Long after the listener is gone the idle connection serves once more.
    sleep(Duration::from_millis(600)).await;
    assert!(TcpStream::connect(bed.address).await.is_err());
    assert!(!bed.serving.is_finished());
    assert!(idle.is_open().await);
    let reply = idle.review(REVIEW).await;
    assert_eq!(reply.status, 200);
    assert!(reply.closes());
    idle.closed().await;

    timeout(Duration::from_secs(5), bed.serving)
        .await
        .expect("nobody is left")
        .unwrap();
}

#[tokio::test]
async fn the_end_waits_no_longer_than_it_must() {
    let bed = Bed::new(limits()).await;
    let mut idle = bed.call().await;
    assert_eq!(idle.review(REVIEW).await.status, 200);
    let began = Instant::now();
    bed.lifecycle.drain();
    timeout(Duration::from_secs(10), bed.serving)
        .await
        .expect("it ends")
        .unwrap();
    assert!(began.elapsed() >= limits().drain, "{:?}", began.elapsed());
    assert!(idle.is_open().await);
}

#[tokio::test]
async fn without_connections_the_end_takes_the_time_in_which_new_ones_may_come() {
    let bed = Bed::new(Limits {
        drain: Duration::from_mins(1),
        ..limits()
    })
    .await;
    let began = Instant::now();
    bed.lifecycle.drain();
    timeout(Duration::from_secs(10), bed.serving)
        .await
        .expect("it ends")
        .unwrap();
    assert!(began.elapsed() >= limits().drain_delay);
}

#[tokio::test]
async fn another_certificate_drops_no_connection() {
    let bed = Bed::new(limits()).await;
    let mut old = bed.call().await;
    assert_eq!(old.review(REVIEW).await.status, 200);
    let ca = Ca::generate(now(), 3600).unwrap();
    bed.served.put(leaf(&ca));
    assert_eq!(old.review(REVIEW).await.status, 200);
    assert!(
        bed.call_as(client(&bed.ca, &rustls::version::TLS13))
            .await
            .is_err()
    );
    let mut new = bed
        .call_as(client(&ca, &rustls::version::TLS13))
        .await
        .unwrap();
    assert_eq!(new.review(REVIEW).await.status, 200);
    assert_eq!(old.review(REVIEW).await.status, 200);
}
