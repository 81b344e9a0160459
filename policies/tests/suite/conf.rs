//! The NATS configuration language.

mod compare;
mod edits;
mod properties;
mod robust;

/// The answers are nats-server's own; `tests/conformance` asks it again.
#[test]
fn reads_each_recorded_case_as_nats_server_does() {
    let cases = compare::load(include_str!("../../fixtures/conf/cases.json"));
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            let answer = case.answer.as_ref().expect("an answer is recorded");
            Some(format!("{}: {}", case.name, case.disagreement(answer)?))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(cases.len() >= 400);
}
