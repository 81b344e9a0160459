//! For people at a terminal: each finding under the line it points at, and the sum at the end.

use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::{Annotation, AnnotationKind, Level, Origin, Renderer, Snippet};
use natsguard_policies::policy::Action;

use super::escape::{visible, visible_line};
use super::words;
use crate::listing::{Listing, Row};
use crate::mask;

/// Characters of a line before and after the column that are looked at. A manifest in JSON may be one line of a megabyte.
const REACH: usize = 400;

pub(super) fn render(listing: &Listing, color: bool) -> String {
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut out = String::new();
    for row in &listing.findings {
        out.push_str(&finding(&renderer, row));
        out.push_str("\n\n");
    }
    for exempted in &listing.exempted {
        let _ = writeln!(out, "exempted: {}", words::exempted(exempted));
    }
    if let Some(more) = words::more(listing) {
        let _ = writeln!(out, "{more}");
    }
    let _ = writeln!(out, "{}", words::summary(listing));
    for unchecked in &listing.unchecked {
        let _ = writeln!(out, "not checked: {}", words::unchecked(unchecked));
    }
    out
}

/// The words before the brackets are those of the settings, the JSON and the summary, not a compiler's.
fn level(action: Action) -> Level<'static> {
    match action {
        Action::Deny => Level::ERROR,
        Action::Fix => Level::WARNING,
        Action::Warn | Action::Off => Level::INFO,
    }
    .with_name(action.name())
}

fn finding(renderer: &Renderer, row: &Row) -> String {
    let place = words::place(row);
    let title = level(row.action).primary_title(row.reason).id(row.policy);
    let excerpt = row.excerpt.as_ref().map(Excerpt::new);
    let group = match &excerpt {
        Some(excerpt) => title.element(excerpt.snippet(row)),
        None => title.element(
            Origin::path(visible(&row.file))
                .line(row.line)
                .char_column(row.column),
        ),
    };
    let object = format!("{}: {}", words::object(&row.object), visible(&row.field));
    let notes = [
        (Level::NOTE, object),
        (Level::NOTE, visible(&row.detail)),
        (Level::HELP, visible(&row.remedy)),
    ];
    let messages = notes
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(level, text)| level.message(text));
    let rendered = renderer.render(&[group.elements(messages)]);
    match excerpt {
        // The renderer counts columns in what it is given, which need not be all of the line, nor be unmasked.
        Some(excerpt) if excerpt.column != row.column => rendered.replacen(
            &format!("{}:{}:{}", visible(&row.file), row.line, excerpt.column),
            &place,
            1,
        ),
        _ => rendered,
    }
}

/// What is shown of a line.
struct Excerpt {
    text: String,
    /// The bytes that the caret is under.
    caret: Range<usize>,
    /// 1-based, in characters of the text.
    column: usize,
}

impl Excerpt {
    fn new(excerpt: &mask::Excerpt) -> Self {
        let line = excerpt.text.as_str();
        let end = line
            .char_indices()
            .nth(excerpt.column.saturating_sub(1))
            .map_or(line.len(), |(end, _)| end);
        let (start, rest) = line.split_at_checked(end).unwrap_or((line, ""));
        let before: String = start
            .chars()
            .skip(start.chars().count().saturating_sub(REACH))
            .collect();
        let mut chars = rest.chars();
        let at: String = chars.by_ref().take(1).collect();
        let after: String = chars.take(REACH).collect();
        let mut text = visible_line(&before);
        let (start, column) = (text.len(), text.chars().count() + 1);
        text.push_str(&visible_line(&at));
        let caret = start..text.len();
        text.push_str(&visible_line(&after));
        Self {
            text,
            caret,
            column,
        }
    }

