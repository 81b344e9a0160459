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
    let stdin = args.stdin.name();
    let mut input = Input::read(&args.paths, stdin, args.rules.namespace.as_deref(), "check");
    if input.is_stdin_empty {
        // A renderer that failed in a pipe leaves nothing: silence would look like approval.
        input.problems.push(format!(
            "{stdin}: there are no objects in it; see what should have written them"
        ));
    }
    let report = evaluate(&input.bundle, &settings);
    let listing = Listing::new(&input, &report);
    let threshold = args.fail_on.threshold();
    if !show(render(args.output, &listing, threshold, Screen::stdout()))? {
        return Ok(UNUSABLE);
    }
    for message in input.notes.iter().chain(&input.problems) {
        complain(message);
    }
    for note in rules::notes(&args.rules, &settings, &report) {
        complain(&note);
    }
    if !input.problems.is_empty() {
        return Ok(UNUSABLE);
    }
    Ok(status(&listing, threshold))
}
