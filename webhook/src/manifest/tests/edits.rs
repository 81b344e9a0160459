//! Edits with the exact text they give.

use serde_json::json;

use super::super::{Manifest, PatchError};
use super::{line, patch, patched, read, refused};

#[test]
fn an_empty_patch_leaves_every_byte() {
    let text = "\u{feff}# a\n--- # b\na:   1\t \n\n...\n%YAML 1.2\n---\nb: 'x'\r\n# end";
    let mut manifest = read(text);
    for document in 0..2 {
        manifest.patch(document, &patch(json!([]))).unwrap();
        let same = patch(
            json!([{"op": "test", "path": "", "value": manifest.documents()[document].value}]),
        );
        manifest.patch(document, &same).unwrap();
    }
    assert_eq!(manifest.bytes(), text.as_bytes());
}

#[test]
fn one_line_of_a_literal_block_changes_and_the_others_stay() {
    let text = "data:\n  nats.conf: |  # config\n    port: 4222\n\n    cluster {\n      \tname: a\n   \n    }\n\nkind: x # y\n";
    let new = "port: 4222\n\ncluster {\n  \tname: b\n  extra: 1\n\n}\n";
    assert_eq!(
        patched(
            text,
            json!([{"op": "replace", "path": "/data/nats.conf", "value": new}])
        ),
        "data:\n  nats.conf: |  # config\n    port: 4222\n\n    cluster {\n      \tname: b\n      extra: 1\n   \n    }\n\nkind: x # y\n"
    );
}

#[test]
fn a_literal_block_keeps_its_line_breaks() {
    let text = "a: |-\r\n  x\r\n  y\r\nb: 1\r\n";
    let changed = patched(
        text,
        json!([{"op": "replace", "path": "/a", "value": "x\nz\ny"}]),
    );
    assert_eq!(changed, "a: |-\r\n  x\r\n  z\r\n  y\r\nb: 1\r\n");
}

#[test]
fn the_chomping_follows_the_last_line_breaks() {
    let replace = |text: &str, new: &str| {
        patched(text, json!([{"op": "replace", "path": "/a", "value": new}]))
    };
    assert_eq!(replace("a: |\n  x\nb: 1\n", "y"), "a: |-\n  y\nb: 1\n");
    assert_eq!(replace("a: |-\n  x\nb: 1\n", "y\n"), "a: |\n  y\nb: 1\n");
    assert_eq!(
        replace("a: |\n  x\nb: 1\n", "y\n\n"),
        "a: |+\n  y\n\nb: 1\n"
    );
    assert_eq!(
        replace("a: |\n  x\n\nb: 1\n", "y\n\n"),
        "a: \"y\\n\\n\"\n\nb: 1\n"
    );
    assert_eq!(
        replace("a: |+\n  x\n\n\nb: 1\n", "y\n\n\n"),
        "a: |+\n  y\n\n\nb: 1\n"
    );
    assert_eq!(
        replace("a: |+\n  x\n\n\nb: 1\n", "x\n\n"),
        "a: |+\n  x\n\nb: 1\n"
    );
    assert_eq!(replace("a: |+\n  x\n\nb: 1\n", "y\n"), "a: |+\n  y\nb: 1\n");
    assert_eq!(replace("a: |\n  x", "y"), "a: |\n  y");
    assert_eq!(replace("a: |\n  x", "x\n"), "a: |\n  x\n");
}

#[test]
fn a_block_that_begins_with_a_blank_gets_a_digit() {
    let replace = |text: &str, new: &str| {
        patched(text, json!([{"op": "replace", "path": "/a", "value": new}]))
    };
    assert_eq!(
        replace("a: |\n    x\n", "  y\nx\n"),
        "a: |4\n      y\n    x\n"
    );
    assert_eq!(
        replace("a: |2-\n   x\n  y\n", " x\nz"),
        "a: |2-\n   x\n  z\n"
    );
}

