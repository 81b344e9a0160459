//! `natsguard fix`: manifests with every safe repair made.

use std::io;
use std::path::Path;

use natsguard_policies::policy::Action;

use super::{DENIED, SUCCESS, UNUSABLE, complain, print, rules, status};
use crate::args::{FailOn, Fix};
use crate::diff::Diff;
use crate::input::Input;
use crate::manifest::Manifest;
use crate::repair::{Outcome, repair};
use crate::replace::replace;

pub(super) fn run(args: &Fix) -> io::Result<u8> {
    let settings = match rules::settings(&args.rules) {
        Ok(settings) => settings,
        Err(problem) => {
            complain(&problem);
            return Ok(UNUSABLE);
        }
    };
    if args.in_place && args.paths.iter().any(|path| path.as_os_str() == "-") {
        complain(
            "standard input can't be written in place; leave --in-place out to print what was repaired",
        );
        return Ok(UNUSABLE);
    }
    let stdin = args.stdin.name();
    let mut input = Input::read(&args.paths, stdin, args.rules.namespace.as_deref(), "fix");
    let outcome = repair(&mut input, &settings);
    let Outcome {
        left,
        beside,
        before,
        unedited,
    } = outcome;
    if args.diff {
        for (index, before) in before {
            if let Some(after) = input.manifests.get(index) {
                let path = input.paths.get(index).and_then(Option::as_deref);
                match diff(&before, after, path) {
                    Some(diff) => print(&diff)?,
                    None => input.notes.push(format!(
                        "{0}: its diff is left out, because it would show a Secret; run natsguard fix without --diff for the whole of {0}",
                        after.name()
                    )),
                }
            }
        }
    } else if args.in_place {
        for (index, before) in before {
            let path = input.paths.get(index).and_then(Option::as_deref);
            let (Some(after), Some(path)) = (input.manifests.get(index), path) else {
                continue;
            };
            if before != after.bytes()
                && let Err(error) = replace(path, after.bytes())
            {
                input.problems.push(format!("{}: {error}", after.name()));
            }
        }
    } else {
        print(&input.stream())?;
    }
    let said = left.findings.iter().filter(|row| row.action != Action::Fix);
    for row in beside.findings.iter().chain(said) {
        complain(&format!(
            "{}:{}:{}: {}[{}]: {}: {}; {}",
            row.file,
            row.line,
            row.column,
            row.action,
            row.policy,
            row.reason,
            row.detail,
            row.remedy
        ));
    }
    for message in input.notes.iter().chain(&unedited).chain(&input.problems) {
        complain(message);
    }
    Ok(match args.fail_on.map(FailOn::threshold) {
        _ if !input.problems.is_empty() => UNUSABLE,
        Some(threshold) if !unedited.is_empty() && threshold <= Action::Fix => DENIED,
        Some(threshold) => status(&left, threshold),
        None => SUCCESS,
    })
}

/// The diff of one file; `None` when it would show a Secret.
fn diff(before: &[u8], after: &Manifest, path: Option<&Path>) -> Option<Vec<u8>> {
    let text = |manifest: &Manifest| String::from_utf8_lossy(manifest.bytes()).into_owned();
    let before = Manifest::read(after.name(), before).ok()?;
    let (old, new) = (text(&before), text(after));
    if old == new {
        return Some(Vec::new());
    }
    let diff = Diff::new(&old, &new);
    if diff.shows_secrets(&before, after) {
        return None;
    }
    Some(diff.of_file(path.unwrap_or(Path::new(after.name()))))
}
