//! Edits: what they change, and what they leave alone.

use natsguard_policies::conf::{
    Config, Document, EditError, Edits, Element, Map, NewValue, Origin, Splice, Value, edit_array,
    insert_key, is_template, remove_key, replace_value,
};
use std::ops::Range;

/// The value under keys separated by dots.
fn value<'c>(config: &'c Config, path: &str) -> &'c Value {
    let mut map: &Map = &config.root;
    let mut found = None;
    for key in path.split('.') {
        let value = map.get(key).unwrap_or_else(|| panic!("no {key} in {path}"));
        map = value.as_map().unwrap_or(map);
        found = Some(value);
    }
    found.expect("a path has a key")
}

fn span(text: &str, path: &str) -> Range<usize> {
    let config = Document::parse(text.as_bytes()).read();
    assert_eq!(config.error, None);
    let Origin {
        file,
        span,
        variable,
    } = value(&config, path).origin.clone();
    assert!(file == 0 && !variable);
    span
}

fn applied(text: &str, edits: Result<Edits, EditError>) -> Result<String, EditError> {
    edits.map(|edits| String::from_utf8(edits.apply(text.as_bytes())).expect("UTF-8 stays UTF-8"))
}

/// `-` removes, `=` keeps, anything else is a list of strings separated by `|` to put in place.
fn array(text: &str, path: &str, elements: &[&str], append: &[&str]) -> Result<String, EditError> {
    let document = Document::parse(text.as_bytes());
    let elements: Vec<_> = elements
        .iter()
        .map(|element| match *element {
            "=" => Element::Keep,
            "-" => Element::Replace(Vec::new()),
            strings => Element::Replace(strings.split('|').map(str::to_owned).collect()),
        })
        .collect();
    let append: Vec<_> = append.iter().map(|string| (*string).to_owned()).collect();
    applied(
        text,
        edit_array(&document, span(text, path), &elements, &append),
    )
}

#[track_caller]
fn check(before: &str, elements: &[&str], append: &[&str], after: &str) {
    assert_eq!(array(before, "r", elements, append).as_deref(), Ok(after));
}

fn insert(
    text: &str,
    path: Option<&str>,
    key: &str,
    value: &NewValue,
) -> Result<String, EditError> {
    let document = Document::parse(text.as_bytes());
    applied(
        text,
        insert_key(&document, path.map(|path| span(text, path)), key, value),
    )
}

#[track_caller]
fn check_insert(before: &str, path: Option<&str>, key: &str, value: &NewValue, after: &str) {
    assert_eq!(insert(before, path, key, value).as_deref(), Ok(after));
}

#[track_caller]
fn check_remove(before: &str, path: Option<&str>, key: &str, after: &str) {
    let document = Document::parse(before.as_bytes());
    let edits = remove_key(&document, path.map(|path| span(before, path)), key);
    assert_eq!(applied(before, edits).as_deref(), Ok(after));
}

#[track_caller]
fn check_replace(before: &str, path: &str, value: &NewValue, after: &str) {
    let document = Document::parse(before.as_bytes());
    let edits = replace_value(&document, span(before, path), value);
    assert_eq!(applied(before, edits).as_deref(), Ok(after));
}

fn string(text: &str) -> NewValue {
    NewValue::String(text.to_owned())
}

fn bare(text: &str) -> NewValue {
    NewValue::Bare(text.to_owned())
}

