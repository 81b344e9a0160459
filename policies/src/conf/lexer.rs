//! The lexer: nats-server's state machine (`conf/lex.go`) over bytes, with tokens that tile the input.

use super::text::{self, BARE, BLANK, COMMENT, DIGIT, DOUBLE, INTEGER, KEY, SPACE};
use std::ops::Range;

/// What a [`Token`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenKind {
    /// Spaces, tabs, line ends, and on the key side every other Unicode space.
    Whitespace,
    /// A comment from its `#` or `//` up to, but without, the end of its line.
    Comment,
    /// A comma.
    Comma,
    /// A semicolon.
    Semicolon,
    /// A lone `/`, which nats-server skips or takes for a separator.
    Slash,
    /// A `{` that groups keys without a name.
    BlockOpen,
    /// A `}` that ends such a group.
    BlockClose,
    /// The `{` of a map.
    MapOpen,
    /// The `}` of a map.
    MapClose,
    /// The `[` of an array.
    ArrayOpen,
    /// The `]` of an array.
    ArrayClose,
    /// A bare key.
    Key,
    /// A key in single or double quotes, quotes included.
    QuotedKey,
    /// `=` or `:` between a key and its value.
    KeySeparator,
    /// The word `include`.
    Include,
    /// The path of an include, quotes included.
    IncludePath,
    /// A string without quotes. It may be empty (`a: ;`), and may end with the `'` that ended it.
    BareString,
    /// A string in single quotes, quotes included.
    SingleQuoted,
    /// A string in double quotes, quotes included.
    DoubleQuoted,
    /// A string in `(` and `)`, parentheses included.
    BlockString,
    /// A boolean.
    Bool,
    /// An integer, with its size suffix.
    Integer,
    /// A float.
    Float,
    /// A moment in UTC.
    Datetime,
    /// A reference to a variable, `$` included.
    Variable,
    /// A NUL byte, which nats-server takes for an end of the file and yet reads on.
    Nul,
    /// Text that nats-server never looks at: it stopped before it without an error.
    Ignored,
    /// Everything from the first error on.
    Unknown,
}

/// A piece of the input. The tokens of a document, concatenated, are its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    start: u32,
    end: u32,
    kind: TokenKind,
}

impl Token {
    /// What the token is.
    #[inline]
    pub const fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Where the token starts.
    #[inline]
    pub const fn start(&self) -> usize {
        self.start as usize
    }

    /// Where the token ends.
    #[inline]
    pub const fn end(&self) -> usize {
        self.end as usize
    }

    /// The bytes that the token covers.
    #[inline]
    pub const fn range(&self) -> Range<usize> {
        self.start()..self.end()
    }
}

/// Why and where lexing stopped.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) offset: usize,
    pub(super) message: String,
}

/// Where the state machine stands, and where it returns to after a value.
#[derive(Debug, Clone, Copy)]
enum State {
    Top,
    TopValueEnd,
    BlockStart,
    BlockValueEnd,
    BlockEnd,
    /// After a key outside of maps.
    KeyEnd,
    /// After a key of a map.
    MapKeyEnd,
    Value,
    ArrayValue,
    ArrayValueEnd,
    MapKeyStart,
    MapValueEnd,
}

/// Why the machine stopped.
enum Stop {
    End,
    Failed(Failure),
}

type Step = Result<State, Stop>;

/// Splits `text` into tokens; the failure, if any, is the first that nats-server would report.
pub(super) fn lex(text: &[u8]) -> (Vec<Token>, Option<Failure>) {
    if u32::try_from(text.len()).is_err() {
        // Tokens count in 32 bits; nothing that Kubernetes stores comes near.
        let failure = Failure {
            offset: 0,
            message: "the file is larger than 4 GiB".to_owned(),
        };
        return (Vec::new(), Some(failure));
    }
    let mut lexer = Lexer {
        text,
        pos: 0,
        emitted: 0,
        tokens: Vec::with_capacity(text.len() / 6 + 8),
        stack: Vec::new(),
        key: None,
    };
    let failure = lexer.run();
    (lexer.tokens, failure)
}

