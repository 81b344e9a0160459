//! Lenient reading of raw JSON: a value of the wrong type reads as one that is not there.

use core::fmt::Write as _;

use serde_json::{Map, Value};

/// The value at a path of keys.
pub(crate) fn get<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter()
        .try_fold(value, |value, key| value.get(*key))
        .filter(|value| !value.is_null())
}

/// The string at a path of keys.
pub(crate) fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    get(value, path).and_then(Value::as_str)
}

/// The map at a path of keys.
pub(crate) fn map<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Map<String, Value>> {
    get(value, path).and_then(Value::as_object)
}

/// The items of the list at a path of keys; none when there is no list.
pub(crate) fn items<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    get(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// One more step of a JSON pointer, RFC 6901.
pub(crate) fn join(pointer: &str, key: &str) -> String {
    if key.contains(['~', '/']) {
        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
    } else {
        format!("{pointer}/{key}")
    }
}

/// A JSON pointer as Kubernetes writes field paths: `spec.template.spec.volumes[2].nfs`, `data["nats.conf"]`.
pub(crate) fn field(pointer: &str) -> String {
    let mut field = String::new();
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        if key.bytes().all(|byte| byte.is_ascii_digit()) && !key.is_empty() {
            let _ = write!(field, "[{key}]");
        } else if key
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            if !field.is_empty() {
                field.push('.');
            }
            field.push_str(&key);
        } else {
            let _ = write!(field, "[\"{key}\"]");
        }
    }
    field
}

/// A Kubernetes quantity in whole units, rounded up: `10Gi`, `1.5G`, `500m`, `1e3`.
/// `None` for what is not a quantity. <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>
pub(crate) fn quantity(value: &Value) -> Option<i128> {
    let text = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        _ => return None,
    };
    let end = text
        .char_indices()
        .find(|(_, c)| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-')))
        .map_or(text.len(), |(at, _)| at);
    let (number, suffix) = text.split_at_checked(end)?;
    let number: f64 = number.parse().ok()?;
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024_f64,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => 10_f64.powi(suffix.strip_prefix(['e', 'E'])?.parse().ok()?),
    };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast to an integer saturates"
    )]
    Some((number * factor).ceil() as i128)
}

/// Whether a `LabelSelector` matches a set of labels. An absent selector matches nothing, an empty one everything.
/// <https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/>
pub(crate) fn selector_matches(
    selector: Option<&Value>,
    labels: Option<&Map<String, Value>>,
) -> bool {
    let Some(selector) = selector.filter(|selector| selector.is_object()) else {
        return false;
    };
    let label = |key: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .and_then(Value::as_str)
    };
    let exact = map(selector, &["matchLabels"]).is_none_or(|wanted| {
        wanted
            .iter()
            .all(|(key, value)| label(key).is_some() && label(key) == value.as_str())
    });
    exact
        && items(selector, &["matchExpressions"])
            .iter()
            .all(|expression| {
                let found = label(text(expression, &["key"]).unwrap_or_default());
                expression_holds(expression, found) == Some(true)
            })
}

/// Whether an expression of a selector holds of a label's value: `None` for an operator that not all selectors have.
pub(crate) fn expression_holds(expression: &Value, found: Option<&str>) -> Option<bool> {
    let is_listed = found.is_some_and(|found| {
        items(expression, &["values"])
            .iter()
            .any(|value| value.as_str() == Some(found))
    });
    match text(expression, &["operator"]).unwrap_or_default() {
        "In" => Some(is_listed),
        "NotIn" => Some(!is_listed),
        "Exists" => Some(found.is_some()),
        "DoesNotExist" => Some(found.is_none()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_spelled_as_kubernetes_spells_them() {
        assert_eq!(
            field("/spec/template/spec/volumes/2/nfs"),
            "spec.template.spec.volumes[2].nfs"
        );
        assert_eq!(field("/data/nats.conf"), "data[\"nats.conf\"]");
        assert_eq!(
            field(&join("/metadata/labels", "a/b~c")),
            "metadata.labels[\"a/b~c\"]"
        );
    }

    #[test]
    fn quantities_read_as_kubernetes_reads_them() {
        let read = |text: &str| quantity(&json!(text));
        assert_eq!(read("10Gi"), Some(10 << 30));
        assert_eq!(read("1.5G"), Some(1_500_000_000));
        assert_eq!(read("500m"), Some(1));
        assert_eq!(read("1e3"), Some(1000));
        assert_eq!(read("2E"), Some(2_000_000_000_000_000_000));
        assert_eq!(read("10GB"), None);
        assert_eq!(read(""), None);
        assert_eq!(quantity(&json!(1024)), Some(1024));
    }

    #[test]
    fn selectors_match_as_the_apiserver_matches_them() {
        let labels = json!({"app": "nats", "tier": "a"});
        let labels = labels.as_object();
        let matches = |selector: Value| selector_matches(Some(&selector), labels);
        assert!(matches(json!({})));
        assert!(matches(json!({"matchLabels": {"app": "nats"}})));
        assert!(!matches(json!({"matchLabels": {"app": "other"}})));
        assert!(!matches(json!({"matchLabels": {"gone": "x"}})));
        assert!(matches(
            json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]}]})
        ));
        assert!(!matches(
            json!({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["a"]}]})
        ));
        assert!(matches(
            json!({"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]})
        ));
        assert!(!selector_matches(None, labels));
    }
}
