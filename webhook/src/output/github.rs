//! Workflow commands of GitHub Actions, one a line: the runner makes annotations of them.
//!
//! The runner undoes `%25`, `%0D` and `%0A` in messages, and `%3A` and `%2C` in properties too.

use natsguard_policies::policy::Action;

use super::escape::visible;
use super::words;
use crate::listing::{Listing, Row};

pub(super) fn render(listing: &Listing) -> String {
    let mut out = String::new();
    for row in &listing.findings {
        out.push_str(&command(row));
        out.push('\n');
    }
    // Not a command: the runner shows it in the log.
    out.push_str(&words::summary(listing));
    out.push('\n');
    out
}

fn command(row: &Row) -> String {
    let level = match row.action {
        Action::Deny => "error",
        Action::Fix => "warning",
        Action::Warn | Action::Off => "notice",
    };
    // Neither standard input nor what runs is a file of the repository: an annotation on it would be shown nowhere.
    let place = if row.file == words::STDIN || row.workload.is_some() {
        String::new()
    } else {
        let file = property(&visible(words::repository_path(&row.file)));
        format!("file={file},line={},col={},", row.line, row.column)
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
        let expected = r#"::error file=deploy/my nats.yaml,line=14,col=9,title=service-route%3A ConfigMap nats/nats-config::a route names a Service: nats-svc leads to any pod. Name each pod%0Adata["nats.conf"].cluster.routes[0]
::warning file=deploy/my nats.yaml,line=40,col=3,title=co-located-replicas%3A StatefulSet nats/nats::nothing keeps two replicas off one node: 3 replicas. Add a rule%0Aspec.template.spec.affinity
::notice title=network-filesystem%3A StorageClass nfs::the store lies on a network file system. Use a block device%0Aprovisioner
1 denied, 1 to fix, 1 warning in 7 objects
"#;
        assert_eq!(render(&sample::listing()), expected);
    }

    #[test]
    fn what_runs_is_no_file_to_annotate() {
        let text = render(&sample::live());
        assert_eq!(
            text.lines().next(),
            Some(
                r#"::error title=service-route%3A ConfigMap nats/nats-config::a route names a Service: nats-svc leads to any pod. Name each pod%0Adata["nats.conf"].cluster.routes[0]"#
            )
        );
    }

    #[test]
    fn nothing_found_is_no_command() {
        assert_eq!(render(&sample::empty()), "no findings in 7 objects\n");
    }

    #[test]
    fn hostile_texts_make_no_commands_of_their_own() {
        let text =
            r#"a\u{1b}[2J\r\n::error::|`<b>&"%25,]]>\u{202e}\u{9b}\u{0}\u{ffff}{0}[x](y)@all"#;
        let property = text.replace(':', "%3A").replace(',', "%2C");
        let capital = text.replacen('a', "A", 1);
        let expected = format!(
            "::notice file={property},line=1,col=2,title=short-route%3A {property} {property}/{property}\
             ::a route names a pod by a short name: {text}. {capital}%0A{text}\n1 warning in 1 object\n"
        );
        assert_eq!(render(&sample::hostile()), expected);
    }

    #[test]
    fn what_the_runner_unescapes_is_escaped() {
        assert_eq!(message("100%\r\n: ,"), "100%25%0D%0A: ,");
        assert_eq!(property("100%0A\r\n:,"), "100%250A%0D%0A%3A%2C");
    }
}
