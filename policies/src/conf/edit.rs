//! Edits as data: which bytes of a file to replace by which, in the style of the file.

use super::layout::{self, Group, Op};
use super::lexer::{Token, TokenKind};
use super::parser::Document;
use super::style::{self, Quotes};
use super::text;
use std::borrow::Cow;
use std::ops::Range;

/// A replacement of some bytes by others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The bytes to replace; empty for an insertion.
    pub range: Range<usize>,
    /// What to put there.
    pub text: Vec<u8>,
}

/// Splices of one text that do not overlap, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edits(Vec<Splice>);

/// Two splices want the same bytes, or insert at the same place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edits overlap at byte {offset}")]
pub struct Overlap {
    /// Where the second of the two starts.
    pub offset: usize,
}

impl Edits {
    /// Takes splices in any order.
    pub fn new(mut splices: Vec<Splice>) -> Result<Self, Overlap> {
        splices.sort_by_key(|splice| (splice.range.start, splice.range.end));
        for pair in splices.windows(2) {
            if let [first, second] = pair
                && (second.range.start < first.range.end || second.range == first.range)
            {
                return Err(Overlap {
                    offset: second.range.start,
                });
            }
        }
        Ok(Self(splices))
    }

    /// The splices, in order.
    pub fn splices(&self) -> &[Splice] {
        &self.0
    }

    /// Whether nothing changes.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text with the splices applied. Whatever lies outside of them stays as it is.
    pub fn apply(&self, text: &[u8]) -> Vec<u8> {
        let mut edited = Vec::with_capacity(
            text.len() + self.0.iter().map(|splice| splice.text.len()).sum::<usize>(),
        );
        let mut from = 0;
        for splice in &self.0 {
            edited.extend_from_slice(text.get(from..splice.range.start).unwrap_or_default());
            edited.extend_from_slice(&splice.text);
            from = splice.range.end;
        }
        edited.extend_from_slice(text.get(from..).unwrap_or_default());
        edited
    }

    /// Both sets of edits of the same text as one.
    pub fn union(self, other: Self) -> Result<Self, Overlap> {
        let mut splices = self.0;
        splices.extend(other.0);
        Self::new(splices)
    }
}

/// What becomes of one element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// It stays, byte for byte.
    Keep,
    /// These strings take its place; none removes it.
    Replace(Vec<String>),
}

/// A value to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewValue {
    /// A string, quoted where the style or the content asks for it.
    String(String),
    /// Text to write as it is: a number, a boolean, a size. A variable, which the server may not find, is refused.
    Bare(String),
    /// An array of strings.
    Array(Vec<String>),
}

/// Why a text cannot be edited.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The text has errors, so nobody can tell what an edit would do.
    #[error("the file has errors")]
    Invalid,
    /// The span is not that of a value, a map or an array of the text.
    #[error("there is no such value in the file")]
    NotFound,
    /// The number of elements is not that of the array.
    #[error("the array has {actual} elements, not {given}")]
    Count {
        /// How many the array has.
        actual: usize,
        /// How many were given.
        given: usize,
    },
    /// The map has the key already.
    #[error("the key exists already")]
    Exists,
    /// The edit would have changed more, or something else, than it should.
    #[error("the file cannot be edited safely here")]
    Unsafe,
    /// Two edits want the same bytes.
    #[error(transparent)]
    Overlap(#[from] Overlap),
}

