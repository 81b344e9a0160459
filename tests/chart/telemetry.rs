//! What is watched: alerts and the dashboard ask for metrics that are there.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::helm;
use crate::program::build;

/// The metrics that the source registers: a name, and perhaps a unit.
fn registered() -> &'static BTreeSet<String> {
    static NAMES: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
        let mut names = BTreeSet::new();
        let mut folders = vec![helm::chart().join("../webhook/src")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the source") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let source = std::fs::read_to_string(path).expect("a source file");
                    for call in [".register", ".encode_descriptor"] {
                        names.extend(source.split(call).skip(1).filter_map(name));
                    }
                }
            }
        }
        names
    });
    &NAMES
}

/// The metric of a call of `register`, `register_with_unit` or `encode_descriptor`.
fn name(call: &str) -> Option<String> {
    let call = call.split(';').next()?;
    let arguments = call.strip_prefix("_with_unit").unwrap_or(call);
    let name = arguments.strip_prefix('(')?.split('"').nth(1)?;
    let unit = match call {
        call if call.contains("Unit::Seconds") => "_seconds",
        call if call.contains("Unit::Bytes") => "_bytes",
        _ => "",
    };
    Some(format!("natsguard_{name}{unit}"))
}

/// A counter ends in `_total`, a histogram is three series.
fn is_known(series: &str) -> bool {
    ["", "_total", "_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|end| series.strip_suffix(end))
        .any(|name| registered().contains(name))
}

/// The series of natsguard in an expression.
fn series(expression: &str) -> Vec<&str> {
    expression
        .split(|next: char| !next.is_ascii_alphanumeric() && next != '_')
        .filter(|word| word.starts_with("natsguard_"))
        .collect()
}

/// The panels of the dashboard.
fn panels() -> Vec<Value> {
    let mut dashboard: Value =
        serde_json::from_str(&helm::file("files/dashboard.json")).expect("the dashboard is JSON");
    serde_json::from_value(dashboard["panels"].take()).expect("panels")
}

#[test]
fn metrics_are_found_in_the_source() {
    let names = registered();
    assert!(names.len() > 15, "{names:?}");
    assert!(names.contains("natsguard_review_duration_seconds"));
    assert!(is_known("natsguard_reviews_total"));
    assert!(is_known("natsguard_controller_fights_total"));
    assert!(!is_known("natsguard_review"));
}

/// The alerts: name and expression.
fn alerts(values: &str) -> Vec<(String, String)> {
    let objects = helm::render(values);
    let rules = helm::only(&objects, "PrometheusRule")["spec"]["groups"][0]["rules"].clone();
    rules
        .as_array()
        .expect("rules")
        .iter()
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().expect("a text").to_owned();
            assert!(rule["annotations"]["summary"].is_string(), "{rule}");
            assert!(rule["annotations"]["description"].is_string(), "{rule}");
            (text("alert"), text("expr"))
        })
        .collect()
}

