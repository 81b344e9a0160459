//! Settings from a file and from the command line.

use natsguard_policies::settings::Settings;

use crate::args::Rules;
use crate::settings::{load, today};

/// The settings, or why they can't be used.
pub(super) fn settings(rules: &Rules) -> Result<Settings, String> {
    let mut settings = match &rules.settings {
        None => Settings::default(),
        Some(path) => load(path)?,
    };
    if let Some(domain) = &rules.cluster_domain {
        settings.cluster_domain = Some(domain.clone());
        settings
            .validate()
            .map_err(|error| format!("--cluster-domain: {error}"))?;
    }
    for (id, action) in &rules.policy {
        settings
            .policies
            .entry((*id).to_owned())
            .or_default()
            .action = Some(*action);
    }
    settings.today = Some(today());
    Ok(settings)
}
