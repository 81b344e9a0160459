//! From a plan to replacements in the text.

mod splices;
mod whole;

use std::ops::Range;

use serde_json::Value;

use super::emit::{self, Flow, Format};
use super::node::{Content, NodeId, Style, Tree};
use super::plan::{self, Member, Plan, Refusal};
use super::resolve::{self, Resolver};
use super::strings::{self, Surroundings};
use super::text::{begins_line, column, indentation, line_end, line_start, next_line};

/// Where a node hangs.
#[derive(Clone, Debug)]
enum Place {
    /// It is the document.
    Root,
    /// After the `:` of a block mapping's entry.
    Entry {
        /// The mapping's column.
        column: usize,
    },
    /// After the `-` of a block sequence.
    Item {
        /// The sequence's column.
        column: usize,
    },
    /// In `{}` or `[]`.
    Flow {
        /// How new values are written there.
        format: Flow,
        /// The column of the block collection around it.
        column: usize,
    },
}

impl Place {
    const fn column(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Entry { column } | Self::Item { column } | Self::Flow { column, .. } => *column,
        }
    }
}

/// An entry or item as a part of its collection.
#[derive(Debug)]
struct Part {
    start: usize,
    end: usize,
    kept: bool,
}

/// New parts and the kept part they follow; `None` is before the first one.
type Insert<T> = (Option<usize>, T);

/// The text of a document after a plan. `last_stays` when nothing is thought to come after the last line.
pub(super) fn apply(
    text: &str,
    tree: &Tree,
    plan: &Plan,
    last_stays: bool,
) -> Result<String, Refusal> {
    let eol = match text.find('\n') {
        Some(at) if at > 0 && text.as_bytes()[at - 1] == b'\r' => "\r\n",
        _ => "\n",
    };
    let json = tree.root.is_some_and(|root| tree.nodes[root].flow_style);
    // At the end of a text without a last line break no block scalar can say that its text has one.
    let format = Format {
        eol,
        sequence: sequence_offset(text, tree),
        literals: text.ends_with('\n'),
    };
    let compact = json && is_compact(text, tree);
    let mut editor = Editor {
        text,
        tree,
        format,
        json,
        compact,
        last_stays,
        splices: Vec::new(),
        lines: Vec::new(),
    };
    editor.plan(plan, &Place::Root)?;
    editor.finish()
}

/// How far the document's sequences stand to the right of their keys, mostly.
fn sequence_offset(text: &str, tree: &Tree) -> usize {
    let mut level = 0_usize;
    let mut deeper = 0_usize;
    for node in &tree.nodes {
        let Content::Mapping(entries) = &node.content else {
            continue;
        };
        for entry in entries.iter().filter(|_| !node.flow_style) {
            let value = &tree.nodes[entry.value];
            if value.is_block_collection() && matches!(value.content, Content::Sequence(_)) {
                let same = column(text, value.span.start) == column(text, entry.start);
                *(if same { &mut level } else { &mut deeper }) += 1;
            }
        }
    }
    if deeper > level { 2 } else { 0 }
}

/// Whether a JSON text has no blanks after its colons.
fn is_compact(text: &str, tree: &Tree) -> bool {
    tree.nodes
        .iter()
        .find_map(|node| match &node.content {
            Content::Mapping(entries) => entries.first()?.colon,
            _ => None,
        })
        .is_some_and(|colon| !text[colon + 1..].starts_with([' ', '\t', '\r', '\n']))
}

struct Editor<'a> {
    text: &'a str,
    tree: &'a Tree,
    format: Format,
    json: bool,
    compact: bool,
    last_stays: bool,
    splices: Vec<(Range<usize>, String)>,
    /// New lines and the line ends they come after.
    lines: Vec<(usize, String)>,
}