#[test]
fn what_no_block_can_hold_is_quoted() {
    let replace = |new: &str| {
        patched(
            "a: |\n  x\nb: 1\n",
            json!([{"op": "replace", "path": "/a", "value": new}]),
        )
    };
    assert_eq!(replace("bell\u{7}\n"), "a: \"bell\\u0007\\n\"\nb: 1\n");
    assert_eq!(replace("a\r\nb\n"), "a: \"a\\r\\nb\\n\"\nb: 1\n");
    assert_eq!(replace(""), "a: \"\"\nb: 1\n");
    assert_eq!(replace("\n\n"), "a: \"\\n\\n\"\nb: 1\n");
    assert_eq!(replace("\tx\n"), "a: \"\\tx\\n\"\nb: 1\n");
}

#[test]
fn a_folded_block_changes_in_place_or_becomes_a_literal_one() {
    let text = "a: >-\n  one two\n  three\n\n  four\n";
    let replace = |new: &str| patched(text, json!([{"op": "replace", "path": "/a", "value": new}]));
    assert_eq!(
        replace("one 2 three\nfour"),
        "a: >-\n  one 2\n  three\n\n  four\n"
    );
    assert_eq!(
        replace("other\nlines\nhere"),
        "a: |-\n  other\n  lines\n  here\n"
    );
}

#[test]
fn a_double_quoted_scalar_keeps_its_escapes() {
    let text = "a: \"tab\\there \\u00e9 and\\\n   folded\n   text\" # c\n";
    assert_eq!(
        patched(
            text,
            json!([{"op": "replace", "path": "/a", "value": "tab\there é \"or\" folded text"}])
        ),
        "a: \"tab\\there \\u00e9 \\\"or\\\" \\\n   folded\n   text\" # c\n"
    );
}

#[test]
fn quotes_stay_what_they_are() {
    let replace = |text: &str, new: &str| {
        patched(text, json!([{"op": "replace", "path": "/a", "value": new}]))
    };
    assert_eq!(
        replace("a: 'it''s old' # c\n", "it's new's"),
        "a: 'it''s new''s' # c\n"
    );
    assert_eq!(replace("a: 'x'\n", "two\nlines"), "a: \"two\\nlines\"\n");
    assert_eq!(replace("a: x  # c\n", "z"), "a: z  # c\n");
    assert_eq!(replace("a: x\n", "yes"), "a: \"yes\"\n");
    assert_eq!(replace("a: x\n", "0x10"), "a: \"0x10\"\n");
    assert_eq!(replace("a: x\n", "12:30"), "a: \"12:30\"\n");
    assert_eq!(replace("a: x\n", "k: v"), "a: \"k: v\"\n");
    assert_eq!(replace("a: \"\"\n", "x"), "a: \"x\"\n");
    assert_eq!(
        replace("a: one\n  two # c\n", "one three"),
        "a: one\n  three # c\n"
    );
    assert_eq!(replace("a: [x, 'y']\n", "gone"), "a: gone\n");
}

#[test]
fn numbers_booleans_and_null_are_replaced() {
    let text = "a: 1 # n\nb: true\nc: ~\nd:\ne:  # none\n";
    let changed = patched(
        text,
        json!([
            {"op": "replace", "path": "/a", "value": 2.5},
            {"op": "replace", "path": "/b", "value": false},
            {"op": "replace", "path": "/c", "value": "x"},
            {"op": "replace", "path": "/d", "value": 7},
            {"op": "replace", "path": "/e", "value": true},
        ]),
    );
    assert_eq!(
        changed,
        "a: 2.5 # n\nb: false\nc: x\nd: 7\ne: true  # none\n"
    );
}

#[test]
fn base64_keeps_its_style_and_its_width() {
    let line = "QUJD".repeat(16);
    let new = "REVG".repeat(40);
    let text = format!("data:\n  a: |\n    {line}\n    {line}\n    QUJD\n  b: {line}\n");
    let changed = patched(
        &text,
        json!([
            {"op": "replace", "path": "/data/a", "value": new},
            {"op": "replace", "path": "/data/b", "value": new},
        ]),
    );
    let wrapped = "REVG".repeat(16);
    let rest = "REVG".repeat(8);
    assert_eq!(
        changed,
        format!("data:\n  a: |\n    {wrapped}\n    {wrapped}\n    {rest}\n  b: {new}\n")
    );
}

