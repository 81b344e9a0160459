//! How the parts of an array or a map lie in the text, and how to add and remove parts without disturbing the rest.

use super::edit::{EditError, Splice};
use super::lexer::{Token, TokenKind};
use super::parser::Document;
use super::text::{self, Integer};
use std::ops::Range;

/// An element of an array, or a key with its value, or an include.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The first token.
    pub(super) first: usize,
    /// The last token.
    pub(super) last: usize,
    /// Its bytes.
    pub(super) span: Range<usize>,
    /// What stands between the slot before (with its tail) and this one.
    pub(super) lead: Range<usize>,
    /// The comma, semicolon or slash that follows on the same line.
    separator: Option<Range<usize>>,
    /// The comment that follows on the same line, with the spaces before it.
    comment: Option<Range<usize>>,
    /// The end of what follows on the same line and belongs to the slot.
    end: usize,
}

/// The slots of an array, of a map, or of a stretch of the top level.
#[derive(Debug, Clone)]
pub(super) struct Group {
    /// The bytes between the brackets.
    pub(super) region: Range<usize>,
    /// The first token of the region.
    pub(super) open: usize,
    pub(super) slots: Vec<Slot>,
    /// Whether brackets enclose the group.
    pub(super) closed: bool,
    /// Whether the style is that of JSON, where commas are due.
    pub(super) json: bool,
}

/// What becomes of a slot: it stays or not, and what comes in its place or after it.
#[derive(Debug, Clone)]
pub(super) struct Op {
    pub(super) keep: bool,
    pub(super) texts: Vec<Vec<u8>>,
}

impl Op {
    fn is_removal(&self) -> bool {
        !self.keep && self.texts.is_empty()
    }
}

