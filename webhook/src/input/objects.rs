//! The objects of a document: lists and OpenShift templates taken apart.

use std::sync::Arc;

use natsguard_policies::bundle::Object;
use serde_json::Value;

use super::template::Parameters;

/// An object of a document.
pub(super) struct Found {
    /// Its JSON pointer in the document: empty, or into a list.
    pub(super) pointer: String,
    pub(super) object: Object,
    /// What was filled in, when it was.
    pub(super) parameters: Option<Arc<Parameters>>,
}

/// What is no object.
#[derive(Debug)]
pub(super) struct NoObject {
    pub(super) pointer: String,
    /// Why it is none.
    pub(super) why: &'static str,
}

/// Adds the objects of a document.
pub(super) fn collect(
    value: &Value,
    pointer: String,
    found: &mut Vec<Found>,
) -> Result<(), NoObject> {
    let Some(map) = value.as_object() else {
        return Err(NoObject {
            pointer,
            why: "this is no Kubernetes object: it is not a map",
        });
    };
    let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind.is_empty() {
        return Err(NoObject {
            pointer,
            why: "this is no Kubernetes object: it has no kind",
        });
    }
    if let Some(items) = map.get("items").and_then(Value::as_array)
        && let Some(item_kind) = kind.strip_suffix("List")
    {
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/items/{index}");
            if item_kind.is_empty() || item.get("kind").is_some() {
                collect(item, pointer, found)?;
            } else {
                // Items of a typed list leave out what the list says.
                let mut item = item.clone();
                if let Some(item) = item.as_object_mut() {
                    item.insert("kind".to_owned(), Value::from(item_kind));
                    item.insert(
                        "apiVersion".to_owned(),
                        map.get("apiVersion").cloned().unwrap_or_default(),
                    );
                }
                collect(&item, pointer, found)?;
            }
        }
        return Ok(());
    }
    let group = map
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind == "Template" && (group == "v1" || group.starts_with("template.openshift.io/")) {
        let parameters = Arc::new(Parameters::of(value));
        for (index, object) in map
            .get("objects")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let first = found.len();
            let mut filled = object.clone();
            let is_filled = parameters.fill(&mut filled);
            collect(&filled, format!("{pointer}/objects/{index}"), found)?;
            for found in found.iter_mut().skip(first).filter(|_| is_filled) {
                found.object.frozen = Some("is shaped by parameters of a Template");
                found.parameters = Some(Arc::clone(&parameters));
            }
        }
        return Ok(());
    }
    found.push(Found {
        pointer,
        object: Object::new(value.clone()),
        parameters: None,
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(value: &Value) -> Vec<Found> {
        let mut found = Vec::new();
        collect(value, String::new(), &mut found).unwrap();
        found
    }

    #[test]
    fn lists_are_taken_apart() {
        let found = objects(&json!({"kind": "List", "items": [
            {"kind": "ConfigMap", "apiVersion": "v1"},
            {"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}
        ]}));
        let pointers: Vec<&str> = found.iter().map(|found| found.pointer.as_str()).collect();
        assert_eq!(pointers, ["/items/0", "/items/1/items/0"]);
        assert_eq!(found[1].object.kind(), "Service");
        assert_eq!(found[1].object.api_version(), "v1");
    }

    #[test]
    fn a_template_is_filled_in_and_what_it_shapes_is_frozen() {
        let found = objects(&json!({
            "kind": "Template", "apiVersion": "template.openshift.io/v1",
            "parameters": [{"name": "APP", "value": "nats"}, {"name": "N", "value": "3"}, {"name": "SECRET", "generate": "expression"}],
            "objects": [
                {"kind": "StatefulSet", "metadata": {"name": "${APP}-${SECRET}"}, "spec": {"replicas": "${{N}}"}},
                {"kind": "Service", "metadata": {"name": "nats"}}
            ]
        }));
        assert_eq!(found[0].object.name(), "nats-${SECRET}");
        assert_eq!(found[0].object.value["spec"]["replicas"], 3);
        assert!(found[0].object.frozen.is_some());
        assert!(found[1].object.frozen.is_none());
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        let error = |value: Value| collect(&value, String::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(
            error(json!([1])).why,
            "this is no Kubernetes object: it is not a map"
        );
        assert_eq!(
            error(json!({"a": 1})).why,
            "this is no Kubernetes object: it has no kind"
        );
        assert_eq!(
            error(json!({"kind": "List", "items": [{"a": 1}]})).pointer,
            "/items/0"
        );
    }
}
