//! Workflow commands of GitHub Actions, one a line: the runner makes annotations of them.
//!
//! The runner undoes `%25`, `%0D` and `%0A` in messages, and `%3A` and `%2C` in properties too.

use std::fmt::Write as _;

use natsguard_policies::policy::Action;

use super::escape::visible;
use super::words;
use crate::listing::{Listing, Row};

pub(super) fn render(listing: &Listing, threshold: Action) -> String {
    let mut out = String::new();
    for row in &listing.findings {
        out.push_str(&command(row, threshold));
        out.push('\n');
    }
    for unchecked in &listing.unchecked {
        let level = level(Action::Off, threshold);
        let title = property(&format!("not checked: {}", unchecked.policy));
        let message = message(&words::unchecked(unchecked));
        let _ = writeln!(out, "::{level} title={title}::{message}");
    }
    for problem in &listing.problems {
        let _ = writeln!(
            out,
            "::error title=natsguard::{}",
            message(&visible(problem))
        );
    }
    // Not a command: the runner shows it in the log.
    out.push_str(&words::summary(listing));
    out.push('\n');
    out
}

/// What fails the run is an error.
fn level(action: Action, threshold: Action) -> &'static str {
    match action {
        action if action >= threshold => "error",
        Action::Deny | Action::Fix => "warning",
        Action::Warn | Action::Off => "notice",
    }
}

fn command(row: &Row, threshold: Action) -> String {
    let level = level(row.action, threshold);
    // Neither standard input nor what runs is a file of the repository: an annotation on it would be shown nowhere.
    let place = if row.file == words::STDIN || row.workload.is_some() {
        String::new()
    } else {
        let file = property(&visible(words::repository_path(&row.file)));
        let end = row.end.map_or_else(String::new, |(line, column)| {
            format!("endLine={line},endColumn={},", column.saturating_sub(1))
        });
        format!("file={file},line={},col={},{end}", row.line, row.column)
    };
    let title = property(&format!("{}: {}", row.policy, words::object(&row.object)));
    let message = message(&format!(
        "{}\n{}",
        words::sentence(row),
        visible(&row.field)
    ));
    format!("::{level} {place}title={title}::{message}")
}

fn message(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn each_finding_is_a_command() {
        let expected = r#"::error file=deploy/my nats.yaml,line=14,col=9,endLine=14,endColumn=32,title=service-route%3A ConfigMap nats/nats-config::a route names a Service: nats-svc leads to any pod. Name each pod%0Adata["nats.conf"].cluster.routes[0]
::warning file=deploy/my nats.yaml,line=40,col=3,endLine=40,endColumn=6,title=co-located-replicas%3A StatefulSet nats/nats::nothing keeps two replicas off one node: 3 replicas. Add a rule%0Aspec.template.spec.affinity
::notice title=network-filesystem%3A StorageClass nfs::the store lies on a network file system. Use a block device%0Aprovisioner
1 denied, 1 to fix, 1 warning in 7 objects
"#;
        assert_eq!(render(&sample::listing(), Action::Deny), expected);
    }

    #[test]
    fn what_runs_is_no_file_to_annotate() {
        let text = render(&sample::live(), Action::Deny);
        assert_eq!(
            text.lines().next(),
            Some(
                r#"::error title=service-route%3A ConfigMap nats/nats-config::a route names a Service: nats-svc leads to any pod. Name each pod%0Adata["nats.conf"].cluster.routes[0]"#
            )
        );
    }

    #[test]
    fn nothing_found_is_no_command() {
        assert_eq!(
            render(&sample::empty(), Action::Deny),
            "no findings in 7 objects\n"
        );
    }

    #[test]
    fn hostile_texts_make_no_commands_of_their_own() {
        let text =
            r#"a\u{1b}[2J\r\n::error::|`<b>&"%25,]]>\u{202e}\u{9b}\u{0}\u{ffff}{0}[x](y)@all"#;
        let property = text.replace(':', "%3A").replace(',', "%2C");
        let capital = text.replacen('a', "A", 1);
        let expected = format!(
            "::notice file={property},line=1,col=2,title=short-route%3A {property} {property}/{property}\
             ::a route names a pod by a short name: {text}. {capital}%0A{text}\n\
             ::notice title=not checked%3A short-route::short-route of {text} {text}/{text} ({text}): {text}; {text}\n\
             ::error title=natsguard::{text}\n\
             1 warning, 1 not checked in 1 object\n"
        );
        assert_eq!(render(&sample::hostile(), Action::Deny), expected);
    }

    #[test]
    fn what_fails_the_run_is_an_error() {
        let levels = |listing: &Listing, threshold| {
            let text = render(listing, threshold);
            let levels: Vec<String> = text
                .lines()
                .filter_map(|line| Some(line.strip_prefix("::")?.split_once(' ')?.0.to_owned()))
                .collect();
            levels.join(" ")
        };
        assert_eq!(
            levels(&sample::listing(), Action::Warn),
            "error error error"
        );
        assert_eq!(
            levels(&sample::listing(), Action::Fix),
            "error error notice"
        );
        assert_eq!(levels(&sample::unread(), Action::Warn), "notice error");
        assert_eq!(levels(&sample::unread(), Action::Off), "error error");
    }

    #[test]
    fn what_the_runner_unescapes_is_escaped() {
        assert_eq!(message("100%\r\n: ,"), "100%25%0D%0A: ,");
        assert_eq!(property("100%0A\r\n:,"), "100%250A%0D%0A%3A%2C");
    }
}