/// The last token of the value that starts with token `first`.
pub(super) fn value_end(document: &Document<'_>, first: usize) -> Option<usize> {
    let token = document.tokens().get(first)?;
    match token.kind() {
        TokenKind::MapOpen | TokenKind::ArrayOpen => {}
        kind if is_scalar(kind) => return Some(first),
        _ => return None,
    }
    let mut depth = 0_usize;
    for (index, token) in document.tokens().iter().enumerate().skip(first) {
        match token.kind() {
            TokenKind::MapOpen | TokenKind::ArrayOpen => depth += 1,
            TokenKind::MapClose | TokenKind::ArrayClose => {
                depth -= 1;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

fn is_scalar(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::BareString
            | TokenKind::SingleQuoted
            | TokenKind::DoubleQuoted
            | TokenKind::BlockString
            | TokenKind::Bool
            | TokenKind::Integer
            | TokenKind::Float
            | TokenKind::Datetime
            | TokenKind::Variable
    )
}

fn is_trivia(kind: TokenKind) -> bool {
    matches!(
        kind,
        TokenKind::Whitespace
            | TokenKind::Comment
            | TokenKind::Comma
            | TokenKind::Semicolon
            | TokenKind::Slash
    )
}

/// Whether each key has its value, so that nats-server's stack of keys is in order.
pub(super) fn is_regular(document: &Document<'_>) -> bool {
    let mut key = false;
    for token in document.tokens() {
        match token.kind() {
            TokenKind::Key | TokenKind::QuotedKey if !key => key = true,
            TokenKind::MapClose | TokenKind::ArrayClose if !key => {}
            TokenKind::Key
            | TokenKind::QuotedKey
            | TokenKind::MapClose
            | TokenKind::ArrayClose
            | TokenKind::Nul
            | TokenKind::Ignored
            | TokenKind::Unknown => return false,
            TokenKind::Integer if text::integer(document.bytes(token)) == Integer::Dropped => {
                return false;
            }
            TokenKind::MapOpen | TokenKind::ArrayOpen => key = false,
            kind if is_scalar(kind) => key = false,
            _ => {}
        }
    }
    !key
}

/// The elements of the array between two bracket tokens.
pub(super) fn elements(
    document: &Document<'_>,
    open: usize,
    close: usize,
) -> Result<Group, EditError> {
    let mut group = Group::new(document, open + 1, close, true);
    group.collect(document, close, |first| {
        let token = document.tokens().get(first)?;
        if token.kind() == TokenKind::Integer
            && text::integer(document.bytes(token)) == Integer::Dropped
        {
            return None;
        }
        value_end(document, first)
    })?;
    Ok(group)
}

/// The entries of a map, or of a stretch of the top level, between two tokens.
pub(super) fn entries(
    document: &Document<'_>,
    from: usize,
    to: usize,
    closed: bool,
) -> Result<Group, EditError> {
    let mut group = Group::new(document, from, to, closed);
    group.collect(document, to, |first| {
        let tokens = document.tokens();
        let skip = |from: usize| {
            let blank = |token: &&Token| {
                matches!(
                    token.kind(),
                    TokenKind::Whitespace | TokenKind::KeySeparator
                )
            };
            from + tokens
                .get(from..)
                .unwrap_or_default()
                .iter()
                .take_while(blank)
                .count()
        };
        match tokens.get(first)?.kind() {
            TokenKind::Key | TokenKind::QuotedKey => value_end(document, skip(first + 1)),
            TokenKind::Include => {
                let path = skip(first + 1);
                (tokens.get(path)?.kind() == TokenKind::IncludePath).then_some(path)
            }
            _ => None,
        }
    })?;
    let quoted = |slot: &Slot| tokens_kind(document, slot.first) == Some(TokenKind::QuotedKey);
    group.json = group.slots.first().is_some_and(quoted);
    Ok(group)
}

/// The stretches of the top level that the braces of blocks set apart.
pub(super) fn top(document: &Document<'_>) -> Result<Vec<Group>, EditError> {
    let mut groups = Vec::new();
    let mut from = 0;
    let mut enclosed = false;
    for (index, token) in document.tokens().iter().enumerate() {
        let opens = match token.kind() {
            TokenKind::BlockOpen => true,
            TokenKind::BlockClose => false,
            _ => continue,
        };
        groups.push(entries(document, from, index, enclosed && !opens)?);
        enclosed = opens;
        from = index + 1;
    }
    groups.push(entries(document, from, document.tokens().len(), false)?);
    Ok(groups)
}

pub(super) fn tokens_kind(document: &Document<'_>, index: usize) -> Option<TokenKind> {
    document.tokens().get(index).map(Token::kind)
}

impl Group {
    fn new(document: &Document<'_>, from: usize, to: usize, closed: bool) -> Self {
        let end = document.text().len();
        let tokens = document.tokens();
        let start = tokens.get(from).map_or(end, Token::start);
        let end = tokens.get(to).map_or(end, Token::start);
        Self {
            region: start..end,
            open: from,
            slots: Vec::new(),
            closed,
            json: false,
        }
    }

    /// Finds the slots up to token `to`; `slot_end` gives the last token of a slot.
    fn collect(
        &mut self,
        document: &Document<'_>,
        to: usize,
        slot_end: impl Fn(usize) -> Option<usize>,
    ) -> Result<(), EditError> {
        let mut index = self.open;
        let mut from = self.region.start;
        while index < to {
            let Some(token) = document.tokens().get(index) else {
                break;
            };
            if is_trivia(token.kind()) {
                index += 1;
                continue;
            }
            let last = slot_end(index)
                .filter(|last| *last < to)
                .ok_or(EditError::Unsafe)?;
            let end = document.tokens().get(last).map_or(token.end(), Token::end);
            let mut slot = Slot {
                first: index,
                last,
                span: token.start()..end,
                lead: from..token.start(),
                separator: None,
                comment: None,
                end,
            };
            slot.tail(document, to);
            from = slot.end;
            index = last + 1;
            self.slots.push(slot);
        }
        Ok(())
    }

    /// What follows the last slot.
    fn rest(&self) -> Range<usize> {
        self.slots.last().map_or(self.region.start, |slot| slot.end)..self.region.end
    }

    /// Whether the group starts a line though no line end precedes it.
    pub(super) fn starts_file(&self) -> bool {
        self.region.start == 0
    }

    /// Whether a slot starts a line, and so do those added after it.
    pub(super) fn is_multiline(&self, document: &Document<'_>, index: usize) -> bool {
        let breaks = |index: usize| {
            self.slots
                .get(index)
                .is_some_and(|slot| has_break(document, &slot.lead))
        };
        breaks(index) || (index == 0 && (self.starts_file() || breaks(1)))
    }

    /// The line end and the indentation of a slot that starts a line.
    fn line_start(&self, document: &Document<'_>, index: usize) -> (Vec<u8>, Vec<u8>) {
        let leads =
            [index, index + 1].map(|index| self.slots.get(index).map(|slot| slot.lead.clone()));
        for lead in leads.into_iter().flatten() {
            let bytes = document.text().get(lead).unwrap_or_default();
            if let Some(found) = last_break(bytes) {
                let newline = bytes.get(found.clone()).unwrap_or_default().to_vec();
                return (newline, blanks(bytes.get(found.end..).unwrap_or_default()));
            }
        }
        let lead = self
            .slots
            .get(index)
            .and_then(|slot| document.text().get(slot.lead.clone()))
            .unwrap_or_default();
        (newline(document), blanks(lead))
    }

    /// The indentation of the entries.
    pub(super) fn indentation(&self, document: &Document<'_>) -> Vec<u8> {
        match self.slots.len().checked_sub(1) {
            Some(last) => self.line_start(document, last).1,
            None => self.inner_indentation(document),
        }
    }

    fn inner_indentation(&self, document: &Document<'_>) -> Vec<u8> {
        let bytes = document.text().get(self.region.clone()).unwrap_or_default();
        if !self.closed {
            return Vec::new();
        }
        let comment = bytes.iter().position(|byte| matches!(byte, b'#' | b'/'));
        let before = comment
            .and_then(|comment| bytes.get(..comment))
            .unwrap_or_default();
        if let Some(found) = last_break(before) {
            return blanks(before.get(found.end..).unwrap_or_default());
        }
        let mut indentation = match last_break(bytes) {
            Some(found) => blanks(bytes.get(found.end..).unwrap_or_default()),
            None => Vec::new(),
        };
        indentation.extend(unit(document));
        indentation
    }

    /// The separator in use, if any, between slots on different lines.
    fn line_separator(&self, document: &Document<'_>) -> bool {
        match self.slots.split_last() {
            Some((last, [])) => last.separator.is_some() || self.json,
            Some((_, others)) => {
                let lines = self
                    .slots
                    .iter()
                    .skip(1)
                    .map(|slot| has_break(document, &slot.lead));
                let mut separated = others.iter().zip(lines).filter(|(_, breaks)| *breaks);
                match separated.next_back() {
                    Some((slot, _)) => slot.separator.is_some(),
                    None => true,
                }
            }
            None => self.json,
        }
    }

    fn separator<'d>(&self, document: &Document<'d>) -> &'d [u8] {
        let include = self
            .slots
            .last()
            .is_some_and(|slot| tokens_kind(document, slot.first) == Some(TokenKind::Include));
        if include {
            // A comma would become part of the path.
            return b";";
        }
        let used = self
            .slots
            .iter()
            .rev()
            .find_map(|slot| document.text().get(slot.separator.clone()?));
        used.filter(|used| *used != b"/").unwrap_or(b",")
    }

    /// The spaces between slots on one line.
    fn gap<'d>(&self, document: &Document<'d>) -> &'d [u8] {
        let mut leads = self
            .slots
            .iter()
            .skip(1)
            .map(|slot| document.text().get(slot.lead.clone()).unwrap_or_default());
        leads
            .rfind(|lead| last_break(lead).is_none())
            .unwrap_or(b" ")
    }
}

