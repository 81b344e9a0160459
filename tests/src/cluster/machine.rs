//! The machine under the cluster: the kernel settings that it changes, and what tells whether it left a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use serde::{Deserialize, Serialize};

use super::command::{Stop, run, words};
use super::place;

/// Kernel settings of the whole machine that a cluster changes: forwarding by us, the others by the kubelet.
const SETTINGS: &[&str] = &[
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
];

fn settings() -> BTreeMap<String, String> {
    SETTINGS
        .iter()
        .filter_map(|name| {
            let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            Some(((*name).to_owned(), text.trim().to_owned()))
        })
        .collect()
}

/// What the machine was like, in `machine.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Saved {
    settings: BTreeMap<String, String>,
    /// `ip netns add` makes this folder, and mounts it on itself, when it is first used.
    netns: Netns,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Netns {
    Missing,
    Folder,
    Mounted,
}

const NETNS: &str = "/run/netns";

fn netns() -> Result<Netns> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    Ok(
        if mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some(NETNS))
        {
            Netns::Mounted
        } else if Path::new(NETNS).exists() {
            Netns::Folder
        } else {
            Netns::Missing
        },
    )
}

fn saved() -> PathBuf {
    place::run_in("machine.json")
}

/// Writes down what the machine is like, before anything changes it.
pub(crate) fn save() -> Result<()> {
    let saved_now = Saved {
        settings: settings(),
        netns: netns()?,
    };
    fs::write(saved(), serde_json::to_vec(&saved_now)?)
        .with_context(|| format!("{} can't be written", saved().display()))
}

/// Makes it so again, once the cluster's namespaces are gone.
pub(crate) fn restore() -> Result<()> {
    let Ok(text) = fs::read(saved()) else {
        return Ok(());
    };
    let before: Saved = serde_json::from_slice(&text)?;
    let now = settings();
    for (name, value) in before.settings {
        if now.get(&name) != Some(&value) {
            fs::write(Path::new("/proc/sys").join(&name), &value)
                .with_context(|| format!("{name} can't be set to {value} again"))?;
        }
    }
    // Somebody else may use it by now.
    let unused = fs::read_dir(NETNS).is_ok_and(|mut entries| entries.next().is_none());
    if unused && before.netns != Netns::Mounted && netns()? == Netns::Mounted {
        run(&Stop::default(), &mut words(&format!("umount {NETNS}")))?;
    }
    if unused && before.netns == Netns::Missing {
        fs::remove_dir(NETNS)?;
    }
    Ok(())
}

/// Lets the machine forward between the nodes.
pub(crate) fn forward() -> Result<()> {
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("forwarding can't be switched on")
}

/// How cgroups begin that this project, the kubelet and containerd make.
const CGROUPS: [&str; 5] = ["containerd", "cri", "k8s", "kube", "natsguard"];

/// What a cluster could leave behind on a machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint(BTreeSet<String>);

impl Footprint {
    /// What there is now: processes of our programs or in namespaces other than ours, network namespaces, mounts, links,
    /// routes, cgroups as Kubernetes names them, changed kernel settings, files where programs of a node write, and the folder of the running cluster.
    pub fn now() -> Result<Self> {
        let stop = Stop::default();
        let mut found = BTreeSet::new();
        for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
            found.insert(format!("mount {}", line.split(' ').nth(4).unwrap_or(line)));
        }
        for entry in fs::read_dir("/run/netns").into_iter().flatten() {
            found.insert(format!("netns {}", entry?.file_name().to_string_lossy()));
        }
        for line in run(&stop, &mut words("ip -o link show"))?.lines() {
            found.insert(format!("link {}", line.split(": ").nth(1).unwrap_or(line)));
        }
        for line in run(&stop, &mut words("ip -o route show"))?.lines() {
            found.insert(format!("route {line}"));
        }
        for (name, value) in settings() {
            found.insert(format!("setting {name} = {value}"));
        }
        for path in below(Path::new("/sys/fs/cgroup"), 3) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            // The machine's own come and go with its sessions and services.
            if path.is_dir() && CGROUPS.iter().any(|ours| name.starts_with(ours)) {
                found.insert(format!("cgroup {}", path.display()));
            }
        }
        for root in [
            "/etc",
            "/opt",
            "/run",
            "/usr/libexec",
            "/var/lib",
            "/var/log",
        ] {
            for file in below(Path::new(root), 4) {
                found.insert(format!("file {}", file.display()));
            }
        }
        for process in foreign_processes() {
            found.insert(format!("process {process}"));
        }
        if place::run().exists() {
            found.insert(format!("folder {}", place::run().display()));
        }
        Ok(Self(found))
    }

    /// What is there after and was not before (`+`), and the other way round (`-`).
    pub fn difference(&self, after: &Self) -> Vec<String> {
        let new = after
            .0
            .difference(&self.0)
            .map(|thing| format!("+ {thing}"));
        let gone = self
            .0
            .difference(&after.0)
            .map(|thing| format!("- {thing}"));
        new.chain(gone).collect()
    }

    /// How many things it counts.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it counts none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Processes, without those of the machine's own that come and go: what runs one of our programs, or stands in a mount,
/// network or process namespace that is not this process's.
fn foreign_processes() -> Vec<String> {
    const NAMESPACES: [&str; 3] = ["mnt", "net", "pid"];
    let space = |id: &str, name: &str| fs::read_link(format!("/proc/{id}/ns/{name}")).ok();
    let own = NAMESPACES.map(|name| space("self", name));
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_string_lossy().into_owned();
        if !id.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        // A kernel thread has no executable.
        let Ok(executable) = fs::read_link(format!("/proc/{id}/exe")) else {
            continue;
        };
        let elsewhere = NAMESPACES
            .iter()
            .zip(&own)
            .any(|(name, own)| space(&id, name).is_some_and(|space| Some(&space) != own.as_ref()));
        if elsewhere || executable.starts_with(place::programs()) {
            found.push(format!("{id} {}", executable.display()));
        }
    }
    found
}

/// What is in a folder, so many levels deep.
fn below(root: &Path, depth: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if depth > 1 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(below(&entry.path(), depth - 1));
        }
        found.push(entry.path());
    }
    found
}
