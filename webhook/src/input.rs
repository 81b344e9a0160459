//! From paths to a bundle: files, directories and standard input; lists and OpenShift templates taken apart.

mod file;
mod objects;
mod reader;
mod source;
mod template;
mod unrendered;
mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use natsguard_policies::bundle::{Bundle, ObjectId};
use natsguard_policies::engine::unused_files;
use natsguard_policies::workload::discover;

use crate::manifest::{Location, Manifest};
use reader::Reader;
use template::Parameters;

/// How standard input is named in reports.
pub const STDIN: &str = "<stdin>";

/// What reading all paths gave.
#[derive(Debug, Default)]
pub struct Input {
    /// The manifests that could be read.
    pub manifests: Vec<Manifest>,
    /// The path of each, byte for byte; `None` for what is no file.
    pub paths: Vec<Option<PathBuf>>,
    /// The files in the order given, each with what became of it.
    pub files: Vec<File>,
    /// Where each object of the bundle stands.
    pub places: Vec<Standing>,
    /// The objects.
    pub bundle: Bundle,
    /// What could not be used, for people; each makes the exit status 2.
    pub problems: Vec<String>,
    /// What was passed over, for people.
    pub notes: Vec<String>,
    /// Whether standard input was read and nothing stood there.
    pub is_stdin_empty: bool,
}

/// One file of the input.
#[derive(Debug)]
pub enum File {
    /// It was read: the index of its manifest.
    Read(usize),
    /// It was not: its bytes, as far as they could be had.
    Unread(Vec<u8>),
}

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Index of the manifest.
    pub manifest: usize,
    /// Index of the document in it.
    pub document: usize,
    /// JSON pointer of the object in the document: empty, or into a list.
    pub pointer: String,
    /// What was filled in, in an object of a Template.
    parameters: Option<Arc<Parameters>>,
}

impl Standing {
    /// Where a byte of a string of the object is in the string as it is written.
    fn written(&self, manifest: &Manifest, pointer: &str, offset: usize) -> usize {
        let text = || {
            let document = manifest.documents().get(self.document)?;
            document.value.pointer(pointer)?.as_str()
        };
        match (&self.parameters, text()) {
            (Some(parameters), Some(text)) => parameters.written(text, offset),
            _ => offset,
        }
    }
}

impl Input {
    /// Reads one file that is in memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, namespace: Option<&str>) -> Self {
        let mut reader = Reader::new("check", STDIN);
        reader.add(Path::new(name), bytes, false);
        Self::finish(reader, namespace)
    }

    /// Reads every path. `stdin` is the name of standard input; what is not read because a tool makes manifests of it is to
    /// be piped to the command `verb`.
    pub fn read(paths: &[PathBuf], stdin: &str, namespace: Option<&str>, verb: &str) -> Self {
        let mut reader = Reader::new(verb, stdin);
        reader.read(paths);
        Self::finish(reader, namespace)
    }

    /// The bytes of every file in the order given. Documents of different files are kept apart.
    pub fn stream(&self) -> Vec<u8> {
        let mut out: Vec<u8> = Vec::new();
        for file in &self.files {
            let bytes = match file {
                File::Read(index) => self
                    .manifests
                    .get(*index)
                    .map(Manifest::bytes)
                    .unwrap_or_default(),
                File::Unread(bytes) => bytes,
            };
            if !out.is_empty() && !bytes.is_empty() {
                if !out.ends_with(b"\n") {
                    out.push(b'\n');
                }
                if !bytes.starts_with(b"---") {
                    out.extend_from_slice(b"---\n");
                }
            }
            out.extend_from_slice(bytes);
        }
        out
    }

    fn finish(reader: Reader<'_>, namespace: Option<&str>) -> Self {
        let verb = reader.verb;
        let (mut input, objects) = reader.finish();
        input.bundle = Bundle::new(objects, namespace);
        input.note_repeated(verb);
        input.note_unused();
        input
    }

    /// A file that nobody mounts is passed over by the rules; silence would look like approval.
    fn note_unused(&mut self) {
        for place in unused_files(&self.bundle) {
            if let Some((manifest, at)) = self.locate(place.object, &place.pointer, None) {
                let note = format!(
                    "{}:{}:{}: no workload in the input uses this file, so its routes were not checked",
                    manifest.name(),
                    at.line,
                    at.column
                );
                self.notes.push(note);
            }
        }
    }

    /// Of a workload that stands in the input more than once the fields are not known, and so not what depends on them.
    fn note_repeated(&mut self, verb: &str) {
        let ids = 0..self.bundle.objects().len();
        if !ids.into_iter().any(|id| self.bundle.is_repeated(id)) {
            return;
        }
        let place = |id| {
            let (manifest, at) = self.locate(id, "", None)?;
            Some(format!("{}:{at}", manifest.name()))
        };
        let mut notes = Vec::new();
        let mut said = BTreeSet::new();
        for workload in discover(&self.bundle) {
            let repetition = self.bundle.repetition(workload.id);
            if let Some(other) = repetition
                && said.insert(workload.title())
                && let (Some(place), Some(other)) = (place(workload.id), place(other))
            {
                notes.push(format!(
                    "{place}: {} stands at {other} as well, so its fields are not known: render it first \
                     (kubectl kustomize … | natsguard {verb} -)",
                    workload.title()
                ));
            }
        }
        self.notes.extend(notes);
    }

    /// Where a field of an object stands: its pointer, and a byte of the string there when it is one.
    pub fn locate(
        &self,
        id: ObjectId,
        pointer: &str,
        offset: Option<usize>,
    ) -> Option<(&Manifest, Location)> {
        let standing = self.places.get(id)?;
        let manifest = self.manifests.get(standing.manifest)?;
        let pointer = format!("{}{pointer}", standing.pointer);
        let location = match offset {
            Some(offset) => {
                let offset = standing.written(manifest, &pointer, offset);
                manifest.locate_in_text(standing.document, &pointer, offset)
            }
            None => manifest.locate(standing.document, &pointer),
        };
        Some((manifest, location))
    }
}
