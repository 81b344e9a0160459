//! kube-apiserver's own evaluator of matchConditions, as a process to ask.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::helm;
use crate::program::build;

/// What one condition may cost (`PerCallLimit` in k8s.io/apiserver pkg/apis/cel/config.go). All of an entry together may cost
/// 2,500,000; no entry has more than two.
pub(crate) const LIMIT: u64 = 1_000_000;

/// The version whose evaluator it is, and the first one that the chart supports.
pub(crate) const VERSIONS: [&str; 2] = ["1.37", "1.30"];

/// Which webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Mutate,
    Validate,
}

/// What the apiserver would do.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) matches: bool,
    #[serde(default)]
    pub(crate) error: String,
    pub(crate) costs: Option<Vec<u64>>,
}

/// The evaluator, with the conditions of a rendered chart.
pub(crate) struct Evaluator {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    mutating: Value,
    validating: Value,
    version: &'static str,
}

impl Evaluator {
    /// Builds the evaluator, renders the chart with everything that it can look at, and starts.
    pub(crate) fn start(version: &'static str) -> Self {
        let objects = helm::render("ci/everything-values.yaml");
        let mut child = Command::new(build("cel"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the evaluator that was just built starts");
        Self {
            stdin: child.stdin.take().expect("standard input is piped"),
            stdout: BufReader::new(child.stdout.take().expect("standard output is piped")),
            child,
            mutating: helm::only(&objects, "MutatingWebhookConfiguration").clone(),
            validating: helm::only(&objects, "ValidatingWebhookConfiguration").clone(),
            version,
        }
    }

    /// What the apiserver would do with an object that is created, or that replaces another.
    pub(crate) fn ask(
        &mut self,
        step: Step,
        resource: &str,
        object: &Value,
        old: Option<&Value>,
    ) -> Answer {
        let configuration = match step {
            Step::Mutate => &self.mutating,
            Step::Validate => &self.validating,
        };
        let entries = configuration["webhooks"].as_array().expect("webhooks");
        let entries: Vec<Value> = entries
            .iter()
            .filter(|entry| entry["rules"][0]["resources"][0] == resource)
            .map(|entry| entry["matchConditions"].clone())
            .collect();
        assert!(!entries.is_empty(), "no webhook for {resource}");
        let mut answers = entries.into_iter().map(|conditions| {
            self.judge(&json!({
                "Version": self.version,
                "Conditions": conditions,
                "Operation": if old.is_some() { "UPDATE" } else { "CREATE" },
                "Resource": resource,
                "Object": object,
                "OldObject": old,
            }))
        });
        // An object is sent when one of the entries sends it; each has a cost of its own.
        let first = answers.next().expect("an entry");
        answers.fold(first, |all, one| Answer {
            matches: all.matches || one.matches,
            error: all.error + &one.error,
            costs: Some(
                [all.costs, one.costs]
                    .into_iter()
                    .flatten()
                    .flatten()
                    .collect(),
            ),
        })
    }

    fn judge(&mut self, question: &Value) -> Answer {
        // In one piece: a pipe takes each word of a value on its own, and objects have 3 MiB.
        let line = format!("{question}\n");
        self.stdin
            .write_all(line.as_bytes())
            .expect("the evaluator listens");
        let mut answer = String::new();
        self.stdout
            .read_line(&mut answer)
            .expect("the evaluator answers");
        serde_json::from_str(&answer)
            .unwrap_or_else(|error| panic!("the evaluator died or mumbles: {error}"))
    }

    /// Whether the object would be sent. An error is never one that we want to make.
    pub(crate) fn sends(
        &mut self,
        step: Step,
        resource: &str,
        object: &Value,
        old: Option<&Value>,
    ) -> bool {
        let answer = self.ask(step, resource, object, old);
        assert_eq!(answer.error, "", "{step:?} {resource} {object}");
        answer.matches
    }
}

impl Drop for Evaluator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
