//! Hostile input: large, deep, cut off, or no text at all.

use natsguard_policies::conf::{Config, Document, Included, MAX_DEPTH, TokenKind, read};
use std::time::{Duration, Instant};

/// Debug builds on a busy machine are given this much.
const LIMIT: Duration = Duration::from_secs(3);

#[track_caller]
fn parse(text: &[u8]) -> Config {
    let start = Instant::now();
    let document = Document::parse(text);
    assert_tiles(&document);
    let config = document.read();
    let spent = start.elapsed();
    assert!(spent < LIMIT, "{} bytes took {spent:?}", text.len());
    config
}

#[track_caller]
pub(super) fn assert_tiles(document: &Document<'_>) {
    let mut end = 0;
    for token in document.tokens() {
        assert_eq!(token.start(), end);
        assert!(token.end() >= end);
        end = token.end();
    }
    assert_eq!(end, document.text().len());
}

fn message(text: &[u8]) -> String {
    let config = parse(text);
    assert!(config.root.is_empty());
    config.error.expect("an error").error.to_string()
}

fn repeat(piece: &str, count: usize) -> Vec<u8> {
    piece.repeat(count).into_bytes()
}

#[test]
fn a_mebibyte_on_one_line() {
    let mut text = b"a: \"".to_vec();
    text.resize(1 << 20, b'x');
    text.push(b'"');
    assert_eq!(
        parse(&text)
            .root
            .get("a")
            .and_then(|value| value.as_str())
            .map(str::len),
        Some((1 << 20) - 4)
    );
    assert!(parse(&repeat("a: 1, ", 1 << 18)).error.is_none());
    assert!(parse(&repeat("x", 1 << 20)).error.is_some());
    assert!(
        parse(&[b"a [".to_vec(), repeat("x, ", 1 << 18), b"]".to_vec()].concat())
            .error
            .is_none()
    );
}

#[test]
fn a_mebibyte_of_distinct_keys() {
    let text: String = (0..100_000)
        .map(|number| format!("k{number}: $k0\n"))
        .collect();
    assert!(parse(format!("k0: x\n{text}").as_bytes()).error.is_none());
}

#[test]
fn a_mebibyte_of_references_from_deep_inside() {
    let open: String = (0..120)
        .map(|depth| format!("a{depth} {{ b: 1, c: 2 \n d: 3\n"))
        .collect();
    let text = format!(
        "z: x\n{open} l [ {} ]{}",
        "$z, ".repeat(1 << 17),
        "}".repeat(120)
    );
    assert!(parse(text.as_bytes()).error.is_none());
}

#[test]
fn a_mebibyte_of_any_one_character() {
    for piece in [
        "{", "}", "[", "]", "(", ")", "'", "\"", "\\", "#", "/", "$", ",", ";", ":", "=", "\n",
        "\r", " ", "\0", "-", ".", "1",
    ] {
        parse(&repeat(piece, 1 << 20));
        parse(&[b"a: ".to_vec(), repeat(piece, 1 << 20)].concat());
        parse(&[b"a [".to_vec(), repeat(piece, 1 << 20)].concat());
        parse(&[b"a {".to_vec(), repeat(piece, 1 << 20)].concat());
        parse(&[b"a (".to_vec(), repeat(piece, 1 << 20)].concat());
    }
}

#[test]
fn a_hundred_thousand_brackets() {
    for (open, close) in [("[", "]"), ("{a ", "}"), ("[{a [", "]}]")] {
        let text = format!("a {}{}", open.repeat(100_000), close.repeat(100_000));
        assert_eq!(
            Document::parse(text.as_bytes()).error(),
            None,
            "nats-server accepts it"
        );
        assert!(message(text.as_bytes()).ends_with("maps and arrays are nested too deeply"));
        assert!(
            message(text.get(..150_000).expect("ASCII").as_bytes()).ends_with("nested too deeply")
        );
    }
    // Braces without a key are no nesting of values.
    let text = format!("{}a: 1{}", "{".repeat(100_000), "}".repeat(100_000));
    assert_eq!(parse(text.as_bytes()).error, None);
}

