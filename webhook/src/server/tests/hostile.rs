//! Callers that mean harm: each gets a documented answer or is cut, and the next caller is served.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::support::{Bed, REVIEW, limits, post};
use crate::server::limits::Limits;

const HEAD: &str = "POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";

fn is_about(took: Duration, expected: Duration) -> bool {
    took >= expected / 2 && took < expected * 4
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_endless_body_is_cut_at_the_limit() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    call.send(&format!("{HEAD}transfer-encoding: chunked\r\n\r\n"))
        .await;
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let before = resident();
    let (mut receive, mut send) = tokio::io::split(call.stream);
    let mut sent = 0;
    let pump = async {
        while send.write_all(chunk.as_bytes()).await.is_ok() {
            sent += chunk.len();
            assert!(sent < 4 << 30, "it takes everything");
        }
    };
    let answer = async {
        let mut text = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut receive, &mut text).await;
        String::from_utf8(text).unwrap()
    };
    let ((), text) = tokio::join!(pump, answer);
    assert!(
        text.starts_with("HTTP/1.1 413 Payload Too Large\r\n"),
        "{text}"
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 10, "{grown} KiB for {sent} bytes");
    bed.still_serves().await;
}

#[tokio::test]
async fn a_length_that_is_a_lie_reserves_nothing_and_waits_no_longer_than_the_body_may_take() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    call.send(&format!("{HEAD}content-length: 60000\r\n\r\n{{"))
        .await;
    let began = Instant::now();
    let reply = call.reply().await.unwrap();
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (408, "the body did not arrive within 400 ms\n")
    );
    assert!(is_about(began.elapsed(), limits().body));
    assert!(reply.closes());
    call.closed().await;
    bed.still_serves().await;
}

