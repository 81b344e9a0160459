//! What each kind of request is answered with.

use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;

use super::support::{Bed, REVIEW, client, limits, post};
use crate::certificates::ca::Ca;
use crate::certificates::now;

#[tokio::test]
async fn a_review_is_answered_with_a_review() {
    let bed = Bed::new(limits()).await;
    let mut call = bed.call().await;
    for path in [
        "/mutate",
        "/validate",
        "/mutate?timeout=3s",
        "/validate?timeout=x",
    ] {
        let reply = call.post(path, REVIEW).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(
            reply
                .head
                .contains("\r\ncontent-type: application/json\r\n")
        );
        assert!(!reply.closes());
        let review: Value = serde_json::from_str(&reply.body).unwrap();
        assert_eq!(review["response"]["uid"], "u-1");
        assert_eq!(review["response"]["allowed"], true);
    }
}

#[tokio::test]
async fn what_is_no_review_gets_a_status_and_a_text() {
    let bed = Bed::new(limits()).await;
    let json = post("/mutate", REVIEW);
    for (request, status, text) in [
        (
            json.replacen("POST", "GET", 1),
            405,
            "send the AdmissionReview with POST\n",
        ),
        (
            json.replacen("POST", "PUT", 1),
            405,
            "send the AdmissionReview with POST\n",
        ),
        (
            json.replacen("/mutate", "/", 1),
            404,
            "there is nothing at this path; POST an AdmissionReview to /mutate or /validate\n",
        ),
        (
            json.replacen("/mutate", "/metrics", 1),
            404,
            "there is nothing at this path; POST an AdmissionReview to /mutate or /validate\n",
        ),
        (
            json.replacen("application/json", "application/yaml", 1),
            415,
            "send the AdmissionReview as application/json, not encoded\n",
        ),
        (
            json.replacen("host: x", "content-encoding: gzip", 1),
            415,
            "send the AdmissionReview as application/json, not encoded\n",
        ),
    ] {
        let mut call = bed.call().await;
        call.send(&request).await;
        let reply = call.reply().await.unwrap();
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (status, text),
            "{request}"
        );
        assert_eq!(
            reply.head.contains("\r\nallow: POST\r\n"),
            status == 405,
            "{reply:?}"
        );
    }
    assert!(bed.counts(r#"natsguard_refused_total{reason="method"} 2"#));
    assert!(bed.counts(r#"natsguard_refused_total{reason="path"} 2"#));
    assert!(bed.counts(r#"natsguard_refused_total{reason="media-type"} 2"#));
}

#[tokio::test]
async fn a_body_at_the_limit_is_read_and_one_above_is_not() {
    let bed = Bed::new(limits()).await;
    let limit = limits().body_bytes;
    let padded = |length: usize| format!("{REVIEW}{}", " ".repeat(length - REVIEW.len()));
    assert_eq!(bed.call().await.review(&padded(limit)).await.status, 200);
    let reply = bed.call().await.review(&padded(limit + 1)).await;
    assert_eq!(reply.status, 413);
    assert_eq!(
        reply.body,
        "the body has more than 65536 bytes; an AdmissionReview of an object that Kubernetes stores is smaller\n"
    );
    assert!(reply.closes());
}

#[tokio::test]
async fn probes_say_what_is_missing() {
    let bed = Bed::new(limits()).await;
    assert_eq!(bed.probe("/livez").await.status, 200);
    assert_eq!(bed.probe("/readyz").await.status, 200);
    bed.lifecycle.note("a certificate", false);
    let reply = bed.probe("/readyz").await;
    assert_eq!(
        (reply.status, reply.body.as_str()),
        (503, "not ready: a certificate\n")
    );
    assert_eq!(bed.probe("/livez").await.status, 200);
    let metrics = bed.probe("/metrics").await;
    assert!(
        metrics.body.ends_with("# EOF\n") && metrics.body.contains("natsguard_build_info{version=")
    );
    assert_eq!(bed.probe("/mutate").await.status, 404);
}

#[tokio::test]
async fn tls_is_1_3_unless_1_2_is_asked_for() {
    let bed = Bed::new(limits()).await;
    assert!(
        bed.call_as(client(&bed.ca, &rustls::version::TLS12))
            .await
            .is_err()
    );
    let lenient = Bed::with(limits(), true, None).await;
    let mut call = lenient
        .call_as(client(&lenient.ca, &rustls::version::TLS12))
        .await
        .unwrap();
    assert_eq!(call.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn http_2_is_not_spoken() {
    let bed = Bed::new(limits()).await;
    let offer = |protocols: &[&[u8]]| {
        let mut config = client(&bed.ca, &rustls::version::TLS13);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        config
    };
    assert!(bed.call_as(offer(&[b"h2"])).await.is_err());
    let mut both = bed.call_as(offer(&[b"h2", b"http/1.1"])).await.unwrap();
    assert_eq!(
        both.stream.get_ref().1.alpn_protocol(),
        Some(b"http/1.1".as_slice())
    );
    assert_eq!(both.review(REVIEW).await.status, 200);
}

#[tokio::test]
async fn with_a_client_ca_callers_show_a_certificate_of_it() {
    let callers = Ca::generate(now(), 3600).unwrap();
    let bed = Bed::with(limits(), false, Some(&callers)).await;
    // In TLS 1.3 the client is through before the server has looked at its certificate.
    if let Ok(mut call) = bed.call_as(client(&bed.ca, &rustls::version::TLS13)).await {
        call.send(&post("/validate", REVIEW)).await;
        assert!(call.reply().await.is_none());
    }
    let config = |ca: &Ca| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &ca.issuer().unwrap()).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        let pem = bed.ca.certificate.pem.as_bytes();
        roots
            .add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap())
            .unwrap();
        rustls::ClientConfig::builder_with_provider(
            rustls::crypto::aws_lc_rs::default_provider().into(),
        )
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.into()))
        .unwrap()
    };
    let mut call = bed.call_as(config(&callers)).await.unwrap();
    assert_eq!(call.review(REVIEW).await.status, 200);
    if let Ok(mut call) = bed.call_as(config(&bed.ca)).await {
        call.send(&post("/validate", REVIEW)).await;
        assert!(call.reply().await.is_none());
    }
}
