//! Random values in random styles with random patches.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::super::Manifest;
use super::super::emit;

/// Decisions of the renderer and of the mutation; ends in zeros.
struct Choices<'a> {
    left: std::slice::Iter<'a, u8>,
}

impl Choices<'_> {
    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.left.next().copied().unwrap_or(0)) % limit
    }

    fn one_in(&mut self, chance: usize) -> bool {
        self.below(chance) == 1
    }
}

struct Renderer<'a> {
    choices: Choices<'a>,
    eol: &'static str,
    sequence: usize,
    /// Blank lines would become part of a `|+` block.
    blank_lines: bool,
}

impl Renderer<'_> {
    fn scalar(&mut self, value: &Value, column: usize, in_flow: bool) -> String {
        let Value::String(text) = value else {
            return value.to_string();
        };
        let plain = emit::plain_fits(text, in_flow);
        let literal = !in_flow && emit::literal_fits(text);
        match self.choices.below(4) {
            0 if plain => text.clone(),
            1 if !text.chars().any(|c| c.is_control() || c == '\u{feff}') => {
                format!("'{}'", text.replace('\'', "''"))
            }
            2 if literal => {
                let digit = emit::needs_digit(text).then_some(2);
                self.blank_lines &= !text.ends_with("\n\n");
                emit::literal(text, column, digit, self.eol)
            }
            _ => emit::double_quoted(text),
        }
    }

    fn flow(&mut self, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let items: Vec<_> = items.iter().map(|item| self.flow(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Value::Object(map) => {
                let mut members = Vec::new();
                for (key, value) in map {
                    members.push(format!(
                        "{}: {}",
                        emit::plain_or_quoted(key, true),
                        self.flow(value)
                    ));
                }
                let members = members.join(", ");
                if self.choices.one_in(2) {
                    format!("{{ {members} }}")
                } else {
                    format!("{{{members}}}")
                }
            }
            _ => self.scalar(value, 0, true),
        }
    }

    fn noise(&mut self, column: usize) -> String {
        let indent = " ".repeat(column);
        match self.choices.below(8) {
            1 => format!("{indent}# note{}", self.eol),
            2 if self.blank_lines => self.eol.to_owned(),
            _ => String::new(),
        }
    }

    fn trailing(&mut self, text: &str) -> String {
        let block = text.trim_start().starts_with('|');
        if !block && self.choices.one_in(6) {
            " # why".to_owned()
        } else {
            String::new()
        }
    }

    fn block(&mut self, value: &Value, column: usize, first_in_line: bool) -> String {
        let mut out = String::new();
        let mut begun = !first_in_line;
        let mut line = |this: &mut Self, out: &mut String| {
            if begun {
                let noise = this.noise(column);
                out.push_str(&noise);
                out.push_str(&" ".repeat(column));
            }
            begun = true;
        };
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    line(self, &mut out);
                    out.push_str(&self.member(key, value, column));
                }
            }
            Value::Array(items) => {
                for value in items {
                    line(self, &mut out);
                    out.push('-');
                    if is_block(value) && !self.choices.one_in(4) {
                        out.push(' ');
                        out.push_str(&self.block(value, column + 2, true));
                    } else {
                        out.push_str(&self.leaf(value, column));
                    }
                }
            }
            _ => {}
        }
        out
    }

    fn leaf(&mut self, value: &Value, column: usize) -> String {
        if value.is_null() && self.choices.one_in(2) {
            return self.eol.to_owned();
        }
        let text = if value.is_array() || value.is_object() {
            self.flow(value)
        } else {
            self.scalar(value, column + 2, false)
        };
        let trailing = self.trailing(&text);
        format!(" {text}{trailing}{}", self.eol)
    }

    fn member(&mut self, key: &str, value: &Value, column: usize) -> String {
        let key = emit::plain_or_quoted(key, false);
        if is_block(value) && !self.choices.one_in(4) {
            let deeper = if value.is_array() {
                self.sequence
            } else {
                1 + self.choices.below(4)
            };
            let comment = if self.choices.one_in(6) {
                " # here"
            } else {
                ""
            };
            let block = self.block(value, column + deeper, false);
            return format!("{key}:{comment}{}{block}", self.eol);
        }
        format!("{key}:{}", self.leaf(value, column))
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

/// The text of each member.
fn render(members: &Map<String, Value>, choices: &[u8]) -> Vec<(String, String)> {
    let mut choices = Choices {
        left: choices.iter(),
    };
    let eol = if choices.one_in(4) { "\r\n" } else { "\n" };
    let sequence = if choices.one_in(2) { 2 } else { 0 };
    let mut renderer = Renderer {
        choices,
        eol,
        sequence,
        blank_lines: true,
    };
    let mut chunks = Vec::new();
    for (key, value) in members {
        chunks.push((key.clone(), renderer.member(key, value, 0)));
    }
    chunks
}

fn mutate(value: &mut Value, choices: &mut Choices<'_>, spare: &Value) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let key = map
                .keys()
                .nth(choices.below(map.len()))
                .cloned()
                .unwrap_or_default();
            match choices.below(6) {
                0 => {
                    map.remove(&key);
                }
                1 => {
                    map.insert(format!("new-{}", choices.below(9)), spare.clone());
                }
                2 => {
                    map.insert(key, spare.clone());
                }
                _ => mutate(&mut map[&key], choices, spare),
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let index = choices.below(items.len());
            match choices.below(6) {
                0 => {
                    items.remove(index);
                }
                1 => items.insert(index, spare.clone()),
                2 => items.push(spare.clone()),
                _ => mutate(&mut items[index], choices, spare),
            }
        }
        Value::String(text) if choices.below(4) > 0 => {
            let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
            let index = choices.below(lines.len());
            match choices.below(4) {
                0 => lines[index].push_str("more"),
                1 => lines.insert(index, "  another: line".to_owned()),
                2 if lines.len() > 1 => {
                    lines.remove(index);
                }
                _ => lines[index].insert(0, 'ä'),
            }
            *text = lines.join("\n");
        }
        _ => *value = spare.clone(),
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z]{1,8}",
        1 => prop::sample::select(vec![
            "", "true", "no", "~", "1", "0x1f", "1e3", "12:30:00", "2020-01-01", "- a", "a: b", "a #b", "#", "it's",
            "\"q\"", "\\n", " lead", "trail ", "tab\tin", "\ttab", "a\r", "\u{7}", "é€😀", "{a}", "[", "a, b", "*x", "&x",
            "!t", "%", "@", "`", "---", "...", "=", "<<", "null", ".5", "a:", ":a", "-", "?", "|", ">",
        ]).prop_map(str::to_owned),
        2 => prop::collection::vec(
            prop::sample::select(vec!["line", "", "  indented", "x: {", "# not a comment", "}", " ", "\ttabbed", "é", "trail "]),
            1..6,
        ).prop_map(|lines| lines.join("\n")),
        1 => prop::collection::vec(prop::sample::select(vec!["line", "", "", "other"]), 1..5)
            .prop_map(|lines| lines.join("\n") + "\n"),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|n| json!(f64::from(n) / 8.0 + 0.0625)),
        text().prop_map(Value::from),
        text().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            members(inner, 0..4).prop_map(Value::from),
        ]
    })
}

