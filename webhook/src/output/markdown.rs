//! A table for a comment on a pull request.

use std::fmt::Write as _;

use super::escape::visible;
use super::words;
use crate::listing::{Listing, Row};

/// Printable texts hold none of their own.
const INVISIBLE: char = '\u{200b}';

pub(super) fn render(listing: &Listing) -> String {
    let mut out = if listing.findings.is_empty() {
        format!("**natsguard** has {}.\n", words::summary(listing))
    } else {
        let rows: String = listing.findings.iter().map(row).collect();
        format!(
            "**natsguard**: {}\n\n| Action | Object | Where | What | Remedy |\n|---|---|---|---|---|\n{rows}",
            words::summary(listing)
        )
    };
    if !listing.exempted.is_empty() {
        out.push_str("\nExempted:\n\n");
        for exempted in &listing.exempted {
            let _ = writeln!(out, "- {}", prose(&words::exempted(exempted)));
        }
    }
    let lists = [
        (
            "Not checked",
            listing.unchecked.iter().map(words::unchecked).collect(),
        ),
        (
            "Not read",
            listing
                .problems
                .iter()
                .map(|problem| visible(problem))
                .collect::<Vec<_>>(),
        ),
    ];
    for (title, lines) in lists {
        if !lines.is_empty() {
            let _ = write!(out, "\n{title}:\n\n");
        }
        for line in lines {
            let _ = writeln!(out, "- {}", prose(&line));
        }
    }
    out
}

fn row(row: &Row) -> String {
    let Row { action, policy, .. } = row;
    let object = code(&words::object(&row.object));
    let place = code(&words::place(row));
    let field = code(&visible(&row.field));
    let found = prose(&words::found(row));
    let remedy = prose(&visible(&row.remedy));
    format!("| **{action}** {policy} | {object} | {place}<br>{field} | {found} | {remedy} |\n")
}

/// Entities are text in Markdown, whatever stands around them; backslashes are not, in tables and in code.
fn escape(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut escaped, c| {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '|' => escaped.push_str("&#124;"),
                '\\' => escaped.push_str("&#92;"),
                '`' => escaped.push_str("&#96;"),
                '*' => escaped.push_str("&#42;"),
                '_' => escaped.push_str("&#95;"),
                '~' => escaped.push_str("&#126;"),
                '$' => escaped.push_str("&#36;"),
                '[' => escaped.push_str("&#91;"),
                INVISIBLE => escaped.push_str("&#8203;"),
                _ => escaped.push(c),
            }
            escaped
        })
}

/// Values: nobody is mentioned and nothing is linked inside `<code>`.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// Sentences. A forge calls no `@team` and links no `#12` across an invisible space.
fn prose(text: &str) -> String {
    escape(
        &text
            .replace('@', &format!("@{INVISIBLE}"))
            .replace('#', &format!("#{INVISIBLE}")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn findings_are_a_table() {
        let expected = r#"**natsguard**: 1 denied, 1 to fix, 1 warning in 7 objects

| Action | Object | Where | What | Remedy |
|---|---|---|---|---|
| **deny** service-route | <code>ConfigMap nats/nats-config</code> | <code>deploy/my nats.yaml:14:9</code><br><code>data&#91;"nats.conf"].cluster.routes&#91;0]</code> | a route names a Service: nats-svc leads to any pod | name each pod |
| **fix** co-located-replicas | <code>StatefulSet nats/nats</code> | <code>deploy/my nats.yaml:40:3</code><br><code>spec.template.spec.affinity</code> | nothing keeps two replicas off one node: 3 replicas | add a rule |
| **warn** network-filesystem | <code>StorageClass nfs</code> | <code>&lt;stdin&gt;:3:14</code><br><code>provisioner</code> | the store lies on a network file system | use a block device |

Exempted:

- co-located-replicas of StatefulSet nats/nats at deploy/my nats.yaml:40:3: one node only, see #&#8203;12 (until 2027-01-31)
"#;
        assert_eq!(render(&sample::listing()), expected);
    }

    #[test]
    fn what_runs_has_no_lines() {
        let text = render(&sample::live());
        assert_eq!(
            text.lines().nth(5),
            Some(
                "| **fix** co-located-replicas | <code>StatefulSet nats/nats</code> | <code>statefulset/nats/nats</code><br><code>spec.template.spec.affinity</code> | nothing keeps two replicas off one node: 3 replicas | add a rule |"
            )
        );
    }

    #[test]
    fn nothing_found_is_a_sentence() {
        assert_eq!(
            render(&sample::empty()),
            "**natsguard** has no findings in 7 objects.\n"
        );
    }

    #[test]
    fn what_was_not_judged_is_listed() {
        assert_eq!(
            render(&sample::unread()),
            "**natsguard** has no NATS workload, 1 not checked in 7 objects.\n\n\
             Not checked:\n\n\
             - network-filesystem of StatefulSet nats/nats (spec.template): StorageClass fast is not in the input; pass it, too\n\n\
             Not read:\n\n\
             - deploy/broken.yaml:3:1: not YAML\n"
        );
    }

    #[test]
    fn hostile_texts_are_text_in_their_cells() {
        let code = r#"a&#92;u{1b}&#91;2J&#92;r&#92;n::error::&#124;&#96;&lt;b&gt;&amp;"%,]]&gt;&#92;u{202e}&#92;u{9b}&#92;u{0}&#92;u{ffff}{0}&#91;x](y)@all"#;
        let prose = code.replace("@all", "@&#8203;all");
        let expected = format!(
            "| **warn** short-route | <code>{code} {code}/{code}</code> | <code>{code}:1:2</code><br><code>{code}</code> \
             | a route names a pod by a short name: {prose} | {prose} |"
        );
        let table = render(&sample::hostile());
        assert_eq!(table.lines().nth(4), Some(expected.as_str()));
    }
}