impl Editor<'_> {
    fn splice(&mut self, range: Range<usize>, text: impl Into<String>) {
        self.splices.push((range, text.into()));
    }

    fn eol(&self) -> &'static str {
        self.format.eol
    }

    fn at(&self, id: NodeId) -> usize {
        self.tree.nodes[id].start()
    }

    /// Plans nest no deeper than the document, whose depth the reader bounds.
    fn plan(&mut self, plan: &Plan, place: &Place) -> Result<(), Refusal> {
        match plan {
            Plan::Keep(_) | Plan::New(_) => Ok(()),
            Plan::Replace(id, value) => self.replace(*id, value, place),
            Plan::Map(id, members) => self.mapping(*id, members, place),
            Plan::Seq(id, items) => self.sequence(*id, items, place),
        }
    }

    fn replace(&mut self, id: NodeId, value: &Value, place: &Place) -> Result<(), Refusal> {
        let node = &self.tree.nodes[id];
        let old = Resolver::new()
            .node(self.tree, id)
            .map_err(|(_, at)| Refusal::Other("the value cannot be read", at))?;
        if resolve::same(&old, value) {
            return Ok(());
        }
        match (&node.content, &old, value) {
            (Content::Scalar(style, text, indent), Value::String(_), Value::String(new)) => {
                if node
                    .tag
                    .as_ref()
                    .is_some_and(|tag| tag.name != "tag:yaml.org,2002:str")
                {
                    return Err(Refusal::Other("the value has a tag", self.at(id)));
                }
                let around = Surroundings {
                    in_flow: node.in_flow,
                    json: self.json,
                    parent: place.column(),
                    eol: self.eol(),
                    last_stays: self.last_stays,
                };
                let (range, new) =
                    strings::rewrite(self.text, &node.span, (*style, text, *indent), new, &around);
                self.splice(range, new);
                Ok(())
            }
            (Content::Mapping(entries), _, Value::Object(map))
                if !entries.is_empty() && !map.is_empty() =>
            {
                if entries.iter().any(|entry| entry.merge) {
                    return Err(Refusal::Merged(self.at(id)));
                }
                let mut members = Vec::new();
                for (index, entry) in entries.iter().enumerate() {
                    if let Some(value) = map.get(&entry.name) {
                        let plan = Plan::Replace(entry.value, value.clone());
                        members.push(Member {
                            key: entry.name.clone(),
                            entry: Some(index),
                            plan,
                        });
                    }
                }
                for (key, value) in map {
                    if !entries.iter().any(|entry| entry.name == *key) {
                        members.push(Member {
                            key: key.clone(),
                            entry: None,
                            plan: Plan::New(value.clone()),
                        });
                    }
                }
                self.mapping(id, &members, place)
            }
            (Content::Sequence(items), Value::Array(old), Value::Array(new))
                if !items.is_empty() && !new.is_empty() =>
            {
                let prefix = old
                    .iter()
                    .zip(new)
                    .take_while(|(a, b)| resolve::same(a, b))
                    .count();
                let rest = old[prefix..].iter().rev().zip(new[prefix..].iter().rev());
                let suffix = rest.take_while(|(a, b)| resolve::same(a, b)).count();
                let mut plans: Vec<Plan> = items[..prefix]
                    .iter()
                    .map(|item| Plan::Keep(item.node))
                    .collect();
                let middle = &items[prefix..items.len() - suffix];
                for (index, value) in new[prefix..new.len() - suffix].iter().enumerate() {
                    plans.push(match middle.get(index) {
                        Some(item) => Plan::Replace(item.node, value.clone()),
                        None => Plan::New(value.clone()),
                    });
                }
                plans.extend(
                    items[items.len() - suffix..]
                        .iter()
                        .map(|item| Plan::Keep(item.node)),
                );
                self.sequence(id, &plans, place)
            }
            _ => self.whole(id, value, place),
        }
    }

    fn mapping(&mut self, id: NodeId, members: &[Member], place: &Place) -> Result<(), Refusal> {
        let node = &self.tree.nodes[id];
        let Content::Mapping(entries) = &node.content else {
            return Err(Refusal::Other(
                "the patch does not fit the document",
                node.start(),
            ));
        };
        let mut parts: Vec<Part> = entries
            .iter()
            .map(|entry| {
                let start = entry.start;
                let key = self.tree.nodes[entry.key].span.end;
                let colon = entry.colon.map_or(key, |colon| colon + 1);
                Part {
                    start,
                    end: self.tree.nodes[entry.value].span.end.max(colon),
                    kept: entry.merge,
                }
            })
            .collect();
        for index in members.iter().filter_map(|member| member.entry) {
            parts[index].kept = true;
        }
        if parts.iter().all(|part| !part.kept) {
            return self.whole(id, &plan::new_members(members), place);
        }
        let inner = self.inner(id, &parts, place);
        for member in members {
            let Some(entry) = member.entry.map(|index| &entries[index]) else {
                continue;
            };
            if matches!(member.plan, Plan::Keep(_)) {
                continue;
            }
            if entry.colon.is_none() {
                return Err(Refusal::Other("the key has no `:`", entry.start));
            }
            self.plan(&member.plan, &inner)?;
        }
        let new: Vec<(&str, &Value)> = members
            .iter()
            .filter_map(|member| match &member.plan {
                Plan::New(value) => Some((member.key.as_str(), value)),
                _ => None,
            })
            .collect();
        // New keys come last: the order of keys means nothing, and so nothing moves.
        let last = parts.iter().rposition(|part| part.kept);
        if let Place::Flow { format, .. } = &inner {
            let inserts = new
                .iter()
                .map(|(key, value)| (last, format.member(key, value)))
                .collect();
            return self.flow_parts(id, &parts, inserts, format);
        }
        let column = inner.column();
        let at = last.map_or(0, |last| {
            self.after(parts[last].end, column, last + 1 == parts.len())
        });
        for (key, value) in new {
            let line = emit::member(key, value, column, &self.format);
            self.insert_line(at, column, &line);
        }
        self.remove_parts(&parts);
        Ok(())
    }

    fn sequence(&mut self, id: NodeId, items: &[Plan], place: &Place) -> Result<(), Refusal> {
        let node = &self.tree.nodes[id];
        let Content::Sequence(old) = &node.content else {
            return Err(Refusal::Other(
                "the patch does not fit the document",
                node.start(),
            ));
        };
        let mut parts: Vec<Part> = old
            .iter()
            .map(|item| {
                let end = self.tree.nodes[item.node].span.end;
                Part {
                    start: item.start,
                    end: end.max(item.start + usize::from(!node.flow_style)),
                    kept: false,
                }
            })
            .collect();
        let mut inserts: Vec<Insert<&Value>> = Vec::new();
        let mut last = None;
        for item in items {
            match item {
                Plan::New(value) => inserts.push((last, value)),
                Plan::Keep(node)
                | Plan::Replace(node, _)
                | Plan::Map(node, _)
                | Plan::Seq(node, _) => {
                    // What is kept stays in order, so the search goes on after the last one.
                    let from = last.map_or(0, |last| last + 1);
                    let found = old[from..]
                        .iter()
                        .position(|item| item.node == *node)
                        .map(|found| from + found);
                    let found =
                        found.ok_or(Refusal::Other("the patch does not fit the document", 0))?;
                    parts[found].kept = true;
                    last = Some(found);
                }
            }
        }
        if last.is_none() {
            return self.whole(id, &plan::new_items(items), place);
        }
        let inner = self.inner(id, &parts, place);
        for item in items {
            self.plan(item, &inner)?;
        }
        if let Place::Flow { format, .. } = &inner {
            let inserts = inserts
                .into_iter()
                .map(|(after, value)| (after, format.value(value)))
                .collect();
            return self.flow_parts(id, &parts, inserts, format);
        }
        let column = inner.column();
        let all_quoted = old.iter().all(|item| self.is_double_quoted(item.node));
        for (after, value) in inserts {
            let line = match value {
                Value::String(text) if all_quoted => format!("- {}", emit::double_quoted(text)),
                _ => emit::item(value, column, &self.format),
            };
            if let Some(after) = after {
                let at = self.after(parts[after].end, column, after + 1 == parts.len());
                self.insert_line(at, column, &line);
            } else if let Some(first) = parts.iter().find(|part| part.kept) {
                let text = format!("{line}{}{}", self.eol(), " ".repeat(column));
                self.splice(first.start..first.start, text);
            }
        }
        self.remove_parts(&parts);
        Ok(())
    }

    /// Where the members of a collection hang.
    fn inner(&self, id: NodeId, parts: &[Part], place: &Place) -> Place {
        let node = &self.tree.nodes[id];
        if !node.flow_style {
            let column = parts
                .first()
                .map_or(0, |part| column(self.text, part.start));
            return match node.content {
                Content::Sequence(_) => Place::Item { column },
                _ => Place::Entry { column },
            };
        }
        let all_quoted = match &node.content {
            Content::Mapping(entries) => {
                entries.iter().all(|entry| self.is_double_quoted(entry.key))
            }
            Content::Sequence(items) => items.iter().all(|item| self.is_double_quoted(item.node)),
            _ => false,
        };
        // A file can be one long line, and to look for its start from every member would take forever.
        let many = self.text[node.span.clone()].contains('\n');
        let lines = parts
            .iter()
            .find(|part| many && begins_line(self.text, part.start))
            .map(|part| {
                let indent = indentation(self.text, part.start);
                let outer = indentation(self.text, node.span.start);
                let unit = indent
                    .strip_prefix(outer)
                    .filter(|unit| !unit.is_empty())
                    .unwrap_or("  ");
                (indent.to_owned(), unit.to_owned())
            });
        let format = Flow {
            json: self.json || all_quoted,
            compact: self.compact && lines.is_none(),
            lines,
            eol: self.eol(),
        };
        Place::Flow {
            format,
            column: place.column(),
        }
    }

    fn is_double_quoted(&self, id: NodeId) -> bool {
        matches!(
            self.tree.nodes[id].content,
            Content::Scalar(Style::Double, ..)
        )
    }

    /// The end of the last line of a part.
    fn line_end(&self, end: usize) -> usize {
        line_end(self.text, end)
    }

    /// The end of the last line that belongs to a part of a collection at `column`: comments that are indented
    /// deeper do, and after the last part those at its column that follow without a blank line.
    fn after(&self, end: usize, column: usize, last: bool) -> usize {
        let text = self.text;
        let mut after = self.line_end(end);
        let mut start = next_line(text, after);
        let mut adjacent = last && column > 0;
        while start < text.len() {
            let line = &text[start..line_end(text, start)];
            let comment = line.trim_start_matches(' ');
            let deep = line.len() - comment.len();
            if comment.trim_start_matches('\t').is_empty() {
                adjacent = false;
            } else if comment.starts_with('#') && (deep > column || deep == column && adjacent) {
                after = line_end(text, start);
            } else {
                break;
            }
            start = next_line(text, start);
        }
        after
    }

    fn insert_line(&mut self, at: usize, column: usize, line: &str) {
        self.lines
            .push((at, format!("{}{}{line}", self.eol(), " ".repeat(column))));
    }

    /// Removes the lines of the parts that are not kept; at least one is.
    fn remove_parts(&mut self, parts: &[Part]) {
        let mut from = 0;
        if let Some(first) = parts.first()
            && !first.kept
            && !begins_line(self.text, first.start)
        {
            from = parts
                .iter()
                .position(|part| part.kept)
                .unwrap_or(parts.len());
            if let (Some(before), Some(next)) = (from.checked_sub(1), parts.get(from)) {
                let end = self.line_end(parts[before].end);
                let between = &self.text[end..line_start(self.text, next.start).max(end)];
                if between.contains('#') {
                    let blanks = self.text[..first.start].trim_end_matches(' ').len();
                    self.splice(blanks..end, "");
                } else {
                    self.splice(first.start..next.start, "");
                }
            }
        }
        for part in parts[from..].iter().filter(|part| !part.kept) {
            let range = line_start(self.text, part.start)..next_line(self.text, part.end);
            self.splice(range, "");
        }
    }

    fn flow_parts(
        &mut self,
        id: NodeId,
        parts: &[Part],
        inserts: Vec<Insert<String>>,
        format: &Flow,
    ) -> Result<(), Refusal> {
        if inserts.is_empty() && parts.iter().all(|part| part.kept) {
            return Ok(());
        }
        let span = &self.tree.nodes[id].span;
        if !self.text[span.start..].starts_with(['{', '[']) {
            return Err(Refusal::Other("the mapping has no braces", span.start));
        }
        let separator = format.separator();
        for (after, text) in inserts {
            if let Some(after) = after {
                let at = parts[after].end;
                self.splice(at..at, format!("{separator}{text}"));
            } else if let Some(first) = parts.iter().find(|part| part.kept) {
                self.splice(first.start..first.start, format!("{text}{separator}"));
            }
        }
        let mut run: Option<usize> = None;
        for (index, part) in parts.iter().enumerate() {
            if !part.kept {
                run.get_or_insert(index);
            } else if let Some(first) = run.take() {
                self.splice(parts[first].start..part.start, "");
            }
        }
        if let (Some(first), Some(last)) = (run, parts.last())
            && let Some(before) = first.checked_sub(1)
        {
            self.splice(parts[before].end..last.end, "");
        }
        Ok(())
    }
}
