//! Holds what `conf` reads against what nats-server's own parser said.

use base64::prelude::{BASE64_STANDARD, Engine};
use natsguard_policies::conf::{self, Config, Included, Kind, Map, Value};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// What every environment variable is set to.
pub(crate) const ENVIRONMENT: i64 = 22;

/// A document, and what nats-server says to it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Case {
    /// A sentence or less.
    pub(crate) name: String,
    /// The document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    /// The document, where it is no UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
    /// The files that it may include.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) includes: BTreeMap<String, String>,
    /// The environment, in which every variable is [`ENVIRONMENT`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) env: BTreeMap<String, String>,
    /// What nats-server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Answer>,
}

/// What nats-server says to a document.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether it accepts it.
    pub(crate) ok: bool,
    /// What it reads: floats and moments marked, the rest plain.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub(crate) values: Json,
    /// Its error.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) error: String,
    /// It crashed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) panic: bool,
    /// Its two modes disagree.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) pedantic_differs: bool,
}

impl Case {
    /// The document's bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => BASE64_STANDARD.decode(encoded).expect("valid base64"),
            (None, None) => Vec::new(),
        }
    }

    /// A case of these bytes.
    #[allow(dead_code, reason = "only the oracle's side makes cases")]
    pub(crate) fn of(name: &str, bytes: &[u8]) -> Self {
        let (text, base64) = match std::str::from_utf8(bytes) {
            Ok(text) => (Some(text.to_owned()), None),
            Err(_) => (None, Some(BASE64_STANDARD.encode(bytes))),
        };
        Self {
            name: name.to_owned(),
            text,
            base64,
            ..Self::default()
        }
    }

    /// Reads the document as the webhook would, with the case's includes as the only files.
    pub(crate) fn read(&self) -> Config {
        let mut directories = vec![Vec::new()];
        conf::read(&self.bytes(), &mut |path, includer| {
            let mut whole: Vec<String> = directories[includer].clone();
            for step in path.split('/') {
                match step {
                    "" | "." => {}
                    ".." => {
                        if whole.pop().is_none() {
                            return Included::Missing;
                        }
                    }
                    step => whole.push(step.to_owned()),
                }
            }
            let Some(text) = self.includes.get(&whole.join("/")) else {
                return Included::Missing;
            };
            whole.pop();
            directories.push(whole);
            Included::Text(text.clone().into_bytes())
        })
    }

    /// Where `conf` and nats-server part, if they do.
    pub(crate) fn disagreement(&self, answer: &Answer) -> Option<String> {
        if answer.pedantic_differs {
            return Some("nats-server's two modes disagree".to_owned());
        }
        let config = self.read();
        let missing = config
            .unresolved
            .iter()
            .find(|name| !self.env.contains_key(*name));
        match (&config.error, missing, answer.ok) {
            (Some(_), _, false) | (None, Some(_), false) => None,
            (Some(error), _, true) => {
                Some(format!("nats-server accepts it, conf does not: {error}"))
            }
            (None, Some(name), true) => Some(format!("nats-server knows the variable {name:?}")),
            (None, None, false) => Some(format!("nats-server refuses it: {}", answer.error)),
            (None, None, true) => map_differs(&config.root, &answer.values),
        }
    }
}

fn map_differs(ours: &Map, theirs: &Json) -> Option<String> {
    let Json::Object(theirs) = theirs else {
        return Some(format!("nats-server has no map but {theirs}"));
    };
    if ours.len() != theirs.len() {
        let keys: Vec<_> = ours.iter().map(|(key, _)| key).collect();
        return Some(format!(
            "keys {keys:?} instead of {:?}",
            theirs.keys().collect::<Vec<_>>()
        ));
    }
    ours.entries().iter().find_map(|entry| {
        let raw = entry.raw_key();
        let key = match std::str::from_utf8(raw) {
            Ok(key) => key.to_owned(),
            Err(_) => raw
                .iter()
                .fold("hex:".to_owned(), |hex, byte| format!("{hex}{byte:02x}")),
        };
        match theirs.get(&key) {
            None => Some(format!("nats-server has no key {key:?}")),
            Some(theirs) => {
                value_differs(&entry.value, theirs).map(|text| format!("{key}: {text}"))
            }
        }
    })
}

fn value_differs(ours: &Value, theirs: &Json) -> Option<String> {
    let float = |text: &Json| text.as_str().and_then(|text| text.parse::<f64>().ok());
    let same = match (&ours.kind, theirs) {
        (Kind::Null, theirs) => theirs.as_i64() == Some(ENVIRONMENT),
        (Kind::Bool(ours), theirs) => theirs.as_bool() == Some(*ours),
        (Kind::Integer(ours), theirs) => theirs.as_i64() == Some(*ours),
        (Kind::String(ours), theirs) => theirs.as_str() == Some(ours),
        (Kind::Datetime(ours), theirs) => *theirs == serde_json::json!({ "datetime": ours }),
        (Kind::Float(ours), Json::Object(theirs)) => {
            theirs.len() == 1
                && theirs.get("float").and_then(float).map(f64::to_bits) == Some(ours.to_bits())
        }
        (Kind::Array(ours), Json::Array(theirs)) => {
            let inner = ours
                .iter()
                .zip(theirs)
                .find_map(|(ours, theirs)| value_differs(ours, theirs));
            if inner.is_some() {
                return inner;
            }
            ours.len() == theirs.len()
        }
        (Kind::Map(ours), theirs) => return map_differs(ours, theirs),
        _ => false,
    };
    (!same).then(|| format!("{:?} instead of {theirs}", ours.kind))
}

/// The recorded cases, one per line, so that a changed answer is a changed line.
pub(crate) fn load(json: &str) -> Vec<Case> {
    serde_json::from_str(json).expect("valid cases")
}

/// The text of a record.
#[allow(dead_code, reason = "only the oracle's side writes")]
pub(crate) fn store(cases: &[Case]) -> String {
    let lines: Vec<_> = cases
        .iter()
        .map(|case| serde_json::to_string(case).expect("a case is JSON"))
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}
