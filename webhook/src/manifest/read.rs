//! From the parser's events to trees: cuts a file into documents and builds each one's nodes.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, Span, StructureStyle, options};
use serde_json::Value;

use super::layout;
use super::node::{Content, Entry, Item, Node, NodeId, Style, Tag, Tree};
use super::resolve::{self, Fault, MAX_DEPTH, Resolver};
use super::text::next_line;

/// How many documents one file may have.
pub(super) const MAX_DOCUMENTS: usize = 100_000;

/// How many keys, values and items one file may have: each takes much more memory than the file does for it.
pub(super) const MAX_NODES: usize = 4_000_000;

/// A document found in a text; its tree counts offsets from `start`.
pub(super) struct Parsed {
    /// Where it begins in the text.
    pub(super) start: usize,
    /// Where it ends: where the next one begins.
    pub(super) end: usize,
    /// Its nodes.
    pub(super) tree: Tree,
    /// Its value.
    pub(super) value: Value,
}

/// Why a text cannot be read, and the offset of the reason.
#[derive(Debug)]
pub(super) enum Problem {
    /// The parser's own message.
    Syntax(String, usize),
    /// A node that has no JSON value.
    Fault(Fault, usize),
    /// Too many documents.
    Documents(usize),
}

/// Reads all documents of a text.
pub(super) fn documents(text: &str) -> Result<Vec<Parsed>, Problem> {
    let mut documents = Vec::new();
    each(text, MAX_NODES, &mut |document| documents.push(document))?;
    Ok(documents)
}

/// Reads one document of a text after the other: of all together the trees would be the most of what a file takes.
pub(super) fn each(
    text: &str,
    max_nodes: usize,
    take: &mut dyn FnMut(Parsed),
) -> Result<(), Problem> {
    let options = options! {
        emit_anchor_events: true,
        emit_comments: false,
        block_scalar_eof_without_line_feed: true,
    };
    let mut reader = Reader {
        text,
        take,
        documents: 0,
        open: None,
        cut: Some(0),
        nodes_left: max_nodes,
        resolver: Resolver::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
            match error.kind() {
                ErrorKind::RecursionLimitExceeded => Problem::Fault(Fault::Depth, at),
                kind => Problem::Syntax(kind.to_string(), at),
            }
        })?;
        let Some(range) = span.byte_range() else {
            return Err(Problem::Syntax("a position is missing".to_owned(), 0));
        };
        reader.event(event, &span, range)?;
    }
    reader.close(text.len())
}

struct Reader<'a> {
    text: &'a str,
    take: &'a mut dyn FnMut(Parsed),
    documents: usize,
    open: Option<Builder>,
    /// Where the next document begins, when the end of the last one settled it.
    cut: Option<usize>,
    nodes_left: usize,
    resolver: Resolver,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span, range: Range<usize>) -> Result<(), Problem> {
        match event {
            Event::DocumentStart(explicit, _) => {
                let start = self
                    .cut
                    .take()
                    .filter(|&cut| cut <= range.start)
                    .unwrap_or(range.start);
                self.close(start)?;
                if self.documents == MAX_DOCUMENTS {
                    return Err(Problem::Documents(range.start));
                }
                let body = if explicit { range.end } else { start };
                self.open = Some(Builder::new(start, body, self.nodes_left));
                Ok(())
            }
            Event::DocumentEnd => {
                // Without `...` only a `---` can follow, and that is where the next one begins.
                if !range.is_empty() {
                    self.cut = Some(next_line(self.text, range.end));
                }
                Ok(())
            }
            event => match &mut self.open {
                Some(builder) => builder
                    .event(event, span, range)
                    .map_err(|(fault, at)| Problem::Fault(fault, at)),
                None => Ok(()),
            },
        }
    }

    fn close(&mut self, end: usize) -> Result<(), Problem> {
        let Some(builder) = self.open.take() else {
            return Ok(());
        };
        let start = builder.base;
        let mut tree = builder.tree;
        self.nodes_left -= tree.nodes.len();
        layout::place(&self.text[start..end], &mut tree);
        let value = self
            .resolver
            .document(&tree)
            .map_err(|(fault, at)| Problem::Fault(fault.moved(start), start + at))?;
        self.documents += 1;
        (self.take)(Parsed {
            start,
            end,
            tree,
            value,
        });
        Ok(())
    }
}

/// A collection whose end has not come yet.
struct Open {
    node: NodeId,
    key: Option<NodeId>,
}

struct Builder {
    base: usize,
    tree: Tree,
    stack: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    max_nodes: usize,
}

