//! A cluster comes up and goes, whatever ends it, and leaves the machine as it was.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use natsguard_tests::bed::say;
use natsguard_tests::cluster::command::Stop;
use natsguard_tests::cluster::machine::Footprint;
use natsguard_tests::cluster::{Cluster, NODES, Programs};
use rustix::process::{Pid, Signal, kill_process};

/// What a test does, given whether it runs in full.
type Test = fn(&Stop, bool) -> Result<()>;

/// The tests, which need the machine without a cluster.
pub const TESTS: &[(&str, Test)] = &[
    ("lifecycle::clusters_leave_the_machine_as_it_was", cycles),
    ("lifecycle::a_second_up_says_that_one_runs", second_up),
    ("lifecycle::an_up_that_fails_leaves_nothing", failed_up),
    (
        "lifecycle::an_interrupted_up_leaves_nothing",
        interrupted_up,
    ),
    ("lifecycle::an_up_that_panics_leaves_nothing", panicking_up),
    ("lifecycle::what_a_killed_up_leaves_is_removed", killed_up),
];

fn same(before: &Footprint, what: &str) -> Result<()> {
    let left = before.difference(&Footprint::now()?);
    if left.is_empty() {
        return Ok(());
    }
    bail!("{what} left:\n{}", left.join("\n"))
}

fn programs(stop: &Stop) -> Result<Programs> {
    Programs::build(stop, say)
}

/// Ten times in full, else once: up, down, the same machine.
fn cycles(stop: &Stop, full: bool) -> Result<()> {
    let programs = programs(stop)?;
    let before = Footprint::now()?;
    for cycle in 1..=if full { 10 } else { 1 } {
        let start = Instant::now();
        let mut said = |_: &str| {};
        Cluster::up(NODES, programs.clone(), stop, &mut said)?;
        let (up, during) = (start.elapsed(), Footprint::now()?);
        // A comparison that sees nothing of a running cluster would see nothing of what it leaves.
        for kind in ["process", "netns", "link", "route", "cgroup", "folder"] {
            let seen = before.difference(&during);
            ensure!(
                seen.iter()
                    .any(|thing| thing.starts_with(&format!("+ {kind} "))),
                "the footprint of a running cluster has no {kind}"
            );
        }
        let start = Instant::now();
        ensure!(Cluster::down()?, "there was a cluster");
        same(&before, &format!("cycle {cycle}"))?;
        say(&format!(
            "lifecycle: cycle {cycle}: Ready in {:.1} s, gone in {:.1} s, {} things compared",
            up.as_secs_f64(),
            start.elapsed().as_secs_f64(),
            before.len()
        ));
    }
    ensure!(!Cluster::down()?, "there is nothing more to remove");
    Ok(())
}

/// `cargo cluster`, as a process of its own.
fn cluster(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cluster"));
    command
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn second_up(_: &Stop, _: bool) -> Result<()> {
    let before = Footprint::now()?;
    let first = cluster(&["up", "--nodes", "1"]).output()?;
    ensure!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    let second = cluster(&["up", "--nodes", "1"]).output()?;
    ensure!(second.status.success());
    assert_eq!(
        String::from_utf8_lossy(&second.stderr),
        "a cluster runs already; end it with `cargo cluster down`\n"
    );
    assert_eq!(second.stdout, first.stdout);
    let status = cluster(&["status"]).output()?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(status.contains("node/node1"), "{status}");
    let down = cluster(&["down"]).output()?;
    assert_eq!(
        String::from_utf8_lossy(&down.stderr),
        "the cluster is gone\n"
    );
    let again = cluster(&["down"]).output()?;
    assert_eq!(String::from_utf8_lossy(&again.stderr), "no cluster runs\n");
    let none = cluster(&["status"]).output()?;
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&none.stderr),
        "cargo cluster: no cluster runs; start one with `cargo cluster up`\n"
    );
    same(&before, "up, up, status, down")
}

/// etcd can't listen, so nothing can start.
fn failed_up(_: &Stop, _: bool) -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:12379").context("the port of etcd is free")?;
    let before = Footprint::now()?;
    let up = cluster(&["up"]).output()?;
    let said = String::from_utf8_lossy(&up.stderr).into_owned();
    assert_eq!(up.status.code(), Some(1), "{said}");
    ensure!(said.contains("etcd ended"), "{said}");
    ensure!(said.contains("address already in use"), "{said}");
    drop(taken);
    same(&before, "an up that failed")
}

/// Starts `up` and waits until it says that it waits for its nodes: the machine is full of processes.
fn half_up() -> Result<std::process::Child> {
    let mut child = cluster(&["up"]).spawn()?;
    let mut stderr = child.stderr.take().context("it is piped")?;
    let (send, said) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let (mut text, mut buffer) = (String::new(), [0; 1024]);
        while let Ok(count @ 1..) = stderr.read(&mut buffer) {
            text.push_str(&String::from_utf8_lossy(&buffer[..count]));
            let _ = send.send(text.clone());
        }
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_mins(3) {
        if let Ok(text) = said.recv_timeout(Duration::from_secs(1))
            && text.contains("waiting for the nodes")
        {
            return Ok(child);
        }
    }
    child.kill()?;
    bail!("up never waited for its nodes")
}

fn interrupted_up(_: &Stop, _: bool) -> Result<()> {
    let before = Footprint::now()?;
    let mut child = half_up()?;
    kill_process(Pid::from_child(&child), Signal::INT)?;
    assert_eq!(child.wait()?.code(), Some(1));
    same(&before, "an interrupted up")
}

fn panicking_up(stop: &Stop, _: bool) -> Result<()> {
    let programs = programs(stop)?;
    let before = Footprint::now()?;
    let result = std::panic::catch_unwind(|| {
        Cluster::up(1, programs, stop, &mut |line| {
            assert!(
                !line.contains("waiting for the nodes"),
                "as if something went wrong"
            );
        })
    });
    ensure!(result.is_err(), "it panicked");
    same(&before, "an up that panicked")
}

/// Nothing can run after SIGKILL, so what is left is removed by whoever comes next.
fn killed_up(_: &Stop, _: bool) -> Result<()> {
    let before = Footprint::now()?;
    let mut child = half_up()?;
    child.kill()?;
    child.wait()?;
    ensure!(
        same(&before, "a killed up").is_err(),
        "a killed up leaves what it started"
    );
    let down = cluster(&["down"]).output()?;
    assert_eq!(
        String::from_utf8_lossy(&down.stderr),
        "the cluster is gone\n"
    );
    // A command that it was waiting for, say kubectl, ends by itself: its apiserver is gone.
    for _ in 0..100 {
        if same(&before, "").is_ok() {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    same(&before, "down after a killed up")
}