fn members(
    inner: impl Strategy<Value = Value>,
    size: impl Into<prop::collection::SizeRange>,
) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![8 => "[a-z]{1,6}", 1 => prop::sample::select(vec!["a b", "a/b", "~", "1", "on", "x: y", ""]).prop_map(str::to_owned)];
    prop::collection::btree_map(key, inner, size).prop_map(|map| map.into_iter().collect())
}

fn cases() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_patch_gives_its_value_and_touches_nothing_else(
        old in members(any_value(), 1..5),
        spare in any_value(),
        other in any_value(),
        choices in prop::collection::vec(any::<u8>(), 60),
        mutations in prop::collection::vec(any::<u8>(), 30),
        tail in 0_u8..4,
    ) {
        let chunks = render(&old, &choices);
        let mut text: String = chunks.iter().map(|(_, chunk)| chunk.as_str()).collect();
        match tail {
            0 => text.insert_str(0, "# head\n---\n"),
            1 => text.push_str("---\nkind: Other\n"),
            2 if !text.ends_with("\n\n") && !text.ends_with("\r\n\r\n") => text.truncate(text.trim_end_matches(['\n', '\r']).len()),
            _ => {}
        }
        let mut manifest = Manifest::read("x", text.clone().into_bytes()).map_err(|error| {
            TestCaseError::fail(format!("{error}\n{text}"))
        })?;
        let before = manifest.documents()[0].value.clone();
        if tail != 2 {
            prop_assert_eq!(&before, &Value::Object(old), "{}", text);
        }
        let mut choices = Choices { left: mutations.iter() };
        let mut wanted = before.clone();
        mutate(&mut wanted, &mut choices, &spare);
        mutate(&mut wanted, &mut choices, &other);
        let patch = json_patch::diff(&before, &wanted);
        match manifest.patch(0, &patch) {
            Ok(()) => {
                let after = String::from_utf8(manifest.bytes().to_vec()).expect("UTF-8");
                let again = Manifest::read("x", after.clone().into_bytes()).map_err(|error| {
                    TestCaseError::fail(format!("{error}\n{after}"))
                })?;
                prop_assert_eq!(&again.documents()[0].value, &wanted, "{}\n--\n{}", text, after);
                prop_assert_eq!(again.documents().len(), manifest.documents().len());
                // A block scalar that ends with the file has to say so when something comes after it.
                let certain = chunks.len() - usize::from(tail == 2);
                for (key, chunk) in chunks.into_iter().take(certain) {
                    if wanted.get(&key).is_some() && before.get(&key) == wanted.get(&key) {
                        let chunk = chunk.trim_end_matches(['\n', '\r']);
                        prop_assert!(after.contains(chunk), "{key}\n{text}\n--\n{after}");
                    }
                }
                for comment in text.lines().filter(|line| line.starts_with("# head") || *line == "---") {
                    prop_assert!(after.contains(comment));
                }
            }
            Err(error) => {
                prop_assert_eq!(manifest.bytes(), text.as_bytes());
                prop_assert!(false, "{error}\n{patch}\n{text}");
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic_or_lie(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "a", "b", "c", ": ", ":", "- ", "\n", "\n ", "\n  ", "\n    ", "\r\n", "\r", "|", "|-", "|+", ">", ">2", " #", "#",
            "'", "\"", "{", "}", "[", "]", ", ", ",", "&x ", "*x", "!!str ", "!t ", "<<: ", "? ", "\\n", "\\", "\t", "\n---\n",
            "\n---", "\n...\n", "%YAML 1.2\n", "1", "é", "\u{feff}", "\u{2028}", "~", "true",
        ]), 0..24),
        spare in any_value(),
        mutations in prop::collection::vec(any::<u8>(), 10),
    ) {
        let text = tokens.concat();
        let Ok(mut manifest) = Manifest::read("x", text.clone().into_bytes()) else {
            return Ok(());
        };
        let values: Vec<Value> = manifest.documents().iter().map(|document| document.value.clone()).collect();
        for (document, value) in values.iter().enumerate() {
            for offset in 0..text.len() {
                for pointer in ["", "/a", "/0", "/a/b", "/0/a", "/1"] {
                    manifest.locate_in_text(document, pointer, offset);
                }
            }
            let mut wanted = value.clone();
            mutate(&mut wanted, &mut Choices { left: mutations.iter() }, &spare);
            if manifest.patch(document, &json_patch::diff(value, &wanted)).is_ok() {
                let again = Manifest::read("x", manifest.bytes()).map_err(|error| {
                    TestCaseError::fail(format!("{error}\n{text:?}"))
                })?;
                prop_assert_eq!(again.documents().len(), values.len(), "{:?}", text);
                for (index, (after, before)) in again.documents().iter().zip(&values).enumerate() {
                    let expected = if index == document { &wanted } else { before };
                    prop_assert_eq!(&after.value, expected, "{:?}", text);
                }
                manifest = Manifest::read("x", text.clone().into_bytes()).expect("it was read before");
            } else {
                prop_assert_eq!(manifest.bytes(), text.as_bytes());
            }
        }
    }
}
