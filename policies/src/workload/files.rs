//! The configurations of all workloads of a bundle. A text that several workloads read alike is read once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;

use super::evidence::Candidate;
use super::mounts::{self, Found, Text};
use super::{Configuration, Source};
use crate::bundle::{Bundle, ObjectId, Referrer};
use crate::conf;
use crate::json;

/// What a namespace may spend on what was read before and must be read anew, in steps of about 20 ns. Real deployments spend
/// next to nothing of it: thousands of workloads that share a large file, or containers that name one path each, would take
/// minutes. One namespace takes nothing from another.
const EFFORT: usize = 16 << 20;

/// The steps for a byte that is parsed.
const BYTE: usize = 8;

/// The steps for a lookup: a path is cleaned and an object looked up.
const LOOKUP: usize = 32;

/// The steps for a source of a projected volume: a lookup of an object.
const SOURCE: usize = 16;

/// The steps for the path of a mount or an item, which is cleaned to be compared.
const PATH: usize = 4;

/// A step for so many bytes of a path.
const PATH_BYTES: usize = 4;

/// A text that is shared is searched for options again by each workload: a step for so many bytes.
const SHARED_BYTES: usize = 4;

/// So many paths are looked up in any pod; more are on the account of all.
const FREE_PATHS: usize = 16;

/// So many ways to read one text are kept: files that it includes may differ from pod to pod.
const WAYS: usize = 4;

/// A string of an object.
type Place = (ObjectId, String);

/// Reads the configurations of a bundle.
pub(super) struct Files<'b> {
    bundle: &'b Bundle,
    readings: BTreeMap<Place, Vec<Rc<Reading>>>,
    seen: BTreeSet<Place>,
    effort: BTreeMap<Option<&'b str>, usize>,
}

/// How a text was read: what each include and each variable led to, which decides all else.
struct Reading {
    includes: Vec<(usize, String, Led)>,
    variables: Vec<(String, Option<String>)>,
    config: Arc<conf::Config>,
    is_nats_conf: bool,
}

#[derive(Clone, PartialEq)]
enum Led {
    To(ObjectId, String),
    Nowhere,
    Unknown,
}

/// A pod whose files are looked up.
pub(super) struct Pod<'v> {
    referrer: Referrer<'v>,
    spec: &'v Value,
    lookups: usize,
    /// The steps of one lookup.
    steps: usize,
}

impl<'v> Pod<'v> {
    pub(super) fn new(referrer: Referrer<'v>, spec: &'v Value) -> Self {
        let volumes = json::items(spec, &["volumes"]);
        let projected = |volume| json::items(volume, &["projected", "sources"]);
        let sources = volumes.iter().map(|volume| {
            let sources = projected(volume).iter();
            1 + items(volume) + sources.map(|source| SOURCE + items(source)).sum::<usize>()
        });
        Self {
            referrer,
            spec,
            lookups: 0,
            steps: LOOKUP + sources.sum::<usize>(),
        }
    }
}

/// The steps to look through the items of a source.
fn items(source: &Value) -> usize {
    [["configMap", "items"], ["secret", "items"]]
        .iter()
        .flat_map(|field| json::items(source, field))
        .map(|item| steps(json::text(item, &["path"])))
        .sum()
}

/// The steps to clean a path.
fn steps(path: Option<&str>) -> usize {
    PATH + path.map_or(0, str::len) / PATH_BYTES
}

impl<'b> Files<'b> {
    pub(super) fn new(bundle: &'b Bundle) -> Self {
        Self {
            bundle,
            readings: BTreeMap::new(),
            seen: BTreeSet::new(),
            effort: BTreeMap::new(),
        }
    }