/// Edits one array, element by element: one [`Element`] for each that exists, then what to append.
///
/// `array` is the span of the array, brackets included. New elements look like their neighbours: on a line of their
/// own or not, with commas or without, quoted or bare. What stays is not touched, and neither is any comment, unless
/// it trails an element that is removed together with its line.
pub fn edit_array(
    document: &Document<'_>,
    array: Range<usize>,
    elements: &[Element],
    append: &[String],
) -> Result<Edits, EditError> {
    let (open, close) = container(document, &array, TokenKind::ArrayOpen)?;
    let mut group = layout::elements(document, open, close)?;
    if group.slots.len() != elements.len() {
        return Err(EditError::Count {
            actual: group.slots.len(),
            given: elements.len(),
        });
    }
    let key = previous(document, open)
        .filter(|token| matches!(token.kind(), TokenKind::Key | TokenKind::QuotedKey));
    group.json = key.is_some_and(|token| token.kind() == TokenKind::QuotedKey);

    let quotes = |index: usize| {
        // The element itself shows the style best, then those before it, then those after it.
        let before = group.slots.get(..=index).unwrap_or_default().iter().rev();
        let after = group.slots.get(index + 1..).unwrap_or_default().iter();
        before
            .chain(after)
            .find_map(|slot| style::quotes(document, slot.first, slot.last))
            .unwrap_or(Quotes::Double)
    };
    let render = |strings: &[String], index: usize| -> Vec<Vec<u8>> {
        strings
            .iter()
            .map(|string| style::string(string, quotes(index)))
            .collect()
    };
    let mut ops: Vec<Op> = elements
        .iter()
        .enumerate()
        .map(|(index, element)| match element {
            Element::Keep => Op {
                keep: true,
                texts: Vec::new(),
            },
            Element::Replace(strings) => Op {
                keep: false,
                texts: render(strings, index),
            },
        })
        .collect();
    let last = ops.len().saturating_sub(1);
    let appended = render(append, last);
    let splices = match ops.last_mut() {
        Some(op) => {
            op.texts.extend(appended);
            layout::rewrite(document, &group, &ops)
        }
        None => layout::fill(document, &group, &appended),
    };

    let mut expected = Expected::until(document, open + 1);
    for (slot, element) in group.slots.iter().zip(elements) {
        match element {
            Element::Keep => expected.tokens(document, slot.first, slot.last + 1),
            Element::Replace(strings) => expected.strings(strings),
        }
    }
    expected.strings(append);
    expected.tokens(document, close, document.tokens().len());
    expected.check(document, Edits::new(splices)?)
}

/// Adds a key at the end of a map given by its span (braces included), or at the end of the top level.
///
/// The new entry looks like its siblings. A key that the map has already is refused.
pub fn insert_key(
    document: &Document<'_>,
    map: Option<Range<usize>>,
    key: &str,
    value: &NewValue,
) -> Result<Edits, EditError> {
    let groups = groups(document, map)?;
    let mut slots = groups.iter().flat_map(|group| &group.slots);
    if slots.any(|slot| is_named(document, slot.first, key)) {
        return Err(EditError::Exists);
    }
    let group = innermost(groups).ok_or(EditError::NotFound)?;
    let after = group.slots.last().map_or(group.open, |slot| slot.last + 1);
    let text = style::entry(document, &group, key, value);
    let splices = match group.slots.split_last() {
        Some((_, others)) => {
            let mut ops: Vec<Op> = others
                .iter()
                .map(|_| Op {
                    keep: true,
                    texts: Vec::new(),
                })
                .collect();
            ops.push(Op {
                keep: true,
                texts: vec![text],
            });
            layout::rewrite(document, &group, &ops)
        }
        None => layout::fill(document, &group, &[text]),
    };
    let mut expected = Expected::until(document, after);
    expected.key(key);
    expected.value(value);
    expected.tokens(document, after, document.tokens().len());
    expected.check(document, Edits::new(splices)?)
}

/// Replaces the value at `span` by another, which is quoted as the old one was if it can be.
pub fn replace_value(
    document: &Document<'_>,
    span: Range<usize>,
    value: &NewValue,
) -> Result<Edits, EditError> {
    let (first, last) = value_at(document, &span)?;
    if let NewValue::Array(strings) = value
        && document
            .tokens()
            .get(first)
            .is_some_and(|token| token.kind() == TokenKind::ArrayOpen)
    {
        let count = layout::elements(document, first, last)?.slots.len();
        let mut strings = strings.iter().cloned();
        let elements: Vec<Element> = (0..count)
            .map(|_| Element::Replace(strings.next().into_iter().collect()))
            .collect();
        return edit_array(document, span, &elements, &strings.collect::<Vec<_>>());
    }
    let quotes = style::quotes(document, first, last).unwrap_or(Quotes::Double);
    let splice = Splice {
        range: span,
        text: style::value(value, quotes),
    };
    let mut expected = Expected::until(document, first);
    expected.value(value);
    expected.tokens(document, last + 1, document.tokens().len());
    expected.check(document, Edits::new(vec![splice])?)
}

