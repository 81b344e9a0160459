//! JUnit XML, for the test reports of CI systems.
//!
//! A test case is one policy on one object of one file, or of one workload in a cluster. What fails the run is a failure,
//! what could not be read an error. The rest is a skipped test with its message: GitLab and Jenkins show that message and
//! leave the job green, whereas the output of a test that passes is shown by Jenkins only, on a page of its own, and by
//! GitLab nowhere.
//!
//! GitLab drops a case whose class and name another one has, so the name says the file; Jenkins groups by the class up to
//! its last dot, so the class is `natsguard.<policy>`. There are no times and no ids: the same input gives the same bytes.

use std::collections::BTreeMap;

use natsguard_policies::policy::Action;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::escape::visible;
use super::{RenderError, words};
use crate::listing::{Listing, Row, Unchecked};

/// The class of what is no policy's.
const CHECK: &str = "natsguard.check";

pub(super) fn render(listing: &Listing, threshold: Action) -> Result<String, RenderError> {
    let mut report = Report::new("natsguard");
    for (file, cases) in suites(listing) {
        let mut suite = TestSuite::new(visible(file));
        suite.add_test_cases(cases.iter().map(|rows| case(rows, threshold)));
        report.add_test_suite(suite);
    }
    if !listing.unchecked.is_empty() || !listing.problems.is_empty() {
        let mut suite = TestSuite::new("natsguard");
        suite.add_test_cases(listing.unchecked.iter().map(|of| unchecked(of, threshold)));
        suite.add_test_cases(listing.problems.iter().map(|problem| unread(problem)));
        report.add_test_suite(suite);
    }
    if report.test_suites.is_empty() {
        // CI systems take a report without tests for a broken one.
        let mut suite = TestSuite::new("natsguard");
        let mut case = TestCase::new(words::summary(listing), TestCaseStatus::success());
        case.set_classname(if listing.live {
            "natsguard.scan"
        } else {
            CHECK
        });
        suite.add_test_case(case);
        report.add_test_suite(suite);
    }
    Ok(report.to_string()?)
}

/// The rows of each test case, by file, in the order of the listing.
fn suites(listing: &Listing) -> Vec<(&str, Vec<Vec<&Row>>)> {
    let mut suites: Vec<(&str, Vec<Vec<&Row>>)> = Vec::new();
    let mut files = BTreeMap::new();
    let mut places = BTreeMap::new();
    for row in &listing.findings {
        let file = *files.entry(row.file.as_str()).or_insert(suites.len());
        if file == suites.len() {
            suites.push((&row.file, Vec::new()));
        }
        let Some((_, cases)) = suites.get_mut(file) else {
            continue;
        };
        let object = &row.object;
        let key = (
            file,
            row.policy,
            &object.api_version,
            &object.kind,
            &object.namespace,
            &object.name,
        );
        if let Some(rows) = places
            .get(&key)
            .and_then(|place: &usize| cases.get_mut(*place))
        {
            rows.push(row);
        } else {
            places.insert(key, cases.len());
            cases.push(vec![row]);
        }
    }
    suites
}

fn unchecked(unchecked: &Unchecked, threshold: Action) -> TestCase {
    let mut status = status(Action::Off, threshold);
    status
        .set_type("unchecked")
        .set_message(visible(&unchecked.reason))
        .set_description(words::unchecked(unchecked));
    let name = format!(
        "{} of {}",
        visible(&unchecked.field),
        words::object(&unchecked.object)
    );
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("natsguard.{}", unchecked.policy));
    case
}

fn unread(problem: &str) -> TestCase {
    let problem = visible(problem);
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type("input").set_message(problem.clone());
    let mut case = TestCase::new(problem, status);
    case.set_classname(CHECK);
    case
}

fn status(action: Action, threshold: Action) -> TestCaseStatus {
    if action >= threshold {
        TestCaseStatus::non_success(NonSuccessKind::Failure)
    } else {
        TestCaseStatus::skipped()
    }
}

