//! What every process of natsguard tells: its connections, its settings and what it takes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Counted;
use crate::telemetry::process;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PortLabels {
    port: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CutLabels {
    port: &'static str,
    reason: &'static str,
}

/// The metrics that no process is without. A clone counts into the same.
#[derive(Debug, Clone, Default)]
pub struct Process {
    connections: Family<PortLabels, Gauge>,
    cut: Family<CutLabels, Counter>,
    /// TLS handshakes that failed.
    pub handshake_failures: Counter,
    /// Panics.
    pub panics: Counter,
    settings_generation: Gauge,
    /// Settings that were refused, the old ones staying.
    pub settings_refused: Counter,
    resident: Gauge,
    files: Gauge,
}

impl Process {
    /// All at zero, and in the registry.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        registry.register("connections", "Open connections", all.connections.clone());
        registry.register(
            "connections_cut",
            "Connections closed by the server outside of a request's end",
            all.cut.clone(),
        );
        registry.register(
            "tls_handshake_failures",
            "TLS handshakes that failed",
            all.handshake_failures.clone(),
        );
        registry.register(
            "panics",
            "Panics that were caught; each is a fault of natsguard",
            all.panics.clone(),
        );
        registry.register(
            "settings_generation",
            "How often the settings were replaced since the start",
            all.settings_generation.clone(),
        );
        registry.register(
            "settings_refused",
            "Settings that can't be used, the old ones staying",
            all.settings_refused.clone(),
        );
        registry.register(
            "resident_memory_bytes",
            "Memory in use",
            all.resident.clone(),
        );
        registry.register("open_files", "Open files", all.files.clone());
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "What runs", build);
        all
    }

    /// Counts a connection as long as the result lives.
    pub fn connection(&self, port: &'static str) -> Counted {
        Counted::new(self.connections.get_or_create(&PortLabels { port }).clone())
    }

    /// Counts a connection that the server closed.
    pub fn cut(&self, port: &'static str, reason: &'static str) {
        self.cut.get_or_create(&CutLabels { port, reason }).inc();
    }

    /// Notes how often the settings were replaced.
    pub fn settings_replaced(&self, generation: u64) {
        self.settings_generation
            .set(i64::try_from(generation).unwrap_or(i64::MAX));
    }

    /// Everything in the registry as OpenMetrics text, after a look at what the process takes.
    pub fn text(&self, registry: &Registry) -> String {
        if let Some(bytes) = process::resident_bytes() {
            self.resident.set(bytes);
        }
        if let Some(files) = process::open_files() {
            self.files.set(files);
        }
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = encode(&mut text, registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_measured() {
        let mut registry = Registry::with_prefix("natsguard");
        let text = Process::register(&mut registry).text(&registry);
        let bytes = text
            .lines()
            .find_map(|line| line.strip_prefix("natsguard_resident_memory_bytes "))
            .and_then(|bytes| bytes.parse::<u64>().ok());
        assert!(bytes > Some(1 << 20), "{bytes:?}");
    }
}
