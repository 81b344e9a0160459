//! Any edit of any document: what is edited is what was asked, or nothing is.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use natsguard_policies::conf::{
    Document, Edits, Element, NewValue, Value, edit_array, insert_key, remove_key, replace_value,
};
use serde_json::Value as Json;
use std::ops::Range;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    place: u8,
    ops: Vec<Op>,
    append: Vec<String>,
    key: String,
    bare: bool,
    string: String,
    text: &'a [u8],
}

#[derive(Debug, Arbitrary)]
enum Op {
    Keep,
    Replace(Vec<String>),
}

struct Place {
    span: Range<usize>,
    /// Of an array: its elements as JSON.
    elements: Option<Vec<Json>>,
    is_map: bool,
}

fn places(value: &Value, into: &mut Vec<Place>) {
    if value.origin.variable {
        return;
    }
    into.push(Place {
        span: value.origin.span.clone(),
        elements: value
            .as_array()
            .map(|elements| elements.iter().map(|element| element.to_json()).collect()),
        is_map: value.as_map().is_some(),
    });
    for inner in value.as_array().unwrap_or_default() {
        places(inner, into);
    }
    for (_, inner) in value.as_map().into_iter().flat_map(|map| map.iter()) {
        places(inner, into);
    }
}

fn at(value: &Value, start: usize) -> Option<&Value> {
    if !value.origin.variable && value.origin.span.start == start {
        return Some(value);
    }
    value
        .as_array()
        .unwrap_or_default()
        .iter()
        .chain(
            value
                .as_map()
                .into_iter()
                .flat_map(|map| map.iter().map(|(_, value)| value)),
        )
        .find_map(|value| at(value, start))
}

/// The bytes outside of the splices are those of before.
fn check_local(text: &[u8], edits: &Edits) -> Vec<u8> {
    let edited = edits.apply(text);
    let (mut old, mut new) = (0, 0);
    for splice in edits.splices() {
        let kept = splice.range.start - old;
        assert_eq!(text[old..splice.range.start], edited[new..new + kept]);
        new += kept + splice.text.len();
        old = splice.range.end;
    }
    assert_eq!(text[old..], edited[new..]);
    edited
}

fuzz_target!(|input: Input<'_>| {
    let document = Document::parse(input.text);
    let before = document.read();
    // What was wrong may stay so; and without an include that may define anything, a variable may turn out impossible.
    let may_fail = before.error.is_some() || !before.unknown_includes.is_empty();
    let mut found = Vec::new();
    for (_, value) in before.root.iter() {
        places(value, &mut found);
    }
    let new = if input.bare {
        NewValue::Bare(input.string.clone())
    } else {
        NewValue::String(input.string.clone())
    };

    if let Ok(edits) = insert_key(&document, None, &input.key, &new) {
        let edited = check_local(input.text, &edits);
        let after = Document::parse(&edited).read();
        assert!(after.error.is_none() || may_fail);
        if before.error.is_none() {
            assert_eq!(after.root.len(), before.root.len() + 1);
            let value = after.root.get(&input.key).expect("the key was inserted");
            assert!(input.bare || value.as_str() == Some(&input.string));
        }
    }
    if let Ok(edits) = remove_key(&document, None, &input.key) {
        let edited = check_local(input.text, &edits);
        let after = Document::parse(&edited).read();
        assert!(after.error.is_none() || may_fail);
        assert!(after.root.get(&input.key).is_none());
    }
    let Some(place) = found.get(usize::from(input.place) % found.len().max(1)) else {
        return;
    };
    let span = || place.span.clone();
    if let Ok(edits) = replace_value(&document, span(), &new) {
        let edited = check_local(input.text, &edits);
        assert!(Document::parse(&edited).read().error.is_none() || may_fail);
    }
    let inserted = insert_key(
        &document,
        Some(span()),
        &input.key,
        &NewValue::Array(input.append.clone()),
    );
    assert!(inserted.is_err() || place.is_map);
    if let Ok(edits) = inserted {
        let edited = check_local(input.text, &edits);
        let after = Document::parse(&edited).read();
        assert!(after.error.is_none());
    }

    let Some(elements) = &place.elements else {
        return;
    };
    let mut ops = input.ops.iter();
    let asked: Vec<_> = elements
        .iter()
        .map(|_| match ops.next() {
            Some(Op::Replace(strings)) => Element::Replace(strings.clone()),
            _ => Element::Keep,
        })
        .collect();
    let Ok(edits) = edit_array(&document, span(), &asked, &input.append) else {
        return;
    };
    let edited = check_local(input.text, &edits);
    let json = |string: &String| Json::from(string.as_str());
    let mut expected = Vec::new();
    for (element, asked) in elements.iter().zip(&asked) {
        match asked {
            Element::Keep => expected.push(element.clone()),
            Element::Replace(strings) => expected.extend(strings.iter().map(json)),
        }
    }
    expected.extend(input.append.iter().map(json));
    let after = Document::parse(&edited).read();
    assert!(after.error.is_none());
    let edited = after
        .root
        .iter()
        .find_map(|(_, value)| at(value, place.span.start))
        .expect("the array is where it was");
    let elements: Vec<_> = edited
        .as_array()
        .expect("an array")
        .iter()
        .map(Value::to_json)
        .collect();
    assert_eq!(elements, expected);
});
