//! What `--output json` prints is what the published schema says.

use serde_json::Value;

use crate::support::{all, run, run_with};

const SCHEMA: &str = include_str!("../../report.schema.json");

/// Checks a value against the keywords that the schema uses; others are a fault of this test.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
    for (keyword, rule) in schema.as_object().unwrap() {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => {}
            "$ref" => {
                let rule = root.pointer(rule.as_str().unwrap().trim_start_matches('#'));
                check(root, rule.unwrap(), value, at);
            }
            "const" => assert_eq!(value, rule, "{at}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "minimum" => assert!(value.as_i64().unwrap() >= rule.as_i64().unwrap(), "{at}"),
            "type" => {
                let of = match value {
                    Value::Null => "null",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::String(_) => "string",
                    Value::Array(_) => "array",
                    Value::Object(_) => "object",
                };
                let is_one =
                    rule == of || rule.as_array().is_some_and(|of_| of_.contains(&of.into()));
                assert!(is_one, "{at}: {value} is none of {rule}");
            }
            "required" => {
                for key in rule.as_array().unwrap() {
                    assert!(
                        value.get(key.as_str().unwrap()).is_some(),
                        "{at} lacks {key}"
                    );
                }
            }
            "properties" => {
                // What is printed is described, although others may add to it.
                for (key, value) in value.as_object().unwrap() {
                    let rule = rule
                        .get(key)
                        .unwrap_or_else(|| panic!("{at}.{key} is unknown"));
                    check(root, rule, value, &format!("{at}.{key}"));
                }
            }
            "items" => {
                for (index, item) in value.as_array().unwrap().iter().enumerate() {
                    check(root, rule, item, &format!("{at}[{index}]"));
                }
            }
            _ => panic!("{at}: {keyword} is not checked"),
        }
    }
}

#[test]
fn every_report_is_as_the_schema_says() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut reports: Vec<String> = all()
        .iter()
        .map(|name| run(&["check", "--output", "json", name]).out)
        .collect();
    for input in ["", "kind: [", "kind: Service\n"] {
        reports.push(run_with(&["check", "--output", "json", "-"], input).out);
    }
    for report in reports {
        let report: Value = serde_json::from_str(&report).unwrap();
        check(&schema, &schema, &report, "report");
    }
}