#[test]
fn a_key_comes_after_the_last_one_of_its_mapping() {
    let text = "a:\n  b: 1 # x\n  # c: 2\n\n    # deep\n\n# tail\n---\nz: 1\n";
    let changed = patched(
        text,
        json!([{"op": "add", "path": "/a/d", "value": [1]}, {"op": "add", "path": "/e", "value": {}}]),
    );
    assert_eq!(
        changed,
        "a:\n  b: 1 # x\n  # c: 2\n\n    # deep\n  d:\n  - 1\ne: {}\n\n# tail\n---\nz: 1\n"
    );
}

#[test]
fn an_added_value_takes_the_style_of_the_document() {
    let text = "args:\n  - \"a\"\nspec:\n  affinity:\n    podAffinity:\n\n    podAntiAffinity: \n    nodeAffinity:\n";
    let term = json!({"x": [{"weight": 1, "on": "yes", "text": "two\nlines\n"}], "e": [], "m": {}});
    let changed = patched(
        text,
        json!([
            {"op": "add", "path": "/spec/affinity/podAntiAffinity", "value": term},
            {"op": "add", "path": "/args/-", "value": "--flag"},
        ]),
    );
    assert_eq!(
        changed,
        "args:\n  - \"a\"\n  - \"--flag\"\nspec:\n  affinity:\n    podAffinity:\n\n    podAntiAffinity:\n      e: []\n      m: {}\n      \
         x:\n        - \"on\": \"yes\"\n          text: |\n            two\n            lines\n          weight: 1\n    nodeAffinity:\n"
    );
}

#[test]
fn empty_collections_become_blocks() {
    let text = "a: {} # none\nb: []\nc:\n- {}\n- x\n";
    let changed = patched(
        text,
        json!([
            {"op": "add", "path": "/a/k", "value": {"v": 1}},
            {"op": "add", "path": "/b/-", "value": "x"},
            {"op": "add", "path": "/c/0/k", "value": 1},
            {"op": "add", "path": "/c/0/l", "value": 2},
        ]),
    );
    assert_eq!(
        changed,
        "a: # none\n  k:\n    v: 1\nb:\n- x\nc:\n- k: 1\n  l: 2\n- x\n"
    );
}

#[test]
fn flow_collections_stay_on_their_line() {
    let text = "a: {b: 1, c: [x, 'y']} # z\nd: [\"p\"]\ne: [1, 2,]\n";
    let changed = patched(
        text,
        json!([
            {"op": "add", "path": "/a/d", "value": {"k": "v, w"}},
            {"op": "remove", "path": "/a/b"},
            {"op": "add", "path": "/a/c/0", "value": "first"},
            {"op": "add", "path": "/d/-", "value": "q"},
            {"op": "remove", "path": "/e/1"},
        ]),
    );
    assert_eq!(
        changed,
        "a: {c: [first, x, 'y'], d: {k: \"v, w\"}} # z\nd: [\"p\", \"q\"]\ne: [1,]\n"
    );
}

#[test]
fn json_stays_json() {
    let text =
        "{\n    \"a\": {\"x\": 1},\n    \"b\": [\n        \"y\"\n    ],\n    \"c\": null\n}\n";
    let changed = patched(
        text,
        json!([
            {"op": "add", "path": "/a/z", "value": "yes"},
            {"op": "add", "path": "/b/-", "value": {"k": []}},
            {"op": "replace", "path": "/c", "value": {"n": [1]}},
            {"op": "add", "path": "/d", "value": true},
        ]),
    );
    assert_eq!(
        changed,
        "{\n    \"a\": {\"x\": 1, \"z\": \"yes\"},\n    \"b\": [\n        \"y\",\n        {\n            \"k\": []\n        }\n    ],\n    \
         \"c\": {\n        \"n\": [\n            1\n        ]\n    },\n    \"d\": true\n}\n"
    );
    assert!(serde_json::from_str::<serde_json::Value>(&changed).is_ok());
    assert_eq!(
        patched(
            "{\"a\":1,\"b\":[]}",
            json!([{"op": "add", "path": "/c", "value": {"d": [1, 2]}}, {"op": "remove", "path": "/a"}])
        ),
        "{\"b\":[],\"c\":{\"d\":[1,2]}}"
    );
}

