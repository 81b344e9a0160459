//! What a repair changed, for people to read: credentials are masked, so it is no input for `patch`.

use std::fmt::Write as _;

use json_patch::jsonptr::PointerBuf;
use json_patch::{Patch, PatchOperation, ReplaceOperation};
use serde_json::Value;
use similar::{ChangeTag, TextDiff};

use crate::manifest::{Manifest, PatchError};
use crate::mask;

/// Stands for a value of a Secret that was repaired.
const REPAIRED: &str = "*** (repaired)";

/// The unified diff of a manifest before and after repair: empty when they are the same. Both are masked on the way.
pub fn diff(mut before: Manifest, mut after: Manifest) -> Result<String, PatchError> {
    if before.bytes() == after.bytes() {
        return Ok(String::new());
    }
    for document in 0..before.documents().len() {
        let mut secrets = Vec::new();
        if let Some(document) = before.documents().get(document) {
            collect(&document.value, &PointerBuf::new(), &mut secrets);
        }
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for pointer in secrets {
            let read = |manifest: &Manifest| {
                manifest
                    .documents()
                    .get(document)
                    .and_then(|document| pointer.resolve(&document.value).ok())
                    .cloned()
            };
            let is_repaired = read(&before) != read(&after);
            let replace = |with: &str| {
                PatchOperation::Replace(ReplaceOperation {
                    path: pointer.clone(),
                    value: Value::from(with),
                })
            };
            old.push(replace(mask::MASK));
            new.push(replace(if is_repaired { REPAIRED } else { mask::MASK }));
        }
        if !old.is_empty() {
            before.patch(document, &Patch(old))?;
            after.patch(document, &Patch(new))?;
        }
    }
    Ok(unified(&before, &after))
}

fn unified(before: &Manifest, after: &Manifest) -> String {
    let (old, new) = (
        String::from_utf8_lossy(before.bytes()),
        String::from_utf8_lossy(after.bytes()),
    );
    let lines = TextDiff::from_lines(old.as_ref(), new.as_ref());
    let mut out = format!("--- {0}\n+++ {0}\n", before.name());
    // No lines around a change: nobody knows what stands there.
    for group in lines.grouped_ops(0) {
        let (Some(first), Some(last)) = (group.first(), group.last()) else {
            continue;
        };
        let old_lines = first.old_range().start..last.old_range().end;
        let new_lines = first.new_range().start..last.new_range().end;
        let _ = writeln!(
            out,
            "@@ -{},{} +{},{} @@",
            old_lines.start + 1,
            old_lines.len(),
            new_lines.start + 1,
            new_lines.len()
        );
        for change in group.iter().flat_map(|op| lines.iter_changes(op)) {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            let line = mask::line(change.value().trim_end_matches(['\n', '\r']));
            let _ = writeln!(out, "{sign}{line}");
        }
    }
    out
}

/// The pointers of the values of every Secret in a document, in lists as well.
fn collect(value: &Value, at: &PointerBuf, secrets: &mut Vec<PointerBuf>) {
    let below = |at: &PointerBuf, key: &str| {
        let mut pointer = at.clone();
        pointer.push_back(key);
        pointer
    };
    match value {
        Value::Object(map) if map.get("kind").and_then(Value::as_str) == Some("SecretList") => {
            let items = map
                .get("items")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            for (index, item) in items.enumerate() {
                let mut item = item.clone();
                if let Some(item) = item.as_object_mut() {
                    item.insert("kind".to_owned(), Value::from("Secret"));
                }
                collect(
                    &item,
                    &below(&below(at, "items"), &index.to_string()),
                    secrets,
                );
            }
        }
        Value::Object(map) if map.get("kind").and_then(Value::as_str) == Some("Secret") => {
            for field in ["data", "stringData"] {
                for key in map
                    .get(field)
                    .and_then(Value::as_object)
                    .into_iter()
                    .flat_map(serde_json::Map::keys)
                {
                    secrets.push(below(&below(at, field), key));
                }
            }
        }
        Value::Object(map) => map
            .iter()
            .for_each(|(key, value)| collect(value, &below(at, key), secrets)),
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                collect(value, &below(at, &index.to_string()), secrets);
            }
        }
        _ => {}
    }
}