fn strings(texts: &[&str]) -> NewValue {
    NewValue::Array(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn replaces_elements_in_their_own_quotes() {
    check(
        "r [a, \"b\", 'c']",
        &["x", "y", "z"],
        &[],
        "r [x, \"y\", 'z']",
    );
    check(
        "r [\n  a\n  b # the second\n]\n",
        &["=", "c"],
        &[],
        "r [\n  a\n  c # the second\n]\n",
    );
}

#[test]
fn quotes_what_cannot_be_bare() {
    for text in [
        "a b", "a;b", "a,b", "a]b", "a}b", "a'b", "true", "OFF", "1", "-1", "1x", "$X", "",
        "[::1]", "#x", "/x", "x\\y",
    ] {
        let written = text.replace('\\', "\\\\");
        check("r [a]", &[text], &[], &format!("r [\"{written}\"]"));
    }
    check(
        "r [a]",
        &["nats://u:p%2C@a.b:6222"],
        &[],
        "r [nats://u:p%2C@a.b:6222]",
    );
    check("r ['a']", &["it's"], &[], "r [\"it's\"]");
    check(
        "r [\"a\"]",
        &["say \"x\"\n"],
        &[],
        "r [\"say \\\"x\\\"\\n\"]",
    );
}

#[test]
fn puts_several_in_the_place_of_one_on_the_same_line() {
    check("r [a, b]", &["x|y|z", "="], &[], "r [x, y, z, b]");
    check("r [a,b]", &["=", "x|y"], &[], "r [a,x,y]");
    check(
        "r [ \"a\" ] # c\n",
        &["x|y"],
        &[],
        "r [ \"x\", \"y\" ] # c\n",
    );
    check("r [a, b,]", &["=", "x|y"], &[], "r [a, x, y,]");
}

#[test]
fn puts_several_in_the_place_of_one_on_lines_of_their_own() {
    check(
        "r [\n  a\n  b\n]",
        &["x|y", "="],
        &[],
        "r [\n  x\n  y\n  b\n]",
    );
    check(
        "r [\n  a,\n  b\n]",
        &["x|y", "="],
        &[],
        "r [\n  x,\n  y,\n  b\n]",
    );
    check(
        "r [\n  a,\n  b\n]",
        &["=", "x|y"],
        &[],
        "r [\n  a,\n  x,\n  y\n]",
    );
    check(
        "r [\n  a,\n  b,\n]",
        &["=", "x|y"],
        &[],
        "r [\n  a,\n  x,\n  y,\n]",
    );
    check(
        "r [\r\n\t'a'\r\n]\r\n",
        &["x|y"],
        &[],
        "r [\r\n\t'x'\r\n\t'y'\r\n]\r\n",
    );
    check("r [\n  a # one\n]", &["x|y"], &[], "r [\n  x # one\n  y\n]");
    check(
        "r [\n  a, # one\n  b # two\n]",
        &["=", "x|y"],
        &[],
        "r [\n  a, # one\n  x, # two\n  y\n]",
    );
}

#[test]
fn one_service_route_becomes_a_route_per_pod() {
    check(
        "r = [\n    nats://u:p@prod-nats:6222\n  ]\n",
        &["nats://u:p@n-0.h:6222|nats://u:p@n-1.h:6222|nats://u:p@n-2.h:6222"],
        &[],
        "r = [\n    nats://u:p@n-0.h:6222\n    nats://u:p@n-1.h:6222\n    nats://u:p@n-2.h:6222\n  ]\n",
    );
}

#[test]
fn appends() {
    check("r [a, b]", &["=", "="], &["c", "d"], "r [a, b, c, d]");
    check("r [a, b,]", &["=", "="], &["c"], "r [a, b, c,]");
    check(
        "r [\n  a\n  b\n]",
        &["=", "="],
        &["c", "d"],
        "r [\n  a\n  b\n  c\n  d\n]",
    );
    check(
        "r [\n  a,\n  b\n]",
        &["=", "="],
        &["c", "d"],
        "r [\n  a,\n  b,\n  c,\n  d\n]",
    );
    check(
        "r [\n  a,\n  b, # last\n  # end\n]",
        &["=", "="],
        &["c"],
        "r [\n  a,\n  b, # last\n  c,\n  # end\n]",
    );
    check(
        "r [\n  a,\n  b # last\n]",
        &["=", "="],
        &["c"],
        "r [\n  a,\n  b, # last\n  c\n]",
    );
    check("r [\n  a\n\n]", &["="], &["b"], "r [\n  a\n  b\n\n]");
    check("r [a,\n   b]", &["=", "="], &["c"], "r [a,\n   b,\n   c]");
    check("r [\n  a\n  b]", &["=", "="], &["c"], "r [\n  a\n  b\n  c]");
    check(
        "r [\n  a, b,\n  c, d\n]",
        &["=", "=", "=", "="],
        &["e"],
        "r [\n  a, b,\n  c, d, e\n]",
    );
    check("r [1, 2 ]", &["=", "="], &["c"], "r [1, 2, \"c\" ]");
}

#[test]
fn appends_to_json() {
    check(
        "{\n  \"r\": [\n    \"a\"\n  ],\n  \"s\": 1\n}\n",
        &["="],
        &["b"],
        "{\n  \"r\": [\n    \"a\",\n    \"b\"\n  ],\n  \"s\": 1\n}\n",
    );
    check(
        "{\"r\": [\"a\"]}",
        &["="],
        &["b"],
        "{\"r\": [\"a\", \"b\"]}",
    );
}

#[test]
fn fills_empty_arrays() {
    check("r []", &[], &["a", "b"], "r [\"a\", \"b\"]");
    check("r [ ]", &[], &["a"], "r [ \"a\" ]");
    check("r [\n]\n", &[], &["a", "b"], "r [\n  \"a\"\n  \"b\"\n]\n");
    check(
        "{\n\t\"r\": [\n\t]\n}",
        &[],
        &["a", "b"],
        "{\n\t\"r\": [\n\t\t\"a\",\n\t\t\"b\"\n\t]\n}",
    );
    check(
        "r [\r\n    # none yet\r\n]",
        &[],
        &["a"],
        "r [\r\n    # none yet\r\n    \"a\"\r\n]",
    );
    check("r [ # none\n]", &[], &["a"], "r [ # none\n  \"a\"\n]");
    check("r []", &[], &[], "r []");
}

#[test]
fn removes() {
    check("r [a, b, c]", &["-", "=", "="], &[], "r [b, c]");
    check("r [a, b, c]", &["=", "-", "="], &[], "r [a, c]");
    check("r [a, b, c]", &["=", "=", "-"], &[], "r [a, b]");
    check("r [a, b, c]", &["=", "-", "-"], &[], "r [a]");
    check("r [a, b, c]", &["-", "-", "="], &[], "r [c]");
    check("r [ a, b, ]", &["=", "-"], &[], "r [ a, ]");
    check("r [a]", &["-"], &[], "r []");
    check("r [a, b]", &["-", "-"], &[], "r []");
    check(
        "r [\n  a\n  b\n  c\n]",
        &["=", "-", "="],
        &[],
        "r [\n  a\n  c\n]",
    );
    check(
        "r [\n  a,\n  b,\n  c\n]",
        &["=", "=", "-"],
        &[],
        "r [\n  a,\n  b\n]",
    );
    check(
        "r [\n  a,\n  b,\n  c,\n]",
        &["=", "=", "-"],
        &[],
        "r [\n  a,\n  b,\n]",
    );
    check(
        "r [\r\n  a\r\n  b\r\n]",
        &["-", "="],
        &[],
        "r [\r\n  b\r\n]",
    );
    check("r [\n  a\n]", &["-"], &[], "r [\n]");
    check("r [\n  a\n  b]", &["=", "-"], &[], "r [\n  a]");
}

#[test]
fn removes_only_the_comments_that_trail_what_goes() {
    check(
        "r [\n  # above a\n  a # of a\n  # above b\n  b # of b\n]",
        &["-", "="],
        &[],
        "r [\n  # above a\n  # above b\n  b # of b\n]",
    );
    check(
        "r [\n  a, b # both\n  c\n]",
        &["=", "-", "="],
        &[],
        "r [\n  a # both\n  c\n]",
    );
    check(
        "r [\n  a, b # both\n  c\n]",
        &["-", "=", "="],
        &[],
        "r [\n  b # both\n  c\n]",
    );
    check(
        "r [\n  a, b # both\n  c\n]",
        &["-", "-", "="],
        &[],
        "r [\n  c\n]",
    );
    check(
        "r [a, # of the line\n  b]",
        &["-", "="],
        &[],
        "r [ # of the line\n  b]",
    );
    check(
        "r [\n  a, b,\n  c\n]",
        &["-", "=", "="],
        &[],
        "r [\n  b,\n  c\n]",
    );
}

#[test]
fn removes_and_adds_at_once() {
    check("r [a, b]", &["-", "-"], &["c", "d"], "r [c, d]");
    check(
        "r [\n  a\n  b\n]",
        &["-", "x|y"],
        &["z"],
        "r [\n  x\n  y\n  z\n]",
    );
    check("r [a, b]", &["=", "-"], &["c"], "r [a, c]");
}

#[test]
fn leaves_everything_else_alone() {
    let before =
        "\u{feff}x: 1 # ü\r\nr [\n\ta\t,\tb ; \n".replace(" ; ", " ") + "] // end\r\nm {y 2}";
    let after = before.replace("\tb", "\tc");
    assert_eq!(array(&before, "r", &["=", "c"], &[]), Ok(after));
}

#[test]
fn edits_arrays_of_maps_and_nested_arrays() {
    check(
        "r [{a: 1}, [b], c]",
        &["=", "=", "d"],
        &["e"],
        "r [{a: 1}, [b], d, e]",
    );
    check("r [\n  {a: [x]}\n  b\n]", &["-", "="], &[], "r [\n  b\n]");
}

#[test]
fn refuses_what_it_does_not_understand() {
    let text = "r [a, b]\nr: x {";
    let document = Document::parse(text.as_bytes());
    assert_eq!(
        edit_array(&document, 2..8, &[Element::Keep], &[]),
        Err(EditError::Invalid)
    );
    let document = Document::parse(b"r [a, b]");
    assert_eq!(
        edit_array(&document, 2..7, &[], &[]),
        Err(EditError::NotFound)
    );
    assert_eq!(
        edit_array(&document, 3..4, &[], &[]),
        Err(EditError::NotFound)
    );
    assert_eq!(
        edit_array(&document, 2..8, &[Element::Keep], &[]),
        Err(EditError::Count {
            actual: 2,
            given: 1
        })
    );
    assert_eq!(
        replace_value(&document, 3..5, &string("x")),
        Err(EditError::NotFound)
    );
    assert_eq!(
        array("r [1kbb, a]", "r", &["="], &[]),
        Err(EditError::Unsafe)
    );
}

#[test]
fn inserts_in_the_style_of_the_siblings() {
    check_insert(
        "m {\n  a: 1\n  b: x\n}\n",
        Some("m"),
        "c",
        &string("y"),
        "m {\n  a: 1\n  b: x\n  c: y\n}\n",
    );
    check_insert(
        "m {\n  a = 1\n}\n",
        Some("m"),
        "c",
        &bare("2Mi"),
        "m {\n  a = 1\n  c = 2Mi\n}\n",
    );
    check_insert(
        "m {\n\ta 1\r\n\tb \"x\"\r\n}",
        Some("m"),
        "c",
        &string("y"),
        "m {\n\ta 1\r\n\tb \"x\"\r\n\tc \"y\"\r\n}",
    );
    check_insert(
        "m {a: 1, b: 2}",
        Some("m"),
        "c",
        &bare("3"),
        "m {a: 1, b: 2, c: 3}",
    );
    check_insert(
        "m { a: 1; b: 2; }",
        Some("m"),
        "c",
        &bare("3"),
        "m { a: 1; b: 2; c: 3; }",
    );
    check_insert("m { a: 1 }", Some("m"), "c", &bare("3"), "m { a: 1, c: 3 }");
    check_insert("m {}", Some("m"), "c", &bare("3"), "m {c: 3}");
    check_insert("m { }", Some("m"), "c", &string("3"), "m { c: \"3\" }");
    check_insert("m {\n}", Some("m"), "c", &bare("3"), "m {\n  c: 3\n}");
    check_insert(
        "m {\n  a: 1\n  b: 2}",
        Some("m"),
        "c",
        &bare("3"),
        "m {\n  a: 1\n  b: 2\n  c: 3}",
    );
    check_insert(
        "m {\n  a: 1 # one\n\n  # end\n}",
        Some("m"),
        "c",
        &bare("3"),
        "m {\n  a: 1 # one\n  c: 3\n\n  # end\n}",
    );
    check_insert(
        "m {\n  a: 1,\n  b: 2,\n}",
        Some("m"),
        "c",
        &bare("3"),
        "m {\n  a: 1,\n  b: 2,\n  c: 3,\n}",
    );
    check_insert(
        "m {\n  a { b: 1 }\n}",
        Some("m"),
        "c",
        &bare("3"),
        "m {\n  a { b: 1 }\n  c: 3\n}",
    );
    check_insert(
        "m { include a.conf }",
        Some("m"),
        "c",
        &bare("3"),
        "m { include a.conf; c: 3 }",
    );
}

#[test]
fn inserts_into_json() {
    check_insert(
        "{\n  \"m\": {\n    \"a\": \"b\"\n  }\n}\n",
        Some("m"),
        "c",
        &string("d"),
        "{\n  \"m\": {\n    \"a\": \"b\",\n    \"c\": \"d\"\n  }\n}\n",
    );
    check_insert(
        "{\n  \"a\": 1\n}\n",
        None,
        "c",
        &bare("true"),
        "{\n  \"a\": 1,\n  \"c\": true\n}\n",
    );
    check_insert(
        "{\"a\": {\"b\": 1}}",
        Some("a"),
        "c",
        &bare("2"),
        "{\"a\": {\"b\": 1, \"c\": 2}}",
    );
    check_insert(
        "{\"a\": {\"b\": 1}}",
        None,
        "c",
        &bare("2"),
        "{\"a\": {\"b\": 1}, \"c\": 2}",
    );
    check_insert("{}", None, "c", &bare("2"), "{c: 2}");
}

#[test]
fn inserts_at_the_top() {
    check_insert("a: 1", None, "b", &bare("2"), "a: 1\nb: 2");
    check_insert("a: 1\n", None, "b", &bare("2"), "a: 1\nb: 2\n");
    check_insert(
        "a = 1\r\n# end\r\n",
        None,
        "b",
        &bare("2"),
        "a = 1\r\nb = 2\r\n# end\r\n",
    );
    check_insert("a: 1; b: 2", None, "c", &bare("3"), "a: 1; b: 2; c: 3");
    check_insert("", None, "b", &bare("2"), "b: 2\n");
    check_insert("# c\n", None, "b", &bare("2"), "# c\nb: 2\n");
    check_insert("# c", None, "b", &bare("2"), "# c\nb: 2");
    check_insert(
        "m {\n  a: 1\n}\n",
        None,
        "b",
        &string("x"),
        "m {\n  a: 1\n}\nb: \"x\"\n",
    );
    check_insert(
        "{ a: 1 }\n{\n  b: 2\n}\n",
        None,
        "c",
        &bare("3"),
        "{ a: 1 }\n{\n  b: 2\n  c: 3\n}\n",
    );
}

#[test]
fn inserts_arrays() {
    check_insert(
        "cluster {\n  port: 6222\n}\n",
        Some("cluster"),
        "routes",
        &strings(&["nats://a:6222", "nats://b:6222"]),
        "cluster {\n  port: 6222\n  routes: [\n    \"nats://a:6222\",\n    \"nats://b:6222\"\n  ]\n}\n",
    );
    check_insert(
        "m { a: x }",
        Some("m"),
        "r",
        &strings(&["p", "q"]),
        "m { a: x, r: [p, q] }",
    );
    check_insert(
        "m { a: x }",
        Some("m"),
        "r",
        &strings(&[]),
        "m { a: x, r: [] }",
    );
}

#[test]
fn quotes_keys_that_cannot_be_bare() {
    check_insert(
        "m { a: 1 }",
        Some("m"),
        "b c",
        &bare("2"),
        "m { a: 1, \"b c\": 2 }",
    );
    check_insert(
        "m { a: 1 }",
        Some("m"),
        "include",
        &bare("2"),
        "m { a: 1, \"include\": 2 }",
    );
    check_insert(
        "m { 'a': 1 }",
        Some("m"),
        "b",
        &bare("2"),
        "m { 'a': 1, 'b': 2 }",
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b\"'c", &bare("2")),
        Err(EditError::Unsafe)
    );
}

#[test]
fn refuses_unsafe_insertions() {
    // Found by fuzzing: a variable may not be found.
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b", &bare("$")),
        Err(EditError::Unsafe)
    );
    // Found by fuzzing: the braces of blocks divide the top level, and the key may stand in another part of it.
    assert_eq!(
        insert("a: 1 }\nb: 2\n", None, "a", &bare("3")),
        Err(EditError::Exists)
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "a", &bare("2")),
        Err(EditError::Exists)
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b", &bare("2 }")),
        Err(EditError::Unsafe)
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b", &bare("x # y")),
        Err(EditError::Unsafe)
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b", &bare("")),
        Err(EditError::Unsafe)
    );
    assert_eq!(
        insert("m { a: 1 }", Some("m"), "b", &bare("1kbb")),
        Err(EditError::Unsafe)
    );
    assert_eq!(
        insert("m { a: 1 }\nx { b }", Some("m"), "d", &bare("1")),
        Err(EditError::Unsafe)
    );
}

