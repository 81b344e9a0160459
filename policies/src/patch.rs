//! From an object before and after repair to an RFC 6902 patch.

use json_patch::jsonptr::Pointer;
use json_patch::{Patch, PatchOperation};
use serde_json::Value;

/// The patch that turns one object into the other: empty when they are the same. `base` is the JSON pointer of the object
/// in what the patch is for: empty for the object itself, `/items/3` in a list.
pub fn patch(before: &Value, after: &Value, base: &str) -> Patch {
    let mut patch = json_patch::diff(before, after);
    if let Some(base) = Pointer::parse(base).ok().filter(|base| !base.is_root()) {
        for operation in &mut patch.0 {
            let path = match operation {
                PatchOperation::Add(add) => &mut add.path,
                PatchOperation::Remove(remove) => &mut remove.path,
                PatchOperation::Replace(replace) => &mut replace.path,
                PatchOperation::Test(test) => &mut test.path,
                PatchOperation::Copy(copy) => &mut copy.path,
                PatchOperation::Move(moved) => &mut moved.path,
            };
            let mut full = base.to_buf();
            full.append(&*path);
            *path = full;
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_changed_is_an_empty_patch() {
        assert!(patch(&json!({"a": 1}), &json!({"a": 1}), "").0.is_empty());
    }

    #[test]
    fn paths_begin_at_the_base() {
        let before = json!({"a": {"b/c": 1}});
        let after = json!({"a": {"b/c": 2}});
        let patch = patch(&before, &after, "/items/3");
        let expected = json!([{"op": "replace", "path": "/items/3/a/b~1c", "value": 2}]);
        assert_eq!(serde_json::to_value(&patch).unwrap(), expected);
    }
}