#[test]
fn a_removed_key_takes_its_lines_along() {
    let text = "a: 1 # one\n# about b\nb:\n  - x\n  - y # why\nc: |\n  text\n\nd: 1\n";
    assert_eq!(
        patched(
            text,
            json!([{"op": "remove", "path": "/b"}, {"op": "remove", "path": "/c"}])
        ),
        "a: 1 # one\n# about b\n\nd: 1\n"
    );
    assert_eq!(
        patched("a: 1\nb: 2", json!([{"op": "remove", "path": "/b"}])),
        "a: 1"
    );
    assert_eq!(
        patched("a:\n  b: 1\n", json!([{"op": "remove", "path": "/a/b"}])),
        "a: {}\n"
    );
    assert_eq!(
        patched(
            "a: # c\n  b: 1\n",
            json!([{"op": "remove", "path": "/a/b"}])
        ),
        "a: {} # c\n"
    );
}

#[test]
fn the_line_of_a_dash_stays_when_its_key_goes() {
    let text = "- name: x # c\n  image: y\n- name: z\n  # about image\n  image: w\n- only: 1\n";
    let changed = patched(
        text,
        json!([
            {"op": "remove", "path": "/0/name"},
            {"op": "remove", "path": "/1/name"},
            {"op": "remove", "path": "/2/only"},
        ]),
    );
    assert_eq!(
        changed,
        "- image: y\n-\n  # about image\n  image: w\n- {}\n"
    );
}

#[test]
fn items_are_added_and_removed_where_the_patch_says() {
    let text = "a:\n# first\n- x # 1\n- x # 2\n- y\nb:\n  - - p\n    - q\n";
    assert_eq!(
        patched(
            text,
            json!([{"op": "remove", "path": "/a/1"}, {"op": "add", "path": "/a/0", "value": "w"}])
        ),
        "a:\n# first\n- w\n- x # 1\n- y\nb:\n  - - p\n    - q\n"
    );
    assert_eq!(
        patched(
            text,
            json!([{"op": "add", "path": "/b/0/0", "value": {"k": 1, "l": 2}}, {"op": "remove", "path": "/b/0/1"}])
        ),
        "a:\n# first\n- x # 1\n- x # 2\n- y\nb:\n  - - k: 1\n      l: 2\n    - q\n"
    );
    assert_eq!(
        patched(text, json!([{"op": "remove", "path": "/b/0/0"}])),
        "a:\n# first\n- x # 1\n- x # 2\n- y\nb:\n  - - q\n"
    );
}

#[test]
fn a_whole_value_is_replaced_with_as_little_change_as_possible() {
    let text = "a:\n  b: 1 # keep\n  c: 2\n  d: [1, 2, 3]\ne: 1\n";
    let changed = patched(
        text,
        json!([{"op": "replace", "path": "/a", "value": {"b": 1, "d": [1, 3], "f": null}}]),
    );
    assert_eq!(changed, "a:\n  b: 1 # keep\n  d: [1, 3]\n  f: null\ne: 1\n");
    assert_eq!(
        patched(
            text,
            json!([{"op": "replace", "path": "/a", "value": ["x"]}, {"op": "replace", "path": "/e", "value": {"k": 1}}])
        ),
        "a:\n- x\ne:\n  k: 1\n"
    );
    assert_eq!(
        patched(text, json!([{"op": "replace", "path": "/a", "value": 5}])),
        "a: 5\ne: 1\n"
    );
}

#[test]
fn only_the_patched_document_changes() {
    let text = "# head\n---\nkind: List\nitems:\n- a: 1\n  b: {}\n--- # two\na: 1\n...\n# three\n---\na: 1";
    let mut manifest = read(text);
    manifest
        .patch(
            0,
            &patch(json!([{"op": "add", "path": "/items/0/c", "value": 1}])),
        )
        .unwrap();
    manifest
        .patch(2, &patch(json!([{"op": "add", "path": "/c", "value": 1}])))
        .unwrap();
    manifest
        .patch(1, &patch(json!([{"op": "add", "path": "/c", "value": 1}])))
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(manifest.bytes()),
        "# head\n---\nkind: List\nitems:\n- a: 1\n  b: {}\n  c: 1\n--- # two\na: 1\nc: 1\n...\n# three\n---\na: 1\nc: 1"
    );
    assert_eq!(manifest.locate(2, "/c").line, 15);
    assert_eq!(line(&manifest, 15), "c: 1");
}

