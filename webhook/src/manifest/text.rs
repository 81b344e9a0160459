//! Lines and columns of a text.

/// The start of the line an offset is in; a byte order mark is part of no line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    match text[..at].rfind('\n') {
        Some(newline) => newline + 1,
        None if text[..at].starts_with('\u{feff}') => '\u{feff}'.len_utf8(),
        None => 0,
    }
}

/// The end of the line an offset is in, before its line break.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    match text[at..].find('\n') {
        None => text.len(),
        Some(newline) => {
            let end = at + newline;
            if end > at && text.as_bytes()[end - 1] == b'\r' {
                end - 1
            } else {
                end
            }
        }
    }
}

/// The start of the line after the one an offset is in.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..]
        .find('\n')
        .map_or(text.len(), |newline| at + newline + 1)
}

/// The column of an offset in characters, from 0; a byte order mark counts for nothing.
pub(super) fn column(text: &str, at: usize) -> usize {
    let start = line_start(text, at);
    let line = &text[start..at];
    line.strip_prefix('\u{feff}')
        .unwrap_or(line)
        .chars()
        .count()
}

/// The blanks a line begins with.
pub(super) fn indentation(text: &str, at: usize) -> &str {
    let start = line_start(text, at);
    let line = &text[start..line_end(text, start)];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// Whether an offset is the first on its line that is no blank.
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at]
        .bytes()
        .all(|byte| byte == b' ' || byte == b'\t')
}

/// The first offset from `from` that is neither blank nor line break nor comment.
pub(super) fn skip_trivia(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while at < bytes.len() {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' => at = line_end(text, at),
            0xef if text[at..].starts_with('\u{feff}') => at += 3,
            _ => break,
        }
    }
    at
}
