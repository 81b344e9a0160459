//! Base64 in lines stays in lines: Kubernetes skips the line breaks when it decodes.

use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// Shorter lines are more likely words than base64; tools wrap at 60 to 76.
const NARROWEST: usize = 40;

/// Wraps new base64 text as the text it takes the place of.
pub(super) fn keep_width(document: &Value, patch: &mut Patch) {
    for operation in &mut patch.0 {
        let (path, value) = match operation {
            PatchOperation::Replace(replace) => (&replace.path, &mut replace.value),
            PatchOperation::Add(add) => (&add.path, &mut add.value),
            _ => continue,
        };
        let in_data = path.as_str().rsplit('/').nth(1) == Some("data");
        if in_data
            && let (Some(Value::String(old)), Value::String(new)) =
                (document.pointer(path.as_str()), &mut *value)
            && let Some(wrapped) = wrapped(old, new)
        {
            *value = Value::String(wrapped);
        }
    }
}

fn wrapped(old: &str, new: &str) -> Option<String> {
    let body = old.trim_end_matches('\n');
    let lines: Vec<&str> = body.split('\n').collect();
    let (last, full) = lines.split_last()?;
    let width = full.first()?.len();
    let was_wrapped = full.iter().all(|line| line.len() == width)
        && last.len() <= width
        && lines.iter().all(|line| is_base64(line));
    if !was_wrapped || width < NARROWEST || !is_base64(new) || !new.len().is_multiple_of(4) {
        return None;
    }
    let pieces: Vec<&str> = (0..new.len())
        .step_by(width)
        .filter_map(|start| new.get(start..new.len().min(start + width)))
        .collect();
    Some(pieces.join("\n") + &old[body.len()..])
}

fn is_base64(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}
