//! Settings from a file and from the command line.

use std::fs;

use jiff::Timestamp;
use natsguard_policies::settings::Settings;

use crate::args::Rules;

/// The settings, or why they can't be used.
pub(super) fn settings(rules: &Rules) -> Result<Settings, String> {
    let mut settings = match &rules.settings {
        None => Settings::default(),
        Some(path) => {
            let name = path.display();
            let text = fs::read_to_string(path)
                .map_err(|error| format!("{name}: can't be read: {error}"))?;
            let settings: Settings = serde_saphyr::from_str(&text)
                // Without the lines around it: nobody knows what file this is.
                .map_err(|error| format!("{name}: {}", error.without_snippet()))?;
            settings
                .validate()
                .map_err(|error| format!("{name}: {error}"))?;
            settings
        }
    };
    if let Some(domain) = &rules.cluster_domain {
        settings.cluster_domain.clone_from(domain);
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
    settings.today = Some(Timestamp::now().strftime("%Y-%m-%d").to_string());
    Ok(settings)
}
