//! Which nodes and which volumes make the anti-affinity that is added a preference.

use serde_json::{Value, json};

use crate::support::{bundle, check, findings, lines, set, settings};

const FIXED: &str = "fix co-located-replicas spec.template.spec.affinity.podAntiAffinity: StatefulSet default/nats has 3 replicas";

fn few(nodes: u32) -> String {
    format!(
        "warn co-located-replicas spec.template.spec.affinity.podAntiAffinity: \
         StatefulSet default/nats has 3 replicas, and {nodes} nodes can take them"
    )
}

/// Nodes with this in them, each a YAML flow.
fn nodes(nodes: &[&str]) -> String {
    nodes
        .iter()
        .map(|node| format!("---\n{{apiVersion: v1, kind: Node, {node}}}\n"))
        .collect()
}

/// What is said of the manifests, and the anti-affinity of the first of them after repair.
fn placed(yaml: &str) -> (Vec<String>, Value) {
    let (report, repaired) = check(&bundle(yaml), &settings());
    let pod = &repaired.bundle.objects()[0].value["spec"]["template"]["spec"];
    (lines(&report), pod["affinity"]["podAntiAffinity"].clone())
}

fn term() -> Value {
    json!({"labelSelector": {"matchLabels": {"app": "nats"}}, "topologyKey": "kubernetes.io/hostname"})
}

fn required() -> Value {
    json!({"requiredDuringSchedulingIgnoredDuringExecution": [term()]})
}

