//! What a host name means to a workload: one of its pods, a Service before it, or something else.

use core::net::IpAddr;

use crate::bundle::Lookup;
use crate::workload::Workload;

/// What a host names, as seen from one StatefulSet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One of its pods, or one that it would have with other replicas.
    Pod {
        /// The number of the pod; `None` when no pod can have it (`nats-01`).
        ordinal: Option<u32>,
        /// How it is named.
        form: Form,
    },
    /// One of its pods under a DNS domain that is not the cluster's, or by a Service of its own: not ours to change.
    DistantPod(u32),
    /// A Service before its pods, or an address of one.
    Service,
    /// Itself: the loopback address.
    Loopback,
    /// A Service of its namespace that the bundle does not hold.
    UnknownService,
    /// Another workload, namespace, domain, cluster or host.
    Foreign,
}

/// How a host names a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `nats-0`: no DNS name at all.
    Bare,
    /// `<pod>.<service>`.
    Service,
    /// `<pod>.<service>.<namespace>`.
    Namespace,
    /// `<pod>.<service>.<namespace>.svc`.
    Svc,
    /// `<pod>.<service>.<namespace>.svc.<cluster-domain>`.
    Full,
    /// A Service that does not govern the pod: such a name does not resolve.
    Misplaced,
}

/// Whether a StatefulSet's pods can have DNS names at all: the parts are DNS labels. A template that nobody has filled in
/// has others.
pub fn are_possible(workload: &Workload<'_>) -> bool {
    let service = workload.service_name();
    [Some(workload.name()), workload.namespace, service]
        .into_iter()
        .flatten()
        .all(is_label)
}

