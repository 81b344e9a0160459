//! CustomResourceDefinitions of others, as the Go modules carry them that are pinned in `tests/cluster/definitions`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::command::{Stop, run};
use super::place;

/// Which definition.
#[derive(Debug, Clone, Copy)]
pub enum Definition {
    /// `reports.openreports.io`, by the project that defines it.
    Reports,
    /// `policyreports.wgpolicyk8s.io`, as Kyverno brings it: the working group that defined it publishes no module.
    PolicyReports,
}

impl Definition {
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Reports => (
                "github.com/openreports/reports-api",
                "config/crd/openreports.io_reports.yaml",
            ),
            Self::PolicyReports => (
                "github.com/kyverno/kyverno",
                "config/crds/policyreport/wgpolicyk8s.io_policyreports.yaml",
            ),
        }
    }

    /// Its text, in YAML. What was not fetched yet is fetched.
    pub fn text(self, stop: &Stop) -> Result<String> {
        let (module, path) = self.place();
        let mut go = Command::new("go");
        go.args(["mod", "download", "-json", module])
            .current_dir(place::sources().join("definitions"));
        let fetched: Fetched = serde_json::from_str(&run(stop, &mut go)?)?;
        let path = fetched.dir.join(path);
        fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fetched {
    dir: PathBuf,
}
