//! What is read, and what is not.

use std::time::Instant;

use serde_json::{Value, json};

use super::super::read::{Problem, each};
use super::super::resolve::Fault;
use super::super::{Manifest, ReadError};
use super::{error, line, read, value};

#[test]
fn scalars_are_what_kubernetes_makes_of_them() {
    let cases = [
        ("yes", json!(true)),
        ("Off", json!(false)),
        ("y", json!(true)),
        ("~", Value::Null),
        ("", Value::Null),
        ("'~'", json!("~")),
        ("0x1F", json!(31)),
        ("0o17", json!(15)),
        ("017", json!(15)),
        ("08", json!(8)),
        ("0b11", json!(3)),
        ("-0b11", json!(-3)),
        ("1_000", json!(1000)),
        ("+12", json!(12)),
        ("18446744073709551615", json!(u64::MAX)),
        ("1.0", json!(1)),
        ("1e3", json!(1000)),
        (".5", json!(0.5)),
        ("1e400", json!("1e400")),
        (".inf", json!(".inf")),
        (".NaN", json!(".NaN")),
        ("190:20:30", json!("190:20:30")),
        ("2001-01-01", json!("2001-01-01")),
        ("1.2.3", json!("1.2.3")),
        ("!!str 12", json!("12")),
        ("!!int \"12\"", json!(12)),
        ("!!float 3", json!(3)),
        ("!!binary aGVsbG8=", json!("hello")),
        ("!custom 12", json!("12")),
    ];
    for (text, expected) in cases {
        assert_eq!(value(&format!("k: {text}\n"))["k"], expected, "{text}");
    }
    assert!(matches!(error("a: !!int 12.5\n"), ReadError::Tag { .. }));
}

#[test]
fn keys_become_strings() {
    assert_eq!(
        value("1: a\ntrue: b\n1.5: c\n1000000.0: d\n0x10: e\n"),
        json!({"1": "a", "true": "b", "1.5": "c", "1e+06": "d", "16": "e"})
    );
    assert_eq!(value("!!binary aGk=: a\n"), json!({"hi": "a"}));
    assert!(matches!(error("~: a\n"), ReadError::Key { .. }));
    assert!(matches!(error("? [a]\n: b\n"), ReadError::Key { .. }));
}

