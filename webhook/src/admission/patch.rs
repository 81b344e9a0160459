//! A patch that is known to apply: the apiserver turns one that doesn't into an error, whatever `failurePolicy` says.

use json_patch::{AddOperation, Patch, PatchOperation, RemoveOperation, ReplaceOperation};
use natsguard_policies::patch;
use serde_json::Value;

/// What became of a wish to change an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Made {
    /// There is nothing to change.
    Nothing,
    /// This patch makes the object wished for out of the object as received.
    Patch(Patch),
    /// No patch was found that does.
    Impossible,
}

/// The patch from one object to the other, tried before it is sent.
pub(super) fn make(before: &Value, after: &Value) -> Made {
    if before == after {
        return Made::Nothing;
    }
    let mut patch = Patch::default();
    let mut tried = before.clone();
    for operation in patch::patch(before, after, "").0 {
        for operation in settle(&tried, operation) {
            let step = Patch(vec![operation]);
            if json_patch::patch(&mut tried, &step).is_err() {
                return Made::Impossible;
            }
            patch.0.extend(step.0);
        }
    }
    if tried == *after {
        Made::Patch(patch)
    } else {
        Made::Impossible
    }
}

/// The apiserver's library takes null for something that is not there, and refuses to replace it.
fn settle(current: &Value, operation: PatchOperation) -> Vec<PatchOperation> {
    let PatchOperation::Replace(ReplaceOperation { path, value }) = &operation else {
        return vec![operation];
    };
    if !current.pointer(path.as_str()).is_some_and(Value::is_null) {
        return vec![operation];
    }
    let add = PatchOperation::Add(AddOperation {
        path: path.clone(),
        value: value.clone(),
    });
    let parent = path.as_str().rsplit_once('/').map(|(parent, _)| parent);
    if parent
        .and_then(|parent| current.pointer(parent))
        .is_some_and(Value::is_array)
    {
        // An item that is added pushes the others away.
        let path = path.clone();
        vec![PatchOperation::Remove(RemoveOperation { path }), add]
    } else {
        vec![add]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn null_is_not_replaced() {
        let made = make(&json!({"a": null}), &json!({"a": {"b": 1}}));
        let Made::Patch(patch) = made else {
            panic!("{made:?}")
        };
        assert_eq!(
            serde_json::to_value(patch).unwrap(),
            json!([{"op": "add", "path": "/a", "value": {"b": 1}}])
        );
    }

    #[test]
    fn nothing_to_change_is_no_patch() {
        assert_eq!(make(&json!({"a": 1}), &json!({"a": 1})), Made::Nothing);
    }

    #[test]
    fn null_in_a_list_is_taken_out_first() {
        let made = make(&json!([null, 1]), &json!([2, 1]));
        let Made::Patch(patch) = made else {
            panic!("{made:?}")
        };
        assert_eq!(
            serde_json::to_value(patch).unwrap(),
            json!([{"op": "remove", "path": "/0"}, {"op": "add", "path": "/0", "value": 2}])
        );
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[a~/]{0,2}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c~/]{0,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_patch_that_is_made_applies(before in json(), after in json()) {
            match make(&before, &after) {
                Made::Nothing => prop_assert_eq!(before, after),
                Made::Patch(patch) => {
                    let mut patched = before.clone();
                    json_patch::patch(&mut patched, &patch).unwrap();
                    prop_assert_eq!(patched, after);
                }
                Made::Impossible => prop_assert!(false, "{} to {}", before, after),
            }
        }
    }
}
