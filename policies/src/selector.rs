//! A label selector of the settings, typed: a word that is not known would select everything.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::json;

/// A `LabelSelector` of Kubernetes: all of its requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(default)]
    match_expressions: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: Operator,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl LabelSelector {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }

    /// Whether it selects an object by its labels.
    pub fn matches(&self, object: &Value) -> bool {
        let label = |key: &str| json::text(object, &["metadata", "labels", key]);
        let mut exact = self.match_labels.iter();
        exact.all(|(key, value)| label(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| {
                let found = label(&requirement.key);
                let is_listed = found
                    .is_some_and(|found| requirement.values.iter().any(|value| value == found));
                match requirement.operator {
                    Operator::In => is_listed,
                    Operator::NotIn => !is_listed,
                    Operator::Exists => found.is_some(),
                    Operator::DoesNotExist => found.is_none(),
                }
            })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_requirements_must_hold() {
        let object = json!({"metadata": {"labels": {"tier": "legacy", "example.org/team": "a"}}});
        let matches = |selector: Value| {
            let selector: LabelSelector = serde_json::from_value(selector).unwrap();
            [selector.matches(&object), selector.matches(&json!({}))]
        };
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "tier", "operator": operator, "values": values}]});
        assert_eq!(
            matches(json!({"matchLabels": {"tier": "legacy"}})),
            [true, false]
        );
        assert_eq!(
            matches(json!({"matchLabels": {"example.org/team": "a", "tier": "new"}})),
            [false; 2]
        );
        assert_eq!(
            matches(expression("In", json!(["legacy", "old"]))),
            [true, false]
        );
        assert_eq!(
            matches(expression("NotIn", json!(["legacy"]))),
            [false, true]
        );
        assert_eq!(matches(expression("Exists", json!([]))), [true, false]);
        assert_eq!(
            matches(expression("DoesNotExist", json!([]))),
            [false, true]
        );
        let both = json!({"matchLabels": {"tier": "legacy"}, "matchExpressions": [{"key": "a", "operator": "Exists"}]});
        assert_eq!(matches(both), [false, false]);
    }
}
