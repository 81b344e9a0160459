//! Settings from a file and from the command line.

use std::path::Path;

use natsguard_policies::engine::Report;
use natsguard_policies::settings::{Settings, Standing};

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

/// What is wrong with the settings, seen from what was looked at.
pub(super) fn notes(rules: &Rules, settings: &Settings, report: &Report) -> Vec<String> {
    let file = rules.settings.as_deref().unwrap_or(Path::new("settings"));
    let file = file.display();
    let used = report
        .exempted
        .iter()
        .flat_map(|exempted| exempted.exemptions.iter().copied())
        .collect();
    let standings = settings.standings(&used).into_iter();
    let remarks = settings.remarks().into_iter();
    let exemptions = settings.exemptions.iter().zip(standings).enumerate();
    remarks
        .map(|remark| format!("{file}: {remark}"))
        .chain(exemptions.filter_map(|(index, (exemption, standing))| {
            let place = format!(
                "exemptions[{index}] ({} in {})",
                exemption.policy, exemption.namespace
            );
            match (standing, &exemption.expires) {
                (Standing::Expired, Some(day)) => Some(format!(
                    "{file}: {place} expired after {day}; renew it or remove it"
                )),
                (Standing::Unused, _) => Some(format!(
                    "{file}: {place} lifts no fault of what was checked; correct it or check more"
                )),
                _ => None,
            }
        }))
        .collect()
}
