//! What may be shown of a manifest: what its parser read and what is known to hold no credentials. The rest is masked.

mod arguments;
mod conf;
mod route;

use std::ops::Range;

use serde_json::Value;

use crate::manifest::{Document, Manifest, Scalar, Step};

/// What stands in the place of what is not shown.
pub const MASK: &str = "***";

/// Fields of Kubernetes' own kinds that hold what anybody may have written.
const HOLDERS: &[&str] = &[
    "annotations",
    "args",
    "attributes",
    "binaryData",
    "command",
    "data",
    "env",
    "httpHeaders",
    "options",
    "parameters",
    "stringData",
    "volumeAttributes",
];

/// Bytes of the longest line that is shown: nobody reads a longer one at a glance.
const LONGEST_LINE: usize = 2000;

/// Bytes of the longest value that is looked into.
const LONGEST_VALUE: usize = 64 << 10;

/// A line as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The line, masked.
    pub text: String,
    /// The column that was asked for, where it is now: from 1, in characters.
    pub column: usize,
}

/// A line of a manifest and a column in it. `None` where nothing may be shown.
pub fn line(manifest: &Manifest, line: usize, column: usize) -> Option<Excerpt> {
    let (document, span) = manifest.line_of(line)?;
    if span.len() > LONGEST_LINE {
        return None;
    }
    let hidden = hidden(document, &span)?;
    let text = document.text().get(span.clone())?;
    let unmarked = text.trim_start_matches('\u{feff}');
    let mark = text.len() - unmarked.len();
    let at = unmarked
        .char_indices()
        .nth(column.saturating_sub(1))
        .map_or(text.len(), |(at, _)| mark + at);
    let mut masked = Masked::default();
    masked.line(
        document.text(),
        span.start + mark..span.end,
        &hidden,
        span.start + at,
    );
    Some(Excerpt {
        text: masked.out,
        column: masked.column.unwrap_or(1),
    })
}

/// All of a manifest; where nothing may be shown of a document, the mask alone.
pub fn all(manifest: &Manifest) -> String {
    let mut masked = Masked::default();
    for document in manifest.documents() {
        let text = document.text();
        let Some(hidden) = hidden(document, &(0..text.len())) else {
            masked.out.push_str(MASK);
            masked.out.push('\n');
            continue;
        };
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let end = start + line.trim_end_matches(['\n', '\r']).len();
            masked.line(text, start..end, &hidden, usize::MAX);
            masked.out.push('\n');
            start += line.len();
        }
    }
    masked.out
}

/// Whether lines of a manifest (from 1) hold values of a Secret, or may.
pub fn hold_secrets(manifest: &Manifest, mut lines: Range<usize>) -> bool {
    lines.any(|line| {
        manifest.line_of(line).is_some_and(|(document, line)| {
            let mut found = false;
            let is_exact = document.scalars(&line, &mut |scalar| {
                found |= !scalar.is_key && is_secret(&document.value, scalar);
            });
            found || !is_exact
        })
    })
}

fn is_secret(document: &Value, scalar: &Scalar<'_>) -> bool {
    let mut object = Object::default();
    let mut value = document;
    for step in scalar.path {
        object.enter(value);
        let next = match step {
            // Annotations may hold all of the object as it was applied.
            Step::Key("annotations" | "data" | "stringData") if object.kind == "Secret" => {
                return true;
            }
            Step::Key(key) => value.get(key),
            Step::Item(index) => value.get(index),
        };
        let Some(next) = next else {
            return false;
        };
        value = next;
    }
    false
}

/// The stretches of a part of a document that are not shown, in order and apart. `None` where nothing may be.
fn hidden(document: &Document, stretch: &Range<usize>) -> Option<Vec<Range<usize>>> {
    let text = document.text();
    let mut hidden: Vec<Range<usize>> = Vec::new();
    let mut hide = |range: Range<usize>| match hidden.last_mut() {
        _ if range.is_empty() => {}
        Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
        _ => hidden.push(range),
    };
    let mut at = stretch.start;
    let is_exact = document.scalars(stretch, &mut |scalar| {
        let Range { start, end } = scalar.span;
        comments(text, at..start, &mut hide);
        let mut shown = match parts(&document.value, scalar) {
            Parts::All => one(start..end),
            Parts::Some(parts) => scalar.written(&parts),
        };
        shown.sort_by_key(|part| part.start);
        let mut after = start;
        for part in shown {
            hide(after..part.start.max(after));
            after = part.end.max(after);
        }
        hide(after..end.max(after));
        at = end.max(at);
    });
    comments(text, at..stretch.end, &mut hide);
    is_exact.then_some(hidden)
}

