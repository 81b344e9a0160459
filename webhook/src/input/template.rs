//! The parameters of an OpenShift Template: filled in, as `oc process` does, and found again where they are written.

use serde_json::Value;

/// Those that have a value, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parameters(Vec<(String, String)>);

/// A part of a text: what is written, and what it is when parameters are filled in.
struct Piece<'a> {
    written: &'a str,
    filled: &'a str,
}

impl Parameters {
    /// The parameters of a template.
    pub(super) fn of(template: &Value) -> Self {
        let parameters = template
            .get("parameters")
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        Self(
            parameters
                .filter_map(|parameter| {
                    let name = parameter.get("name")?.as_str()?;
                    let value = match parameter.get("value")? {
                        Value::String(value) => value.clone(),
                        other => other.to_string(),
                    };
                    Some((name.to_owned(), value))
                })
                .collect(),
        )
    }

    /// Fills them in: `${NAME}` inside a string, `${{NAME}}` for a whole value. Returns whether there was anything to fill in.
    pub(super) fn fill(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) if text.contains("${") => {
                if let Some(with) = self.whole(text) {
                    *value = serde_json::from_str(with).unwrap_or_else(|_| Value::from(with));
                } else {
                    *text = self.pieces(text).map(|piece| piece.filled).collect();
                }
                true
            }
            // Every one is filled in; the count only asks whether there was any.
            Value::Array(items) => {
                let filled = items
                    .iter_mut()
                    .filter_map(|item| self.fill(item).then_some(()));
                filled.count() > 0
            }
            Value::Object(map) => {
                let filled = map
                    .values_mut()
                    .filter_map(|item| self.fill(item).then_some(()));
                filled.count() > 0
            }
            _ => false,
        }
    }

    /// Where in a text the byte is that has this offset when parameters are filled in: of what a parameter brings in, the
    /// parameter.
    pub(super) fn written(&self, text: &str, offset: usize) -> usize {
        if self.whole(text).is_some() {
            return 0;
        }
        let (mut at, mut left) = (0, offset);
        for piece in self.pieces(text) {
            if left < piece.filled.len() {
                let is_as_written = piece.written == piece.filled;
                return at + if is_as_written { left } else { 0 };
            }
            at += piece.written.len();
            left -= piece.filled.len();
        }
        at
    }

    /// What a value is that is one parameter as a whole.
    fn whole(&self, text: &str) -> Option<&str> {
        let name = text.strip_prefix("${{")?.strip_suffix("}}")?;
        self.value(name)
    }

    fn value(&self, name: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    /// The parts of a text. What a parameter brings in is not looked at again.
    fn pieces<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Piece<'a>> {
        let mut rest = text;
        core::iter::from_fn(move || {
            let (piece, after) = self.first_piece(rest)?;
            rest = after;
            Some(piece)
        })
    }

    fn first_piece<'a>(&'a self, text: &'a str) -> Option<(Piece<'a>, &'a str)> {
        if let Some(after) = text.strip_prefix("${")
            && let Some((name, after)) = after.split_once('}')
            && let Some(filled) = self.value(name)
        {
            let written = &text[..text.len() - after.len()];
            return Some((Piece { written, filled }, after));
        }
        let mut starts = text.match_indices("${").map(|(at, _)| at);
        let end = starts.find(|at| *at > 0).unwrap_or(text.len());
        let (written, after) = text.split_at(end);
        let piece = Piece {
            written,
            filled: written,
        };
        (!text.is_empty()).then_some((piece, after))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Parameters {
        Parameters::of(&json!({"parameters": [
            {"name": "APP", "value": "a-long-name"}, {"name": "EMPTY", "value": ""}, {"name": "N", "value": 3},
            {"name": "SECRET", "generate": "expression"}
        ]}))
    }

    #[test]
    fn what_has_a_value_is_filled_in() {
        let filled = |text: &str| {
            let mut value = json!({"items": [text]});
            let is_filled = parameters().fill(&mut value);
            assert_eq!(is_filled, text.contains("${"));
            value["items"][0].clone()
        };
        assert_eq!(filled("plain"), "plain");
        assert_eq!(
            filled("x-${APP}${EMPTY}-${SECRET}-${APP"),
            "x-a-long-name-${SECRET}-${APP"
        );
        assert_eq!(filled("${{N}}"), 3);
        assert_eq!(filled("${{APP}}"), "a-long-name");
        assert_eq!(filled("${${APP}"), "${a-long-name");
    }

    #[test]
    fn a_place_is_found_again_where_it_is_written() {
        let text = "${EMPTY}x ${APP}:${SECRET} y${APP}z";
        let parameters = parameters();
        let filled = "x a-long-name:${SECRET} ya-long-namez";
        let place = |part: &str| parameters.written(text, filled.find(part).unwrap());
        assert_eq!(place("x "), text.find("x ").unwrap());
        assert_eq!(place("a-long"), text.find("${APP}").unwrap());
        assert_eq!(place("name:"), text.find("${APP}").unwrap());
        assert_eq!(place(":$"), text.find(":$").unwrap());
        assert_eq!(place("SECRET"), text.find("SECRET").unwrap());
        assert_eq!(place(" y"), text.find(" y").unwrap());
        assert_eq!(place("z"), text.find('z').unwrap());
        assert_eq!(parameters.written(text, filled.len()), text.len());
        assert_eq!(parameters.written("${{APP}}", 4), 0);
    }
}
