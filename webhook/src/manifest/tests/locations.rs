//! Positions of pointers and of bytes in strings.

use super::super::Location;
use super::{line, read};

fn at(line: usize, column: usize) -> Location {
    Location { line, column }
}

#[test]
fn a_member_is_at_its_key_and_an_item_at_itself() {
    let manifest =
        read("\u{feff}# é\nä: {b: 1, \"c/d\": [x,  y]}\nlist:\n  - name: z\n  -   q\n---\nb: 1\n");
    assert_eq!(manifest.locate(0, ""), at(2, 1));
    assert_eq!(manifest.locate(0, "/ä"), at(2, 1));
    assert_eq!(manifest.locate(0, "/ä/b"), at(2, 5));
    assert_eq!(manifest.locate(0, "/ä/c~1d/1"), at(2, 23));
    assert_eq!(manifest.locate(0, "/list/0"), at(4, 5));
    assert_eq!(manifest.locate(0, "/list/0/name"), at(4, 5));
    assert_eq!(manifest.locate(0, "/list/1"), at(5, 7));
    assert_eq!(manifest.locate(1, "/b"), at(7, 1));
}

#[test]
fn what_is_not_there_is_at_its_nearest_parent() {
    let manifest = read("a:\n  b: 1\nc:\n- d\n");
    assert_eq!(manifest.locate(0, "/a/x/y"), at(1, 1));
    assert_eq!(manifest.locate(0, "/c/7"), at(3, 1));
    assert_eq!(manifest.locate(0, "/a/b/c"), at(2, 3));
    assert_eq!(manifest.locate(7, "/a"), at(1, 1));
}

#[test]
fn aliases_and_merge_keys_lead_to_their_text() {
    let manifest = read("a: &x\n  k: v\nb: *x\nc:\n  <<: *x\n");
    assert_eq!(manifest.locate(0, "/b"), at(3, 1));
    assert_eq!(manifest.locate(0, "/b/k"), at(2, 3));
    assert_eq!(manifest.locate(0, "/c/k"), at(2, 3));
    assert_eq!(manifest.locate_in_text(0, "/c/k", 0), at(2, 6));
}

#[test]
fn a_byte_of_a_literal_block_is_on_its_line() {
    let manifest = read("data:\n  nats.conf: |\n    port: 1\n\n    é: x\n      deep\n");
    let text = "port: 1\n\né: x\n  deep\n";
    assert_eq!(manifest.documents()[0].value["data"]["nats.conf"], text);
    let find = |part: &str| manifest.locate_in_text(0, "/data/nats.conf", text.find(part).unwrap());
    assert_eq!(find("port"), at(3, 5));
    assert_eq!(find("1"), at(3, 11));
    assert_eq!(find("é"), at(5, 5));
    assert_eq!(find("x"), at(5, 8));
    assert_eq!(find("deep"), at(6, 7));
    assert_eq!(line(&manifest, 5), "    é: x");
    assert_eq!(line(&manifest, 99), "");
    assert_eq!(line(&manifest, 0), "");
}

#[test]
fn a_byte_of_a_quoted_scalar_is_where_its_escape_is() {
    let manifest =
        read("a: \"x\\ny\\u00e9z\n  fold\\\n  ed\"\nb: 'it''s'\nc: p\n  q\nd: >\n  one\n  two\n");
    let text = "x\nyéz folded";
    assert_eq!(manifest.documents()[0].value["a"], text);
    let find = |part: &str| manifest.locate_in_text(0, "/a", text.find(part).unwrap());
    assert_eq!(find("x"), at(1, 5));
    assert_eq!(find("\n"), at(1, 6));
    assert_eq!(find("y"), at(1, 8));
    assert_eq!(find("é"), at(1, 9));
    assert_eq!(find("z"), at(1, 15));
    assert_eq!(find("fold"), at(2, 3));
    assert_eq!(find("ed"), at(3, 3));
    assert_eq!(manifest.locate_in_text(0, "/b", 3), at(4, 9));
    assert_eq!(manifest.locate_in_text(0, "/c", 2), at(6, 3));
    assert_eq!(manifest.locate_in_text(0, "/d", 4), at(9, 3));
    assert_eq!(manifest.locate_in_text(0, "/missing", 4), at(1, 1));
    assert_eq!(manifest.locate_in_text(0, "/c", 9999), at(6, 4));
}
