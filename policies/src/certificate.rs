//! The names a certificate is good for.

use std::collections::BTreeSet;

use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::bundle::{Bundle, Object};
use crate::json;
use crate::workload::mounts::Text;

/// What is known about the certificate a server shows to its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// It can.
    Seen {
        /// The DNS names it holds.
        names: Hosts,
        /// Whether a server may show it, and a client, too: both ends of a route show the same one.
        is_for_both: bool,
    },
    /// It can't be seen.
    Unseen,
}

/// DNS names, as a host is held against them: there may be hundred thousands, and thousands of hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    whole: BTreeSet<String>,
    /// What follows the `*.` of those that have one.
    parents: BTreeSet<String>,
}

impl<'n> FromIterator<&'n str> for Hosts {
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut hosts = Self::default();
        for name in names {
            match name.strip_prefix("*.") {
                Some(parent) => hosts.parents.insert(parent.to_ascii_lowercase()),
                None => hosts.whole.insert(name.to_ascii_lowercase()),
            };
        }
        hosts
    }
}

impl Hosts {
    /// Host matching as Go's `crypto/x509` does it: labels are equal, `*` stands for the whole left-most one.
    fn cover(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.whole.contains(&host)
            || host
                .split_once('.')
                .is_some_and(|(_, rest)| self.parents.contains(rest))
    }
}

/// The usages of a cert-manager `Certificate` that are extended key usages of the certificate.
const SERVER: &str = "server auth";
const CLIENT: &str = "client auth";
const ANY: &str = "any";
const OTHER_EXTENDED: [&str; 11] = [
    "code signing",
    "email protection",
    "s/mime",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "timestamping",
    "ocsp signing",
    "microsoft sgc",
    "netscape sgc",
    "smartcard logon",
];

/// The annotations by which OpenShift's service CA writes a certificate for a Service.
const SERVICE_CA: [&str; 2] = [
    "service.beta.openshift.io/serving-cert-secret-name",
    "service.alpha.openshift.io/serving-cert-secret-name",
];

/// The Secret that an object has a certificate written to: a cert-manager `Certificate`, or an annotated Service.
pub fn secret_of(object: &Object) -> Option<&str> {
    if object.kind() == "Certificate" {
        return json::text(&object.value, &["spec", "secretName"]);
    }
    let annotation = |name: &&str| json::text(&object.value, &["metadata", "annotations", name]);
    SERVICE_CA.iter().find_map(annotation)
}

impl Certificate {
    /// The certificate of a PEM file.
    pub fn of_file(text: &Text<'_>) -> Self {
        text.bytes()
            .and_then(|bytes| read(&bytes))
            .unwrap_or(Self::Unseen)
    }

    /// What an object foretells of the certificate that will be written for it.
    pub fn promised(object: &Object, bundle: &Bundle) -> Self {
        if object.kind() == "Certificate" {
            let items = |field| json::items(&object.value, &["spec", field]).iter();
            let usages: Vec<&str> = items("usages").filter_map(Value::as_str).collect();
            let has = |usage| usages.contains(&usage);
            let is_extended = |usage: &&str| {
                [SERVER, CLIENT, ANY].contains(usage) || OTHER_EXTENDED.contains(usage)
            };
            return Self::Seen {
                names: items("dnsNames").filter_map(Value::as_str).collect(),
                is_for_both: has(ANY)
                    || (has(SERVER) && has(CLIENT))
                    || !usages.iter().any(is_extended),
            };
        }
        // The service CA's certificates are for servers only.
        let namespace = bundle.namespace(object).unwrap_or_default();
        let host = format!("{}.{namespace}.svc", object.name());
        let names = [host.clone(), format!("{host}.cluster.local")];
        let pods = names
            .iter()
            .map(|name| format!("*.{name}"))
            .collect::<Vec<_>>();
        Self::Seen {
            names: names.iter().chain(&pods).map(String::as_str).collect(),
            is_for_both: false,
        }
    }

    /// The DNS names that it holds.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let hosts = match self {
            Self::Seen { names, .. } => Some(names),
            Self::Unseen => None,
        };
        hosts
            .into_iter()
            .flat_map(|hosts| hosts.whole.iter().chain(&hosts.parents))
            .map(String::as_str)
    }

    /// Whether it is known to be good for a host.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Seen { names, .. } => names.cover(host),
            Self::Unseen => false,
        }
    }
}

/// The first certificate of a PEM file.
fn read(pem: &[u8]) -> Option<Certificate> {
    let block = Pem::iter_from_buffer(pem)
        .flatten()
        .find(|block| block.label == "CERTIFICATE")?;
    let certificate = block.parse_x509().ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let usage = certificate.extended_key_usage().ok()?;
    Some(Certificate::Seen {
        names: names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(*name),
                _ => None,
            })
            .collect(),
        is_for_both: usage.is_none_or(|usage| {
            let usage = usage.value;
            usage.any || (usage.server_auth && usage.client_auth)
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        let covers = |name: &str, host: &str| Hosts::from_iter([name]).cover(host);
        assert!(covers("*.nats", "nats-0.nats"));
        assert!(covers("*.Nats", "nats-0.NATS."));
        assert!(!covers("*.nats", "a.nats-0.nats"));
        assert!(!covers("*.nats", "nats"));
        assert!(!covers("*.nats", "*.other"));
        assert!(covers("nats-0.NATS", "nats-0.nats."));
    }

    #[test]
    fn the_names_of_a_pem_file_are_read() {
        let pem = include_bytes!("../fixtures/certificate.pem");
        assert_eq!(
            read(pem),
            Some(Certificate::Seen {
                names: Hosts::from_iter([
                    "*.nats-headless",
                    "*.nats-headless.messaging.svc",
                    "nats.example.org"
                ]),
                is_for_both: true,
            })
        );
        assert_eq!(
            read(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            None
        );
        assert_eq!(read(b""), None);
    }
}