struct Lexer<'a> {
    text: &'a [u8],
    /// The next byte to read.
    pos: usize,
    /// The end of the last token.
    emitted: usize,
    tokens: Vec<Token>,
    stack: Vec<State>,
    /// The key (without quotes) when it is the last thing read that is more than space.
    key: Option<Range<usize>>,
}

impl Lexer<'_> {
    fn run(&mut self) -> Option<Failure> {
        let mut state = State::Top;
        let stop = loop {
            let step = match state {
                State::Top => self.top(),
                State::TopValueEnd => self.top_value_end(),
                State::BlockStart => self.block_start(),
                State::BlockValueEnd => self.block_value_end(),
                State::BlockEnd => self.block_end(),
                State::KeyEnd => self.key_end(),
                State::MapKeyEnd => self.map_key_end(),
                State::Value => self.value(),
                State::ArrayValue => self.array_value(),
                State::ArrayValueEnd => self.array_value_end(),
                State::MapKeyStart => self.map_key_start(),
                State::MapValueEnd => self.map_value_end(),
            };
            match step {
                Ok(next) => state = next,
                Err(stop) => break stop,
            }
        };
        let failure = match stop {
            Stop::Failed(failure) => Some(failure),
            Stop::End => match self.key.take() {
                // A last lone `}` is allowed, for files that look like JSON.
                Some(key) if self.text.get(key.clone()) != Some(b"}") => Some(Failure {
                    offset: key.start,
                    message: "key without a value".to_owned(),
                }),
                _ => None,
            },
        };
        if self.emitted < self.text.len() {
            self.pos = self.text.len();
            self.emit(if failure.is_some() {
                TokenKind::Unknown
            } else {
                TokenKind::Ignored
            });
        }
        failure
    }

    /// The byte at `pos`; 0 at the end of the text, as in nats-server.
    #[inline]
    fn byte(&self, pos: usize) -> u8 {
        self.text.get(pos).copied().unwrap_or(0)
    }

    #[inline]
    fn rest(&self, pos: usize) -> &[u8] {
        self.text.get(pos..).unwrap_or_default()
    }

    /// The first position from `pos` on whose byte is in `mask`, or the end of the text.
    #[inline]
    fn find(&self, pos: usize, mask: u8) -> usize {
        let rest = self.rest(pos);
        pos + rest
            .iter()
            .position(|byte| text::is(*byte, mask))
            .unwrap_or(rest.len())
    }

    /// The first position from `pos` on whose byte is not in `mask`, or the end of the text.
    #[inline]
    fn find_not(&self, pos: usize, mask: u8) -> usize {
        let rest = self.rest(pos);
        pos + rest
            .iter()
            .position(|byte| !text::is(*byte, mask))
            .unwrap_or(rest.len())
    }

    /// Everything read since the last token becomes a token.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`lex` refuses texts that do not fit"
    )]
    fn emit(&mut self, kind: TokenKind) {
        self.tokens.push(Token {
            start: self.emitted as u32,
            end: self.pos as u32,
            kind,
        });
        self.emitted = self.pos;
    }

    /// A value or a bracket: the last key is no longer the last thing read.
    #[inline]
    fn emit_item(&mut self, kind: TokenKind) {
        self.key = None;
        self.emit(kind);
    }

    #[inline]
    fn emit_byte(&mut self, kind: TokenKind) {
        self.pos += 1;
        self.emit(kind);
    }

    /// Everything read since the last token is white space.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`lex` refuses texts that do not fit"
    )]
    fn emit_space(&mut self) {
        if self.pos == self.emitted {
            return;
        }
        match self.tokens.last_mut() {
            Some(last) if last.kind == TokenKind::Whitespace => {
                last.end = self.pos as u32;
                self.emitted = self.pos;
            }
            _ => self.emit(TokenKind::Whitespace),
        }
    }

    #[inline]
    fn skip_blanks(&mut self) {
        if text::is(self.byte(self.pos), BLANK) {
            self.pos = self.find_not(self.pos + 1, BLANK);
            self.emit_space();
        }
    }

    /// Skips everything that Go's `unicode.IsSpace` takes for a space.
    #[inline]
    fn skip_spaces(&mut self) {
        loop {
            if text::is(self.byte(self.pos), SPACE) {
                self.pos = self.find_not(self.pos + 1, SPACE);
            }
            if self.byte(self.pos) < 0x80 {
                break;
            }
            match text::wide_space(self.rest(self.pos)) {
                0 => break,
                width => self.pos += width,
            }
        }
        self.emit_space();
    }

    /// Skips a line end after a value.
    #[inline]
    fn skip_line_end(&mut self) {
        self.pos = self.find_not(self.pos + 1, SPACE);
        self.emit_space();
    }

    fn comment(&mut self) {
        self.pos = self.find(self.pos, COMMENT);
        self.emit_item(TokenKind::Comment);
    }

    #[inline]
    fn at_comment(&self) -> bool {
        match self.byte(self.pos) {
            b'#' => true,
            b'/' => self.byte(self.pos + 1) == b'/',
            _ => false,
        }
    }

    #[inline]
    fn at_end(&self) -> bool {
        self.pos >= self.text.len()
    }

    fn pop(&mut self) -> Step {
        match self.stack.pop() {
            Some(state) => Ok(state),
            None => self.fail("bracket without a partner"),
        }
    }

    /// Emits a value and returns to what it stands in.
    #[inline]
    fn finish(&mut self, kind: TokenKind) -> Step {
        self.emit_item(kind);
        self.pop()
    }

    fn fail<T>(&self, message: &str) -> Result<T, Stop> {
        self.fail_at(self.pos, message.to_owned())
    }

    #[expect(clippy::unused_self, reason = "reads as its sibling")]
    fn fail_at<T>(&self, offset: usize, message: String) -> Result<T, Stop> {
        Err(Stop::Failed(Failure { offset, message }))
    }

    /// Names the character at `pos`, which is all that an error may show of the text.
    fn shown(&self, pos: usize) -> String {
        match self.rest(pos).first() {
            None => "the end of the file".to_owned(),
            Some(0) => "a NUL byte".to_owned(),
            Some(b'\n' | b'\r') => "the end of the line".to_owned(),
            Some(_) => {
                let head = self.rest(pos);
                let head = head.get(..4).unwrap_or(head);
                let first = head
                    .utf8_chunks()
                    .next()
                    .and_then(|chunk| chunk.valid().chars().next());
                match first.unwrap_or(char::REPLACEMENT_CHARACTER) {
                    quote @ ('\'' | '"') => format!("{quote}"),
                    other => format!("'{}'", other.escape_debug()),
                }
            }
        }
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Stop> {
        self.fail_at(
            self.pos,
            format!("expected {wanted}, but found {}", self.shown(self.pos)),
        )
    }

    fn unterminated<T>(&self, what: &str, opened: usize) -> Result<T, Stop> {
        let (line, _) = text::position(self.text, opened);
        self.fail_at(
            self.pos,
            format!(
                "unexpected end of the file: the {what} that starts on line {line} is not closed"
            ),
        )
    }

    fn top(&mut self) -> Step {
        self.skip_spaces();
        match self.byte(self.pos) {
            b'{' => {
                self.stack.push(State::Top);
                self.emit_byte(TokenKind::BlockOpen);
                Ok(State::BlockStart)
            }
            b'#' => {
                self.comment();
                Ok(State::Top)
            }
            b'/' => {
                if self.at_comment() {
                    self.comment();
                    return Ok(State::Top);
                }
                self.unexpected("a key")
            }
            0 if self.at_end() => Err(Stop::End),
            0 => self.unexpected("a key"),
            _ => {
                self.stack.push(State::TopValueEnd);
                self.key_start()
            }
        }
    }

    fn top_value_end(&mut self) -> Step {
        loop {
            self.skip_blanks();
            match self.byte(self.pos) {
                b'\n' | b'\r' => self.skip_line_end(),
                b'#' => self.comment(),
                b'/' if self.at_comment() => self.comment(),
                b'/' => {
                    self.emit_byte(TokenKind::Slash);
                    continue;
                }
                b';' => self.emit_byte(TokenKind::Semicolon),
                b',' => self.emit_byte(TokenKind::Comma),
                b'}' => self.emit_byte(TokenKind::BlockClose),
                0 if self.at_end() => {}
                0 => self.emit_byte(TokenKind::Nul),
                _ => return self.unexpected("the end of the line after the value"),
            }
            return Ok(State::Top);
        }
    }

    fn block_start(&mut self) -> Step {
        self.skip_spaces();
        match self.byte(self.pos) {
            b'{' => {
                self.stack.push(State::BlockEnd);
                self.emit_byte(TokenKind::BlockOpen);
                Ok(State::BlockStart)
            }
            b'}' => {
                self.emit_byte(TokenKind::BlockClose);
                self.pop()
            }
            b'#' => {
                self.comment();
                Ok(State::BlockStart)
            }
            b'/' => {
                if self.at_comment() {
                    self.comment();
                    return Ok(State::BlockStart);
                }
                self.unexpected("a key or '}'")
            }
            // nats-server does not mind that the block is still open.
            0 if self.at_end() => Err(Stop::End),
            0 => self.unexpected("a key or '}'"),
            _ => {
                self.stack.push(State::BlockValueEnd);
                self.key_start()
            }
        }
    }

    fn block_value_end(&mut self) -> Step {
        loop {
            self.skip_blanks();
            match self.byte(self.pos) {
                b'\n' | b'\r' => self.skip_line_end(),
                b'#' => {
                    self.comment();
                    continue;
                }
                b'/' if self.at_comment() => {
                    self.comment();
                    continue;
                }
                b'/' => {
                    self.emit_byte(TokenKind::Slash);
                    continue;
                }
                b';' => self.emit_byte(TokenKind::Semicolon),
                b',' => self.emit_byte(TokenKind::Comma),
                b'}' => {
                    self.emit_byte(TokenKind::BlockClose);
                    return self.pop();
                }
                _ => return self.unexpected("the end of the line or '}' after the value"),
            }
            return Ok(State::BlockStart);
        }
    }

    /// After the `}` of a block within a block.
    fn block_end(&mut self) -> Step {
        loop {
            self.skip_blanks();
            match self.byte(self.pos) {
                b'\n' | b'\r' => {
                    self.pos += 1;
                    self.emit_space();
                    continue;
                }
                b'#' => self.comment(),
                b'/' if self.at_comment() => self.comment(),
                b'/' => {
                    self.emit_byte(TokenKind::Slash);
                    continue;
                }
                b';' => self.emit_byte(TokenKind::Semicolon),
                b',' => self.emit_byte(TokenKind::Comma),
                b'}' => {
                    self.emit_byte(TokenKind::BlockClose);
                    return self.pop();
                }
                _ => return self.unexpected("'}'"),
            }
            return Ok(State::BlockStart);
        }
    }

    /// A key outside of maps; spaces before it have been skipped.
    fn key_start(&mut self) -> Step {
        match self.byte(self.pos) {
            b'=' | b':' => self.unexpected("a key"),
            quote @ (b'"' | b'\'') => match self.quoted_end(self.pos + 1, quote) {
                Some(end) => {
                    self.quoted_key(end);
                    Ok(State::KeyEnd)
                }
                // A quote that nothing follows passes for the end of the file.
                None if self.pos_of_nul(self.pos + 1) == self.pos + 1 => Err(Stop::End),
                None => self.fail_unclosed_key(),
            },
            _ => {
                let end = self.bare_key_end();
                if self.is_include(end) {
                    return self.include();
                }
                self.bare_key(end);
                Ok(State::KeyEnd)
            }
        }
    }

    fn fail_unclosed_key(&mut self) -> Step {
        let opened = self.pos;
        self.pos = self.pos_of_nul(opened + 1);
        self.unterminated("quoted key", opened)
    }

    /// The position of the closing quote, unless a NUL or the end of the text comes first.
    fn quoted_end(&self, pos: usize, quote: u8) -> Option<usize> {
        let rest = self.rest(pos);
        let found = rest.iter().position(|byte| *byte == quote || *byte == 0)?;
        (rest.get(found) == Some(&quote)).then_some(pos + found)
    }

    fn pos_of_nul(&self, pos: usize) -> usize {
        let rest = self.rest(pos);
        pos + rest
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(rest.len())
    }

    fn quoted_key(&mut self, end: usize) {
        let content = self.pos + 1..end;
        self.pos = end + 1;
        self.emit(TokenKind::QuotedKey);
        self.key = Some(content);
    }

    #[inline]
    fn bare_key(&mut self, end: usize) {
        let content = self.pos..end;
        self.pos = end;
        self.emit(TokenKind::Key);
        self.key = Some(content);
    }

    /// Where the key that starts at `pos` ends. Its first byte belongs to it, whatever it is.
    #[inline]
    fn bare_key_end(&self) -> usize {
        let mut end = (self.pos + 1).min(self.text.len());
        loop {
            end = self.find(end, KEY);
            if self.byte(end) < 0x80 || text::wide_space(self.rest(end)) > 0 {
                return end;
            }
            end += 1;
        }
    }

    /// Whether the word up to `end` is the keyword: it must be followed by a space of any kind.
    #[inline]
    fn is_include(&self, end: usize) -> bool {
        let word = self.text.get(self.pos..end).unwrap_or_default();
        matches!(word.first(), Some(b'i' | b'I' | 0xC4))
            && text::lowers_to(word, "include")
            && (text::is(self.byte(end), SPACE) || text::wide_space(self.rest(end)) > 0)
    }

    fn include(&mut self) -> Step {
        self.pos = self.bare_key_end();
        self.emit_item(TokenKind::Include);
        self.skip_blanks();
        if text::digit(self.rest(self.pos)) > 0 {
            return self.fail("expected the path of an include, but found the start of a number");
        }
        match self.byte(self.pos) {
            b'[' => self.fail("expected the path of an include, but found the start of an array"),
            b'{' => self.fail("expected the path of an include, but found the start of a map"),
            b'(' => self.fail("expected the path of an include, but found the start of a block"),
            b'-' => self.fail("expected the path of an include, but found the start of a number"),
            b'\\' => self.fail("expected the path of an include, but found an escape"),
            b'\n' | b'\r' => {
                self.fail("expected the path of an include, but found the end of the line")
            }
            quote @ (b'"' | b'\'') => {
                let opened = self.pos;
                let Some(end) = self.quoted_end(opened + 1, quote) else {
                    self.pos = self.pos_of_nul(opened + 1);
                    return self.unterminated("quoted path of an include", opened);
                };
                self.pos = end + 1;
                self.finish(TokenKind::IncludePath)
            }
            _ => {
                let end = |byte: u8| {
                    matches!(byte, b'\n' | b'\r' | 0 | b';' | b'}' | b' ' | b'\t' | b'\'')
                };
                let rest = self.rest(self.pos);
                self.pos += rest
                    .iter()
                    .position(|byte| end(*byte))
                    .unwrap_or(rest.len());
                if self.byte(self.pos) == b'\'' {
                    self.pos += 1;
                }
                self.finish(TokenKind::IncludePath)
            }
        }
    }

    fn key_end(&mut self) -> Step {
        self.skip_spaces();
        match self.byte(self.pos) {
            b'=' | b':' => {
                self.emit_byte(TokenKind::KeySeparator);
                Ok(State::Value)
            }
            0 => Err(Stop::End),
            _ => Ok(State::Value),
        }
    }

    /// A value anywhere; its container has said on the stack how to go on.
    fn value(&mut self) -> Step {
        self.skip_blanks();
        match self.byte(self.pos) {
            b'[' => {
                self.pos += 1;
                self.emit_item(TokenKind::ArrayOpen);
                Ok(State::ArrayValue)
            }
            b'{' => {
                self.pos += 1;
                self.emit_item(TokenKind::MapOpen);
                Ok(State::MapKeyStart)
            }
            b'\'' => self.single_quoted(),
            b'"' => self.double_quoted(),
            b'-' => self.negative_number(),
            b'(' => self.block_string(),
            b'0'..=b'9' => self.number(),
            b'.' => self.fail("a float must start with a digit"),
            b'\n' | b'\r' => self.fail("expected a value, but found the end of the line"),
            0x80.. if text::digit(self.rest(self.pos)) > 0 => self.number(),
            _ => self.bare_string(self.pos),
        }
    }

    fn single_quoted(&mut self) -> Step {
        let opened = self.pos;
        if let Some(end) = self.quoted_end(opened + 1, b'\'') {
            self.pos = end + 1;
            return self.finish(TokenKind::SingleQuoted);
        }
        // A quote at the very end passes for the end of the file.
        if opened + 1 == self.text.len() {
            return Err(Stop::End);
        }
        self.pos = self.pos_of_nul(opened + 1);
        self.unterminated("string", opened)
    }

    fn double_quoted(&mut self) -> Step {
        let opened = self.pos;
        let mut part = opened + 1;
        let mut pos = part;
        loop {
            pos = self.find(pos, DOUBLE);
            match self.byte(pos) {
                b'"' => {
                    self.pos = pos + 1;
                    return self.finish(TokenKind::DoubleQuoted);
                }
                b'\\' => {
                    pos = self.escape(pos)?;
                    part = pos;
                }
                // Nothing between the quote or an escape and the end passes for the end of the file.
                _ if pos == part && pos >= self.text.len() => return Err(Stop::End),
                _ => {
                    self.pos = pos;
                    return self.unterminated("string", opened);
                }
            }
        }
    }

    /// The position after the escape at `pos`.
    fn escape(&self, pos: usize) -> Result<usize, Stop> {
        match self.byte(pos + 1) {
            b't' | b'n' | b'r' | b'"' | b'\\' => Ok(pos + 2),
            b'x' if self.byte(pos + 2).is_ascii_hexdigit()
                && self.byte(pos + 3).is_ascii_hexdigit() =>
            {
                Ok(pos + 4)
            }
            b'x' => self.fail_at(
                pos,
                "expected two hexadecimal digits after '\\x'".to_owned(),
            ),
            _ => {
                let message =
                    "invalid escape; only \\xXX, \\t, \\n, \\r, \\\" and \\\\ are allowed"
                        .to_owned();
                self.fail_at(pos, message)
            }
        }
    }

    /// A string without quotes, of which everything before `pos` has been read as is.
    fn bare_string(&mut self, mut pos: usize) -> Step {
        let start = self.pos;
        let mut escaped = false;
        loop {
            pos = self.find(pos, BARE);
            match self.byte(pos) {
                b'\\' => {
                    escaped = true;
                    pos = self.escape(pos)?;
                }
                b'\'' => {
                    self.pos = pos + 1;
                    return self.finish(TokenKind::BareString);
                }
                _ => break,
            }
        }
        self.pos = pos;
        let content = self.text.get(start..pos).unwrap_or_default();
        let kind = if escaped {
            TokenKind::BareString
        } else if content.first() == Some(&b'$') {
            TokenKind::Variable
        } else if is_bool(content) {
            TokenKind::Bool
        } else {
            TokenKind::BareString
        };
        self.finish(kind)
    }

    #[inline]
    fn skip_digits(&self, mut pos: usize) -> usize {
        loop {
            pos = self.find_not(pos, DIGIT);
            if self.byte(pos) < 0x80 {
                return pos;
            }
            match text::digit(self.rest(pos)) {
                0 => return pos,
                width => pos += width,
            }
        }
    }

    /// An integer, a float, a date, an address, or a string that starts with a digit.
    fn number(&mut self) -> Step {
        let start = self.pos;
        let pos = self.skip_digits(start);
        match self.byte(pos) {
            b'-' if pos + 1 - start == 5 => self.datetime(pos + 1),
            b'-' => self.fail_at(
                pos,
                "a date must be written in full, as in 2006-01-02T15:04:05Z".to_owned(),
            ),
            b'.' => self.fraction(pos),
            byte if is_suffix(byte) => self.suffixed(pos),
            byte if pos >= self.text.len() || text::is(byte, INTEGER) => {
                self.pos = pos;
                self.integer(start)
            }
            // The first other character belongs to the string, even where it would end or escape one.
            _ => self.bare_string(pos + 1),
        }
    }

    fn negative_number(&mut self) -> Step {
        let start = self.pos;
        match self.rest(start + 1) {
            [b'.', ..] => {
                return self.fail_at(start + 1, "a float must start with a digit".to_owned());
            }
            digits if text::digit(digits) > 0 => {}
            _ => {
                let found = self.shown(start + 1);
                return self.fail_at(
                    start + 1,
                    format!("expected a digit after '-', but found {found}"),
                );
            }
        }
        let pos = self.skip_digits(start + 1);
        match self.byte(pos) {
            b'.' => self.fraction(pos),
            byte if is_suffix(byte) => self.suffixed(pos),
            _ => {
                self.pos = pos;
                self.integer(start)
            }
        }
    }

    /// A size suffix starts at `pos`.
    fn suffixed(&mut self, pos: usize) -> Step {
        let start = self.pos;
        let rest = self.rest(pos + 1);
        let more = rest
            .iter()
            .position(|byte| !matches!(byte, b'b' | b'B' | b'i' | b'I'))
            .unwrap_or(rest.len());
        let pos = pos + 1 + more;
        if pos >= self.text.len() || text::is(self.byte(pos), INTEGER) {
            self.pos = pos;
            return self.integer(start);
        }
        self.bare_string(pos)
    }

    fn integer(&mut self, start: usize) -> Step {
        let content = self.text.get(start..self.pos).unwrap_or_default();
        // Up to 18 digits nothing can go wrong that matters here.
        if content.len() > 18 || !content.is_ascii() {
            match text::integer(content) {
                text::Integer::OutOfRange => {
                    return self.fail_at(start, "integer out of range".to_owned());
                }
                text::Integer::Invalid => {
                    return self.fail_at(start, "integer with digits other than 0 to 9".to_owned());
                }
                text::Integer::Value(_) | text::Integer::Dropped => {}
            }
        }
        self.finish(TokenKind::Integer)
    }

    /// The `.` of a float, or of an address, is at `pos`.
    fn fraction(&mut self, pos: usize) -> Step {
        let start = self.pos;
        if text::digit(self.rest(pos + 1)) == 0 {
            let found = self.shown(pos + 1);
            return self.fail_at(
                pos + 1,
                format!("expected a digit after '.', but found {found}"),
            );
        }
        let mut pos = self.skip_digits(pos + 1);
        if self.byte(pos) != b'.' {
            self.pos = pos;
            if text::float(self.text.get(start..pos).unwrap_or_default()).is_none() {
                return self.fail_at(start, "float out of range".to_owned());
            }
            return self.finish(TokenKind::Float);
        }
        while matches!(self.byte(pos), b'.' | b':' | b'-') {
            pos = self.skip_digits(pos + 1);
        }
        self.pos = pos;
        self.finish(TokenKind::BareString)
    }

    /// The year and its `-` end at `pos`.
    fn datetime(&mut self, mut pos: usize) -> Step {
        let start = self.pos;
        for wanted in *b"00-00T00:00:00Z" {
            let width = if wanted == b'0' {
                text::digit(self.rest(pos))
            } else {
                usize::from(self.byte(pos) == wanted)
            };
            if width == 0 {
                let wanted = if wanted == b'0' {
                    "a digit".to_owned()
                } else {
                    format!("'{}'", char::from(wanted))
                };
                let found = self.shown(pos);
                return self.fail_at(
                    pos,
                    format!("expected {wanted} in the date, but found {found}"),
                );
            }
            pos += width;
        }
        if !text::is_datetime(self.text.get(start..pos).unwrap_or_default()) {
            return self.fail_at(start, "no such date or time".to_owned());
        }
        self.pos = pos;
        self.finish(TokenKind::Datetime)
    }

    /// A string in parentheses ends at a `)` that has a line for itself.
    fn block_string(&mut self) -> Step {
        let opened = self.pos;
        let mut pos = opened + 1;
        loop {
            let rest = self.rest(pos);
            pos += rest
                .iter()
                .position(|byte| *byte == b')' || *byte == 0)
                .unwrap_or(rest.len());
            if self.byte(pos) != b')' {
                self.pos = pos;
                return self.unterminated("block", opened);
            }
            if self.byte(pos - 1) == b'\n' && matches!(self.byte(pos + 1), b'\n' | 0) {
                self.pos = pos + 1;
                return self.finish(TokenKind::BlockString);
            }
            pos += 1;
        }
    }

    fn array_value(&mut self) -> Step {
        self.skip_spaces();
        match self.byte(self.pos) {
            b']' => {
                self.pos += 1;
                self.finish(TokenKind::ArrayClose)
            }
            b'#' | b'/' if self.at_comment() => {
                self.comment();
                Ok(State::ArrayValue)
            }
            b',' | b'/' => self.unexpected("a value or ']'"),
            _ => {
                self.stack.push(State::ArrayValueEnd);
                Ok(State::Value)
            }
        }
    }

    fn array_value_end(&mut self) -> Step {
        self.skip_blanks();
        match self.byte(self.pos) {
            b',' => self.emit_byte(TokenKind::Comma),
            b'\n' | b'\r' => self.skip_line_end(),
            b']' => {
                self.pos += 1;
                return self.finish(TokenKind::ArrayClose);
            }
            b'#' | b'/' if self.at_comment() => {
                self.comment();
                return Ok(State::ArrayValueEnd);
            }
            b'/' => self.emit_byte(TokenKind::Slash),
            _ => return self.unexpected("',', a new line or ']' after a value of an array"),
        }
        Ok(State::ArrayValue)
    }

    fn map_key_start(&mut self) -> Step {
        self.skip_spaces();
        match self.byte(self.pos) {
            b'}' => {
                self.pos += 1;
                return self.finish(TokenKind::MapClose);
            }
            b'=' | b':' | b']' => return self.unexpected("a key or '}'"),
            b'#' | b'/' if self.at_comment() => {
                self.comment();
                return Ok(State::MapKeyStart);
            }
            quote @ (b'"' | b'\'') => {
                let Some(end) = self.quoted_end(self.pos + 1, quote) else {
                    return self.fail_unclosed_key();
                };
                self.quoted_key(end);
                return Ok(State::MapKeyEnd);
            }
            0 => return self.fail("unexpected end of the file in a map"),
            b'/' => self.emit_byte(TokenKind::Slash),
            _ => {}
        }
        let end = self.bare_key_end();
        if self.byte(end) == 0 {
            self.pos = end;
            return self.fail("unexpected end of the file in a key");
        }
        if self.is_include(end) {
            self.stack.push(State::MapValueEnd);
            return self.include();
        }
        self.bare_key(end);
        Ok(State::MapKeyEnd)
    }

    fn map_key_end(&mut self) -> Step {
        self.skip_spaces();
        if matches!(self.byte(self.pos), b'=' | b':') {
            self.emit_byte(TokenKind::KeySeparator);
            self.skip_spaces();
        }
        match self.byte(self.pos) {
            b',' => self.unexpected("a value"),
            // The key stays without a value, which confuses nats-server's stack of keys.
            b'}' => {
                self.pos += 1;
                self.finish(TokenKind::MapClose)
            }
            _ => {
                self.stack.push(State::MapValueEnd);
                Ok(State::Value)
            }
        }
    }

    fn map_value_end(&mut self) -> Step {
        self.skip_blanks();
        match self.byte(self.pos) {
            b'\n' | b'\r' => self.skip_line_end(),
            b',' => self.emit_byte(TokenKind::Comma),
            b';' => self.emit_byte(TokenKind::Semicolon),
            b'}' => {
                self.pos += 1;
                return self.finish(TokenKind::MapClose);
            }
            b'#' | b'/' if self.at_comment() => {
                self.comment();
                return Ok(State::MapValueEnd);
            }
            b'/' => self.emit_byte(TokenKind::Slash),
            _ => return self.unexpected("',', a new line or '}' after a value of a map"),
        }
        Ok(State::MapKeyStart)
    }
}

fn is_suffix(byte: u8) -> bool {
    matches!(
        byte.to_ascii_lowercase(),
        b'k' | b'm' | b'g' | b't' | b'p' | b'e'
    )
}

/// Whether a bare word is a boolean.
pub(super) fn is_bool(word: &[u8]) -> bool {
    boolean(word).is_some()
}

/// The boolean that a bare word is.
pub(super) fn boolean(word: &[u8]) -> Option<bool> {
    let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
    match word.len() {
        2 if is("on") => Some(true),
        2 if is("no") => Some(false),
        3 if is("yes") => Some(true),
        3 if is("off") => Some(false),
        4 if is("true") => Some(true),
        5 if is("false") => Some(false),
        _ => None,
    }
}
