//! A real Kubernetes cluster on this machine, without a container engine: etcd, the control plane, and nodes that are
//! network namespaces, each with its own containerd, kubelet and kube-proxy.
//!
//! There is one at most. Every process of it is in its own cgroup, every mount in the mount namespace of a node, every
//! file below one folder, every link and namespace named after it: so it can be removed whole, by whoever finds it.

mod cgroups;
pub mod command;
mod control_plane;
pub mod definitions;
pub mod images;
pub mod machine;
mod network;
mod node;
mod pki;
pub mod place;
mod process;
mod programs;
pub mod tools;

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use cgroups::Cgroups;
use command::{Stop, run, watch};
use images::Image;
use node::Node;
pub use programs::Programs;

/// How many nodes a cluster has unless somebody says otherwise: a NATS cluster of three, one to a node.
pub const NODES: usize = 3;
/// Subnets and addresses are numbered by node.
pub const MOST_NODES: usize = 20;

/// In this process one change of the cluster at a time; among processes the lock file sees to it.
static CHANGING: Mutex<()> = Mutex::new(());

/// A running cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    nodes: usize,
    programs: Programs,
}

/// What a running cluster says of itself, in `cluster.json`.
#[derive(Debug, Serialize, Deserialize)]
struct State {
    nodes: usize,
}

/// Removes what is there of a cluster that did not come up.
struct Undo(bool);

impl Drop for Undo {
    fn drop(&mut self) {
        if self.0 {
            let _ = remove();
        }
    }
}

impl Cluster {
    /// Starts a cluster with `nodes` nodes and waits until all are Ready. What an earlier one left is removed first; a
    /// running one is an error. Needs root on Linux.
    pub fn up(
        nodes: usize,
        programs: Programs,
        stop: &Stop,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self> {
        if !(1..=MOST_NODES).contains(&nodes) {
            bail!("a cluster has 1 to {MOST_NODES} nodes, not {nodes}");
        }
        tools::check()?;
        place::check()?;
        let _one = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = lock()?;
        if let Some(running) = Self::state() {
            bail!(
                "a cluster with {} nodes runs already: export KUBECONFIG={} to use it, or end it with `cargo cluster down`",
                running.nodes,
                kubeconfig().display()
            );
        }
        let images = images::build(stop, &programs, say)?;
        if leftovers()? {
            say("removing what an earlier cluster left");
            remove()?;
        }
        let mut undo = Undo(true);
        start(nodes, &programs, &images, stop, say).inspect_err(|_| keep_logs(say))?;
        fs::write(
            place::run_in("cluster.json"),
            serde_json::to_vec(&State { nodes })?,
        )?;
        undo.0 = false;
        Ok(Self { nodes, programs })
    }

    /// The cluster that runs, if one does.
    pub fn running(programs: Programs) -> Option<Self> {
        let State { nodes } = Self::state()?;
        Some(Self { nodes, programs })
    }

    /// Whether a cluster runs, without building anything.
    pub fn is_running() -> bool {
        Self::state().is_some()
    }

    fn state() -> Option<State> {
        let text = fs::read(place::run_in("cluster.json")).ok()?;
        // After a reboot the file is there, and no process.
        let alive = Cgroups::mounted().ok()?.processes("").ok()?;
        (!alive.is_empty())
            .then(|| serde_json::from_slice(&text).ok())
            .flatten()
    }

    /// Ends the cluster and removes every process, namespace, mount, link, cgroup and file of it, also of one that is
    /// only half there. Says whether there was anything.
    pub fn down() -> Result<bool> {
        let _one = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let _lock = lock()?;
        if !leftovers()? {
            return Ok(false);
        }
        remove()?;
        Ok(true)
    }

    /// The programs that it was built from.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The names of its nodes.
    pub fn nodes(&self) -> Vec<String> {
        (1..=self.nodes).map(|number| Node(number).name()).collect()
    }

    fn node(&self, name: &str) -> Result<Node> {
        (1..=self.nodes)
            .map(Node)
            .find(|node| node.name() == name)
            .with_context(|| {
                format!(
                    "there is no {name}; the nodes are {}",
                    self.nodes().join(", ")
                )
            })
    }

    /// Cuts a node off the network: nothing reaches it or leaves it, and it knows nothing of that.
    pub fn fail_node(&self, name: &str) -> Result<()> {
        network::set_link(self.node(name)?.0, false)
    }

    /// Connects a node again.
    pub fn restore_node(&self, name: &str) -> Result<()> {
        network::set_link(self.node(name)?.0, true)
    }

    /// Stops a process of the cluster where it is, as a machine that hangs would (SIGSTOP): `kube-apiserver`, `etcd`,
    /// `kubelet-node1`, …
    pub fn pause(&self, process: &str) -> Result<()> {
        process::signal(process, Signal::STOP)
    }

    /// Lets it go on.
    pub fn resume(&self, process: &str) -> Result<()> {
        process::signal(process, Signal::CONT)
    }

    /// Ends the apiserver at once and starts it again: every watch breaks.
    pub fn restart_apiserver(&self) -> Result<()> {
        process::signal("kube-apiserver", Signal::KILL)?;
        // The port is free once the process is gone.
        thread::sleep(Duration::from_secs(1));
        control_plane::start_apiserver(&self.programs, &Cgroups::mounted()?).map(drop)
    }

    /// What natsguard asked the apiserver for, one JSON object of the kind `audit.k8s.io/v1 Event` a line, from a byte on.
    pub fn audit_log(&self, from: u64) -> Result<String> {
        let mut file = File::open(control_plane::audit_log())?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        Ok(text)
    }

    /// How many bytes of it there are.
    pub fn audit_size(&self) -> Result<u64> {
        Ok(fs::metadata(control_plane::audit_log())?.len())
    }

    /// Stops all processes of a pod where they are, its sandbox included.
    pub fn pause_pod(&self, uid: &str) -> Result<()> {
        signal_pod(uid, Signal::STOP)
    }

    /// Lets them go on.
    pub fn resume_pod(&self, uid: &str) -> Result<()> {
        signal_pod(uid, Signal::CONT)
    }

    /// The resident memory of the processes of a pod that run a program of this name, in bytes.
    pub fn memory_of(&self, uid: &str, program: &str) -> Result<u64> {
        let mut bytes = 0;
        for id in Cgroups::mounted()?.processes(uid)? {
            let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
            let field = |name: &str| {
                status
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.split_whitespace().next())
            };
            if field("Name:") == Some(program) {
                let kilobytes: u64 = field("VmRSS:").unwrap_or_default().parse()?;
                bytes += kilobytes * 1024;
            }
        }
        if bytes == 0 {
            bail!("no {program} runs in the pod {uid}");
        }
        Ok(bytes)
    }

