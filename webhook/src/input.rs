//! From paths to a bundle: files, directories and standard input; lists and OpenShift templates taken apart.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use natsguard_policies::bundle::{Bundle, Object, ObjectId};
use natsguard_policies::engine::unused_files;
use serde_json::Value;

use crate::manifest::{Location, Manifest};

/// How standard input is named in reports.
pub const STDIN: &str = "<stdin>";

/// What reading all paths gave.
#[derive(Debug, Default)]
pub struct Input {
    /// The manifests that could be read.
    pub manifests: Vec<Manifest>,
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
}

impl Input {
    /// Reads one file that is in memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>, namespace: Option<&str>) -> Self {
        let mut input = Self::default();
        let mut objects = Vec::new();
        input.add(name, bytes, false, &mut objects);
        input.finish(objects, namespace)
    }

    /// Reads every path.
    pub fn read(paths: &[PathBuf], namespace: Option<&str>) -> Self {
        let mut input = Self::default();
        let mut objects = Vec::new();
        for path in paths {
            if path.as_os_str() == "-" {
                let mut bytes = Vec::new();
                match io::stdin().lock().read_to_end(&mut bytes) {
                    Ok(_) => input.add(STDIN, bytes, false, &mut objects),
                    Err(error) => input
                        .problems
                        .push(format!("{STDIN}: can't be read: {error}")),
                }
            } else if path.is_dir() {
                input.add_directory(path, &mut objects);
            } else {
                input.add_file(path, false, &mut objects);
            }
        }
        input.finish(objects, namespace)
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

    fn finish(mut self, objects: Vec<Object>, namespace: Option<&str>) -> Self {
        self.bundle = Bundle::new(objects, namespace);
        self.note_repeated();
        self.note_unused();
        self
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

    /// Two objects of one name are two versions of one object: `kubectl apply` would leave the last.
    fn note_repeated(&mut self) {
        let mut seen = BTreeMap::new();
        let mut notes = Vec::new();
        for (id, object) in self.bundle.objects().iter().enumerate() {
            if object.name().is_empty() {
                continue;
            }
            let namespace = self.bundle.namespace(object);
            if let Some(first) = seen.insert(
                (object.group(), object.kind(), namespace, object.name()),
                id,
            ) {
                let place = |id| {
                    self.locate(id, "", None).map(|(manifest, at)| {
                        format!("{}:{}:{}", manifest.name(), at.line, at.column)
                    })
                };
                let namespace = namespace
                    .map(|namespace| format!("{namespace}/"))
                    .unwrap_or_default();
                notes.push(format!(
                    "{}: {} {namespace}{} stands at {} as well; the last one counts",
                    place(id).unwrap_or_default(),
                    object.kind(),
                    object.name(),
                    place(first).unwrap_or_default()
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
            Some(offset) => manifest.locate_in_text(standing.document, &pointer, offset),
            None => manifest.locate(standing.document, &pointer),
        };
        Some((manifest, location))
    }

    fn add_file(&mut self, path: &Path, lenient: bool, objects: &mut Vec<Object>) {
        match fs::read(path) {
            Ok(bytes) => self.add(&path.display().to_string(), bytes, lenient, objects),
            Err(error) => self
                .problems
                .push(format!("{}: can't be read: {error}", path.display())),
        }
    }

    fn add_directory(&mut self, directory: &Path, objects: &mut Vec<Object>) {
        let mut files = Vec::new();
        if let Err(error) = find_manifests(directory, &mut files) {
            self.problems
                .push(format!("{}: can't be read: {error}", directory.display()));
            return;
        }
        if files.is_empty() {
            self.problems.push(format!(
                "{}: no manifests; natsguard reads files that end in .yaml, .yml or .json",
                directory.display()
            ));
        }
        files.sort();
        for file in files {
            self.add_file(&file, true, objects);
        }
    }

    /// `lenient`: what is no Kubernetes object is passed over with a note, as in a directory with a values file.
    fn add(&mut self, name: &str, bytes: Vec<u8>, lenient: bool, objects: &mut Vec<Object>) {
        let manifest = match Manifest::read(name, bytes.clone()) {
            Ok(manifest) => manifest,
            Err(error) => {
                self.files.push(File::Unread(bytes));
                self.problems.push(error.to_string());
                return;
            }
        };
        let index = self.manifests.len();
        let mut seen = false;
        for (document, parsed) in manifest.documents().iter().enumerate() {
            if parsed.value.is_null() {
                continue;
            }
            seen = true;
            let mut found = Vec::new();
            match collect(&parsed.value, String::new(), &mut found) {
                Ok(()) => {
                    for (pointer, object) in found {
                        objects.push(object);
                        self.places.push(Standing {
                            manifest: index,
                            document,
                            pointer,
                        });
                    }
                }
                Err((pointer, what)) => {
                    let Location { line, column } = manifest.locate(document, &pointer);
                    let message = format!("{name}:{line}:{column}: {what}");
                    if lenient {
                        self.notes.push(format!("{message}; passed over"));
                    } else {
                        self.problems.push(message);
                    }
                }
            }
        }
        if !seen && !lenient {
            self.notes
                .push(format!("{name}: there are no objects in it"));
        }
        self.manifests.push(manifest);
        self.files.push(File::Read(index));
    }
}

fn find_manifests(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let path = entry.path();
        // The type of the entry itself: a link to a directory above would have no end.
        if entry.file_type()?.is_dir() {
            find_manifests(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// The objects of a document, with their pointers; else the pointer of what is none, and why.
fn collect(
    value: &Value,
    pointer: String,
    found: &mut Vec<(String, Object)>,
) -> Result<(), (String, String)> {
    let Some(map) = value.as_object() else {
        return Err((
            pointer,
            "this is no Kubernetes object: it is not a map".to_owned(),
        ));
    };
    let kind = map.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind.is_empty() {
        return Err((
            pointer,
            "this is no Kubernetes object: it has no kind".to_owned(),
        ));
    }
    if let Some(items) = map.get("items").and_then(Value::as_array)
        && let Some(item_kind) = kind.strip_suffix("List")
    {
        for (index, item) in items.iter().enumerate() {
            let pointer = format!("{pointer}/items/{index}");
            if item_kind.is_empty() || item.get("kind").is_some() {
                collect(item, pointer, found)?;
            } else {
                // Items of a typed list leave out what the list says.
                let mut item = item.clone();
                if let Some(item) = item.as_object_mut() {
                    item.insert("kind".to_owned(), Value::from(item_kind));
                    item.insert(
                        "apiVersion".to_owned(),
                        map.get("apiVersion").cloned().unwrap_or_default(),
                    );
                }
                collect(&item, pointer, found)?;
            }
        }
        return Ok(());
    }
    let group = map
        .get("apiVersion")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if kind == "Template" && (group == "v1" || group.starts_with("template.openshift.io/")) {
        let parameters = parameters(value);
        for (index, object) in map
            .get("objects")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .enumerate()
        {
            let first = found.len();
            let mut filled = object.clone();
            let frozen = fill(&mut filled, &parameters);
            collect(&filled, format!("{pointer}/objects/{index}"), found)?;
            for (_, object) in found.iter_mut().skip(first).filter(|_| frozen) {
                object.frozen = Some("is shaped by parameters of a Template");
            }
        }
        return Ok(());
    }
    found.push((pointer, Object::new(value.clone())));
    Ok(())
}

/// The parameters of an OpenShift Template that have a value.
fn parameters(template: &Value) -> Vec<(String, String)> {
    let parameters = template
        .get("parameters")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    parameters
        .filter_map(|parameter| {
            let name = parameter.get("name")?.as_str()?;
            let value = match parameter.get("value")? {
                Value::String(value) => value.clone(),
                other => other.to_string(),
            };
            Some((name.to_owned(), value))
        })
        .collect()
}

/// A text with its parameters filled in, once: what a parameter brings in is not looked at again.
fn filled(text: &str, parameters: &[(String, String)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        filled.push_str(before);
        let known = after.split_once('}').and_then(|(name, after)| {
            Some((parameters.iter().find(|(known, _)| known == name)?, after))
        });
        if let Some(((_, with), after)) = known {
            filled.push_str(with);
            rest = after;
        } else {
            filled.push_str("${");
            rest = after;
        }
    }
    filled.push_str(rest);
    filled
}

/// Fills parameters in, as `oc process` does: `${NAME}` inside a string, `${{NAME}}` for a whole value.
/// Returns whether there was anything to fill in.
fn fill(value: &mut Value, parameters: &[(String, String)]) -> bool {
    match value {
        Value::String(text) if text.contains("${") => {
            let whole = text
                .strip_prefix("${{")
                .and_then(|rest| rest.strip_suffix("}}"));
            if let Some((_, with)) =
                whole.and_then(|name| parameters.iter().find(|(known, _)| known == name))
            {
                *value = serde_json::from_str(with).unwrap_or_else(|_| Value::from(with.as_str()));
            } else {
                *text = filled(text, parameters);
            }
            true
        }
        // Every one is filled in; the count only asks whether there was any.
        Value::Array(items) => {
            items
                .iter_mut()
                .filter_map(|item| fill(item, parameters).then_some(()))
                .count()
                > 0
        }
        Value::Object(map) => {
            map.values_mut()
                .filter_map(|item| fill(item, parameters).then_some(()))
                .count()
                > 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(value: &Value) -> Vec<(String, Object)> {
        let mut found = Vec::new();
        collect(value, String::new(), &mut found).unwrap();
        found
    }

    #[test]
    fn lists_are_taken_apart() {
        let found = objects(&json!({"kind": "List", "items": [
            {"kind": "ConfigMap", "apiVersion": "v1"},
            {"kind": "ServiceList", "apiVersion": "v1", "items": [{"metadata": {"name": "a"}}]}
        ]}));
        let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/items/0", "/items/1/items/0"]);
        assert_eq!(found[1].1.kind(), "Service");
        assert_eq!(found[1].1.api_version(), "v1");
    }

    #[test]
    fn a_template_is_filled_in_and_what_it_shapes_is_frozen() {
        let found = objects(&json!({
            "kind": "Template", "apiVersion": "template.openshift.io/v1",
            "parameters": [{"name": "APP", "value": "nats"}, {"name": "N", "value": "3"}, {"name": "SECRET", "generate": "expression"}],
            "objects": [
                {"kind": "StatefulSet", "metadata": {"name": "${APP}-${SECRET}"}, "spec": {"replicas": "${{N}}"}},
                {"kind": "Service", "metadata": {"name": "nats"}}
            ]
        }));
        assert_eq!(found[0].1.name(), "nats-${SECRET}");
        assert_eq!(found[0].1.value["spec"]["replicas"], 3);
        assert!(found[0].1.frozen.is_some());
        assert!(found[1].1.frozen.is_none());
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        let error = |value: Value| collect(&value, String::new(), &mut Vec::new()).unwrap_err();
        assert_eq!(
            error(json!([1])).1,
            "this is no Kubernetes object: it is not a map"
        );
        assert_eq!(
            error(json!({"a": 1})).1,
            "this is no Kubernetes object: it has no kind"
        );
        assert_eq!(
            error(json!({"kind": "List", "items": [{"a": 1}]})).0,
            "/items/0"
        );
    }
}
