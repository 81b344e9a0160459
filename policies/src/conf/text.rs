//! Characters and numbers as Go reads them: what counts as a space, a digit, a number or a date.

use std::ops::Range;

/// Ends a bare string, or starts an escape in it.
pub(super) const BARE: u8 = 1;
/// Ends a key, or may: the first bytes of non-ASCII spaces are included.
pub(super) const KEY: u8 = 2;
/// Ends an integer.
pub(super) const INTEGER: u8 = 4;
/// Ends a double-quoted string, or starts an escape in it.
pub(super) const DOUBLE: u8 = 8;
/// Ends a comment.
pub(super) const COMMENT: u8 = 16;
/// ASCII white space on the key side.
pub(super) const SPACE: u8 = 32;
/// White space on the value side.
pub(super) const BLANK: u8 = 64;
/// An ASCII digit.
pub(super) const DIGIT: u8 = 128;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let class = match byte as u8 {
            // nats-server reads NUL as the end of the file.
            0 => BARE | KEY | INTEGER | DOUBLE | COMMENT,
            b'\n' | b'\r' => BARE | KEY | INTEGER | COMMENT | SPACE,
            b' ' | b'\t' => BARE | KEY | INTEGER | SPACE | BLANK,
            0x0B | 0x0C => KEY | SPACE,
            b',' | b';' | b'}' => BARE | INTEGER,
            b']' | b'\'' => BARE,
            b'\\' => BARE | DOUBLE,
            b'"' => DOUBLE,
            b'=' | b':' | 0xC2 | 0xE1 | 0xE2 | 0xE3 => KEY,
            b'0'..=b'9' => DIGIT,
            _ => 0,
        };
        #[expect(
            clippy::indexing_slicing,
            reason = "the loop ends where the table does"
        )]
        {
            table[byte] = class;
        }
        byte += 1;
    }
    table
}

/// Whether `byte` belongs to one of the classes in `mask`.
#[inline]
pub(super) fn is(byte: u8, mask: u8) -> bool {
    #[expect(clippy::indexing_slicing, reason = "a byte cannot exceed the table")]
    let class = CLASSES[usize::from(byte)];
    class & mask != 0
}

/// The length of the non-ASCII space (Go's `unicode.IsSpace`) that `text` starts with, or 0.
pub(super) fn wide_space(text: &[u8]) -> usize {
    match text {
        [0xC2, 0x85 | 0xA0, ..] => 2,
        [0xE1, 0x9A, 0x80, ..]
        | [0xE2, 0x80, 0x80..=0x8A | 0xA8 | 0xA9 | 0xAF, ..]
        | [0xE2, 0x81, 0x9F, ..]
        | [0xE3, 0x80, 0x80, ..] => 3,
        _ => 0,
    }
}

/// The length of the decimal digit (Go's `unicode.IsDigit`) that `text` starts with, or 0.
pub(super) fn digit(text: &[u8]) -> usize {
    match text.first() {
        Some(b'0'..=b'9') => 1,
        Some(0x80..) => wide_digit(text),
        _ => 0,
    }
}

fn wide_digit(text: &[u8]) -> usize {
    let Some(character) = first_character(text) else {
        return 0;
    };
    let code = u32::from(character);
    if DIGITS.iter().any(|zero| code.wrapping_sub(*zero) < 10)
        || (0x1D7CE..=0x1D7FF).contains(&code)
    {
        character.len_utf8()
    } else {
        0
    }
}

fn first_character(text: &[u8]) -> Option<char> {
    let head = text.get(..4).unwrap_or(text);
    let chunk = head.utf8_chunks().next()?;
    chunk.valid().chars().next()
}

/// The zeros of Unicode's decimal digits (category Nd) as of Unicode 15.0, which Go 1.26 knows.
const DIGITS: [u32; 62] = [
    0x660, 0x6F0, 0x7C0, 0x966, 0x9E6, 0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66, 0xDE6,
    0xE50, 0xED0, 0xF20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50,
    0x1BB0, 0x1C40, 0x1C50, 0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0xFF10,
    0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0, 0x112F0, 0x11450, 0x114D0, 0x11650,
    0x116C0, 0x11730, 0x118E0, 0x11950, 0x11C50, 0x11D50, 0x11DA0, 0x11F50, 0x16A60, 0x16AC0,
    0x16B50, 0x1E140, 0x1E2F0, 0x1E4F0, 0x1E950, 0x1FBF0,
];