impl Builder {
    fn new(base: usize, body: usize, max_nodes: usize) -> Self {
        let tree = Tree {
            body: body - base,
            ..Tree::default()
        };
        Self {
            base,
            tree,
            stack: Vec::new(),
            anchors: HashMap::new(),
            max_nodes,
        }
    }

    fn event(
        &mut self,
        event: Event<'_>,
        span: &Span,
        range: Range<usize>,
    ) -> Result<(), (Fault, usize)> {
        let at = range.start;
        let local = range.start - self.base..range.end - self.base;
        let node = |content, tag, flow_style| Node {
            content,
            span: local.clone(),
            slot: local.start,
            anchor: None,
            tag,
            aliased: false,
            flow_style,
            in_flow: false,
        };
        let tag = |tag: &granit_parser::Tag| Tag {
            name: format!("{}{}", tag.handle(), tag.suffix()),
            range: span
                .tag_span()
                .and_then(|span| span.byte_range())
                .map_or(local.start..local.start, |range| {
                    range.start - self.base..range.end - self.base
                }),
        };
        match event {
            Event::Scalar(text, style, anchor, mark) => {
                let style = match style {
                    ScalarStyle::SingleQuoted => Style::Single,
                    ScalarStyle::DoubleQuoted => Style::Double,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                    ScalarStyle::Plain => Style::Plain,
                };
                // The parser says `~` where nothing is written.
                let empty = style == Style::Plain && local.is_empty();
                let text = if empty {
                    String::new()
                } else {
                    text.into_owned()
                };
                let content = Content::Scalar(style, text, span.indent.unwrap_or(0));
                let node = node(content, mark.as_deref().map(tag), false);
                self.attach(node, anchor, at)?;
            }
            Event::Alias(anchor) => {
                let target = self
                    .anchors
                    .get(&anchor)
                    .copied()
                    .ok_or((Fault::Cycle, at))?;
                if self.stack.iter().any(|open| open.node == target) {
                    return Err((Fault::Cycle, at));
                }
                self.tree.nodes[target].aliased = true;
                let node = node(Content::Alias(target), None, false);
                self.attach(node, 0, at)?;
            }
            Event::SequenceStart(style, anchor, mark) => {
                let flow = style == StructureStyle::Flow;
                let node = node(
                    Content::Sequence(Vec::new()),
                    mark.as_deref().map(tag),
                    flow,
                );
                self.begin(node, anchor, at)?;
            }
            Event::MappingStart(style, anchor, mark) => {
                let flow = style == StructureStyle::Flow;
                let node = node(Content::Mapping(Vec::new()), mark.as_deref().map(tag), flow);
                self.begin(node, anchor, at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    self.tree.nodes[open.node].span.end = local.end;
                    // An alias of a collection is known only when the collection is complete.
                    return Ok(());
                }
            }
            Event::Anchor(..) => {
                if let Some(node) = self.tree.nodes.last_mut() {
                    node.anchor = Some(local);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: Node, anchor: usize, at: usize) -> Result<(), (Fault, usize)> {
        if self.stack.len() == MAX_DEPTH {
            return Err((Fault::Depth, at));
        }
        let id = self.attach(node, anchor, at)?;
        self.stack.push(Open {
            node: id,
            key: None,
        });
        Ok(())
    }

    fn attach(&mut self, node: Node, anchor: usize, at: usize) -> Result<NodeId, (Fault, usize)> {
        let id = self.tree.nodes.len();
        if id == self.max_nodes {
            return Err((Fault::Nodes, at));
        }
        let start = node.span.start;
        self.tree.nodes.push(node);
        if anchor != 0 {
            self.anchors.insert(anchor, id);
        }
        let Some(open) = self.stack.last_mut() else {
            self.tree.root.get_or_insert(id);
            return Ok(id);
        };
        let parent = open.node;
        let key = match self.tree.nodes[parent].content {
            Content::Mapping(_) => match open.key.take() {
                None => {
                    open.key = Some(id);
                    return Ok(id);
                }
                key => key,
            },
            _ => None,
        };
        let entry = match key {
            None => None,
            Some(key) => {
                let merge = resolve::is_merge(&self.tree.nodes[key]);
                let name = resolve::key_name(&self.tree, key).map_err(|fault| (fault, at))?;
                Some(Entry {
                    key,
                    value: id,
                    name,
                    merge,
                    start,
                    colon: None,
                })
            }
        };
        match (&mut self.tree.nodes[parent].content, entry) {
            (Content::Mapping(entries), Some(entry)) => entries.push(entry),
            (Content::Sequence(items), _) => items.push(Item { node: id, start }),
            _ => {}
        }
        Ok(id)
    }
}
