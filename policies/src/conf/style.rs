//! How new text is written: quoted, separated and indented as what stands beside it.

use super::edit::NewValue;
use super::layout::{self, Group, Slot};
use super::lexer::{self, TokenKind};
use super::parser::Document;
use super::text;

/// How a string is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    /// Without quotes, where that is possible.
    Bare,
    Single,
    Double,
}

/// How the value between two tokens is quoted, if it is a string.
pub(super) fn quotes(document: &Document<'_>, first: usize, last: usize) -> Option<Quotes> {
    if first != last {
        return None;
    }
    match layout::tokens_kind(document, first)? {
        TokenKind::BareString => Some(Quotes::Bare),
        TokenKind::SingleQuoted => Some(Quotes::Single),
        TokenKind::DoubleQuoted | TokenKind::BlockString => Some(Quotes::Double),
        _ => None,
    }
}

/// Writes a string, in double quotes where the style asked for cannot hold it.
pub(super) fn string(string: &str, quotes: Quotes) -> Vec<u8> {
    match quotes {
        Quotes::Bare if is_bare(string) => string.as_bytes().to_vec(),
        Quotes::Single if !string.contains(['\'', '\0', '\n', '\r']) => {
            format!("'{string}'").into_bytes()
        }
        _ => {
            let mut quoted = Vec::with_capacity(string.len() + 2);
            quoted.push(b'"');
            for byte in string.bytes() {
                match byte {
                    b'"' => quoted.extend(b"\\\""),
                    b'\\' => quoted.extend(b"\\\\"),
                    b'\n' => quoted.extend(b"\\n"),
                    b'\r' => quoted.extend(b"\\r"),
                    b'\t' => quoted.extend(b"\\t"),
                    0 => quoted.extend(b"\\x00"),
                    other => quoted.push(other),
                }
            }
            quoted.push(b'"');
            quoted
        }
    }
}

/// Whether a string means itself without quotes, wherever it stands.
fn is_bare(string: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"'\\;,[]{}()#".contains(&byte);
    let leading = |byte: u8| byte.is_ascii_digit() || b"-.$/=:".contains(&byte);
    string.bytes().all(plain)
        && string.bytes().next().is_some_and(|first| !leading(first))
        && !lexer::is_bool(string.as_bytes())
}

/// Whether a key needs no quotes.
fn is_bare_key(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !key.is_empty() && key.bytes().all(plain) && !text::lowers_to(key.as_bytes(), "include")
}

/// Writes a value on one line.
pub(super) fn value(value: &NewValue, quotes: Quotes) -> Vec<u8> {
    match value {
        NewValue::String(text) => string(text, quotes),
        NewValue::Bare(text) => text.as_bytes().to_vec(),
        NewValue::Array(strings) => {
            let strings: Vec<_> = strings.iter().map(|text| string(text, quotes)).collect();
            [b"[", strings.join(&b", "[..]).as_slice(), b"]"].concat()
        }
    }
}

/// Writes a key with its value as the other entries of its group are written.
pub(super) fn entry(document: &Document<'_>, group: &Group, key: &str, new: &NewValue) -> Vec<u8> {
    let siblings = || {
        group
            .slots
            .iter()
            .rev()
            .filter_map(|slot| Sibling::new(document, slot))
    };
    let key_quotes = siblings()
        .next()
        .map_or(group.json, |sibling| sibling.key_quoted);
    let single = siblings().next().is_some_and(|sibling| sibling.key_single);
    let key_text = if key_quotes && single && !key.contains('\'') {
        format!("'{key}'")
    } else if key_quotes || !is_bare_key(key) {
        // Keys know no escapes: one that holds both quotes cannot be written, and the check refuses it.
        if key.contains('"') {
            format!("'{key}'")
        } else {
            format!("\"{key}\"")
        }
    } else {
        key.to_owned()
    };
    let wanted = |sibling: &Sibling<'_>| match new {
        NewValue::Array(_) => sibling.value == TokenKind::ArrayOpen,
        _ => !matches!(sibling.value, TokenKind::ArrayOpen | TokenKind::MapOpen),
    };
    let plain = |sibling: &Sibling<'_>| sibling.value != TokenKind::MapOpen;
    let usable = |sibling: &Sibling<'_>| {
        !sibling.gap.is_empty() && !sibling.gap.iter().any(u8::is_ascii_control)
    };
    let gap = siblings()
        .find(|sibling| usable(sibling) && wanted(sibling))
        .or_else(|| siblings().find(|sibling| usable(sibling) && plain(sibling)))
        .map_or(&b": "[..], |sibling| sibling.gap);
    let quotes = siblings()
        .find_map(|sibling| sibling.quotes)
        .unwrap_or(Quotes::Double);

    let last = group.slots.len().saturating_sub(1);
    let inner = document
        .text()
        .get(group.region.clone())
        .unwrap_or_default();
    let multiline = if group.slots.is_empty() {
        !group.closed || inner.contains(&b'\n')
    } else {
        group.is_multiline(document, last)
    };
    let written = match new {
        NewValue::Array(strings) if multiline && strings.len() > 1 => {
            let newline = layout::newline(document);
            let outer = group.indentation(document);
            let comma: &[u8] = if has_bare_lists(document) { b"" } else { b"," };
            let mut text = b"[".to_vec();
            for (index, item) in strings.iter().enumerate() {
                text.extend(&newline);
                text.extend(&outer);
                text.extend(layout::unit(document));
                text.extend(string(item, quotes));
                if index + 1 < strings.len() {
                    text.extend(comma);
                }
            }
            text.extend(&newline);
            text.extend(&outer);
            text.push(b']');
            text
        }
        _ => value(new, quotes),
    };
    [key_text.as_bytes(), gap, &written].concat()
}

/// Whether the file has lists whose elements only line ends separate.
fn has_bare_lists(document: &Document<'_>) -> bool {
    let mut open = false;
    let mut element = false;
    for token in document.tokens() {
        match token.kind() {
            TokenKind::ArrayOpen => (open, element) = (true, false),
            TokenKind::Whitespace | TokenKind::Comment => {}
            TokenKind::BareString | TokenKind::SingleQuoted | TokenKind::DoubleQuoted if open => {
                if element {
                    return true;
                }
                element = true;
            }
            TokenKind::Comma | TokenKind::Slash => element = false,
            _ => open = false,
        }
    }
    false
}

/// What an entry shows of its style.
struct Sibling<'a> {
    key_quoted: bool,
    key_single: bool,
    /// What stands between key and value.
    gap: &'a [u8],
    value: TokenKind,
    quotes: Option<Quotes>,
}

impl<'a> Sibling<'a> {
    fn new(document: &Document<'a>, slot: &Slot) -> Option<Self> {
        let tokens = document.tokens();
        let key = tokens.get(slot.first)?;
        if key.kind() == TokenKind::Include {
            return None;
        }
        let between =
            |kind: TokenKind| matches!(kind, TokenKind::Whitespace | TokenKind::KeySeparator);
        let value = tokens
            .get(slot.first + 1..=slot.last)?
            .iter()
            .position(|token| !between(token.kind()))?;
        let value = slot.first + 1 + value;
        Some(Self {
            key_quoted: key.kind() == TokenKind::QuotedKey,
            key_single: document.bytes(key).first() == Some(&b'\''),
            gap: document.text().get(key.end()..tokens.get(value)?.start())?,
            value: layout::tokens_kind(document, value)?,
            quotes: quotes(document, value, slot.last),
        })
    }
}
