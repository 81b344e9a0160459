//! The tree of one document: its nodes and where each of them stands in the text.

use std::ops::Range;

/// The index of a node in its [`Tree`].
pub(super) type NodeId = usize;

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Without quotes.
    Plain,
    /// In `'`.
    Single,
    /// In `"`.
    Double,
    /// As a block scalar that begins with `|`.
    Literal,
    /// As a block scalar that begins with `>`.
    Folded,
}

/// An explicit tag.
#[derive(Debug)]
pub(super) struct Tag {
    /// Its resolved name, such as `tag:yaml.org,2002:str`.
    pub(super) name: String,
    /// The token, as far as the parser tells.
    pub(super) range: Range<usize>,
}

/// One key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key's node.
    pub(super) key: NodeId,
    /// The value's node.
    pub(super) value: NodeId,
    /// The key as it is in JSON.
    pub(super) name: String,
    /// Whether this is a merge key (`<<`).
    pub(super) merge: bool,
    /// Where the entry begins: its `?`, or its key with the key's properties.
    pub(super) start: usize,
    /// Where its `:` is; a key in a flow mapping can stand alone.
    pub(super) colon: Option<usize>,
}

/// One item of a sequence.
#[derive(Debug)]
pub(super) struct Item {
    /// The item's node.
    pub(super) node: NodeId,
    /// Where the item begins: its `-` in block style.
    pub(super) start: usize,
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Content {
    /// A scalar: its style, its decoded text and, for block scalars, the column its lines begin at.
    Scalar(Style, String, usize),
    /// An alias of another node.
    Alias(NodeId),
    /// A sequence.
    Sequence(Vec<Item>),
    /// A mapping.
    Mapping(Vec<Entry>),
}

/// A node as written.
#[derive(Debug)]
pub(super) struct Node {
    /// What it holds.
    pub(super) content: Content,
    /// Its text without properties and without the line break that ends it.
    pub(super) span: Range<usize>,
    /// The byte after the `:`, `-`, `[`, `,` or `---` that introduces it.
    pub(super) slot: usize,
    /// Its anchor token.
    pub(super) anchor: Option<Range<usize>>,
    /// Its tag.
    pub(super) tag: Option<Tag>,
    /// Whether an alias refers to it.
    pub(super) aliased: bool,
    /// Whether it is written in flow style (`{}` and `[]`), for collections.
    pub(super) flow_style: bool,
    /// Whether it lies inside a flow collection.
    pub(super) in_flow: bool,
}

impl Node {
    /// Where the node begins, with its properties.
    pub(super) fn start(&self) -> usize {
        let mut start = self.span.start;
        if let Some(anchor) = &self.anchor {
            start = start.min(anchor.start);
        }
        if let Some(tag) = &self.tag {
            start = start.min(tag.range.start);
        }
        start
    }

    /// The byte after its properties, or its slot when it has none.
    pub(super) fn after_properties(&self) -> usize {
        let mut after = self.slot;
        if let Some(anchor) = &self.anchor {
            after = after.max(anchor.end);
        }
        if let Some(tag) = &self.tag {
            after = after.max(tag.range.end);
        }
        after
    }

    /// Whether nothing at all is written where the value is.
    pub(super) fn is_empty(&self) -> bool {
        self.span.is_empty() && matches!(self.content, Content::Scalar(Style::Plain, ..))
    }

    /// Whether this is a mapping or a sequence in block style.
    pub(super) fn is_block_collection(&self) -> bool {
        !self.flow_style && matches!(self.content, Content::Sequence(_) | Content::Mapping(_))
    }
}

/// The nodes of one document.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// All nodes; a parent comes before its children.
    pub(super) nodes: Vec<Node>,
    /// The outermost node.
    pub(super) root: Option<NodeId>,
    /// The byte after the document's `---`, or where the document begins.
    pub(super) body: usize,
    /// Whether every position was found in the text; without that nothing is edited.
    pub(super) exact: bool,
}

impl Tree {
    /// The node an alias stands for, or the node itself.
    pub(super) fn target(&self, id: NodeId) -> NodeId {
        match self.nodes[id].content {
            // The parser resolves an alias to an anchored node, which is no alias.
            Content::Alias(target) => target,
            _ => id,
        }
    }
}
