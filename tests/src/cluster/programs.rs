//! The programs of a cluster, each built from the Go module that pins it (`tests/cluster/programs`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use sha2::{Digest as _, Sha256};

use super::command::{Stop, watch};
use super::place;

/// A Go module and what is built from it.
struct Module {
    /// Its folder in `tests/cluster/programs`, or a path from there.
    folder: &'static str,
    /// The module whose version is the version of these programs; none for our own code.
    version_of: Option<&'static str>,
    /// The programs, and their packages.
    programs: &'static [(&'static str, &'static str)],
    /// Roughly how long two cores take.
    minutes: &'static str,
}

impl Module {
    fn source(&self) -> PathBuf {
        place::sources().join("programs").join(self.folder)
    }

    /// The version of its programs as its `go.mod` pins it.
    fn version(&self) -> Result<String> {
        let Some(module) = self.version_of else {
            return Ok("v1".to_owned());
        };
        let path = self.source().join("go.mod");
        let text = fs::read_to_string(&path)
            .with_context(|| format!("{} can't be read", path.display()))?;
        text.lines()
            .find_map(|line| {
                let line = line.trim().trim_start_matches("require ");
                let mut words = line.split_whitespace();
                (words.next() == Some(module))
                    .then(|| words.next().filter(|word| word.starts_with('v')))
                    .flatten()
            })
            .map(str::to_owned)
            .with_context(|| format!("{} pins no {module}", path.display()))
    }
}

/// The version that is pinned for a program, as in `v1.37.2`.
pub(super) fn pinned(program: &str) -> Result<String> {
    MODULES
        .iter()
        .find(|module| module.programs.iter().any(|(name, _)| *name == program))
        .with_context(|| format!("no module pins {program}"))?
        .version()
}

