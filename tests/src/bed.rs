//! The test bed: one cluster to a test run, a namespace to a test, and what tests do with them.

pub mod guard;
pub mod nats;
pub mod space;
pub mod target;
pub mod tunnel;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockWriteGuard};

use anyhow::{Context as _, Result, bail};
use futures::FutureExt as _;

use crate::cluster::command::Stop;
use crate::cluster::{self, Cluster, NODES, Programs, tools};
use space::Space;
use target::Target;

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
pub struct Needs {
    /// The cluster on this machine: nodes that can fail, disks, images.
    pub local: bool,
    /// No other test beside it.
    pub alone: bool,
    /// natsguard, installed; else it must not be there.
    pub guard: bool,
}

impl Needs {
    /// Any cluster.
    pub const ANY: Self = Self {
        local: false,
        alone: false,
        guard: false,
    };
    /// The cluster on this machine.
    pub const LOCAL: Self = Self {
        local: true,
        ..Self::ANY
    };
    /// The cluster on this machine for itself.
    pub const ALONE: Self = Self {
        alone: true,
        ..Self::LOCAL
    };
    /// natsguard on it, which the test leaves as it is.
    pub const GUARD: Self = Self {
        guard: true,
        ..Self::LOCAL
    };
    /// natsguard on it, which the test may change: the next test gets another.
    pub const GUARD_ALONE: Self = Self {
        alone: true,
        ..Self::GUARD
    };
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
        let is_as_needed = |target: &Target| {
            self.foreign.is_some()
                || self.runtime.block_on(target.is_guarded()) == Some(needs.guard)
        };
        // The cluster is looked at, and started, only under the lock: tests of the machine have none while they hold it.
        let mut shared = Some(self.alone.read().unwrap_or_else(PoisonError::into_inner));
        let mut alone = None;
        let mut target = self.target()?;
        if needs.alone || !is_as_needed(&target) {
            shared = None;
            let all = self.alone.write().unwrap_or_else(PoisonError::into_inner);
            target = self.target()?;
            if !is_as_needed(&target) {
                self.runtime
                    .block_on(target.guard(&self.stop, needs.guard))?;
            }
            // Nobody comes in between: two tests that need different things would undo each other's for ever.
            if needs.alone {
                alone = Some(all);
            } else {
                shared = Some(RwLockWriteGuard::downgrade(all));
            }
        }
        let _held = (shared, alone);
        self.runtime.block_on(async {
            let space = Space::make(
                Arc::clone(&target),
                self.options.clone(),
                self.stop.clone(),
                name,
            )
            .await?;
            let result = AssertUnwindSafe(test(&space)).catch_unwind().await;
            if needs.guard && needs.alone {
                target.forget_guard().await;
            }
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
        Self::clear()?;
        let result = test(&self.stop);
        if result.is_err() {
            // What a failed test left of its cluster is not the fault of the next.
            Cluster::down()?;
        }
        result
    }

    /// Removes what a run that was killed left of its cluster. A cluster that runs is somebody's, and an error.
    pub fn clear() -> Result<()> {
        if Cluster::is_running() {
            bail!(
                "a cluster runs already: export KUBECONFIG={} to use it, or end it with `cargo cluster down`",
                cluster::kubeconfig().display()
            );
        }
        Cluster::down().map(drop)
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
                Programs::only(&["helm", "helm3", "kubectl"], &self.stop, &mut say)?,
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
        let made = Target::new(local, programs, kubeconfig);
        let made = Arc::new(self.runtime.block_on(made)?);
        *target = Some(Arc::clone(&made));
        Ok(made)
    }
}

/// Tells the person at the terminal what takes so long.
#[allow(clippy::print_stderr, reason = "a test run speaks to its user")]
pub fn say(line: &str) {
    eprintln!("{line}");
}