fn preferred() -> Value {
    json!({"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term()}]})
}

/// Whether a node with this in it takes pods with this in their `spec`.
#[track_caller]
fn takes(node: &str, pod: &str) -> bool {
    let pod = if pod.is_empty() {
        String::new()
    } else {
        format!("      {pod}\n")
    };
    // One is too few, and the warning counts it.
    let lines = findings(&bundle(&format!("{}{}", set(&pod), nodes(&[node]))));
    let takes = lines == [FIXED.to_owned(), few(1)];
    assert!(takes || lines == [FIXED.to_owned(), few(0)], "{lines:?}");
    takes
}

/// The same of pods with a required `nodeAffinity` of these terms.
#[track_caller]
fn takes_by_terms(node: &str, terms: &str) -> bool {
    let affinity = "requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms";
    takes(
        node,
        &format!("affinity: {{nodeAffinity: {{{affinity}: {terms}}}}}}}"),
    )
}

/// The same of a node with this taint and pods with this toleration.
#[track_caller]
fn is_tolerated(taint: &str, toleration: &str) -> bool {
    let node = format!("metadata: {{name: a}}, spec: {{taints: [{taint}]}}");
    takes(&node, &format!("tolerations: [{toleration}]"))
}

fn labelled(labels: &str) -> String {
    format!("metadata: {{name: a, labels: {labels}}}")
}

#[test]
fn fewer_nodes_than_replicas_make_a_preference() {
    let node = "metadata: {name: a}";
    let on = |count: usize| placed(&format!("{}{}", set(""), nodes(&vec![node; count])));
    assert_eq!(on(2), (vec![FIXED.to_owned(), few(2)], preferred()));
    assert_eq!(on(3), (vec![FIXED.to_owned()], required()));
    assert_eq!(on(4), (vec![FIXED.to_owned()], required()));
    // Without a node in the input nothing is known of nodes.
    assert_eq!(on(0), (vec![FIXED.to_owned()], required()));
}

#[test]
fn a_node_pool_counts_for_those_who_may_run_in_it() {
    let pool =
        "labels: {pool: nats}}, spec: {taints: [{key: pool, value: nats, effect: NoSchedule}]}";
    let of_pool = |name: &str| format!("metadata: {{name: {name}, {pool}");
    let [a, b, c] = ["a", "b", "c"].map(of_pool);
    let others = [
        "metadata: {name: d}",
        "metadata: {name: e}",
        "metadata: {name: f}",
    ];
    let two = nodes(&[&[&*a, &*b][..], &others].concat());
    let three = nodes(&[&[&*a, &*b, &*c][..], &others].concat());
    let pod =
        "      nodeSelector: {pool: nats}\n      tolerations: [{key: pool, operator: Exists}]\n";
    assert_eq!(
        placed(&format!("{}{two}", set(pod))),
        (vec![FIXED.to_owned(), few(2)], preferred())
    );
    assert_eq!(
        placed(&format!("{}{three}", set(pod))),
        (vec![FIXED.to_owned()], required())
    );
    // The nodes are there, and none takes the pods.
    let pod = "      nodeSelector: {pool: other}\n";
    assert_eq!(
        placed(&format!("{}{three}", set(pod))),
        (vec![FIXED.to_owned(), few(0)], preferred())
    );
}

#[test]
fn a_cordoned_node_takes_no_pod_whatever_is_tolerated() {
    let cordoned = "metadata: {name: a}, spec: {unschedulable: true}";
    assert!(!takes(cordoned, ""));
    assert!(!takes(cordoned, "tolerations: [{operator: Exists}]"));
    assert!(takes(
        "metadata: {name: a}, spec: {unschedulable: false}",
        ""
    ));
}

#[test]
fn a_node_selector_asks_for_every_label() {
    let node = labelled("{pool: nats, disk: ssd}");
    assert!(takes(&node, "nodeSelector: {}"));
    assert!(takes(&node, "nodeSelector: {pool: nats, disk: ssd}"));
    assert!(!takes(&node, "nodeSelector: {pool: nats, disk: hdd}"));
    assert!(!takes(&node, "nodeSelector: {pool: nats, zone: a}"));
    assert!(!takes("metadata: {name: a}", "nodeSelector: {pool: nats}"));
    // No label can be a number; the apiserver will say so.
    assert!(takes(&node, "nodeSelector: {disk: 7}"));
}

#[test]
fn expressions_over_labels_are_read_as_the_scheduler_reads_them() {
    let node = labelled("{pool: nats, cores: '8', odd: x8}");
    for (expression, is_met) in [
        ("key: pool, operator: In, values: [nats, b]", true),
        ("key: pool, operator: In, values: [b]", false),
        ("key: gone, operator: In, values: [nats]", false),
        ("key: pool, operator: NotIn, values: [nats, b]", false),
        ("key: pool, operator: NotIn, values: [b]", true),
        ("key: gone, operator: NotIn, values: [nats]", true),
        ("key: pool, operator: Exists", true),
        ("key: gone, operator: Exists", false),
        ("key: pool, operator: DoesNotExist", false),
        ("key: gone, operator: DoesNotExist", true),
        ("key: cores, operator: Gt, values: ['7']", true),
        ("key: cores, operator: Gt, values: ['8']", false),
        ("key: cores, operator: Gt, values: ['-9']", true),
        ("key: cores, operator: Lt, values: ['9']", true),
        ("key: cores, operator: Lt, values: ['8']", false),
        ("key: odd, operator: Gt, values: ['7']", false),
        ("key: odd, operator: Lt, values: ['9']", false),
        ("key: cores, operator: Gt, values: [few]", false),
        ("key: gone, operator: Gt, values: ['7']", false),
        // What can't be read keeps no node out.
        ("key: pool, operator: Near, values: [b]", true),
        ("key: gone, operator: Near, values: [b]", true),
    ] {
        let terms = format!("[{{matchExpressions: [{{{expression}}}]}}]");
        assert_eq!(takes_by_terms(&node, &terms), is_met, "{expression}");
    }
}

#[test]
fn fields_are_the_name_of_the_node() {
    let node = "metadata: {name: a, labels: {metadata.name: b}}";
    for (expression, is_met) in [
        ("key: metadata.name, operator: In, values: [a]", true),
        ("key: metadata.name, operator: In, values: [b]", false),
        ("key: metadata.name, operator: NotIn, values: [a]", false),
        ("key: metadata.name, operator: NotIn, values: [b]", true),
        ("key: spec.other, operator: In, values: [b]", true),
    ] {
        let terms = format!("[{{matchFields: [{{{expression}}}]}}]");
        assert_eq!(takes_by_terms(node, &terms), is_met, "{expression}");
    }
}

#[test]
fn one_term_is_enough_and_all_of_it_has_to_hold() {
    let node = labelled("{pool: nats}");
    let (pool, gone) = (
        "{key: pool, operator: Exists}",
        "{key: gone, operator: Exists}",
    );
    let name = "{key: metadata.name, operator: In, values: [a]}";
    for (terms, is_met) in [
        (format!("{{matchExpressions: [{pool}, {gone}]}}"), false),
        (
            format!("{{matchExpressions: [{gone}]}}, {{matchExpressions: [{pool}]}}"),
            true,
        ),
        (
            format!("{{matchExpressions: [{pool}], matchFields: [{name}]}}"),
            true,
        ),
        (
            format!("{{matchExpressions: [{gone}], matchFields: [{name}]}}"),
            false,
        ),
        ("{}".to_owned(), false),
        (String::new(), false),
    ] {
        assert_eq!(
            takes_by_terms(&node, &format!("[{terms}]")),
            is_met,
            "{terms}"
        );
    }
    // A preference keeps no node out, and a selector beside the affinity has to match as well.
    let preferred = "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: \
                     [{weight: 1, preference: {matchExpressions: [{key: gone, operator: Exists}]}}]}}";
    assert!(takes(&node, preferred));
    let both = "nodeSelector: {gone: x}\n      affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
                {nodeSelectorTerms: [{matchExpressions: [{key: pool, operator: Exists}]}]}}}";
    assert!(!takes(&node, both));
}

