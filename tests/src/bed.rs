//! The test bed: one cluster to a test run, a namespace to a test, and what tests do with them.

pub mod nats;
pub mod space;
pub mod tunnel;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::FutureExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::cluster::command::{Stop, run};
use crate::cluster::images::{Image, from_containerfile};
use crate::cluster::{self, Cluster, NODES, Programs, place, tools};
use space::Space;

/// What a test run was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Run what takes long in full.
    pub full: bool,
    /// Leave the cluster and the namespaces of failed tests for a look.
    pub keep: bool,
    /// Where the logs of failed tests are kept.
    pub logs: PathBuf,
}

/// What a test needs of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Any cluster.
    Any,
    /// The cluster on this machine: nodes that can fail, disks, images.
    Local,
    /// The same, and no other test beside it.
    Alone,
}

/// The cluster that tests run against.
pub struct Target {
    /// The cluster on this machine; none where `KUBECONFIG` names another.
    pub local: Option<Cluster>,
    /// A client with all rights.
    pub client: kube::Client,
    /// helm and kubectl, and on this machine all others.
    pub programs: Programs,
    kubeconfig: PathBuf,
    image: tokio::sync::OnceCell<String>,
}

impl Target {
    /// A command that runs `helm` or `kubectl` against this cluster.
    pub fn command(&self, program: &str) -> Result<Command> {
        let mut command = self.programs.command(program)?;
        command.env("KUBECONFIG", &self.kubeconfig);
        Ok(command)
    }

    /// The cluster on this machine.
    pub fn local(&self) -> Result<&Cluster> {
        self.local
            .as_ref()
            .context("this needs the cluster on this machine: unset KUBECONFIG")
    }

    /// The name of the project's own image, `natsguard:<version>`, which every node has from then on.
    pub async fn project_image(&self, stop: &Stop) -> Result<&str> {
        let local = self.local()?.clone();
        let stop = stop.clone();
        self.image
            .get_or_try_init(|| async move {
                tokio::task::spawn_blocking(move || {
                    let image = build_project_image(&stop)?;
                    local.import(&stop, &image)?;
                    Ok(image.name)
                })
                .await?
            })
            .await
            .map(String::as_str)
    }
}

/// The test bed of one run.
pub struct Bed {
    options: Options,
    stop: Stop,
    runtime: tokio::runtime::Runtime,
    target: Mutex<Option<Arc<Target>>>,
    alone: RwLock<()>,
    /// Whether `KUBECONFIG` is set: then no cluster is started or ended here.
    named: bool,
    foreign: Option<PathBuf>,
    started: AtomicBool,
}

/// A test: what it does in its namespace.
pub type Test = for<'a> fn(&'a Space) -> Pin<Box<dyn Future<Output = Result<()>> + 'a>>;