/// Removes a key with its value from a map given by its span (braces included), or from the top level.
///
/// A key that is given several times goes entirely. A key that a variable refers to is not removed.
pub fn remove_key(
    document: &Document<'_>,
    map: Option<Range<usize>>,
    key: &str,
) -> Result<Edits, EditError> {
    let mut splices = Vec::new();
    let mut removed = Vec::new();
    for group in groups(document, map)? {
        let ops: Vec<Op> = group
            .slots
            .iter()
            .map(|slot| Op {
                keep: !is_named(document, slot.first, key),
                texts: Vec::new(),
            })
            .collect();
        let gone = group
            .slots
            .iter()
            .zip(&ops)
            .filter(|(_, op)| !op.keep)
            .map(|(slot, _)| slot.first..slot.last + 1);
        let before = removed.len();
        removed.extend(gone);
        if removed.len() > before {
            splices.extend(layout::rewrite(document, &group, &ops));
        }
    }
    if removed.is_empty() {
        return Err(EditError::NotFound);
    }
    let refers = |token: &Token| {
        token.kind() == TokenKind::Variable
            && document.bytes(token).strip_prefix(b"$") == Some(key.as_bytes())
    };
    if document.tokens().iter().any(refers) {
        return Err(EditError::Unsafe);
    }
    let mut expected = Expected::default();
    let mut from = 0;
    for tokens in removed {
        expected.tokens(document, from, tokens.start);
        from = tokens.end;
    }
    expected.tokens(document, from, document.tokens().len());
    expected.check(document, Edits::new(splices)?)
}

/// The tokens of the brackets at both ends of a container.
fn container(
    document: &Document<'_>,
    span: &Range<usize>,
    open: TokenKind,
) -> Result<(usize, usize), EditError> {
    let (first, last) = value_at(document, span)?;
    match document.tokens().get(first) {
        Some(token) if token.kind() == open => Ok((first, last)),
        _ => Err(EditError::NotFound),
    }
}

/// The first and the last token of the value that covers exactly `span`.
fn value_at(document: &Document<'_>, span: &Range<usize>) -> Result<(usize, usize), EditError> {
    if document.error().is_some() {
        return Err(EditError::Invalid);
    }
    let first = document.token_at(span.start);
    let last = layout::value_end(document, first).ok_or(EditError::NotFound)?;
    let starts = document.tokens().get(first).map(Token::start) == Some(span.start);
    let ends = document.tokens().get(last).map(Token::end) == Some(span.end);
    if starts && ends {
        Ok((first, last))
    } else {
        Err(EditError::NotFound)
    }
}

/// The group of entries in which a new key goes: the last that has any.
fn innermost(mut groups: Vec<Group>) -> Option<Group> {
    let chosen = groups.iter().rposition(|group| !group.slots.is_empty());
    // Without any key the innermost braces are the place.
    let chosen = chosen
        .or_else(|| groups.iter().position(|group| group.closed))
        .unwrap_or(0);
    (chosen < groups.len()).then(|| groups.swap_remove(chosen))
}

/// The groups of entries of a map (one), or of the top level (one for each stretch between the braces of blocks).
fn groups(document: &Document<'_>, map: Option<Range<usize>>) -> Result<Vec<Group>, EditError> {
    if document.error().is_some() {
        return Err(EditError::Invalid);
    }
    if !layout::is_regular(document) {
        return Err(EditError::Unsafe);
    }
    match map {
        Some(span) => {
            let (open, close) = container(document, &span, TokenKind::MapOpen)?;
            Ok(vec![layout::entries(document, open + 1, close, true)?])
        }
        None => layout::top(document),
    }
}

fn is_named(document: &Document<'_>, token: usize, key: &str) -> bool {
    document.tokens().get(token).is_some_and(|token| {
        matches!(token.kind(), TokenKind::Key | TokenKind::QuotedKey)
            && document.key(token) == key.as_bytes()
    })
}

/// The last token before `index` that is more than a separator.
fn previous<'d>(document: &'d Document<'_>, index: usize) -> Option<&'d Token> {
    document
        .tokens()
        .get(..index)?
        .iter()
        .rev()
        .find(|token| sense(token.kind()).is_some())
}

