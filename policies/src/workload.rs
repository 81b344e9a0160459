//! A NATS workload: who runs a server, with which configuration, as which pods, on which volumes.

pub mod command;
mod environment;
mod evidence;
mod files;
pub mod flags;
mod kind;
pub mod mounts;
pub mod server;
mod shell;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::bundle::{Asker, Bundle, Lookup, Object, ObjectId, Question, Referrer};
use crate::conf;
use crate::json;
use command::CommandLine;
pub use environment::Variable;
use evidence::{Candidate, Evidence, candidates, mounted_default};
pub use evidence::{has_reloader, may_run_server};
use files::{Files, Pod};
pub use kind::Kind;
use mounts::Found;

/// The text of a configuration file and the object that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The object.
    pub object: ObjectId,
    /// JSON pointer of the string that holds the file.
    pub pointer: String,
    /// The path of the file in the container.
    pub path: String,
}

/// The configuration a server starts with.
#[derive(Debug, Clone)]
pub enum Configuration {
    /// No file at all: flags only.
    None,
    /// A file and what it includes.
    Known {
        /// The values, with where they stand.
        config: Arc<conf::Config>,
        /// For each file of `config.files` the object that holds it.
        sources: Vec<Source>,
        /// An included file that was left out, as too much was read in its namespace already.
        refused: Option<String>,
    },
    /// The file is there, and too much was read in its namespace already: its path.
    Refused(String),
    /// There is a file, and the manifest hides it: why.
    Unseen(String),
    /// The object that holds the file is not known.
    Elsewhere {
        /// The object: `ConfigMap nats-config`.
        object: String,
        /// What is not known: `ConfigMap nats-config, which holds /etc/nats/nats.conf, is not in the input`.
        why: String,
    },
    /// The object that holds the file is not in the cluster: which.
    Absent(String),
    /// The object that should hold the file is known, and does not: what is missing.
    Missing(String),
}

/// The Service that gives the pods of a StatefulSet their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Governing {
    /// `spec.serviceName` names none.
    Unnamed,
    /// Headless.
    Headless(ObjectId),
    /// A Service with an address of its own: pods behind it have no names.
    NotHeadless(ObjectId),
    /// The cluster says that there is none.
    Absent,
    /// It is not in the bundle.
    Unknown,
}

/// One NATS workload of a bundle.
#[derive(Debug, Clone)]
pub struct Workload<'a> {
    /// Everything that can be seen.
    pub bundle: &'a Bundle,
    /// The workload's own object.
    pub id: ObjectId,
    /// The workload's own object.
    pub object: &'a Object,
    /// Its kind.
    pub kind: Kind,
    /// Its namespace: `None` when it is not stated.
    pub namespace: Option<&'a str>,
    /// How many pods: `None` when that can't be read, or is not stated where somebody else may state it.
    pub replicas: Option<u32>,
    /// The number of the first pod of a StatefulSet (`spec.ordinals.start`).
    pub first_ordinal: u32,
    /// The pod's `spec`.
    pub pod: &'a Value,
    /// JSON pointer of the pod's `spec`.
    pub pod_pointer: &'static str,
    /// The container that runs the server.
    pub container: &'a Value,
    /// JSON pointer of that container.
    pub container_pointer: String,
    /// Whether it is a NATS Streaming server.
    pub is_streaming: bool,
    /// Its command line.
    pub command: CommandLine,
    /// Its configuration.
    pub configuration: Configuration,
    /// What the bundle could not answer while it was read.
    pub(crate) questions: BTreeSet<Question>,
}

/// Finds the NATS workloads of a bundle, in the order of the input.
pub fn discover(bundle: &Bundle) -> Vec<Workload<'_>> {
    let mut files = Files::new(bundle);
    let earlier = bundle.take_questions();
    let mut asked = Vec::new();
    let mut workloads = Vec::new();
    for (id, object) in bundle.objects().iter().enumerate() {
        let found = Workload::read(bundle, id, object, &mut files);
        let questions: BTreeSet<Question> = bundle.take_questions().into_keys().collect();
        // Its files may make it one.
        if found.is_empty() && bundle.asker(id) == Asker::Own {
            asked.extend(questions.iter().cloned());
        }
        workloads.extend(found.into_iter().map(|workload| Workload {
            questions: questions.clone(),
            ..workload
        }));
    }
    bundle.ask_again(earlier.keys().chain(&asked));
    workloads
}