#[test]
fn aliases_and_merge_keys_are_expanded() {
    assert_eq!(
        value("a: &x {k: 1, l: 2}\nb: *x\nc:\n  <<: *x\n  k: 3\nd:\n  <<: [{k: 4}, *x]\n"),
        json!({"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 3, "l": 2}, "d": {"k": 4, "l": 2}})
    );
    assert_eq!(value("\"<<\": 1\n"), json!({"<<": 1}));
    assert!(matches!(error("a:\n  <<: 1\n"), ReadError::Merge { .. }));
    assert!(matches!(error("a: &x [*x]\n"), ReadError::Cycle { .. }));
}

#[test]
fn documents_are_counted_as_they_stand() {
    assert!(read("").documents().is_empty());
    assert!(read("# only a comment\n").documents().is_empty());
    assert_eq!(line(&read("# a comment\nx"), 1), "# a comment");
    let manifest = read("# head\n---\n# empty\n---\na: 1\n...\n---\n- b\n--- # last\n");
    let values: Vec<_> = manifest
        .documents()
        .iter()
        .map(|document| document.value.clone())
        .collect();
    assert_eq!(
        values,
        [Value::Null, json!({"a": 1}), json!(["b"]), Value::Null]
    );
    let lines: Vec<_> = manifest
        .documents()
        .iter()
        .map(super::super::Document::line)
        .collect();
    assert_eq!(lines, [1, 4, 7, 9]);
    let texts: String = manifest
        .documents()
        .iter()
        .map(super::super::Document::text)
        .collect();
    assert_eq!(texts.as_bytes(), manifest.bytes());
    assert_eq!(value("\u{feff}%YAML 1.1\n---\na: 1\n"), json!({"a": 1}));
    assert_eq!(
        value("{\n\t\"a\": \"\\ud83d\\ude00\\/\"\n}"),
        json!({"a": "😀/"})
    );
}

#[test]
fn a_duplicate_key_is_named_with_its_lines() {
    let error = error("---\nx: 1\n---\na: 1\nb:\n  c: 1\n  'c': topsecret\n");
    assert_eq!(
        error.to_string(),
        "file.yaml:7:3: the key `c` is already on line 6: remove one of them"
    );
    let long = super::error(&format!("{0}: 1\n{0}: 2\n", "k".repeat(500)));
    assert!(long.to_string().len() < 200);
}

#[test]
fn bytes_that_are_no_utf8_are_refused() {
    let error = Manifest::read("x", b"a: \xff\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "x: byte 3 is not UTF-8: save the file as UTF-8"
    );
}

#[test]
fn bad_yaml_is_refused_with_its_place_and_without_its_content() {
    let error = error("é: 1\nb: 'topsecret\nc: d\n");
    assert!(matches!(error, ReadError::Syntax { .. }));
    assert!(error.to_string().starts_with("file.yaml:"), "{error}");
    assert!(!error.to_string().contains("topsecret"), "{error}");
}

#[test]
fn alias_bombs_are_bounded() {
    use std::fmt::Write as _;
    let mut lists = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    let mut merges = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..40 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(lists, "a{level}: &a{level} [{aliases}]").unwrap();
        writeln!(merges, "a{level}: &a{level} {{<<: [{aliases}]}}").unwrap();
    }
    let text = format!(
        "a: &a \"{}\"\nb: [{}]\n",
        "x".repeat(1 << 20),
        "*a, ".repeat(1000)
    );
    for bomb in [lists, merges, text] {
        let error = error(&bomb);
        assert!(matches!(error, ReadError::TooManyAliases { .. }), "{error}");
    }
}

#[test]
fn deep_nesting_is_bounded() {
    for text in [
        "[".repeat(100_000),
        "- ".repeat(100_000),
        "{a: ".repeat(100_000),
        "[".repeat(129) + &"]".repeat(129),
    ] {
        let error = error(&text);
        assert!(matches!(error, ReadError::TooDeep { .. }), "{error}");
    }
    assert!(Manifest::read("x", ("[".repeat(128) + &"]".repeat(128)).into_bytes()).is_ok());
}

#[test]
fn the_nodes_of_all_documents_are_bounded() {
    let text = "a: 1\n---\n[1, 2]\n";
    assert!(each(text, 6, &mut |_| {}).is_ok());
    assert!(matches!(
        each(text, 5, &mut |_| {}),
        Err(Problem::Fault(Fault::Nodes, at)) if at == text.find('2').unwrap()
    ));
}

#[test]
fn too_many_documents_are_refused() {
    assert!(matches!(
        error(&"---\n".repeat(100_001)),
        ReadError::TooManyDocuments { .. }
    ));
}

#[test]
fn ten_thousand_documents_take_linear_time() {
    let one = "---\napiVersion: v1\nkind: Service\nspec:\n  ports:\n    - port: 4222\n";
    let patch = super::patch(
        json!([{"op": "add", "path": "/spec/publishNotReadyAddresses", "value": true}]),
    );
    let started = Instant::now();
    let mut manifest = read(&one.repeat(10_000));
    for document in 0..10_000 {
        manifest.patch(document, &patch).unwrap();
    }
    assert_eq!(
        manifest.bytes().len(),
        (one.len() + "  publishNotReadyAddresses: true\n".len()) * 10_000
    );
    assert_eq!(
        manifest
            .locate(9_999, "/spec/publishNotReadyAddresses")
            .line,
        70_000
    );
    // Quadratic time would be minutes.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}

#[test]
fn a_line_of_a_mebibyte_is_read_and_patched() {
    let long = "é\\n ab ".repeat(1 << 17);
    let manifest = read(&format!("a: \"{long}\"\nb: 1\n"));
    let text = manifest.documents()[0].value["a"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut manifest = manifest;
    let patch =
        super::patch(json!([{"op": "replace", "path": "/a", "value": text.clone() + "end"}]));
    manifest.patch(0, &patch).unwrap();
    assert_eq!(
        manifest.bytes(),
        format!("a: \"{long}end\"\nb: 1\n").as_bytes()
    );
}
