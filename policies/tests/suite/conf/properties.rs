//! Properties of every document and every edit.

use super::robust::assert_tiles;
use natsguard_policies::conf::{
    Document, Edits, Element, Map, NewValue, Value, edit_array, insert_key, is_template,
    remove_key, replace_value,
};
use proptest::prelude::*;
use std::ops::Range;

/// Documents that are close to valid, as well as bytes without sense.
fn document() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "a",
        "b: ",
        "c = ",
        "{",
        "}",
        "[",
        "]",
        "(\n",
        "\n)\n",
        "\n",
        "\r\n",
        " ",
        ", ",
        "; ",
        "'",
        "\"",
        "\\",
        "\\x41",
        "#",
        "//",
        "/",
        "1",
        "2k",
        "3kbb",
        "1.5",
        "-",
        "true",
        "$a",
        "$X",
        "include x",
        "\u{a0}",
        "\u{2028}",
        "٣",
        "\0",
        "x",
        "a: 1\n",
        "m { b: x }\n",
        "r [x, 'y'\n\"z\" ]\n",
        "2016-05-04T18:53:41Z",
    ]);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat().into_bytes()),
        list().prop_map(|list| list.text),
    ]
}

/// A list in one of the styles that are met, between other things.
#[derive(Debug, Clone)]
struct List {
    text: Vec<u8>,
    strings: Vec<String>,
}

fn list() -> impl Strategy<Value = List> {
    let element = ("[a-z0-9 :/.@]{0,8}", 0..3_u8);
    let style = (
        prop::sample::select(vec!["\n", "\r\n", ""]),
        prop::sample::select(vec!["  ", "\t", "", "      "]),
        prop::sample::select(vec!["", ",", " ,"]),
        prop::sample::select(vec!["", " # c", "\t// d, e ]"]),
        any::<bool>(),
        prop::sample::select(vec![
            ("r [", "]"),
            ("x: 1\nr = [", "]\ny: 2\n"),
            ("{\n  \"r\": [", "]\n}"),
            ("a { b: [1 ] }\r\nr: [ ", " ] # end"),
            ("x { y: 1kbb }\nr [", "]"),
        ]),
    );
    (prop::collection::vec(element, 0..6), style).prop_map(
        |(elements, (newline, indent, comma, comment, trailing, around))| {
            let mut text = around.0.to_owned();
            let count = elements.len();
            let mut strings = Vec::new();
            for (index, (string, quotes)) in elements.into_iter().enumerate() {
                let plain = string.starts_with(|first: char| first.is_ascii_lowercase())
                    && !string.contains(' ')
                    && !["true", "false", "yes", "no", "on", "off"].contains(&string.as_str());
                let written = match quotes {
                    0 if plain => string.clone(),
                    1 => format!("'{string}'"),
                    _ => format!("\"{string}\""),
                };
                text += newline;
                text += if newline.is_empty() { " " } else { indent };
                text += &written;
                let last = index + 1 == count;
                if newline.is_empty() {
                    text += if last && !trailing { "" } else { "," };
                } else {
                    text += if last && !trailing { "" } else { comma };
                    text += comment;
                }
                strings.push(string);
            }
            text += newline;
            text += around.1;
            List {
                text: text.into_bytes(),
                strings,
            }
        },
    )
}

fn ops(count: usize) -> impl Strategy<Value = (Vec<Element>, Vec<String>)> {
    let string = || "[a-z0-9 $'\"\\\\\\[\\],;{}#/:.\n\u{e9}-]{0,10}";
    let element = prop_oneof![
        2 => Just(Element::Keep),
        1 => prop::collection::vec(string(), 0..3).prop_map(Element::Replace),
    ];
    (
        prop::collection::vec(element, count),
        prop::collection::vec(string(), 0..3),
    )
}

fn strings(value: &Value) -> Vec<String> {
    value
        .as_array()
        .expect("an array")
        .iter()
        .map(|value| value.as_str().expect("a string").to_owned())
        .collect()
}

/// The bytes outside of the splices are those of before, in order.
fn assert_local(before: &[u8], edits: &Edits) {
    let after = edits.apply(before);
    let (mut old, mut new) = (0, 0);
    for splice in edits.splices() {
        let kept = splice.range.start - old;
        assert_eq!(before[old..splice.range.start], after[new..new + kept]);
        assert_eq!(
            splice.text,
            after[new + kept..new + kept + splice.text.len()]
        );
        new += kept + splice.text.len();
        old = splice.range.end;
    }
    assert_eq!(before[old..], after[new..]);
}