    /// Ends all processes of a pod at once, as a crash would (SIGKILL).
    pub fn kill_pod(&self, uid: &str) -> Result<()> {
        signal_pod(uid, Signal::KILL)
    }

    /// Gives an image to every node.
    pub fn import(&self, stop: &Stop, image: &Image) -> Result<()> {
        for number in 1..=self.nodes {
            images::import(stop, &self.programs, &Node(number).socket(), image)?;
        }
        Ok(())
    }

    /// Makes a directory on a node that a `local` PersistentVolume can name, for any user to write.
    pub fn disk(&self, node: &str, name: &str) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.node(node)?.disks().join(name);
        fs::create_dir_all(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        Ok(path)
    }

    /// Copies the logs of all processes and containers.
    pub fn copy_logs(&self, into: &Path) -> Result<()> {
        copy(&place::run_in("log"), into)?;
        for number in 1..=self.nodes {
            copy(&Node(number).logs(), &into.join(Node(number).name()))?;
        }
        Ok(())
    }

    /// What a person asks for: the processes, and the nodes as Kubernetes sees them.
    pub fn status(&self) -> Result<String> {
        let processes = Cgroups::mounted()?.processes("")?.len();
        let mut kubectl = self.programs.command("kubectl")?;
        kubectl.arg("--kubeconfig").arg(kubeconfig()).args([
            "get",
            "nodes,pods",
            "--all-namespaces",
            "--request-timeout=10s",
        ]);
        let ended = watch(&Stop::default(), &mut kubectl, |_| {})?;
        Ok(format!(
            "{processes} processes, logs in {}\n\n{}{}",
            place::run_in("log").display(),
            ended.stdout,
            ended.stderr
        ))
    }
}

/// The administrator's kubeconfig of the running cluster.
pub fn kubeconfig() -> PathBuf {
    place::run().join("admin.kubeconfig")
}

/// Where the logs of a cluster that did not come up are kept.
fn failed_logs() -> PathBuf {
    place::cache().join("cluster/failed")
}

