//! Block scalars (`|` and `>`) line by line.

use std::ops::Range;

use super::runs::Runs;
use super::text::{line_end, next_line};

/// What becomes of the line breaks at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chomp {
    /// `-`: none stays.
    Strip,
    /// One stays.
    Clip,
    /// `+`: all stay.
    Keep,
}

impl Chomp {
    /// Its indicator.
    pub(super) const fn indicator(self) -> &'static str {
        match self {
            Self::Strip => "-",
            Self::Clip => "",
            Self::Keep => "+",
        }
    }
}

/// One line of a block scalar.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// The line without its break.
    pub(super) raw: Range<usize>,
    /// What counts of it; empty for a blank line.
    pub(super) content: Range<usize>,
    /// The start of the line after it.
    pub(super) next: usize,
}

/// A block scalar in the text.
#[derive(Debug)]
pub(super) struct Block {
    /// Whether it begins with `|`.
    pub(super) literal: bool,
    /// The header: from `|` or `>` to the last indicator.
    pub(super) header: Range<usize>,
    /// The digit of the header.
    pub(super) digit: Option<u8>,
    /// The header's chomping.
    pub(super) chomp: Chomp,
    /// The column its lines begin at.
    pub(super) indent: usize,
    /// Its lines up to the last one with content.
    pub(super) lines: Vec<Line>,
    /// The blank lines after that.
    pub(super) trailing: Vec<Line>,
}

impl Block {
    /// Reads the block scalar whose header is at `at`.
    pub(super) fn at(text: &str, at: usize, indent: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let literal = match bytes.get(at)? {
            b'|' => true,
            b'>' => false,
            _ => return None,
        };
        let mut end = at + 1;
        let mut digit = None;
        let mut chomp = Chomp::Clip;
        while let Some(&byte) = bytes.get(end) {
            match byte {
                b'-' => chomp = Chomp::Strip,
                b'+' => chomp = Chomp::Keep,
                b'1'..=b'9' => digit = Some(byte - b'0'),
                _ => break,
            }
            end += 1;
        }
        let mut lines = Vec::new();
        let mut used = 0;
        let mut start = next_line(text, end);
        while start < text.len() {
            let stop = line_end(text, start);
            let line = &text[start..stop];
            let blanks = line
                .bytes()
                .take(indent)
                .take_while(|&byte| byte == b' ')
                .count();
            let marker = indent == 0 && (line.starts_with("---") || line.starts_with("..."));
            if (blanks < indent && blanks < line.len()) || marker {
                break;
            }
            let next = next_line(text, start);
            lines.push(Line {
                raw: start..stop,
                content: start + blanks..stop,
                next,
            });
            if blanks < line.len() {
                used = lines.len();
            }
            start = next;
        }
        let trailing = lines.split_off(used);
        Some(Self {
            literal,
            header: at..end,
            digit,
            chomp,
            indent,
            lines,
            trailing,
        })
    }

    /// Where it ends, before the last line break.
    pub(super) fn end(&self) -> usize {
        let last = match self.chomp {
            Chomp::Keep => self.trailing.last().or(self.lines.last()),
            _ => self.lines.last(),
        };
        last.map_or(self.header.end, |line| line.raw.end)
    }

    /// What it says, with the place of each part.
    pub(super) fn runs(&self, text: &str) -> Runs {
        let mut runs = Runs::default();
        let mut pending: Vec<&Line> = Vec::new();
        let mut previous: Option<&Line> = None;
        let spaced = |line: &Line| text[line.content.clone()].starts_with([' ', '\t']);
        for line in &self.lines {
            if line.content.is_empty() {
                pending.push(line);
                continue;
            }
            if let Some(before) = previous {
                let brk = before.raw.end..before.next;
                if self.literal || spaced(before) || spaced(line) {
                    runs.insert("\n", brk);
                } else if pending.is_empty() {
                    runs.insert(" ", brk.start..line.content.start);
                } else {
                    runs.insert("", brk);
                }
            }
            for blank in pending.drain(..) {
                runs.insert("\n", blank.raw.start..blank.next);
            }
            runs.verbatim(text, line.content.clone());
            previous = Some(line);
        }
        if self.chomp != Chomp::Strip
            && let Some(last) = previous
            && last.next > last.raw.end
        {
            runs.insert("\n", last.raw.end..last.next);
        }
        if self.chomp == Chomp::Keep {
            for blank in &self.trailing {
                if blank.next > blank.raw.end {
                    runs.insert("\n", blank.raw.start..blank.next);
                }
            }
        }
        runs
    }
}