/// What a token contributes to the meaning of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sense {
    Key,
    String,
    Other(TokenKind),
}

/// `None` for what nats-server skips.
fn sense(kind: TokenKind) -> Option<Sense> {
    match kind {
        TokenKind::Whitespace
        | TokenKind::Comment
        | TokenKind::Comma
        | TokenKind::Semicolon
        | TokenKind::Slash
        | TokenKind::KeySeparator => None,
        TokenKind::Key | TokenKind::QuotedKey => Some(Sense::Key),
        TokenKind::BareString
        | TokenKind::SingleQuoted
        | TokenKind::DoubleQuoted
        | TokenKind::BlockString => Some(Sense::String),
        other => Some(Sense::Other(other)),
    }
}

fn meaning<'a>(document: &Document<'a>, token: &Token) -> Option<(Sense, Cow<'a, [u8]>)> {
    let sense = sense(token.kind())?;
    let bytes = match sense {
        Sense::Key => Cow::Borrowed(document.key(token)),
        Sense::String => document.string(token),
        Sense::Other(TokenKind::IncludePath) => Cow::Borrowed(document.include_path(token)),
        Sense::Other(_) => Cow::Borrowed(document.bytes(token)),
    };
    Some((sense, bytes))
}

/// What the edited text must mean, item by item. Every edit is held against it before it leaves this module.
#[derive(Default)]
struct Expected<'e>(Vec<(Sense, Cow<'e, [u8]>)>);

impl<'e> Expected<'e> {
    fn until(document: &Document<'e>, end: usize) -> Self {
        let mut expected = Self(Vec::with_capacity(document.tokens().len() / 2));
        expected.tokens(document, 0, end);
        expected
    }

    fn tokens(&mut self, document: &Document<'e>, from: usize, to: usize) {
        let tokens = document.tokens().get(from..to).unwrap_or_default();
        self.0
            .extend(tokens.iter().filter_map(|token| meaning(document, token)));
    }

    fn strings(&mut self, strings: &'e [String]) {
        self.0.extend(
            strings
                .iter()
                .map(|string| (Sense::String, Cow::Borrowed(string.as_bytes()))),
        );
    }

    fn key(&mut self, key: &'e str) {
        self.0.push((Sense::Key, Cow::Borrowed(key.as_bytes())));
    }

    fn value(&mut self, value: &'e NewValue) {
        match value {
            NewValue::String(string) => self.strings(std::slice::from_ref(string)),
            NewValue::Array(strings) => {
                self.0
                    .push((Sense::Other(TokenKind::ArrayOpen), Cow::Borrowed(b"[")));
                self.strings(strings);
                self.0
                    .push((Sense::Other(TokenKind::ArrayClose), Cow::Borrowed(b"]")));
            }
            NewValue::Bare(text) => {
                let kind = bare_kind(text).unwrap_or(Sense::Other(TokenKind::Unknown));
                self.0.push((kind, Cow::Borrowed(text.as_bytes())));
            }
        }
    }

    fn check(&self, document: &Document<'_>, edits: Edits) -> Result<Edits, EditError> {
        let text = edits.apply(document.text());
        let edited = Document::parse(&text);
        let means = edited
            .tokens()
            .iter()
            .filter_map(|token| meaning(&edited, token));
        if edited.error().is_none() && means.eq(self.0.iter().cloned()) {
            Ok(edits)
        } else {
            Err(EditError::Unsafe)
        }
    }
}

/// What a bare text is when it stands as a value; `None` when it is not one plain value.
fn bare_kind(value: &str) -> Option<Sense> {
    let text = format!("k = {value}");
    let document = Document::parse(text.as_bytes());
    let (last, head) = document.tokens().split_last()?;
    let plain = document.error().is_none()
        && head.len() == 4
        && last.range() == (4..text.len())
        && !value.is_empty();
    let dropped = last.kind() == TokenKind::Integer
        && text::integer(value.as_bytes()) == text::Integer::Dropped;
    let (sense, bytes) = meaning(&document, last)?;
    let variable = last.kind() == TokenKind::Variable;
    (plain && !dropped && !variable && bytes == value.as_bytes()).then_some(sense)
}
