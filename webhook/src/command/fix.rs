//! `natsguard fix`: manifests with every safe repair made.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use natsguard_policies::policy::Action;

use super::{SUCCESS, UNUSABLE, complain, print, rules};
use crate::args::Fix;
use crate::diff::diff;
use crate::input::Input;
use crate::listing::Listing;
use crate::manifest::Manifest;
use crate::repair::{Outcome, repair};

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
    let mut input = Input::read(&args.paths, args.rules.namespace.as_deref(), "fix");
    let before: Vec<Vec<u8>> = if args.diff || args.in_place {
        input
            .manifests
            .iter()
            .map(|manifest| manifest.bytes().to_vec())
            .collect()
    } else {
        Vec::new()
    };
    let Outcome {
        report,
        beside,
        unedited,
    } = repair(&mut input, &settings);
    let listing = Listing::new(&input, &report);
    if args.diff {
        for (before, after) in before.into_iter().zip(std::mem::take(&mut input.manifests)) {
            let name = after.name().to_owned();
            let Ok(before) = Manifest::read(&name, before) else {
                continue;
            };
            match diff(before, after) {
                Ok(text) => print(text.as_bytes())?,
                Err(error) => input.problems.push(format!(
                    "{name}: the changes can't be shown masked: {error}"
                )),
            }
        }
    } else if args.in_place {
        for (before, after) in before.iter().zip(&input.manifests) {
            if before != after.bytes()
                && let Err(error) = replace(Path::new(after.name()), after.bytes())
            {
                input
                    .problems
                    .push(format!("{}: can't be written: {error}", after.name()));
            }
        }
    } else {
        print(&input.stream())?;
    }
    let left = listing
        .findings
        .iter()
        .filter(|row| row.action != Action::Fix);
    for row in beside.findings.iter().chain(left) {
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
    Ok(if input.problems.is_empty() {
        SUCCESS
    } else {
        UNUSABLE
    })
}

/// Replaces a file in one step, so that it is never half written. Its permissions stay; a link stays a link.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let permissions = fs::metadata(&path)?.permissions();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".natsguard");
    let temporary = path.with_file_name(name);
    let write = || {
        let mut file = fs::File::create_new(&temporary)?;
        // Before there is anything in it: it may hold Secrets.
        file.set_permissions(permissions)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, &path)
    };
    write().inspect_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(&temporary);
        }
    })
}