/// Hides the comments in what stands between scalars.
fn comments(text: &str, between: Range<usize>, hide: &mut impl FnMut(Range<usize>)) {
    let mut start = between.start;
    for line in text.get(between).unwrap_or_default().split_inclusive('\n') {
        let end = start + line.len();
        if let Some(at) = line.find('#') {
            hide(start + at..end);
        }
        start = end;
    }
}

/// What may be shown of a scalar: parts of what it says.
enum Parts {
    All,
    Some(Vec<Range<usize>>),
}

const NOTHING: Parts = Parts::Some(Vec::new());

fn parts(document: &Value, scalar: &Scalar<'_>) -> Parts {
    if scalar.is_key {
        return Parts::All;
    }
    let mut object = Object::default();
    let mut value = document;
    for (depth, step) in scalar.path.iter().enumerate() {
        object.enter(value);
        let next = match step {
            Step::Key(key) if HOLDERS.contains(key) => {
                return held(object.kind, value, key, scalar, depth);
            }
            Step::Key(key) => value.get(key),
            Step::Item(index) => value.get(index),
        };
        // A merge key leads elsewhere than the value does.
        let Some(next) = next else {
            return NOTHING;
        };
        value = next;
    }
    if object.is_kubernetes {
        Parts::All
    } else {
        NOTHING
    }
}

/// What may be shown below a field that holds anything.
fn held(kind: &str, holder: &Value, key: &str, scalar: &Scalar<'_>, depth: usize) -> Parts {
    if scalar.decoded.len() > LONGEST_VALUE {
        return NOTHING;
    }
    match (key, scalar.path.get(depth + 1..).unwrap_or_default()) {
        ("data", [Step::Key(_)]) if kind == "ConfigMap" => Parts::Some(conf::parts(scalar.decoded)),
        ("args" | "command", [Step::Item(index)]) => {
            let before = index
                .checked_sub(1)
                .and_then(|before| holder.get(key)?.get(before)?.as_str());
            Parts::Some(arguments::parts(scalar.decoded, before))
        }
        ("env", [Step::Item(_), Step::Key("name")]) => Parts::All,
        _ => NOTHING,
    }
}

fn one(range: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(range).collect()
}

/// The object that a field belongs to.
#[derive(Default)]
struct Object<'a> {
    kind: &'a str,
    /// Whether its fields are those of Kubernetes' own API.
    is_kubernetes: bool,
}

impl<'a> Object<'a> {
    /// Goes into a value, which may be an object inside another one.
    fn enter(&mut self, value: &'a Value) {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        if let Some(kind) = text("kind") {
            // Items of a typed list leave out what the list says.
            self.kind = kind.strip_suffix("List").unwrap_or(kind);
            let group = text("apiVersion")
                .and_then(|version| version.split_once('/'))
                .map_or("", |(group, _)| group);
            self.is_kubernetes = !group.contains('.') || group.ends_with(".k8s.io");
        }
    }
}

/// A text with stretches masked.
#[derive(Default)]
struct Masked {
    out: String,
    /// Where the offset that was asked for came out, in characters of its line from 1.
    column: Option<usize>,
}

impl Masked {
    /// Adds a line. The blanks around what is hidden stay.
    fn line(&mut self, text: &str, line: Range<usize>, hidden: &[Range<usize>], wanted: usize) {
        let from = self.out.len();
        let first = hidden.partition_point(|range| range.end <= line.start);
        let mut at = line.start;
        for range in hidden.iter().skip(first) {
            if range.start >= line.end {
                break;
            }
            let start = range.start.max(line.start);
            self.piece(text, at..start, wanted, from);
            at = range.end.min(line.end);
            let secret = text.get(start..at).unwrap_or_default();
            let blanks = secret.len() - secret.trim_start().len();
            if blanks == secret.len() {
                self.piece(text, start..at, wanted, from);
                continue;
            }
            self.piece(text, start..start + blanks, wanted, from);
            if (start + blanks..at).contains(&wanted) {
                self.mark(0, from);
            }
            self.out.push_str(MASK);
            self.out
                .push_str(secret.get(secret.trim_end().len()..).unwrap_or_default());
        }
        self.piece(text, at..line.end, wanted, from);
        if wanted == line.end {
            self.mark(0, from);
        }
    }

    fn piece(&mut self, text: &str, range: Range<usize>, wanted: usize, from: usize) {
        let piece = text.get(range.clone()).unwrap_or_default();
        self.out.push_str(piece);
        if range.contains(&wanted) {
            self.mark(range.end - wanted, from);
        }
    }

    /// Notes the column of the byte that is so far before the end of what is written.
    fn mark(&mut self, back: usize, from: usize) {
        let before = self.out.get(from..self.out.len() - back);
        self.column = before.map(|before| before.chars().count() + 1);
    }
}
