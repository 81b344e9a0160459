//! A document: the text of one file, its tokens, and the first error in it.

use super::lexer::{self, Token, TokenKind};
use super::text;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Where and why nats-server refuses a file.
///
/// The message never quotes a value of the file, since any value may be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where in the text.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, without a final dot.
    pub message: String,
}

impl Error {
    pub(super) fn new(text: &[u8], offset: usize, message: String) -> Self {
        let (line, column) = text::position(text, offset);
        Self {
            offset,
            line,
            column,
            message,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "line {}, column {}: {}",
            self.line, self.column, self.message
        )
    }
}

impl std::error::Error for Error {}

/// One configuration file, parsed. Parsing never fails: errors are part of the result.
///
/// The tree is flat: brackets are tokens, so that neither depth nor dropping can exhaust the stack.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    text: &'a [u8],
    tokens: Vec<Token>,
    error: Option<Error>,
}

impl<'a> Document<'a> {
    /// Parses `text` as nats-server would, in time linear in its length.
    pub fn parse(text: &'a [u8]) -> Self {
        let (tokens, failure) = lexer::lex(text);
        let error = failure.map(|failure| Error::new(text, failure.offset, failure.message));
        Self {
            text,
            tokens,
            error,
        }
    }

    /// The text that was parsed.
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The tokens; concatenated they are the text.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The syntax error, if any, that nats-server would report. Variables and includes are judged by [`read`](super::read()).
    pub const fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The bytes of a token.
    pub fn bytes(&self, token: &Token) -> &'a [u8] {
        self.text.get(token.range()).unwrap_or_default()
    }

    /// The index of the first token that does not end before or at `offset`, or of an empty token at `offset`.
    pub(super) fn token_at(&self, offset: usize) -> usize {
        self.tokens.partition_point(|token| token.start() < offset)
    }

    /// The key that a key token stands for, without quotes. Keys know no escapes.
    pub(super) fn key(&self, token: &Token) -> &'a [u8] {
        let bytes = self.bytes(token);
        match (token.kind(), bytes) {
            (TokenKind::QuotedKey, [_, inner @ .., _]) => inner,
            _ => bytes,
        }
    }

    /// The path that an include names.
    pub(super) fn include_path(&self, token: &Token) -> &'a [u8] {
        match self.bytes(token) {
            [b'"', inner @ .., b'"'] | [b'\'', inner @ .., b'\''] | [inner @ .., b'\''] => inner,
            bare => bare,
        }
    }

    /// The string that a string token stands for.
    pub(super) fn string(&self, token: &Token) -> Cow<'a, [u8]> {
        let bytes = self.bytes(token);
        match (token.kind(), bytes) {
            (TokenKind::DoubleQuoted, [_, inner @ .., _]) => unescape(inner, 0),
            // At the very end of a file the closing parenthesis belongs to the string.
            (TokenKind::BlockString, [_, inner @ ..]) if token.end() == self.text.len() => {
                Cow::Borrowed(inner)
            }
            (TokenKind::SingleQuoted | TokenKind::BlockString, [_, inner @ .., _]) => {
                Cow::Borrowed(inner)
            }
            _ => bare(bytes),
        }
    }
}

/// A bare string: an apostrophe ends it, and escapes count, except in what was read as a number.
fn bare(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.iter().any(|byte| matches!(byte, b'\\' | b'\'')) {
        return Cow::Borrowed(bytes);
    }
    let mut raw = 0;
    loop {
        match text::digit(bytes.get(raw..).unwrap_or_default()) {
            0 => break,
            width => raw += width,
        }
    }
    if raw > 0 {
        // The character that made it a string was taken as it is.
        raw += 1;
    }
    let quoted = bytes.last() == Some(&b'\'') && bytes.len() > raw;
    let end = if quoted { bytes.len() - 1 } else { bytes.len() };
    unescape(bytes.get(..end).unwrap_or_default(), raw)
}

/// Resolves the escapes from `start` on. The lexer has made sure that they are valid.
fn unescape(bytes: &[u8], start: usize) -> Cow<'_, [u8]> {
    let tail = bytes.get(start..).unwrap_or_default();
    let Some(first) = tail.iter().position(|byte| *byte == b'\\') else {
        return Cow::Borrowed(bytes);
    };
    let (plain, mut rest) = bytes.split_at(start + first);
    let mut value = Vec::with_capacity(bytes.len());
    value.extend_from_slice(plain);
    loop {
        rest = match rest {
            [] => break,
            [b'\\', b'x', high, low, rest @ ..] => {
                value.push(hex(*high) << 4 | hex(*low));
                rest
            }
            [b'\\', escape, rest @ ..] => {
                value.push(match escape {
                    b't' => b'\t',
                    b'n' => b'\n',
                    b'r' => b'\r',
                    other => *other,
                });
                rest
            }
            _ => {
                let next = rest
                    .iter()
                    .skip(1)
                    .position(|byte| *byte == b'\\')
                    .map_or(rest.len(), |found| found + 1);
                let (plain, rest) = rest.split_at(next);
                value.extend_from_slice(plain);
                rest
            }
        };
    }
    Cow::Owned(value)
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20).wrapping_sub(b'a').wrapping_add(10),
    }
}

/// Whether the text holds a template: `{{` or `${` outside of comments.
pub fn is_template(text: &[u8]) -> bool {
    let document = Document::parse(text);
    // The parser stops at most templates; what follows is judged line by line.
    let unknown = document
        .tokens
        .last()
        .filter(|token| matches!(token.kind(), TokenKind::Unknown | TokenKind::Ignored))
        .map_or(text.len(), Token::start);
    let mut from = 0;
    for comment in document
        .tokens
        .iter()
        .filter(|token| token.kind() == TokenKind::Comment)
    {
        if has_marker(text, from..comment.start()) {
            return true;
        }
        from = comment.end();
    }
    has_marker(text, from..unknown)
        || lines(text, unknown)
            .any(|line| !is_comment_line(line) && has_marker(line, 0..line.len()))
}

fn has_marker(text: &[u8], range: Range<usize>) -> bool {
    let piece = text.get(range).unwrap_or_default();
    piece.windows(2).any(|pair| matches!(pair, b"{{" | b"${"))
}

fn lines(text: &[u8], from: usize) -> impl Iterator<Item = &[u8]> {
    // A marker may straddle the point where the parser stopped.
    text.get(from.saturating_sub(1)..)
        .unwrap_or_default()
        .split(|byte| *byte == b'\n')
}

fn is_comment_line(line: &[u8]) -> bool {
    let line = line.trim_ascii_start();
    line.starts_with(b"#") || line.starts_with(b"//")
}
