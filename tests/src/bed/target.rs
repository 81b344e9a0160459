//! The cluster that tests run against, and the programs that ask it.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio::sync::{Mutex, OnceCell};

use super::say;
use crate::cluster::command::{Stop, run};
use crate::cluster::images::{Image, from_containerfile};
use crate::cluster::{Cluster, Programs, place, tools};

/// What a command printed.
#[derive(Debug, Clone)]
pub struct Said {
    /// Whether it did what it was asked.
    pub success: bool,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Said {
    /// Standard output, if it did what it was asked; else standard error is the error.
    pub fn ok(self) -> Result<String> {
        if self.success {
            Ok(self.stdout)
        } else {
            bail!("{}", self.stderr)
        }
    }
}

/// What is built of natsguard for a run: the static binary, and the image that has it alone.
#[derive(Debug, Clone)]
struct Project {
    binary: PathBuf,
    image: Image,
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
    project: OnceCell<Project>,
    /// Whether natsguard is installed, once somebody has seen to it.
    pub(super) guarded: Mutex<Option<bool>>,
}

impl Target {
    /// Connects to a cluster.
    pub(super) async fn new(
        local: Option<Cluster>,
        programs: Programs,
        kubeconfig: PathBuf,
    ) -> Result<Self> {
        Ok(Self {
            local,
            client: client(&kubeconfig).await?,
            programs,
            kubeconfig,
            project: OnceCell::new(),
            guarded: Mutex::default(),
        })
    }

    /// Runs `kubectl` or `helm` in a namespace; `input` is its standard input.
    pub async fn run(
        &self,
        program: &'static str,
        namespace: &str,
        arguments: &str,
        input: Option<String>,
    ) -> Result<Said> {
        let mut command = self.command(program)?;
        command
            .args(["--namespace", namespace])
            .args(arguments.split_whitespace());
        said(command, input).await
    }

    /// Runs the natsguard that is in the image on this machine, as a user with all rights would.
    pub async fn natsguard(&self, stop: &Stop, arguments: &str) -> Result<Said> {
        let mut command = Command::new(&self.project(stop).await?.binary);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .args(arguments.split_whitespace());
        said(command, None).await
    }

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
        Ok(&self.project(stop).await?.image.name)
    }

    async fn project(&self, stop: &Stop) -> Result<&Project> {
        let local = self.local()?.clone();
        let stop = stop.clone();
        self.project
            .get_or_try_init(|| async move {
                tokio::task::spawn_blocking(move || {
                    let project = build_project(&stop)?;
                    local.import(&stop, &project.image)?;
                    Ok(project)
                })
                .await?
            })
            .await
    }
}

/// What a command prints, given its standard input.
async fn said(mut command: Command, input: Option<String>) -> Result<Said> {
    command
        .stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(input.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        Ok(Said {
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    })
    .await?
}

async fn client(kubeconfig: &Path) -> Result<kube::Client> {
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
fn build_project(stop: &Stop) -> Result<Project> {
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
    Ok(Project { binary, image })
}
