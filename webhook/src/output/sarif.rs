//! SARIF 2.1.0, as GitHub's code scanning takes it.
//!
//! The fingerprint has a key of our own: `primaryLocationLineHash` is what GitHub's upload action makes of the line, and
//! it complains about every other value under that key.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use natsguard_policies::policy::{Action, Policy};
use natsguard_policies::rules::POLICIES;
use serde_json::json;
use serde_sarif::sarif;

use super::{RenderError, escape, words};
use crate::listing::{Listing, ObjectName, Row};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub(super) fn render(listing: &Listing, threshold: Action) -> Result<String, RenderError> {
    let driver = sarif::ToolComponent::builder()
        .name("natsguard")
        .version(env!("CARGO_PKG_VERSION"))
        .rules(POLICIES.iter().map(rule).collect::<Vec<_>>())
        .build();
    let run = sarif::Run::builder()
        .tool(driver)
        // Without it columns are UTF-16 code units.
        .column_kind(json!("unicodeCodePoints"))
        .invocations(vec![invocation(listing, threshold)])
        .results(results(listing, threshold))
        .build();
    let log = sarif::Sarif::builder()
        .schema(SCHEMA)
        .version(json!("2.1.0"))
        .runs(vec![run])
        .build();
    let mut document = escape::json(&serde_json::to_string_pretty(&log)?);
    document.push('\n');
    Ok(document)
}

/// Whether all of the input could be read, and what could not be judged.
fn invocation(listing: &Listing, threshold: Action) -> sarif::Invocation {
    let problems = listing.problems.iter().map(|problem| {
        sarif::Notification::builder()
            .level(json!("error"))
            .message(message(&escape::visible(problem)))
            .build()
    });
    let level = if threshold == Action::Off {
        "error"
    } else {
        "note"
    };
    let unchecked = listing.unchecked.iter().map(|unchecked| {
        let rule = sarif::ReportingDescriptorReference::builder()
            .id(unchecked.policy)
            .build();
        sarif::Notification::builder()
            .level(json!(level))
            .message(message(&format!(
                "not checked: {}",
                words::unchecked(unchecked)
            )))
            .associated_rule(rule)
            .build()
    });
    sarif::Invocation::builder()
        .execution_successful(listing.problems.is_empty())
        .tool_execution_notifications(problems.chain(unchecked).collect::<Vec<_>>())
        .build()
}

/// What fails the run is an error.
const fn result_level(action: Action, threshold: Action) -> sarif::ResultLevel {
    if action as u8 >= threshold as u8 {
        return sarif::ResultLevel::Error;
    }
    match action {
        Action::Deny | Action::Fix => sarif::ResultLevel::Warning,
        Action::Warn | Action::Off => sarif::ResultLevel::Note,
    }
}

const fn level(action: Action) -> sarif::ResultLevel {
    match action {
        Action::Deny => sarif::ResultLevel::Error,
        Action::Fix => sarif::ResultLevel::Warning,
        Action::Warn => sarif::ResultLevel::Note,
        Action::Off => sarif::ResultLevel::None,
    }
}

fn rule(policy: &Policy) -> sarif::ReportingDescriptor {
    let text = |text: &str| {
        sarif::MultiformatMessageString::builder()
            .text(text)
            .build()
    };
    let configuration = sarif::ReportingConfiguration::builder()
        .level(json!(level(policy.action)))
        .build();
    // GitHub shows the Markdown; the text is for tools that can't.
    let help = sarif::MultiformatMessageString::builder()
        .text(format!("Run natsguard explain {} for more", policy.id))
        .markdown(policy.page)
        .build();
    let rule = sarif::ReportingDescriptor::builder()
        .id(policy.id)
        .short_description(text(policy.title))
        .full_description(text(&introduction(policy)))
        .default_configuration(configuration)
        .help(help);
    match reference(policy) {
        Some(uri) => rule.help_uri(uri).build(),
        None => rule.build(),
    }
}

/// The first address that the page names: where the fault is explained by whoever met it.
fn reference(policy: &Policy) -> Option<&'static str> {
    let from = policy.page.get(policy.page.find("<https://")? + 1..)?;
    from.split_once('>').map(|(uri, _)| uri)
}

