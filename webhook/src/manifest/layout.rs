//! Finds in the text what the parser does not tell: indicators, exact ends, headers of block scalars.

use super::block::Block;
use super::node::{Content, NodeId, Style, Tree};
use super::text::skip_trivia;

/// Completes the positions of a tree; `exact` stays false when the text is not what the events say.
pub(super) fn place(text: &str, tree: &mut Tree) {
    let Some(root) = tree.root else {
        tree.exact = true;
        return;
    };
    let slot = tree.body;
    tree.exact = Placer { text, tree }.node(root, slot, false).is_some();
}

struct Placer<'a> {
    text: &'a str,
    tree: &'a mut Tree,
}

impl Placer<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    fn is_indicator(&self, at: usize, indicator: u8) -> bool {
        self.byte(at) == Some(indicator)
            && matches!(self.byte(at + 1), None | Some(b' ' | b'\t' | b'\r' | b'\n'))
    }

    /// Places a node and what is in it; gives its end. The depth is bounded by the reader.
    fn node(&mut self, id: NodeId, slot: usize, in_flow: bool) -> Option<usize> {
        let node = &mut self.tree.nodes[id];
        node.slot = slot;
        node.in_flow = in_flow;
        let after = node.after_properties();
        let span = node.span.clone();
        let flow = node.flow_style;
        let (start, end) = match &mut node.content {
            Content::Scalar(Style::Plain, ..) if span.is_empty() => (after, after),
            Content::Scalar(Style::Literal | Style::Folded, decoded, indent) => {
                let header = skip_trivia(self.text, after);
                // Without content there is no column of the content.
                if decoded.bytes().all(|byte| byte == b'\n') {
                    *indent = usize::MAX;
                }
                let block = Block::at(self.text, header, *indent)?;
                (header, block.end())
            }
            Content::Scalar(..) | Content::Alias(_) => (span.start, span.end),
            Content::Sequence(items) => {
                let ids: Vec<NodeId> = items.iter().map(|item| item.node).collect();
                let (start, starts, end) = if flow {
                    self.flow_items(&ids, span.start, span.end)?
                } else {
                    self.block_items(&ids, skip_trivia(self.text, after))?
                };
                if let Content::Sequence(items) = &mut self.tree.nodes[id].content {
                    for (item, start) in items.iter_mut().zip(starts) {
                        item.start = start;
                    }
                }
                (start, end)
            }
            Content::Mapping(entries) => {
                let ids: Vec<(NodeId, NodeId)> = entries
                    .iter()
                    .map(|entry| (entry.key, entry.value))
                    .collect();
                let from = if flow {
                    span.start
                } else {
                    skip_trivia(self.text, after)
                };
                let (starts, end) = self.entries(&ids, from, flow.then_some(span.end))?;
                if let Content::Mapping(entries) = &mut self.tree.nodes[id].content {
                    for (entry, (start, colon)) in entries.iter_mut().zip(starts) {
                        entry.start = start;
                        entry.colon = colon;
                    }
                }
                (from, end)
            }
        };
        self.tree.nodes[id].span = start..end;
        Some(end)
    }

    fn block_items(&mut self, ids: &[NodeId], from: usize) -> Option<(usize, Vec<usize>, usize)> {
        let mut starts = Vec::with_capacity(ids.len());
        let mut at = from;
        let mut end = from;
        for &id in ids {
            if !self.is_indicator(at, b'-') {
                return None;
            }
            starts.push(at);
            end = self.node(id, at + 1, false)?;
            at = skip_trivia(self.text, end);
        }
        Some((from, starts, end))
    }

    fn flow_items(
        &mut self,
        ids: &[NodeId],
        from: usize,
        end: usize,
    ) -> Option<(usize, Vec<usize>, usize)> {
        let mut starts = Vec::with_capacity(ids.len());
        let mut at = from + 1;
        for &id in ids {
            let slot = at;
            at = skip_trivia(self.text, at);
            starts.push(at);
            at = skip_trivia(self.text, self.node(id, slot, true)?);
            at += usize::from(self.byte(at) == Some(b','));
        }
        (self.byte(skip_trivia(self.text, at)) == Some(b']')).then_some((from, starts, end))
    }

    /// The start and the colon of each entry, and the end. `flow` is the end of a flow mapping.
    #[expect(clippy::type_complexity, reason = "used in one place")]
    fn entries(
        &mut self,
        ids: &[(NodeId, NodeId)],
        from: usize,
        flow: Option<usize>,
    ) -> Option<(Vec<(usize, Option<usize>)>, usize)> {
        let mut places = Vec::with_capacity(ids.len());
        let in_flow = flow.is_some();
        // `[a: 1]` has a mapping without braces.
        let braces = in_flow && self.byte(from) == Some(b'{');
        let mut at = from + usize::from(braces);
        let mut end = from;
        for &(key, value) in ids {
            let mut slot = at;
            at = skip_trivia(self.text, at);
            let start = at;
            if self.is_indicator(at, b'?') {
                slot = at + 1;
            }
            end = self.node(key, slot, in_flow)?;
            at = skip_trivia(self.text, end);
            let colon = (self.byte(at) == Some(b':')).then_some(at);
            if colon.is_none() && !self.tree.nodes[value].is_empty() {
                return None;
            }
            end = self.node(value, colon.map_or(end, |colon| colon + 1), in_flow)?;
            places.push((start, colon));
            at = end;
            if in_flow {
                let comma = skip_trivia(self.text, at);
                if self.byte(comma) == Some(b',') && braces {
                    at = comma + 1;
                }
            }
        }
        if let (Some(end), true) = (flow, braces) {
            return (self.byte(skip_trivia(self.text, at)) == Some(b'}')).then_some((places, end));
        }
        Some((places, end))
    }
}