fn case(rows: &[&Row], threshold: Action) -> TestCase {
    // Of several that are as bad, the first.
    let worst = rows.iter().rev().max_by_key(|row| row.action);
    let mut status = status(worst.map_or(Action::Off, |row| row.action), threshold);
    if let Some(worst) = worst {
        status
            .set_type(worst.action.name())
            .set_message(words::found(worst));
    }
    // GitLab shows the text and not the attributes where there is text.
    let text: Vec<String> = rows.iter().map(|row| description(row)).collect();
    status.set_description(text.join("\n\n"));
    let Some(row) = rows.first() else {
        return TestCase::new("", status);
    };
    let name = format!("{} in {}", words::object(&row.object), visible(&row.file));
    let mut case = TestCase::new(name, status);
    case.set_classname(format!("natsguard.{}", row.policy));
    if row.file != words::STDIN && row.workload.is_none() {
        // GitLab makes a link of it.
        case.extra.insert(
            "file".into(),
            visible(words::repository_path(&row.file)).into(),
        );
    }
    case
}

fn description(row: &Row) -> String {
    format!(
        "{}: {}\n{}\n{}",
        row.action,
        words::place(row),
        visible(&row.field),
        words::sentence(row)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::sample;

    #[test]
    fn what_is_denied_fails_and_the_rest_is_skipped() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="natsguard" tests="3" skipped="2" failures="1" errors="0">
    <testsuite name="deploy/my nats.yaml" tests="2" skipped="1" errors="0" failures="1">
        <testcase name="ConfigMap nats/nats-config in deploy/my nats.yaml" classname="natsguard.service-route" file="deploy/my nats.yaml">
            <failure message="a route names a Service: nats-svc leads to any pod" type="deny">deny: deploy/my nats.yaml:14:9
data[&quot;nats.conf&quot;].cluster.routes[0]
a route names a Service: nats-svc leads to any pod. Name each pod</failure>
        </testcase>
        <testcase name="StatefulSet nats/nats in deploy/my nats.yaml" classname="natsguard.co-located-replicas" file="deploy/my nats.yaml">
            <skipped message="nothing keeps two replicas off one node: 3 replicas" type="fix">fix: deploy/my nats.yaml:40:3
spec.template.spec.affinity
nothing keeps two replicas off one node: 3 replicas. Add a rule</skipped>
        </testcase>
    </testsuite>
    <testsuite name="&lt;stdin&gt;" tests="1" skipped="1" errors="0" failures="0">
        <testcase name="StorageClass nfs in &lt;stdin&gt;" classname="natsguard.network-filesystem">
            <skipped message="the store lies on a network file system" type="warn">warn: &lt;stdin&gt;:3:14
provisioner
the store lies on a network file system. Use a block device</skipped>
        </testcase>
    </testsuite>
</testsuites>
"#;
        assert_eq!(render(&sample::listing(), Action::Deny).unwrap(), expected);
    }

    #[test]
    fn each_workload_that_runs_is_a_suite() {
        let text = render(&sample::live(), Action::Deny).unwrap();
        let expected = r#"    <testsuite name="deployment/edge/leaf" tests="1" skipped="1" errors="0" failures="0">
        <testcase name="StorageClass nfs in deployment/edge/leaf" classname="natsguard.network-filesystem">
            <skipped message="the store lies on a network file system" type="warn">warn: deployment/edge/leaf
provisioner
the store lies on a network file system. Use a block device</skipped>
        </testcase>
    </testsuite>
"#;
        assert!(text.contains(expected), "{text}");
        assert!(
            text.contains("<testsuite name=\"statefulset/nats/nats\" tests=\"2\""),
            "{text}"
        );
        let empty = Listing {
            live: true,
            ..sample::empty()
        };
        assert!(render(&empty, Action::Deny).unwrap().contains(
            r#"<testcase name="no findings in 7 workloads" classname="natsguard.scan"/>"#
        ));
    }

    #[test]
    fn nothing_found_is_a_test_that_passes() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="natsguard" tests="1" skipped="0" failures="0" errors="0">
    <testsuite name="natsguard" tests="1" skipped="0" errors="0" failures="0">
        <testcase name="no findings in 7 objects" classname="natsguard.check"/>
    </testsuite>
</testsuites>
"#;
        assert_eq!(render(&sample::empty(), Action::Deny).unwrap(), expected);
    }

    #[test]
    fn findings_of_one_policy_on_one_object_are_one_case_as_bad_as_the_worst() {
        let mut listing = sample::listing();
        let deny = listing.findings.swap_remove(0);
        let warn = Row {
            action: Action::Warn,
            detail: "the first".to_owned(),
            ..deny.clone()
        };
        let other = Row {
            file: "other.yaml".to_owned(),
            ..warn.clone()
        };
        listing.findings = vec![warn, other, deny];
        let report =
            Report::deserialize_from_str(&render(&listing, Action::Deny).unwrap()).unwrap();
        let [first, second] = &report.test_suites[..] else {
            panic!("{report:?}")
        };
        assert_eq!(
            (first.tests, first.failures, second.tests, second.skipped),
            (1, 1, 1, 1)
        );
        let TestCaseStatus::NonSuccess {
            message,
            ty,
            description,
            ..
        } = &first.test_cases[0].status
        else {
            panic!("{first:?}")
        };
        assert_eq!(ty.as_deref(), Some("deny"));
        assert_eq!(
            message.as_deref(),
            Some("a route names a Service: nats-svc leads to any pod")
        );
        let description = description.as_deref().unwrap();
        assert!(
            description.starts_with("warn: ") && description.contains("\n\ndeny: "),
            "{description}"
        );
    }

    #[test]
    fn the_line_between_failed_and_skipped_is_drawn_where_it_is_asked_for() {
        let counts = |listing: &Listing, threshold| {
            let report = render(listing, threshold).unwrap();
            let report = Report::deserialize_from_str(&report).unwrap();
            (report.tests, report.failures, report.errors)
        };
        assert_eq!(counts(&sample::listing(), Action::Deny), (3, 1, 0));
        assert_eq!(counts(&sample::listing(), Action::Fix), (3, 2, 0));
        assert_eq!(counts(&sample::listing(), Action::Warn), (3, 3, 0));
        assert_eq!(counts(&sample::unread(), Action::Warn), (2, 0, 1));
        assert_eq!(counts(&sample::unread(), Action::Off), (2, 1, 1));
    }

    #[test]
    fn what_was_not_judged_has_cases_of_its_own() {
        let expected = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="natsguard" tests="2" skipped="1" failures="0" errors="1">
    <testsuite name="natsguard" tests="2" skipped="1" errors="1" failures="0">
        <testcase name="spec.template of StatefulSet nats/nats" classname="natsguard.network-filesystem">
            <skipped message="StorageClass fast is not in the input" type="unchecked">network-filesystem of StatefulSet nats/nats (spec.template): StorageClass fast is not in the input; pass it, too</skipped>
        </testcase>
        <testcase name="deploy/broken.yaml:3:1: not YAML" classname="natsguard.check">
            <error message="deploy/broken.yaml:3:1: not YAML" type="input"/>
        </testcase>
    </testsuite>
</testsuites>
"#;
        assert_eq!(render(&sample::unread(), Action::Deny).unwrap(), expected);
    }

    #[test]
    fn hostile_texts_come_back_from_a_parser() {
        let report =
            Report::deserialize_from_str(&render(&sample::hostile(), Action::Deny).unwrap())
                .unwrap();
        let evil = r#"a\u{1b}[2J\r\n::error::|`<b>&"%,]]>\u{202e}\u{9b}\u{0}\u{ffff}{0}[x](y)@all"#;
        let case = &report.test_suites[0].test_cases[0];
        assert_eq!(report.test_suites[0].name.as_str(), evil);
        assert_eq!(
            case.name.as_str(),
            format!("{evil} {evil}/{evil} in {evil}")
        );
        let TestCaseStatus::Skipped { message, .. } = &case.status else {
            panic!("{case:?}")
        };
        assert_eq!(
            message.as_deref(),
            Some(format!("a route names a pod by a short name: {evil}").as_str())
        );
    }
}