/// The first paragraph of the page, below its heading.
fn introduction(policy: &Policy) -> String {
    policy
        .page
        .split("\n\n")
        .map(str::trim)
        .find(|paragraph| !paragraph.is_empty() && !paragraph.starts_with('#'))
        .map_or_else(
            || policy.title.to_owned(),
            |paragraph| paragraph.replace('\n', " "),
        )
}

fn results(listing: &Listing, threshold: Action) -> Vec<sarif::Result> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    listing
        .findings
        .iter()
        .map(|row| {
            let mut fingerprint =
                format!("{}/{}/{}", row.policy, qualified(&row.object), row.field);
            // One field may hold several faults, as the arguments of a container do.
            let times = seen
                .entry(format!("{}:{fingerprint}", row.file))
                .and_modify(|times| *times += 1)
                .or_insert(1);
            if *times > 1 {
                let _ = write!(fingerprint, "/{times}");
            }
            result(row, fingerprint, threshold)
        })
        .collect()
}

fn result(row: &Row, fingerprint: String, threshold: Action) -> sarif::Result {
    let mut region = sarif::Region::builder()
        .start_line(number(row.line))
        .start_column(number(row.column))
        .build();
    region.end_line = row.end.map(|(line, _)| number(line));
    region.end_column = row.end.map(|(_, column)| number(column));
    let place = sarif::PhysicalLocation::builder()
        .artifact_location(
            sarif::ArtifactLocation::builder()
                .uri(uri(&row.file))
                .build(),
        )
        .region(region)
        .build();
    let object = qualified(&row.object);
    let field = format!("{object}/{}", row.field);
    let location = sarif::Location::builder()
        .physical_location(place)
        .logical_locations(vec![
            logical(&object, &row.object.name, "resource"),
            logical(&field, &row.field, "property"),
        ])
        .build();
    let mut result = sarif::Result::builder()
        .rule_id(row.policy)
        .level(result_level(row.action, threshold))
        .message(message(&words::sentence(row)))
        .locations(vec![location])
        .partial_fingerprints(BTreeMap::from([(
            "natsguardFinding/v1".to_owned(),
            fingerprint,
        )]))
        .build();
    result.rule_index = POLICIES
        .iter()
        .position(|policy| policy.id == row.policy)
        .map(number);
    result
}

fn logical(qualified: &str, name: &str, kind: &str) -> sarif::LogicalLocation {
    sarif::LogicalLocation::builder()
        .fully_qualified_name(qualified)
        .name(name)
        .kind(kind)
        .build()
}

/// Braces are placeholders in messages unless doubled (3.11.5), and `[text](place)` is a link (3.11.6).
fn message(text: &str) -> sarif::Message {
    let text = text
        .replace('{', "{{")
        .replace('}', "}}")
        .replace("](", "] (");
    sarif::Message::builder().text(text).build()
}

/// `ConfigMap/nats/nats-config`; `StorageClass/nfs`.
fn qualified(object: &ObjectName) -> String {
    let parts = [
        Some(&object.kind),
        object.namespace.as_ref(),
        Some(&object.name),
    ];
    parts
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join("/")
}

/// A path as a URI reference; an absolute one as a `file:` URI.
fn uri(file: &str) -> String {
    let path = if file == words::STDIN {
        "stdin"
    } else {
        words::repository_path(file)
    };
    let start = if path.starts_with('/') {
        "file://".to_owned()
    } else {
        String::new()
    };
    path.bytes().fold(start, |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
        uri
    })
}