const MODULES: &[Module] = &[
    Module {
        folder: "etcd",
        version_of: Some("go.etcd.io/etcd/server/v3"),
        programs: &[("etcd", "go.etcd.io/etcd/server/v3")],
        minutes: "a minute",
    },
    Module {
        folder: "containerd",
        version_of: Some("github.com/containerd/containerd/v2"),
        programs: &[
            (
                "containerd",
                "github.com/containerd/containerd/v2/cmd/containerd",
            ),
            (
                "containerd-shim-runc-v2",
                "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            ),
            ("ctr", "github.com/containerd/containerd/v2/cmd/ctr"),
        ],
        minutes: "a minute",
    },
    Module {
        folder: "cni",
        version_of: Some("github.com/containernetworking/plugins"),
        programs: &[
            (
                "bridge",
                "github.com/containernetworking/plugins/plugins/main/bridge",
            ),
            (
                "loopback",
                "github.com/containernetworking/plugins/plugins/main/loopback",
            ),
            (
                "host-local",
                "github.com/containernetworking/plugins/plugins/ipam/host-local",
            ),
            (
                "portmap",
                "github.com/containernetworking/plugins/plugins/meta/portmap",
            ),
        ],
        minutes: "seconds",
    },
    Module {
        folder: "pause",
        version_of: None,
        programs: &[("pause", ".")],
        minutes: "seconds",
    },
    Module {
        folder: "../../oracle",
        version_of: Some("github.com/nats-io/nats-server/v2"),
        programs: &[("nats-server", "github.com/nats-io/nats-server/v2")],
        minutes: "seconds",
    },
    Module {
        folder: "helm",
        version_of: Some("helm.sh/helm/v4"),
        programs: &[("helm", "helm.sh/helm/v4/cmd/helm")],
        minutes: "two minutes",
    },
    Module {
        folder: "helm3",
        version_of: Some("helm.sh/helm/v3"),
        programs: &[("helm3", "helm.sh/helm/v3/cmd/helm")],
        minutes: "two minutes",
    },
    Module {
        folder: "coredns",
        version_of: Some("github.com/coredns/coredns"),
        programs: &[("coredns", "github.com/coredns/coredns")],
        minutes: "three minutes",
    },
    Module {
        folder: "kubernetes",
        version_of: Some("k8s.io/kubernetes"),
        programs: &[
            ("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"),
            (
                "kube-controller-manager",
                "k8s.io/kubernetes/cmd/kube-controller-manager",
            ),
            ("kube-scheduler", "k8s.io/kubernetes/cmd/kube-scheduler"),
            ("kubelet", "k8s.io/kubernetes/cmd/kubelet"),
            ("kube-proxy", "k8s.io/kubernetes/cmd/kube-proxy"),
            ("kubectl", "k8s.io/kubernetes/cmd/kubectl"),
        ],
        minutes: "ten minutes",
    },
];

/// What is taken from `$KUBEBUILDER_ASSETS` where that is set.
const ASSETS: [&str; 2] = ["etcd", "kube-apiserver"];

/// Programs that are there.
#[derive(Debug, Clone, Default)]
pub struct Programs {
    paths: BTreeMap<&'static str, PathBuf>,
}

impl Programs {
    /// Builds what is not there yet; `say` gets a line for a person now and then.
    pub fn build(stop: &Stop, say: impl FnMut(&str)) -> Result<Self> {
        Self::of(|_| true, stop, say)
    }

    /// Builds these only.
    pub fn only(names: &[&str], stop: &Stop, say: impl FnMut(&str)) -> Result<Self> {
        Self::of(|name| names.contains(&name), stop, say)
    }

    fn of(
        is_wanted: impl Fn(&str) -> bool,
        stop: &Stop,
        mut say: impl FnMut(&str),
    ) -> Result<Self> {
        let mut programs = Self::default();
        for module in MODULES {
            programs.add(module, &is_wanted, stop, &mut say)?;
        }
        Ok(programs)
    }

    fn add(
        &mut self,
        module: &Module,
        is_wanted: &dyn Fn(&str) -> bool,
        stop: &Stop,
        say: &mut dyn FnMut(&str),
    ) -> Result<()> {
        let assets = std::env::var_os("KUBEBUILDER_ASSETS").map(PathBuf::from);
        let mut wanted = Vec::new();
        for &(name, package) in module.programs {
            if !is_wanted(name) {
                continue;
            }
            match &assets {
                Some(assets) if ASSETS.contains(&name) => {
                    let path = assets.join(name);
                    if !path.is_file() {
                        bail!(
                            "KUBEBUILDER_ASSETS is {}, which has no {name}: unset it, or fill it with setup-envtest",
                            assets.display()
                        );
                    }
                    say(&format!("{name} is taken from KUBEBUILDER_ASSETS"));
                    self.paths.insert(name, path);
                }
                _ => wanted.push((name, package)),
            }
        }
        let source = module.source();
        let version = module.version()?;
        if wanted.is_empty() {
            return Ok(());
        }
        let flags = format!("-s -w {}", stamp(module, &version));
        let names: Vec<_> = wanted.iter().map(|(name, _)| *name).collect();
        let title = module.folder.rsplit('/').next().unwrap_or_default();
        let key = key(&source, &flags, &names)?;
        let folder = place::programs().join(format!("{title}-{version}-{key}"));
        if !folder.is_dir() {
            let partial = folder.with_extension("partial");
            let _ = fs::remove_dir_all(&partial);
            fs::create_dir_all(&partial)
                .with_context(|| format!("{} can't be made", partial.display()))?;
            say(&format!(
                "building {} {version} ({} on two cores)",
                names.join(", "),
                module.minutes
            ));
            compile(&source, &flags, &wanted, &partial, stop, say)?;
            fs::rename(&partial, &folder)?;
        }
        for name in names {
            self.paths.insert(name, folder.join(name));
        }
        Ok(())
    }

    /// Where a program is.
    pub fn path(&self, name: &str) -> Result<&Path> {
        self.paths
            .get(name)
            .map(PathBuf::as_path)
            .with_context(|| format!("{name} was not built"))
    }

    /// Names a program and what exactly it was built from.
    pub(crate) fn identity(&self, name: &str) -> Result<String> {
        let folder = self.path(name)?.parent().and_then(Path::file_name);
        Ok(folder.unwrap_or_default().to_string_lossy().into_owned())
    }

    /// A command that runs a program. What kubectl and helm remember of a cluster goes with it.
    pub fn command(&self, name: &str) -> Result<Command> {
        let mut command = Command::new(self.path(name)?);
        for (variable, folder) in [
            ("KUBECACHEDIR", "kubectl"),
            ("HELM_CACHE_HOME", "helm/cache"),
            ("HELM_CONFIG_HOME", "helm/config"),
            ("HELM_DATA_HOME", "helm/data"),
        ] {
            command.env(variable, place::run_in("clients").join(folder));
        }
        Ok(command)
    }
}

/// Helm's check of a chart's `kubeVersion`, and ours of what runs, need the version in the binary.
fn stamp(module: &Module, version: &str) -> String {
    if module.folder != "kubernetes" {
        return String::new();
    }
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    ["gitVersion", "gitMajor", "gitMinor"]
        .iter()
        .zip([version, major, minor])
        .fold(String::new(), |mut flags, (name, value)| {
            let _ = write!(flags, " -X k8s.io/component-base/version.{name}={value}");
            flags
        })
}

fn compile(
    source: &Path,
    flags: &str,
    wanted: &[(&str, &str)],
    into: &Path,
    stop: &Stop,
    say: &mut dyn FnMut(&str),
) -> Result<()> {
    let start = Instant::now();
    for (name, package) in wanted {
        let (mut told, mut packages) = (Instant::now(), 0);
        let mut command = Command::new("go");
        command
            .args([
                "build",
                "-v",
                "-mod=readonly",
                "-trimpath",
                "-ldflags",
                flags,
                "-o",
            ])
            .arg(into.join(name))
            .arg(package)
            .env("CGO_ENABLED", "0")
            .current_dir(source);
        let ended = watch(stop, &mut command, |text| {
            packages += text.matches('\n').count();
            if told.elapsed() > Duration::from_secs(20) {
                told = Instant::now();
                say(&format!(
                    "  {name}: {packages} packages compiled or fetched, {} s",
                    start.elapsed().as_secs()
                ));
            }
        })?;
        if !ended.status.success() {
            bail!("{command:?} failed: {}", tail(&ended.stderr));
        }
    }
    say(&format!("  built in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Changes whenever what is built could.
fn key(source: &Path, flags: &str, names: &[&str]) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(flags);
    hash.update(names.join(" "));
    let mut files: Vec<PathBuf> = fs::read_dir(source)
        .with_context(|| format!("{} can't be read", source.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        hash.update(fs::read(file)?);
    }
    Ok(hash.finalize()[..4]
        .iter()
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
}