    /// The configuration at a path of a container: `None` when it is known to be none though it must be one.
    pub(super) fn read(
        &mut self,
        pod: &mut Pod<'b>,
        candidate: &Candidate<'b>,
        path: String,
    ) -> Option<Configuration> {
        let must_be_one = candidate.evidence.needs_nats_conf();
        let (container, command) = (candidate.container, &candidate.command);
        let variable = |name: &str| command.variable(name).value().map(str::to_owned);
        let unseen = |why| (!must_be_one).then_some(Configuration::Unseen(why));
        let text = match self.find(pod, container, &path) {
            None => return Some(Configuration::Refused(path)),
            Some(Found::Text(text)) => text,
            Some(Found::Absent(kind, name)) => {
                let absent = Configuration::Absent(format!("{kind} {name}"));
                return (!must_be_one).then_some(absent);
            }
            Some(other) => {
                let why = super::unseen(self.bundle, command, &other, &path);
                return match other {
                    Found::Missing(_) if !must_be_one => Some(Configuration::Missing(why)),
                    Found::NotInBundle(kind, name) if !must_be_one => {
                        let object = format!("{kind} {name}");
                        Some(Configuration::Elsewhere { object, why })
                    }
                    _ => unseen(why),
                };
            }
        };
        let place = (text.object, text.pointer.clone());
        let main = source(&text, path);
        for reading in self.readings.get(&place).cloned().unwrap_or_default() {
            if !self.spend(pod.referrer.namespace, reading.variables.len()) {
                return Some(Configuration::Refused(main.path));
            }
            let mut variables = reading.variables.iter();
            if !variables.all(|(name, value)| variable(name) == *value) {
                continue;
            }
            let Some(sources) = self.again(pod, container, &main, &reading) else {
                continue;
            };
            if must_be_one && !reading.is_nats_conf {
                return None;
            }
            let files = reading.config.files.iter();
            let bytes: usize = files.map(|file| file.text.len()).sum();
            if !self.spend(pod.referrer.namespace, bytes / SHARED_BYTES) {
                return Some(Configuration::Refused(main.path));
            }
            return Some(Configuration::Known {
                config: Arc::clone(&reading.config),
                sources,
                refused: None,
            });
        }
        if !self.may_parse(pod.referrer.namespace, &text) {
            return Some(Configuration::Refused(main.path));
        }
        let Some(bytes) = text.bytes() else {
            let field = json::field(&main.pointer);
            return unseen(format!("{} in {field} is not base64", main.path));
        };
        let mut sources = vec![main];
        let mut includes = Vec::new();
        let mut variables = Vec::new();
        let mut refused = None;
        let mut include = |include: &str, from| {
            let path = included(&sources, include, from);
            let found = self.find(pod, container, &path);
            let found = found.filter(|found| match found {
                Found::Text(text) => self.may_parse(pod.referrer.namespace, text),
                _ => true,
            });
            includes.push((from, include.to_owned(), led(found.as_ref())));
            match found {
                Some(Found::Text(text)) => {
                    sources.push(source(&text, path));
                    let bytes = text.bytes().map(Cow::into_owned);
                    bytes.map_or(conf::Included::Missing, conf::Included::Text)
                }
                Some(Found::Missing(_)) => conf::Included::Missing,
                // What is not there yet may come, and the pod waits for it.
                Some(
                    Found::NotInBundle(..) | Found::Absent(..) | Found::Image | Found::RunTime(_),
                ) => conf::Included::Unknown,
                None => {
                    refused.get_or_insert(path);
                    conf::Included::Unknown
                }
            }
        };
        let config = conf::read_in(&bytes, &mut include, &mut |name| {
            let value = variable(name);
            variables.push((name.to_owned(), value.clone()));
            value
        });
        let is_nats_conf = super::is_nats_conf(&config);
        let config = Arc::new(config);
        let readings = self.readings.entry(place).or_default();
        if readings.len() < WAYS && refused.is_none() {
            readings.push(Rc::new(Reading {
                includes,
                variables,
                config: Arc::clone(&config),
                is_nats_conf,
            }));
        }
        // What was refused may be what makes it one.
        let is_none = must_be_one && !is_nats_conf && (refused.is_none() || config.error.is_some());
        (!is_none).then_some(Configuration::Known {
            config,
            sources,
            refused,
        })
    }

    /// The files of a reading as another container has them: `None` where it would read others.
    fn again(
        &mut self,
        pod: &mut Pod<'b>,
        container: &Value,
        main: &Source,
        reading: &Reading,
    ) -> Option<Vec<Source>> {
        let mut sources = vec![main.clone()];
        for (from, include, before) in &reading.includes {
            let path = included(&sources, include, *from);
            let found = self.find(pod, container, &path)?;
            if led(Some(&found)) != *before {
                return None;
            }
            if let Found::Text(text) = found {
                sources.push(source(&text, path));
            }
        }
        Some(sources)
    }

    /// What a path leads to: `None` when too much was looked up already.
    fn find(&mut self, pod: &mut Pod<'b>, container: &Value, path: &str) -> Option<Found<'b>> {
        if pod.lookups >= FREE_PATHS {
            let mounts = json::items(container, &["volumeMounts"]).iter();
            let mounts = mounts.map(|mount| steps(json::text(mount, &["mountPath"])));
            if !self.spend(
                pod.referrer.namespace,
                pod.steps + steps(Some(path)) + mounts.sum::<usize>(),
            ) {
                return None;
            }
        }
        pod.lookups += 1;
        let found = mounts::find(self.bundle, pod.referrer, pod.spec, container, path);
        Some(found)
    }

    /// Whether a text may be decoded and parsed: any may be once.
    fn may_parse(&mut self, namespace: Option<&'b str>, text: &Text<'_>) -> bool {
        self.seen.insert((text.object, text.pointer.clone()))
            || self.spend(namespace, text.written.len().saturating_mul(BYTE))
    }

    fn spend(&mut self, namespace: Option<&'b str>, steps: usize) -> bool {
        let effort = self.effort.entry(namespace).or_insert(EFFORT);
        let left = effort.checked_sub(steps);
        *effort = left.unwrap_or(*effort);
        left.is_some()
    }
}

/// nats-server joins even an absolute path to the directory of the including file.
fn included(sources: &[Source], include: &str, from: usize) -> String {
    let directory = sources
        .get(from)
        .and_then(|source| source.path.rsplit_once('/'))
        .map_or("", |(directory, _)| directory);
    mounts::clean(&format!("{directory}/{include}"))
}

fn source(text: &Text<'_>, path: String) -> Source {
    Source {
        object: text.object,
        pointer: text.pointer.clone(),
        path,
    }
}

fn led(found: Option<&Found<'_>>) -> Led {
    match found {
        Some(Found::Text(text)) => Led::To(text.object, text.pointer.clone()),
        Some(Found::Missing(_)) => Led::Nowhere,
        Some(Found::NotInBundle(..) | Found::Absent(..) | Found::Image | Found::RunTime(_))
        | None => Led::Unknown,
    }
}