/// Every value's span with whether it is an array or a map.
fn spans(value: &Value, into: &mut Vec<(Range<usize>, usize)>) {
    if value.origin.variable || value.origin.file != 0 {
        return;
    }
    into.push((
        value.origin.span.clone(),
        value.as_array().map_or(0, <[Value]>::len),
    ));
    for inner in value.as_array().unwrap_or_default() {
        spans(inner, into);
    }
    for (_, inner) in value.as_map().into_iter().flat_map(Map::iter) {
        spans(inner, into);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tokens_tile_any_input(text in document()) {
        let document = Document::parse(&text);
        assert_tiles(&document);
        let config = document.read();
        prop_assert!(document.error().is_none() || config.error.is_some());
        is_template(&text);
    }

    #[test]
    fn lists_are_read_as_they_were_written(list in list()) {
        let config = Document::parse(&list.text).read();
        prop_assert_eq!(config.error, None);
        prop_assert_eq!(strings(config.root.get("r").expect("a list")), list.strings);
    }

    #[test]
    fn edited_lists_hold_exactly_what_was_asked(
        (list, (elements, append)) in list().prop_flat_map(|list| { let ops = ops(list.strings.len()); (Just(list), ops) })
    ) {
        let document = Document::parse(&list.text);
        let before = document.read();
        let span = before.root.get("r").expect("a list").origin.span.clone();
        let edits = edit_array(&document, span, &elements, &append).expect("such lists can be edited");
        assert_local(&list.text, &edits);
        let edited = edits.apply(&list.text);
        let after = Document::parse(&edited).read();
        let mut expected: Vec<String> = Vec::new();
        for (string, element) in list.strings.iter().zip(&elements) {
            match element {
                Element::Keep => expected.push(string.clone()),
                Element::Replace(strings) => expected.extend(strings.iter().cloned()),
            }
        }
        expected.extend(append);
        prop_assert_eq!(strings(after.root.get("r").expect("a list")), expected);
        for (key, value) in before.root.iter().filter(|(key, _)| *key != "r") {
            prop_assert_eq!(Some(value.to_json()), after.root.get(key).map(Value::to_json));
        }
        let comments = |text: &[u8]| text.windows(2).filter(|pair| *pair == b"# " || *pair == b"//").count();
        if elements.iter().all(|element| *element == Element::Keep) && list.strings.iter().all(|string| !string.contains('/')) {
            prop_assert!(comments(&edited) >= comments(&list.text));
        }
    }

    #[test]
    fn keeping_everything_changes_nothing(list in list()) {
        let document = Document::parse(&list.text);
        let span = document.read().root.get("r").expect("a list").origin.span.clone();
        let edits = edit_array(&document, span, &vec![Element::Keep; list.strings.len()], &[]).expect("nothing to do");
        prop_assert!(edits.is_empty());
    }

    #[test]
    fn an_inserted_key_can_be_removed_again(list in list(), key in "[a-z ]{1,8}", value in "\\PC{0,8}") {
        prop_assume!(!list.text.windows(3).any(|word| word == b"kbb"));
        let document = Document::parse(&list.text);
        let before = document.read().root;
        prop_assume!(before.get(&key).is_none());
        let edits = insert_key(&document, None, &key, &NewValue::String(value.clone())).expect("the top takes any key");
        assert_local(&list.text, &edits);
        let text = edits.apply(&list.text);
        let document = Document::parse(&text);
        let config = document.read();
        prop_assert_eq!(config.root.get(&key).and_then(Value::as_str), Some(value.as_str()));
        let edits = remove_key(&document, None, &key).expect("it was just put there");
        assert_local(&text, &edits);
        let text = edits.apply(&text);
        prop_assert_eq!(Document::parse(&text).read().root.to_json(), before.to_json());
    }

    #[test]
    fn edits_of_anything_are_right_or_refused(text in document(), string in "\\PC{0,6}", pick in any::<prop::sample::Index>()) {
        let document = Document::parse(&text);
        let config = document.read();
        let mut places = Vec::new();
        for (_, value) in config.root.iter() {
            spans(value, &mut places);
        }
        if places.is_empty() {
            return Ok(());
        }
        let (span, count) = pick.get(&places).clone();
        let append = [string.clone()];
        let edits = [
            edit_array(&document, span.clone(), &vec![Element::Replace(Vec::new()); count], &append),
            edit_array(&document, span.clone(), &vec![Element::Keep; count], &append),
            replace_value(&document, span.clone(), &NewValue::String(string.clone())),
            insert_key(&document, Some(span), &string, &NewValue::Array(vec![string.clone(), "x".to_owned()])),
            insert_key(&document, None, "new", &NewValue::String(string)),
            remove_key(&document, None, "a"),
        ];
        for edits in edits.into_iter().flatten() {
            assert_local(&text, &edits);
            // An edit may take away what was wrong, and brings in nothing that is; but without an include that may
            // define anything, a variable may turn out impossible.
            let after = Document::parse(&edits.apply(&text)).read();
            let may_fail = config.error.is_some() || !config.unknown_includes.is_empty();
            prop_assert!(after.error.is_none() || may_fail);
        }
    }
}
