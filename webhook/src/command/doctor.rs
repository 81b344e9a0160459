//! `natsguard doctor`: walks the way of a review, from the webhook configurations to the answer, and says where it ends.

mod call;
mod line;
mod rights;
mod trust;

use std::io;
use std::path::Path;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use kube::{Client, Error, ResourceExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use self::call::PATIENCE;
use self::line::{Line, State};
use super::{SUCCESS, UNUSABLE, complain, print, webhook};
use crate::args::Doctor;
use crate::certificates::bundles;
use crate::certificates::now;
use crate::output::visible;

/// Something is broken.
const BROKEN: u8 = 1;

const TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

pub(super) fn run(args: Doctor) -> io::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let lines = match runtime.block_on(examine(args)) {
        Ok(lines) => lines,
        Err(problem) => {
            complain(&problem);
            return Ok(UNUSABLE);
        }
    };
    runtime.shutdown_background();
    let text: Vec<String> = lines
        .iter()
        .map(|line| visible(&line.to_string()))
        .collect();
    print(format!("{}\n", text.join("\n")).as_bytes())?;
    let broken = lines.iter().any(|line| line.state == State::Broken);
    Ok(if broken { BROKEN } else { SUCCESS })
}

async fn examine(args: Doctor) -> Result<Vec<Line>, String> {
    let client = webhook::client().await?;
    let version = client
        .apiserver_version()
        .await
        .map_err(|error| format!("can't reach the apiserver: {error}; see to the kubeconfig"))?;
    let mut lines = vec![Line::fine(
        "apiserver",
        format!("Kubernetes {}", version.git_version),
    )];
    let namespace = args
        .place
        .namespace
        .clone()
        .unwrap_or_else(|| client.default_namespace().to_owned());
    let service = args.place.service.clone();
    let mut bundle = None;
    for configuration in args.place.configurations() {
        match bundles::object(&client, &configuration).await {
            Ok(Some(object)) => {
                let to = (namespace.as_str(), service.as_str());
                let (found, usable) = trust::judge(&configuration, &object, to, now());
                lines.extend(found);
                bundle = bundle.or(usable);
            }
            Ok(None) => lines.push(trust::absent(&configuration)),
            Err(error) => lines.push(Line::unseen(
                "configuration",
                format!("{configuration}: {error}"),
            )),
        }
    }
    let inside = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() && Path::new(TOKEN).exists();
    let account = format!("system:serviceaccount:{namespace}:{service}");
    let user = args
        .user
        .as_deref()
        .or((!inside).then_some(account.as_str()));
    let configurations = args.place.configurations();
    let subject = rights::Subject {
        user,
        namespace: &namespace,
        secret: &format!("{service}-ca"),
        configuration: configurations
            .first()
            .map_or("natsguard", |configuration| configuration.name.as_str()),
        uses: args.uses(),
    };
    lines.push(rights::look(&client, &subject).await);

    let place = Target {
        client,
        namespace,
        service,
        port: args.port,
    };
    lines.extend(if inside {
        place.inside(bundle.as_deref()).await
    } else {
        place.outside(bundle.as_deref()).await
    });
    Ok(lines)
}

struct Target {
    client: Client,
    namespace: String,
    service: String,
    port: u16,
}

