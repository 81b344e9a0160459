//! `natsguard check`: what is wrong with manifests.

use std::io;

use natsguard_policies::engine::evaluate;
use natsguard_policies::policy::Action;

use super::{DENIED, SUCCESS, UNUSABLE, complain, print, rules};
use crate::args::Check;
use crate::input::Input;
use crate::listing::Listing;
use crate::output::{Screen, render};

pub(super) fn run(args: &Check) -> io::Result<u8> {
    let settings = match rules::settings(&args.rules) {
        Ok(settings) => settings,
        Err(problem) => {
            complain(&problem);
            return Ok(UNUSABLE);
        }
    };
    let input = Input::read(&args.paths, args.rules.namespace.as_deref());
    let report = evaluate(&input.bundle, &settings);
    let listing = Listing::new(&input, &report);
    match render(args.output, &listing, Screen::stdout()) {
        Ok(text) => match print(text.as_bytes()) {
            // `check … | head` is denied all the same.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        },
        Err(error) => {
            complain(&error.to_string());
            return Ok(UNUSABLE);
        }
    }
    for note in &input.notes {
        complain(note);
    }
    for problem in &input.problems {
        complain(problem);
    }
    if !input.problems.is_empty() {
        return Ok(UNUSABLE);
    }
    let worst = report.worst().unwrap_or(Action::Off);
    Ok(if worst >= args.fail_on.action() {
        DENIED
    } else {
        SUCCESS
    })
}
