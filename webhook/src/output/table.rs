//! For people at a terminal: what runs in a cluster, a line for each finding, in columns as `kubectl get` has them. Of one
//! workload the worst comes first.

use std::cmp::Reverse;
use std::fmt::Write as _;

use clap::builder::styling::{AnsiColor, Color, Style};
use natsguard_policies::policy::Action;

use super::escape::visible;
use super::{Screen, words};
use crate::listing::{Listing, Row};

const HEADS: [&str; 6] = [
    "NAMESPACE",
    "WORKLOAD",
    "ACTION",
    "POLICY",
    "FIELD",
    "DETAIL",
];

/// The column that is coloured.
const ACTION: usize = 2;

/// The column that is cut first.
const FIELD: usize = 4;

/// Blanks between columns.
const GAP: usize = 3;

/// No column is cut to less.
const LEAST: usize = 20;

pub(super) fn render(listing: &Listing, screen: Screen) -> String {
    let mut out = String::new();
    let mut rows: Vec<&Row> = listing.findings.iter().collect();
    for rows in rows.chunk_by_mut(|a, b| a.workload == b.workload) {
        rows.sort_by_key(|row| Reverse(row.action));
    }
    let mut lines: Vec<[String; 6]> = rows.iter().map(|row| cells(row)).collect();
    if let Some(width) = screen.width {
        let most = (width / 3).max(LEAST);
        for line in &mut lines {
            line[FIELD] = cut(&line[FIELD], most);
        }
    }
    if !lines.is_empty() {
        lines.insert(0, HEADS.map(str::to_owned));
    }
    let mut widths = [0; 6];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let before: usize = widths.iter().take(5).map(|width| width + GAP).sum();
    let last = screen
        .width
        .map(|width| width.saturating_sub(before).max(LEAST));
    let actions = [None]
        .into_iter()
        .chain(rows.iter().map(|row| Some(row.action)));
    for (line, action) in lines.iter().zip(actions) {
        let style = action.filter(|_| screen.color).map(style);
        out.push_str(&row(line, &widths, style, last));
        out.push('\n');
    }
    if !lines.is_empty() {
        out.push('\n');
    }
    for exempted in &listing.exempted {
        let _ = writeln!(out, "exempted: {}", words::exempted(exempted));
    }
    if let Some(more) = words::more(listing) {
        let _ = writeln!(out, "{more}");
    }
    out.push_str(&words::summary(listing));
    if !listing.exempted.is_empty() {
        let _ = write!(out, "; {} exempted", listing.exempted.len());
    }
    out.push('\n');
    for unchecked in &listing.unchecked {
        let _ = writeln!(out, "not checked: {}", words::unchecked(unchecked));
    }
    out
}

fn cells(row: &Row) -> [String; 6] {
    let workload = row.workload.as_ref().unwrap_or(&row.object);
    let field = if *workload == row.object {
        row.field.clone()
    } else {
        let (kind, name) = (row.object.kind.to_lowercase(), &row.object.name);
        format!("{kind}/{name}: {}", row.field)
    };
    let detail = if row.detail.is_empty() {
        row.reason
    } else {
        &row.detail
    };
    [
        visible(workload.namespace.as_deref().unwrap_or_default()),
        visible(&format!(
            "{}/{}",
            workload.kind.to_lowercase(),
            workload.name
        )),
        row.action.name().to_owned(),
        row.policy.to_owned(),
        visible(&field),
        visible(detail),
    ]
}

fn row(
    cells: &[String; 6],
    widths: &[usize; 6],
    style: Option<Style>,
    last: Option<usize>,
) -> String {
    let mut out = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        if column + 1 == cells.len() {
            out.push_str(&last.map_or_else(|| cell.clone(), |most| cut(cell, most)));
            continue;
        }
        match style.filter(|_| column == ACTION) {
            Some(style) => {
                let _ = write!(out, "{style}{cell}{style:#}");
            }
            None => out.push_str(cell),
        }
        let blanks = width.saturating_sub(cell.chars().count()) + GAP;
        out.extend(std::iter::repeat_n(' ', blanks));
    }
    out
}

/// The colours that `check` has for them.
const fn style(action: Action) -> Style {
    let color = match action {
        Action::Deny => AnsiColor::BrightRed,
        Action::Fix => AnsiColor::Yellow,
        Action::Warn | Action::Off => AnsiColor::BrightBlue,
    };
    Style::new().bold().fg_color(Some(Color::Ansi(color)))
}

/// A text that is no longer than this, in characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn each_finding_is_a_line() {
        let expected = r#"NAMESPACE   WORKLOAD           ACTION   POLICY                FIELD                                                        DETAIL
nats        statefulset/nats   deny     service-route         configmap/nats-config: data["nats.conf"].cluster.routes[0]   nats-svc leads to any pod
nats        statefulset/nats   fix      co-located-replicas   spec.template.spec.affinity                                  3 replicas
edge        deployment/leaf    warn     network-filesystem    storageclass/nfs: provisioner                                the store lies on a network file system

exempted: co-located-replicas of StatefulSet nats/nats at statefulset/nats/nats: one node only, see #12 (until 2027-01-31)
run natsguard explain <ID> for more: service-route, co-located-replicas, network-filesystem
1 denied, 1 to fix, 1 warning in 2 workloads; 1 exempted
"#;
        assert_eq!(render(&sample::live(), Screen::NONE), expected);
    }

    #[test]
    fn a_terminal_gets_lines_that_fit() {
        let screen = Screen {
            color: true,
            width: Some(120),
        };
        let text = render(&sample::live(), screen);
        assert_eq!(
            text.lines().nth(1),
            Some(
                "nats        statefulset/nats   \u{1b}[1m\u{1b}[91mdeny\u{1b}[0m     service-route         configmap/nats-config: data[\"nats.conf\"…   nats-svc leads to a…"
            )
        );
    }

    #[test]
    fn the_worst_of_a_workload_comes_first() {
        let mut listing = sample::live();
        listing.findings.swap(0, 1);
        assert_eq!(
            render(&listing, Screen::NONE).lines().nth(1),
            render(&sample::live(), Screen::NONE).lines().nth(1)
        );
    }

    #[test]
    fn nothing_found_is_one_line() {
        let mut listing = sample::empty();
        listing.live = true;
        assert_eq!(
            render(&listing, Screen::NONE),
            "no findings in 7 workloads\n"
        );
    }
}