#[test]
fn a_taint_keeps_out_those_who_do_not_tolerate_it() {
    for (effect, is_taken) in [
        ("NoSchedule", false),
        ("NoExecute", false),
        ("PreferNoSchedule", true),
    ] {
        let node =
            format!("metadata: {{name: a}}, spec: {{taints: [{{key: k, effect: {effect}}}]}}");
        assert_eq!(takes(&node, ""), is_taken, "{effect}");
    }
    let taint = "{key: k, value: v, effect: NoSchedule}";
    for (toleration, tolerates) in [
        (
            "{key: k, operator: Equal, value: v, effect: NoSchedule}",
            true,
        ),
        ("{key: k, value: v, effect: NoSchedule}", true),
        ("{key: k, value: v}", true),
        ("{key: k, value: v, effect: ''}", true),
        ("{key: k, value: w}", false),
        ("{key: k}", false),
        ("{key: l, value: v}", false),
        ("{key: k, value: v, effect: NoExecute}", false),
        ("{key: k, operator: Exists}", true),
        ("{key: k, operator: Exists, effect: NoSchedule}", true),
        ("{key: k, operator: Exists, effect: NoExecute}", false),
        ("{key: l, operator: Exists}", false),
        ("{operator: Exists}", true),
        ("{key: '', operator: Exists}", true),
        ("{operator: Exists, effect: NoSchedule}", true),
        ("{operator: Exists, effect: NoExecute}", false),
        (
            "{key: l, operator: Exists}, {key: k, operator: Exists}",
            true,
        ),
        ("{key: k, operator: Near, value: w}", true),
        ("{key: l, operator: Near, value: w}", false),
    ] {
        assert_eq!(is_tolerated(taint, toleration), tolerates, "{toleration}");
    }
    let taints = "{key: k, effect: NoSchedule}, {key: k, effect: NoExecute}";
    assert!(!is_tolerated(taints, "{key: k, effect: NoSchedule}"));
    assert!(is_tolerated(taints, "{key: k}"));
    let taint = "{key: k, value: '8', effect: NoSchedule}";
    assert!(is_tolerated(taint, "{key: k, operator: Gt, value: '7'}"));
    assert!(!is_tolerated(taint, "{key: k, operator: Lt, value: '8'}"));
}

#[test]
fn a_node_of_windows_takes_those_who_ask_for_it() {
    let windows = labelled("{kubernetes.io/os: windows}");
    let linux = labelled("{kubernetes.io/os: linux}");
    assert!(!takes(&windows, ""));
    assert!(!takes(&windows, "tolerations: [{operator: Exists}]"));
    assert!(!takes(&windows, "os: {name: linux}"));
    assert!(takes(&windows, "os: {name: windows}"));
    assert!(takes(&windows, "nodeSelector: {kubernetes.io/os: windows}"));
    assert!(!takes(&windows, "nodeSelector: {kubernetes.io/os: linux}"));
    let terms = "[{matchExpressions: [{key: kubernetes.io/os, operator: In, values: [windows]}]}]";
    assert!(takes_by_terms(&windows, terms));
    assert!(!takes_by_terms(&linux, terms));
    assert!(takes(&linux, ""));
    assert!(takes(&linux, "os: {name: linux}"));
    assert!(!takes(&linux, "os: {name: windows}"));
    // Nothing says what it is of.
    assert!(takes("metadata: {name: a}", "os: {name: windows}"));
}