impl Slot {
    /// Finds what follows on the same line.
    fn tail(&mut self, document: &Document<'_>, to: usize) {
        let tokens = document.tokens().get(self.last + 1..to).unwrap_or_default();
        let mut blank: Option<Range<usize>> = None;
        for token in tokens {
            match token.kind() {
                TokenKind::Whitespace => {
                    let bytes = document.bytes(token);
                    if let Some(line_end) =
                        bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r'))
                    {
                        self.end = token.start() + line_end;
                        return;
                    }
                    blank = Some(token.range());
                }
                TokenKind::Comma | TokenKind::Semicolon | TokenKind::Slash
                    if self.separator.is_none() =>
                {
                    self.separator = Some(token.range());
                    self.end = token.end();
                    blank = None;
                }
                TokenKind::Comment => {
                    let start = blank.take().map_or(token.start(), |blank| blank.start);
                    self.comment = Some(start..token.end());
                    self.end = token.end();
                    return;
                }
                _ => return,
            }
        }
    }
}

/// The file's own line end.
pub(super) fn newline(document: &Document<'_>) -> Vec<u8> {
    let text = document.text();
    let Some(first) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
        return b"\n".to_vec();
    };
    match text.get(first..) {
        Some([b'\r', b'\n', ..]) => b"\r\n".to_vec(),
        Some([other, ..]) => vec![*other],
        _ => b"\n".to_vec(),
    }
}

