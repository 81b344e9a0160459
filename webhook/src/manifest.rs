//! Manifests as they are written: YAML and JSON whose bytes are kept.

mod block;
mod edit;
mod emit;
mod error;
mod layout;
mod locate;
mod node;
mod plan;
mod quoted;
mod read;
mod resolve;
mod runs;
mod scalars;
mod strings;
#[cfg(test)]
mod tests;
mod text;
mod wrap;

use std::sync::OnceLock;

use json_patch::Patch;
use serde_json::Value;

pub use error::{PatchError, Place, ReadError};
pub use locate::Location;
pub use scalars::{Scalar, Step};

use node::Tree;
use plan::Refusal;

/// A file of YAML or JSON documents, with every byte of it.
#[derive(Debug)]
pub struct Manifest {
    name: String,
    documents: Vec<Document>,
    /// The whole file; put together again when someone asks for it after a change.
    bytes: OnceLock<Vec<u8>>,
}

/// One document of a file.
#[derive(Debug)]
pub struct Document {
    /// What the document says, as Kubernetes reads it; null when it is empty.
    pub value: Value,
    text: String,
    /// Its nodes; read again when somebody asks where something is, because they are larger than all the rest.
    tree: OnceLock<Tree>,
    /// How many lines of the file come before the document's first one.
    lines_before: usize,
    /// Where each line of `text` begins.
    lines: Vec<usize>,
}

impl Document {
    fn new(text: &str, parsed: read::Parsed, lines_before: usize) -> Self {
        let newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let lines = std::iter::once(0)
            .chain(newlines.map(|(at, _)| at + 1))
            .collect();
        Self {
            value: parsed.value,
            text: text.to_owned(),
            tree: OnceLock::new(),
            lines_before,
            lines,
        }
    }

    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let read = read::documents(&self.text).ok();
            let document = read.and_then(|documents| documents.into_iter().next());
            document.map_or_else(Tree::default, |document| document.tree)
        })
    }

    /// The document as it is written, from its `---` to the next one.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line of the file the document begins in.
    pub fn line(&self) -> usize {
        self.lines_before + 1
    }
}

impl Manifest {
    /// An object that no file holds, as YAML.
    pub fn of(name: &str, object: &Value) -> Result<Self, ReadError> {
        let format = emit::Format {
            eol: "\n",
            sequence: 0,
            literals: true,
        };
        let mut text = match object {
            Value::Object(map) => emit::members(map, 0, &format),
            other => emit::scalar(other, 0, &format),
        };
        text.push('\n');
        Self::read(name, text.into_bytes())
    }

    /// Reads a whole file: any number of documents, YAML or JSON.
    ///
    /// A file with nothing but blanks and comments has no documents; one that is empty between two `---` is null.
    pub fn read(name: &str, bytes: impl AsRef<[u8]>) -> Result<Self, ReadError> {
        let bytes = bytes.as_ref();
        let text = std::str::from_utf8(bytes).map_err(|error| ReadError::NotUtf8 {
            name: name.to_owned(),
            offset: error.valid_up_to(),
        })?;
        let mut documents = Vec::new();
        let mut lines = 0;
        read::each(text, read::MAX_NODES, &mut |parsed| {
            let document = Document::new(&text[parsed.start..parsed.end], parsed, lines);
            lines += document.lines.len() - 1;
            documents.push(document);
        })
        .map_err(|problem| ReadError::new(name, text, problem))?;
        // What the documents hold is not kept twice.
        let bytes = if documents.is_empty() {
            OnceLock::from(bytes.to_vec())
        } else {
            OnceLock::new()
        };
        Ok(Self {
            name: name.to_owned(),
            documents,
            bytes,
        })
    }

