//! Which part of a decoded string stands where in the text.

use std::ops::Range;

/// A part of a string and the text it comes from.
#[derive(Debug)]
struct Run {
    decoded: Range<usize>,
    raw: Range<usize>,
    verbatim: bool,
}

/// A decoded string in parts.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The whole string.
    pub(super) decoded: String,
    parts: Vec<Run>,
}

impl Runs {
    /// Adds text that stands for itself.
    pub(super) fn verbatim(&mut self, text: &str, raw: Range<usize>) {
        if raw.is_empty() {
            return;
        }
        let start = self.decoded.len();
        self.decoded.push_str(&text[raw.clone()]);
        if let Some(last) = self.parts.last_mut()
            && last.verbatim
            && last.raw.end == raw.start
        {
            last.raw.end = raw.end;
            last.decoded.end = self.decoded.len();
            return;
        }
        self.parts.push(Run {
            decoded: start..self.decoded.len(),
            raw,
            verbatim: true,
        });
    }

    /// Adds text that stands for something else: an escape, a fold, a line break.
    pub(super) fn insert(&mut self, decoded: &str, raw: Range<usize>) {
        let start = self.decoded.len();
        self.decoded.push_str(decoded);
        self.parts.push(Run {
            decoded: start..self.decoded.len(),
            raw,
            verbatim: false,
        });
    }

    /// The place of the character at an offset of the string; of its end, the end of the text.
    pub(super) fn place(&self, offset: usize) -> Option<usize> {
        let index = self.parts.partition_point(|run| run.decoded.end <= offset);
        let Some(run) = self.parts.get(index) else {
            return self.parts.last().map(|run| {
                if run.verbatim {
                    run.raw.end
                } else {
                    run.raw.start
                }
            });
        };
        let delta = if run.verbatim {
            offset - run.decoded.start
        } else {
            0
        };
        Some(run.raw.start + delta)
    }

    /// The last place at or before an offset where the text can be cut, as (offset, place).
    pub(super) fn cut_before(&self, offset: usize) -> Option<(usize, usize)> {
        let index = self.parts.partition_point(|run| run.decoded.end < offset);
        let run = self.parts.get(index)?;
        if run.verbatim {
            Some((offset, run.raw.start + (offset - run.decoded.start)))
        } else if offset == run.decoded.end {
            Some((offset, run.raw.end))
        } else {
            Some((run.decoded.start, run.raw.start))
        }
    }

    /// The first place at or after an offset where the text can be cut, as (offset, place).
    pub(super) fn cut_after(&self, offset: usize) -> Option<(usize, usize)> {
        let index = self.parts.partition_point(|run| run.decoded.end < offset);
        let run = self.parts.get(index)?;
        if run.verbatim {
            Some((offset, run.raw.start + (offset - run.decoded.start)))
        } else if offset == run.decoded.start {
            Some((offset, run.raw.start))
        } else {
            Some((run.decoded.end, run.raw.end))
        }
    }
}
