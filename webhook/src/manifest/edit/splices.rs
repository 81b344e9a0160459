//! Puts the replacements of an edit into the text.

use std::ops::Range;

use super::super::block::{Block, Chomp};
use super::super::node::{Content, Style};
use super::super::plan::Refusal;
use super::super::text::{line_end, line_start};
use super::Editor;

impl Editor<'_> {
    /// Makes insertions of the new lines; those after a line that goes away come after the line before it.
    fn place_lines(&mut self) {
        let mut removed: Vec<Range<usize>> = Vec::new();
        self.splices
            .sort_by_key(|(range, _)| (range.start, range.end));
        for (range, _) in self.splices.iter().filter(|(_, text)| text.is_empty()) {
            match removed.last_mut() {
                Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
                _ => removed.push(range.clone()),
            }
        }
        for (mut at, line) in std::mem::take(&mut self.lines) {
            let within = removed
                .iter()
                .find(|range| range.start < at && at <= range.end);
            if let Some(range) = within
                && range.start > 0
                && line_start(self.text, range.start) == range.start
                && (at < range.end || at == self.text.len())
            {
                at = line_end(self.text, line_start(self.text, range.start - 1));
            }
            if at == self.text.len() {
                self.strip_last_block();
            }
            self.splice(at..at, line);
        }
    }

    /// Applies the splices.
    pub(super) fn finish(mut self) -> Result<String, Refusal> {
        self.place_lines();
        // Stable: what is inserted at the same place stays in the order it was made, inner before outer.
        self.splices
            .sort_by_key(|(range, _)| (range.start, range.end));
        let mut merged: Vec<(Range<usize>, String)> = Vec::new();
        for (range, text) in self.splices.drain(..) {
            match merged.last_mut() {
                Some((last, before)) if range.start < last.end => {
                    if !before.is_empty() || !text.is_empty() {
                        return Err(Refusal::Other(
                            "two changes touch the same text",
                            range.start,
                        ));
                    }
                    last.end = last.end.max(range.end);
                }
                Some((last, before))
                    if range.start == last.end && before.is_empty() && text.is_empty() =>
                {
                    last.end = range.end;
                }
                _ => merged.push((range, text)),
            }
        }
        if let Some((range, text)) = merged.last_mut()
            && text.is_empty()
            && range.end == self.text.len()
            && !self.text.ends_with('\n')
            && self.text[..range.start].ends_with('\n')
        {
            let start = line_end(self.text, line_start(self.text, range.start - 1));
            if !self.ends_with_block(start) {
                range.start = start;
            }
        }
        let mut out = String::with_capacity(self.text.len());
        let mut from = 0;
        for (range, text) in merged {
            out.push_str(self.text.get(from..range.start).unwrap_or_default());
            out.push_str(&text);
            from = range.end;
        }
        out.push_str(self.text.get(from..).unwrap_or_default());
        Ok(out)
    }

    /// Whether a block scalar that needs its last line break ends at an offset.
    fn ends_with_block(&self, at: usize) -> bool {
        self.tree.nodes.iter().any(|node| {
            matches!(
                node.content,
                Content::Scalar(Style::Literal | Style::Folded, ..)
            ) && node.span.end == at
        })
    }

    /// A block scalar that ends with the file has no last line break, and must not get one from a line after it.
    fn strip_last_block(&mut self) {
        for node in &self.tree.nodes {
            if let Content::Scalar(Style::Literal | Style::Folded, _, indent) = node.content
                && node.span.end == self.text.len()
                && let Some(block) = Block::at(self.text, node.span.start, indent)
                && block.chomp != Chomp::Strip
            {
                let keep = usize::from(block.chomp == Chomp::Keep);
                let range = block.header.end - keep..block.header.end;
                let rewritten =
                    |done: &Range<usize>| done.start <= range.start && range.end <= done.end;
                if !self.splices.iter().any(|(done, _)| rewritten(done)) {
                    self.splices.push((range, "-".to_owned()));
                }
                return;
            }
        }
    }
}
