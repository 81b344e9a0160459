//! From a path in a container to what is mounted there: a key of a ConfigMap or Secret, or a volume.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::bundle::{Bundle, Lookup, ObjectId, Referrer};
use crate::json;

/// A text that a ConfigMap or Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'a> {
    /// The object.
    pub object: ObjectId,
    /// JSON pointer of the string.
    pub pointer: String,
    /// The string as it stands there.
    pub written: &'a str,
    /// Whether it is base64.
    pub is_encoded: bool,
}

impl<'a> Text<'a> {
    /// The bytes of the file: `None` when they are not base64 where they should be. Looking a file up does not make them, as
    /// most lookups of a large one only ask where it is.
    pub fn bytes(&self) -> Option<Cow<'a, [u8]>> {
        if self.is_encoded {
            decode(self.written).map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(self.written.as_bytes()))
        }
    }
}

/// What is found at a path of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// A key of an object of the bundle.
    Text(Text<'a>),
    /// A key of an object that is not in the bundle: its kind and name.
    NotInBundle(&'static str, String),
    /// A key of an object of which the cluster says that there is none: its kind and name.
    Absent(&'static str, String),
    /// The object that should hold it is known, and does not: what is missing.
    Missing(String),
    /// Nothing is mounted there: the file is the image's own.
    Image,
    /// A volume that is filled when the pod runs: its name.
    RunTime(String),
}

/// A volume mount of a container, with the path that remains below it.
#[derive(Debug, Clone, Copy)]
pub struct Mount<'a> {
    /// The entry of `volumeMounts`.
    pub value: &'a Value,
    /// Its index.
    pub index: usize,
    /// The name of the volume.
    pub volume: &'a str,
}

/// Cleans a path as Go's `filepath.Clean` does: no empty, `.` or `..` segments.
pub fn clean(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Whether a path is a cleaned one, both without the leading `/`. There may be many, and few that are not clean already.
fn is_same(path: &str, cleaned: &str) -> bool {
    // Nothing gets longer when it is cleaned.
    path == cleaned
        || (path.len() > cleaned.len()
            && (path.starts_with(['/', '.'])
                || path.ends_with('/')
                || path.contains("//")
                || path.contains("/."))
            && clean(path).trim_start_matches('/') == cleaned)
}

/// The part of `path` below `base`, by whole segments: `Some("")` when they are the same.
fn below<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    if base == "/" {
        return Some(path.trim_start_matches('/'));
    }
    let rest = path.strip_prefix(base)?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// The mount that holds a cleaned path: the one with the longest `mountPath` that contains it, by whole segments.
pub fn mount_of<'a>(container: &'a Value, path: &str) -> Option<Mount<'a>> {
    json::items(container, &["volumeMounts"])
        .iter()
        .enumerate()
        .filter_map(|(index, value)| {
            let at = clean(json::text(value, &["mountPath"])?);
            below(path, &at)?;
            Some((
                at.len(),
                Mount {
                    value,
                    index,
                    volume: json::text(value, &["name"])?,
                },
            ))
        })
        .max_by_key(|(length, _)| *length)
        .map(|(_, mount)| mount)
}