/// One step of indentation: that of the first indented line.
pub(super) fn unit(document: &Document<'_>) -> Vec<u8> {
    let lines = document.text().split(|byte| *byte == b'\n');
    let mut indents = lines
        .map(blanks)
        .filter(|indent| !indent.is_empty() && indent.len() <= 8);
    match indents.next() {
        Some(indent) if indent.first() == Some(&b'\t') => b"\t".to_vec(),
        Some(indent) => indent,
        None => b"  ".to_vec(),
    }
}

/// The spaces and tabs that `bytes` starts with.
fn blanks(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .copied()
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .collect()
}

fn last_break(bytes: &[u8]) -> Option<Range<usize>> {
    let last = bytes
        .iter()
        .rposition(|byte| matches!(byte, b'\n' | b'\r'))?;
    let crlf = last > 0 && bytes.get(last - 1..=last) == Some(b"\r\n");
    Some(last - usize::from(crlf)..last + 1)
}

pub(super) fn has_break(document: &Document<'_>, range: &Range<usize>) -> bool {
    document
        .text()
        .get(range.clone())
        .is_some_and(|bytes| last_break(bytes).is_some())
}

/// The new text of a region, as stretches of the old one with new pieces between them.
struct Pieces {
    region: Range<usize>,
    cursor: usize,
    new: Vec<u8>,
    splices: Vec<Splice>,
}

impl Pieces {
    fn new(region: &Range<usize>) -> Self {
        Self {
            region: region.clone(),
            cursor: region.start,
            new: Vec::new(),
            splices: Vec::new(),
        }
    }

    fn old(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        self.flush(range.start);
        self.cursor = range.end;
    }

    fn add(&mut self, text: &[u8]) {
        self.new.extend_from_slice(text);
    }

    fn flush(&mut self, until: usize) {
        if self.cursor < until || !self.new.is_empty() {
            self.splices.push(Splice {
                range: self.cursor..until,
                text: std::mem::take(&mut self.new),
            });
        }
    }

    /// A whole line went, `gone` being what led to it; what is left of `next` follows.
    fn close(
        &mut self,
        document: &Document<'_>,
        group: &Group,
        gone: &Range<usize>,
        next: Range<usize>,
    ) -> Range<usize> {
        if group.starts_file() && !has_break(document, gone) {
            // Without a line end before it, the first line of a file takes along the one after it.
            let bytes = document.text().get(next.clone()).unwrap_or_default();
            let newline = match bytes {
                [b'\r', b'\n', ..] => 2,
                [b'\r' | b'\n', ..] => 1,
                _ => 0,
            };
            return next.start + newline..next.end;
        }
        self.old(without_last_line(document, gone));
        next
    }

    fn finish(mut self) -> Vec<Splice> {
        self.flush(self.region.end);
        self.splices
    }
}