#[test]
fn a_missing_last_line_break_stays_missing() {
    let add = |text: &str| {
        patched(
            text,
            json!([{"op": "add", "path": "/z", "value": "a\nb\n"}]),
        )
    };
    assert_eq!(add("a: 1"), "a: 1\nz: \"a\\nb\\n\"");
    assert_eq!(add("a: |\n  x"), "a: |-\n  x\nz: \"a\\nb\\n\"");
    assert_eq!(add("a: 1\r\n"), "a: 1\r\nz: |\r\n  a\r\n  b\r\n");
}

#[test]
fn a_byte_order_mark_stays() {
    let text = "\u{feff}a: 1\nc: 2\n";
    assert_eq!(
        patched(
            text,
            json!([{"op": "add", "path": "/b", "value": 1}, {"op": "remove", "path": "/c"}])
        ),
        "\u{feff}a: 1\nb: 1\n"
    );
    assert_eq!(
        patched(text, json!([{"op": "remove", "path": "/a"}])),
        "\u{feff}c: 2\n"
    );
    assert_eq!(
        patched(
            "\u{feff}# x\na: 1\n",
            json!([{"op": "remove", "path": "/a"}])
        ),
        "\u{feff}# x\n{}\n"
    );
}

#[test]
fn shared_values_are_refused() {
    let text = "a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n  z: 1\n";
    for (path, line) in [("/a/k", 1), ("/a", 1), ("/b/k", 3)] {
        let error = refused(text, json!([{"op": "replace", "path": path, "value": 2}]));
        assert!(
            matches!(&error, PatchError::Shared { line: at, .. } if *at == line),
            "{path}: {error}"
        );
        assert!(
            error
                .to_string()
                .starts_with(&format!("file.yaml:{line}: ")),
            "{error}"
        );
    }
    let error = refused(text, json!([{"op": "replace", "path": "/c/k", "value": 2}]));
    assert!(
        matches!(error, PatchError::Merged { line: 5, .. }),
        "{error}"
    );
    assert!(matches!(
        refused(text, json!([{"op": "remove", "path": "/a"}])),
        PatchError::Shared { .. }
    ));
    assert_eq!(
        patched(text, json!([{"op": "add", "path": "/c/w", "value": 2}])),
        "a: &x\n  k: 1\nb: *x\nc:\n  <<: *x\n  z: 1\n  w: 2\n"
    );
    assert_eq!(
        patched(text, json!([{"op": "replace", "path": "/b", "value": 2}])),
        "a: &x\n  k: 1\nb: 2\nc:\n  <<: *x\n  z: 1\n"
    );
}

#[test]
fn an_anchor_without_aliases_stays_before_its_value() {
    assert_eq!(
        patched(
            "a: &x {}\nb: 1\n",
            json!([{"op": "replace", "path": "/a", "value": {"k": 1}}])
        ),
        "a: &x\n  k: 1\nb: 1\n"
    );
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let tagged = refused(
        "a: !x 1\n",
        json!([{"op": "replace", "path": "/a", "value": 2}]),
    );
    assert!(
        matches!(tagged, PatchError::Unsupported { line: 1, .. }),
        "{tagged}"
    );
    let moved = refused(
        "a: 1\n",
        json!([{"op": "move", "from": "/a", "path": "/b"}]),
    );
    assert!(matches!(moved, PatchError::Unsupported { .. }), "{moved}");
    let alone = refused(
        "a: {b}\n",
        json!([{"op": "replace", "path": "/a/b", "value": 2}]),
    );
    assert!(matches!(alone, PatchError::Unsupported { .. }), "{alone}");
    let misfit = refused("a: 1\n", json!([{"op": "remove", "path": "/b"}]));
    assert!(matches!(misfit, PatchError::Misfit(_)), "{misfit}");
    let test = refused("a: 1\n", json!([{"op": "test", "path": "/a", "value": 2}]));
    assert!(matches!(test, PatchError::Misfit(_)), "{test}");
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let deep = refused(
        "a: 1\n",
        json!([{"op": "add", "path": "/b", "value": deep}]),
    );
    assert!(matches!(deep, PatchError::TooDeep { .. }), "{deep}");
    let none = Manifest::read("x", Vec::new())
        .unwrap()
        .patch(0, &patch(json!([])))
        .unwrap_err();
    assert!(matches!(none, PatchError::NoDocument { document: 0 }));
}
