//! New YAML and JSON text for values.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::resolve;

/// How new text is written.
#[derive(Clone, Debug)]
pub(super) struct Format {
    /// The document's line break.
    pub(super) eol: &'static str,
    /// How far sequences are indented below their key.
    pub(super) sequence: usize,
    /// Whether `|` may be used.
    pub(super) literals: bool,
}

/// What follows a `key:` at column `column`: a blank and a scalar, or lines below it.
pub(super) fn after_key(value: &Value, column: usize, format: &Format) -> String {
    match value {
        Value::Object(map) if !map.is_empty() => {
            let column = column + 2;
            let lines = members(map, column, format);
            format!("{}{}{lines}", format.eol, " ".repeat(column))
        }
        Value::Array(items) if !items.is_empty() => {
            let column = column + format.sequence;
            let lines = sequence(items, column, format);
            format!("{}{}{lines}", format.eol, " ".repeat(column))
        }
        _ => format!(" {}", scalar(value, column + 2, format)),
    }
}

/// `- ` and a value, for a sequence at column `column`.
pub(super) fn item(value: &Value, column: usize, format: &Format) -> String {
    let column = column + 2;
    match value {
        Value::Object(map) if !map.is_empty() => format!("- {}", members(map, column, format)),
        Value::Array(items) if !items.is_empty() => {
            format!("- {}", sequence(items, column, format))
        }
        _ => format!("- {}", scalar(value, column, format)),
    }
}

/// `key: value` at column `column`.
pub(super) fn member(key: &str, value: &Value, column: usize, format: &Format) -> String {
    format!(
        "{}:{}",
        plain_or_quoted(key, false),
        after_key(value, column, format)
    )
}

/// The lines of a mapping; the first one without its indentation.
pub(super) fn members(map: &Map<String, Value>, column: usize, format: &Format) -> String {
    let lines = map
        .iter()
        .map(|(key, value)| member(key, value, column, format));
    join(lines, column, format)
}

/// The lines of a sequence; the first one without its indentation.
pub(super) fn sequence(items: &[Value], column: usize, format: &Format) -> String {
    join(
        items.iter().map(|value| item(value, column, format)),
        column,
        format,
    )
}

fn join(lines: impl Iterator<Item = String>, column: usize, format: &Format) -> String {
    let separator = format!("{}{}", format.eol, " ".repeat(column));
    lines.collect::<Vec<_>>().join(&separator)
}

/// A scalar or an empty collection in block style; lines of a block scalar begin at `column`.
pub(super) fn scalar(value: &Value, column: usize, format: &Format) -> String {
    match value {
        // A `|+` block would take in blank lines that come after it.
        Value::String(text)
            if format.literals
                && text.contains('\n')
                && !text.ends_with("\n\n")
                && literal_fits(text) =>
        {
            literal(text, column, None, format.eol)
        }
        Value::String(text) => plain_or_quoted(text, false),
        Value::Array(_) => "[]".to_owned(),
        Value::Object(_) => "{}".to_owned(),
        _ => value.to_string(),
    }
}

/// Whether a text can be written as a `|` block.
pub(super) fn literal_fits(text: &str) -> bool {
    let first = text.lines().find(|line| !line.is_empty());
    first.is_some_and(|line| !line.starts_with('\t'))
        && text
            .lines()
            .any(|line| !line.trim_matches([' ', '\t']).is_empty())
        && text
            .chars()
            .all(|c| c == '\n' || c == '\t' || !must_escape(c))
}

/// Whether the header of a literal block needs a digit.
pub(super) fn needs_digit(text: &str) -> bool {
    text.lines()
        .find(|line| !line.is_empty())
        .is_some_and(|line| line.starts_with(' '))
}

/// A `|` block whose lines begin at `column`, without the last line break; the digit is for content that begins
/// with a blank.
pub(super) fn literal(text: &str, column: usize, digit: Option<usize>, eol: &str) -> String {
    let body = text.trim_end_matches('\n');
    let breaks = text.len() - body.len();
    let mut block = "|".to_owned();
    if let Some(digit) = digit {
        let _ = write!(block, "{digit}");
    } else if needs_digit(text) {
        block.push('2');
    }
    block.push_str(match breaks {
        0 => "-",
        1 => "",
        _ => "+",
    });
    for line in body.split('\n') {
        block.push_str(eol);
        if !line.is_empty() {
            block.push_str(&" ".repeat(column));
            block.push_str(line);
        }
    }
    for _ in 1..breaks {
        block.push_str(eol);
    }
    block
}

/// How values in `{}` and `[]` are written.
#[derive(Clone, Debug, Default)]
pub(super) struct Flow {
    /// All strings and keys in double quotes, as in JSON.
    pub(super) json: bool,
    /// No blanks after `:` and `,`.
    pub(super) compact: bool,
    /// Members on their own lines: the indentation of the line the value is on, and what a level adds to it.
    pub(super) lines: Option<(String, String)>,
    /// The document's line break.
    pub(super) eol: &'static str,
}

