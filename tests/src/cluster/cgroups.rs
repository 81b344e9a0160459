//! The cgroups of the cluster: every process that it starts, and whatever those start, is in one, and so can be found and
//! ended without a guess.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The name of the cluster's cgroup in every hierarchy.
pub(crate) const ROOT: &str = "natsguard";
/// What is in it beside the pods of the nodes: the control plane, containerd, the kubelets.
const SYSTEM: &str = "system";

/// The mounted hierarchies: one on cgroup v2, one for each controller on v1.
#[derive(Debug, Clone)]
pub(crate) struct Cgroups {
    v1: Vec<PathBuf>,
    v2: Option<PathBuf>,
}

impl Cgroups {
    /// Reads what is mounted.
    pub(crate) fn mounted() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("/proc is not mounted")?;
        let of_type = |kind: &str| {
            mounts
                .lines()
                .map(|line| line.split(' ').collect::<Vec<_>>())
                .filter(|fields| fields.get(2) == Some(&kind))
                .filter_map(|fields| fields.get(1).map(PathBuf::from))
                .collect::<Vec<_>>()
        };
        let cgroups = Self {
            v1: of_type("cgroup"),
            v2: of_type("cgroup2").into_iter().next(),
        };
        if cgroups.v1.is_empty() && cgroups.v2.is_none() {
            bail!("no cgroup hierarchy is mounted: mount cgroup2 at /sys/fs/cgroup");
        }
        Ok(cgroups)
    }

    fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.v1.iter().chain(&self.v2)
    }

    /// The hierarchies that processes are placed in by us; the kubelet's containers are placed in all of them by runc.
    fn tracking(&self) -> Result<&Path> {
        self.v1
            .iter()
            .find(|path| path.ends_with("pids"))
            .or(self.v2.as_ref())
            .or(self.v1.first())
            .map(PathBuf::as_path)
            .context("no cgroup hierarchy is mounted")
    }

    /// Makes a cgroup below the cluster's own in every hierarchy, able to hold processes.
    pub(crate) fn make(&self, name: &str) -> Result<()> {
        for hierarchy in &self.v1 {
            let mut group = hierarchy.clone();
            for part in [ROOT, name] {
                let parent = group.clone();
                group.push(part);
                fs::create_dir_all(&group)
                    .with_context(|| format!("{} can't be made", group.display()))?;
                // A cpuset without processors and memory takes no process.
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    if let Ok(text) = fs::read_to_string(parent.join(file)) {
                        fs::write(group.join(file), text.trim())?;
                    }
                }
            }
        }
        if let Some(v2) = &self.v2 {
            let mut group = v2.clone();
            for part in [ROOT, name] {
                if let Ok(controllers) = fs::read_to_string(group.join("cgroup.controllers")) {
                    for controller in controllers.split_whitespace() {
                        let _ = fs::write(
                            group.join("cgroup.subtree_control"),
                            format!("+{controller}"),
                        );
                    }
                }
                group.push(part);
                fs::create_dir_all(&group)
                    .with_context(|| format!("{} can't be made", group.display()))?;
            }
        }
        Ok(())
    }

    /// The file that takes the id of a process into the cluster's cgroup.
    pub(crate) fn entrance(&self) -> Result<PathBuf> {
        Ok(self
            .tracking()?
            .join(ROOT)
            .join(SYSTEM)
            .join("cgroup.procs"))
    }

    /// Makes what [`Self::entrance`] names.
    pub(crate) fn make_entrance(&self) -> Result<()> {
        self.make(SYSTEM)
    }

    /// Whether anything is left of a cluster.
    pub(crate) fn exist(&self) -> bool {
        self.all().any(|hierarchy| hierarchy.join(ROOT).exists())
    }

    /// The ids of the cluster's processes whose cgroup has `part` in its path: the uid of a pod, the id of a container,
    /// or nothing for all.
    pub(crate) fn processes(&self, part: &str) -> Result<Vec<i32>> {
        let root = self.tracking()?.join(ROOT);
        Ok(folders(&root)
            .iter()
            .filter(|folder| folder.to_string_lossy().contains(part))
            .flat_map(|folder| members(folder))
            .collect())
    }

    /// Ends every process of the cluster.
    pub(crate) fn kill(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            let ids = self.processes("")?;
            if ids.is_empty() {
                return Ok(());
            }
            if start.elapsed() > Duration::from_secs(30) {
                bail!("these processes don't end: {ids:?}");
            }
            for id in ids {
                signal(id, Signal::KILL)?;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes the cluster's cgroups.
    pub(crate) fn remove(&self) -> Result<()> {
        for hierarchy in self.all() {
            let mut folders = folders(&hierarchy.join(ROOT));
            folders.sort();
            for folder in folders.iter().rev() {
                let start = Instant::now();
                // The kernel lets go of a cgroup a moment after its last process has ended.
                while let Err(error) = fs::remove_dir(folder) {
                    if error.kind() == std::io::ErrorKind::NotFound {
                        break;
                    }
                    if start.elapsed() > Duration::from_secs(10) {
                        return Err(error)
                            .with_context(|| format!("{} can't be removed", folder.display()));
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            }
        }
        Ok(())
    }
}

/// Sends a signal to a process, if it still is one of the cluster's.
pub(crate) fn signal(id: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(id).context("0 is no process")?;
    // The descriptor holds on to this very process: the check that follows can't be about another with the same id.
    let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else {
        return Ok(());
    };
    let groups = fs::read_to_string(format!("/proc/{id}/cgroup")).unwrap_or_default();
    let own = format!(":/{ROOT}/");
    if groups.lines().any(|line| line.contains(&own)) {
        // It may be gone by now.
        let _ = pidfd_send_signal(descriptor, signal);
    }
    Ok(())
}

/// A folder and all below it.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        open.extend(
            entries
                .filter_map(Result::ok)
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        found.push(folder);
    }
    found
}

fn members(folder: &Path) -> Vec<i32> {
    fs::read_to_string(folder.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect()
}
