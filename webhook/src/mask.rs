//! Lines of input made fit to be shown: what may be a credential is masked.

/// What stands in the place of a credential.
pub const MASK: &str = "***";

/// Parts of words after which a line may hold a credential (`password: x`, `--pass x`): the rest is not shown.
const TELLING: &[&str] = &[
    "pass", "auth", "token", "secret", "nkey", "seed", "jwt", "cred", "private", "bearer", "_key",
    "apikey",
];

/// Whole words of that kind: JetStream's encryption key, the value of an environment variable.
const TELLING_WORDS: &[&str] = &["key", "ek", "value"];

/// A line with credentials masked: what stands before an `@`, and everything after a telling word.
pub fn line(line: &str) -> String {
    let line = userinfo(line);
    let Some(end) = words(&line)
        .find(|(_, word)| is_telling(word))
        .map(|(end, _)| end)
    else {
        return line;
    };
    match line.split_at_checked(end) {
        Some((shown, rest)) if rest.chars().any(|c| c.is_alphanumeric() || c == '{') => {
            format!("{shown} {MASK}")
        }
        _ => line,
    }
}

/// A text in which what stands before an `@` is masked: to the `://` before it, or to the blank or quote before it.
/// Nothing else ends a credential for sure.
fn userinfo(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for (index, piece) in text.split("://").enumerate() {
        if index > 0 {
            masked.push_str("://");
        }
        let Some((before, after)) = piece.rsplit_once('@') else {
            masked.push_str(piece);
            continue;
        };
        if index == 0 {
            let start = before
                .rfind(|c: char| c.is_whitespace() || matches!(c, '"' | '\''))
                .map_or(0, |at| at + 1);
            masked.push_str(before.get(..start).unwrap_or_default());
        }
        masked.push_str(MASK);
        masked.push('@');
        masked.push_str(after);
    }
    masked
}

/// The words of a line, each with the byte after it.
fn words(line: &str) -> impl Iterator<Item = (usize, String)> {
    let mut at = 0;
    line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .map(move |word| {
            let end = at + word.len();
            // What separates words can be several bytes long.
            at = end
                + line
                    .get(end..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(0, char::len_utf8);
            (end, word.to_ascii_lowercase())
        })
}

fn is_telling(word: &str) -> bool {
    TELLING.iter().any(|part| word.contains(part)) || TELLING_WORDS.contains(&word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn userinfo_is_masked_in_every_url_of_a_line() {
        assert_eq!(
            line("  routes: [nats://a:b@h:1,tls://c@i:2, nats://j:3]"),
            "  routes: [nats://***@h:1,tls://***@i:2, nats://j:3]"
        );
        assert_eq!(line("nats://u:p@x@h:1"), "nats://***@h:1");
        assert_eq!(line("\"nats://u:a,b'c/d#e f@h:1\""), "\"nats://***@h:1\"");
        assert_eq!(line("- \"u:p@h:1\""), "- \"***@h:1\"");
    }

    #[test]
    fn the_rest_of_a_line_after_a_telling_word_is_masked() {
        assert_eq!(line("  password: hunter2 # old"), "  password ***");
        assert_eq!(
            line("args: [\"--pass\", \"hunter2\"]"),
            "args: [\"--pass ***"
        );
        assert_eq!(line("  \"authorization\": {"), "  \"authorization ***");
        assert_eq!(
            line("jetstream { encryption_key: \"x\" }"),
            "jetstream { encryption_key ***"
        );
        assert_eq!(line("jetstream { ek: x }"), "jetstream { ek ***");
        assert_eq!(line("  value: hunter2"), "  value ***");
        assert_eq!(line("    password:"), "    password:");
        assert_eq!(line("é routes ["), "é routes [");
        assert_eq!(
            line("topologyKey: kubernetes.io/hostname"),
            "topologyKey: kubernetes.io/hostname"
        );
    }
}
