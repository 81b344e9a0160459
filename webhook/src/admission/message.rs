//! What people are told: what, where, how to mend it. Short where kubectl prints it as a warning, whole in a denial.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use natsguard_policies::policy::Finding;
use natsguard_policies::rules;
use natsguard_policies::rules::opaque_routes;

use super::fault::Fault;
use crate::output::visible;

/// What kubectl shows on one line, and what the API asks of warnings.
const LINE: usize = 120;

/// All warnings together. The apiserver cuts each to 256 characters when they exceed 4096.
const WARNINGS: usize = 3072;

/// A denial says every fault; a list of thousands of routes may have thousands.
pub(super) const MAX_FAULTS: usize = 32;

/// More of a field than any that is meant; keys of a ConfigMap are not validated yet when they come here.
const MAX_FIELD: usize = 512;

/// One fault of a denial.
const MAX_FAULT: usize = 1024;

/// A repair that was made.
pub(super) fn repaired(fault: &Fault) -> String {
    let policy = fault.finding.policy;
    let field = &fault.finding.place.field;
    let detail = &fault.finding.detail;
    line(&[
        format!("natsguard repaired {policy} at {field}: {detail}"),
        format!("natsguard repaired {policy} at {field}"),
        format!("natsguard repaired {policy}"),
    ])
}

/// A fault that is let through.
pub(super) fn warning(fault: &Fault) -> String {
    let policy = fault.finding.policy;
    let field = &fault.finding.place.field;
    let (reason, detail) = (fault.finding.reason, &fault.finding.detail);
    if reason == opaque_routes::ABSENT {
        return line(&[
            format!("natsguard {policy}: {detail} yet; its routes are checked when it is applied"),
            format!("natsguard {policy}: {detail} yet"),
            format!("natsguard {policy}: {reason}"),
        ]);
    }
    let mut texts = vec![format!(
        "natsguard {policy}: {reason}: {detail}; {}",
        fault.finding.remedy
    )];
    let frozen = fault.frozen.iter();
    texts.extend(frozen.map(|frozen| format!("natsguard {policy}: {frozen}")));
    texts.extend([
        format!("natsguard {policy}: {reason}: {detail}"),
        format!("natsguard {policy} at {field}: {reason}"),
        format!("natsguard {policy}: {reason}"),
    ]);
    line(&texts)
}

/// What could not be judged.
pub(super) fn unchecked(finding: &Finding) -> String {
    let Finding {
        policy,
        reason,
        detail,
        ..
    } = finding;
    line(&[
        format!("natsguard {policy} was not checked: {reason}: {detail}"),
        format!("natsguard {policy} was not checked: {detail}"),
        format!("natsguard {policy} was not checked: {reason}"),
        format!("natsguard {policy} was not checked"),
    ])
}

/// A fault of another object, which is repaired when that one is written.
pub(super) fn pending(fault: &Fault) -> String {
    let policy = fault.finding.policy;
    let (reason, object) = (fault.finding.reason, &fault.object);
    let title = title(policy);
    // It is in the namespace of what is applied now.
    let near = match (object.split_once(' '), object.rsplit_once('/')) {
        (Some((kind, _)), Some((_, name))) => format!("{kind} {name}"),
        _ => object.clone(),
    };
    line(&[
        format!("natsguard {policy}: {reason}; repaired when {object} is applied again"),
        format!("natsguard {policy}: {title}; repaired when {object} is applied again"),
        format!("natsguard {policy}: {title}; repaired when {near} is applied again"),
        format!("natsguard {policy}: {title}; apply {near} again"),
        format!("natsguard {policy} is repaired when {near} is applied again"),
        format!("natsguard {policy}: {title}"),
    ])
}

/// A workload that leads to more than is read.
pub(super) fn unread(workload: &str, first: &str, more: usize) -> String {
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!(
        "{workload} leads to more objects than are read for one review, so nobody can say that it is sound: {first}{more} could \
         not be looked at; to mend it, mount and include fewer or smaller files"
    );
    cut(visible(&text), MAX_FAULT)
}