impl Target {
    fn name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// The way of the apiserver, but for the resolver: it takes the Service's address from the Service itself.
    async fn inside(&self, bundle: Option<&[u8]>) -> Vec<Line> {
        let name = self.name();
        let mut lines = Vec::new();
        let addresses = match timeout(PATIENCE, lookup_host((name.as_str(), 443))).await {
            Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
            Ok(Err(error)) => {
                let text = format!("{name}: {error}");
                let remedy = "see whether the Service exists, and to the cluster's DNS";
                return vec![Line::broken("dns", text, remedy)];
            }
            Err(_) => {
                let text = format!("{name}: no answer within 5 s");
                return vec![Line::broken("dns", text, "see to the cluster's DNS")];
            }
        };
        let Some(address) = addresses.first() else {
            return vec![Line::broken(
                "dns",
                format!("{name} has no address"),
                "see to the cluster's DNS",
            )];
        };
        lines.push(Line::fine("dns", format!("{name} is {}", address.ip())));
        let remedy = "see whether pods of the Service are Ready, and to NetworkPolicies and firewalls between them and \
                      the control plane";
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                lines.push(Line::fine("tcp", format!("{address} accepts connections")));
                lines.extend(self.call(stream, bundle).await);
            }
            Ok(Err(error)) => {
                lines.push(Line::broken("tcp", format!("{address}: {error}"), remedy));
            }
            Err(_) => lines.push(Line::broken(
                "tcp",
                format!("{address}: no answer within 5 s"),
                remedy,
            )),
        }
        lines
    }

    /// Through the apiserver to one pod. What lies between is looked at as far as objects tell.
    async fn outside(&self, bundle: Option<&[u8]>) -> Vec<Line> {
        let why = "from outside the cluster; `helm test` looks from inside";
        let mut lines = vec![
            Line::unseen("dns", why),
            Line::unseen("tcp", format!("the way through the Service: {why}")),
        ];
        let pod = match self.ready_pod().await {
            Ok(pod) => pod,
            Err(line) => {
                lines.push(line);
                return lines;
            }
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let forwarded = timeout(PATIENCE, pods.portforward(&pod, &[self.port])).await;
        let mut forwarder = match forwarded {
            Ok(Ok(forwarder)) => forwarder,
            Ok(Err(error)) => {
                lines.push(Line::unseen(
                    "tls",
                    format!("no port-forward to pod {pod}: {error}"),
                ));
                return lines;
            }
            Err(_) => {
                lines.push(Line::unseen(
                    "tls",
                    format!("no port-forward to pod {pod} within 5 s"),
                ));
                return lines;
            }
        };
        if let Some(stream) = forwarder.take_stream(self.port) {
            lines.push(Line::fine(
                "pods",
                format!("port-forward to pod {pod}, port {}", self.port),
            ));
            lines.extend(self.call(stream, bundle).await);
        }
        lines
    }

    async fn call<S>(&self, stream: S, bundle: Option<&[u8]>) -> Vec<Line>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        match bundle {
            Some(bundle) => call::call(stream, &self.name(), bundle).await,
            None => vec![Line::unseen(
                "tls",
                "there is no caBundle to verify the certificate with",
            )],
        }
    }

    /// A pod that the Service sends reviews to.
    async fn ready_pod(&self) -> Result<String, Line> {
        let what = format!("Service {}/{}", self.namespace, self.service);
        let unseen = |error: Error| Line::unseen("pods", format!("{what}: {error}"));
        let services: Api<Service> = Api::namespaced(self.client.clone(), &self.namespace);
        let service = services
            .get_opt(&self.service)
            .await
            .map_err(unseen)?
            .ok_or_else(|| {
                Line::broken(
                    "pods",
                    format!("{what} does not exist"),
                    "give --namespace and --service of the release, or install the chart",
                )
            })?;
        let selector = service
            .spec
            .and_then(|spec| spec.selector)
            .unwrap_or_default();
        let labels: Vec<String> = selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = pods
            .list(&ListParams::default().labels(&labels.join(",")))
            .await
            .map_err(unseen)?;
        let count = found.items.len();
        found
            .items
            .iter()
            .find(|pod| is_ready(pod))
            .map(ResourceExt::name_any)
            .ok_or_else(|| {
                Line::broken(
                    "pods",
                    format!("none of the {count} pods of {what} is Ready"),
                    "see their events and logs; /readyz on the metrics port says what is missing",
                )
            })
    }
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition.type_ == "Ready" && condition.status == "True")
    })
}
