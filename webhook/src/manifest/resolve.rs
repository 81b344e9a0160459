//! The JSON value of a node, resolved as Kubernetes does it (YAML 1.1, as goyaml.v2 behind `sigs.k8s.io/yaml`).

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Number, Value};

use super::node::{Content, Node, NodeId, Style, Tree};

/// How deep collections may nest, aliases included.
pub(super) const MAX_DEPTH: usize = 128;

/// How much aliases may add to the documents of one file, in [`NODE_WEIGHT`] per node and one per byte of text.
const ALIAS_BUDGET: usize = 16 << 20;

/// What one node counts for in the budget: about its size in memory.
const NODE_WEIGHT: usize = 64;

/// What is wrong with a node.
#[derive(Debug)]
pub(super) enum Fault {
    /// The mapping has this key twice; the first one is at the offset.
    Duplicate(String, usize),
    /// Aliases add too much.
    Budget,
    /// An anchor is used inside of itself.
    Cycle,
    /// Collections nest too deep.
    Depth,
    /// The key is null or a collection.
    Key,
    /// There are too many nodes.
    Nodes,
    /// The value of `<<` is no mapping.
    Merge,
    /// The text does not fit its tag.
    Tag,
}

impl Fault {
    /// The same fault in a text that begins `by` bytes earlier.
    pub(super) fn moved(self, by: usize) -> Self {
        match self {
            Self::Duplicate(key, first) => Self::Duplicate(key, first + by),
            other => other,
        }
    }
}

/// A fault and the offset it is at.
pub(super) type FaultAt = (Fault, usize);

/// A scalar's value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above [`i64::MAX`].
    Uint(u64),
    /// Any other number, infinities and NaN included.
    Float(f64),
}

/// The value of a plain scalar, or `None` for a string.
pub(super) fn plain(text: &str) -> Option<Scalar> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Scalar::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Some(Scalar::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Some(Scalar::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" => return Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Some(Scalar::Float(f64::INFINITY));
        }
        "-.inf" | "-.Inf" | "-.INF" => return Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    match text.as_bytes()[0] {
        b'.' => float(&point_first(text)?),
        b'+' | b'-' | b'0'..=b'9' => {
            let digits = text.replace('_', "");
            whole(&digits).or_else(|| float(&digits))
        }
        _ => None,
    }
}

/// The text without `_`, when each of them stands between digits.
fn point_first(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    (0..bytes.len())
        .filter(|&index| bytes[index] == b'_')
        .all(|index| index > 0 && digit(index - 1) && digit(index + 1))
        .then(|| text.replace('_', ""))
}

