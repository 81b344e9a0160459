//! Every policy has what a policy must have.

use std::fs;
use std::path::Path;

use natsguard_policies::policy::Action;
use natsguard_policies::rules::POLICIES;
use natsguard_policies::settings::Settings;

use crate::support::{bundle, check, lines, settings};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn source(id: &str) -> String {
    read(&format!("src/rules/{}.rs", id.replace('-', "_")))
}

/// The page in a source file: its `//!` lines.
fn page(source: &str) -> String {
    source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
        .collect()
}

/// Compares a generated file, or writes it when `UPDATE` is set.
fn generated(path: &str, text: &str) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(Path::new(ROOT).join(path), text).unwrap();
    }
    assert!(
        read(path) == text,
        "{path} is not current; write it with: UPDATE=1 cargo test -p natsguard-policies"
    );
}

/// The fenced blocks of a page with this mark.
fn examples<'p>(page: &'p str, mark: &str) -> Vec<&'p str> {
    let fence = format!("```yaml {mark}\n");
    page.match_indices(&fence)
        .map(|(at, _)| {
            let rest = &page[at + fence.len()..];
            &rest[..rest.find("```").unwrap()]
        })
        .collect()
}

#[test]
fn ids_are_unique_and_name_their_files() {
    for policy in POLICIES {
        assert!(
            policy
                .id
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
            "{}",
            policy.id
        );
        assert!(source(policy.id).contains(&format!("id: \"{}\"", policy.id)));
        assert_eq!(
            POLICIES
                .iter()
                .filter(|other| other.id == policy.id)
                .count(),
            1
        );
    }
    let files = fs::read_dir(Path::new(ROOT).join("src/rules"))
        .unwrap()
        .count();
    assert_eq!(
        files,
        POLICIES.len(),
        "a file in src/rules is not in POLICIES"
    );
}

#[test]
fn titles_are_short_and_have_no_final_dot() {
    for policy in POLICIES {
        assert!(
            policy.title.len() <= 60 && !policy.title.ends_with('.'),
            "{}",
            policy.title
        );
    }
}

#[test]
fn the_action_after_the_slash_is_one_that_needs_no_fix() {
    for policy in POLICIES {
        assert!(
            matches!(policy.otherwise, Action::Warn | Action::Deny),
            "{}",
            policy.id
        );
    }
}

#[test]
fn pages_have_their_sections_and_are_current() {
    for policy in POLICIES {
        let text = page(&source(policy.id));
        assert!(
            text.starts_with(&format!("# {}\n", policy.id)),
            "{}",
            policy.id
        );
        for section in [
            "## Why",
            "## What is checked",
            "## Example",
            "## References",
        ] {
            assert!(
                text.contains(section),
                "{} has no section {section}",
                policy.id
            );
        }
        assert_eq!(
            text.contains("## Repair"),
            policy.action == Action::Fix,
            "{}: ## Repair",
            policy.id
        );
        generated(&format!("docs/{}.md", policy.id), &text);
    }
    for policy in POLICIES {
        assert_eq!(policy.page, page(&source(policy.id)), "{}", policy.id);
    }
}

#[test]
fn examples_of_both_outcomes_are_true() {
    for policy in POLICIES {
        let text = page(&source(policy.id));
        let (faults, sounds) = (examples(&text, "fault"), examples(&text, "sound"));
        assert!(
            !faults.is_empty() && !sounds.is_empty(),
            "{} needs an example of both outcomes",
            policy.id
        );
        for example in faults {
            let (report, repaired) = check(&bundle(example), &settings());
            let found: Vec<_> = report
                .findings
                .iter()
                .filter(|judged| judged.finding.policy == policy.id)
                .collect();
            assert!(
                !found.is_empty(),
                "{}: no fault in its example: {:?}",
                policy.id,
                lines(&report)
            );
            for judged in found {
                assert_eq!(
                    judged.action,
                    policy.action,
                    "{}: {:?}",
                    policy.id,
                    lines(&report)
                );
            }
            let left = repaired
                .report
                .findings
                .iter()
                .any(|judged| judged.finding.policy == policy.id);
            assert_eq!(
                left,
                policy.action != Action::Fix,
                "{}: {:?}",
                policy.id,
                lines(&repaired.report)
            );
        }
        for example in sounds {
            let (report, _) = check(&bundle(example), &settings());
            let found = report
                .findings
                .iter()
                .any(|judged| judged.finding.policy == policy.id);
            assert!(!found, "{}: {:?}", policy.id, lines(&report));
        }
    }
}

/// Every setting with its default, as a file to start from.
fn default_settings() -> String {
    let mut text = String::from(
        "# Every setting of natsguard with its default. Generated from the policies; copy what you change.\n\n\
         # DNS domain of the cluster. Not set: the one that natsguard's pods search Services in, else cluster.local.\n\
         # clusterDomain: cluster.local\n\n\
         # Action of every policy that has none of its own below: off, warn, fix or deny. Not set: as below.\n\
         # action: warn\n\n\
         policies:\n",
    );
    for policy in POLICIES {
        let otherwise = match (policy.action, policy.otherwise) {
            (Action::Fix, otherwise) => format!("; {otherwise} where there is no safe repair"),
            _ => String::new(),
        };
        text += &format!(
            "  # {}{otherwise}.\n  {}:\n    action: {}\n",
            policy.title, policy.id, policy.action
        );
        if policy.id == "network-filesystem" {
            text += "    # Drivers by name, before the built-in table: network-filesystem, network-block or local.\n\
                     \x20   # drivers:\n    #   example.org/files: network-filesystem\n";
        }
    }
    text + "\n# Workloads that are let through although a policy speaks against them.\n\
            # exemptions:\n\
            # - policy: network-filesystem\n\
            #   namespace: legacy\n\
            #   name: nats           # all workloads of the namespace when absent\n\
            #   reason: moves to block storage with the next release\n\
            #   expires: 2027-06-30  # the last day; never when absent\n\
            # - policy: unbounded-store\n\
            #   selector: {matchLabels: {tier: sandbox}}  # of namespaces, by their labels\n\
            #   reason: nothing is kept there\n"
}

#[test]
fn every_policy_has_a_settings_entry_that_states_its_default() {
    let text = default_settings();
    generated("docs/settings.yaml", &text);
    let settings: Settings = serde_saphyr::from_str(&text).unwrap();
    settings.validate().unwrap();
    for policy in POLICIES {
        assert_eq!(
            settings.policies[policy.id].action,
            Some(policy.action),
            "{}",
            policy.id
        );
    }
}

#[test]
fn every_policy_has_a_row_in_the_readme() {
    let readme = read("../README.md");
    for policy in POLICIES {
        let action = match (policy.action, policy.otherwise) {
            (Action::Fix, otherwise) => format!("fix / {otherwise}"),
            (action, _) => action.to_string(),
        };
        let row = format!(
            "| [{0}](policies/docs/{0}.md) | {1} | {action} |",
            policy.id, policy.title
        );
        assert!(readme.contains(&row), "README.md lacks the row\n{row}");
    }
}
