//! The control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, on the machine itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::cgroups::Cgroups;
use super::network::{HOST, SERVICES};
use super::pki::{self, Authority};
use super::place;
use super::process::Process;
use super::programs::Programs;

const ETCD: &str = "http://127.0.0.1:12379";

/// Writes the identities of the control plane and of the administrator.
pub(crate) fn identities(authority: &Authority) -> Result<()> {
    let names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "localhost",
        "127.0.0.1",
        HOST,
        "10.96.0.1",
    ];
    authority.issue("apiserver", "kube-apiserver", None, &names)?;
    authority.issue("front-proxy", "front-proxy", None, &[])?;
    let admin = authority.issue("admin", "admin", Some("system:masters"), &[])?;
    authority.kubeconfig("admin", &admin)?;
    for component in ["kube-controller-manager", "kube-scheduler", "kube-proxy"] {
        let user = format!("system:{component}");
        let identity = authority.issue(component, &user, None, &[])?;
        authority.kubeconfig(component, &identity)?;
    }
    pki::service_account_key()
}

/// What is written down of requests: all that natsguard asks for, without bodies.
const AUDIT: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts:natsguard-system"]}, {"level": "None"}]
}"#;

/// Where it is written down, one JSON object a line.
pub(crate) fn audit_log() -> PathBuf {
    place::run_in("log").join("audit.log")
}

/// Starts etcd.
pub(crate) fn start_etcd(programs: &Programs, cgroups: &Cgroups) -> Result<Process> {
    let mut etcd = programs.command("etcd")?;
    etcd.arg("--data-dir").arg(place::run_in("etcd")).args([
        "--listen-client-urls",
        ETCD,
        "--advertise-client-urls",
        ETCD,
        "--listen-peer-urls",
        "http://127.0.0.1:12380",
        // What a power cut would do to a test cluster is nobody's worry.
        "--unsafe-no-fsync",
    ]);
    Process::start(cgroups, "etcd", &etcd)
}

/// Starts the apiserver.
pub(crate) fn start_apiserver(programs: &Programs, cgroups: &Cgroups) -> Result<Process> {
    let policy = place::run_in("audit-policy.json");
    fs::write(&policy, AUDIT)?;
    let mut apiserver = programs.command("kube-apiserver")?;
    apiserver.args([
        &format!("--etcd-servers={ETCD}"),
        "--bind-address=0.0.0.0",
        "--secure-port=6443",
        &format!("--advertise-address={HOST}"),
        &format!("--service-cluster-ip-range={SERVICES}"),
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        // No kube-proxy runs beside the apiserver: it reaches webhooks through the endpoints of their Services.
        "--enable-aggregator-routing=true",
        // The names of the nodes are in no DNS.
        "--kubelet-preferred-address-types=InternalIP",
        // One authority signs both kinds of client, which the apiserver takes only with the names spelled out.
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        // Megabytes. It would begin anew at 100, and what tests look for in it would be gone.
        "--audit-log-maxsize=100000",
    ]);
    for (flag, name) in [
        ("tls-cert-file", "apiserver.crt"),
        ("tls-private-key-file", "apiserver.key"),
        ("client-ca-file", "ca.crt"),
        ("service-account-key-file", "sa.pub"),
        ("service-account-signing-key-file", "sa.key"),
        ("kubelet-client-certificate", "admin.crt"),
        ("kubelet-client-key", "admin.key"),
        ("kubelet-certificate-authority", "ca.crt"),
        ("requestheader-client-ca-file", "ca.crt"),
        ("proxy-client-cert-file", "front-proxy.crt"),
        ("proxy-client-key-file", "front-proxy.key"),
    ] {
        flag_file(&mut apiserver, flag, &pki::file(name));
    }
    flag_file(&mut apiserver, "audit-policy-file", &policy);
    flag_file(&mut apiserver, "audit-log-path", &audit_log());
    Process::start(cgroups, "kube-apiserver", &apiserver)
}

/// Starts what works through the apiserver.
pub(crate) fn start_controllers(programs: &Programs, cgroups: &Cgroups) -> Result<Vec<Process>> {
    let kubeconfig = |name: &str| place::run().join(format!("{name}.kubeconfig"));
    let mut manager = programs.command("kube-controller-manager")?;
    for (flag, path) in [
        ("kubeconfig", kubeconfig("kube-controller-manager")),
        ("service-account-private-key-file", pki::file("sa.key")),
        ("root-ca-file", pki::file("ca.crt")),
        ("cluster-signing-cert-file", pki::file("ca.crt")),
        ("cluster-signing-key-file", pki::file("ca.key")),
        // It makes this folder.
        ("flex-volume-plugin-dir", place::run_in("plugins")),
    ] {
        flag_file(&mut manager, flag, &path);
    }
    manager.args([
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        // A node that a test takes away is noticed while the test waits.
        "--node-monitor-grace-period=20s",
    ]);
    let mut scheduler = programs.command("kube-scheduler")?;
    flag_file(&mut scheduler, "kubeconfig", &kubeconfig("kube-scheduler"));
    scheduler.args(["--leader-elect=false", "--bind-address=127.0.0.1"]);
    Ok(vec![
        Process::start(cgroups, "kube-controller-manager", &manager)?,
        Process::start(cgroups, "kube-scheduler", &scheduler)?,
    ])
}

fn flag_file(command: &mut Command, flag: &str, path: &Path) {
    command.arg(format!("--{flag}={}", path.display()));
}
