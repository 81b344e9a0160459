//! Folders that hold what a tool makes manifests from: kustomizations and Helm charts. Only what is made is judged.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file;
use crate::manifest::Manifest;

/// What kustomize takes for a kustomization.
const KUSTOMIZATIONS: &[&str] = &["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// The fields of a kustomization that name other kustomizations.
const KUSTOMIZATION_LISTS: &[&str] = &["resources", "bases", "components"];

/// A folder of which a tool makes manifests.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// As it was named on the command line or found.
    folder: PathBuf,
    real: PathBuf,
    tool: Tool,
}

#[derive(Debug, Clone)]
enum Tool {
    /// With the kustomization.
    Kustomize(Value),
    Helm,
}

/// The folders of all sources of the input, and what else belongs to them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    list: Vec<Source>,
    /// Folders and files that are parts of a source.
    parts: BTreeSet<PathBuf>,
}

impl Source {
    /// The source that a folder is.
    pub(super) fn at(folder: &Path) -> Option<Self> {
        let kustomization = KUSTOMIZATIONS
            .iter()
            .map(|name| folder.join(name))
            .find(|path| path.is_file())
            .and_then(|path| kustomization(&path));
        let tool = match kustomization {
            Some(kustomization) => Tool::Kustomize(kustomization),
            None if Self::is_chart(folder) => Tool::Helm,
            None => return None,
        };
        let folder = if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        };
        Some(Self {
            folder: folder.to_owned(),
            real: fs::canonicalize(folder).ok()?,
            tool,
        })
    }

    /// The source whose own file this is.
    pub(super) fn of_file(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let is_its_own = name == "Chart.yaml" || KUSTOMIZATIONS.contains(&name);
        is_its_own.then(|| Self::at(path.parent()?)).flatten()
    }

    /// The chart that a file is a template of: of charts in charts the outermost, which has their values.
    pub(super) fn of_template(path: &Path) -> Option<Self> {
        // The way to it may lead through folders above the working directory.
        let real = fs::canonicalize(path).ok()?;
        let folder = outermost_chart(path).or_else(|| outermost_chart(&real))?;
        Self::at(folder)
    }

    /// Whether Helm takes a folder for a chart.
    pub(super) fn is_chart(folder: &Path) -> bool {
        folder.join("Chart.yaml").is_file()
    }

    /// What makes manifests of it and pipes them to natsguard.
    pub(super) fn command(&self, verb: &str) -> String {
        let render = match &self.tool {
            Tool::Helm => "helm template",
            Tool::Kustomize(kustomization) if kustomization.get("helmCharts").is_some() => {
                "kubectl kustomize --enable-helm"
            }
            Tool::Kustomize(_) => "kubectl kustomize",
        };
        format!("{render} {} | natsguard {verb} -", quoted(&self.folder))
    }

    /// Why nothing in it was read.
    pub(super) fn remark(&self, verb: &str) -> String {
        let what = match &self.tool {
            Tool::Helm => "a Helm chart",
            Tool::Kustomize(_) => "a kustomization",
        };
        let command = self.command(verb);
        format!(
            "{}: {what}, so nothing in it was read: {command}",
            self.folder.display()
        )
    }
}

impl Sources {
    /// Takes up sources. One that is there already is left out.
    pub(super) fn extend(&mut self, sources: impl IntoIterator<Item = Source>) {
        for source in sources {
            if self.list.iter().any(|known| known.real == source.real) {
                continue;
            }
            self.parts.insert(source.real.clone());
            if let Tool::Kustomize(kustomization) = &source.tool {
                let mut names = Vec::new();
                strings(kustomization, &mut names);
                let files = names.iter().filter_map(|name| source.named(name));
                self.parts.extend(files.filter(|path| path.is_file()));
                self.parts.extend(source.bases());
            }
            self.list.push(source);
        }
    }

    /// Whether a file or folder is a part of a source, or of what a source is made from.
    pub(super) fn has_part(&self, real: &Path) -> bool {
        real.ancestors().any(|path| self.parts.contains(path))
    }

    /// The sources that no other one is made from.
    pub(super) fn outermost(&self) -> impl Iterator<Item = &Source> {
        let bases: BTreeSet<PathBuf> = self.list.iter().flat_map(Source::bases).collect();
        self.list.iter().filter(move |source| {
            let mut above = source.real.ancestors().skip(1);
            !bases.contains(&source.real)
                && !above.any(|folder| self.is_chart_of_kustomization(folder))
        })
    }

    /// Whether a kustomization keeps the charts that it renders in a folder.
    fn is_chart_of_kustomization(&self, folder: &Path) -> bool {
        self.list.iter().any(|source| match &source.tool {
            Tool::Kustomize(kustomization) => {
                let home = kustomization.pointer("/helmGlobals/chartHome");
                let home = home.and_then(Value::as_str).unwrap_or("charts");
                kustomization.get("helmCharts").is_some() && folder == source.real.join(home)
            }
            Tool::Helm => false,
        })
    }
}

impl Source {
    /// The folders that it is made from.
    fn bases(&self) -> impl Iterator<Item = PathBuf> {
        let lists = KUSTOMIZATION_LISTS
            .iter()
            .filter_map(|list| match &self.tool {
                Tool::Kustomize(kustomization) => kustomization.get(list)?.as_array(),
                Tool::Helm => None,
            });
        let names = lists.flatten().filter_map(Value::as_str);
        names
            .filter_map(|name| self.named(name))
            .filter(|base| *base != self.real)
    }

    /// The file or folder that a string of its kustomization names.
    fn named(&self, name: &str) -> Option<PathBuf> {
        // Generators give a file a key: `nats.conf=../files/nats.conf`.
        let path = Path::new(name.split_once('=').map_or(name, |(_, path)| path));
        // The `path` of a JSON patch looks like one.
        path.is_relative()
            .then(|| fs::canonicalize(self.real.join(path)).ok())?
    }
}

/// What a kustomization says; null when it can't be read. Flux has objects of that name, which are none.
fn kustomization(path: &Path) -> Option<Value> {
    let name = path.display().to_string();
    let manifest = file::read(path)
        .ok()
        .and_then(|bytes| Manifest::read(&name, bytes).ok());
    let Some(manifest) = manifest else {
        return Some(Value::Null);
    };
    let document = manifest.documents().first();
    let value = document.map_or(Value::Null, |document| document.value.clone());
    let api = value.get("apiVersion").and_then(Value::as_str);
    api.is_none_or(is_kustomize_api).then_some(value)
}

/// Whether a document of a stream is a part of a kustomization.
pub(super) fn is_kustomization(document: &Value) -> bool {
    let text = |field| {
        document
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let api = text("apiVersion");
    matches!(text("kind"), "Kustomization" | "Component")
        && (api.is_empty() || is_kustomize_api(api))
}

fn is_kustomize_api(api: &str) -> bool {
    api.starts_with("kustomize.config.k8s.io/")
}

fn outermost_chart(path: &Path) -> Option<&Path> {
    let mut folders = path.ancestors().skip(1);
    let mut chart = folders.find(|folder| Source::is_chart(folder))?;
    while let Some(charts) = chart.parent().filter(|folder| folder.ends_with("charts"))
        && let Some(above) = charts.parent().filter(|folder| Source::is_chart(folder))
    {
        chart = above;
    }
    Some(chart)
}

fn strings<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, found)),
        Value::Object(map) => map.values().for_each(|item| strings(item, found)),
        _ => {}
    }
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:@%,".contains(c);
    if path.chars().all(is_plain) {
        path
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}
