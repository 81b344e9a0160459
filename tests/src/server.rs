//! A real nats-server to ask whether it would start with a configuration.

use crate::go::{go, module};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A nats-server in a root directory of its own, so that a configuration finds its files where it names them.
#[derive(Debug)]
pub struct Server {
    root: PathBuf,
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// What nats-server said to a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it would start.
    pub accepted: bool,
    /// What it printed.
    pub text: String,
}

impl Server {
    /// Builds the server of the version that `tests/oracle/go.mod` pins. Needs Go, and root for `chroot`.
    pub fn build() -> Self {
        let root = std::env::temp_dir().join(format!("natsguard-server-{}", std::process::id()));
        fs::create_dir_all(&root).expect("the temporary directory can be written");
        go(|go| {
            go.args(["build", "-o"])
                .arg(root.join("nats-server"))
                .arg("github.com/nats-io/nats-server/v2")
                .env("CGO_ENABLED", "0")
                .current_dir(module());
        });
        let goroot = go(|go| {
            go.args(["env", "GOROOT"]);
        });
        let generator = Path::new(goroot.trim()).join("src/crypto/tls/generate_cert.go");
        go(|go| {
            go.arg("run")
                .arg(generator)
                .args(["--host", "localhost", "--ca"])
                .current_dir(&root);
        });
        let read =
            |name: &str| fs::read(root.join(name)).expect("generate_cert.go writes its files");
        Self {
            certificate: read("cert.pem"),
            key: read("key.pem"),
            root,
        }
    }

    /// Lays files out and lets the server test the configuration at `main` (`nats-server -t -c`).
    /// `certificates` and `keys` are paths at which it expects some.
    pub fn test(
        &self,
        main: &str,
        files: &BTreeMap<String, Vec<u8>>,
        certificates: &[String],
        keys: &[String],
        env: &BTreeMap<String, String>,
    ) -> Verdict {
        let mut written = Vec::new();
        let mut write = |path: &str, bytes: &[u8]| {
            let path = self.root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().expect("a file has a parent"))
                .expect("directories can be made");
            fs::write(&path, bytes).expect("files can be written");
            written.push(path);
        };
        for (path, bytes) in files {
            write(path, bytes);
        }
        for path in certificates {
            write(path, &self.certificate);
        }
        for path in keys {
            write(path, &self.key);
        }
        let output = Command::new("chroot")
            .arg(&self.root)
            .args(["/nats-server", "-t", "-c", main])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(env)
            .output()
            .unwrap_or_else(|error| panic!("chroot (coreutils) could not be started: {error}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.starts_with("chroot:"), "chroot needs root: {text}");
        for path in written {
            let _ = fs::remove_file(path);
        }
        Verdict {
            accepted: output.status.success(),
            text,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}
