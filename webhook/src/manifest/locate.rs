//! Where in the file a JSON pointer leads.

use super::block::Block;
use super::node::{Content, NodeId, Style, Tree};
use super::quoted;
use super::resolve::MAX_DEPTH;
use super::runs::Runs;
use super::{Document, Manifest};

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// How far a pointer leads.
struct Found {
    /// The offset people want to see: the key's for a member, the item's for an item.
    shown: usize,
    /// The value, when the whole pointer leads somewhere.
    node: Option<NodeId>,
}

impl Manifest {
    /// Where the value at an RFC 6901 pointer is: its key for a member of a mapping, itself for an item of a
    /// sequence, the nearest parent when there is no such value.
    pub fn locate(&self, document: usize, pointer: &str) -> Location {
        let found = self
            .documents
            .get(document)
            .map(|document| find(document.tree(), pointer));
        self.position(document, found.map_or(0, |found| found.shown))
    }

    /// Where byte `offset` of the string at a pointer is written; as [`Manifest::locate`] when it is no string.
    pub fn locate_in_text(&self, document: usize, pointer: &str, offset: usize) -> Location {
        let Some(parts) = self.documents.get(document) else {
            return self.position(document, 0);
        };
        let found = find(parts.tree(), pointer);
        let place = found.node.and_then(|node| place(parts, node, offset));
        self.position(document, place.unwrap_or(found.shown))
    }

    /// The line and column of an offset in a document's text.
    pub(super) fn position(&self, document: usize, at: usize) -> Location {
        let Some(document) = self.documents.get(document) else {
            return Location { line: 1, column: 1 };
        };
        let line = document.lines.partition_point(|&start| start <= at).max(1);
        let start = document.lines.get(line - 1).copied().unwrap_or(0);
        let before = document.text.get(start..at).unwrap_or_default();
        let column = before
            .strip_prefix('\u{feff}')
            .unwrap_or(before)
            .chars()
            .count()
            + 1;
        Location {
            line: document.lines_before + line,
            column,
        }
    }
}

fn find(tree: &Tree, pointer: &str) -> Found {
    let Some(root) = tree.root else {
        return Found {
            shown: 0,
            node: None,
        };
    };
    let mut shown = tree.nodes[root].start();
    let mut node = root;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let Some((at, child)) = child(tree, node, &token, 0) else {
            return Found { shown, node: None };
        };
        (shown, node) = (at, child);
    }
    Found {
        shown,
        node: Some(node),
    }
}

fn child(tree: &Tree, id: NodeId, token: &str, depth: usize) -> Option<(usize, NodeId)> {
    match &tree.nodes[tree.target(id)].content {
        Content::Sequence(items) => {
            let item = items.get(token.parse::<usize>().ok()?)?;
            Some((tree.nodes[item.node].start(), item.node))
        }
        Content::Mapping(entries) => {
            if let Some(entry) = entries
                .iter()
                .find(|entry| !entry.merge && entry.name == token)
            {
                return Some((tree.nodes[entry.key].start(), entry.value));
            }
            if depth > MAX_DEPTH {
                return None;
            }
            entries
                .iter()
                .filter(|entry| entry.merge)
                .find_map(|entry| {
                    let source = tree.target(entry.value);
                    match &tree.nodes[source].content {
                        Content::Sequence(items) => items
                            .iter()
                            .find_map(|item| child(tree, item.node, token, depth + 1)),
                        _ => child(tree, source, token, depth + 1),
                    }
                })
        }
        _ => None,
    }
}

/// Where a byte of a scalar's text is written.
fn place(document: &Document, id: NodeId, offset: usize) -> Option<usize> {
    let tree = document.tree();
    let node = &tree.nodes[tree.target(id)];
    let Content::Scalar(style, decoded, indent) = &node.content else {
        return None;
    };
    let text = &document.text;
    let runs: Option<Runs> = match style {
        Style::Literal | Style::Folded => {
            Block::at(text, node.span.start, *indent).map(|block| block.runs(text))
        }
        style => quoted::runs(text, node.span.clone(), *style),
    };
    let in_text = runs
        .filter(|runs| runs.decoded == *decoded)
        .and_then(|runs| runs.place(offset));
    Some(in_text.unwrap_or(node.span.start))
}
