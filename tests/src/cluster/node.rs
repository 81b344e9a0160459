//! A node: a network namespace, a mount namespace and a cgroup, with containerd, a kubelet and a kube-proxy in them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::cgroups::{Cgroups, ROOT};
use super::command::{Stop, watch};
use super::images::{self, Image, SANDBOX};
use super::network::{self, DNS, PODS};
use super::pki::{self, Authority};
use super::place;
use super::process::Process;
use super::programs::Programs;

/// Lays an overlay over the machine's folders, then becomes the program: containerd, its shims, CNI and the kubelet write to
/// fixed places there, which would be shared by all nodes and left behind.
const OVERLAY: &str = r#"
set -e
for folder in etc opt run usr var; do
    mkdir -p "$1/over/$folder" "$1/work/$folder"
    mount -t overlay -o "lowerdir=/$folder,upperdir=$1/over/$folder,workdir=$1/work/$folder" node "/$folder"
done
shift
exec "$@"
"#;

/// A node by its number, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node(pub(crate) usize);

impl Node {
    /// Its name in Kubernetes.
    pub(crate) fn name(self) -> String {
        format!("node{}", self.0)
    }

    fn folder(self) -> PathBuf {
        place::run_in(&self.name())
    }

    /// The socket of its containerd.
    pub(crate) fn socket(self) -> PathBuf {
        self.folder().join("containerd.sock")
    }

    /// Where its local disks lie.
    pub(crate) fn disks(self) -> PathBuf {
        self.folder().join("disks")
    }

    /// The logs of its containers.
    pub(crate) fn logs(self) -> PathBuf {
        self.folder().join("logs")
    }

