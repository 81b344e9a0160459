//! Flow scalars: plain, single-quoted and double-quoted text with escapes and folded lines.

use std::ops::Range;

use super::node::Style;
use super::runs::Runs;

/// What a flow scalar says, with the place of each part. `span` includes the quotes.
pub(super) fn runs(text: &str, span: Range<usize>, style: Style) -> Option<Runs> {
    let inner = match style {
        Style::Plain => span,
        Style::Single | Style::Double if span.len() >= 2 => span.start + 1..span.end - 1,
        _ => return None,
    };
    let bytes = text.as_bytes();
    let mut runs = Runs::default();
    let mut at = inner.start;
    while at < inner.end {
        match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' => {
                let stop = blanks(bytes, at, inner.end);
                let raw = &text[at..stop];
                match raw.bytes().filter(|&byte| byte == b'\n').count() {
                    0 => runs.verbatim(text, at..stop),
                    1 => runs.insert(" ", at..stop),
                    breaks => runs.insert(&"\n".repeat(breaks - 1), at..stop),
                }
                at = stop;
            }
            b'\'' if style == Style::Single => {
                runs.insert("'", at..at + 2);
                at += 2;
            }
            b'\\' if style == Style::Double => at = escape(text, at, inner.end, &mut runs)?,
            _ => {
                let stop = bytes[at..inner.end]
                    .iter()
                    .position(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\'' | b'\\'))
                    .map_or(inner.end, |found| at + found);
                // `'` and `\` are characters like others where they have no meaning.
                let stop = if stop == at { at + 1 } else { stop };
                runs.verbatim(text, at..stop);
                at = stop;
            }
        }
    }
    Some(runs)
}

fn blanks(bytes: &[u8], from: usize, end: usize) -> usize {
    bytes[from..end]
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .map_or(end, |found| from + found)
}

/// Reads the escape at `at`; gives the offset after it.
fn escape(text: &str, at: usize, end: usize, runs: &mut Runs) -> Option<usize> {
    let bytes = text.as_bytes();
    let simple = match bytes.get(at + 1)? {
        b'\r' | b'\n' => {
            let stop = blanks(bytes, at + 1, end);
            let breaks = text[at..stop].bytes().filter(|&byte| byte == b'\n').count();
            runs.insert(&"\n".repeat(breaks.saturating_sub(1)), at..stop);
            return Some(stop);
        }
        b'0' => '\0',
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b't' | b'\t' => '\t',
        b'n' => '\n',
        b'v' => '\u{b}',
        b'f' => '\u{c}',
        b'r' => '\r',
        b'e' => '\u{1b}',
        b' ' => ' ',
        b'"' => '"',
        b'/' => '/',
        b'\\' => '\\',
        b'N' => '\u{85}',
        b'_' => '\u{a0}',
        b'L' => '\u{2028}',
        b'P' => '\u{2029}',
        b'x' => return coded(text, at, 2, runs),
        b'u' => return coded(text, at, 4, runs),
        b'U' => return coded(text, at, 8, runs),
        _ => return None,
    };
    runs.insert(simple.encode_utf8(&mut [0; 4]), at..at + 2);
    Some(at + 2)
}

fn coded(text: &str, at: usize, digits: usize, runs: &mut Runs) -> Option<usize> {
    let hex =
        |from: usize, digits: usize| u32::from_str_radix(text.get(from..from + digits)?, 16).ok();
    let mut stop = at + 2 + digits;
    let mut code = hex(at + 2, digits)?;
    if (0xd800..0xdc00).contains(&code) && text.get(stop..stop + 2) == Some("\\u") {
        let low = hex(stop + 2, 4)?.checked_sub(0xdc00)?;
        code = 0x1_0000 + ((code - 0xd800) << 10) + low;
        stop += 6;
    }
    runs.insert(char::from_u32(code)?.encode_utf8(&mut [0; 4]), at..stop);
    Some(stop)
}
