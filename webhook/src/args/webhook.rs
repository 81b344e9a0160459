//! `natsguard webhook` and `natsguard doctor`, as plain values.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, ValueEnum};

use super::duration::duration;
use super::process::Process;
use crate::certificates::bundles::{Configuration, Configurations};
use crate::rights::{Tasks, Uses};

/// `natsguard webhook`.
#[derive(Debug, ClapArgs)]
pub struct Webhook {
    /// Where reviews are served, over TLS.
    #[arg(
        long,
        env = "NATSGUARD_LISTEN",
        value_name = "ADDRESS",
        default_value = "[::]:10250"
    )]
    pub listen: SocketAddr,
    #[command(flatten)]
    /// Probes, settings and logs.
    pub process: Process,
    #[command(flatten)]
    /// Where natsguard is in the cluster.
    pub place: Place,
    #[command(flatten)]
    /// Certificates.
    pub tls: Tls,
    #[command(flatten)]
    /// Traces.
    pub tracing: Tracing,
    #[command(flatten)]
    /// Times and sizes.
    pub bounds: Bounds,
}

/// Names of natsguard's own objects.
#[derive(Debug, Clone, ClapArgs)]
pub struct Place {
    /// Namespace of natsguard [default: that of the pod or of the kubeconfig].
    #[arg(long, env = "NATSGUARD_NAMESPACE", value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Service that leads to the webhook.
    #[arg(
        long,
        env = "NATSGUARD_SERVICE",
        value_name = "NAME",
        default_value = "natsguard"
    )]
    pub service: String,
    /// Webhook configurations: NAME for one of each kind, or mutating/NAME, validating/NAME. May be given several times.
    #[arg(
        long = "webhook-configuration",
        env = "NATSGUARD_WEBHOOK_CONFIGURATION",
        value_name = "NAME",
        value_delimiter = ',',
        default_value = "natsguard"
    )]
    pub configurations: Vec<Configurations>,
}

impl Place {
    /// All configurations, each once.
    pub fn configurations(&self) -> Vec<Configuration> {
        let mut all: Vec<Configuration> = self
            .configurations
            .iter()
            .flat_map(|Configurations(all)| all.clone())
            .collect();
        all.sort();
        all.dedup();
        all
    }
}

/// Where the certificate comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TlsMode {
    /// From natsguard itself: a CA in a Secret, the bundle set in the webhook configurations.
    #[value(name = "self")]
    Own,
    /// From files that cert-manager keeps.
    CertManager,
    /// From files that OpenShift's service CA keeps.
    Openshift,
    /// From files of a Secret of yours.
    Secret,
}

/// Certificates.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Certificates")]
pub struct Tls {
    /// Where the certificate comes from.
    #[arg(
        long,
        env = "NATSGUARD_TLS_MODE",
        value_enum,
        default_value = "self",
        value_name = "MODE"
    )]
    pub tls_mode: TlsMode,
    /// Certificate chain, PEM; read again when it changes. Not in mode self.
    #[arg(
        long,
        env = "NATSGUARD_CERT_FILE",
        value_name = "FILE",
        default_value = "/etc/natsguard/tls/tls.crt"
    )]
    pub cert_file: PathBuf,
    /// Its key, PEM.
    #[arg(
        long,
        env = "NATSGUARD_KEY_FILE",
        value_name = "FILE",
        default_value = "/etc/natsguard/tls/tls.key"
    )]
    pub key_file: PathBuf,
    /// Whoever calls must show a certificate of this CA, PEM; read again when it changes.
    #[arg(long, env = "NATSGUARD_CLIENT_CA_FILE", value_name = "FILE")]
    pub client_ca_file: Option<PathBuf>,
    /// Speak TLS 1.2, too.
    #[arg(long, env = "NATSGUARD_ALLOW_TLS12")]
    pub allow_tls12: bool,
    /// Mode self: the Secret that holds the CA.
    #[arg(
        long,
        env = "NATSGUARD_CA_SECRET",
        value_name = "NAME",
        default_value = "natsguard-ca"
    )]
    pub ca_secret: String,
    /// Mode self: one more name in the certificate. May be given several times.
    #[arg(
        long,
        env = "NATSGUARD_CERTIFICATE_NAME",
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub certificate_name: Vec<String>,
    /// Mode self: how long a CA lives.
    #[arg(long, env = "NATSGUARD_CA_LIFETIME", value_name = "TIME", value_parser = duration, default_value = "365d")]
    pub ca_lifetime: Duration,
    /// Mode self: how old a CA is when the next one is published [default: two thirds of its life].
    #[arg(long, env = "NATSGUARD_CA_ROTATE_AFTER", value_name = "TIME", value_parser = duration)]
    pub ca_rotate_after: Option<Duration>,
    /// Mode self: how long a CA is published before it signs.
    #[arg(long, env = "NATSGUARD_CA_SETTLE", value_name = "TIME", value_parser = duration, default_value = "5m")]
    pub ca_settle: Duration,
    /// Mode self: how long a replica's certificate lives; it is renewed at two thirds.
    #[arg(long, env = "NATSGUARD_LEAF_LIFETIME", value_name = "TIME", value_parser = duration, default_value = "7d")]
    pub leaf_lifetime: Duration,
    /// Mode self: how often Secret and configurations are looked at; a spoilt one is mended within that time.
    #[arg(long, env = "NATSGUARD_CA_POLL", value_name = "TIME", value_parser = duration, default_value = "2s")]
    pub ca_poll: Duration,
}