fn keep_logs(say: &mut dyn FnMut(&str)) {
    let kept = failed_logs();
    let _ = fs::remove_dir_all(&kept);
    if copy(&place::run_in("log"), &kept).is_ok() {
        say(&format!("the logs are kept in {}", kept.display()));
    }
}

fn signal_pod(uid: &str, signal: Signal) -> Result<()> {
    let ids = Cgroups::mounted()?.processes(uid)?;
    if ids.is_empty() {
        bail!("no process of a pod {uid} runs here");
    }
    ids.into_iter()
        .try_for_each(|id| cgroups::signal(id, signal))
}

/// Held while a cluster is started or removed; let go when the process ends, however it ends.
fn lock() -> Result<File> {
    let path = place::cache().join("cluster/lock");
    fs::create_dir_all(place::cache().join("cluster"))?;
    let file = File::create(&path).with_context(|| format!("{} can't be made", path.display()))?;
    if file.try_lock().is_err() {
        bail!("another process is starting or removing the cluster: wait for it");
    }
    Ok(file)
}

fn start(
    nodes: usize,
    programs: &Programs,
    images: &[Image],
    stop: &Stop,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    for folder in ["log", "process", "pki"] {
        fs::create_dir_all(place::run_in(folder))?;
    }
    machine::save()?;
    let cgroups = Cgroups::mounted()?;
    cgroups.make_entrance()?;
    let authority = pki::Authority::make()?;
    control_plane::identities(&authority)?;
    machine::forward()?;
    network::make(stop, nodes)?;

    say(&format!(
        "starting Kubernetes {} with {nodes} nodes",
        programs::pinned("kube-apiserver")?
    ));
    let mut processes = vec![
        control_plane::start_etcd(programs, &cgroups)?,
        control_plane::start_apiserver(programs, &cgroups)?,
    ];
    let nodes: Vec<Node> = (1..=nodes).map(Node).collect();
    for node in &nodes {
        node.configure(programs, &authority)?;
    }
    // Images are imported while the apiserver starts; a kubelet that is too early tries again.
    let started = thread::scope(|scope| {
        let threads: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(|| node.start(stop, programs, &cgroups, images)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| bail!("starting a node panicked"))
            })
            .collect::<Vec<_>>()
    });
    for node in started {
        processes.extend(node?);
    }
    let kubectl = |line: &str| -> Result<Command> {
        let mut kubectl = programs.command("kubectl")?;
        kubectl
            .arg("--kubeconfig")
            .arg(kubeconfig())
            .args(line.split(' '));
        Ok(kubectl)
    };
    stop.wait("kube-apiserver", Duration::from_mins(2), || {
        processes.iter_mut().try_for_each(process::Process::check)?;
        Ok(watch(stop, &mut kubectl("get --raw /readyz")?, |_| {})?
            .status
            .success())
    })?;
    processes.extend(control_plane::start_controllers(programs, &cgroups)?);
    run(
        stop,
        kubectl("apply --filename")?.arg(place::sources().join("addons.yaml")),
    )?;
    say("waiting for the nodes and for DNS");
    stop.wait("the nodes to be Ready and DNS to answer", Duration::from_mins(3), || {
        processes.iter_mut().try_for_each(process::Process::check)?;
        let query = "get nodes --output jsonpath={.items[*].status.conditions[?(@.type==\"Ready\")].status}";
        let ready = watch(stop, &mut kubectl(query)?, |_| {})?.stdout;
        let query = "get deployment coredns --namespace kube-system --output jsonpath={.status.readyReplicas}";
        let dns = watch(stop, &mut kubectl(query)?, |_| {})?.stdout;
        Ok(ready.split(' ').filter(|status| *status == "True").count() == nodes.len()
            && matches!(dns.as_str(), "1" | "2"))
    })
}

/// Whether anything is there of a cluster.
fn leftovers() -> Result<bool> {
    Ok(Cgroups::mounted()?.exist() || place::run().exists() || !network::leftovers()?.is_empty())
}

fn remove() -> Result<()> {
    let cgroups = Cgroups::mounted()?;
    cgroups.kill()?;
    network::remove()?;
    machine::restore()?;
    cgroups.remove()?;
    if place::run().exists() {
        fs::remove_dir_all(place::run())
            .with_context(|| format!("{} can't be removed", place::run().display()))?;
    }
    Ok(())
}

/// Copies the files of a folder and of those below it.
fn copy(from: &Path, into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for entry in fs::read_dir(from).into_iter().flatten() {
        let entry = entry?;
        let target = into.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.path().is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
