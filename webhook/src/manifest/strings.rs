//! Another text for a string scalar in the style it is written in.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::block::{Block, Chomp};
use super::emit;
use super::node::Style;
use super::quoted;
use super::runs::Runs;

/// What the place of a scalar allows.
#[derive(Debug)]
pub(super) struct Surroundings {
    /// Inside `{}` or `[]`.
    pub(super) in_flow: bool,
    /// Only double quotes are allowed.
    pub(super) json: bool,
    /// The column of the mapping or sequence around it.
    pub(super) parent: usize,
    /// The document's line break.
    pub(super) eol: &'static str,
    /// Whether the last line of the file is still the last one after the edit.
    pub(super) last_stays: bool,
}

/// The new text for the scalar at `span`, and which part of the document it takes the place of.
pub(super) fn rewrite(
    text: &str,
    span: &Range<usize>,
    (style, old, indent): (Style, &str, usize),
    new: &str,
    around: &Surroundings,
) -> (Range<usize>, String) {
    let found = match style {
        Style::Literal | Style::Folded => return block(text, span, (old, indent), new, around),
        Style::Double | Style::Single | Style::Plain => flow(text, span, style, old, new, around),
    };
    let fallback = || match style {
        Style::Plain if !around.json => emit::plain_or_quoted(new, around.in_flow),
        Style::Single if single_fits(new) && !new.is_empty() => {
            format!("'{}'", new.replace('\'', "''"))
        }
        _ => emit::double_quoted(new),
    };
    (span.clone(), found.unwrap_or_else(fallback))
}

fn single_fits(text: &str) -> bool {
    emit::escaped(&text.replace(['"', '\\'], "")).len() == text.replace(['"', '\\'], "").len()
}

/// Splices the changed part of a quoted or plain scalar.
fn flow(
    text: &str,
    span: &Range<usize>,
    style: Style,
    old: &str,
    new: &str,
    around: &Surroundings,
) -> Option<String> {
    let runs = quoted::runs(text, span.clone(), style).filter(|runs| runs.decoded == old)?;
    let encode = |part: &str| match style {
        Style::Double => Some(emit::escaped(part)),
        Style::Single => single_fits(part).then(|| part.replace('\'', "''")),
        _ => single_fits(part).then(|| part.to_owned()),
    };
    let candidate = splice(text, span, &runs, new, encode)?;
    let decoded = quoted::runs(&candidate, 0..candidate.len(), style)?;
    // A plain scalar over several lines is plain as long as its lines, joined, are.
    let plain = style != Style::Plain || emit::plain_fits(&new.replace('\n', " "), around.in_flow);
    (decoded.decoded == new && plain).then_some(candidate)
}

/// The text of a scalar with its changed part exchanged.
fn splice(
    text: &str,
    span: &Range<usize>,
    runs: &Runs,
    new: &str,
    encode: impl Fn(&str) -> Option<String>,
) -> Option<String> {
    let old = &runs.decoded;
    let prefix = common(old.chars().zip(new.chars()));
    let suffix = common(old[prefix..].chars().rev().zip(new[prefix..].chars().rev()));
    let (from, raw_from) = runs.cut_before(prefix)?;
    let (to, raw_to) = runs.cut_after(old.len() - suffix)?;
    let part = encode(new.get(from..new.len() - (old.len() - to))?)?;
    let raw_to = raw_to.max(raw_from);
    let (before, after) = (text.get(span.start..raw_from)?, text.get(raw_to..span.end)?);
    Some(format!("{before}{part}{after}"))
}

fn common(pairs: impl Iterator<Item = (char, char)>) -> usize {
    pairs
        .take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum()
}

/// Rewrites a block scalar: line by line, else as a new `|` block, else in double quotes.
fn block(
    text: &str,
    span: &Range<usize>,
    (old, indent): (&str, usize),
    new: &str,
    around: &Surroundings,
) -> (Range<usize>, String) {
    let quoted = || (span.clone(), emit::double_quoted(new));
    let Some(block) = Block::at(text, span.start, indent) else {
        return quoted();
    };
    let runs = block.runs(text);
    let known = runs.decoded == old && !block.lines.is_empty();
    if known && !block.literal {
        let encode = |part: &str| single_fits(part).then(|| part.to_owned());
        if let Some(candidate) = splice(text, &(span.start..block.end()), &runs, new, encode)
            && reads_as(&candidate, &block, new, ends_file(text, &block), around)
        {
            return (span.start..block.end(), candidate);
        }
    }
    if !emit::literal_fits(new) {
        return quoted();
    }
    if known
        && block.literal
        && let Some(found) = lines(text, &block, new, around)
    {
        return found;
    }
    let column = if block.lines.is_empty() {
        around.parent + 2
    } else {
        block.indent
    };
    let digit = emit::needs_digit(new).then(|| column - around.parent.min(column));
    let safe = digit.is_none_or(|digit| (1..=9).contains(&digit))
        && !ends_file(text, &block)
        && !new.ends_with("\n\n");
    if safe {
        (span.clone(), emit::literal(new, column, digit, around.eol))
    } else {
        quoted()
    }
}