#[test]
fn replaces_values() {
    check_replace("a: x # c", "a", &string("y"), "a: y # c");
    check_replace("a: 'x'", "a", &string("y z"), "a: 'y z'");
    check_replace("a: x'\nb: 1", "a", &string("y z"), "a: \"y z\"\nb: 1");
    check_replace("a: 1k;b:2", "a", &bare("2Mi"), "a: 2Mi;b:2");
    check_replace("m { a: {b: 1} }", "m.a", &bare("true"), "m { a: true }");
    check_replace(
        "a [\n  x,\n  y\n]",
        "a",
        &strings(&["p", "q", "r"]),
        "a [\n  p,\n  q,\n  r\n]",
    );
    check_replace("a [x, y]", "a", &strings(&["p"]), "a [p]");
    check_replace("a: ;b: 1", "a", &string("x"), "a: x;b: 1");
    check_replace("a (\nx\n)\nb: 1", "a", &string("x"), "a \"x\"\nb: 1");
}

#[test]
fn removes_keys() {
    check_remove("a: 1\nb: 2\nc: 3\n", None, "b", "a: 1\nc: 3\n");
    check_remove(
        "m {\n  a: 1\n  b: [\n   x\n  ] # of b\n}\n",
        Some("m"),
        "b",
        "m {\n  a: 1\n}\n",
    );
    check_remove(
        "{\n  \"a\": 1,\n  \"b\": 2\n}",
        None,
        "b",
        "{\n  \"a\": 1\n}",
    );
    check_remove("m { a: 1, b: 2 }", Some("m"), "b", "m { a: 1 }");
    check_remove("m { a: 1, b: 2 }", Some("m"), "a", "m { b: 2 }");
    check_remove("a: 1\nb: 2\na: 3\n", None, "a", "b: 2\n");
    check_remove("a: 1\na: 2\n\nb: 3", None, "a", "\nb: 3");
    check_remove("a: 1\r\n", None, "a", "");
    let document = Document::parse(b"a: 1\nb: $a\n");
    assert_eq!(remove_key(&document, None, "a"), Err(EditError::Unsafe));
    assert_eq!(remove_key(&document, None, "x"), Err(EditError::NotFound));
}

