//! What a patch does to the nodes of a document, before any text is made.

use json_patch::PatchOperation;
use serde_json::{Map, Value};

use super::node::{Content, NodeId, Tree};

/// What becomes of a node, or a value without a node.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// The node stays as it is written.
    Keep(NodeId),
    /// The node's value becomes another one.
    Replace(NodeId, Value),
    /// The node is a mapping whose members change.
    Map(NodeId, Vec<Member>),
    /// The node is a sequence whose items change.
    Seq(NodeId, Vec<Self>),
    /// A value that is not in the text yet.
    New(Value),
}

/// One member of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its key in JSON.
    pub(super) key: String,
    /// Which entry of the node it is; `None` for a new one.
    pub(super) entry: Option<usize>,
    /// What becomes of the value.
    pub(super) plan: Plan,
}

/// Why a patch cannot be planned; the offset tells the line.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The node is shared with an alias, or is one.
    Shared(usize),
    /// The key comes from a merge key.
    Merged(usize),
    /// Anything else.
    Other(&'static str, usize),
}

/// Plans a patch that `json_patch` has accepted.
pub(super) fn plan(
    tree: &Tree,
    root: NodeId,
    operations: &[PatchOperation],
) -> Result<Plan, Refusal> {
    let planner = Planner { tree };
    let mut plan = Plan::Keep(root);
    for operation in operations {
        let (pointer, change) = match operation {
            PatchOperation::Add(add) => (&add.path, Change::Add(&add.value)),
            PatchOperation::Replace(replace) => (&replace.path, Change::Replace(&replace.value)),
            PatchOperation::Remove(remove) => (&remove.path, Change::Remove),
            PatchOperation::Test(_) => continue,
            PatchOperation::Move(_) | PatchOperation::Copy(_) => {
                return Err(Refusal::Other("`move` and `copy` are not supported", 0));
            }
        };
        let tokens: Vec<String> = pointer
            .tokens()
            .map(|token| token.decoded().into_owned())
            .collect();
        planner.apply(&mut plan, &tokens, &change)?;
    }
    Ok(plan)
}

enum Change<'a> {
    Add(&'a Value),
    Replace(&'a Value),
    Remove,
}

struct Planner<'a> {
    tree: &'a Tree,
}

impl Planner<'_> {
    fn apply(
        &self,
        mut plan: &mut Plan,
        tokens: &[String],
        change: &Change<'_>,
    ) -> Result<(), Refusal> {
        let Some((last, path)) = tokens.split_last() else {
            return match change {
                Change::Remove => Err(Refusal::Other("the whole document cannot be removed", 0)),
                Change::Add(value) | Change::Replace(value) => self.set(plan, value),
            };
        };
        for (index, token) in path.iter().enumerate() {
            if let Plan::New(value) | Plan::Replace(_, value) = plan {
                return inside(value, &tokens[index..], change);
            }
            self.open(plan)?;
            plan = self.child(plan, token)?;
        }
        if let Plan::New(value) | Plan::Replace(_, value) = plan {
            return inside(value, std::slice::from_ref(last), change);
        }
        self.open(plan)?;
        match plan {
            Plan::Map(node, members) => {
                let found = members.iter().position(|member| member.key == *last);
                match (change, found) {
                    (Change::Add(value) | Change::Replace(value), Some(found)) => {
                        self.set(&mut members[found].plan, value)
                    }
                    (Change::Remove, Some(found)) => {
                        self.check_unshared(&members[found].plan)?;
                        members.remove(found);
                        Ok(())
                    }
                    (_, None) if self.merges(*node, last, 0) => {
                        Err(Refusal::Merged(self.at(*node)))
                    }
                    (Change::Add(value), None) => {
                        let plan = Plan::New((*value).clone());
                        members.push(Member {
                            key: last.clone(),
                            entry: None,
                            plan,
                        });
                        Ok(())
                    }
                    _ => Err(Refusal::Other(
                        "the patch does not fit the document",
                        self.at(*node),
                    )),
                }
            }
            Plan::Seq(node, items) => {
                let at = self.at(*node);
                let misfit = || Refusal::Other("the patch does not fit the document", at);
                let index = if last == "-" {
                    items.len()
                } else {
                    last.parse().map_err(|_| misfit())?
                };
                match change {
                    Change::Add(value) if index <= items.len() => {
                        items.insert(index, Plan::New((*value).clone()));
                        Ok(())
                    }
                    Change::Replace(value) => {
                        self.set(items.get_mut(index).ok_or_else(misfit)?, value)
                    }
                    Change::Remove => {
                        self.check_unshared(items.get(index).ok_or_else(misfit)?)?;
                        items.remove(index);
                        Ok(())
                    }
                    Change::Add(_) => Err(misfit()),
                }
            }
            _ => Err(Refusal::Other("the patch does not fit the document", 0)),
        }
    }

    fn at(&self, node: NodeId) -> usize {
        self.tree.nodes[node].start()
    }

    fn set(&self, plan: &mut Plan, value: &Value) -> Result<(), Refusal> {
        self.check_unshared(plan)?;
        *plan = match plan {
            Plan::Keep(node) | Plan::Replace(node, _) | Plan::Map(node, _) | Plan::Seq(node, _) => {
                Plan::Replace(*node, value.clone())
            }
            Plan::New(_) => Plan::New(value.clone()),
        };
        Ok(())
    }

    fn child<'p>(&self, plan: &'p mut Plan, token: &str) -> Result<&'p mut Plan, Refusal> {
        let found = match plan {
            Plan::Map(node, members) => {
                if let Some(found) = members.iter().position(|member| member.key == token) {
                    return Ok(&mut members[found].plan);
                }
                if self.merges(*node, token, 0) {
                    return Err(Refusal::Merged(self.at(*node)));
                }
                None
            }
            Plan::Seq(_, items) => token
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index)),
            _ => None,
        };
        found.ok_or(Refusal::Other("the patch does not fit the document", 0))
    }

    /// Turns a kept collection into one whose members can change.
    fn open(&self, plan: &mut Plan) -> Result<(), Refusal> {
        let Plan::Keep(id) = *plan else {
            return Ok(());
        };
        *plan = open(self.tree, id)?;
        Ok(())
    }

    /// Whether a merge key of the node brings this key. Bounded: merges nest no deeper than the reader allows.
    fn merges(&self, id: NodeId, key: &str, depth: usize) -> bool {
        let Content::Mapping(entries) = &self.tree.nodes[id].content else {
            return false;
        };
        depth <= super::resolve::MAX_DEPTH
            && entries.iter().filter(|entry| entry.merge).any(|entry| {
                let source = self.tree.target(entry.value);
                match &self.tree.nodes[source].content {
                    Content::Sequence(items) => items
                        .iter()
                        .any(|item| self.has(self.tree.target(item.node), key, depth)),
                    _ => self.has(source, key, depth),
                }
            })
    }

    fn has(&self, id: NodeId, key: &str, depth: usize) -> bool {
        let Content::Mapping(entries) = &self.tree.nodes[id].content else {
            return false;
        };
        entries
            .iter()
            .any(|entry| !entry.merge && entry.name == key)
            || self.merges(id, key, depth + 1)
    }

    /// Refuses when something that goes away is used by an alias elsewhere.
    fn check_unshared(&self, plan: &Plan) -> Result<(), Refusal> {
        match plan {
            Plan::New(_) => Ok(()),
            Plan::Keep(node) | Plan::Replace(node, _) | Plan::Map(node, _) | Plan::Seq(node, _) => {
                check_unshared(self.tree, *node)
            }
        }
    }
}