impl Flow {
    /// What stands between two members.
    pub(super) fn separator(&self) -> String {
        match &self.lines {
            Some((indent, _)) => format!(",{}{indent}", self.eol),
            None if self.compact => ",".to_owned(),
            None => ", ".to_owned(),
        }
    }

    /// A value, with what is in it one level deeper.
    pub(super) fn value(&self, value: &Value) -> String {
        match value {
            Value::String(text) if self.json => double_quoted(text),
            Value::String(text) => plain_or_quoted(text, true),
            Value::Array(items) if items.is_empty() => "[]".to_owned(),
            Value::Object(map) if map.is_empty() => "{}".to_owned(),
            Value::Array(items) => {
                let deeper = self.deeper();
                self.wrap('[', items.iter().map(|item| deeper.value(item)), ']')
            }
            Value::Object(map) => {
                let deeper = self.deeper();
                self.wrap(
                    '{',
                    map.iter().map(|(key, value)| deeper.member(key, value)),
                    '}',
                )
            }
            _ => value.to_string(),
        }
    }

    /// `key: value`.
    pub(super) fn member(&self, key: &str, value: &Value) -> String {
        let key = if self.json {
            double_quoted(key)
        } else {
            plain_or_quoted(key, true)
        };
        let blank = if self.compact { "" } else { " " };
        format!("{key}:{blank}{}", self.value(value))
    }

    fn deeper(&self) -> Self {
        let lines = self
            .lines
            .as_ref()
            .map(|(indent, unit)| (format!("{indent}{unit}"), unit.clone()));
        Self {
            lines,
            ..self.clone()
        }
    }

    fn wrap(&self, open: char, parts: impl Iterator<Item = String>, close: char) -> String {
        let parts = parts.collect::<Vec<_>>().join(&self.deeper().separator());
        match &self.lines {
            Some((indent, unit)) => {
                let eol = self.eol;
                format!("{open}{eol}{indent}{unit}{parts}{eol}{indent}{close}")
            }
            None => format!("{open}{parts}{close}"),
        }
    }
}

/// A text without quotes when that is safe, else in double quotes.
pub(super) fn plain_or_quoted(text: &str, in_flow: bool) -> String {
    if plain_fits(text, in_flow) {
        text.to_owned()
    } else {
        double_quoted(text)
    }
}

/// A text in double quotes, valid as YAML and as JSON.
pub(super) fn double_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(&escaped(text));
    quoted.push('"');
    quoted
}

/// A text as it stands between double quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if must_escape(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Characters that do not stand for themselves in every YAML version, all of them below U+10000.
fn must_escape(c: char) -> bool {
    matches!(c, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a text means itself without quotes, by the rules of YAML 1.1 and of 1.2.
pub(super) fn plain_fits(text: &str, in_flow: bool) -> bool {
    let bytes = text.as_bytes();
    let Some(&first) = bytes.first() else {
        return false;
    };
    let bare = match first {
        b'-' => bytes
            .get(1)
            .is_some_and(|next| !matches!(next, b' ' | b',' | b'[' | b']' | b'{' | b'}')),
        b'?' | b':' | b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|'
        | b'>' | b'\'' | b'"' | b'%' | b'@' | b'`' => false,
        _ => true,
    };
    let colon = bytes.windows(2).any(|pair| {
        pair[0] == b':'
            && (pair[1] == b' ' || in_flow && matches!(pair[1], b',' | b'[' | b']' | b'{' | b'}'))
    });
    let ends = text.starts_with(' ') || text.ends_with([' ', ':']);
    let marker = text.starts_with("---") || text.starts_with("...") || text == "=" || text == "<<";
    let inside = text.contains(" #") || in_flow && text.contains([',', '[', ']', '{', '}']);
    bare && !(colon || ends || marker || inside || text.chars().any(must_escape))
        && resolve::plain(text).is_none()
        && !looks_like_number(text)
}

/// What other readers of YAML take for a number or a date: sexagesimals, timestamps, large numbers.
fn looks_like_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && (sexagesimal(unsigned)
            || timestamp(unsigned)
            || unsigned.replace('_', "").parse::<f64>().is_ok())
}

fn sexagesimal(text: &str) -> bool {
    let mut parts = text.split(':');
    let first = parts
        .next()
        .is_some_and(|part| part.bytes().all(|b| b.is_ascii_digit() || b == b'_'));
    let mut more = false;
    for part in parts {
        more = true;
        if !part
            .bytes()
            .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'_'))
        {
            return false;
        }
    }
    first && more
}

fn timestamp(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 8
        && bytes[..4].iter().all(u8::is_ascii_digit)
        && bytes[4] == b'-'
        && bytes[5].is_ascii_digit()
}
