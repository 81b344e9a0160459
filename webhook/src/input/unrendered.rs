//! Templates that nobody rendered: the parser's words about them would lead people astray.

use crate::manifest::{Place, ReadError};

/// A template of any tool.
pub(super) const TEMPLATE: &str = "a template";

/// What only Helm's templates say.
const HELM: &[&str] = &[
    ".Values",
    ".Release.",
    ".Chart.",
    ".Capabilities.",
    "include \"",
    "| nindent",
    "| toYaml",
    "toYaml .",
];

/// Where a file stops to be YAML because it is a template, and what it is a template of.
pub(super) fn place<'a>(bytes: &[u8], error: &'a ReadError) -> Option<(&'a Place, &'static str)> {
    let place = error.place()?;
    let text = core::str::from_utf8(bytes).ok()?;
    let mut lines = text.split_inclusive('\n');
    let before: usize = lines.by_ref().take(place.line - 1).map(str::len).sum();
    let read = &text[..before + lines.next().map_or(0, str::len)];
    if !is_template(read) {
        return None;
    }
    if HELM.iter().any(|word| text.contains(word)) {
        return Some((place, "a Helm template"));
    }
    let mut last = read.lines().rev().take(2);
    last.any(is_template).then_some((place, TEMPLATE))
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// Whether a name is still to be filled in: the apiserver would take no such name. `${{NAME}}` is a Template's own.
pub(super) fn is_name(name: &str) -> bool {
    name.replace("${{", "").contains("{{")
}
