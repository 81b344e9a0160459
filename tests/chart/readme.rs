//! The table of values in the chart's README, made from the comments in values.yaml; and what Helm says after an install.

use std::fmt::Write;

use serde_json::Value;

use crate::helm;

const BEGIN: &str =
    "<!-- values: made by UPDATE_README=1 cargo test -p natsguard-tests --test chart readme -->\n";
const END: &str = "<!-- /values -->\n";

/// Every value that is documented (`# --` above it), in the order of the file: name, default, meaning.
fn documented() -> Vec<(String, String, String)> {
    let text = helm::file("values.yaml");
    let values: Value = serde_saphyr::from_str(&text).expect("values are YAML");
    let mut rows = Vec::new();
    let mut parents: Vec<(usize, String)> = Vec::new();
    let mut comment: Option<String> = None;
    for line in text.lines() {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(words) = content.strip_prefix("# -- ") {
            comment = Some(words.to_owned());
        } else if let (Some(words), Some(so_far)) = (content.strip_prefix("# "), comment.as_mut()) {
            so_far.push(' ');
            so_far.push_str(words);
        } else if let Some((key, _)) = content.split_once(':')
            && !content.starts_with(['#', '-'])
        {
            parents.retain(|(column, _)| *column < indent);
            parents.push((indent, key.to_owned()));
            if let Some(meaning) = comment.take() {
                let names: Vec<&str> = parents.iter().map(|(_, key)| key.as_str()).collect();
                let pointer = format!("/{}", names.join("/"));
                let default = values
                    .pointer(&pointer)
                    .unwrap_or_else(|| panic!("values.yaml has no {pointer}"));
                rows.push((names.join("."), default.to_string(), meaning));
            }
        } else {
            comment = None;
        }
    }
    rows
}

#[test]
fn readme_has_the_values_of_the_chart() {
    let mut table = "| value | default | meaning |\n|---|---|---|\n".to_owned();
    for (name, default, meaning) in documented() {
        writeln!(table, "| `{name}` | `{default}` | {meaning} |").expect("a string takes all");
    }
    let readme = helm::file("README.md");
    let (before, rest) = readme
        .split_once(BEGIN)
        .expect("README.md has the first mark");
    let (found, after) = rest.split_once(END).expect("README.md has the last mark");
    if std::env::var_os("UPDATE_README").is_some() {
        let text = format!("{before}{BEGIN}{table}{END}{after}");
        std::fs::write(helm::chart().join("README.md"), text).expect("README.md can be written");
        return;
    }
    assert!(
        found == table,
        "the table is not of these values; `UPDATE_README=1 cargo test -p natsguard-tests --test chart readme` writes it"
    );
}

#[test]
fn readme_leaves_no_value_out() {
    let rows = documented();
    let values: Value =
        serde_saphyr::from_str(&helm::file("values.yaml")).expect("values are YAML");
    for (key, value) in values.as_object().expect("a map") {
        // `resources` is Kubernetes' own and is shown as it is.
        let is_said = |name: &str| {
            rows.iter()
                .any(|(row, ..)| row == name || row.starts_with(&format!("{name}.")))
        };
        assert!(is_said(key) || key == "resources", "{key} has no comment");
        for below in value.as_object().into_iter().flat_map(|map| map.keys()) {
            let name = format!("{key}.{below}");
            assert!(
                is_said(&name)
                    || is_said(key)
                        && !rows
                            .iter()
                            .any(|(row, ..)| row.starts_with(&format!("{key}.")))
                    || key == "resources",
                "{name} has no comment"
            );
        }
    }
}

fn notes(more: &[&str]) -> String {
    let first = [
        "install",
        "natsguard",
        ".",
        "--namespace",
        "guards",
        "--dry-run=client",
    ];
    let text = helm::run(&[&first, more].concat()).expect("it renders");
    let (_, notes) = text.split_once("NOTES:\n").expect("notes");
    notes.trim_end().to_owned()
}

#[test]
fn the_notes_say_what_is_enforced_and_how_to_go_on() {
    assert_eq!(
        notes(&[]),
        "natsguard 0.1.0 guards NATS in this cluster, except in kube-system, kube-node-lease, kube-public and guards.

NATS workloads, their configuration, Services and claims are repaired where that is safe, and refused where it is not.
While no pod of natsguard answers, NATS objects are refused (webhook.validating.failurePolicy: Fail).

The controller looks at every NATS workload that runs, each 10m, and reports what is wrong.
When a StatefulSet is made, scaled or rolled it has its configuration and Services repaired by admission.
What was there before is left as it is until then, or until you ask for it:
  kubectl --namespace messaging annotate configmap nats-config natsguard.dev/reviewed=\"$(date)\" --overwrite
It starts no rollout. controller.enabled=false turns it off. What it found (reports of the first kind that the cluster has):
  kubectl get reports.openreports.io --all-namespaces
  kubectl get policyreports.wgpolicyk8s.io --all-namespaces
  kubectl get events --all-namespaces --field-selector source=natsguard

Is it well:
  kubectl --namespace guards rollout status deployment/natsguard
  kubectl --namespace guards rollout status deployment/natsguard-controller
  helm --namespace guards test natsguard

Try it on a manifest, changing nothing:
  kubectl apply --dry-run=server --filename nats.yaml

Let a workload through, and say why; nothing that is written on an object does (values of this release):
  settings:
    exemptions:
    - {policy: network-filesystem, namespace: legacy, name: nats, reason: moves to block storage, expires: 2027-06-30}

Remove it; no NATS workload is touched:
  helm --namespace guards uninstall natsguard
  kubectl --namespace guards delete secret natsguard-ca --ignore-not-found
  kubectl delete reports.openreports.io --all-namespaces --selector app.kubernetes.io/managed-by=natsguard
  kubectl delete policyreports.wgpolicyk8s.io --all-namespaces --selector app.kubernetes.io/managed-by=natsguard"
    );
    let warn = notes(&["--values", "ci/warn-only-values.yaml"]);
    assert!(
        warn.contains("\nIt warns of faults and changes nothing: settings.action is warn.\n"),
        "{warn}"
    );
    assert!(
        warn.contains("are not guarded (webhook.validating.failurePolicy: Ignore)"),
        "{warn}"
    );
    assert!(
        warn.ends_with("\n\nWARNING: replicas is 1. While its node is drained no pod answers."),
        "{warn}"
    );
    assert!(!warn.contains("repaired by admission"), "{warn}");
    let deny = notes(&["--set", "settings.action=deny"]);
    assert!(
        deny.contains(
            "with a fault are refused, and nothing is repaired: settings.action is deny.\n"
        ),
        "{deny}"
    );
    let off = notes(&["--values", "ci/admission-only-values.yaml"]);
    assert!(
        off.contains(
            "\n\nNobody looks after what runs: controller.enabled is false. An object is looked at when it is written.\n\n\
             Is it well:\n  kubectl --namespace guards rollout status deployment/natsguard\n  helm "
        ),
        "{off}"
    );
    let everything = notes(&["--values", "ci/everything-values.yaml"]);
    assert!(
        everything.contains(
            "each 1h, and reports what is wrong.\nWhen a StatefulSet is made, scaled or rolled it has its configuration and \
             Services repaired by admission, also what another controller owns.\n"
        ),
        "{everything}"
    );
    assert!(
        everything.contains(
            "\nIt starts no rollout. controller.enabled=false turns it off. What it found:\n  \
             kubectl get reports.openreports.io --all-namespaces\n  kubectl get events "
        ),
        "{everything}"
    );
}
