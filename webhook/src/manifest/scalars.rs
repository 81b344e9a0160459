//! The scalars in a stretch of a document, each with the way to it.

use std::ops::Range;

use super::block::Block;
use super::node::{Content, NodeId, Style};
use super::quoted;
use super::runs::Runs;
use super::{Document, Location, Manifest, text};

/// One step from a document's root towards a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Into a mapping.
    Key(&'a str),
    /// Into a sequence.
    Item(usize),
}

/// A scalar as written.
pub struct Scalar<'a> {
    document: &'a Document,
    node: NodeId,
    /// The way to it; a key's is that of its value.
    pub path: &'a [Step<'a>],
    /// Whether it is a key.
    pub is_key: bool,
    /// What it says.
    pub decoded: &'a str,
    /// Its bytes in the document, quotes and the header of a block scalar included.
    pub span: Range<usize>,
}

impl Scalar<'_> {
    /// Where parts of what it says are written, and its quotes or its header; nothing when that can't be told.
    pub fn written(&self, parts: &[Range<usize>]) -> Vec<Range<usize>> {
        let text = &self.document.text;
        let Content::Scalar(style, decoded, indent) =
            &self.document.tree().nodes[self.node].content
        else {
            return Vec::new();
        };
        let (mut written, runs) = match style {
            Style::Literal | Style::Folded => match Block::at(text, self.span.start, *indent) {
                Some(block) => (vec![block.header.clone()], Some(block.runs(text))),
                None => return Vec::new(),
            },
            style => {
                let Range { start, end } = self.span;
                let quotes = match style {
                    Style::Plain => Vec::new(),
                    _ => vec![start..start + 1, end - 1..end],
                };
                (quotes, quoted::runs(text, self.span.clone(), *style))
            }
        };
        if let Some(runs) = runs.filter(|runs| runs.decoded == *decoded) {
            let place = |part: &Range<usize>| place(&runs, part);
            written.extend(parts.iter().filter_map(place));
        }
        written
    }
}

fn place(runs: &Runs, part: &Range<usize>) -> Option<Range<usize>> {
    Some(runs.place(part.start)?..runs.place(part.end)?)
}

impl Manifest {
    /// Where a line (from 1) ends.
    pub fn end_of_line(&self, line: usize) -> Option<Location> {
        let (document, span) = self.line_of(line)?;
        let text = document.text.get(span)?;
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let column = text.chars().count() + 1;
        Some(Location { line, column })
    }

    /// The document that a line (from 1) belongs to and the line's bytes in it, without its break.
    pub fn line_of(&self, line: usize) -> Option<(&Document, Range<usize>)> {
        let index = line.checked_sub(1)?;
        let after = self
            .documents
            .partition_point(|document| document.lines_before <= index);
        let document = self.documents.get(after.checked_sub(1)?)?;
        let start = *document.lines.get(index - document.lines_before)?;
        Some((document, start..text::line_end(&document.text, start)))
    }
}

impl Document {
    /// Visits the scalars that reach into a stretch, in their order. False when positions in this document are unsure.
    pub fn scalars(&self, stretch: &Range<usize>, visit: &mut dyn FnMut(&Scalar<'_>)) -> bool {
        if let Some(root) = self.tree().root.filter(|_| self.tree().exact) {
            self.walk(root, stretch, &mut Vec::new(), visit);
        }
        self.tree().exact
    }

    fn walk<'a>(
        &'a self,
        id: NodeId,
        stretch: &Range<usize>,
        path: &mut Vec<Step<'a>>,
        visit: &mut dyn FnMut(&Scalar<'_>),
    ) {
        let nodes = &self.tree().nodes;
        match &nodes[id].content {
            Content::Scalar(..) => self.scalar(id, stretch, path, false, visit),
            Content::Alias(_) => {}
            Content::Sequence(items) => {
                let first = items.partition_point(|item| nodes[item.node].span.end < stretch.start);
                let items = items.iter().enumerate().skip(first);
                for (index, item) in items.take_while(|(_, item)| item.start <= stretch.end) {
                    path.push(Step::Item(index));
                    self.walk(item.node, stretch, path, visit);
                    path.pop();
                }
            }
            Content::Mapping(entries) => {
                let end = |id: NodeId| nodes[id].span.end;
                let first = entries
                    .partition_point(|entry| end(entry.key).max(end(entry.value)) < stretch.start);
                let entries = entries.iter().skip(first);
                for entry in entries.take_while(|entry| entry.start <= stretch.end) {
                    path.push(Step::Key(&entry.name));
                    self.scalar(entry.key, stretch, path, true, visit);
                    self.walk(entry.value, stretch, path, visit);
                    path.pop();
                }
            }
        }
    }

    fn scalar(
        &self,
        id: NodeId,
        stretch: &Range<usize>,
        path: &[Step<'_>],
        is_key: bool,
        visit: &mut dyn FnMut(&Scalar<'_>),
    ) {
        let node = &self.tree().nodes[id];
        if let Content::Scalar(_, decoded, _) = &node.content
            && node.span.start <= stretch.end
            && node.span.end >= stretch.start
        {
            visit(&Scalar {
                document: self,
                node: id,
                path,
                is_key,
                decoded,
                span: node.span.clone(),
            });
        }
    }
}