    /// Writes its identity and its configuration files.
    pub(crate) fn configure(self, programs: &Programs, authority: &Authority) -> Result<()> {
        let (name, folder, address) = (self.name(), self.folder(), network::address(self.0));
        let file = |name: &str| folder.join(name).display().to_string();
        fs::create_dir_all(folder.join("cni"))?;
        fs::create_dir_all(self.disks())?;
        let identity = authority.issue(
            &name,
            &format!("system:node:{name}"),
            Some("system:nodes"),
            &[&name, &address],
        )?;
        authority.kubeconfig(&name, &identity)?;
        fs::write(file("resolv.conf"), "")?;
        let plugins = programs.path("bridge")?.parent().unwrap_or(&folder);
        let network = json!({
            "cniVersion": "1.0.0", "name": "pods",
            "plugins": [
                {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
                 "ipam": {"type": "host-local", "dataDir": file("ipam"),
                          "ranges": [[{"subnet": network::pod_subnet(self.0)}]], "routes": [{"dst": "0.0.0.0/0"}]}},
                {"type": "portmap", "capabilities": {"portMappings": true}}]
        });
        fs::write(file("cni/10-bridge.conflist"), network.to_string())?;
        let containerd = format!(
            r#"version = 3
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins.'io.containerd.nri.v1.nri']
  disable = true
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{SANDBOX}"
[plugins.'io.containerd.cri.v1.runtime']
  # Without CAP_SYS_RESOURCE a score can only be raised.
  restrict_oom_score_adj = true
  # The node's mount namespace holds them, and takes them along when it ends.
  netns_mounts_under_state_dir = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ["{plugins}"]
    conf_dir = "{cni}"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"#,
            root = file("containerd"),
            state = file("state"),
            socket = file("containerd.sock"),
            plugins = plugins.display(),
            cni = file("cni"),
        );
        fs::write(file("containerd.toml"), containerd)?;
        let kubelet = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true},
                               "x509": {"clientCAFile": pki::file("ca.crt")}},
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": pki::file(&format!("{name}.crt")),
            "tlsPrivateKeyFile": pki::file(&format!("{name}.key")),
            "clusterDNS": [DNS], "clusterDomain": "cluster.local",
            "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{ROOT}/{name}"), "failCgroupV1": false,
            "failSwapOn": false, "oomScoreAdj": 0, "featureGates": {"KubeletInUserNamespace": true},
            "containerRuntimeEndpoint": format!("unix://{}", file("containerd.sock")),
            "podLogsDir": self.logs(), "resolvConf": file("resolv.conf"), "volumePluginDir": file("volumeplugins"),
            "localStorageCapacityIsolation": false, "evictionHard": {"nodefs.available": "1%"},
            // Fast enough for a test that waits: the lease still outlives a busy moment.
            "nodeStatusUpdateFrequency": "4s", "syncFrequency": "10s",
        });
        fs::write(file("kubelet.json"), kubelet.to_string())?;
        let proxy = json!({
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "nftables",
            "clientConnection": {"kubeconfig": place::run().join("kube-proxy.kubeconfig")},
            "clusterCIDR": PODS, "hostnameOverride": name,
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpCloseWaitTimeout": "0s", "tcpEstablishedTimeout": "0s"},
        });
        fs::write(file("kube-proxy.json"), proxy.to_string())?;
        Ok(())
    }

    /// Starts it, with images, and leaves it to join.
    pub(crate) fn start(
        self,
        stop: &Stop,
        programs: &Programs,
        cgroups: &Cgroups,
        images: &[Image],
    ) -> Result<Vec<Process>> {
        let (name, folder) = (self.name(), self.folder());
        cgroups.make(&name)?;
        // `ip netns exec` would mount another /sys, in which the kubelet finds no cgroups.
        let mut containerd = Command::new("nsenter");
        containerd
            .arg(format!(
                "--net={}",
                network::namespace_file(self.0).display()
            ))
            // What the node mounts is its own, and ends with its last process.
            .args(["unshare", "--mount", "--propagation", "private"])
            .args(["sh", "-c", OVERLAY, "sh"])
            .arg(&folder)
            .arg(programs.path("containerd")?)
            .arg("--config")
            .arg(folder.join("containerd.toml"))
            // It starts the shims by name.
            .env("PATH", path_with(programs)?);
        let mut containerd = Process::start(cgroups, &format!("containerd-{name}"), &containerd)?;
        stop.wait(
            &format!("containerd of {name}"),
            Duration::from_mins(1),
            || {
                containerd.check()?;
                let mut ctr = programs.command("ctr")?;
                ctr.arg("--address").arg(self.socket()).arg("version");
                Ok(self.socket().exists() && watch(stop, &mut ctr, |_| {})?.status.success())
            },
        )?;
        for image in images {
            images::import(stop, programs, &self.socket(), image)?;
        }
        let inside = |program: &str| -> Result<Command> {
            let mut command = Command::new("nsenter");
            command
                .args(["--target", &containerd.id().to_string(), "--net", "--mount"])
                .arg(programs.path(program)?)
                .env("PATH", path_with(programs)?);
            Ok(command)
        };
        let mut kubelet = inside("kubelet")?;
        kubelet.args([
            format!("--config={}", folder.join("kubelet.json").display()),
            format!(
                "--kubeconfig={}",
                place::run().join(format!("{name}.kubeconfig")).display()
            ),
            format!("--hostname-override={name}"),
            format!("--node-ip={}", network::address(self.0)),
            format!("--root-dir={}", folder.join("kubelet").display()),
            format!("--cert-dir={}", folder.join("pki").display()),
        ]);
        let mut proxy = inside("kube-proxy")?;
        proxy.arg(format!(
            "--config={}",
            folder.join("kube-proxy.json").display()
        ));
        let kubelet = Process::start(cgroups, &format!("kubelet-{name}"), &kubelet)?;
        let proxy = Process::start(cgroups, &format!("kube-proxy-{name}"), &proxy)?;
        Ok(vec![containerd, kubelet, proxy])
    }
}

/// The search path with our containerd's shim in front.
fn path_with(programs: &Programs) -> Result<std::ffi::OsString> {
    let own = programs.path("containerd")?.parent().map(PathBuf::from);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    Ok(std::env::join_paths(
        own.into_iter().chain(std::env::split_paths(&inherited)),
    )?)
}
