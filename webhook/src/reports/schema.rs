//! What an apiserver would take for a report.
//!
//! `schema/report.json` says in our own order what the CustomResourceDefinitions say of the fields that we may write:
//! `config/crd/openreports.io_reports.yaml` of openreports/reports-api (v1alpha1) and
//! `policy-report/crd/v1alpha2/wgpolicyk8s.io_policyreports.yaml` of kubernetes-sigs/wg-policy-prototypes. In these fields
//! they differ by one: a Report has a `source`.

use serde_json::{Value, json};

use super::Kind;

/// Panics where a report is not what its kind allows. A field that is not in the schema would be lost without a word.
pub(crate) fn check(report: &Value) {
    let mut schema: Value = serde_json::from_str(include_str!("schema/report.json")).unwrap();
    let version = report["apiVersion"].as_str().unwrap();
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| version == kind.api_version())
        .unwrap();
    assert_eq!(report["kind"], kind.name());
    if kind == Kind::Report {
        schema["properties"]["source"] = json!({"type": "string"});
    }
    // Its fields are not the CRD's.
    schema["properties"]["metadata"] = json!({});
    walk(report, &schema, "");
}

fn walk(value: &Value, schema: &Value, at: &str) {
    let is_so = match schema["type"].as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("boolean") => value.is_boolean(),
        _ => return,
    };
    assert!(is_so, "{at}: {value} is no {}", schema["type"]);
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{at}: {value} is not allowed");
    }
    for required in schema["required"].as_array().into_iter().flatten() {
        assert!(
            value.get(required.as_str().unwrap()).is_some(),
            "{at}: {required} is missing"
        );
    }
    for item in value.as_array().into_iter().flatten() {
        walk(item, &schema["items"], &format!("{at}[]"));
    }
    for (key, field) in value.as_object().into_iter().flatten() {
        let schema = schema["properties"]
            .get(key)
            .or(schema.get("additionalProperties"));
        let schema = schema.unwrap_or_else(|| panic!("{at}.{key} is no field"));
        walk(field, schema, &format!("{at}.{key}"));
    }
}
