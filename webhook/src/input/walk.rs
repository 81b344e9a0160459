//! Which files of a folder may hold manifests. Nothing that git ignores is among them, and nothing outside of the folder.

use std::collections::BTreeSet;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

use super::source::Source;

/// What a walk found, in the order of the paths.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// The files that may hold manifests.
    pub(super) files: Vec<PathBuf>,
    /// The folders whose manifests a tool makes.
    pub(super) sources: Vec<Source>,
    /// What was passed over, and why.
    pub(super) passed_over: Vec<(PathBuf, String)>,
    /// What can't be read.
    pub(super) errors: Vec<String>,
}

/// Walks a folder.
pub(super) fn walk(folder: &Path) -> io::Result<Walked> {
    let real = fs::canonicalize(folder)?;
    let mut walked = Walked::default();
    let mut links = Vec::new();
    for entry in entries(folder, &real) {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                walked.errors.push(error.to_string());
                continue;
            }
        };
        let path = entry.path();
        match entry.file_type() {
            Some(kind) if kind.is_dir() => walked.sources.extend(Source::at(path)),
            Some(kind) if kind.is_symlink() => links.push(entry.into_path()),
            Some(kind) if is_named_as_manifest(path) => walked.add(path, kind),
            _ => {}
        }
    }
    // A link is read when nothing else leads to its file.
    let files = walked
        .files
        .iter()
        .filter_map(|file| fs::canonicalize(file).ok());
    let mut seen: BTreeSet<PathBuf> = files.collect();
    for link in links {
        let Ok(target) = fs::canonicalize(&link) else {
            if is_named_as_manifest(&link) {
                let what = "this link leads nowhere; passed over".to_owned();
                walked.passed_over.push((link, what));
            }
            continue;
        };
        let Ok(metadata) = fs::metadata(&target) else {
            continue;
        };
        if !is_named_as_manifest(&link) && !metadata.is_dir() {
            continue;
        }
        if !target.starts_with(&real) {
            let what = format!(
                "this link leads out of {}; passed over: name it to have it read",
                folder.display()
            );
            walked.passed_over.push((link, what));
        } else if !metadata.is_dir() && seen.insert(target) {
            walked.add(&link, metadata.file_type());
        }
    }
    walked.files.sort();
    Ok(walked)
}

impl Walked {
    /// Whether there was nothing to speak of.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
            && self.sources.is_empty()
            && self.passed_over.is_empty()
            && self.errors.is_empty()
    }

    fn add(&mut self, path: &Path, kind: FileType) {
        if kind.is_file() {
            self.files.push(path.to_owned());
        } else {
            let what = "this is no file; passed over: name it to have it read".to_owned();
            self.passed_over.push((path.to_owned(), what));
        }
    }
}

/// The entries of a folder and of the folders in it, but not what is in a chart.
fn entries(folder: &Path, real: &Path) -> ignore::Walk {
    // Outside of a repository the ignore files of the folder count; those above it (of somebody's home, say) don't.
    let in_repository = real.ancestors().any(|folder| folder.join(".git").exists());
    WalkBuilder::new(folder)
        .hidden(false)
        .ignore(false)
        .require_git(in_repository)
        .parents(in_repository)
        .sort_by_file_path(Ord::cmp)
        .filter_entry(|entry| entry.depth() == 0 || is_looked_at(entry))
        .build()
}

fn is_looked_at(entry: &DirEntry) -> bool {
    let is_skipped = entry.file_name() == ".git" || entry.file_name() == "node_modules";
    let in_chart = entry.path().parent().is_some_and(Source::is_chart);
    !is_skipped && !in_chart
}

fn is_named_as_manifest(path: &Path) -> bool {
    path.extension()
        .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
}
