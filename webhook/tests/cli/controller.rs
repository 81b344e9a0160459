//! `natsguard controller` as a process: how it starts, waits for a cluster, and ends.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use crate::apiserver::kubeconfig;
use crate::support::{Folder, run};
use crate::webhook::Webhook;

/// One that runs, with its cluster at this address.
fn start(address: SocketAddr) -> Webhook {
    let folder = Folder::new();
    let kubeconfig = folder.write("config", kubeconfig(&address.to_string()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
    command.arg("controller").env("KUBECONFIG", kubeconfig);
    let controller = Webhook::of(command, folder);
    controller.wait_for("HTTP/1.1 200");
    controller
}

#[test]
fn without_a_cluster_it_is_ready_and_waits_for_one() {
    let controller = start(SocketAddr::from(([127, 0, 0, 1], 1)));
    let metrics = controller.get("/metrics");
    for line in [
        "natsguard_controller_leader 0",
        "natsguard_controller_workloads 0",
        "natsguard_panics_total 0",
    ] {
        assert!(
            metrics.lines().any(|have| have == line),
            "{line}\n{metrics}"
        );
    }
    assert!(
        metrics.contains("natsguard_build_info{version=\""),
        "{metrics}"
    );
    assert!(!metrics.contains("natsguard_reviews"), "{metrics}");
    assert!(controller.get("/livez").ends_with("ok\n"));
    std::thread::sleep(Duration::from_millis(2500));
    controller.signal("TERM");
    let (status, log) = controller.end();
    assert_eq!(status, Some(0), "{log}");
    let waits = "\"message\":\"the Lease can't be had; will try again\",\"problem\":\"Connection refused (os error 111)\"";
    assert_eq!(log.matches(waits).count(), 1, "{log}");
    for line in log.lines() {
        assert!(
            line.starts_with("{\"timestamp\":") && line.ends_with('}'),
            "{line}"
        );
    }
}

#[test]
fn told_twice_it_ends_at_once() {
    // It takes connections and never answers, so handing over takes its time.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let controller = start(silent.local_addr().unwrap());
    controller.signal("TERM");
    controller.wait_for("HTTP/1.1 503");
    controller.signal("INT");
    let (status, log) = controller.end();
    assert_eq!(status, Some(1), "{log}");
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let result = run(&["controller", "--settings=nowhere.yaml"]);
    assert_eq!(result.status, 2);
    assert_eq!(
        result.err,
        "natsguard: nowhere.yaml: can't be read: No such file or directory (os error 2)\n"
    );
    for (flag, problem) in [
        ("--scan-every=0s", "it must be at least 1s"),
        (
            "--restart-after=soon",
            "write a number and one of ms, s, m, h, d, as in 90s",
        ),
        ("--writes-per-second=0", "0 is not in 1..=4294967295"),
        (
            "--reports=mail",
            "[possible values: auto, openreports, policyreports, none]",
        ),
        ("--lease=", "a value is required for '--lease <NAME>'"),
    ] {
        let result = run(&["controller", flag]);
        assert_eq!(result.status, 2, "{flag}");
        assert!(result.err.contains(problem), "{flag}: {}", result.err);
    }
    let output = Command::new(env!("CARGO_BIN_EXE_natsguard"))
        .arg("controller")
        .env("KUBECONFIG", "/nowhere/config")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("natsguard: found neither a pod's service account nor a kubeconfig: "),
        "{said}"
    );
}
