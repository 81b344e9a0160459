//! The environment of a container, and what the kubelet makes of `$(VAR)` in its command line.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::json;

/// As much text as references may add in one container. An argument of 128 KiB is more than a process can be started with, and
/// references to references would grow without end.
const MAX_EXPANDED: usize = 64 << 10;

/// A text after the references in it were followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Expanded {
    /// The text; what could not be followed stands as it was written.
    pub text: String,
    /// Whether this is the text that the process gets.
    pub is_known: bool,
}

/// What the manifest says of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variable<'v> {
    /// Nothing: an image may set it.
    Unset,
    /// That it is set, and not to what.
    Unknown,
    /// Its value.
    Known(&'v str),
}

impl<'v> Variable<'v> {
    /// The value, where it is known.
    pub const fn value(self) -> Option<&'v str> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unset | Self::Unknown => None,
        }
    }
}

/// The variables that the manifest sets, with their values where they are written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Environment {
    values: BTreeMap<String, Option<String>>,
    room: usize,
}

impl Environment {
    /// Reads `env` of a container, in the kubelet's order: a value sees what stands before it.
    pub(super) fn of(container: &Value) -> Self {
        let mut environment = Self {
            values: BTreeMap::new(),
            room: MAX_EXPANDED,
        };
        for variable in json::items(container, &["env"]) {
            let Some(name) = json::text(variable, &["name"]) else {
                continue;
            };
            let value = if json::get(variable, &["valueFrom"]).is_some() {
                None
            } else {
                let value = json::text(variable, &["value"]).unwrap_or_default();
                let value = environment.expand(value);
                value.is_known.then_some(value.text)
            };
            environment.values.insert(name.to_owned(), value);
        }
        environment
    }

    pub(super) fn get(&self, name: &str) -> Variable<'_> {
        match self.values.get(name) {
            None => Variable::Unset,
            Some(None) => Variable::Unknown,
            Some(Some(value)) => Variable::Known(value),
        }
    }

    /// Sets a variable, or notes with `None` that its value is not known.
    pub(super) fn set(&mut self, name: String, value: Option<String>) {
        self.values.insert(name, value);
    }

    /// Empties the environment.
    pub(super) fn clear(&mut self) {
        self.values.clear();
    }

    /// Takes so many bytes of what references may add.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// Follows `$(VAR)` as the kubelet does (`third_party/forked/golang/expansion`): `$$` is a dollar sign, and a reference to
    /// what is not set stays as it is.
    pub(super) fn expand(&mut self, text: &str) -> Expanded {
        let mut expanded = Expanded {
            text: String::with_capacity(text.len()),
            is_known: true,
        };
        let last = text.rfind(')').unwrap_or_default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded.text.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                expanded.text.push('$');
                rest = after;
                continue;
            }
            // Beyond the last parenthesis none is looked for, or many that are open would each cost the whole text.
            let reference = after
                .strip_prefix('(')
                .filter(|after| text.len() - after.len() <= last)
                .and_then(|after| after.split_once(')'));
            let Some((name, after)) = reference else {
                expanded.text.push('$');
                rest = after;
                continue;
            };
            rest = after;
            match self.values.get(name) {
                Some(Some(value)) if value.len() <= self.room => {
                    self.room -= value.len();
                    expanded.text.push_str(value);
                    continue;
                }
                // What is not set here may be set by an object of `envFrom`, for a Service, or when the pod is made.
                _ => expanded.is_known = false,
            }
            expanded.text.push_str("$(");
            expanded.text.push_str(name);
            expanded.text.push(')');
        }
        expanded.text.push_str(rest);
        expanded
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expand(container: &Value, text: &str) -> (String, bool) {
        let Expanded { text, is_known } = Environment::of(container).expand(text);
        (text, is_known)
    }

    fn known(text: &str) -> (String, bool) {
        (text.to_owned(), true)
    }

    fn unknown(text: &str) -> (String, bool) {
        (text.to_owned(), false)
    }

    #[test]
    fn references_are_followed_as_the_kubelet_does() {
        let container = json!({"env": [
            {"name": "ROOT", "value": "/data"},
            {"name": "STORE", "value": "$(ROOT)/js"},
            {"name": "EARLY", "value": "$(LATE)"},
            {"name": "LATE", "value": "x"},
            {"name": "EMPTY"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        ]});
        for (text, expected) in [
            ("-sd=$(STORE)", known("-sd=/data/js")),
            ("$(STORE)$(EMPTY)/$(LATE)", known("/data/js/x")),
            ("$(EARLY)", unknown("$(EARLY)")),
            ("$$(STORE)", known("$(STORE)")),
            ("$$$(STORE)", known("$/data/js")),
            ("$(MISSING)", unknown("$(MISSING)")),
            ("$(STORE", known("$(STORE")),
            ("$STORE ${STORE}", known("$STORE ${STORE}")),
            ("a$", known("a$")),
            ("$(POD).$(LATE)", unknown("$(POD).x")),
        ] {
            assert_eq!(expand(&container, text), expected, "{text}");
        }
    }

    #[test]
    fn references_to_references_do_not_grow_without_end() {
        let mut variables = vec![json!({"name": "V0", "value": "x".repeat(1000)})];
        for number in 1..64 {
            let value = format!("$(V{})", number - 1).repeat(16);
            variables.push(json!({"name": format!("V{number}"), "value": value}));
        }
        let mut environment = Environment::of(&json!({"env": variables}));
        let size: usize = environment.values.values().flatten().map(String::len).sum();
        assert!(size <= 1000 + MAX_EXPANDED, "{size}");
        assert!(!environment.expand("$(V63)").is_known);
    }
}
