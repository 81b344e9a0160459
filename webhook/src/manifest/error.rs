//! What can go wrong with a manifest. No message quotes a value: it may be a Secret's.

use thiserror::Error;

use super::read::{MAX_DOCUMENTS, MAX_NODES, Problem};
use super::resolve::{Fault, MAX_DEPTH};
use super::text;

/// A position in a named file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub name: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    fn new(name: &str, content: &str, at: usize) -> Self {
        let mut at = at.min(content.len());
        while !content.is_char_boundary(at) {
            at -= 1;
        }
        let line = content[..at].bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self {
            name: name.to_owned(),
            line,
            column: text::column(content, at) + 1,
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.name, self.line, self.column)
    }
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// A byte that is no UTF-8.
    #[error("{name}: byte {offset} is not UTF-8: save the file as UTF-8")]
    NotUtf8 {
        /// The file.
        name: String,
        /// How many bytes of the file are good.
        offset: usize,
    },
    /// Neither YAML nor JSON.
    #[error("{place}: not YAML: {reason}")]
    Syntax {
        /// Where reading stopped.
        place: Place,
        /// What the parser says; none of the file's content.
        reason: String,
    },
    /// A mapping with the same key twice.
    #[error("{place}: the key `{key}` is already on line {first}: remove one of them")]
    DuplicateKey {
        /// The second one.
        place: Place,
        /// The key, shortened.
        key: String,
        /// The line of the first one.
        first: usize,
    },
    /// A key that cannot be one in JSON.
    #[error("{place}: a key must be a string, a number or a boolean")]
    Key {
        /// The key's value.
        place: Place,
    },
    /// A merge key without a mapping.
    #[error("{place}: the value of `<<` must be a mapping or a sequence of mappings")]
    Merge {
        /// The value.
        place: Place,
    },
    /// A scalar that does not fit its tag.
    #[error("{place}: the value does not fit its tag: correct or remove the tag")]
    Tag {
        /// The value.
        place: Place,
    },
    /// An anchor that is used inside of itself.
    #[error("{place}: the alias refers to a value that contains it: write the value out")]
    Cycle {
        /// The alias.
        place: Place,
    },
    /// Collections that nest too deep.
    #[error("{place}: mappings and sequences nest more than {MAX_DEPTH} deep")]
    TooDeep {
        /// Where it gets too deep.
        place: Place,
    },
    /// Aliases that add too much.
    #[error("{place}: aliases make the documents too large: write the values out")]
    TooManyAliases {
        /// Where it gets too much.
        place: Place,
    },
    /// A file with too many keys, values and items.
    #[error("{place}: more than {MAX_NODES} keys, values and items: split the file")]
    TooManyNodes {
        /// The first one too many.
        place: Place,
    },
    /// A file with too many documents.
    #[error("{place}: more than {MAX_DOCUMENTS} documents: split the file")]
    TooManyDocuments {
        /// The first one too many.
        place: Place,
    },
}

impl ReadError {
    /// Where the file can't be read.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::NotUtf8 { .. } => None,
            Self::Syntax { place, .. }
            | Self::DuplicateKey { place, .. }
            | Self::Key { place }
            | Self::Merge { place }
            | Self::Tag { place }
            | Self::Cycle { place }
            | Self::TooDeep { place }
            | Self::TooManyAliases { place }
            | Self::TooManyNodes { place }
            | Self::TooManyDocuments { place } => Some(place),
        }
    }

    pub(super) fn new(name: &str, content: &str, problem: Problem) -> Self {
        let place = |at| Place::new(name, content, at);
        match problem {
            Problem::Syntax(reason, at) => Self::Syntax {
                place: place(at),
                reason,
            },
            Problem::Documents(at) => Self::TooManyDocuments { place: place(at) },
            Problem::Fault(fault, at) => {
                let place = place(at);
                match fault {
                    Fault::Duplicate(key, first) => {
                        let first = Place::new(name, content, first).line;
                        Self::DuplicateKey {
                            place,
                            key: shortened(&key),
                            first,
                        }
                    }
                    Fault::Budget => Self::TooManyAliases { place },
                    Fault::Cycle => Self::Cycle { place },
                    Fault::Nodes => Self::TooManyNodes { place },
                    Fault::Depth => Self::TooDeep { place },
                    Fault::Key => Self::Key { place },
                    Fault::Merge => Self::Merge { place },
                    Fault::Tag => Self::Tag { place },
                }
            }
        }
    }
}

/// A key as a message can show it: on one line and not long.
fn shortened(key: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = key
        .chars()
        .take(MOST)
        .flat_map(char::escape_debug)
        .collect();
    if key.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

/// Why a patch is refused. The manifest is as it was.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PatchError {
    /// There is no such document.
    #[error("there is no document {document}")]
    NoDocument {
        /// Its index.
        document: usize,
    },
    /// The patch does not fit the value, or one of its tests fails.
    #[error("the patch does not fit the document: {0}")]
    Misfit(#[from] json_patch::PatchError),
    /// The edit would change a value that an anchor and its aliases share.
    #[error(
        "{name}:{line}: the value is shared through an anchor and an alias: write it out, or edit it by hand"
    )]
    Shared {
        /// The file.
        name: String,
        /// The line of the anchor or alias.
        line: usize,
    },
    /// The edit would change a value that comes from a merge key.
    #[error(
        "{name}:{line}: the value comes from a merge key `<<`: write it out, or edit it by hand"
    )]
    Merged {
        /// The file.
        name: String,
        /// The line of the mapping with the merge key.
        line: usize,
    },
    /// The value would nest too deep to be read again.
    #[error("the patched document would nest more than {limit} deep")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The text is written in a way this cannot edit.
    #[error("{name}:{line}: {reason}: edit it by hand")]
    Unsupported {
        /// The file.
        name: String,
        /// The line.
        line: usize,
        /// What is in the way.
        reason: &'static str,
    },
    /// The edited text does not say what the patch asks for.
    #[error(
        "{name}:{line}: no edit of the text was found that does what the patch asks for: edit it by hand"
    )]
    Unverified {
        /// The file.
        name: String,
        /// The line the document begins in.
        line: usize,
    },
}