impl<'a> Workload<'a> {
    fn read(
        bundle: &'a Bundle,
        id: ObjectId,
        object: &'a Object,
        files: &mut Files<'a>,
    ) -> Vec<Self> {
        let Some(kind) = Kind::of(object) else {
            return Vec::new();
        };
        let Some(pod) = object.value.pointer(kind.pod_pointer()) else {
            return Vec::new();
        };
        let referrer = bundle.referrer(object);
        let mut mounted = Pod::new(referrer, pod);
        let spec = object.value.get("spec");
        let mut workloads = Vec::new();
        let (mut candidates, by_default): (Vec<_>, Vec<_>) = candidates(pod, kind.pod_pointer())
            .into_iter()
            .partition(|candidate| candidate.evidence != Evidence::DefaultFile);
        candidates.extend(by_default);
        let (mut known_by, mut is_refused) = (None, false);
        for candidate in candidates {
            // What reads the file of a server beside it is none.
            if candidate.evidence == Evidence::DefaultFile && known_by == Some(Evidence::File) {
                break;
            }
            let evidence = candidate.evidence;
            let configuration = configuration(files, &mut mounted, &candidate);
            // One is enough to say that not all was read.
            if evidence.needs_nats_conf()
                && matches!(configuration, Some(Configuration::Refused(_)))
            {
                if is_refused {
                    continue;
                }
                is_refused = true;
            }
            if configuration.is_some() {
                known_by = Some(evidence);
            }
            let Candidate {
                container,
                pointer,
                command,
                ..
            } = candidate;
            workloads.extend(configuration.map(|configuration| {
                Self {
                    bundle,
                    id,
                    object,
                    kind,
                    namespace: referrer.namespace,
                    replicas: kind
                        .replicas(&object.value, bundle.is_live())
                        .filter(|_| !bundle.is_autoscaled(object) && !bundle.is_repeated(id)),
                    first_ordinal: spec
                        .and_then(|spec| spec.pointer("/ordinals/start"))
                        .and_then(Value::as_u64)
                        .and_then(|start| u32::try_from(start).ok())
                        .unwrap_or(0),
                    pod,
                    pod_pointer: kind.pod_pointer(),
                    container,
                    container_pointer: pointer,
                    is_streaming: is_streaming(container, &command),
                    command,
                    configuration,
                    questions: BTreeSet::new(),
                }
            }));
        }
        workloads
    }

