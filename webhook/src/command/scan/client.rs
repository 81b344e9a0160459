//! The cluster that the user means, as kubectl would find it.

use std::env;
use std::time::Duration;

use http::Uri;
use hyper_util::client::proxy::matcher::Matcher;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use crate::args::Scan;

/// An apiserver answers in this time, or is not there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client, or why there is none.
pub(super) async fn client(args: &Scan) -> Result<Client, String> {
    let options = KubeConfigOptions {
        context: args.context.clone(),
        ..KubeConfigOptions::default()
    };
    let unusable = |error: &dyn std::error::Error| {
        format!(
            "can't use the kubeconfig: {error}; name one with --kubeconfig, or a context of it with --context"
        )
    };
    let config = match (&args.kubeconfig, &args.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options)
                .await
                .map_err(|error| unusable(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&options)
            .await
            .map_err(|error| unusable(&error)),
        (None, None) => Config::infer().await.map_err(|error| unusable(&error)),
    };
    let mut config = config?;
    // kube looks in NO_PROXY for the proxy itself.
    if from_environment(config.proxy_url.as_ref())
        && Matcher::from_env().intercept(&config.cluster_url).is_none()
    {
        config.proxy_url = None;
    }
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(PATIENCE);
    Client::try_from(config).map_err(|error| unusable(&error))
}

/// Whether a proxy is the one that the environment names, and not the kubeconfig.
fn from_environment(proxy: Option<&Uri>) -> bool {
    ["HTTPS_PROXY", "https_proxy"].iter().any(|variable| {
        let named = env::var(variable)
            .ok()
            .and_then(|named| named.parse::<Uri>().ok());
        named.is_some() && named.as_ref() == proxy
    })
}
