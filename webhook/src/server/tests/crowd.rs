//! More callers than there is room for.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::support::{Bed, REVIEW, limits};
use crate::server::limits::Limits;

#[tokio::test]
async fn one_review_too_many_is_told_to_come_back() {
    let bed = Bed::new(Limits {
        reviews: 1,
        ..limits()
    })
    .await;
    let (mut slow, mut other) = (bed.call().await, bed.call().await);
    let (done, shed) = tokio::join!(slow.review("sleep 1000"), async {
        sleep(Duration::from_millis(200)).await;
        other.review(REVIEW).await
    });
    assert_eq!(done.status, 200);
    assert_eq!(
        (shed.status, shed.body.as_str()),
        (503, "too many reviews at once; try again in a second\n")
    );
    assert!(shed.head.contains("\r\nretry-after: 1\r\n"));
    assert!(bed.counts(r#"natsguard_shed_total{reason="busy"} 1"#));
    assert_eq!(other.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn a_review_waits_a_moment_for_its_turn() {
    let bed = Bed::new(Limits {
        reviews: 1,
        queue: Duration::from_secs(3),
        ..limits()
    })
    .await;
    let (mut slow, mut other) = (bed.call().await, bed.call().await);
    let (done, waited) = tokio::join!(slow.review("sleep 300"), async {
        sleep(Duration::from_millis(100)).await;
        other.review(REVIEW).await
    });
    assert_eq!((done.status, waited.status), (200, 200));
}

#[tokio::test]
async fn bodies_share_a_budget() {
    let bed = Bed::new(Limits {
        memory_bytes: 80 << 10,
        ..limits()
    })
    .await;
    let (mut one, mut other) = (bed.call().await, bed.call().await);
    let large = format!("sleep 1000{}", " ".repeat(50 << 10));
    let (done, shed) = tokio::join!(one.review(&large), async {
        sleep(Duration::from_millis(200)).await;
        other.review(&large).await
    });
    assert_eq!(done.status, 200);
    assert_eq!(
        (shed.status, shed.body.as_str()),
        (
            503,
            "too many bytes in reviews at once; try again in a second\n"
        )
    );
    assert!(bed.counts(r#"natsguard_shed_total{reason="memory"} 1"#));
    bed.still_serves().await;
}

#[tokio::test]
async fn silent_connections_make_room_for_those_that_ask() {
    let bed = Bed::new(Limits {
        connections: 8,
        handshake: Duration::from_secs(30),
        ..limits()
    })
    .await;
    let mut served = bed.call().await;
    assert_eq!(served.review(REVIEW).await.status, 200);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(bed.address).await.unwrap());
    }
    let began = Instant::now();
    let answered = timeout(Duration::from_secs(10), async {
        bed.call().await.review(REVIEW).await
    });
    assert_eq!(answered.await.unwrap().status, 200);
    // Younger ones are safe for 100 ms, and eight go at a time.
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(served.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_not_ready_in_time_is_an_error() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    let reply = call.post("/validate?timeout=1s", "sleep 5000").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (504, "the answer was not ready within 900 ms\n")
    );
    let reply = call
        .post("/validate?timeout=1s", "until the deadline")
        .await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let bed = Bed::new(limits()).await;
    let reply = bed.call().await.review("panic").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            500,
            "natsguard failed on this request; its log says where\n"
        )
    );
    assert!(bed.counts("natsguard_panics_total 1"));
    assert!(bed.counts("natsguard_reviews_in_flight 0"));
    bed.still_serves().await;
}