    /// `metadata.name`.
    pub fn name(&self) -> &'a str {
        self.object.name()
    }

    /// Kind and name as people say them: `StatefulSet messaging/nats`, `StatefulSet nats` where no namespace is stated.
    pub fn title(&self) -> String {
        titled(self.kind.name(), self.namespace, self.name())
    }

    /// The workload as one that refers to other objects.
    pub fn referrer(&self) -> Referrer<'a> {
        self.bundle.referrer(self.object)
    }

    /// What is known of an object that the workload refers to: one of its own namespace, or a cluster-scoped one.
    pub fn lookup(&self, group: &str, kind: &str, name: &str) -> Lookup<'a> {
        self.bundle.lookup(self.referrer(), group, kind, name)
    }

    /// The object of another namespace, or of none that is stated, that is taken for the one that the workload refers to, as a
    /// part of a sentence.
    pub fn assumption(&self) -> Option<String> {
        if self.bundle.is_live() {
            return None;
        }
        let sources: &[Source] = match &self.configuration {
            Configuration::Known { sources, .. } => sources,
            _ => &[],
        };
        let service = match self.governing() {
            Governing::Headless(id) | Governing::NotHeadless(id) => Some(id),
            Governing::Unnamed | Governing::Absent | Governing::Unknown => None,
        };
        let used = sources.iter().map(|source| source.object).chain(service);
        let (of, object) = used
            .filter_map(|id| self.bundle.object(id))
            .map(|object| (self.bundle.namespace(object), object))
            .find(|(namespace, _)| *namespace != self.namespace)?;
        let taken = titled(object.kind(), of, object.name());
        let (which, title) = if of.is_none() {
            ("which states no namespace", self.title())
        } else {
            ("as the workload states no namespace", self.title())
        };
        Some(format!("{taken} is taken for that of {title}, {which}"))
    }

    /// The labels of the pods.
    pub fn pod_labels(&self) -> Option<&'a Map<String, Value>> {
        let template = self.pod_pointer.strip_suffix("/spec")?;
        let labels = self.object.value.pointer(template)?;
        json::map(labels, &["metadata", "labels"])
    }

    /// `spec.serviceName` of a StatefulSet.
    pub fn service_name(&self) -> Option<&'a str> {
        json::text(&self.object.value, &["spec", "serviceName"])
            .filter(|name| !name.is_empty() && self.kind == Kind::StatefulSet)
    }

    /// What is known of the governing Service.
    pub fn governing(&self) -> Governing {
        let Some(name) = self.service_name() else {
            return Governing::Unnamed;
        };
        let mut found = self.bundle.find(self.referrer(), "", "Service", name);
        // A list can't say that a Service is not there.
        if matches!(found, Lookup::Unknown) && self.bundle.is_listed("", "Service", self.namespace)
        {
            found = self.lookup("", "Service", name);
        }
        match found {
            Lookup::Found(id, service) => {
                if json::text(&service.value, &["spec", "clusterIP"]) == Some("None") {
                    Governing::Headless(id)
                } else {
                    Governing::NotHeadless(id)
                }
            }
            Lookup::Absent => Governing::Absent,
            Lookup::Unknown => Governing::Unknown,
        }
    }

    /// Whether a Service of the workload's namespace selects its pods.
    pub fn is_selected_by(&self, service: &Object) -> bool {
        let Some(selector) = json::map(&service.value, &["spec", "selector"]) else {
            return false;
        };
        let labels = self.pod_labels();
        let of = self.bundle.namespace(service);
        !selector.is_empty()
            && (of == self.namespace || of.is_none() || self.namespace.is_none())
            && selector
                .iter()
                .all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    }

    /// The headless Services of the workload's namespace that select its pods; those that show pods that are not ready come
    /// first.
    pub fn headless_services(&self) -> Vec<&'a str> {
        let services = self.bundle.of_kind("", "Service");
        let mut found: Vec<_> = services
            .map(|(_, service)| service)
            .filter(|service| json::text(&service.value, &["spec", "clusterIP"]) == Some("None"))
            .filter(|service| self.is_selected_by(service))
            .collect();
        let publishes = ["spec", "publishNotReadyAddresses"];
        let hides =
            |service: &&Object| json::get(&service.value, &publishes) != Some(&Value::Bool(true));
        found.sort_by_key(hides);
        found.into_iter().map(Object::name).collect()
    }

    /// The configuration's values: `None` when there is no file, it can't be seen, or the server would refuse it.
    pub fn values(&self) -> Option<&conf::Map> {
        match &self.configuration {
            Configuration::Known { config, .. } if config.error.is_none() => Some(&config.root),
            _ => None,
        }
    }

    /// The file of the configuration that was not read, as too much was read in the namespace already.
    pub fn refused_file(&self) -> Option<&str> {
        match &self.configuration {
            Configuration::Refused(path) => Some(path),
            Configuration::Known { refused, .. } => refused.as_deref(),
            Configuration::None
            | Configuration::Unseen(_)
            | Configuration::Elsewhere { .. }
            | Configuration::Absent(_)
            | Configuration::Missing(_) => None,
        }
    }

    /// The `cluster` block, when it is one.
    pub fn cluster(&self) -> Option<&conf::Map> {
        self.values()?.find(&["cluster"])?.as_map()
    }

    /// Whether the server takes part in a cluster: a `cluster` block that listens or has routes, or the flags.
    pub fn is_clustered(&self) -> bool {
        if let Some(flag) = self.command.last(&["cluster", "cluster_listen"]) {
            return !flag.value.is_empty();
        }
        self.cluster()
            .is_some_and(|cluster| cluster.find(&["routes", "port", "listen"]).is_some())
            || self
                .command
                .last(&["routes"])
                .is_some_and(|flag| !flag.value.is_empty())
    }

    /// The port that clients connect to.
    pub fn client_port(&self) -> u64 {
        const DEFAULT: u64 = 4222;
        if let Some(flag) = self.command.last(&["p", "port"]) {
            return flag.value.parse().unwrap_or(DEFAULT);
        }
        let value = self
            .values()
            .and_then(|values| values.find(&["port", "listen"]));
        let port = value.and_then(|value| match value.as_i64() {
            Some(port) => u64::try_from(port).ok(),
            None => value.as_str()?.rsplit_once(':')?.1.parse().ok(),
        });
        port.unwrap_or(DEFAULT)
    }

    /// The object and string that hold a value of the configuration.
    pub fn source(&self, origin: &conf::Origin) -> Option<&Source> {
        match &self.configuration {
            Configuration::Known { sources, .. } => sources.get(origin.file),
            _ => None,
        }
    }

    /// The text of the file that holds a value of the configuration.
    pub fn text(&self, origin: &conf::Origin) -> Option<&[u8]> {
        match &self.configuration {
            Configuration::Known { config, .. } => config
                .files
                .get(origin.file)
                .map(|file| file.text.as_slice()),
            _ => None,
        }
    }

    /// The place of a value of the configuration; `path` is its path in the configuration language.
    pub fn place(&self, origin: &conf::Origin, path: &str) -> Option<crate::policy::Place> {
        let source = self.source(origin)?;
        Some(crate::policy::Place {
            object: source.object,
            pointer: source.pointer.clone(),
            span: Some(origin.span.clone()),
            field: format!("{}.{path}", json::field(&source.pointer)),
        })
    }

    /// Whether somebody may still fill in the configuration before a server reads it: it is a template, and not in a
    /// cluster.
    pub fn may_be_filled_in(&self) -> bool {
        let Configuration::Known { config, .. } = &self.configuration else {
            return false;
        };
        let mut files = config.files.iter();
        !self.bundle.is_live() && files.any(|file| conf::is_template(&file.text))
    }

    /// The place of the file that is passed with `-c`.
    pub fn main_file(&self) -> Option<crate::policy::Place> {
        let Configuration::Known { sources, .. } = &self.configuration else {
            return None;
        };
        let main = sources.first()?;
        Some(self.place_in(main.object, main.pointer.clone(), None))
    }

    /// The place where the configuration can't be read.
    pub fn error_place(&self, error: &conf::ConfigError) -> Option<crate::policy::Place> {
        let at = error.error.offset;
        let origin = conf::Origin {
            file: error.file,
            span: at..at,
            variable: false,
        };
        let source = self.source(&origin)?;
        Some(self.place_in(source.object, source.pointer.clone(), Some(origin.span)))
    }

    /// The place of a field of the workload itself.
    pub fn own_place(&self, pointer: impl Into<String>) -> crate::policy::Place {
        self.place_in(self.id, pointer, None)
    }

    /// The place of a field of an object.
    pub fn place_in(
        &self,
        object: ObjectId,
        pointer: impl Into<String>,
        span: Option<Range<usize>>,
    ) -> crate::policy::Place {
        let pointer = pointer.into();
        crate::policy::Place {
            object,
            span,
            field: json::field(&pointer),
            pointer,
        }
    }

    /// What a path in the server's container leads to.
    pub fn file(&self, path: &str) -> Found<'a> {
        mounts::find(self.bundle, self.referrer(), self.pod, self.container, path)
    }
}