/// A collection node as a plan whose members can change.
pub(super) fn open(tree: &Tree, id: NodeId) -> Result<Plan, Refusal> {
    let node = &tree.nodes[id];
    if node.aliased {
        return Err(Refusal::Shared(node.start()));
    }
    match &node.content {
        Content::Alias(_) => Err(Refusal::Shared(node.start())),
        Content::Scalar(..) => Err(Refusal::Other(
            "the patch does not fit the document",
            node.start(),
        )),
        Content::Sequence(items) => Ok(Plan::Seq(
            id,
            items.iter().map(|item| Plan::Keep(item.node)).collect(),
        )),
        Content::Mapping(entries) => {
            let members = entries.iter().enumerate().filter(|(_, entry)| !entry.merge);
            let members = members.map(|(index, entry)| Member {
                key: entry.name.clone(),
                entry: Some(index),
                plan: Plan::Keep(entry.value),
            });
            Ok(Plan::Map(id, members.collect()))
        }
    }
}

/// Refuses when a node or one inside of it is used by an alias.
pub(super) fn check_unshared(tree: &Tree, id: NodeId) -> Result<(), Refusal> {
    let mut left = vec![id];
    while let Some(id) = left.pop() {
        let node = &tree.nodes[id];
        if node.aliased {
            return Err(Refusal::Shared(node.start()));
        }
        match &node.content {
            Content::Sequence(items) => left.extend(items.iter().map(|item| item.node)),
            Content::Mapping(entries) => {
                left.extend(entries.iter().flat_map(|entry| [entry.key, entry.value]));
            }
            Content::Scalar(..) | Content::Alias(_) => {}
        }
    }
    Ok(())
}

/// Applies a change inside a value that has no text yet.
fn inside(value: &mut Value, tokens: &[String], change: &Change<'_>) -> Result<(), Refusal> {
    let misfit = || Refusal::Other("the patch does not fit the document", 0);
    let (last, path) = tokens.split_last().ok_or_else(misfit)?;
    let mut target = value;
    for token in path {
        target = match target {
            Value::Object(map) => map.get_mut(token),
            Value::Array(items) => token
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index)),
            _ => None,
        }
        .ok_or_else(misfit)?;
    }
    match target {
        Value::Object(map) => match change {
            Change::Add(value) | Change::Replace(value) => {
                map.insert(last.clone(), (*value).clone());
            }
            Change::Remove => {
                map.remove(last);
            }
        },
        Value::Array(items) => {
            let index = if last == "-" {
                items.len()
            } else {
                last.parse().map_err(|_| misfit())?
            };
            match change {
                Change::Add(value) if index <= items.len() => items.insert(index, (*value).clone()),
                Change::Replace(value) if index < items.len() => items[index] = (*value).clone(),
                Change::Remove if index < items.len() => {
                    items.remove(index);
                }
                _ => return Err(misfit()),
            }
        }
        _ => return Err(misfit()),
    }
    Ok(())
}

/// The value of members that all are new.
pub(super) fn new_members(members: &[Member]) -> Value {
    let pairs = members.iter().filter_map(|member| match &member.plan {
        Plan::New(value) => Some((member.key.clone(), value.clone())),
        _ => None,
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

/// The value of items that all are new.
pub(super) fn new_items(items: &[Plan]) -> Value {
    let values = items.iter().filter_map(|item| match item {
        Plan::New(value) => Some(value.clone()),
        _ => None,
    });
    Value::Array(values.collect())
}
