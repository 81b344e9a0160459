//! Who is who in the cluster: one authority, a certificate for each component, a kubeconfig for each client.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::json;

use super::network::HOST;
use super::place;

/// The cluster's certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, PEM.
pub(crate) struct Identity {
    certificate: String,
    key: String,
}

/// A file of the cluster's keys and certificates.
pub(crate) fn file(name: &str) -> PathBuf {
    place::run_in("pki").join(name)
}

impl Authority {
    /// Makes one, and writes `ca.crt` and `ca.key`, with which the controllers sign.
    pub(crate) fn make() -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params
            .distinguished_name
            .push(DnType::CommonName, "cluster-ca");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?.pem();
        fs::write(file("ca.crt"), &certificate)?;
        fs::write(file("ca.key"), key.serialize_pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Issues a certificate that serves as both client and server, and writes `<name>.crt` and `<name>.key`.
    pub(crate) fn issue(
        &self,
        name: &str,
        common_name: &str,
        organization: Option<&str>,
        hosts: &[&str],
    ) -> Result<Identity> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([])?;
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        if let Some(organization) = organization {
            params
                .distinguished_name
                .push(DnType::OrganizationName, organization);
        }
        for host in hosts {
            params.subject_alt_names.push(match host.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*host).try_into()?),
            });
        }
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let identity = Identity {
            certificate: params.signed_by(&key, &self.issuer)?.pem(),
            key: key.serialize_pem(),
        };
        fs::write(file(&format!("{name}.crt")), &identity.certificate)?;
        fs::write(file(&format!("{name}.key")), &identity.key)?;
        Ok(identity)
    }

    /// Writes `<name>.kubeconfig` beside the folder of certificates; everything is in it.
    pub(crate) fn kubeconfig(&self, name: &str, identity: &Identity) -> Result<PathBuf> {
        let encode = |text: &str| BASE64_STANDARD.encode(text);
        let text = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "natsguard",
            "contexts": [{"name": "natsguard", "context": {"cluster": "natsguard", "user": name}}],
            "clusters": [{"name": "natsguard", "cluster": {
                "server": format!("https://{HOST}:6443"), "certificate-authority-data": encode(&self.certificate)}}],
            "users": [{"name": name, "user": {
                "client-certificate-data": encode(&identity.certificate), "client-key-data": encode(&identity.key)}}],
        });
        let path = place::run().join(format!("{name}.kubeconfig"));
        fs::write(&path, serde_json::to_vec_pretty(&text)?)?;
        Ok(path)
    }
}

/// Makes the key pair that signs ServiceAccount tokens, as `sa.key` and `sa.pub`.
pub(crate) fn service_account_key() -> Result<()> {
    let key = KeyPair::generate()?;
    let public = key.public_key_pem();
    if !public.contains("PUBLIC KEY") {
        bail!("the public key has no PEM form");
    }
    fs::write(file("sa.key"), key.serialize_pem())?;
    fs::write(file("sa.pub"), public)?;
    Ok(())
}
