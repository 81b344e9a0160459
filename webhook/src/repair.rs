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
    /// What stands after it, with the places before it: those are what people and editors have.
    pub left: Listing,
    /// Warnings that belong to a repair, with their places before it.
    pub beside: Listing,
    /// The repaired manifests, by index, as they were.
    pub before: BTreeMap<usize, Vec<u8>>,
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
    let mut report = repaired.report;
    place_before(input, settings, &mut report);
    let left = Listing::new(input, &report);
    let mut outcome = Outcome {
        left,
        beside,
        before: BTreeMap::new(),
        unedited: Vec::new(),
    };
    write_back(input, &repaired.bundle, &mut outcome);
    outcome
}

/// Gives what stands after a repair its place before it; what is new stands where its field was.
fn place_before(input: &Input, settings: &Settings, report: &mut Report) {
    let mut places: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for judged in engine::evaluate(&input.bundle, settings).findings {
        let finding = judged.finding;
        places
            .entry((
                finding.policy,
                finding.place.object,
                finding.reason,
                finding.detail,
            ))
            .or_default()
            .push(finding.place);
    }
    for judged in &mut report.findings {
        let finding = &mut judged.finding;
        let detail = std::mem::take(&mut finding.detail);
        let key = (finding.policy, finding.place.object, finding.reason, detail);
        let known = places.get(&key).and_then(|places| {
            let same = places
                .iter()
                .find(|place| place.field == finding.place.field);
            same.or(places.first())
        });
        match known {
            Some(place) => finding.place = place.clone(),
            None => finding.place.span = None,
        }
        finding.detail = key.3;
    }
}

/// Puts the changed objects back into the text they came from.
fn write_back(input: &mut Input, repaired: &Bundle, outcome: &mut Outcome) {
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
    for ((index, document), operations) in patches {
        let Some(manifest) = input.manifests.get_mut(index) else {
            continue;
        };
        outcome
            .before
            .entry(index)
            .or_insert_with(|| manifest.bytes().to_vec());
        if let Err(error) = manifest.patch(document, &Patch(operations)) {
            outcome.unedited.push(format!(
                "{}: a repair could not be written: {error}",
                manifest.name()
            ));
        }
    }
}