/// Whether the last line of the block is the last of the file and has no line break.
fn ends_file(text: &str, block: &Block) -> bool {
    let last = block.trailing.last().or(block.lines.last());
    last.is_some_and(|line| line.next == line.raw.end && line.next == text.len())
}

fn reads_as(
    candidate: &str,
    block: &Block,
    new: &str,
    ends_file: bool,
    around: &Surroundings,
) -> bool {
    let whole = if ends_file {
        candidate.to_owned()
    } else {
        format!("{candidate}{}", around.eol)
    };
    Block::at(&whole, 0, block.indent).is_some_and(|read| read.runs(&whole).decoded == new)
}

/// Exchanges the changed lines of a literal block.
fn lines(
    text: &str,
    block: &Block,
    new: &str,
    around: &Surroundings,
) -> Option<(Range<usize>, String)> {
    let body = new.trim_end_matches('\n');
    let breaks = new.len() - body.len();
    let ends_file = ends_file(text, block);
    let bare = ends_file && block.trailing.is_empty();
    let open = bare && around.last_stays;
    let fits = match block.chomp {
        Chomp::Strip => breaks == 0,
        Chomp::Clip => breaks == 1 || open && breaks == 0,
        Chomp::Keep => breaks > 0 || open && breaks == 0,
    };
    let chomp = match breaks {
        _ if fits => block.chomp,
        0 => Chomp::Strip,
        1 => Chomp::Clip,
        _ => Chomp::Keep,
    };
    // Blank lines that were no part of the text would become one, and nothing could be added before them.
    if chomp == Chomp::Keep && block.chomp != Chomp::Keep && !block.trailing.is_empty() {
        return None;
    }
    let first = block.lines.first()?;
    let mut out = String::new();
    let digit = if block.digit.is_none() && emit::needs_digit(new) {
        Some(
            block
                .indent
                .checked_sub(around.parent)
                .filter(|digit| (1..=9).contains(digit))?,
        )
    } else {
        None
    };
    if digit.is_none() && chomp == block.chomp {
        out.push_str(&text[block.header.start..first.raw.start]);
    } else {
        let digit = digit
            .map(|digit| digit.to_string())
            .or(block.digit.map(|digit| digit.to_string()));
        out.push('|');
        out.push_str(&digit.unwrap_or_default());
        out.push_str(chomp.indicator());
        out.push_str(&text[block.header.end..first.raw.start]);
    }

    let old: Vec<&str> = block
        .lines
        .iter()
        .map(|line| &text[line.content.clone()])
        .collect();
    let new_lines: Vec<&str> = body.split('\n').collect();
    let mut pending = "";
    for op in capture_diff_slices(Algorithm::Myers, &old, &new_lines) {
        let (kept, added) = match op {
            DiffOp::Equal { old_index, len, .. } => (old_index..old_index + len, 0..0),
            DiffOp::Delete { .. } => (0..0, 0..0),
            DiffOp::Insert {
                new_index, new_len, ..
            }
            | DiffOp::Replace {
                new_index, new_len, ..
            } => (0..0, new_index..new_index + new_len),
        };
        for line in &block.lines[kept] {
            out.push_str(pending);
            out.push_str(&text[line.raw.clone()]);
            pending = if line.next > line.raw.end {
                &text[line.raw.end..line.next]
            } else {
                around.eol
            };
        }
        for line in &new_lines[added] {
            out.push_str(pending);
            if !line.is_empty() {
                out.push_str(&" ".repeat(block.indent));
                out.push_str(line);
            }
            pending = around.eol;
        }
    }

    let mut end = block.lines.last()?.raw.end;
    if chomp == Chomp::Keep {
        // The blank lines that count are what the text says now, as far as they stand there already.
        let wanted = breaks.saturating_sub(1);
        for index in 0..wanted {
            out.push_str(around.eol);
            if let Some(line) = block.trailing.get(index) {
                out.push_str(&text[line.raw.clone()]);
            }
        }
        end = block.trailing.last().map_or(end, |line| line.raw.end);
    } else if block.chomp == Chomp::Keep {
        end = block.trailing.last().map_or(end, |line| line.raw.end);
        for line in &block.trailing {
            out.push_str(around.eol);
            out.push_str(&text[line.raw.clone()]);
        }
    }
    if bare && breaks > 0 {
        out.push_str(around.eol);
    }
    let whole_file = ends_file && (!bare || breaks == 0);
    reads_as(&out, block, new, whole_file || bare, around).then_some((block.header.start..end, out))
}
