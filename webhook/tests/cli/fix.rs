//! `natsguard fix`.

use std::fs;

use crate::support::{Folder, all, manifests, run, run_with};

fn text(name: &str) -> String {
    fs::read_to_string(manifests().join(name)).unwrap()
}

#[test]
fn only_what_is_wrong_changes() {
    let fixed = run(&["fix", "partitioned.yaml"]);
    assert_eq!(fixed.status, 0);
    let expected = text("partitioned.yaml")
        .replace(
            "        nats://nats:6222\n",
            "        nats://nats-0.nats.messaging.svc.cluster.local:6222\n        \
             nats://nats-1.nats.messaging.svc.cluster.local:6222\n        \
             nats://nats-2.nats.messaging.svc.cluster.local:6222\n",
        )
        .replace(
            "  - {name: cluster, port: 6222}\n",
            "  - {name: cluster, port: 6222}\n  publishNotReadyAddresses: true\n",
        )
        .replace(
            "          name: nats-config\n  volumeClaimTemplates",
            "          name: nats-config\n      affinity:\n        podAntiAffinity:\n          \
             requiredDuringSchedulingIgnoredDuringExecution:\n          - labelSelector:\n              matchLabels:\n                \
             app: nats\n            topologyKey: kubernetes.io/hostname\n  volumeClaimTemplates",
        );
    assert_eq!(fixed.out, expected);
    assert!(
        fixed
            .err
            .contains("deny[network-filesystem]: JetStream's store lies on a network file system"),
        "{}",
        fixed.err
    );
    assert!(fixed.err.contains("warn[unbounded-store]"), "{}", fixed.err);
}

#[test]
fn repairing_twice_changes_nothing_and_nothing_fixable_is_left() {
    for name in all() {
        let once = run(&["fix", &name]);
        assert_eq!(once.status, 0, "{name}");
        let twice = run_with(&["fix", "-"], &once.out);
        assert_eq!(twice.out, once.out, "{name}");
        let check = run_with(&["check", "-o", "json", "-"], &once.out);
        let report: serde_json::Value = serde_json::from_str(&check.out).unwrap();
        assert_eq!(report["summary"]["fix"], 0, "{name}");
    }
}

#[test]
fn what_is_sound_comes_out_byte_for_byte() {
    for name in ["sound.yaml", "deployment.yaml"] {
        assert_eq!(run(&["fix", name]).out, text(name), "{name}");
        let windows = text(name).replace('\n', "\r\n");
        assert_eq!(run_with(&["fix", "-"], &windows).out, windows, "{name}");
        let unended = text(name).trim_end().to_owned();
        assert_eq!(run_with(&["fix", "-"], &unended).out, unended, "{name}");
    }
}

#[test]
fn crlf_stays_crlf() {
    let fixed = run_with(
        &["fix", "-"],
        text("partitioned.yaml").replace('\n', "\r\n"),
    )
    .out;
    assert_eq!(
        fixed.replace("\r\n", "\n"),
        run(&["fix", "partitioned.yaml"]).out
    );
    assert_eq!(fixed.matches('\n').count(), fixed.matches("\r\n").count());
}

#[test]
fn several_files_make_one_stream() {
    let stream = run(&["fix", "deployment.yaml", "sound.yaml"]).out;
    assert_eq!(
        stream,
        format!("{}---\n{}", text("deployment.yaml"), text("sound.yaml"))
    );
}

#[test]
fn a_file_is_written_in_place() {
    let folder = Folder::new();
    let path = folder.write("nats.yaml", text("partitioned.yaml"));
    let sound = folder.write(
        "sound.yaml",
        text("sound.yaml").replace("messaging", "other"),
    );
    let untouched = fs::metadata(&sound).unwrap().modified().unwrap();
    let run_in_place = run(&["fix", "--in-place", folder.0.to_str().unwrap()]);
    assert_eq!((run_in_place.status, run_in_place.out.as_str()), (0, ""));
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        run(&["fix", "partitioned.yaml"]).out
    );
    assert_eq!(fs::metadata(&sound).unwrap().modified().unwrap(), untouched);
    assert_eq!(
        fs::read_dir(&folder.0).unwrap().count(),
        2,
        "no temporary file is left"
    );
    let refused = run_with(&["fix", "--in-place", "-"], "");
    assert_eq!(refused.status, 2);
    assert!(
        refused
            .err
            .contains("standard input can't be written in place")
    );
}

#[test]
fn a_diff_shows_what_would_change() {
    let diff = run(&["fix", "--diff", "partitioned.yaml"]).out;
    assert!(
        diff.starts_with("--- partitioned.yaml\n+++ partitioned.yaml\n@@ -25,1 +25,3 @@\n"),
        "{diff}"
    );
    assert!(diff.contains("\n-        nats://nats:6222\n+        nats://nats-0.nats.messaging.svc.cluster.local:6222\n"), "{diff}");
    assert_eq!(run(&["fix", "--diff", "sound.yaml"]).out, "");
}

#[test]
fn a_secret_is_edited_through_base64() {
    use base64::Engine as _;
    let fixed = run(&["fix", "secret.yaml"]).out;
    let line = fixed
        .lines()
        .skip_while(|line| !line.contains("nats-server.conf: |-"))
        .nth(1)
        .unwrap();
    let conf = base64::engine::general_purpose::STANDARD
        .decode(line.trim())
        .unwrap();
    let conf = String::from_utf8(conf).unwrap();
    for pod in 0..5 {
        let route = format!(
            "    nats://peer:MARKED-route-password@orders-{pod}.orders-headless.shop.svc.cluster.local:6222\n"
        );
        assert_eq!(conf.matches(&route).count(), 1, "{conf}");
    }
    assert!(!conf.contains("@orders:6222"), "{conf}");
}