fn whole(text: &str) -> Option<Scalar> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let signed = digits.len() != text.len();
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &digits[2..]),
        [b'0', b'o' | b'O', ..] => (8, &digits[2..]),
        [b'0', b'b' | b'B', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // `from_str_radix` takes a sign of its own.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative {
        return 0_i64.checked_sub_unsigned(magnitude).map(Scalar::Int);
    }
    match i64::try_from(magnitude) {
        Ok(int) => Some(Scalar::Int(int)),
        Err(_) if signed => None,
        Err(_) => Some(Scalar::Uint(magnitude)),
    }
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`, and not too large.
fn float(text: &str) -> Option<Scalar> {
    let bytes = text.as_bytes();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let run = |from: usize| {
        bytes[from..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
    };
    let before = run(at);
    at += before;
    if bytes.get(at) == Some(&b'.') {
        let after = run(at + 1);
        at += 1 + after;
        if before == 0 && after == 0 {
            return None;
        }
    } else if before == 0 {
        return None;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let exponent = run(at);
        if exponent == 0 {
            return None;
        }
        at += exponent;
    }
    if at != bytes.len() {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}

/// The scalar of a node, or `None` for a string.
fn scalar(node: &Node, style: Style, text: &str) -> Result<Option<Scalar>, Fault> {
    let Some(tag) = &node.tag else {
        return Ok(if style == Style::Plain {
            plain(text)
        } else {
            None
        });
    };
    let Some(kind) = tag.name.strip_prefix("tag:yaml.org,2002:") else {
        return Ok(None);
    };
    let value = plain(text);
    match (kind, value) {
        ("null", Some(Scalar::Null)) => Ok(Some(Scalar::Null)),
        ("bool", value @ Some(Scalar::Bool(_)))
        | ("int", value @ Some(Scalar::Int(_) | Scalar::Uint(_)))
        | ("float", value @ Some(Scalar::Float(_) | Scalar::Int(_))) => Ok(value),
        ("null" | "bool" | "int" | "float", _) => Err(Fault::Tag),
        _ => Ok(None),
    }
}

/// A float as JSON writes it: whole ones without a point, as Go does.
fn float_number(value: f64) -> Option<Number> {
    if value.fract() == 0.0 && value.abs() < 1e21 {
        let digits = format!("{value:.0}");
        if let Ok(int) = digits.parse::<i64>() {
            return Some(int.into());
        }
        if let Ok(int) = digits.parse::<u64>() {
            return Some(int.into());
        }
    }
    Number::from_f64(value)
}

/// Whether two values are the same JSON for Kubernetes, which knows no difference between `1` and `1.0`.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            a == b
                || matches!((a.as_f64(), b.as_f64()), (Some(x), Some(y)) if (a.is_f64() || b.is_f64())
                    && float_number(x) == float_number(y))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, x)| b.get(key).is_some_and(|y| same(x, y)))
        }
        _ => left == right,
    }
}

/// Whether a value nests no deeper than one that is read may.
pub(super) fn within_depth(value: &Value) -> bool {
    let mut left = vec![(value, 0)];
    while let Some((value, depth)) = left.pop() {
        match value {
            _ if depth > MAX_DEPTH => return false,
            Value::Array(items) => left.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(map) => left.extend(map.values().map(|item| (item, depth + 1))),
            _ => {}
        }
    }
    true
}

/// The key of a float, as Go's `strconv.FormatFloat(value, 'g', -1, 32)`.
fn float_key(value: f64) -> String {
    // goyaml reads a float key at full precision, but sigs.k8s.io/yaml prints it as a float32.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what sigs.k8s.io/yaml does"
    )]
    let short = value as f32;
    if short.is_nan() {
        return ".nan".to_owned();
    }
    if short.is_infinite() {
        return if short > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{short:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{short}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// The name of a mapping key in JSON.
pub(super) fn key_name(tree: &Tree, id: NodeId) -> Result<String, Fault> {
    let node = &tree.nodes[tree.target(id)];
    let Content::Scalar(style, text, _) = &node.content else {
        return Err(Fault::Key);
    };
    Ok(match scalar(node, *style, text)? {
        None => match string_or(node, *style, text)? {
            Value::String(text) => text,
            _ => return Err(Fault::Key),
        },
        Some(Scalar::Null | Scalar::Uint(_)) => return Err(Fault::Key),
        Some(Scalar::Bool(value)) => value.to_string(),
        Some(Scalar::Int(value)) => value.to_string(),
        Some(Scalar::Float(value)) => float_key(value),
    })
}

/// Whether a key is the merge key.
pub(super) fn is_merge(node: &Node) -> bool {
    let Content::Scalar(style, text, _) = &node.content else {
        return false;
    };
    text == "<<"
        && match &node.tag {
            None => *style == Style::Plain,
            Some(tag) => tag.name == "tag:yaml.org,2002:merge",
        }
}

/// Builds values and counts what aliases add.
pub(super) struct Resolver {
    left: usize,
}

impl Resolver {
    /// A resolver with the whole budget of a file.
    pub(super) const fn new() -> Self {
        Self { left: ALIAS_BUDGET }
    }

    /// The value of a document.
    pub(super) fn document(&mut self, tree: &Tree) -> Result<Value, FaultAt> {
        tree.root
            .map_or(Ok(Value::Null), |root| self.value(tree, root, 0, false))
    }

    /// The value of one node.
    pub(super) fn node(&mut self, tree: &Tree, id: NodeId) -> Result<Value, FaultAt> {
        self.value(tree, id, 0, false)
    }

    fn charge(&mut self, node: &Node, at: usize) -> Result<(), FaultAt> {
        let text = match &node.content {
            Content::Scalar(_, text, _) => text.len(),
            Content::Mapping(entries) => entries
                .iter()
                .map(|entry| entry.name.len() + NODE_WEIGHT)
                .sum(),
            _ => 0,
        };
        self.left = self
            .left
            .checked_sub(NODE_WEIGHT + text)
            .ok_or((Fault::Budget, at))?;
        Ok(())
    }

    fn value(
        &mut self,
        tree: &Tree,
        id: NodeId,
        depth: usize,
        aliased: bool,
    ) -> Result<Value, FaultAt> {
        let node = &tree.nodes[id];
        let at = node.span.start;
        if depth > MAX_DEPTH {
            return Err((Fault::Depth, at));
        }
        if aliased {
            self.charge(node, at)?;
        }
        match &node.content {
            Content::Alias(target) => self.value(tree, *target, depth, true),
            Content::Scalar(style, text, _) => {
                string_or(node, *style, text).map_err(|fault| (fault, at))
            }
            Content::Sequence(items) => items
                .iter()
                .map(|item| self.value(tree, item.node, depth + 1, aliased))
                .collect::<Result<_, _>>()
                .map(Value::Array),
            Content::Mapping(entries) => {
                let mut map = Map::new();
                let mut seen: HashMap<&str, NodeId> = HashMap::new();
                for entry in entries {
                    if entry.merge {
                        self.merge(tree, entry.value, depth, &mut map)?;
                        continue;
                    }
                    if let Some(first) = seen.insert(&entry.name, entry.key) {
                        let fault =
                            Fault::Duplicate(entry.name.clone(), tree.nodes[first].span.start);
                        return Err((fault, tree.nodes[entry.key].span.start));
                    }
                    let value = self.value(tree, entry.value, depth + 1, aliased)?;
                    map.insert(entry.name.clone(), value);
                }
                Ok(Value::Object(map))
            }
        }
    }

    /// Adds what a merge key brings. goyaml.v2 lets it win over keys that stand before it.
    fn merge(
        &mut self,
        tree: &Tree,
        id: NodeId,
        depth: usize,
        into: &mut Map<String, Value>,
    ) -> Result<(), FaultAt> {
        let at = tree.nodes[id].span.start;
        let aliased = matches!(tree.nodes[id].content, Content::Alias(_));
        match &tree.nodes[tree.target(id)].content {
            Content::Mapping(_) => {
                if let Value::Object(map) = self.value(tree, id, depth + 1, false)? {
                    into.extend(map);
                }
                Ok(())
            }
            Content::Sequence(items) if !aliased => {
                // Of several mappings the first wins.
                for item in items.iter().rev() {
                    if !matches!(
                        tree.nodes[tree.target(item.node)].content,
                        Content::Mapping(_)
                    ) {
                        return Err((Fault::Merge, at));
                    }
                    self.merge(tree, item.node, depth + 1, into)?;
                }
                Ok(())
            }
            _ => Err((Fault::Merge, at)),
        }
    }
}

fn string_or(node: &Node, style: Style, text: &str) -> Result<Value, Fault> {
    if node
        .tag
        .as_ref()
        .is_some_and(|tag| tag.name == "tag:yaml.org,2002:binary")
    {
        let raw: String = text.split_ascii_whitespace().collect();
        let bytes = STANDARD.decode(raw).map_err(|_| Fault::Tag)?;
        return Ok(Value::String(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(match scalar(node, style, text)? {
        None => Value::String(text.to_owned()),
        Some(Scalar::Null) => Value::Null,
        Some(Scalar::Bool(value)) => Value::Bool(value),
        Some(Scalar::Int(value)) => value.into(),
        Some(Scalar::Uint(value)) => value.into(),
        // JSON has no infinities; the text is all that can be kept of them.
        Some(Scalar::Float(value)) => {
            float_number(value).map_or_else(|| Value::String(text.to_owned()), Value::Number)
        }
    })
}