/// Traces.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Traces")]
pub struct Tracing {
    /// Send traces to this OpenTelemetry collector: base URL of its OTLP receiver for HTTP, without TLS. Without this
    /// option none are made.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// Share of reviews to trace, 0 to 1, where the caller's traceparent doesn't decide.
    #[arg(long, env = "NATSGUARD_TRACE_SAMPLE_RATIO", value_name = "RATIO", value_parser = ratio, default_value = "1")]
    pub trace_sample_ratio: f64,
}

fn ratio(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "write a number from 0 to 1, as in 0.1".to_owned())
}

/// Times and sizes.
#[derive(Debug, Clone, ClapArgs)]
#[command(next_help_heading = "Bounds")]
pub struct Bounds {
    /// How long a review may take; less when the caller says so.
    #[arg(long, env = "NATSGUARD_REVIEW_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub review_timeout: Duration,
    /// How long a connection may idle. Not below 120s: the apiserver's pool keeps connections for 90 s, and a request on
    /// one that was just closed fails.
    #[arg(long, env = "NATSGUARD_IDLE_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "180s")]
    pub idle_timeout: Duration,
    /// How long a TLS handshake may take.
    #[arg(long, env = "NATSGUARD_HANDSHAKE_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub handshake_timeout: Duration,
    /// How long the head of a request may take from its first byte on.
    #[arg(long, env = "NATSGUARD_HEADER_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub header_timeout: Duration,
    /// How long a body may take.
    #[arg(long, env = "NATSGUARD_BODY_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "10s")]
    pub body_timeout: Duration,
    /// Connections at once.
    #[arg(
        long,
        env = "NATSGUARD_MAX_CONNECTIONS",
        value_name = "COUNT",
        default_value_t = 1024
    )]
    pub max_connections: usize,
    /// Reviews at once; one more is told to come back in a second.
    #[arg(
        long,
        env = "NATSGUARD_MAX_REVIEWS",
        value_name = "COUNT",
        default_value_t = 32
    )]
    pub max_reviews: usize,
    /// Bytes of one body.
    #[arg(
        long,
        env = "NATSGUARD_MAX_BODY_BYTES",
        value_name = "BYTES",
        default_value_t = 16 << 20
    )]
    pub max_body_bytes: usize,
    /// Bytes of all reviews at once: bodies, and what the trees of their JSON may take.
    #[arg(
        long,
        env = "NATSGUARD_MAX_MEMORY_BYTES",
        value_name = "BYTES",
        default_value_t = 64 << 20
    )]
    pub max_memory_bytes: usize,
    /// How long new connections are accepted after SIGTERM.
    #[arg(long, env = "NATSGUARD_DRAIN_DELAY", value_name = "TIME", value_parser = duration, default_value = "15s")]
    pub drain_delay: Duration,
    /// How long connections may live on after SIGTERM.
    #[arg(long, env = "NATSGUARD_DRAIN_TIMEOUT", value_name = "TIME", value_parser = duration, default_value = "95s")]
    pub drain_timeout: Duration,
}

/// `natsguard doctor`.
#[derive(Debug, ClapArgs)]
pub struct Doctor {
    #[command(flatten)]
    /// Where natsguard is in the cluster.
    pub place: Place,
    /// Port of the webhook in its pods.
    #[arg(
        long,
        env = "NATSGUARD_PORT",
        value_name = "PORT",
        default_value_t = 10250
    )]
    pub port: u16,
    /// Where the certificate comes from: what rights that takes.
    #[arg(
        long,
        env = "NATSGUARD_TLS_MODE",
        value_enum,
        default_value = "self",
        value_name = "MODE"
    )]
    pub tls_mode: TlsMode,
    /// natsguard looks at files in Secrets (`secrets.enabled` of the chart), which takes the right to read them.
    #[arg(long, env = "NATSGUARD_SECRETS")]
    pub secrets: bool,
    /// The controller's Deployment, whose name its service account and its Lease have, too [default: there is none].
    #[arg(long, env = "NATSGUARD_CONTROLLER", value_name = "NAME")]
    pub controller: Option<String>,
    /// Whose rights are looked at [default: the pod's own, or system:serviceaccount:NAMESPACE:SERVICE].
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
}

impl Doctor {
    /// What the installation does, and so has to be allowed.
    pub fn uses(&self) -> Uses {
        Uses {
            ca: self.tls_mode == TlsMode::Own,
            secrets: self.secrets,
            controller: self.controller.is_some(),
        }
    }

    /// What the controller has to be allowed in any case: which reports it writes is not known here.
    pub fn tasks(&self) -> Tasks {
        Tasks {
            secrets: self.secrets,
            openreports: false,
            policyreports: false,
        }
    }
}
