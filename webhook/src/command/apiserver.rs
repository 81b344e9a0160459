//! The way to the apiserver, for processes that live long and answer fast.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

/// How long the apiserver may take to answer. It never blocks a review longer than the review's own deadline.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whoever is silent for so long is asked whether they are there, and gone after twice as long.
const SILENCE: Duration = Duration::from_secs(15);

/// A client for what all commands ask.
pub(super) async fn client() -> Result<Client, String> {
    connect(config().await?)
}

/// How to reach the apiserver: as the pod does, else as the kubeconfig says.
pub(super) async fn config() -> Result<Config, String> {
    let mut config = Config::infer().await.map_err(|error| {
        format!("found neither a pod's service account nor a kubeconfig: {error}")
    })?;
    config.connect_timeout = Some(PATIENCE);
    config.read_timeout = Some(PATIENCE);
    // An idle connection is no answer that is late.
    config.reset_reader_on_write = true;
    Ok(config)
}

/// kube's own client leaves Nagle's algorithm on, by which a request may wait for the acknowledgement of what was sent before it.
/// Nor does this one try again: an apiserver that has enough to do is not asked again inside a review, and what has to succeed
/// tries again by itself.
pub(super) fn connect(config: Config) -> Result<Client, String> {
    build(config).map_err(|error| format!("can't use the kubeconfig: {error}"))
}

fn build(config: Config) -> Result<Client, kube::Error> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    // An apiserver whose node is gone says nothing more, and a watch would wait for it for two minutes.
    tcp.set_keepalive(Some(SILENCE));
    tcp.set_keepalive_interval(Some(SILENCE / 3));
    tcp.set_keepalive_retries(Some(3));
    let mut connector = TimeoutConnector::new(config.rustls_https_connector_with_connector(tcp)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let http = Http::builder(TokioExecutor::new()).build::<_, Body>(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(http);
    Ok(Client::new(service, config.default_namespace))
}
