//! The memory that JSON takes once it is parsed. An object of a megabyte may take a hundred: `{"name":"a"},` a hundred
//! thousand times.

use serde_json::Value;

/// Nothing heavier is parsed. It is many times what real objects come to.
pub(crate) const MAX_OBJECT: usize = 6 << 20;

/// A map with something in it: its first node.
const MAP: usize = 640;

/// So many entries share a node in the worst case.
const NODE: usize = 5;

/// A value in its place, twice: arrays grow by doubling.
const ITEM: usize = 64;

/// What a text takes beside its bytes.
const TEXT: usize = 48;

/// About what a text of JSON will take, told without parsing it: rather more than less.
pub(crate) fn of_text(text: &str) -> usize {
    let (mut heft, mut is_inside, mut is_escaped) = (text.len(), false, false);
    for byte in text.bytes() {
        if is_inside {
            is_inside = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        heft += match byte {
            b'"' => {
                is_inside = true;
                TEXT
            }
            b'{' => MAP,
            b'[' => ITEM * 4,
            b',' => ITEM + MAP / NODE,
            _ => 0,
        };
    }
    heft
}

/// About what a value takes.
pub(crate) fn of(value: &Value) -> usize {
    ITEM + match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => TEXT + text.len(),
        Value::Array(items) => items.iter().map(of).sum(),
        Value::Object(map) => {
            let entries: usize = map.iter().map(|(key, value)| key.len() + of(value)).sum();
            entries + map.len().div_ceil(NODE) * MAP
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_no_lighter_than_what_it_becomes() {
        for (text, least) in [
            (r#"{"name":"a"},"#.repeat(1000), 1000 * 700),
            ("[],".repeat(1000), 1000 * 64),
            (r#""a","#.repeat(1000), 1000 * 100),
        ] {
            let text = format!("[{text}null]");
            let value: Value = serde_json::from_str(&text).unwrap();
            let (told, is) = (of_text(&text), of(&value));
            assert!(is >= least && told >= is, "{told} {is} {least}");
        }
    }

    #[test]
    fn what_stands_in_a_text_weighs_its_length() {
        let text = serde_json::to_string(&"{\"a\\\",\": [{,,,}]}".repeat(1000)).unwrap();
        assert_eq!(of_text(&text), text.len() + TEXT);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(of(&value) <= text.len() + TEXT + ITEM);
    }
}