#[test]
fn the_deepest_nesting_that_is_read() {
    let nested = |depth: usize| format!("a {}x{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(parse(nested(MAX_DEPTH).as_bytes()).error, None);
    assert!(parse(nested(MAX_DEPTH + 1).as_bytes()).error.is_some());
    let text = format!("{}\nb [$a]", nested(MAX_DEPTH));
    assert!(message(text.as_bytes()).starts_with("line 2, column 4: "));
}

#[test]
fn variables_that_multiply_are_refused() {
    let mut text = "a0: x\n".to_owned();
    for number in 1..60 {
        text += &format!("a{number} [$a{0}, $a{0}, $a{0}]\n", number - 1);
    }
    assert!(message(text.as_bytes()).ends_with("variables expand to too much"));
    let text = format!(
        "a: \"{}\"\nb [{}]",
        "x".repeat(1 << 19),
        "$a, ".repeat(1 << 17)
    );
    assert!(message(text.as_bytes()).ends_with("variables expand to too much"));
}

#[test]
fn includes_without_end_are_refused() {
    let main = b"include a";
    let config = read(main, &mut |_, _| Included::Text(b"include a".to_vec()));
    assert!(
        config
            .error
            .expect("an error")
            .to_string()
            .ends_with("includes are nested too deeply")
    );
    let config = read(main, &mut |_, _| {
        Included::Text(b"include a\ninclude a".to_vec())
    });
    assert!(config.error.is_some());
    let main = "include a\n".repeat(2000);
    let config = read(main.as_bytes(), &mut |_, _| Included::Text(Vec::new()));
    assert!(
        config
            .error
            .expect("an error")
            .to_string()
            .starts_with("line 1001, column 9: too many includes")
    );
}

#[test]
fn everything_unterminated() {
    for (text, wanted) in [
        (
            "a: 'secret",
            "line 1, column 11: unexpected end of the file: the string that starts on line 1 is not closed",
        ),
        (
            "\n a: \"secret\n",
            "line 3, column 1: unexpected end of the file: the string that starts on line 2 is not closed",
        ),
        (
            "a (\nsecret\n",
            "line 3, column 1: unexpected end of the file: the block that starts on line 1 is not closed",
        ),
        (
            "'secret",
            "line 1, column 8: unexpected end of the file: the quoted key that starts on line 1 is not closed",
        ),
        (
            "m { \"secret",
            "line 1, column 12: unexpected end of the file: the quoted key that starts on line 1 is not closed",
        ),
        (
            "include 'secret",
            "line 1, column 16: unexpected end of the file: the quoted path of an include that starts on line 1 is not closed",
        ),
        (
            "a [",
            "line 1, column 4: expected ',', a new line or ']' after a value of an array, but found the end of the file",
        ),
        (
            "a [x",
            "line 1, column 5: expected ',', a new line or ']' after a value of an array, but found the end of the file",
        ),
        (
            "m {",
            "line 1, column 4: unexpected end of the file in a map",
        ),
        (
            "m { secret",
            "line 1, column 11: unexpected end of the file in a key",
        ),
        (
            "m { a: secret",
            "line 1, column 14: expected ',', a new line or '}' after a value of a map, but found the end of the file",
        ),
        (
            "{ a: secret",
            "line 1, column 12: expected the end of the line or '}' after the value, but found the end of the file",
        ),
        ("x: 1\n  secret", "line 2, column 3: key without a value"),
        (
            "ä: \"\\",
            "line 1, column 5: invalid escape; only \\xXX, \\t, \\n, \\r, \\\" and \\\\ are allowed",
        ),
        (
            "a: \"\\x",
            "line 1, column 5: expected two hexadecimal digits after '\\x'",
        ),
    ] {
        let config = parse(text.as_bytes());
        assert_eq!(
            config.error.expect(text).error.to_string(),
            wanted,
            "{text:?}"
        );
    }
    assert_eq!(parse(b"# secret").error, None);
}

#[test]
fn no_error_shows_a_value() {
    for text in [
        "password: \"hunter2\\q\"",
        "password: 'hunter2'x",
        "password: hunter2 hunter2",
        "a [hunter2 hunter2]",
        "password: 99999999999999999999999",
        "password: 2016-99-99T00:00:00Z",
        "password: -hunter2",
        "$hunter2",
        "password: $hunter2=1",
        "password: \"\\xhunter2\"",
        "password: hunter2\\y",
        "a { hunter2: x ]",
    ] {
        let error = message(text.as_bytes());
        assert!(
            !error.contains("hunter2") && !error.contains("99"),
            "{error}"
        );
    }
}

#[test]
fn invalid_utf8_is_shown_byte_by_byte() {
    let config = parse(b"a: \"\xe2\x82\xff\"\n\xff: 1\n\xfe: 2");
    assert_eq!(
        config.root.get("a").and_then(|value| value.as_str()),
        Some("\u{fffd}\u{fffd}\u{fffd}")
    );
    // The keys look alike and are not.
    assert_eq!(config.root.len(), 3);
    parse(&repeat("\u{2028}", 1 << 18));
    parse(&vec![0xE2; 1 << 20]);
    let mut noise = Vec::with_capacity(1 << 20);
    let mut state = 1_u32;
    while noise.len() < 1 << 20 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        noise.push(state.to_be_bytes()[0]);
    }
    parse(&noise);
}

#[test]
fn what_follows_an_error_is_one_token() {
    let document = Document::parse(b"a: 1\nb [x y]\nc: 2");
    let last = document.tokens().last().expect("a token");
    assert_eq!(
        (last.kind(), document.bytes(last)),
        (TokenKind::Unknown, &b"y]\nc: 2"[..])
    );
    let document = Document::parse(b"a: 1\n}\0rest");
    let last = document.tokens().last().expect("a token");
    assert_eq!(
        (document.error(), last.kind(), document.bytes(last)),
        (None, TokenKind::Ignored, &b"\0rest"[..])
    );
}

#[test]
fn columns_count_characters() {
    let document = Document::parse("# ü\n\tключ: 'é' x".as_bytes());
    assert_eq!(
        document.error().expect("an error").to_string(),
        "line 2, column 12: expected the end of the line after the value, but found 'x'"
    );
}