/// What Prometheus would not take of rule groups.
fn problems(groups: &Value) -> String {
    let mut judge = Command::new(build("rules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the judge that was just built starts");
    let mut stdin = judge.stdin.take().expect("standard input is piped");
    let text = json!({ "groups": groups }).to_string();
    stdin.write_all(text.as_bytes()).expect("the judge listens");
    drop(stdin);
    let output = judge.wait_with_output().expect("the judge answers");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("the judge writes UTF-8")
}

#[test]
fn prometheus_takes_the_alerts() {
    for values in ["ci/everything-values.yaml", "ci/admission-only-values.yaml"] {
        let objects = helm::render(values);
        let groups = &helm::only(&objects, "PrometheusRule")["spec"]["groups"];
        assert_eq!(problems(groups), "", "{values}");
    }
    let group = |rule| json!([{"name": "a", "rules": [rule]}]);
    assert_eq!(
        problems(&group(json!({"alert": "A", "expr": "sum buy (b) (c)"}))),
        "1:53: group \"a\", rule 1, \"A\": could not parse expression: 1:5: parse error: unexpected identifier \"buy\"\n"
    );
    let named =
        json!({"alert": "A", "expr": "b", "annotations": {"description": "{{ $lables.b }}"}});
    assert_eq!(
        problems(&group(named)),
        "group \"a\", rule 1, \"A\": annotation \"description\": template: __alert_A:1: undefined variable \"$lables\"\n"
    );
}

#[test]
fn prometheus_takes_what_the_panels_ask() {
    let panels = panels();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let rules: Vec<_> = targets
        .map(|target| {
            let text = target["expr"].as_str().expect("an expression");
            // Grafana's own variable.
            json!({"record": "a", "expr": text.replace("$__rate_interval", "5m")})
        })
        .collect();
    assert!(rules.len() > 15, "{rules:?}");
    // One group for each: no group may have two of one name.
    let groups: Vec<_> = rules
        .iter()
        .enumerate()
        .map(|(number, rule)| json!({"name": number.to_string(), "rules": [rule]}))
        .collect();
    assert_eq!(problems(&json!(groups)), "");
}

#[test]
fn alerts_ask_for_metrics_that_exist() {
    for (alert, expression) in alerts("ci/everything-values.yaml") {
        for series in series(&expression) {
            assert!(is_known(series), "{alert}: {series}");
        }
    }
}

#[test]
fn the_controller_has_alerts_of_its_own() {
    let all = alerts("ci/everything-values.yaml");
    let without = alerts("ci/admission-only-values.yaml");
    assert_eq!(all.len(), without.len() + 4);
    let expected = [
        (
            "NatsguardNoLeader",
            r#"absent(natsguard_controller_leader{job="guards/guard-controller"} == 1)"#,
        ),
        (
            "NatsguardFights",
            r#"sum(increase(natsguard_controller_fights_total{job="guards/guard-controller"}[15m])) > 0"#,
        ),
        (
            // Three hours: ci/everything-values.yaml scans every hour.
            "NatsguardScanLate",
            r#"time() - max(natsguard_scan_completed_timestamp_seconds{job="guards/guard-controller"}) > 10800"#,
        ),
        (
            "NatsguardStandingFaults",
            r#"max by (policy, namespace) (natsguard_standing_faults{job="guards/guard-controller",action="deny"}) > 0"#,
        ),
    ];
    let found = &all[without.len()..];
    let found: Vec<_> = found
        .iter()
        .map(|(alert, expression)| (alert.as_str(), expression.as_str()))
        .collect();
    assert_eq!(found, expected);
    for (every, late) in [("90s", "> 270"), ("10m", "> 1800")] {
        let set = format!("controller.scanEvery={every}");
        let text = helm::template(&[
            "--set",
            "metrics.prometheusRule.enabled=true",
            "--set",
            &set,
        ]);
        let expression = format!("{{job=\"guards/natsguard-controller\"}}) {late}\n");
        assert!(text.expect("it renders").contains(&expression), "{every}");
    }
}

#[test]
fn panels_ask_for_metrics_that_exist_and_do_not_overlap() {
    let panels = panels();
    let (mut ids, mut taken, mut asked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for panel in &panels {
        let title = panel["title"].as_str().expect("a title");
        assert!(
            ids.insert(panel["id"].as_u64()),
            "{title}: its id is another's"
        );
        let place = |key: &str| panel["gridPos"][key].as_u64().expect("a place");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(
                    x < 24 && taken.insert((x, y)),
                    "{title}: {x}/{y} is another's"
                );
            }
        }
        for target in panel["targets"].as_array().expect("targets") {
            let expression = target["expr"].as_str().expect("an expression");
            for series in series(expression) {
                assert!(is_known(series), "{title}: {series}");
                asked.insert(series);
            }
        }
    }
    for wanted in [
        "natsguard_controller_leader",
        "natsguard_controller_restarts_total",
        "natsguard_controller_touches_total",
        "natsguard_standing_faults",
    ] {
        assert!(asked.contains(wanted), "no panel shows {wanted}");
    }
}

/// A fault's own namespace would otherwise be renamed, and the controller's put in its place.
#[test]
fn the_controllers_metrics_keep_their_labels() {
    let objects = helm::render("ci/everything-values.yaml");
    let monitor = helm::only(&objects, "PodMonitor");
    assert_eq!(monitor["metadata"]["name"], "guard-controller");
    assert_eq!(monitor["metadata"]["labels"]["release"], "prometheus");
    assert_eq!(
        monitor["spec"]["podMetricsEndpoints"],
        json!([{"port": "metrics", "path": "/metrics", "scheme": "http", "interval": "30s", "honorLabels": true}])
    );
}
