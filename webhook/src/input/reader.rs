//! From paths to manifests and objects.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use natsguard_policies::bundle::Object;

use super::objects::{Found, NoObject, collect};
use super::source::{Source, Sources, is_kustomization};
use super::{File, Input, Standing, file, unrendered, walk};
use crate::manifest::{Manifest, ReadError};

/// Takes up files, and keeps what became of each.
#[derive(Default)]
pub(super) struct Reader<'a> {
    input: Input,
    objects: Vec<Object>,
    /// The command that what a tool renders is piped to.
    pub(super) verb: &'a str,
    /// The name of standard input.
    stdin: &'a str,
    sources: Sources,
    unrendered: Remarks,
    passed_over: Remarks,
}

/// What is said of several files is said once, of the first.
#[derive(Default)]
struct Remarks(Vec<Remark>);

struct Remark {
    first: String,
    what: String,
    more: usize,
}

/// A file of the input.
enum Named {
    Stdin,
    /// On the command line.
    File(PathBuf),
    /// By a folder that it is in.
    InFolder(PathBuf),
}

impl<'a> Reader<'a> {
    pub(super) fn new(verb: &'a str, stdin: &'a str) -> Self {
        Self {
            verb,
            stdin,
            ..Self::default()
        }
    }

    /// Reads every path.
    pub(super) fn read(&mut self, paths: &[PathBuf]) {
        // What a kustomization is made from may stand before it.
        let files: Vec<Named> = paths.iter().flat_map(|path| self.expand(path)).collect();
        let mut seen = BTreeSet::new();
        for named in files {
            let (path, in_folder) = match named {
                Named::Stdin => {
                    match file::bounded(io::stdin().lock()) {
                        Ok(bytes) => self.add_stdin(bytes),
                        Err(error) => self.unreadable(Path::new(self.stdin), &error),
                    }
                    continue;
                }
                Named::File(path) => (path, false),
                Named::InFolder(path) => (path, true),
            };
            let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
            let is_part = self.sources.has_part(&real);
            if !seen.insert(real) || is_part && in_folder {
                continue;
            }
            match file::read(&path) {
                Ok(bytes) if is_part => self.input.files.push(File::Unread(bytes)),
                Ok(bytes) => {
                    self.add(&path, bytes, in_folder);
                    let read = self.input.manifests.len();
                    self.input.paths.resize(read, Some(path));
                }
                Err(error) => self.unreadable(&path, &error),
            }
        }
    }

    fn add_stdin(&mut self, bytes: Vec<u8>) {
        let first = self.input.manifests.len();
        self.add(Path::new(self.stdin), bytes, false);
        self.input.paths.resize(self.input.manifests.len(), None);
        self.input.is_stdin_empty = self.input.manifests.get(first).is_some_and(|manifest| {
            let mut documents = manifest.documents().iter();
            documents.all(|document| document.value.is_null())
        });
    }

    /// Takes up one file. `in_folder`: what is no Kubernetes object is passed over, as in a folder with a values file.
    pub(super) fn add(&mut self, path: &Path, bytes: Vec<u8>, in_folder: bool) {
        let name = path.display().to_string();
        let is_taken = match Manifest::read(&name, &bytes) {
            Ok(manifest) => self.take(path, manifest, in_folder),
            Err(error) => {
                self.not_read(path, &bytes, &error, in_folder);
                false
            }
        };
        if !is_taken {
            self.input.files.push(File::Unread(bytes));
        }
    }

    /// What was read, and its objects. Where that is nothing because all was passed over it is an error: silence would look
    /// like approval.
    pub(super) fn finish(self) -> (Input, Vec<Object>) {
        let mut input = self.input;
        input.problems.extend(self.unrendered.lines());
        let remarks = if self.objects.is_empty() {
            &mut input.problems
        } else {
            &mut input.notes
        };
        let sources = self.sources.outermost();
        remarks.extend(sources.map(|source| source.remark(self.verb)));
        remarks.extend(self.passed_over.lines());
        (input, self.objects)
    }