    /// The name it was read with: a path or `<stdin>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its documents in the order they stand in the file.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The whole file.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get_or_init(|| {
            let texts = self
                .documents
                .iter()
                .map(|document| document.text.as_bytes());
            texts.collect::<Vec<_>>().concat()
        })
    }

    /// Applies an RFC 6902 patch (add, replace, remove, test) to the text of a document.
    ///
    /// What the patch does not change stays byte for byte. The changed text is read again, and unless it then says
    /// exactly what the patch asks for, nothing changes and this is an error. So is an edit that would have to go
    /// through an alias or a merge key.
    ///
    /// One value may differ from the patch: base64 that was wrapped over several lines is wrapped again.
    pub fn patch(&mut self, document: usize, patch: &Patch) -> Result<(), PatchError> {
        let Some(old) = self.documents.get(document) else {
            return Err(PatchError::NoDocument { document });
        };
        let mut patch = patch.clone();
        wrap::keep_width(&old.value, &mut patch);
        let mut wanted = old.value.clone();
        json_patch::patch(&mut wanted, &patch)?;
        if resolve::same(&old.value, &wanted) {
            return Ok(());
        }
        if !resolve::within_depth(&wanted) {
            return Err(PatchError::TooDeep {
                limit: resolve::MAX_DEPTH,
            });
        }
        let refuse = |refusal| self.refuse(document, &refusal);
        let tree = old.tree();
        let root = match tree.root {
            Some(root) if tree.exact => root,
            _ => {
                return Err(refuse(Refusal::Other(
                    "the document is written in a way that is not supported",
                    0,
                )));
            }
        };
        let plan = plan::plan(tree, root, &patch).map_err(refuse)?;
        let edit = |last_stays| {
            let text = edit::apply(&old.text, tree, &plan, last_stays).map_err(refuse)?;
            self.verified(document, &text, &wanted)
        };
        // What ends with the file can be written with less change when nothing is added after it.
        let new = match edit(true) {
            Err(PatchError::Unverified { .. }) if !old.text.ends_with('\n') => edit(false)?,
            result => result?,
        };
        let added = new.lines.len();
        let removed = old.lines.len();
        for later in &mut self.documents[document + 1..] {
            later.lines_before = later.lines_before + added - removed;
        }
        self.documents[document] = new;
        self.bytes.take();
        Ok(())
    }

    /// Reads the new text of a document; an error unless it has the wanted value and leaves the next one alone.
    fn verified(
        &self,
        document: usize,
        text: &str,
        wanted: &Value,
    ) -> Result<Document, PatchError> {
        let old = &self.documents[document];
        let failed = || PatchError::Unverified {
            name: self.name.clone(),
            line: old.line(),
        };
        let mut parsed = read::documents(text).map_err(|_| failed())?;
        let one = parsed
            .pop()
            .filter(|one| parsed.is_empty() && one.start == 0 && resolve::same(&one.value, wanted));
        let new = Document::new(text, one.ok_or_else(failed)?, old.lines_before);
        if let Some(next) = self.documents.get(document + 1) {
            if !text.ends_with('\n') {
                return Err(failed());
            }
            // Where the next document has a `---` of its own, nothing before it can reach into it.
            if !next.text.starts_with("---") {
                let both =
                    read::documents(&format!("{text}{}", next.text)).map_err(|_| failed())?;
                let apart = both.len() == 2
                    && both[0].end == text.len()
                    && resolve::same(&both[0].value, wanted)
                    && both[1].value == next.value;
                if !apart {
                    return Err(failed());
                }
            }
        }
        Ok(new)
    }

    fn refuse(&self, document: usize, refusal: &Refusal) -> PatchError {
        let line = |at| self.position(document, at).line;
        let name = self.name.clone();
        match *refusal {
            Refusal::Shared(at) => PatchError::Shared {
                name,
                line: line(at),
            },
            Refusal::Merged(at) => PatchError::Merged {
                name,
                line: line(at),
            },
            Refusal::Other(reason, at) => PatchError::Unsupported {
                name,
                line: line(at),
                reason,
            },
        }
    }
}