/// The kind, namespace and name of an object as people say them.
fn titled(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

fn is_streaming(container: &Value, command: &CommandLine) -> bool {
    match command.program.as_deref() {
        Some(program) if server::is_program(program) => program.contains("streaming"),
        _ => {
            let image = json::text(container, &["image"]).unwrap_or_default();
            server::image_name(image).contains("streaming")
        }
    }
}

/// Whether a file that is only known to be passed with `-c` is a nats.conf.
fn is_nats_conf(config: &conf::Config) -> bool {
    config.error.is_none() && config.root.find(server::TELLING_OPTIONS).is_some()
}

/// The configuration of a container: `None` when what it reads must be a nats.conf to make it a server, and is none.
fn configuration<'a>(
    files: &mut Files<'a>,
    pod: &mut Pod<'a>,
    candidate: &Candidate<'a>,
) -> Option<Configuration> {
    let Candidate {
        container, command, ..
    } = candidate;
    // NATS Streaming reads the NATS options from its own file (`-sc`) when there is no other.
    let flag = command
        .last(&["c", "config"])
        .or_else(|| command.last(&["sc", "stan_config"]));
    let unseen = |why: String| {
        let is_server = !candidate.evidence.needs_nats_conf();
        is_server.then_some(Configuration::Unseen(why))
    };
    // An image of somebody's own may pass it a file before its arguments.
    let may_be_default = command.hidden || candidate.evidence > Evidence::Image;
    let path = match flag {
        Some(flag) if flag.is_expanded_later() => {
            return unseen(format!(
                "its path {} is put together at run time",
                flag.name
            ));
        }
        // The directory of the official images is the root.
        Some(flag) => command
            .absolute(&flag.value)
            .unwrap_or_else(|| mounts::clean(&flag.value)),
        None if command.overrides_image && !may_be_default => {
            // Without any argument the file that is mounted where servers have theirs is meant for this one.
            match mounted_default(container).filter(|_| command.flags().is_empty()) {
                Some((path, _)) => path.to_owned(),
                None => return Some(Configuration::None),
            }
        }
        None => match mounted_default(container) {
            Some((path, _)) => path.to_owned(),
            None if candidate.evidence == Evidence::Flags => return Some(Configuration::None),
            None if command.hidden => return unseen("a wrapper starts the server".to_owned()),
            None => return unseen("it is the image's own".to_owned()),
        },
    };
    let found = files.read(pod, candidate, path);
    // The path is the image's to choose: that nothing is there shows no more than that it is another one.
    let is_assumed = flag.is_none() && may_be_default;
    match found {
        Some(Configuration::Missing(_) | Configuration::Absent(_)) if is_assumed => {
            unseen("a wrapper starts the server".to_owned())
        }
        found => found,
    }
}