/// Finds the file at a path of a container.
pub fn find<'a>(
    bundle: &'a Bundle,
    by: Referrer<'_>,
    pod: &Value,
    container: &Value,
    path: &str,
) -> Found<'a> {
    let path = clean(path);
    let Some(mount) = mount_of(container, &path) else {
        return Found::Image;
    };
    if json::get(mount.value, &["subPathExpr"]).is_some() {
        return Found::RunTime(mount.volume.to_owned());
    }
    let base = clean(json::text(mount.value, &["mountPath"]).unwrap_or_default());
    let rest = below(&path, &base).unwrap_or_default();
    let sub_path = json::text(mount.value, &["subPath"]).unwrap_or_default();
    let inside = clean(&format!("{sub_path}/{rest}"));
    let inside = inside.trim_start_matches('/');
    let volume = json::items(pod, &["volumes"])
        .iter()
        .find(|volume| json::text(volume, &["name"]) == Some(mount.volume));
    let Some(volume) = volume else {
        return Found::RunTime(mount.volume.to_owned());
    };
    if let Some(source) = json::get(volume, &["configMap"]) {
        return in_source(
            bundle,
            by,
            "ConfigMap",
            json::text(source, &["name"]),
            source,
            inside,
        );
    }
    if let Some(source) = json::get(volume, &["secret"]) {
        let name = json::text(source, &["secretName"]);
        return in_source(bundle, by, "Secret", name, source, inside);
    }
    let Some(projected) = json::get(volume, &["projected"]) else {
        return Found::RunTime(mount.volume.to_owned());
    };
    // A path belongs to one source of a projected volume; the last one that holds it is the one on disk.
    let mut found = None;
    for source in json::items(projected, &["sources"]) {
        let items = ["configMap", "secret"].map(|kind| json::items(source, &[kind, "items"]));
        let names_files = items.iter().any(|items| !items.is_empty());
        let here = if let Some(source) = json::get(source, &["configMap"]) {
            in_source(
                bundle,
                by,
                "ConfigMap",
                json::text(source, &["name"]),
                source,
                inside,
            )
        } else if let Some(source) = json::get(source, &["secret"]) {
            in_source(
                bundle,
                by,
                "Secret",
                json::text(source, &["name"]),
                source,
                inside,
            )
        } else {
            continue;
        };
        let is_it = match (&here, &found) {
            (Found::Text(_), _) | (_, None) => true,
            (Found::Missing(_), _) | (Found::Absent(..), Some(Found::Text(_))) => false,
            // Only its items would say that it has the file, too.
            (Found::NotInBundle(..), Some(Found::Text(_))) => names_files,
            _ => true,
        };
        if is_it {
            found = Some(here);
        }
    }
    found.unwrap_or_else(|| Found::RunTime(mount.volume.to_owned()))
}

fn in_source<'a>(
    bundle: &'a Bundle,
    by: Referrer<'_>,
    kind: &'static str,
    name: Option<&str>,
    source: &Value,
    inside: &str,
) -> Found<'a> {
    let name = name.unwrap_or_default();
    let items = json::items(source, &["items"]);
    let key = if items.is_empty() {
        inside
    } else {
        let item = items
            .iter()
            .find(|item| json::text(item, &["path"]).is_some_and(|path| is_same(path, inside)));
        match item.and_then(|item| json::text(item, &["key"])) {
            Some(key) => key,
            None => {
                return Found::Missing(format!(
                    "{kind} {name} is not mounted with a file {inside}"
                ));
            }
        }
    };
    match bundle.lookup(by, "", kind, name) {
        Lookup::Unknown => Found::NotInBundle(kind, name.to_owned()),
        Lookup::Absent => Found::Absent(kind, name.to_owned()),
        Lookup::Found(object, value) => text_of(object, &value.value, key).map_or_else(
            || Found::Missing(format!("{kind} {name} has no key {key}")),
            Found::Text,
        ),
    }
}

/// The text under a key of a ConfigMap (`data`, `binaryData`) or Secret (`data`, `stringData`).
/// The apiserver merges `stringData` over `data`, so it is looked at first.
pub fn text_of<'a>(object: ObjectId, value: &'a Value, key: &str) -> Option<Text<'a>> {
    let is_secret = json::text(value, &["kind"]) == Some("Secret");
    let plain = if is_secret { "stringData" } else { "data" };
    let encoded = if is_secret { "data" } else { "binaryData" };
    let text = |field, is_encoded| {
        Some(Text {
            object,
            pointer: json::join(&format!("/{field}"), key),
            written: json::text(value, &[field, key])?,
            is_encoded,
        })
    };
    text(plain, false).or_else(|| text(encoded, true))
}

/// Base64 as the apiserver takes it: standard alphabet, line breaks ignored.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if text.contains(['\n', '\r']) {
        let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
        STANDARD.decode(joined).ok()
    } else {
        STANDARD.decode(text).ok()
    }
}