    fn expand(&mut self, path: &Path) -> Vec<Named> {
        if path.as_os_str() == "-" {
            return vec![Named::Stdin];
        }
        if !path.is_dir() {
            self.sources.extend(Source::of_file(path));
            return vec![Named::File(path.to_owned())];
        }
        let walked = match walk::walk(path) {
            Ok(walked) => walked,
            Err(error) => {
                self.unreadable(path, &error);
                return Vec::new();
            }
        };
        if walked.is_empty() {
            self.input.problems.push(format!(
                "{}: no manifests; natsguard reads files that end in .yaml, .yml or .json and that git does not ignore",
                path.display()
            ));
        }
        self.input.problems.extend(walked.errors);
        self.sources.extend(walked.sources);
        for (path, what) in walked.passed_over {
            self.passed_over.say(path.display().to_string(), what);
        }
        walked.files.into_iter().map(Named::InFolder).collect()
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error) {
        self.input
            .problems
            .push(format!("{}: can't be read: {error}", path.display()));
    }

    fn not_read(&mut self, path: &Path, bytes: &[u8], error: &ReadError, in_folder: bool) {
        if let Some((place, what)) = unrendered::place(bytes, error) {
            self.say_unrendered(path, place.to_string(), what);
        } else if in_folder && !mentions_objects(bytes) {
            let what = "this is no manifest; passed over".to_owned();
            self.passed_over.say(path.display().to_string(), what);
        } else {
            self.input.problems.push(error.to_string());
        }
    }

    fn say_unrendered(&mut self, path: &Path, place: String, what: &str) {
        let command = match Source::of_template(path) {
            Some(chart) => chart.command(self.verb),
            None => format!("helm template … | natsguard {} -", self.verb),
        };
        self.unrendered
            .say(place, format!("{what}: render it first ({command})"));
    }

    /// Takes a file for manifests, unless it is something that manifests are made from.
    fn take(&mut self, path: &Path, manifest: Manifest, in_folder: bool) -> bool {
        let place = |document, pointer: &str| {
            format!("{}:{}", manifest.name(), manifest.locate(document, pointer))
        };
        let mut found: Vec<(usize, Found)> = Vec::new();
        let mut none = Vec::new();
        for (document, parsed) in manifest.documents().iter().enumerate() {
            if is_kustomization(&parsed.value) {
                let what = format!(
                    "a Kustomization may change all that stands beside it, so nothing here was judged: render it first \
                     (kubectl kustomize … | natsguard {} -)",
                    self.verb
                );
                self.passed_over.say(place(document, ""), what);
                return false;
            }
            if parsed.value.is_null() {
                continue;
            }
            let mut objects = Vec::new();
            match collect(&parsed.value, String::new(), &mut objects) {
                Ok(()) => found.extend(objects.into_iter().map(|object| (document, object))),
                Err(no_object) => none.push((document, no_object)),
            }
        }
        let template = found
            .iter()
            .find(|(_, found)| unrendered::is_name(found.object.name()));
        if let Some((document, found)) = template {
            let pointer = format!("{}/metadata/name", found.pointer);
            self.say_unrendered(path, place(*document, &pointer), unrendered::TEMPLATE);
            return false;
        }
        let is_stdin = path == Path::new(self.stdin);
        if found.is_empty() && none.is_empty() && !in_folder && !is_stdin {
            self.input
                .notes
                .push(format!("{}: there are no objects in it", manifest.name()));
        }
        for (document, NoObject { pointer, why }) in none {
            let place = place(document, &pointer);
            if !in_folder {
                self.input.problems.push(format!("{place}: {why}"));
            } else if found.is_empty() {
                self.passed_over.say(place, format!("{why}; passed over"));
            } else {
                self.input
                    .notes
                    .push(format!("{place}: {why}; passed over"));
            }
        }
        let index = self.input.manifests.len();
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let origin = Arc::from(real.to_string_lossy());
        for (document, found) in found {
            self.objects.push(found.object.from_file(&origin));
            self.input.places.push(Standing {
                manifest: index,
                document,
                pointer: found.pointer,
                parameters: found.parameters,
            });
        }
        self.input.manifests.push(manifest);
        self.input.files.push(File::Read(index));
        true
    }
}

impl Remarks {
    fn say(&mut self, place: String, what: String) {
        match self.0.iter_mut().find(|remark| remark.what == what) {
            Some(remark) => remark.more += 1,
            None => self.0.push(Remark {
                first: place,
                what,
                more: 0,
            }),
        }
    }

    fn lines(self) -> impl Iterator<Item = String> {
        self.0
            .into_iter()
            .map(|Remark { first, what, more }| match more {
                0 => format!("{first}: {what}"),
                more => format!("{first}: {what} ({more} more like it)"),
            })
    }
}

/// Whether a file that can't be read looks as if it were to hold objects.
fn mentions_objects(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    text.contains("apiVersion") && text.contains("kind")
}
