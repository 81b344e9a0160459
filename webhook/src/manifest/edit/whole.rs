//! Writes a value where another one was, of another kind.

use serde_json::Value;

use super::super::emit::{self, Flow, Format};
use super::super::node::NodeId;
use super::super::plan::Refusal;
use super::super::text::{begins_line, line_end, line_start};
use super::{Editor, Place};

impl Editor<'_> {
    /// Writes a value where a node was.
    pub(super) fn whole(
        &mut self,
        id: NodeId,
        value: &Value,
        place: &Place,
    ) -> Result<(), Refusal> {
        let node = &self.tree.nodes[id];
        if node.tag.is_some() {
            return Err(Refusal::Other("the value has a tag", node.start()));
        }
        let span = node.span.clone();
        let base = node.after_properties();
        let has_members = match value {
            Value::Object(map) => !map.is_empty(),
            Value::Array(items) => !items.is_empty(),
            _ => false,
        };
        if let Place::Flow { format, .. } = place {
            let text = format.value(value);
            let blank = if node.is_empty() { " " } else { "" };
            self.splice(span, format!("{blank}{text}"));
            return Ok(());
        }
        if self.json || node.flow_style && matches!(place, Place::Root) && !has_members {
            let format = Flow {
                json: true,
                compact: self.compact,
                lines: None,
                eol: self.eol(),
            };
            self.splice(span, format.value(value));
            return Ok(());
        }

        let text = self.text;
        let end = line_end(text, span.end);
        let blank_after = |from: usize| {
            text[from..line_end(text, from)]
                .trim_matches([' ', '\t'])
                .is_empty()
        };
        let after_blank = blank_after(span.end);
        let below = line_start(text, span.start) != line_start(text, base);
        let literals = self.format.literals && after_blank && (!below || blank_after(base));
        let format = Format {
            literals,
            ..self.format.clone()
        };
        let column = place.column();
        let deeper = match place {
            Place::Item { .. } | Place::Entry { .. } => column + 2,
            _ => 0,
        };
        let inline = emit::scalar(value, column + 2, &format);
        let lines = match value {
            Value::Object(map) => emit::members(map, deeper, &format),
            Value::Array(items) => emit::sequence(items, deeper, &format),
            _ => String::new(),
        };
        let indented = format!("{}{}{lines}", self.eol(), " ".repeat(deeper));

        if matches!(place, Place::Root) && !node.is_empty() && begins_line(text, span.start) {
            self.splice(span, if has_members { lines } else { inline });
            return Ok(());
        }
        // From where to where the value stood, with the blanks and comments around it.
        let base_end = line_end(text, base);
        let base_blank = if below || node.is_empty() {
            blank_after(base)
        } else {
            after_blank
        };
        if !has_members {
            if node.is_empty() {
                let range = if base_blank {
                    base..base_end
                } else {
                    base..base
                };
                self.splice(range, format!(" {inline}"));
            } else if below && node.is_block_collection() {
                if base_blank {
                    self.splice(base..end, format!(" {inline}"));
                } else {
                    self.splice(base..base, format!(" {inline}"));
                    self.splice(base_end..end, "");
                }
            } else {
                self.splice(span, inline);
            }
            return Ok(());
        }
        let below_text = match place {
            Place::Entry { .. } => emit::after_key(value, column, &format),
            _ => indented,
        };
        if let Place::Item { .. } = place {
            if below || node.is_empty() && !base_blank {
                self.splice(base_end..end.max(base_end), below_text);
            } else if node.is_empty() {
                self.splice(base..base_end, format!(" {lines}"));
            } else {
                self.splice(span, lines);
            }
        } else if below {
            let from = if base_blank { base } else { base_end };
            self.splice(from..end, below_text);
        } else if base_blank {
            self.splice(base..end.max(base), below_text);
        } else {
            self.splice(base..span.end.max(base), "");
            self.splice(end..end, below_text);
        }
        Ok(())
    }
}