#[test]
fn refuses_edits_that_overlap() {
    let splice = |range: Range<usize>| Splice {
        range,
        text: b"x".to_vec(),
    };
    assert!(Edits::new(vec![splice(4..6), splice(0..4)]).is_ok());
    assert!(Edits::new(vec![splice(4..6), splice(0..5)]).is_err());
    assert!(Edits::new(vec![splice(2..2), splice(2..2)]).is_err());
    let edits = Edits::new(vec![splice(4..6), splice(0..1)]).expect("apart");
    assert_eq!(edits.apply(b"abcdefg"), b"xbcdxg");
    assert!(
        edits
            .union(Edits::new(vec![splice(5..7)]).expect("one"))
            .is_err()
    );
}

#[test]
fn knows_templates() {
    for text in [
        "a: {{ .X }}",
        "a: ${X}",
        "{{TLS}}",
        "r: [{{.Routes}}]",
        "a: \"{{x}}\"",
        "a [\n{{ range }}\n]",
        "a: $\n${x}",
        "x\n\n{{x}}",
    ] {
        assert!(is_template(text.as_bytes()), "{text}");
    }
    for text in [
        "a: 1",
        "# {{ x }}\na: $X",
        "a: 1 // ${x}",
        "a { { b",
        "a { b { c: 1 } }",
        "a: ] x\n# {{x}}\n // ${x}",
    ] {
        assert!(!is_template(text.as_bytes()), "{text}");
    }
}
