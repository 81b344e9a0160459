//! The call that the apiserver makes: TLS, and a review there and back.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::line::Line;

/// As long as a validating webhook may take by default.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
const UID: &str = "natsguard-doctor";
const LOG: &str = "see natsguard's log";

/// Shakes hands as the apiserver would, and asks for a review.
pub(super) async fn call<S>(stream: S, name: &str, bundle: &[u8]) -> Vec<Line>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match timeout(PATIENCE, shake_hands(stream, name, bundle)).await {
        Ok(Ok(stream)) => {
            let tls = Line::fine("tls", format!("the caBundle verifies {name}"));
            let review = timeout(PATIENCE, review(stream, name))
                .await
                .unwrap_or_else(|_| Line::broken("review", "no answer within 5 s", LOG));
            vec![tls, review]
        }
        Ok(Err(line)) => vec![line],
        Err(_) => vec![Line::broken(
            "tls",
            "no handshake within 5 s",
            "see whether something other than natsguard listens there",
        )],
    }
}

async fn shake_hands<S>(stream: S, name: &str, bundle: &[u8]) -> Result<TlsStream<S>, Line>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |text: String, remedy: &str| Line::broken("tls", text, remedy);
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(bundle).flatten());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| broken(error.to_string(), LOG))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let server = ServerName::try_from(name.to_owned()).map_err(|error| {
        broken(
            format!("{name}: {error}"),
            "give --namespace and --service as they are",
        )
    })?;
    TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await
        .map_err(|error| refusal(name, &error))
}

fn refusal(name: &str, error: &std::io::Error) -> Line {
    let certificate = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    let (text, remedy) = match certificate {
        Some(rustls::Error::InvalidCertificate(problem)) => match problem {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => (
                format!("the caBundle does not verify the certificate of {name}"),
                "in tls.mode self it is healed within seconds, so see natsguard's log; otherwise give the CA that \
                 signed the certificate",
            ),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                format!("the certificate of {name} expired"),
                "see natsguard's log, and the clocks of the nodes",
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (
                    format!("the certificate is not for {name}"),
                    "issue one with this DNS name",
                )
            }
            problem => (format!("the certificate of {name}: {problem}"), LOG),
        },
        _ => (format!("no handshake with {name}: {error}"), LOG),
    };
    Line::broken("tls", text, remedy)
}

/// A ConfigMap that is nobody's business: it must be let through as it is.
fn question() -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": UID,
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "operation": "CREATE",
            "namespace": "default",
            "name": UID,
            "dryRun": true,
            "userInfo": {},
            "object": {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": UID, "namespace": "default"},
            },
            "oldObject": null,
        },
    })
}

async fn review<S>(stream: TlsStream<S>, name: &str) -> Line
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let began = Instant::now();
    match ask(stream, name).await {
        Ok(answer) if answer.pointer("/response/uid") == Some(&json!(UID)) => {
            if answer.pointer("/response/allowed") == Some(&json!(true)) {
                let took = began.elapsed().as_secs_f64() * 1000.0;
                Line::fine("review", format!("answered in {took:.1} ms"))
            } else {
                Line::broken("review", "a plain ConfigMap was denied", LOG)
            }
        }
        Ok(_) => Line::broken(
            "review",
            "the answer is not of this review",
            "see whether the Service leads to something else",
        ),
        Err(Failure::Certificate) => Line::unseen(
            "review",
            "natsguard wants the apiserver's client certificate, which nobody else has",
        ),
        Err(Failure::Other(problem)) => Line::broken("review", problem, LOG),
    }
}

enum Failure {
    Certificate,
    Other(String),
}

async fn ask<S>(stream: TlsStream<S>, name: &str) -> Result<Value, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let failed = |error: hyper::Error| {
        let text = format!("{error:?}");
        // In TLS 1.3 the server looks at the client's certificate when the client is through already.
        if text.contains("CertificateRequired") {
            Failure::Certificate
        } else {
            Failure::Other(format!("the connection broke: {error}"))
        }
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let connection = tokio::spawn(connection);
    let request = Request::post("/validate?timeout=5s")
        .header("host", name)
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(question().to_string())))
        .map_err(|error| Failure::Other(error.to_string()))?;
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => {
            // The connection knows better than the request why it ended.
            let cause = match connection.await {
                Ok(Err(cause)) => cause,
                _ => error,
            };
            return Err(failed(cause));
        }
    };
    let status = response.status();
    let body = Limited::new(response.into_body(), 1 << 20)
        .collect()
        .await
        .map_err(|error| Failure::Other(error.to_string()))?
        .to_bytes();
    if !status.is_success() {
        return Err(Failure::Other(format!("status {status}")));
    }
    serde_json::from_slice(&body).map_err(|error| Failure::Other(format!("no review: {error}")))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;
    use crate::certificates::ca::Ca;
    use crate::certificates::now;
    use crate::server::tests::support::{Bed, NAME, limits};

    async fn called(bed: &Bed, name: &str, bundle: &str) -> Vec<String> {
        let stream = TcpStream::connect(bed.address).await.unwrap();
        let lines = call(stream, name, bundle.as_bytes()).await;
        lines.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn a_sound_server_answers() {
        let bed = Bed::new(limits()).await;
        let lines = called(&bed, NAME, &bed.ca.certificate.pem).await;
        assert_eq!(
            lines[0],
            "ok        tls            the caBundle verifies natsguard.natsguard.svc"
        );
        assert!(
            lines[1].starts_with("ok        review         answered in "),
            "{}",
            lines[1]
        );
    }

    #[tokio::test]
    async fn another_ca_and_another_name_are_told_apart() {
        let bed = Bed::new(limits()).await;
        let other = Ca::generate(now(), 60).unwrap();
        let lines = called(&bed, NAME, &other.certificate.pem).await;
        assert!(
            lines[0].starts_with(
                "BROKEN    tls            the caBundle does not verify the certificate of natsguard.natsguard.svc; "
            ),
            "{lines:?}"
        );
        let lines = called(&bed, "other.ns.svc", &bed.ca.certificate.pem).await;
        assert_eq!(
            lines,
            [
                "BROKEN    tls            the certificate is not for other.ns.svc; issue one with this DNS name"
            ]
        );
    }

    #[tokio::test]
    async fn a_server_that_wants_client_certificates_is_not_called_broken() {
        let bed = Bed::with(limits(), false, Some(&Ca::generate(now(), 60).unwrap())).await;
        let lines = called(&bed, NAME, &bed.ca.certificate.pem).await;
        assert_eq!(
            lines[1],
            "not seen  review         natsguard wants the apiserver's client certificate, which nobody else has"
        );
    }
}