impl Bed {
    /// A bed without a cluster yet: the first test that needs one starts it. `KUBECONFIG` names another to use.
    pub fn new(options: Options) -> Result<Self> {
        let named = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty());
        let named = named.map(PathBuf::from);
        let is_named = named.is_some();
        let foreign = named.filter(|path| *path != cluster::kubeconfig());
        Ok(Self {
            options,
            stop: Stop::on_signals()?,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?,
            target: Mutex::new(None),
            alone: RwLock::new(()),
            named: is_named,
            foreign,
            started: false.into(),
        })
    }

    /// The kubeconfig of the cluster that is not on this machine, if the run is about one.
    pub fn foreign(&self) -> Option<&PathBuf> {
        self.foreign.as_ref()
    }

    /// Whether `KUBECONFIG` names the cluster.
    pub fn is_named(&self) -> bool {
        self.named
    }

    /// What the run was asked for.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Raised when the run has to end.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Runs a test in a namespace of its own, and keeps what tells why it failed.
    pub fn run(&self, name: &str, needs: Needs, test: Test) -> Result<()> {
        let (_shared, _alone);
        if needs == Needs::Alone {
            _alone = self.alone.write().unwrap_or_else(PoisonError::into_inner);
        } else {
            _shared = self.alone.read().unwrap_or_else(PoisonError::into_inner);
        }
        let target = self.target()?;
        self.runtime.block_on(async {
            let space = Space::make(target, self.options.clone(), self.stop.clone(), name).await?;
            let result = AssertUnwindSafe(test(&space)).catch_unwind().await;
            let result = result.unwrap_or_else(|panic| {
                let text = panic.downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                bail!("{}", text.unwrap_or_else(|| "the test panicked".to_owned()))
            });
            space.end(result).await
        })
    }

    /// Runs something that needs the machine without a cluster on it.
    pub fn run_without_cluster(&self, test: impl FnOnce(&Stop) -> Result<()>) -> Result<()> {
        let _alone = self.alone.write().unwrap_or_else(PoisonError::into_inner);
        self.release()?;
        if Cluster::is_running() {
            bail!("this needs the machine without a cluster: cargo cluster down");
        }
        test(&self.stop)
    }

    /// Ends the cluster, if this run started it. The next test that needs one starts another.
    pub fn release(&self) -> Result<()> {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        *target = None;
        if self.started.swap(false, Ordering::SeqCst) && !self.options.keep {
            Cluster::down()?;
        }
        Ok(())
    }

    /// Ends the cluster under whatever still runs on it.
    pub fn abandon(&self) -> Result<()> {
        if !self.named {
            Cluster::down()?;
        }
        Ok(())
    }

    fn target(&self) -> Result<Arc<Target>> {
        let mut target = self.target.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = &*target {
            return Ok(Arc::clone(target));
        }
        let mut say = |line: &str| say(line);
        let (local, programs) = if self.foreign.is_some() {
            (
                None,
                Programs::only(&["helm", "kubectl"], &self.stop, &mut say)?,
            )
        } else {
            tools::check()?;
            let programs = Programs::build(&self.stop, &mut say)?;
            let cluster = if self.named {
                Cluster::running(programs.clone()).context(
                    "KUBECONFIG names the cluster of this machine, which does not run: cargo cluster up, or unset it",
                )?
            } else {
                let up = Cluster::up(NODES, programs.clone(), &self.stop, &mut say)?;
                self.started.store(true, Ordering::SeqCst);
                up
            };
            (Some(cluster), programs)
        };
        let kubeconfig = self.foreign.clone().unwrap_or_else(cluster::kubeconfig);
        let client = self.runtime.block_on(client(&kubeconfig))?;
        let made = Arc::new(Target {
            local,
            client,
            programs,
            kubeconfig,
            image: tokio::sync::OnceCell::new(),
        });
        *target = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Tells the person at the terminal what takes so long.
#[allow(clippy::print_stderr, reason = "a test run speaks to its user")]
pub fn say(line: &str) {
    eprintln!("{line}");
}

async fn client(kubeconfig: &PathBuf) -> Result<kube::Client> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("KUBECONFIG {} can't be used", kubeconfig.display()))?;
    let mut config =
        kube::Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    // An answer that does not come is a failure; a watch has its own limit below this.
    config.read_timeout = Some(Duration::from_mins(1));
    // A 503 is an answer that tests ask for.
    config.default_retry = false;
    Ok(kube::Client::try_from(config)?)
}

/// Builds the project's image: a static binary alone in it (`webhook/Containerfile`).
fn build_project_image(stop: &Stop) -> Result<Image> {
    const TARGET: &str = "x86_64-unknown-linux-musl";
    tools::need(&[
        ("buildah", "buildah"),
        ("musl-gcc", "musl-tools"),
        ("cmake", "cmake"),
    ])?;
    let repository = place::repository();
    let installed = run(
        stop,
        Command::new("rustup").args(["target", "list", "--installed"]),
    )?;
    if !installed.lines().any(|line| line == TARGET) {
        bail!("Rust can't build static binaries yet: rustup target add {TARGET}");
    }
    say("building natsguard's image");
    let messages = run(
        stop,
        Command::new(env!("CARGO"))
            .args([
                "build",
                "--release",
                "--package",
                "natsguard",
                "--target",
                TARGET,
            ])
            .args(["--message-format", "json"])
            .current_dir(&repository),
    )?;
    let binary = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| Some(PathBuf::from(message.get("executable")?.as_str()?)))
        .context("cargo names no executable of natsguard")?;
    let folder = binary
        .parent()
        .context("the executable lies in no folder")?;
    let image = Image {
        name: format!("docker.io/library/natsguard:{}", env!("CARGO_PKG_VERSION")),
        archive: folder.join("natsguard-image.tar"),
    };
    let context = folder.join("image");
    std::fs::create_dir_all(&context)?;
    std::fs::copy(&binary, context.join("natsguard"))?;
    from_containerfile(
        stop,
        &repository.join("webhook/Containerfile"),
        &context,
        &image.name,
        &image.archive,
    )?;
    Ok(image)
}
