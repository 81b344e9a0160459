//! Runs commands to their end, unless the user has had enough.

use std::io::Read;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// Set once the user wants everything to end (Ctrl-C, or a termination signal).
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// A flag that SIGINT, SIGTERM and SIGHUP raise. From then on they do nothing else.
    pub fn on_signals() -> Result<Self> {
        let stop = Self::default();
        for signal in [
            signal_hook::consts::SIGINT,
            signal_hook::consts::SIGTERM,
            signal_hook::consts::SIGHUP,
        ] {
            signal_hook::flag::register(signal, Arc::clone(&stop.0))
                .context("a signal handler can't be set")?;
        }
        Ok(stop)
    }

    /// Whether it is time to end.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error once it is time to end.
    pub fn check(&self) -> Result<()> {
        if self.is_raised() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Asks `done` until it says yes; gives up after `limit` with what `what` names.
    pub fn wait(
        &self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let start = Instant::now();
        while !done()? {
            self.check()?;
            if start.elapsed() > limit {
                bail!("gave up waiting for {what} after {} s", limit.as_secs());
            }
            thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end; `line` gets what it prints on standard error, as it comes.
pub(crate) fn watch(
    stop: &Stop,
    command: &mut Command,
    mut line: impl FnMut(&str),
) -> Result<Ended> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} can't be started", name(command)))?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    let output = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(pipe) = &mut stdout {
            let _ = pipe.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let (send, lines) = std::sync::mpsc::channel();
    let errors = thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Some(pipe) = &mut stderr {
            match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
                    if send.send(text).is_err() {
                        break;
                    }
                }
            }
        }
    });
    let mut text = String::new();
    let mut interrupted = false;
    let status = loop {
        while let Ok(more) = lines.try_recv() {
            line(&more);
            text.push_str(&more);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if stop.is_raised() && !interrupted {
            interrupted = true;
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let _ = errors.join();
    text.extend(lines.try_iter());
    stop.check()?;
    Ok(Ended {
        status,
        stdout: output.join().unwrap_or_default(),
        stderr: text,
    })
}

/// Runs a command that must succeed, and gives what it printed.
pub(crate) fn run(stop: &Stop, command: &mut Command) -> Result<String> {
    let ended = watch(stop, command, |_| {})?;
    if !ended.status.success() {
        bail!(
            "{command:?} failed ({}): {}",
            ended.status,
            ended.stderr.trim()
        );
    }
    Ok(ended.stdout)
}

/// A command line given as words.
pub(crate) fn words(line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}