/// Why the file at a path can't be seen.
fn unseen(bundle: &Bundle, command: &CommandLine, found: &Found<'_>, path: &str) -> String {
    match found {
        Found::Image | Found::RunTime(_) if command.writes(path) => {
            format!("{path} is written by the container's command")
        }
        Found::Text(_) => String::new(),
        Found::NotInBundle(kind, name) => {
            format!(
                "{kind} {name}, which holds {path}, {}",
                bundle.unseen(kind, name)
            )
        }
        Found::Absent(kind, name) => format!("{kind} {name} does not exist"),
        Found::Missing(what) => format!("{path} is missing: {what}"),
        Found::Image => format!("{path} is the image's own"),
        Found::RunTime(volume) => format!("{path} is written at run time into the volume {volume}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workload_of(container: &Value, files: &Value) -> bool {
        let set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "nats"},
            "spec": {"template": {"spec": {
                "containers": [{"name": "sidecar", "image": "busybox"}, container],
                "volumes": [{"name": "c", "configMap": {"name": "nats"}}]
            }}}
        });
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "nats"}, "data": files
        });
        let may = may_run_server(&set["spec"]["template"]["spec"]);
        let bundle = Bundle::new(vec![Object::new(set), Object::new(map)], None);
        let is = !discover(&bundle).is_empty();
        assert!(may || !is, "a server was found where none may be");
        is
    }

    #[test]
    fn a_pod_that_runs_no_server_is_told_without_its_files() {
        let may = |container: Value| may_run_server(&json!({"containers": [container]}));
        assert!(may(json!({"image": "nats"})));
        assert!(may(json!({"image": "x", "args": ["-c", "/etc/a.conf"]})));
        assert!(!may(
            json!({"image": "postgres", "args": ["-f", "/etc/a.conf"]})
        ));
        assert!(!may(json!({"image": "natsio/nats-box"})));
        assert!(!may_run_server(&json!(null)));
    }

    fn is_workload(container: &Value) -> bool {
        workload_of(container, &json!({}))
    }

    #[test]
    fn a_server_is_known_by_its_program() {
        assert!(is_workload(
            &json!({"image": "x", "command": ["/opt/nats/nats-server"]})
        ));
        assert!(is_workload(
            &json!({"image": "x", "args": ["tini", "--", "nats-server", "-c", "/a"]})
        ));
        assert!(is_workload(
            &json!({"image": "x", "command": ["sh", "-c", "exec nats-server -c /a"]})
        ));
        assert!(is_workload(
            &json!({"image": "x", "command": ["/nats-streaming-server"]})
        ));
    }

    #[test]
    fn a_server_is_known_by_its_image() {
        for image in [
            "nats",
            "nats:2.10",
            "docker.io/bitnami/nats:2.10.24-debian-12-r2",
            "r:5000/a/nats@sha256:00",
        ] {
            assert!(is_workload(&json!({"image": image})), "{image}");
        }
        for image in [
            "my-nats-client",
            "natsio/nats-box",
            "natsio/prometheus-nats-exporter:0.1",
            "",
        ] {
            assert!(!is_workload(&json!({"image": image})), "{image}");
        }
    }

    #[test]
    fn a_server_is_known_by_the_file_it_is_given() {
        let container = json!({
            "image": "registry/custom:1", "args": ["-c", "/etc/c/nats.conf"],
            "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}]
        });
        assert!(workload_of(
            &container,
            &json!({"nats.conf": "cluster { port: 6222 }"})
        ));
        assert!(!workload_of(
            &container,
            &json!({"nats.conf": "[section]\nkey = value"})
        ));
        assert!(!workload_of(&container, &json!({})));
    }

    #[test]
    fn a_file_of_another_format_makes_no_server() {
        let run = |image: &str, file: &str| {
            let container = json!({
                "image": image, "args": ["-c", format!("/etc/c/{file}")],
                "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}]
            });
            workload_of(&container, &json!({file: "cluster { port: 6222 }"}))
        };
        for ending in ["yaml", "yml", "toml", "ini", "xml", "properties", "sh"] {
            let file = format!("nats.{ending}");
            assert!(!run("registry/custom:1", &file), "{file}");
            // Whoever is a server by another word may name its file as it likes.
            assert!(run("nats", &file), "{file}");
        }
        for file in ["a=b", "a#", "a b", "a\n"] {
            assert!(!run("registry/custom:1", file), "{file:?}");
        }
        for file in [
            "nats",
            "nats.json",
            "nats.cfg",
            "nats.YAML",
            "nats.yaml.conf",
            "sh",
        ] {
            assert!(run("registry/custom:1", file), "{file}");
        }
    }

    #[test]
    fn what_a_shell_is_given_makes_no_server() {
        let run = |program: &str| {
            let container = json!({
                "image": "registry/custom:1", "command": [program, "-c", "/etc/c/nats"],
                "volumeMounts": [{"name": "c", "mountPath": "/etc/c"}]
            });
            workload_of(&container, &json!({"nats": "cluster { port: 6222 }"}))
        };
        for shell in ["sh", "bash", "/bin/sh", "/usr/bin/bash"] {
            assert!(!run(shell), "{shell}");
        }
        for other in ["entrypoint.sh", "/app/push", "entry"] {
            assert!(run(other), "{other}");
        }
    }

    #[test]
    fn a_reloader_is_known_by_its_image_or_its_program() {
        let has = |field: &str, container: Value| has_reloader(&json!({field: [container]}));
        let image = "natsio/nats-server-config-reloader:0.16.1";
        assert!(has("containers", json!({"image": image})));
        assert!(has("initContainers", json!({"image": image})));
        let command = ["nats-server-config-reloader", "-c", "/a"];
        assert!(has("containers", json!({"image": "x", "command": command})));
        assert!(!has("containers", json!({"image": "nats:2.14.5"})));
        assert!(!has_reloader(&json!({})));
    }

    #[test]
    fn tools_that_take_a_nats_conf_are_not_servers() {
        assert!(!is_workload(
            &json!({"image": "nats", "command": ["nats-server-config-reloader", "-c", "/a"]})
        ));
        assert!(!is_workload(
            &json!({"image": "nats", "command": ["nats", "server", "check"]})
        ));
    }
}