    fn snippet(&self, row: &Row) -> Snippet<'_, Annotation<'_>> {
        Snippet::source(&self.text)
            .path(visible(&row.file))
            .line_start(row.line)
            .annotation(AnnotationKind::Primary.span(self.caret.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    /// What is rendered of the first finding of the sample, its line and column changed.
    fn excerpt(line: &str, column: usize) -> String {
        let mut row = sample::listing().findings.remove(0);
        row.excerpt = Some(mask::Excerpt {
            text: line.to_owned(),
            column,
        });
        row.column = column;
        finding(&Renderer::plain(), &row)
            .lines()
            .skip(1)
            .take(4)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn each_finding_is_shown_under_its_line() {
        let expected = r#"deny[service-route]: a route names a Service
  --> deploy/my nats.yaml:14:9
   |
14 |     /*ü*/nats://***@nats-svc:6222
   |         ^
   |
   = note: ConfigMap nats/nats-config: data["nats.conf"].cluster.routes[0]
   = note: nats-svc leads to any pod
   = help: name each pod

fix[co-located-replicas]: nothing keeps two replicas off one node
--> deploy/my nats.yaml:40:3
 = note: StatefulSet nats/nats: spec.template.spec.affinity
 = note: 3 replicas
 = help: add a rule

warn[network-filesystem]: the store lies on a network file system
 --> <stdin>:3:14
  |
3 | provisioner: nfs.csi.k8s.io
  |              ^
  |
  = note: StorageClass nfs: provisioner
  = help: use a block device

exempted: co-located-replicas of StatefulSet nats/nats at deploy/my nats.yaml:40:3: one node only, see #12 (until 2027-01-31)
run natsguard explain <ID> for more: service-route, co-located-replicas, network-filesystem
1 denied, 1 to fix, 1 warning in 7 objects
"#;
        assert_eq!(render(&sample::listing(), false), expected);
    }

    #[test]
    fn nothing_found_is_one_line() {
        assert_eq!(render(&sample::empty(), true), "no findings in 7 objects\n");
    }

    #[test]
    fn what_could_not_be_checked_ends_the_text() {
        assert_eq!(
            render(&sample::unread(), false),
            "no NATS workload, 1 not checked in 7 objects\n\
             not checked: network-filesystem of StatefulSet nats/nats (spec.template): \
             StorageClass fast is not in the input; pass it, too\n"
        );
    }

    #[test]
    fn colour_is_for_terminals() {
        let colored = render(&sample::listing(), true);
        assert!(
            colored.starts_with("\u{1b}[1m\u{1b}[91mdeny[service-route]\u{1b}[0m"),
            "{colored:?}"
        );
        let mut plain = String::new();
        let mut rest = colored.as_str();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        assert_eq!(plain + rest, render(&sample::listing(), false));
    }

    #[test]
    fn hostile_texts_are_shown_and_not_obeyed() {
        let evil = r#"a\u{1b}[2J\r\n::error::|`<b>&"%,]]>\u{202e}\u{9b}\u{0}\u{ffff}{0}[x](y)@all"#;
        let expected = format!(
            "warn[short-route]: a route names a pod by a short name
 --> {evil}:1:2
  |
1 | {evil}
  |  ^^^^^^
  |
  = note: {evil} {evil}/{evil}: {evil}
  = note: {evil}
  = help: {evil}

exempted: short-route of {evil} {evil}/{evil} at {evil}:1:2: {evil} (until {evil})
run natsguard explain short-route for more
1 warning, 1 not checked in 1 object
not checked: short-route of {evil} {evil}/{evil} ({evil}): {evil}; {evil}
"
        );
        assert_eq!(render(&sample::hostile(), false), expected);
    }

    #[test]
    fn the_caret_is_below_the_column() {
        assert_eq!(
            excerpt("日本: x", 5),
            "  --> deploy/my nats.yaml:14:5\n   |\n14 | 日本: x\n   |       ^"
        );
        assert_eq!(
            excerpt("\tx", 2),
            "  --> deploy/my nats.yaml:14:2\n   |\n14 |     x\n   |     ^"
        );
    }

    #[test]
    fn a_column_that_the_excerpt_does_not_have_is_kept() {
        assert_eq!(
            excerpt("x", 9),
            "  --> deploy/my nats.yaml:14:9\n   |\n14 | x\n   |  ^"
        );
        assert_eq!(
            excerpt("", 1),
            "  --> deploy/my nats.yaml:14:1\n   |\n14 |\n   | ^"
        );
        assert_eq!(
            excerpt("\u{1b}[x", 3),
            "  --> deploy/my nats.yaml:14:3\n   |\n14 | \\u{1b}[x\n   |        ^"
        );
    }

    #[test]
    fn the_caret_is_where_the_mask_moved_it_and_the_column_is_not() {
        let mut row = sample::listing().findings.remove(0);
        row.excerpt = Some(mask::Excerpt {
            text: "[nats://***@a:1,nats://b:2]".to_owned(),
            column: 17,
        });
        row.column = 40;
        let shown = finding(&Renderer::plain(), &row);
        assert!(
            shown.contains(
                "  --> deploy/my nats.yaml:14:40\n   |\n14 | [nats://***@a:1,nats://b:2]\n   |                 ^"
            ),
            "{shown}"
        );
    }

    #[test]
    fn of_a_long_line_what_is_around_the_column_is_shown() {
        let line = format!("{}nats://x{}", "é".repeat(300_000), "y".repeat(300_000));
        let shown = excerpt(&line, 300_001);
        assert!(
            shown.starts_with("  --> deploy/my nats.yaml:14:300001\n   |\n14 | ...éé"),
            "{shown}"
        );
        let [.., text, caret] = shown.lines().collect::<Vec<_>>()[..] else {
            panic!("{shown}")
        };
        assert!(text.chars().count() < 160, "{text}");
        let place = caret.chars().position(|c| c == '^').unwrap();
        assert!(
            text.chars()
                .skip(place)
                .collect::<String>()
                .starts_with("nats://x"),
            "{shown}"
        );
    }
}