/// A StatefulSet that grows and can't be read.
pub(super) fn unseen_growth(name: &str) -> String {
    line(&[
        format!(
            "natsguard: StatefulSet {name} could not be read, so it was not checked whether it may grow"
        ),
        "natsguard: the StatefulSet could not be read, so it was not checked whether it may grow"
            .to_owned(),
    ])
}

/// The title of a policy, to go on a line.
fn title(policy: &str) -> String {
    let title = rules::find(policy).map_or(policy, |policy| policy.title);
    let mut chars = title.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_lowercase().chain(chars).collect()
    })
}

/// Warnings in a number and length that the apiserver passes on, each once.
pub(super) fn bounded(warnings: Vec<String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    let (mut length, mut left) = (0, 0);
    for warning in warnings {
        if !seen.insert(warning.clone()) {
            continue;
        }
        length += warning.chars().count();
        if length > WARNINGS {
            left += 1;
        } else {
            kept.push(warning);
        }
    }
    if left > 0 {
        kept.push(format!(
            "natsguard: {left} more; `natsguard check` says all"
        ));
    }
    kept
}

/// One fault of a denial: where, what, how to mend it.
pub(super) fn cause(fault: &Fault) -> String {
    let finding = &fault.finding;
    let text = format!(
        "{}, {}: {}: {}; to mend it, {} (natsguard explain {})",
        fault.object,
        finding.place.field,
        finding.reason,
        finding.detail,
        finding.remedy,
        finding.policy
    );
    cut(visible(&text), MAX_FAULT)
}

/// The field of a cause.
pub(super) fn field(fault: &Fault) -> String {
    cut(visible(&fault.finding.place.field), MAX_FIELD)
}

/// A denial: every fault at once.
pub(super) fn denial(causes: &[String], more: usize) -> String {
    if let ([cause], 0) = (causes, more) {
        return cause.clone();
    }
    let mut text = format!("{} faults:", causes.len() + more);
    for cause in causes {
        text.push_str("\n- ");
        text.push_str(cause);
    }
    if more > 0 {
        let _ = write!(text, "\n- and {more} more; `natsguard check` says all");
    }
    text
}

/// The first text that fits on a line, or the last one cut.
pub(super) fn line(texts: &[String]) -> String {
    let fits = texts
        .iter()
        .find(|text| visible(text).chars().count() <= LINE);
    let text = fits.or(texts.last()).map_or("", String::as_str);
    cut(visible(text), LINE)
}

fn cut(text: String, most: usize) -> String {
    if text.chars().count() <= most {
        return text;
    }
    let mut text: String = text.chars().take(most.saturating_sub(3)).collect();
    text.push_str("...");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_first_text_that_fits() {
        let long = "x".repeat(121);
        assert_eq!(line(&[long.clone(), "short".to_owned()]), "short");
        assert_eq!(line(&[long]), format!("{}...", "x".repeat(117)));
        assert_eq!(line(&["a\nb\u{1b}".to_owned()]), "a\\nb\\u{1b}");
        assert_eq!(line(&[]), "");
    }

    #[test]
    fn warnings_are_so_many_and_no_more_and_each_is_said_once() {
        let many: Vec<String> = (0..100).map(|index| format!("{index:0>100}")).collect();
        let kept = bounded([many.clone(), many.clone()].concat());
        assert_eq!(kept[..30], many[..30]);
        assert_eq!(kept.len(), 31);
        assert_eq!(kept[30], "natsguard: 70 more; `natsguard check` says all");
    }

    #[test]
    fn a_denial_says_all_that_it_knows() {
        let causes = ["a".to_owned(), "b".to_owned()];
        assert_eq!(denial(&causes[..1], 0), "a");
        assert_eq!(denial(&causes, 0), "2 faults:\n- a\n- b");
        assert_eq!(
            denial(&causes, 3),
            "5 faults:\n- a\n- b\n- and 3 more; `natsguard check` says all"
        );
    }
}
