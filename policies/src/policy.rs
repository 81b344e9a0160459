//! The vocabulary of the rules: a policy finds faults, a finding may carry the fix that mends it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bundle::ObjectId;
use crate::context::Context;

/// One rule. Its id names the fault, so that "allow `<id>`" is a sentence.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Kebab-case; file name, settings key, annotation value, metric label and page name.
    pub id: &'static str,
    /// The fault in one line of at most 60 characters, no final dot.
    pub title: &'static str,
    /// What is done about it unless the settings say otherwise.
    pub action: Action,
    /// What is done instead of [`Action::Fix`] about a finding that has no safe fix.
    pub otherwise: Action,
    /// The policy's page, Markdown.
    pub page: &'static str,
    /// Finds the fault in one workload.
    pub evaluate: fn(&Context<'_>) -> Vec<Finding>,
}

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Nothing: the policy is not evaluated.
    Off,
    /// It is said, and nothing else.
    Warn,
    /// It is repaired.
    Fix,
    /// The object is refused.
    Deny,
}

impl Action {
    /// The name used in settings, on the command line and in every output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Fix => "fix",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a fault lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The object that holds the field.
    pub object: ObjectId,
    /// JSON pointer (RFC 6901) of the field, or of the string that holds the configuration file.
    pub pointer: String,
    /// Bytes of the configuration file, decoded, when the fault lies inside one.
    pub span: Option<Range<usize>>,
    /// The field as people write it: `spec.template.spec.volumes[2].nfs`, `data["nats.conf"].cluster.routes[0]`.
    pub field: String,
}

/// One fault, with what to do about it. Texts have no final dot and never hold credentials.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The id of the policy.
    pub policy: &'static str,
    /// Where it lies.
    pub place: Place,
    /// What is wrong: the same words every time.
    pub reason: &'static str,
    /// The values this time.
    pub detail: String,
    /// What to do, an imperative sentence.
    pub remedy: String,
    /// The repair, when there is one that is safe.
    pub fix: Option<Fix>,
    /// What is done when it is not repaired, where that is not what the policy says.
    pub otherwise: Option<Action>,
    /// Whether another pod template (its image, environment, mounts, limits) or number of pods may make it right: it is
    /// judged when the workload is written, and not when its file is.
    pub rests_on_workload: bool,
    /// Whether it is no fault but something that could not be judged: it goes to [`crate::engine::Report::unchecked`].
    pub is_unchecked: bool,
}

impl Finding {
    /// The same finding with the repair that mends it.
    #[must_use]
    pub fn with_fix(mut self, edits: Vec<Edit>) -> Self {
        self.fix = (!edits.is_empty()).then_some(Fix { edits });
        self
    }

    /// The same finding, which another pod template or number of pods may make right.
    #[must_use]
    pub fn rests_on_workload(mut self) -> Self {
        self.rests_on_workload = true;
        self
    }

    /// Not a fault: something that could not be judged, because an object is not in the input or can't be read. The remedy
    /// says what to pass.
    #[must_use]
    pub fn unchecked(mut self) -> Self {
        self.is_unchecked = true;
        self
    }

    /// The same finding, answered with `action` instead of what its policy says when it is not repaired.
    #[must_use]
    pub fn otherwise(mut self, action: Action) -> Self {
        self.otherwise = Some(action);
        self
    }
}

/// A repair: edits that belong together.
#[derive(Debug, Clone, PartialEq)]
pub struct Fix {
    /// The edits; all of them are made or none.
    pub edits: Vec<Edit>,
}

/// One change to one object, as data.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// Puts a value at a JSON pointer whose parent may have to be made.
    Set {
        /// The object.
        object: ObjectId,
        /// Where.
        pointer: String,
        /// What.
        value: Value,
    },
    /// Puts zero or more strings in the place of one element of a list.
    Element {
        /// The list.
        list: List,
        /// Which element.
        index: usize,
        /// What stands in its place.
        with: Vec<String>,
    },
    /// Puts strings at the end of a list.
    Append {
        /// The list.
        list: List,
        /// What is added.
        with: Vec<String>,
    },
    /// Adds a key with an array of strings to a map of a configuration file.
    Insert {
        /// The object.
        object: ObjectId,
        /// The string that holds the file.
        pointer: String,
        /// The bytes of the map in the decoded file, braces included.
        map: Range<usize>,
        /// The key.
        key: &'static str,
        /// The elements.
        with: Vec<String>,
    },
}

/// A list of strings inside a string of an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct List {
    /// The object.
    pub object: ObjectId,
    /// The string that holds the list; under `/data` of a Secret it is base64.
    pub pointer: String,
    /// How it is written.
    pub syntax: Syntax,
    /// The first byte of the list in the decoded string.
    pub start: usize,
    /// One past its last byte.
    pub end: usize,
    /// How many elements it has.
    pub length: usize,
}

/// How a list of strings is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Syntax {
    /// An array of the NATS configuration language, brackets included.
    Array,
    /// Words with commas between them, as in `--routes`.
    Commas,
}

impl Edit {
    /// Whether it only takes something away.
    pub fn is_removal(&self) -> bool {
        matches!(self, Self::Element { with, .. } if with.is_empty())
    }

    /// The object and the field that are changed.
    pub fn target(&self) -> (ObjectId, &str) {
        match self {
            Self::Set {
                object, pointer, ..
            }
            | Self::Insert {
                object, pointer, ..
            } => (*object, pointer),
            Self::Element { list, .. } | Self::Append { list, .. } => (list.object, &list.pointer),
        }
    }
}
