//! The long-running processes of the cluster: they outlive the command that starts them.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::cgroups::{self, Cgroups};
use super::place;

/// Enters the cgroup, leaves the terminal's session, and becomes the program: the id stays the same.
const BECOME: &str = r#"echo $$ >"$1" && shift && exec setsid "$@""#;

/// A process that was started.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts a program in the cluster's cgroup. What it prints goes to `log/<name>.log` of the running cluster.
    pub(crate) fn start(cgroups: &Cgroups, name: &str, command: &Command) -> Result<Self> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(place::run_in("log").join(format!("{name}.log")))?;
        let child = Command::new("sh")
            .args(["-c", BECOME, "sh"])
            .arg(cgroups.entrance()?)
            .arg(command.get_program())
            .args(command.get_args())
            .envs(
                command
                    .get_envs()
                    .filter_map(|(key, value)| Some((key, value?))),
            )
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("{name} can't be started"))?;
        fs::write(place::run_in("process").join(name), child.id().to_string())?;
        Ok(Self {
            name: name.to_owned(),
            child,
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error, with the end of its log, once it has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            let path = place::run_in("log").join(format!("{}.log", self.name));
            bail!(
                "{} ended ({status}); it said last:\n{}",
                self.name,
                end_of(&path)
            );
        }
        Ok(())
    }
}

/// Sends a signal to a process of the running cluster by its name.
pub(crate) fn signal(name: &str, signal: Signal) -> Result<()> {
    let path = place::run_in("process").join(name);
    let id = fs::read_to_string(&path).with_context(|| {
        let names = fs::read_dir(place::run_in("process")).into_iter().flatten();
        let mut names: Vec<_> = names
            .filter_map(Result::ok)
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        format!(
            "the cluster has no process {name}; it has {}",
            names.join(", ")
        )
    })?;
    cgroups::signal(id.trim().parse()?, signal)
}

fn end_of(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
