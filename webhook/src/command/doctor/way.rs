//! The way from the apiserver to a pod: DNS and TCP from inside the cluster, a port-forward from outside.

use std::io;
use std::net::SocketAddr;

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::api::{Api, ListParams};
use kube::{Client, Error, ResourceExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::call::{self, PATIENCE};
use super::line::Line;
use crate::kubernetes::words;

/// Where natsguard is, and whom to ask.
pub(super) struct Target {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) port: u16,
}

impl Target {
    /// The name that the apiserver calls.
    pub(super) fn name(&self) -> String {
        format!("{}.{}.svc", self.service, self.namespace)
    }

    /// The way of the apiserver, but for the resolver: it takes the Service's address from the Service itself.
    pub(super) async fn inside(
        &self,
        lookup: impl Future<Output = io::Result<Vec<SocketAddr>>>,
        bundle: Option<&[u8]>,
    ) -> Vec<Line> {
        let name = self.name();
        let mut lines = Vec::new();
        let addresses = match timeout(PATIENCE, lookup).await {
            Ok(Ok(addresses)) => addresses,
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
    pub(super) async fn outside(&self, bundle: Option<&[u8]>) -> Vec<Line> {
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
                    format!("no port-forward to pod {pod}: {}", words(&error)),
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
        let unseen = |error: Error| Line::unseen("pods", format!("{what}: {}", words(&error)));
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::{pending, ready};

    use http::{Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tower::service_fn;

    use super::*;
    use crate::server::tests::support::{Bed, limits};

    /// An apiserver that holds these, by the last word of the path; it upgrades no connection.
    fn target(held: Vec<(&'static str, Value)>) -> Target {
        let service = service_fn(move |request: Request<Body>| {
            let last = request.uri().path().rsplit('/').next().unwrap_or_default();
            let found = held.iter().find(|(word, _)| *word == last);
            let (status, body) = found.map_or_else(
                || {
                    let status = json!({
                        "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound",
                        "message": "there is none", "code": 404
                    });
                    (404, status)
                },
                |(_, value)| (200, value.clone()),
            );
            let response = Response::builder().status(status);
            let response = response.body(Body::from(body.to_string().into_bytes()));
            async { Ok::<_, Infallible>(response.unwrap()) }
        });
        Target {
            client: Client::new(service, "natsguard"),
            namespace: "natsguard".to_owned(),
            service: "natsguard".to_owned(),
            port: 10250,
        }
    }

    fn texts(lines: &[Line]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_that_nobody_knows_ends_the_way() {
        let target = target(Vec::new());
        let unknown = ready(Err(io::Error::other("no such name")));
        assert_eq!(
            texts(&target.inside(unknown, None).await),
            [
                "BROKEN    dns            natsguard.natsguard.svc: no such name; see whether the Service exists, and to \
              the cluster's DNS"
            ]
        );
        assert_eq!(
            texts(&target.inside(pending(), None).await),
            [
                "BROKEN    dns            natsguard.natsguard.svc: no answer within 5 s; see to the cluster's DNS"
            ]
        );
        assert_eq!(
            texts(&target.inside(ready(Ok(Vec::new())), None).await),
            [
                "BROKEN    dns            natsguard.natsguard.svc has no address; see to the cluster's DNS"
            ]
        );
    }

    #[tokio::test]
    async fn an_address_that_nobody_listens_on_ends_the_way() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let lines = target(Vec::new())
            .inside(ready(Ok(vec![address])), None)
            .await;
        assert_eq!(
            texts(&lines),
            [
                "ok        dns            natsguard.natsguard.svc is 127.0.0.1".to_owned(),
                format!(
                    "BROKEN    tcp            {address}: Connection refused (os error 111); see whether pods of the \
                     Service are Ready, and to NetworkPolicies and firewalls between them and the control plane"
                )
            ]
        );
    }

    #[tokio::test]
    async fn a_sound_way_leads_to_an_answer() {
        let bed = Bed::new(limits()).await;
        let address = bed.address;
        let inside = async |bundle| {
            let found = ready(Ok(vec![address]));
            texts(&target(Vec::new()).inside(found, bundle).await)
        };
        let lines = inside(Some(bed.ca.certificate.pem.as_bytes())).await;
        assert_eq!(
            lines[..3],
            [
                "ok        dns            natsguard.natsguard.svc is 127.0.0.1",
                &format!("ok        tcp            {address} accepts connections"),
                "ok        tls            the caBundle verifies natsguard.natsguard.svc"
            ]
        );
        assert!(
            lines[3].starts_with("ok        review         answered in "),
            "{lines:?}"
        );
        let lines = inside(None).await;
        assert_eq!(
            lines[2..],
            ["not seen  tls            there is no caBundle to verify the certificate with"]
        );
    }

    fn service() -> (&'static str, Value) {
        (
            "natsguard",
            json!({"metadata": {"name": "natsguard"}, "spec": {"selector": {"app": "natsguard"}}}),
        )
    }

    fn pods(ready: &str) -> (&'static str, Value) {
        let condition = json!({"type": "Ready", "status": ready});
        let pod =
            json!({"metadata": {"name": "natsguard-0"}, "status": {"conditions": [condition]}});
        ("pods", json!({"metadata": {}, "items": [pod]}))
    }

    #[tokio::test]
    async fn from_outside_the_way_is_followed_as_far_as_objects_tell() {
        for (held, last) in [
            (
                vec![],
                "BROKEN    pods           Service natsguard/natsguard does not exist; give --namespace and --service of \
                 the release, or install the chart",
            ),
            (
                vec![service(), pods("False")],
                "BROKEN    pods           none of the 1 pods of Service natsguard/natsguard is Ready; see their events and \
                 logs; /readyz on the metrics port says what is missing",
            ),
            (
                vec![service(), pods("True")],
                "not seen  tls            no port-forward to pod natsguard-0: there is none",
            ),
        ] {
            let lines = target(held).outside(None).await;
            assert_eq!(
                texts(&lines),
                [
                    "not seen  dns            from outside the cluster; `helm test` looks from inside",
                    "not seen  tcp            the way through the Service: from outside the cluster; `helm test` looks \
                     from inside",
                    last
                ]
            );
        }
    }
}