/// A DNS label as Kubernetes demands them of names (RFC 1123).
fn is_label(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The names of a StatefulSet's pods.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a, 'd> {
    workload: &'a Workload<'a>,
    service: &'a str,
    domain: Option<&'d str>,
}

impl<'a, 'd> Names<'a, 'd> {
    /// The names of a StatefulSet with a governing Service; `domain` is the cluster's DNS domain, where it is known.
    pub fn new(workload: &'a Workload<'a>, domain: Option<&'d str>) -> Self {
        Self {
            workload,
            service: workload.service_name().unwrap_or_default(),
            domain: domain.map(|domain| domain.trim_matches('.')),
        }
    }

    /// The forms of a pod's name that resolve and that can be written with what is known, the longest first.
    pub fn forms(&self) -> &'static [Form] {
        const FORMS: [Form; 4] = [Form::Full, Form::Svc, Form::Namespace, Form::Service];
        let unknown = match (self.workload.namespace, self.domain) {
            (None, _) => 3,
            (Some(_), None) => 1,
            (Some(_), Some(_)) => 0,
        };
        FORMS.get(unknown..).unwrap_or_default()
    }

    /// The longest of them.
    pub fn longest(&self) -> Form {
        self.forms().first().copied().unwrap_or(Form::Service)
    }

    /// Why the longest form is not the full name, as a part of a sentence.
    pub fn unknown(&self) -> Option<&'static str> {
        match (self.longest(), self.workload.bundle.is_live()) {
            (Form::Full, _) => None,
            (Form::Svc, true) => {
                Some("the DNS domain is not known, so the names of pods end in .svc")
            }
            (Form::Svc, false) => Some(
                "the DNS domain is not known (--cluster-domain), so the names of pods end in .svc",
            ),
            _ => {
                Some("the namespace is not known (--namespace), so pods are named <pod>.<service>")
            }
        }
    }

    /// The name of a pod in a form.
    pub fn host(&self, ordinal: u32, form: Form) -> String {
        self.under(&format!("{}-{ordinal}", self.workload.name()), form)
    }

    /// What a certificate must hold to be good for every pod in a form.
    pub fn wildcard(&self, form: Form) -> String {
        self.under("*", form)
    }

    fn under(&self, pod: &str, form: Form) -> String {
        let service = self.service;
        let namespace = self.workload.namespace.unwrap_or_default();
        let domain = self.domain.unwrap_or_default();
        match form {
            Form::Bare => pod.to_owned(),
            Form::Service => format!("{pod}.{service}"),
            Form::Namespace => format!("{pod}.{service}.{namespace}"),
            Form::Svc => format!("{pod}.{service}.{namespace}.svc"),
            Form::Full | Form::Misplaced => format!("{pod}.{service}.{namespace}.svc.{domain}"),
        }
    }

    /// What a host names.
    pub fn read(&self, host: &str) -> Named {
        if let Some(named) = self.read_address(host) {
            return named;
        }
        // A final dot makes a name complete: DNS looks for nothing else.
        let is_complete = host.ends_with('.');
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let domain = self.domain.map(str::to_ascii_lowercase);
        if is_complete
            && domain
                .as_ref()
                .is_none_or(|domain| !host.ends_with(&format!(".svc.{domain}")))
        {
            return Named::Foreign;
        }
        if host == "localhost" {
            return Named::Loopback;
        }
        let labels: Vec<&str> = host.split('.').collect();
        let namespace = self.workload.namespace.unwrap_or_default();
        match labels.as_slice() {
            [name] if self.lookup(name).found().is_some() => self.service_named(name),
            [name] => match self.ordinal(name) {
                Some(ordinal) => Named::Pod {
                    ordinal,
                    form: Form::Bare,
                },
                None => self.service_named(name),
            },
            [pod, service] if *service == self.service && self.ordinal(pod).is_some() => {
                self.pod(pod, service, Form::Service)
            }
            [pod, service] if self.ordinal(pod).is_some() && self.selects(service) => {
                self.pod(pod, service, Form::Service)
            }
            [_, _, ..] if namespace.is_empty() => self.read_elsewhere(&labels),
            [service, at] if *at == namespace => self.service_named(service),
            [service, at, "svc"] if *at == namespace => self.service_named(service),
            [pod, service, at] if *at == namespace => self.pod(pod, service, Form::Namespace),
            [service, at, "svc", rest @ ..]
                if *at == namespace && Some(rest.join(".")) == domain =>
            {
                self.service_named(service)
            }
            [pod, service, at, "svc"] if *at == namespace => self.pod(pod, service, Form::Svc),
            [pod, service, at, "svc", rest @ ..] if *at == namespace => {
                if Some(rest.join(".")) == domain {
                    self.pod(pod, service, Form::Full)
                } else {
                    match self.ordinal(pod) {
                        Some(Some(ordinal)) if *service == self.service => {
                            Named::DistantPod(ordinal)
                        }
                        _ => Named::Foreign,
                    }
                }
            }
            _ => Named::Foreign,
        }
    }

    /// A name with a namespace, where that of the workload is not known: a pod of it counts wherever it is, and a Service of that
    /// name may be its own.
    fn read_elsewhere(&self, labels: &[&str]) -> Named {
        let is_qualified = labels.get(3).is_none_or(|label| *label == "svc");
        match labels {
            [pod, service, _, ..] if *service == self.service && is_qualified => {
                match self.ordinal(pod) {
                    Some(Some(ordinal)) => Named::DistantPod(ordinal),
                    _ => Named::Foreign,
                }
            }
            [service, _] | [service, _, "svc", ..]
                if *service == self.service || self.selects(service) =>
            {
                Named::UnknownService
            }
            _ => Named::Foreign,
        }
    }

    fn read_address(&self, host: &str) -> Option<Named> {
        let address: IpAddr = host.parse().ok()?;
        if address.is_loopback() || address.is_unspecified() {
            return Some(Named::Loopback);
        }
        let is_its_service = self
            .workload
            .bundle
            .services_at(self.workload.namespace, address)
            .any(|service| self.workload.is_selected_by(service));
        Some(if is_its_service {
            Named::Service
        } else {
            Named::Foreign
        })
    }

    /// The number behind the workload's name: `None` when the label is no pod's name at all, `Some(None)` when it
    /// looks like one that no pod can have.
    #[expect(
        clippy::option_option,
        reason = "no pod's name, and a pod's name that no pod has, are two things"
    )]
    fn ordinal(&self, label: &str) -> Option<Option<u32>> {
        let digits = label
            .strip_prefix(&self.workload.name().to_ascii_lowercase())?
            .strip_prefix('-')?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let canonical = digits == "0" || !digits.starts_with('0');
        Some(digits.parse().ok().filter(|_| canonical))
    }

    fn pod(&self, pod: &str, service: &str, form: Form) -> Named {
        match self.ordinal(pod) {
            Some(ordinal) if service == self.service => Named::Pod { ordinal, form },
            Some(ordinal) => Named::Pod {
                ordinal,
                form: Form::Misplaced,
            },
            None => Named::Foreign,
        }
    }

    fn selects(&self, service: &str) -> bool {
        self.lookup(service)
            .found()
            .is_some_and(|(_, service)| self.workload.is_selected_by(service))
    }

    fn lookup(&self, service: &str) -> Lookup<'a> {
        let bundle = self.workload.bundle;
        bundle.find(self.workload.referrer(), "", "Service", service)
    }

    fn service_named(&self, name: &str) -> Named {
        if name == self.service {
            return Named::Service;
        }
        // A Service for one pod is as good a name for it as any, and not ours to change.
        if let Some(Some(ordinal)) = self.ordinal(name) {
            return match self.lookup(name) {
                Lookup::Found(..) => Named::DistantPod(ordinal),
                Lookup::Absent | Lookup::Unknown => Named::UnknownService,
            };
        }
        match self.lookup(name) {
            Lookup::Found(_, service) if self.workload.is_selected_by(service) => Named::Service,
            Lookup::Found(..) => Named::Foreign,
            Lookup::Absent | Lookup::Unknown if name == self.workload.name() => Named::Service,
            Lookup::Absent | Lookup::Unknown => Named::UnknownService,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bundle::{Bundle, Object};
    use crate::workload::discover;

    fn read(hosts: &[&str]) -> Vec<Named> {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "nats", "namespace": "messaging"},
            "spec": {"serviceName": "nats-headless", "replicas": 3, "template": {
                "metadata": {"labels": {"app": "nats"}},
                "spec": {"containers": [{"image": "nats", "args": ["-js"]}]}
            }}
        });
        let service = |name: &str, ip: &str, app: &str| {
            Object::new(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "messaging"},
                "spec": {"clusterIP": ip, "selector": {"app": app}}
            }))
        };
        let bundle = Bundle::new(
            vec![
                Object::new(set),
                service("nats-headless", "None", "nats"),
                service("nats-client", "10.96.0.7", "nats"),
                service("other", "None", "other"),
            ],
            None,
        );
        let workloads = discover(&bundle);
        let names = Names::new(&workloads[0], Some("cluster.local"));
        hosts.iter().map(|host| names.read(host)).collect()
    }

    fn pod(ordinal: u32, form: Form) -> Named {
        Named::Pod {
            ordinal: Some(ordinal),
            form,
        }
    }

    #[test]
    fn pods_are_known_in_every_form() {
        assert_eq!(
            read(&[
                "nats-0",
                "nats-0.nats-headless",
                "nats-1.nats-headless.messaging",
                "nats-2.nats-headless.messaging.svc",
                "NATS-2.nats-headless.messaging.svc.Cluster.Local",
                "nats-9.nats-headless.messaging.svc.cluster.local.",
                "nats-0.nats-client",
                "nats-0.gone.messaging.svc",
            ]),
            [
                pod(0, Form::Bare),
                pod(0, Form::Service),
                pod(1, Form::Namespace),
                pod(2, Form::Svc),
                pod(2, Form::Full),
                pod(9, Form::Full),
                pod(0, Form::Misplaced),
                pod(0, Form::Misplaced),
            ]
        );
    }

    #[test]
    fn services_before_the_pods_are_known_in_every_form() {
        for host in [
            "nats",
            "nats-headless",
            "nats-client",
            "nats-client.messaging",
            "nats-client.messaging.svc",
            "nats-client.messaging.svc.cluster.local",
            "10.96.0.7",
        ] {
            assert_eq!(read(&[host]), [Named::Service], "{host}");
        }
        assert_eq!(
            read(&["localhost", "127.0.0.1", "::1", "0.0.0.0"]),
            [Named::Loopback; 4]
        );
    }

    #[test]
    fn everything_else_is_foreign() {
        for host in [
            "other",
            "nats-0.other-ns",
            "nats-headless.other-ns",
            "other-0.nats-headless",
            "nats-0.nats-headless.other-ns.svc",
            "nats-headless.messaging.svc.other.domain",
            "nats.example.org",
            "10.0.0.1",
            "a.b.c.d.e",
            "",
        ] {
            let named = read(&[host]);
            assert!(
                matches!(named[0], Named::Foreign | Named::UnknownService),
                "{host}: {named:?}"
            );
        }
        assert_eq!(read(&["gone"]), [Named::UnknownService]);
        assert_eq!(
            read(&["nats-1.nats-headless.messaging.svc.other.domain"]),
            [Named::DistantPod(1)]
        );
        assert_eq!(
            read(&["nats-01"]),
            [Named::Pod {
                ordinal: None,
                form: Form::Bare
            }]
        );
    }

    #[test]
    fn a_pod_in_a_namespace_named_like_the_service_is_still_a_pod() {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "nats", "namespace": "nats"},
            "spec": {"serviceName": "nats", "template": {"spec": {"containers": [{"image": "nats", "args": ["-js"]}]}}}
        });
        let bundle = Bundle::new(vec![Object::new(set)], None);
        let workloads = discover(&bundle);
        let names = Names::new(&workloads[0], Some("cluster.local"));
        assert_eq!(names.read("nats-0.nats"), pod(0, Form::Service));
        assert_eq!(names.read("nats.nats"), Named::Service);
    }
}
