//! `natsguard webhook` as a process: how it starts, and how signals end it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::run;

pub(crate) struct Webhook {
    child: Child,
    /// Port of reviews.
    pub(crate) listen: u16,
    probes: u16,
    folder: PathBuf,
}

impl Webhook {
    /// In mode `secret`, which needs no cluster.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("natsguard-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["natsguard.natsguard.svc".to_owned()]).unwrap();
        fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
        fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
        let (listen, probes) = (free_port(), free_port());
        let child = Command::new(env!("CARGO_BIN_EXE_natsguard"))
            .arg("webhook")
            .arg("--tls-mode=secret")
            .arg(format!("--listen=127.0.0.1:{listen}"))
            .arg(format!("--metrics-listen=127.0.0.1:{probes}"))
            .arg("--cert-file")
            .arg(folder.join("tls.crt"))
            .arg("--key-file")
            .arg(folder.join("tls.key"))
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let webhook = Self {
            child,
            listen,
            probes,
            folder,
        };
        webhook.wait_for("HTTP/1.1 200");
        webhook
    }

    /// Another command that serves probes; the folder is removed at its end.
    pub(crate) fn of(child: Child, probes: u16, folder: PathBuf) -> Self {
        let running = Self {
            child,
            listen: 0,
            probes,
            folder,
        };
        running.wait_for("HTTP/1.1 200");
        running
    }

    /// Its own certificate, which it also signed.
    pub(crate) fn certificate(&self) -> Vec<u8> {
        fs::read(self.folder.join("tls.crt")).unwrap()
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
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit status and what was said.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut text = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        fs::remove_dir_all(&self.folder).unwrap();
        (status.code(), text)
    }
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn one_sigterm_ends_it_gently() {
    let webhook = Webhook::start("gently", &["--drain-delay=1s", "--drain-timeout=20s"]);
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
    let webhook = Webhook::start("at-once", &["--drain-delay=60s"]);
    webhook.signal("TERM");
    webhook.wait_for("HTTP/1.1 503");
    let began = Instant::now();
    webhook.signal("INT");
    let (status, log) = webhook.end();
    assert_eq!(status, Some(1), "{log}");
    assert!(began.elapsed() < Duration::from_secs(20));
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
