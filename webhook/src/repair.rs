//! Manifests repaired as text: the rules make the repair, and only what it changes is written.

use std::collections::BTreeMap;

use json_patch::{Patch, PatchOperation};
use natsguard_policies::bundle::Bundle;
use natsguard_policies::engine::{self, Report};
use natsguard_policies::patch::patch;
use natsguard_policies::settings::Settings;

use crate::input::Input;
use crate::listing::Listing;

/// What a repair left.
#[derive(Debug)]
pub struct Outcome {
    /// What stands after it.
    pub report: Report,
    /// Warnings that belong to a repair, with their places before it.
    pub beside: Listing,
    /// Repairs that could not be written into the text, for people.
    pub unedited: Vec<String>,
}

/// Makes every safe repair in the text of the input's manifests.
pub fn repair(input: &mut Input, settings: &Settings) -> Outcome {
    let repaired = engine::repair(&input.bundle, settings);
    let beside = Report {
        findings: repaired.beside,
        ..Report::default()
    };
    let beside = Listing::new(input, &beside);
    let unedited = write_back(input, &repaired.bundle);
    Outcome {
        report: repaired.report,
        beside,
        unedited,
    }
}

/// Puts the changed objects back into the text they came from. Returns what could not be put back, for people.
fn write_back(input: &mut Input, repaired: &Bundle) -> Vec<String> {
    let mut patches: BTreeMap<(usize, usize), Vec<PatchOperation>> = BTreeMap::new();
    for (id, (before, after)) in input
        .bundle
        .objects()
        .iter()
        .zip(repaired.objects())
        .enumerate()
    {
        if before.value == after.value {
            continue;
        }
        let Some(standing) = input.places.get(id) else {
            continue;
        };
        let operations = patch(&before.value, &after.value, &standing.pointer).0;
        patches
            .entry((standing.manifest, standing.document))
            .or_default()
            .extend(operations);
    }
    let mut unedited = Vec::new();
    for ((manifest, document), operations) in patches {
        let Some(manifest) = input.manifests.get_mut(manifest) else {
            continue;
        };
        if let Err(error) = manifest.patch(document, &Patch(operations)) {
            unedited.push(format!(
                "{}: a repair could not be written: {error}",
                manifest.name()
            ));
        }
    }
    unedited
}
