//! The memory that a server may use: its container's limit, and the one it is told in `GOMEMLIMIT`.

use serde_json::Value;

use crate::json;

/// `GOMEMLIMIT` in a container's environment, as Go reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoLimit {
    /// It is not set, `off`, or not written there.
    None,
    /// So many bytes.
    Bytes(i128),
    /// Go ends a program that is started with it.
    Malformed,
}

/// `resources.limits.memory` in bytes.
pub(crate) fn limit(container: &Value) -> Option<i128> {
    json::get(container, &["resources", "limits", "memory"]).and_then(json::quantity)
}

/// `GOMEMLIMIT` of a container, and the index of the variable.
pub(crate) fn go_limit(container: &Value) -> (GoLimit, usize) {
    let variables = json::items(container, &["env"]).iter().enumerate();
    let is_it = |variable: &&Value| json::text(variable, &["name"]) == Some("GOMEMLIMIT");
    let Some((index, variable)) = variables.rev().find(|(_, variable)| is_it(variable)) else {
        return (GoLimit::None, 0);
    };
    let limit = match json::text(variable, &["value"]) {
        None | Some("" | "off") => GoLimit::None,
        Some(value) if value.contains('$') => GoLimit::None,
        Some(value) => bytes(value).map_or(GoLimit::Malformed, GoLimit::Bytes),
    };
    (limit, index)
}

/// A count of bytes in Go's units (runtime `parseByteCount`), which are not those of Kubernetes.
fn bytes(text: &str) -> Option<i128> {
    const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)];
    let unit = UNITS
        .iter()
        .find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((text.strip_suffix('B').unwrap_or(text), 0));
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let count: i64 = digits.parse().ok().filter(|_| is_number)?;
    Some(i128::from(count) << shift)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn go_has_units_of_its_own() {
        let read = |value: &str| {
            go_limit(&json!({"env": [{"name": "A"}, {"name": "GOMEMLIMIT", "value": value}]})).0
        };
        assert_eq!(read("3GiB"), GoLimit::Bytes(3 << 30));
        assert_eq!(read("100B"), GoLimit::Bytes(100));
        assert_eq!(read("100"), GoLimit::Bytes(100));
        for malformed in [
            "3Gi", "3GB", "3G", "GiB", "-1", "1.5GiB", "3gib", "3 GiB", "+3",
        ] {
            assert_eq!(read(malformed), GoLimit::Malformed, "{malformed}");
        }
        for none in ["", "off", "$(LIMIT)"] {
            assert_eq!(read(none), GoLimit::None, "{none}");
        }
    }
}
