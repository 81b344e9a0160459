//! The names a certificate is good for.

use std::collections::BTreeSet;

use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::bundle::Object;
use crate::json;
use crate::workload::mounts::Text;

/// What is known about the certificate a server shows to its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// The DNS names it holds.
    Names(Hosts),
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

impl Certificate {
    /// The certificate of a PEM file.
    pub fn of_file(text: &Text<'_>) -> Self {
        text.bytes()
            .and_then(|bytes| names_of_pem(&bytes))
            .map_or(Self::Unseen, Self::Names)
    }

    /// What a cert-manager `Certificate` foretells of the Secret that it will write.
    pub fn promised(certificate: &Object) -> Self {
        let names = json::items(&certificate.value, &["spec", "dnsNames"]);
        Self::Names(names.iter().filter_map(Value::as_str).collect())
    }

    /// Whether it is known to be good for a host.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Names(names) => names.cover(host),
            Self::Unseen => false,
        }
    }
}

/// The DNS names of the first certificate of a PEM file.
fn names_of_pem(pem: &[u8]) -> Option<Hosts> {
    let block = Pem::iter_from_buffer(pem)
        .flatten()
        .find(|block| block.label == "CERTIFICATE")?;
    let certificate = block.parse_x509().ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    Some(
        names
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some(*name),
                _ => None,
            })
            .collect(),
    )
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
            names_of_pem(pem),
            Some(Hosts::from_iter([
                "*.nats-headless",
                "*.nats-headless.messaging.svc",
                "nats.example.org"
            ]))
        );
        assert_eq!(
            names_of_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            None
        );
        assert_eq!(names_of_pem(b""), None);
    }
}
