//! `natsguard webhook` as a process: how it starts, and how signals end it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Folder, Process, run};

/// A command that serves probes, and what it reads.
pub(crate) struct Webhook {
    process: Process,
    /// Port of reviews.
    pub(crate) listen: u16,
    probes: u16,
    folder: Folder,
}

impl Webhook {
    /// In mode `secret`, which needs no cluster.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let folder = Folder::new();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["natsguard.natsguard.svc".to_owned()]).unwrap();
        folder.write("tls.crt", cert.pem());
        folder.write("tls.key", signing_key.serialize_pem());
        let webhook = Self::in_folder(folder, flags);
        webhook.wait_for("HTTP/1.1 200");
        webhook
    }

    /// With the certificate of this folder.
    fn in_folder(folder: Folder, flags: &[&str]) -> Self {
        let listen = free_port();
        let mut command = Command::new(env!("CARGO_BIN_EXE_natsguard"));
        command
            .arg("webhook")
            .arg("--tls-mode=secret")
            .arg(format!("--listen=127.0.0.1:{listen}"))
            .arg("--cert-file")
            .arg(folder.0.join("tls.crt"))
            .arg("--key-file")
            .arg(folder.0.join("tls.key"))
            .args(flags);
        Self {
            listen,
            ..Self::of(command, folder)
        }
    }

    /// Another command that serves probes.
    pub(crate) fn of(mut command: Command, folder: Folder) -> Self {
        let probes = free_port();
        command.arg(format!("--metrics-listen=127.0.0.1:{probes}"));
        Self {
            process: Process::start(&mut command),
            listen: 0,
            probes,
            folder,
        }
    }

    /// Its own certificate, which it also signed.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        fs::read(self.folder.0.join("tls.crt")).unwrap()
    }

    /// What it answers on the plain port; nothing when it doesn't.
    pub(crate) fn get(&self, path: &str) -> String {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.probes)) else {
            return String::new();
        };
        let mut answer = String::new();
        let _ = stream
            .write_all(
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .and_then(|()| stream.read_to_string(&mut answer));
        answer
    }

    pub(crate) fn wait_for(&self, status: &str) {
        let began = Instant::now();
        while !self.get("/readyz").starts_with(status) {
            assert!(began.elapsed() < Duration::from_secs(20), "no {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The exit status and what was said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        self.process.end()
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn one_sigterm_ends_it_gently() {
    let webhook = Webhook::start(&["--drain-delay=1s", "--drain-timeout=20s"]);
    webhook.signal("TERM");
    webhook.wait_for("HTTP/1.1 503");
    let (status, log) = webhook.end();
    assert_eq!(status, Some(0), "{log}");
    for line in log.lines() {
        assert!(
            line.starts_with("{\"timestamp\":") && line.ends_with('}'),
            "{line}"
        );
    }
    assert!(log.contains("\"message\":\"serving reviews\""), "{log}");
}

#[test]
fn two_end_it_at_once() {
    let webhook = Webhook::start(&["--drain-delay=60s"]);
    webhook.signal("TERM");
    webhook.wait_for("HTTP/1.1 503");
    let began = Instant::now();
    webhook.signal("INT");
    let (status, log) = webhook.end();
    assert_eq!(status, Some(1), "{log}");
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn it_is_ready_when_it_listens_and_not_before() {
    let webhook = Webhook::in_folder(Folder::new(), &[]);
    webhook.wait_for("HTTP/1.1 503");
    let answer = webhook.get("/readyz");
    let missing = "not ready: no valid certificate yet, not listening for reviews yet\n";
    assert!(answer.ends_with(missing), "{answer}");
}

#[test]
fn what_keeps_it_from_starting_is_said() {
    let mode = "--tls-mode=secret";
    let result = run(&["webhook", mode, "--settings=nowhere.yaml"]);
    assert_eq!(result.status, 2);
    assert_eq!(
        result.err,
        "natsguard: nowhere.yaml: can't be read: No such file or directory (os error 2)\n"
    );
    let result = run(&["webhook", mode, "--client-ca-file=fragile.yaml"]);
    assert_eq!(result.status, 2);
    assert!(
        result.err.starts_with("natsguard: client CA: "),
        "{}",
        result.err
    );
    let result = run(&["webhook", "--idle-timeout=soon"]);
    assert_eq!(result.status, 2);
    assert!(
        result
            .err
            .contains("write a number and one of ms, s, m, h, d, as in 90s"),
        "{}",
        result.err
    );
}