/// Carries out one [`Op`] per slot.
pub(super) fn rewrite(document: &Document<'_>, group: &Group, ops: &[Op]) -> Vec<Splice> {
    let mut pieces = Pieces::new(&group.region);
    let separator = group.separator(document);
    let separates_lines = group.line_separator(document);
    let trailing = group
        .slots
        .last()
        .is_some_and(|slot| slot.separator.is_some());
    let last = ops.iter().rposition(|op| !op.is_removal());
    // The lead of a removed slot that started a line: what comes next on that line takes it.
    let mut pending: Option<Range<usize>> = None;

    for (index, (slot, op)) in group.slots.iter().zip(ops).enumerate() {
        let breaks = has_break(document, &slot.lead);
        let mut lead = slot.lead.clone();
        if breaks && let Some(gone) = pending.take() {
            lead = pieces.close(document, group, &gone, lead);
        }
        if op.is_removal() {
            if breaks || index == 0 {
                pending = Some(lead);
            }
            let alone = pending
                .as_ref()
                .is_some_and(|lead| has_break(document, lead) || group.starts_file());
            if let Some(comment) = &slot.comment
                && !alone
            {
                if let Some(lead) = pending.take() {
                    pieces.old(lead);
                }
                pieces.old(comment.clone());
            }
            continue;
        }
        pieces.old(pending.take().unwrap_or(lead));
        let mut texts = op.texts.iter();
        if op.keep {
            pieces.old(slot.span.clone());
        } else if let Some(text) = texts.next() {
            pieces.add(text);
        }
        let is_last = Some(index) == last;
        let had = slot.separator.is_some();
        let wants = if is_last {
            trailing
        } else if next_on_line(document, group, ops, index) {
            true
        } else if group
            .slots
            .get(index + 1)
            .is_some_and(|next| has_break(document, &next.lead))
        {
            had
        } else {
            // What stood beside it is gone, so that it ends its line now.
            separates_lines
        };
        if texts.len() > 0 && group.is_multiline(document, index) {
            tail(&mut pieces, slot, had || separates_lines, separator);
            let (newline, indentation) = group.line_start(document, index);
            let separated = if is_last {
                trailing
            } else {
                had || separates_lines
            };
            while let Some(text) = texts.next() {
                pieces.add(&newline);
                pieces.add(&indentation);
                pieces.add(text);
                if if texts.len() > 0 {
                    separates_lines || had
                } else {
                    separated
                } {
                    pieces.add(separator);
                }
            }
        } else {
            for text in texts {
                pieces.add(separator);
                pieces.add(group.gap(document));
                pieces.add(text);
            }
            tail(&mut pieces, slot, wants, separator);
        }
    }
    let mut rest = group.rest();
    if let Some(gone) = pending {
        rest = pieces.close(document, group, &gone, rest);
    }
    pieces.old(rest);
    pieces.finish()
}

/// What follows a slot on its line, with or without the separator.
fn tail(pieces: &mut Pieces, slot: &Slot, wants: bool, separator: &[u8]) {
    match (&slot.separator, wants) {
        (Some(old), false) => {
            pieces.old(slot.span.end..old.start);
            pieces.old(old.end..slot.end);
        }
        (None, true) => {
            pieces.add(separator);
            pieces.old(slot.span.end..slot.end);
        }
        _ => pieces.old(slot.span.end..slot.end),
    }
}

/// Whether the next slot that remains will stand on the same line.
fn next_on_line(document: &Document<'_>, group: &Group, ops: &[Op], index: usize) -> bool {
    let after = group.slots.iter().zip(ops).skip(index + 1);
    for (slot, op) in after {
        if has_break(document, &slot.lead) {
            return false;
        }
        if !op.is_removal() {
            return true;
        }
    }
    false
}

/// A lead up to its last line end: the comments in it stay, the line of the slot goes.
fn without_last_line(document: &Document<'_>, lead: &Range<usize>) -> Range<usize> {
    let bytes = document.text().get(lead.clone()).unwrap_or_default();
    let end = last_break(bytes).map_or(0, |found| found.start);
    lead.start..lead.start + end
}

/// Puts the first texts into a group without slots.
pub(super) fn fill(document: &Document<'_>, group: &Group, texts: &[Vec<u8>]) -> Vec<Splice> {
    let mut pieces = Pieces::new(&group.region);
    let region = group.region.clone();
    let bytes = document.text().get(region.clone()).unwrap_or_default();
    let separator: &[u8] = if group.json { b"," } else { b"" };
    match last_break(bytes) {
        _ if texts.is_empty() => pieces.old(region),
        _ if !group.closed => {
            let newline = newline(document);
            pieces.old(region.clone());
            let complete = bytes.is_empty() || bytes.ends_with(&newline);
            for text in texts {
                if complete {
                    pieces.add(text);
                    pieces.add(&newline);
                } else {
                    pieces.add(&newline);
                    pieces.add(text);
                }
            }
        }
        Some(found) => {
            let newline = bytes.get(found.clone()).unwrap_or_default();
            let indentation = group.inner_indentation(document);
            pieces.old(region.start..region.start + found.start);
            for (index, text) in texts.iter().enumerate() {
                pieces.add(newline);
                pieces.add(&indentation);
                pieces.add(text);
                if index + 1 < texts.len() {
                    pieces.add(separator);
                }
            }
            pieces.old(region.start + found.start..region.end);
        }
        None => {
            pieces.old(region);
            pieces.add(&texts.join(&b", "[..]));
            pieces.add(bytes);
        }
    }
    pieces.finish()
}
