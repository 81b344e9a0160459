//! Exact texts and random ones.

mod edits;
mod locations;
mod random;
mod reading;

use json_patch::Patch;
use serde_json::Value;

use super::{Manifest, PatchError, ReadError};

fn read(text: &str) -> Manifest {
    Manifest::read("file.yaml", text.as_bytes()).expect(text)
}

/// A line of the file, from 1; empty for a line that is not there.
fn line(manifest: &Manifest, line: usize) -> &str {
    let line = manifest.line_of(line);
    line.map_or("", |(document, line)| &document.text()[line])
}

fn value(text: &str) -> Value {
    let manifest = read(text);
    assert_eq!(manifest.documents().len(), 1, "{text}");
    manifest.documents()[0].value.clone()
}

fn error(text: &str) -> ReadError {
    Manifest::read("file.yaml", text.as_bytes()).expect_err(text)
}

fn patch(operations: Value) -> Patch {
    serde_json::from_value(operations).expect("a patch")
}

/// The file after a patch of its first document.
fn patched(text: &str, operations: Value) -> String {
    let mut manifest = read(text);
    manifest.patch(0, &patch(operations)).expect(text);
    String::from_utf8(manifest.bytes().to_vec()).expect("UTF-8")
}

/// Why a patch of the first document is refused; checks that nothing has changed.
fn refused(text: &str, operations: Value) -> PatchError {
    let mut manifest = read(text);
    let error = manifest.patch(0, &patch(operations)).expect_err(text);
    assert_eq!(manifest.bytes(), text.as_bytes());
    error
}
