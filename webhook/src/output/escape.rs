//! Makes characters visible that a reader would obey or not see.

use std::fmt::Write as _;

/// Whether a character moves the cursor, changes the direction of writing, is invisible, or is none at all in XML.
pub(super) fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// A text on one line: `\n` for a line feed, `\u{1b}` for an escape.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            if is_unprintable(c) {
                shown.extend(c.escape_default());
            } else {
                shown.push(c);
            }
            shown
        })
}

/// A line of a file: its tabs are layout.
pub(super) fn visible_line(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

/// A JSON document, nothing in it but printable characters: JSON itself demands that of few.
pub(super) fn json(document: &str) -> String {
    document
        .chars()
        .fold(String::with_capacity(document.len()), |mut shown, c| {
            if is_unprintable(c) && c != '\n' {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(shown, "\\u{unit:04x}");
                }
            } else {
                shown.push(c);
            }
            shown
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(
            visible("a\u{1b}[31mb\r\n\tc\u{9b}d\u{202e}e\0"),
            "a\\u{1b}[31mb\\r\\n\\tc\\u{9b}d\\u{202e}e\\u{0}"
        );
        assert_eq!(visible("grüße \\ \"日本\" '🦀'"), "grüße \\ \"日本\" '🦀'");
    }

    #[test]
    fn tabs_of_a_line_stay() {
        assert_eq!(visible_line("\troutes\u{7}\t["), "\troutes\\u{7}\t[");
    }

    #[test]
    fn a_json_document_keeps_its_meaning() {
        let text = "\u{9b}2J \u{202e} \u{e0041} \u{7f} \u{1b} é";
        let document = json(&serde_json::to_string(text).unwrap());
        assert_eq!(
            document,
            r#""\u009b2J \u202e \udb40\udc41 \u007f \u001b é""#
        );
        assert_eq!(serde_json::from_str::<String>(&document).unwrap(), text);
    }
}