/// A set with claims from two templates, of which these are bound to volumes with this `nodeAffinity.required`.
fn bound(volumes: &[(&str, &str)]) -> String {
    let volumes: String = volumes
        .iter()
        .map(|(claim, affinity)| {
            format!(
                "---\napiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: pv-{claim}}}\n\
                 spec: {{claimRef: {{namespace: default, name: {claim}}}, nodeAffinity: {{required: {affinity}}}}}\n"
            )
        })
        .collect();
    format!(
        "{}  volumeClaimTemplates: [{{metadata: {{name: data}}}}, {{metadata: {{name: logs}}}}]\n{volumes}",
        set("")
    )
}

fn host(name: &str) -> String {
    format!(
        "{{nodeSelectorTerms: [{{matchExpressions: [{{key: kubernetes.io/hostname, operator: In, values: [{name}]}}]}}]}}"
    )
}

fn tied(pods: &str) -> String {
    format!(
        "warn co-located-replicas spec.template.spec.affinity.podAntiAffinity: \
         the volumes of {pods} of StatefulSet default/nats are tied to node a"
    )
}

#[test]
fn replicas_whose_volumes_lie_on_one_node_are_not_kept_apart_for_good() {
    let (a, b, c) = (host("a"), host("b"), host("c"));
    let apart = [
        ("data-nats-0", &*a),
        ("data-nats-1", &*b),
        ("data-nats-2", &*c),
    ];
    assert_eq!(placed(&bound(&apart)), (vec![FIXED.to_owned()], required()));
    let together = [
        ("data-nats-0", &*a),
        ("data-nats-1", &*b),
        ("data-nats-2", &*a),
    ];
    assert_eq!(
        placed(&bound(&together)),
        (
            vec![FIXED.to_owned(), tied("nats-0 and nats-2")],
            preferred()
        )
    );
    let of_others = [("data-nats-0", &*a), ("logs-nats-1", &*a)];
    assert_eq!(
        placed(&bound(&of_others)),
        (
            vec![FIXED.to_owned(), tied("nats-0 and nats-1")],
            preferred()
        )
    );
    // Both reasons are told.
    assert_eq!(
        placed(&format!(
            "{}{}",
            bound(&of_others),
            nodes(&["metadata: {name: a}"])
        )),
        (
            vec![FIXED.to_owned(), few(1), tied("nats-0 and nats-1")],
            preferred()
        )
    );
}

#[test]
fn a_claim_names_its_volume_as_well() {
    let claims: String = (0..2)
        .map(|pod| {
            format!(
                "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: data-nats-{pod}}}\n\
                 spec: {{volumeName: pv-{pod}}}\n---\napiVersion: v1\nkind: PersistentVolume\n\
                 metadata: {{name: pv-{pod}}}\nspec: {{nodeAffinity: {{required: {}}}}}\n",
                host("a")
            )
        })
        .collect();
    assert_eq!(
        placed(&format!("{}{claims}", bound(&[]))).0,
        [FIXED.to_owned(), tied("nats-0 and nats-1")]
    );
}

#[test]
fn volumes_that_tie_no_two_replicas_to_a_node_change_nothing() {
    let a = host("a");
    let either = host("a, b");
    let zone =
        "{nodeSelectorTerms: [{matchExpressions: [{key: zone, operator: In, values: [a]}]}]}";
    let not = "{nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: NotIn, values: [a]}]}]}";
    let expression =
        "{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [a]}]}";
    let terms = format!(
        "{{nodeSelectorTerms: [{expression}, {{matchExpressions: [{{key: b, operator: Exists}}]}}]}}"
    );
    for volumes in [
        // One pod has both.
        [("data-nats-0", &*a), ("logs-nats-0", &*a)],
        // A pod that is no longer there, and one of another set.
        [("data-nats-0", &*a), ("data-nats-3", &*a)],
        [("data-nats-0", &*a), ("data-other-1", &*a)],
        [("data-nats-0", &*a), ("more-nats-1", &*a)],
        [("data-nats-0", &*a), ("data-nats-1", &*either)],
        [("data-nats-0", zone), ("data-nats-1", zone)],
        [("data-nats-0", not), ("data-nats-1", not)],
        [("data-nats-0", &*terms), ("data-nats-1", &*terms)],
        [("data-nats-0", "null"), ("data-nats-1", "{}")],
    ] {
        assert_eq!(
            placed(&bound(&volumes)),
            (vec![FIXED.to_owned()], required()),
            "{volumes:?}"
        );
    }
}