fn number(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::output::sample;

    fn rendered(listing: &Listing) -> Value {
        serde_json::from_str(&render(listing, Action::Deny).unwrap()).unwrap()
    }

    #[test]
    fn findings_are_results() {
        let expected = r#"[
  {
    "level": "error",
    "locations": [
      {
        "logicalLocations": [
          {
            "fullyQualifiedName": "ConfigMap/nats/nats-config",
            "kind": "resource",
            "name": "nats-config"
          },
          {
            "fullyQualifiedName": "ConfigMap/nats/nats-config/data[\"nats.conf\"].cluster.routes[0]",
            "kind": "property",
            "name": "data[\"nats.conf\"].cluster.routes[0]"
          }
        ],
        "physicalLocation": {
          "artifactLocation": {
            "uri": "deploy/my%20nats.yaml"
          },
          "region": {
            "endColumn": 33,
            "endLine": 14,
            "startColumn": 9,
            "startLine": 14
          }
        }
      }
    ],
    "message": {
      "text": "a route names a Service: nats-svc leads to any pod. Name each pod"
    },
    "partialFingerprints": {
      "natsguardFinding/v1": "service-route/ConfigMap/nats/nats-config/data[\"nats.conf\"].cluster.routes[0]"
    },
    "ruleId": "service-route"
  },
  {
    "level": "warning",
    "locations": [
      {
        "logicalLocations": [
          {
            "fullyQualifiedName": "StatefulSet/nats/nats",
            "kind": "resource",
            "name": "nats"
          },
          {
            "fullyQualifiedName": "StatefulSet/nats/nats/spec.template.spec.affinity",
            "kind": "property",
            "name": "spec.template.spec.affinity"
          }
        ],
        "physicalLocation": {
          "artifactLocation": {
            "uri": "deploy/my%20nats.yaml"
          },
          "region": {
            "endColumn": 7,
            "endLine": 40,
            "startColumn": 3,
            "startLine": 40
          }
        }
      }
    ],
    "message": {
      "text": "nothing keeps two replicas off one node: 3 replicas. Add a rule"
    },
    "partialFingerprints": {
      "natsguardFinding/v1": "co-located-replicas/StatefulSet/nats/nats/spec.template.spec.affinity"
    },
    "ruleId": "co-located-replicas"
  },
  {
    "level": "note",
    "locations": [
      {
        "logicalLocations": [
          {
            "fullyQualifiedName": "StorageClass/nfs",
            "kind": "resource",
            "name": "nfs"
          },
          {
            "fullyQualifiedName": "StorageClass/nfs/provisioner",
            "kind": "property",
            "name": "provisioner"
          }
        ],
        "physicalLocation": {
          "artifactLocation": {
            "uri": "stdin"
          },
          "region": {
            "startColumn": 14,
            "startLine": 3
          }
        }
      }
    ],
    "message": {
      "text": "the store lies on a network file system. Use a block device"
    },
    "partialFingerprints": {
      "natsguardFinding/v1": "network-filesystem/StorageClass/nfs/provisioner"
    },
    "ruleId": "network-filesystem"
  }
]"#;
        let mut log = rendered(&sample::listing());
        for result in log["runs"][0]["results"].as_array_mut().unwrap() {
            // The order of the policies is theirs.
            result.as_object_mut().unwrap().remove("ruleIndex");
        }
        assert_eq!(
            serde_json::to_string_pretty(&log["runs"][0]["results"]).unwrap(),
            expected
        );
    }

    #[test]
    fn a_log_has_what_code_scanning_demands() {
        for listing in [sample::listing(), sample::hostile(), sample::empty()] {
            let log = rendered(&listing);
            assert_eq!(log["$schema"], SCHEMA);
            assert_eq!(log["version"], "2.1.0");
            let [run] = &log["runs"].as_array().unwrap()[..] else {
                panic!("{log}")
            };
            assert_eq!(run["columnKind"], "unicodeCodePoints");
            let driver = &run["tool"]["driver"];
            assert_eq!(
                (&driver["name"], &driver["version"]),
                (&json!("natsguard"), &json!(env!("CARGO_PKG_VERSION")))
            );
            let results = run["results"].as_array().unwrap();
            assert_eq!(results.len(), listing.findings.len());
            for result in results {
                let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
                assert_eq!(result["ruleId"], driver["rules"][index]["id"]);
                assert!(["error", "warning", "note"].contains(&result["level"].as_str().unwrap()));
                assert!(!result["message"]["text"].as_str().unwrap().is_empty());
                let place = &result["locations"][0]["physicalLocation"];
                assert!(place["region"]["startLine"].as_u64() > Some(0));
                assert!(place["region"]["startColumn"].as_u64() > Some(0));
                assert!(
                    place["artifactLocation"]["uri"]
                        .as_str()
                        .unwrap()
                        .is_ascii()
                );
                assert_eq!(result["partialFingerprints"].as_object().unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn every_policy_is_a_rule_within_the_limits_of_code_scanning() {
        let log = rendered(&sample::empty());
        let rules = log["runs"][0]["tool"]["driver"]["rules"]
            .as_array()
            .unwrap();
        assert_eq!(rules.len(), POLICIES.len());
        for (rule, policy) in rules.iter().zip(POLICIES) {
            assert_eq!(rule["id"], policy.id);
            assert_eq!(rule["shortDescription"]["text"], policy.title);
            assert_eq!(rule["help"]["markdown"], policy.page);
            assert!(rule["helpUri"].as_str().unwrap().starts_with("https://"));
            assert_eq!(
                rule["help"]["text"],
                format!("Run natsguard explain {} for more", policy.id)
            );
            assert!(
                ["error", "warning", "note"]
                    .contains(&rule["defaultConfiguration"]["level"].as_str().unwrap())
            );
            let full = rule["fullDescription"]["text"].as_str().unwrap();
            assert!(
                (1..=1024).contains(&full.chars().count()) && !full.starts_with('#'),
                "{full}"
            );
        }
    }

    #[test]
    fn the_invocation_says_what_was_not_read_and_not_judged() {
        let invocation = |listing: &Listing| rendered(listing)["runs"][0]["invocations"][0].clone();
        assert_eq!(
            invocation(&sample::empty()),
            json!({"executionSuccessful": true, "toolExecutionNotifications": []})
        );
        assert_eq!(
            invocation(&sample::unread()),
            json!({"executionSuccessful": false, "toolExecutionNotifications": [
                {"level": "error", "message": {"text": "deploy/broken.yaml:3:1: not YAML"}},
                {"level": "note", "associatedRule": {"id": "network-filesystem"}, "message": {
                    "text": "not checked: network-filesystem of StatefulSet nats/nats (spec.template): StorageClass fast is not in the input; pass it, too"
                }}
            ]})
        );
    }

    #[test]
    fn what_fails_the_run_is_an_error() {
        let levels = |threshold| {
            let log: Value =
                serde_json::from_str(&render(&sample::listing(), threshold).unwrap()).unwrap();
            [0, 1, 2].map(|index| log["runs"][0]["results"][index]["level"].clone())
        };
        assert_eq!(levels(Action::Warn), ["error", "error", "error"]);
        assert_eq!(levels(Action::Fix), ["error", "error", "note"]);
    }

    #[test]
    fn a_fingerprint_does_not_know_the_line() {
        let fingerprints = |listing: &Listing| {
            rendered(listing)["runs"][0]["results"][0]["partialFingerprints"].clone()
        };
        let mut moved = sample::listing();
        moved.findings[0].line += 7;
        moved.findings[0].column += 1;
        moved.findings[0].file = "elsewhere.yaml".to_owned();
        assert_eq!(fingerprints(&moved), fingerprints(&sample::listing()));
        moved.findings[0].field = "data.other".to_owned();
        assert_ne!(fingerprints(&moved), fingerprints(&sample::listing()));
    }

    #[test]
    fn faults_of_one_field_have_different_fingerprints() {
        let mut listing = sample::listing();
        let first = listing.findings[0].clone();
        listing.findings = vec![first.clone(), first];
        let results = &rendered(&listing)["runs"][0]["results"];
        let fingerprint =
            |index: usize| results[index]["partialFingerprints"]["natsguardFinding/v1"].as_str();
        assert_eq!(
            fingerprint(0),
            Some(r#"service-route/ConfigMap/nats/nats-config/data["nats.conf"].cluster.routes[0]"#)
        );
        assert_eq!(
            fingerprint(1),
            Some(
                r#"service-route/ConfigMap/nats/nats-config/data["nats.conf"].cluster.routes[0]/2"#
            )
        );
    }

    #[test]
    fn a_path_is_a_uri_reference() {
        assert_eq!(
            uri("./deploy/a b%ü:#?.yaml"),
            "deploy/a%20b%25%C3%BC%3A%23%3F.yaml"
        );
        assert_eq!(uri("/srv/nats.yaml"), "file:///srv/nats.yaml");
        assert_eq!(uri("<stdin>"), "stdin");
    }

    #[test]
    fn a_message_has_neither_placeholders_nor_links() {
        let text = message("{0} [x](https://example.com) routes[0] (all)")
            .text
            .unwrap();
        assert_eq!(text, "{{0}} [x] (https://example.com) routes[0] (all)");
    }
}
