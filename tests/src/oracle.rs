//! nats-server's own configuration parser, as a process to ask.

use crate::go;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A running oracle (`tests/oracle/main.go`).
#[derive(Debug)]
pub struct Oracle {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Oracle {
    /// Builds the oracle and starts it.
    pub fn start() -> Self {
        let mut child = Command::new(build())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle that was just built starts");
        let stdin = child.stdin.take().expect("standard input is piped");
        let stdout = BufReader::new(child.stdout.take().expect("standard output is piped"));
        Self {
            child,
            stdin,
            stdout,
        }
    }

    /// What nats-server says to `text`, given an environment and the files that it may include.
    pub fn ask<Answer: DeserializeOwned>(
        &mut self,
        text: &[u8],
        includes: &BTreeMap<String, String>,
        env: &BTreeMap<String, String>,
    ) -> Answer {
        let includes: BTreeMap<_, _> = includes
            .iter()
            .map(|(path, text)| (path, encode(text.as_bytes())))
            .collect();
        let request = json!({ "text": encode(text), "env": env, "includes": includes });
        let mut line = request.to_string();
        line.push('\n');
        self.stdin
            .write_all(line.as_bytes())
            .expect("the oracle listens");
        let mut answer = String::new();
        self.stdout
            .read_line(&mut answer)
            .expect("the oracle answers");
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("the oracle died or mumbles: {error}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Builds the oracle and says where it is.
pub fn build() -> PathBuf {
    go::build(&go::module(), "oracle")
}

fn encode(bytes: &[u8]) -> Value {
    BASE64_STANDARD.encode(bytes).into()
}
