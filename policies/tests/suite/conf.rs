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

/// The comparison itself: it would be worth nothing if it let anything pass.
#[test]
fn notices_wrong_answers() {
    for case in compare::load(include_str!("../../fixtures/conf/cases.json")) {
        let answer = case.answer.clone().expect("an answer is recorded");
        let opposite = compare::Answer {
            ok: !answer.ok,
            ..answer.clone()
        };
        assert!(case.disagreement(&opposite).is_some(), "{}", case.name);
        let mut values = answer.values.clone();
        for (key, value) in values.as_object_mut().into_iter().flatten() {
            let original = value.take();
            let altered = compare::Answer {
                values: {
                    let mut values = answer.values.clone();
                    values[key] = serde_json::json!([original]);
                    values
                },
                ..answer.clone()
            };
            assert!(
                case.disagreement(&altered).is_some(),
                "{}: {key}",
                case.name
            );
        }
    }
}