/// Whether `text` lower-cased by Go is `word`, which is lower-case ASCII.
pub(super) fn lowers_to(text: &[u8], word: &str) -> bool {
    if text.is_ascii() {
        return text.eq_ignore_ascii_case(word.as_bytes());
    }
    let Ok(text) = std::str::from_utf8(text) else {
        return false;
    };
    // Two characters beyond ASCII have a lower case within it.
    text.chars()
        .map(|character| match character {
            '\u{130}' => 'i',
            '\u{212A}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .eq(word.chars())
}

/// The bytes as text, each invalid byte shown as one U+FFFD.
pub(super) fn shown(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.to_owned();
    }
    let mut shown = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        shown.push_str(chunk.valid());
        shown.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    shown
}

/// Line and column of `offset`, both from 1, the column in characters.
pub(super) fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    let column = before
        .get(start..)
        .unwrap_or_default()
        .utf8_chunks()
        .map(|chunk| chunk.valid().chars().count() + chunk.invalid().len())
        .sum::<usize>();
    (line, column + 1)
}

/// What an integer token says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Integer {
    Value(i64),
    /// A suffix that the lexer takes and the parser does not know (`1kbb`): nats-server drops the value.
    Dropped,
    OutOfRange,
    /// Digits other than ASCII ones.
    Invalid,
}

/// Reads an integer with its size suffix; the product wraps around as it does in nats-server.
pub(super) fn integer(text: &[u8]) -> Integer {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let mut value: i64 = 0;
    let mut overflow = false;
    let mut digits = 0;
    for byte in unsigned {
        if !byte.is_ascii_digit() {
            break;
        }
        digits += 1;
        // Counting downwards reaches the smallest integer, which has no positive twin.
        match value
            .checked_mul(10)
            .and_then(|tens| tens.checked_sub(i64::from(byte - b'0')))
        {
            Some(next) => value = next,
            None => overflow = true,
        }
    }
    let suffix = unsigned.get(digits..).unwrap_or_default();
    if digits == 0 || suffix.first().is_some_and(|byte| !byte.is_ascii()) {
        return Integer::Invalid;
    }
    if !negative {
        match value.checked_neg() {
            Some(positive) => value = positive,
            None => overflow = true,
        }
    }
    if overflow {
        return Integer::OutOfRange;
    }
    match factor(suffix) {
        Some(factor) => Integer::Value(value.wrapping_mul(factor)),
        None => Integer::Dropped,
    }
}

fn factor(suffix: &[u8]) -> Option<i64> {
    let (unit, rest) = match suffix {
        [] => return Some(1),
        [unit, rest @ ..] => (unit, rest),
    };
    let power = match unit.to_ascii_lowercase() {
        b'k' => 1,
        b'm' => 2,
        b'g' => 3,
        b't' => 4,
        b'p' => 5,
        b'e' => 6,
        _ => return None,
    };
    if rest.is_empty() {
        Some(1000_i64.pow(power))
    } else if [&b"b"[..], b"i", b"ib"]
        .iter()
        .any(|known| rest.eq_ignore_ascii_case(known))
    {
        Some(1024_i64.pow(power))
    } else {
        None
    }
}

/// Reads a float token: ASCII digits, and no larger than a double can be.
pub(super) fn float(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Whether a token of the form `dddd-dd-ddTdd:dd:ddZ` is a moment that exists.
pub(super) fn is_datetime(text: &[u8]) -> bool {
    let number = |range: Range<usize>| -> Option<u32> {
        let digits = text.get(range)?;
        digits.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u32::from(byte - b'0'))
        })
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let (Some(hour), Some(minute), Some(second)) = (number(11..13), number(14..16), number(17..19))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 31,
    };
    text.len() == 20
        && (1..=12).contains(&month)
        && (1..=days).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60
}