/// Whether the string at a pointer of this object is base64.
pub fn is_encoded(value: &Value, pointer: &str) -> bool {
    pointer.starts_with("/binaryData/")
        || (json::text(value, &["kind"]) == Some("Secret") && pointer.starts_with("/data/"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bundle::Object;

    fn bundle() -> Bundle {
        Bundle::new(
            vec![
                Object::new(json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nats"},
                    "data": {"nats.conf": "port: 4222"}
                })),
                Object::new(json!({
                    "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "auth"},
                    "data": {"auth": "dXNlcjogYQ=="}, "stringData": {"plain": "x"}
                })),
            ],
            None,
        )
    }

    #[derive(Debug, PartialEq)]
    enum Seen {
        Text(ObjectId, String, String),
        Not(String),
    }

    fn look(volume: &Value, mount: &Value, path: &str) -> Seen {
        let pod = json!({"volumes": [volume]});
        let container = json!({"volumeMounts": [mount]});
        match find(&bundle(), Referrer::default(), &pod, &container, path) {
            Found::Text(text) => {
                let bytes = text.bytes().unwrap().into_owned();
                Seen::Text(text.object, text.pointer, String::from_utf8(bytes).unwrap())
            }
            other => not(&other),
        }
    }

    fn not(found: &Found<'_>) -> Seen {
        Seen::Not(format!("{found:?}"))
    }

    fn text(object: ObjectId, pointer: &str, text: &str) -> Seen {
        Seen::Text(object, pointer.to_owned(), text.to_owned())
    }

    #[test]
    fn a_file_of_a_config_map_is_found_by_its_key() {
        let volume = json!({"name": "c", "configMap": {"name": "nats"}});
        let mount = json!({"name": "c", "mountPath": "/etc/nats/"});
        assert_eq!(
            look(&volume, &mount, "/etc//nats/./nats.conf"),
            text(0, "/data/nats.conf", "port: 4222")
        );
        let missing = Found::Missing("ConfigMap nats has no key other.conf".to_owned());
        assert_eq!(look(&volume, &mount, "/etc/nats/other.conf"), not(&missing));
        assert_eq!(
            look(&volume, &mount, "/etc/natsx/nats.conf"),
            not(&Found::Image)
        );
    }

    #[test]
    fn a_sub_path_mounts_one_file() {
        let volume = json!({"name": "c", "configMap": {"name": "nats"}});
        let mount = json!({"name": "c", "mountPath": "/etc/my.conf", "subPath": "nats.conf"});
        assert_eq!(
            look(&volume, &mount, "/etc/my.conf"),
            text(0, "/data/nats.conf", "port: 4222")
        );
    }

    #[test]
    fn projected_items_rename_keys() {
        let volume = json!({"name": "c", "projected": {"sources": [
            {"configMap": {"name": "nats", "items": [{"key": "nats.conf", "path": "main.conf"}]}},
            {"secret": {"name": "auth", "items": [{"key": "auth", "path": "auth.conf"}]}},
            {"secret": {"name": "elsewhere", "items": [{"key": "x", "path": "x.conf"}]}}
        ]}});
        let mount = json!({"name": "c", "mountPath": "/c"});
        assert_eq!(
            look(&volume, &mount, "/c/main.conf"),
            text(0, "/data/nats.conf", "port: 4222")
        );
        assert_eq!(
            look(&volume, &mount, "/c/auth.conf"),
            text(1, "/data/auth", "user: a")
        );
        assert_eq!(
            look(&volume, &mount, "/c/x.conf"),
            not(&Found::NotInBundle("Secret", "elsewhere".to_owned()))
        );
    }

    #[test]
    fn the_path_of_an_item_is_cleaned() {
        for path in [
            "a/b", "./a/b", "/a/b", "a//b", "a/./b", "a/c/../b", "a/b/", "a/b/.",
        ] {
            assert!(is_same(path, "a/b"), "{path}");
        }
        for path in ["a/bc", "a", "a/b/c", "../b/a", ""] {
            assert!(!is_same(path, "a/b"), "{path}");
        }
    }

    #[test]
    fn the_longest_mount_holds_a_path() {
        let container = json!({"volumeMounts": [
            {"name": "a", "mountPath": "/data"}, {"name": "b", "mountPath": "/data/jetstream"}
        ]});
        assert_eq!(
            mount_of(&container, "/data/jetstream/store")
                .unwrap()
                .volume,
            "b"
        );
        assert_eq!(
            mount_of(&container, "/data/jetstreams").unwrap().volume,
            "a"
        );
        assert!(mount_of(&container, "/dat").is_none());
    }

    #[test]
    fn wrapped_base64_is_decoded() {
        assert_eq!(decode("dXNl\ncjog\r\nYQ==\n").unwrap(), b"user: a");
        assert_eq!(decode("no!"), None);
    }
}
