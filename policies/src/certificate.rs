//! The names a certificate is good for.

use serde_json::Value;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;

use crate::bundle::Bundle;
use crate::json;
use crate::workload::Workload;
use crate::workload::mounts::Found;

/// What is known about the certificate a server shows to its peers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// The DNS names it holds.
    Names(Vec<String>),
    /// It can't be seen.
    Unseen,
}

impl Certificate {
    /// The certificate at a path of the server's container: read from the mounted Secret, or foretold by the
    /// cert-manager `Certificate` that will write that Secret.
    pub fn at(workload: &Workload<'_>, path: &str) -> Self {
        match workload.file(path) {
            Found::Text(text) => text
                .bytes()
                .and_then(|bytes| names_of_pem(&bytes))
                .map_or(Self::Unseen, Self::Names),
            Found::NotInBundle("Secret", name) => {
                promised_names(workload.bundle, workload.namespace, &name)
                    .map_or(Self::Unseen, Self::Names)
            }
            _ => Self::Unseen,
        }
    }

    /// Whether it is known to be good for a host.
    pub fn covers(&self, host: &str) -> bool {
        match self {
            Self::Names(names) => names.iter().any(|name| matches(name, host)),
            Self::Unseen => false,
        }
    }
}

/// The DNS names of the first certificate of a PEM file.
fn names_of_pem(pem: &[u8]) -> Option<Vec<String>> {
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
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect(),
    )
}

/// `dnsNames` of the cert-manager `Certificate` that writes this Secret.
fn promised_names(bundle: &Bundle, namespace: &str, secret: &str) -> Option<Vec<String>> {
    let (_, certificate) =
        bundle
            .of_kind("cert-manager.io", "Certificate")
            .find(|(_, certificate)| {
                bundle.namespace(certificate) == Some(namespace)
                    && json::text(&certificate.value, &["spec", "secretName"]) == Some(secret)
            })?;
    let names = json::items(&certificate.value, &["spec", "dnsNames"]);
    Some(
        names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
    )
}

/// Host matching as Go's `crypto/x509` does it: labels are equal, `*` stands for the whole left-most one.
fn matches(name: &str, host: &str) -> bool {
    let host = host.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(parent) => host
            .split_once('.')
            .is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(parent)),
        None => name.eq_ignore_ascii_case(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(matches("*.nats", "nats-0.nats"));
        assert!(!matches("*.nats", "a.nats-0.nats"));
        assert!(!matches("*.nats", "nats"));
        assert!(matches("nats-0.NATS", "nats-0.nats."));
    }

    #[test]
    fn the_names_of_a_pem_file_are_read() {
        let pem = include_bytes!("../fixtures/certificate.pem");
        assert_eq!(
            names_of_pem(pem).unwrap(),
            [
                "*.nats-headless",
                "*.nats-headless.messaging.svc",
                "nats.example.org"
            ]
        );
        assert_eq!(
            names_of_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            None
        );
        assert_eq!(names_of_pem(b""), None);
    }
}
