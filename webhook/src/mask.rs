//! Lines of input made fit to be shown: what may be a credential is masked.

/// What stands in the place of a credential.
pub const MASK: &str = "***";

/// Words after which a line may hold a credential (`password: x`, `--pass x`, `token = x`): the rest is not shown.
const TELLING: &[&str] = &[
    "pass", "auth", "token", "secret", "nkey", "seed", "jwt", "cred", "private", "api_key",
    "apikey", "bearer",
];

/// A line with credentials masked: what stands before the `@` of a URL, and everything after a telling word.
pub fn line(line: &str) -> String {
    let line = userinfo(line);
    let lower = line.to_ascii_lowercase();
    let Some(word) = TELLING.iter().filter_map(|word| lower.find(word)).min() else {
        return line;
    };
    // The word itself is shown, up to what separates it from its value.
    let rest = lower.get(word..).unwrap_or_default();
    let end = rest
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '"' | '\'')))
        .map_or(line.len(), |end| word + end);
    match line.get(..end) {
        Some(shown)
            if line.get(end..).is_some_and(|rest| {
                rest.chars().any(char::is_alphanumeric) || rest.contains('{')
            }) =>
        {
            format!("{shown} {MASK}")
        }
        _ => line,
    }
}

/// A text with the userinfo of every URL masked.
pub fn userinfo(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        masked.push_str(before);
        masked.push_str("://");
        let end = after.find(is_end).unwrap_or(after.len());
        let (authority, tail) = after.split_at_checked(end).unwrap_or((after, ""));
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                masked.push_str(MASK);
                masked.push('@');
                masked.push_str(host);
            }
            None => masked.push_str(authority),
        }
        rest = tail;
    }
    masked.push_str(rest);
    masked
}

/// What ends the authority of a URL in a list of them: a quote, white space, a comma before the next scheme.
fn is_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ']')
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
    }

    #[test]
    fn the_rest_of_a_line_after_a_telling_word_is_masked() {
        assert_eq!(line("  password: hunter2 # old"), "  password ***");
        assert_eq!(
            line("args: [\"--pass\", \"hunter2\"]"),
            "args: [\"--pass\" ***"
        );
        assert_eq!(line("  \"authorization\": {"), "  \"authorization\" ***");
        assert_eq!(line("    password:"), "    password:");
        assert_eq!(line("routes ["), "routes [");
    }
}
