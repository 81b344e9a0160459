//! The kinds of reports that dashboards know.

use kube::api::ApiResource;

/// A kind of report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Report` of openreports.io.
    Report,
    /// `PolicyReport` of wgpolicyk8s.io, which came before it and is frozen.
    PolicyReport,
}

impl Kind {
    /// All, the best first.
    pub const ALL: [Self; 2] = [Self::Report, Self::PolicyReport];

    /// The API group.
    pub const fn group(self) -> &'static str {
        match self {
            Self::Report => "openreports.io",
            Self::PolicyReport => "wgpolicyk8s.io",
        }
    }

    /// The version of the group that is written.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Report => "v1alpha1",
            Self::PolicyReport => "v1alpha2",
        }
    }

    /// The name in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Report => "reports",
            Self::PolicyReport => "policyreports",
        }
    }

    /// The kind as Kubernetes spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Report => "Report",
            Self::PolicyReport => "PolicyReport",
        }
    }

    /// Group and version.
    pub fn api_version(self) -> String {
        format!("{}/{}", self.group(), self.version())
    }

    /// For the client.
    pub fn resource(self) -> ApiResource {
        ApiResource {
            group: self.group().to_owned(),
            version: self.version().to_owned(),
            api_version: self.api_version(),
            kind: self.name().to_owned(),
            plural: self.plural().to_owned(),
        }
    }
}
