//! The listings that every format is tested with.

use natsguard_policies::policy::Action;

use crate::listing::{Exempted, Listing, ObjectName, Row, Summary, Unchecked};
use crate::mask::Excerpt;

/// One finding of each action, and one that is exempted.
pub(super) fn listing() -> Listing {
    let deny = Row {
        policy: "service-route",
        action: Action::Deny,
        object: object("v1", "ConfigMap", Some("nats"), "nats-config"),
        field: "data[\"nats.conf\"].cluster.routes[0]".to_owned(),
        reason: "a route names a Service",
        detail: "nats-svc leads to any pod".to_owned(),
        remedy: "name each pod".to_owned(),
        file: "deploy/my nats.yaml".to_owned(),
        line: 14,
        column: 9,
        end: Some((14, 33)),
        excerpt: Some(excerpt("    /*ü*/nats://***@nats-svc:6222", 9)),
        workload: None,
    };
    let fix = Row {
        policy: "co-located-replicas",
        action: Action::Fix,
        object: object("apps/v1", "StatefulSet", Some("nats"), "nats"),
        field: "spec.template.spec.affinity".to_owned(),
        reason: "nothing keeps two replicas off one node",
        detail: "3 replicas".to_owned(),
        remedy: "add a rule".to_owned(),
        file: "deploy/my nats.yaml".to_owned(),
        line: 40,
        column: 3,
        end: Some((40, 7)),
        excerpt: None,
        workload: None,
    };
    let warn = Row {
        policy: "network-filesystem",
        action: Action::Warn,
        object: object("storage.k8s.io/v1", "StorageClass", None, "nfs"),
        field: "provisioner".to_owned(),
        reason: "the store lies on a network file system",
        detail: String::new(),
        remedy: "use a block device".to_owned(),
        file: "<stdin>".to_owned(),
        line: 3,
        column: 14,
        end: None,
        excerpt: Some(excerpt("provisioner: nfs.csi.k8s.io", 14)),
        workload: None,
    };
    let exempted = Exempted {
        row: Row {
            action: Action::Off,
            ..fix.clone()
        },
        reason: "one node only, see #12".to_owned(),
        expires: Some("2027-01-31".to_owned()),
    };
    Listing {
        summary: Summary {
            deny: 1,
            fix: 1,
            warn: 1,
            objects: 7,
        },
        findings: vec![deny, fix, warn],
        exempted: vec![exempted],
        has_workloads: true,
        ..Listing::default()
    }
}

/// The same findings at a workload of a cluster, and one at another.
pub(super) fn live() -> Listing {
    let mut listing = listing();
    listing.live = true;
    listing.summary.objects = 2;
    let nats = object("apps/v1", "StatefulSet", Some("nats"), "nats");
    let edge = object("apps/v1", "Deployment", Some("edge"), "leaf");
    let exempted = listing
        .exempted
        .iter_mut()
        .map(|exempted| &mut exempted.row);
    for (row, workload) in listing
        .findings
        .iter_mut()
        .chain(exempted)
        .zip([&nats, &nats, &edge, &nats])
    {
        row.file = workload.path();
        (row.line, row.column, row.excerpt) = (1, 1, None);
        row.workload = Some(workload.clone());
    }
    listing
}

/// A finding whose every text wants to be more than text.
pub(super) fn hostile() -> Listing {
    let evil = "a\u{1b}[2J\r\n::error::|`<b>&\"%,]]>\u{202e}\u{9b}\0\u{ffff}{0}[x](y)@all";
    let row = Row {
        policy: "short-route",
        action: Action::Warn,
        object: object(evil, evil, Some(evil), evil),
        field: evil.to_owned(),
        reason: "a route names a pod by a short name",
        detail: evil.to_owned(),
        remedy: evil.to_owned(),
        file: evil.to_owned(),
        line: 1,
        column: 2,
        end: None,
        excerpt: Some(excerpt(evil, 2)),
        workload: None,
    };
    Listing {
        summary: Summary {
            deny: 0,
            fix: 0,
            warn: 1,
            objects: 1,
        },
        exempted: vec![Exempted {
            row: row.clone(),
            reason: evil.to_owned(),
            expires: Some(evil.to_owned()),
        }],
        unchecked: vec![Unchecked {
            policy: row.policy,
            object: row.object.clone(),
            field: evil.to_owned(),
            reason: evil.to_owned(),
            remedy: evil.to_owned(),
        }],
        problems: vec![evil.to_owned()],
        findings: vec![row],
        has_workloads: true,
        ..Listing::default()
    }
}

/// Nothing found.
pub(super) fn empty() -> Listing {
    Listing {
        summary: Summary {
            objects: 7,
            ..Summary::default()
        },
        has_workloads: true,
        ..Listing::default()
    }
}

/// Nothing found, because not everything could be read and judged.
pub(super) fn unread() -> Listing {
    Listing {
        unchecked: vec![Unchecked {
            policy: "network-filesystem",
            object: object("apps/v1", "StatefulSet", Some("nats"), "nats"),
            field: "spec.template".to_owned(),
            reason: "StorageClass fast is not in the input".to_owned(),
            remedy: "pass it, too".to_owned(),
        }],
        problems: vec!["deploy/broken.yaml:3:1: not YAML".to_owned()],
        has_workloads: false,
        ..empty()
    }
}

fn excerpt(text: &str, column: usize) -> Excerpt {
    Excerpt {
        text: text.to_owned(),
        column,
    }
}

fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectName {
    ObjectName {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}
