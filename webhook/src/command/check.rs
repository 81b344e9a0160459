//! `natsguard check`: what is wrong with manifests.

use std::io;

use natsguard_policies::engine::evaluate;

use super::{UNUSABLE, complain, rules, show, status};
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
    let input = Input::read(&args.paths, args.rules.namespace.as_deref(), "check");
    let report = evaluate(&input.bundle, &settings);
    let listing = Listing::new(&input, &report);
    if !show(render(args.output, &listing, Screen::stdout()))? {
        return Ok(UNUSABLE);
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
    Ok(status(report.worst(), args.fail_on))
}