#[tokio::test]
async fn a_huge_length_is_refused_unread() {
    let bed = Bed::new(limits()).await;
    for length in ["1073741824", "18446744073709551615"] {
        let mut call = bed.call().await;
        call.send(&format!("{HEAD}content-length: {length}\r\n\r\n"))
            .await;
        let status = call.reply().await.map(|reply| reply.status);
        assert!(matches!(status, Some(413 | 431)), "{length}: {status:?}");
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn a_body_that_drips_is_cut_although_it_never_stops() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    call.send(&format!("{HEAD}content-length: 60000\r\n\r\n"))
        .await;
    let began = Instant::now();
    for _ in 0..100 {
        call.send("{").await;
        if !call.is_open().await {
            break;
        }
    }
    assert!(
        is_about(began.elapsed(), limits().body),
        "{:?}",
        began.elapsed()
    );
    bed.still_serves().await;
}

#[tokio::test]
async fn large_bodies_that_come_slowly_leave_room_for_a_review() {
    let bed = Bed::new(Limits {
        body: Duration::from_secs(20),
        review: Duration::from_secs(20),
        body_bytes: 1 << 20,
        ..limits()
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut call = bed.call().await;
        let length = (1 << 20) - 1;
        call.send(&format!("{HEAD}content-length: {length}\r\n\r\n"))
            .await;
        call.send(&"x".repeat(length - 1)).await;
        slow.push(call);
    }
    sleep(Duration::from_millis(300)).await;
    // As much of the whole as 3 MiB are of 64.
    let large = format!("{REVIEW}{}", " ".repeat(200 << 10));
    for _ in 0..3 {
        let reply = bed.call().await.review(&large).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    // Before it is answered, the rest of its body is waited for.
    sleep(limits().linger * 3).await;
    let mut shed = 0;
    for call in &mut slow {
        if !call.is_open().await {
            shed += 1;
        }
    }
    assert_eq!(shed, 1, "no more than needed");
    assert!(bed.counts(r#"natsguard_shed_total{reason="memory"} 1"#));
}

#[tokio::test]
async fn a_head_that_drips_is_cut() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    // Idle for longer than a head may take: only the first byte starts that time.
    sleep(limits().head * 2).await;
    let began = Instant::now();
    for letter in HEAD.chars().cycle().take(1000) {
        call.send(&letter.to_string()).await;
        if !call.is_open().await {
            break;
        }
    }
    assert!(
        is_about(began.elapsed(), limits().head),
        "{:?}",
        began.elapsed()
    );
    assert!(bed.counts(r#"natsguard_connections_cut_total{port="webhook",reason="slow-head"} 1"#));
    bed.still_serves().await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_cut() {
    let bed = Bed::new(limits()).await;
    let mut stream = TcpStream::connect(bed.address).await.unwrap();
    let began = Instant::now();
    stream.write_all(&[0x16, 0x03]).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    assert!(
        is_about(began.elapsed(), limits().handshake),
        "{:?}",
        began.elapsed()
    );
    assert!(
        bed.counts(r#"natsguard_connections_cut_total{port="webhook",reason="slow-handshake"} 1"#)
    );
    bed.still_serves().await;
}

#[tokio::test]
async fn a_caller_that_does_not_read_is_cut() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    call.send(&post("/validate", "write 33554432")).await;
    sleep(limits().write * 4).await;
    assert!(
        bed.counts(r#"natsguard_connections_cut_total{port="webhook",reason="slow-reader"} 1"#)
    );
    bed.still_serves().await;
}

#[tokio::test]
async fn plain_http_and_nonsense_end_the_handshake() {
    let bed = Bed::new(limits()).await;
    for bytes in [b"GET / HTTP/1.1\r\n\r\n".as_slice(), &[0xff; 600]] {
        let mut stream = TcpStream::connect(bed.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
    }
    assert!(bed.counts("natsguard_tls_handshake_failures_total 2"));
    bed.still_serves().await;
}

#[tokio::test]
async fn a_huge_head_is_refused() {
    let bed = Bed::new(limits()).await;
    let many = "x: y\r\n".repeat(100);
    let long = format!("x: {}\r\n", "y".repeat(100_000));
    for headers in [many, long] {
        let mut call = bed.call().await;
        call.send(&format!("{HEAD}{headers}\r\n")).await;
        let status = call.reply().await.map(|reply| reply.status);
        assert_eq!(status, Some(431));
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn a_broken_request_is_answered_or_cut_and_nothing_else() {
    let bed = Bed::new(limits()).await;
    for request in [
        format!("{HEAD}content-length: x\r\n\r\n"),
        format!("{HEAD}content-length: 3\r\ncontent-length: 4\r\n\r\n{{}}\n"),
        format!("{HEAD}transfer-encoding: chunked\r\n\r\nnonsense\r\n"),
        format!("{HEAD}transfer-encoding: gzip\r\n\r\n"),
        "\0\0\0\0\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "POST /mutate HTTP/9.9\r\n\r\n".to_owned(),
    ] {
        let mut call = bed.call().await;
        call.send(&request).await;
        if let Some(reply) = call.reply().await {
            assert!((400..500).contains(&reply.status), "{request}: {reply:?}");
        }
    }
    bed.still_serves().await;
}

#[tokio::test]
async fn a_caller_that_leaves_in_the_middle_leaves_nothing_behind() {
    let bed = Bed::new(limits()).await;
    for sent in [
        "POST /mut".to_owned(),
        format!("{HEAD}content-length: 60000\r\n\r\n{{"),
        post("/validate", "sleep 10000"),
    ] {
        let mut call = bed.call().await;
        call.send(&sent).await;
        sleep(Duration::from_millis(50)).await;
        drop(call);
    }
    sleep(Duration::from_millis(300)).await;
    assert!(bed.counts("natsguard_reviews_in_flight 0"));
    assert!(bed.counts(r#"natsguard_connections{port="webhook"} 0"#));
    bed.still_serves().await;
}

#[tokio::test]
async fn json_of_any_kind_is_answered() {
    let bed = Bed::new(limits()).await;
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = REVIEW.replace(
        r#""metadata":{"#,
        &format!(
            r#""x":{}{},"metadata":{{"#,
            "[".repeat(5_000),
            "]".repeat(5_000)
        ),
    );
    let keys = (0..5_000).map(|n| format!(r#""{n}":1"#));
    let keys = keys.collect::<Vec<_>>().join(",");
    for body in [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        deep,
        deep_object,
        format!("{{{keys},\"x\":1e400}}"),
        format!("\u{feff}{REVIEW}"),
        format!("{REVIEW}garbage"),
        REVIEW.replace("u-1", "u-1\\ud800"),
        REVIEW.replace("u-1", "u-1\0"),
        REVIEW.replace(r#""uid":"u-1","#, r#""uid":"u-1","uid":"u-2","#),
        REVIEW.replace(r#""uid":"u-1","#, ""),
        REVIEW.replace("/v1\"", "/v1beta1\""),
        REVIEW.replace("CREATE", "EXPLODE"),
        REVIEW.replace(r#""object":{"#, r#""object":null,"x":{"#),
        REVIEW.replace("ConfigMap", "Unheard"),
    ] {
        let reply = bed.call().await.review(&body).await;
        assert!(
            matches!(reply.status, 200 | 400),
            "{reply:?} to {}",
            body.get(..60).unwrap_or(&body)
        );
        serde_json::from_str::<serde_json::Value>(&reply.body).unwrap();
    }
    assert!(bed.counts("natsguard_panics_total 0"));
    bed.still_serves().await;
}

#[tokio::test]
async fn a_small_body_that_makes_a_large_tree_is_refused() {
    let bed = Bed::new(limits()).await;
    let dense = |values: usize| format!("[{}0]", "0,".repeat(values - 1));
    let mut call = bed.call().await;
    assert_eq!(call.review(&dense(30_000)).await.status, 400);
    let many = Bed::new(Limits {
        memory_bytes: 1 << 20,
        ..limits()
    })
    .await;
    let mut call = many.call().await;
    let reply = call.review(&dense(30_000)).await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (
            413,
            "the body has about 30000 JSON values; an AdmissionReview of an object that Kubernetes stores has fewer\n"
        )
    );
    assert_eq!(call.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn bytes_that_are_no_text_are_answered() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    call.send(&format!("{HEAD}content-length: 4\r\n\r\n")).await;
    call.stream.write_all(b"\xff\xfe{}").await.unwrap();
    assert_eq!(call.reply().await.unwrap().status, 400);
}

#[tokio::test]
async fn requests_in_a_row_are_answered_in_a_row() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    let three = post("/validate", REVIEW).repeat(3);
    call.send(&three).await;
    for _ in 0..3 {
        assert_eq!(call.reply().await.unwrap().status, 200);
    }
}
