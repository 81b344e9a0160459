//! Which objects matter to a review: a pure function of the object and of what is known already.

use std::collections::BTreeSet;

use natsguard_policies::workload::may_run_server;
use serde_json::Value;

use super::resource::{
    CLAIMS, CLASSES, CONFIG_MAPS, NODES, Resource, SECRETS, SERVICES, STATEFUL_SETS, VOLUMES,
};
use super::{Facts, Known, Query};

/// So many claims of one template are looked at. They are alike but for the nodes that their volumes may be tied to, and
/// clusters of more servers than these are rare.
const CLAIMS_PER_TEMPLATE: u64 = 5;

/// The older way to name a StorageClass.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

/// The object under review, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Its API group: empty for the core group.
    pub group: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name: empty while the apiserver has still to make one.
    pub name: &'a str,
}

impl Subject<'_> {
    /// Whether it runs pods.
    pub fn is_workload(&self) -> bool {
        self.group == "apps" && matches!(self.kind, "StatefulSet" | "Deployment" | "DaemonSet")
    }

    /// Whether reviews of this kind are answered by the rules.
    pub fn is_known(&self) -> bool {
        let is_part = matches!(
            self.kind,
            "ConfigMap" | "Secret" | "Service" | "PersistentVolumeClaim"
        );
        self.is_workload() || (self.group.is_empty() && is_part)
    }
}

/// The questions that what is known so far leads to; those that were asked already may be among them.
pub(super) fn of(subject: &Subject<'_>, objects: &[&Value], facts: &Facts) -> Vec<Query> {
    let namespace = subject.namespace;
    let is_set = subject.group == "apps" && subject.kind == "StatefulSet";
    let may_serve = |workload: &&Value| {
        let pod = workload.pointer("/spec/template/spec");
        pod.is_some_and(may_run_server)
    };
    // Of another workload nothing is read, and nothing of what it mounts.
    if subject.is_workload() && !objects.iter().any(may_serve) {
        return Vec::new();
    }
    let mut queries = Vec::new();
    if is_set || !subject.is_workload() {
        queries.push(Query::all(&STATEFUL_SETS, namespace));
    }
    let focus: Vec<&Value> = if subject.is_workload() {
        objects.iter().copied().filter(may_serve).collect()
    } else {
        facts
            .of(&STATEFUL_SETS)
            .filter(|set| refers_to(set, subject))
            .filter(may_serve)
            .collect()
    };
    let services = match facts.get(&Query::all(&SERVICES, namespace)) {
        Known::Objects(found) => found
            .iter()
            .filter_map(|service| text(service, "/metadata/name"))
            .collect(),
        Known::Absent | Known::Unknown | Known::TooMuch => BTreeSet::new(),
    };
    let reader = Reader {
        namespace,
        facts,
        services,
    };
    for workload in focus {
        queries.extend(reader.files(workload));
        if is_set || !subject.is_workload() {
            queries.extend(reader.peers(workload));
            queries.extend(reader.stores(workload));
        }
        if is_set && replicas(workload) > 1 {
            queries.push(Query::all(&NODES, ""));
        }
    }
    queries
}

struct Reader<'a> {
    namespace: &'a str,
    facts: &'a Facts,
    /// The Services that were listed.
    services: BTreeSet<&'a str>,
}

impl Reader<'_> {
    /// Mounted ConfigMaps and Secrets.
    fn files(&self, workload: &Value) -> Vec<Query> {
        mounted(workload)
            .into_iter()
            .filter(|(resource, _)| **resource != CLAIMS)
            .map(|(resource, name)| Query::named(resource, self.namespace, name))
            .collect()
    }

    /// What decides about names and numbers of pods.
    fn peers(&self, workload: &Value) -> Vec<Query> {
        let services = Query::all(&SERVICES, self.namespace);
        let mut queries = Vec::new();
        // The list can't say that a Service is not there.
        if let Some(name) = text(workload, "/spec/serviceName")
            && !self.services.contains(name)
            && self.facts.answers.contains_key(&services)
        {
            queries.push(Query::named(&SERVICES, self.namespace, name));
        }
        queries.push(services);
        queries
    }

    /// Claims, the volumes they are bound to, the classes that provision them.
    fn stores(&self, workload: &Value) -> Vec<Query> {
        let mut queries = Vec::new();
        let name = text(workload, "/metadata/name").unwrap_or_default();
        let first = workload
            .pointer("/spec/ordinals/start")
            .and_then(Value::as_u64)
            .unwrap_or(0);
        let count = replicas(workload).clamp(1, CLAIMS_PER_TEMPLATE);
        for template in items(workload, "/spec/volumeClaimTemplates") {
            let volume = text(template, "/metadata/name").unwrap_or_default();
            let claims = (first..first.saturating_add(count)).map(|pod| {
                Query::named(&CLAIMS, self.namespace, &format!("{volume}-{name}-{pod}"))
            });
            for claim in claims {
                queries.extend(self.bound(&claim));
                queries.push(claim);
            }
            queries.extend(provision(template));
        }
        for (resource, name) in mounted(workload) {
            if *resource == CLAIMS {
                let claim = Query::named(&CLAIMS, self.namespace, name);
                queries.extend(self.bound(&claim));
                if let Known::Objects(found) = self.facts.get(&claim) {
                    queries.extend(found.iter().flat_map(provision));
                }
                queries.push(claim);
            }
        }
        for volume in items(workload, "/spec/template/spec/volumes") {
            if let Some(template) = volume.pointer("/ephemeral/volumeClaimTemplate") {
                queries.extend(provision(template));
            }
        }
        queries
    }

    /// The volume that a claim is bound to. One that is not bound may be promised a volume from the other side.
    fn bound(&self, claim: &Query) -> Vec<Query> {
        let promised = || vec![Query::all(&VOLUMES, self.namespace)];
        match self.facts.get(claim) {
            Known::Unknown | Known::TooMuch => Vec::new(),
            Known::Absent => promised(),
            Known::Objects(found) => match found
                .iter()
                .find_map(|claim| text(claim, "/spec/volumeName"))
            {
                Some(volume) => vec![Query::named(&VOLUMES, "", volume)],
                None => promised(),
            },
        }
    }
}

/// The volume or the class that a claim names; the default class when it names none.
fn provision(claim: &Value) -> Vec<Query> {
    if let Some(volume) = text(claim, "/spec/volumeName") {
        return vec![Query::named(&VOLUMES, "", volume)];
    }
    let annotation = claim
        .pointer("/metadata/annotations")
        .and_then(|annotations| annotations.get(CLASS_ANNOTATION));
    let class = annotation
        .or_else(|| claim.pointer("/spec/storageClassName"))
        .and_then(Value::as_str);
    match class {
        Some("") => Vec::new(),
        Some(class) => vec![Query::named(&CLASSES, "", class)],
        None => vec![Query::all(&CLASSES, "")],
    }
}

/// Whether a StatefulSet refers to the object under review.
fn refers_to(set: &Value, subject: &Subject<'_>) -> bool {
    let mounts = |resource: &Resource| {
        mounted(set)
            .iter()
            .any(|(of, name)| *of == resource && *name == subject.name)
    };
    match subject.kind {
        "ConfigMap" => mounts(&CONFIG_MAPS),
        "Secret" => mounts(&SECRETS),
        "Service" => text(set, "/spec/serviceName") == Some(subject.name),
        "PersistentVolumeClaim" => {
            let name = text(set, "/metadata/name").unwrap_or_default();
            mounts(&CLAIMS)
                || items(set, "/spec/volumeClaimTemplates")
                    .iter()
                    .any(|template| {
                        let volume = text(template, "/metadata/name").unwrap_or_default();
                        subject
                            .name
                            .strip_prefix(&format!("{volume}-{name}-"))
                            .is_some_and(|pod| pod.bytes().all(|byte| byte.is_ascii_digit()))
                    })
        }
        _ => false,
    }
}

/// The ConfigMaps, Secrets and claims that a container of the pods mounts, by name.
fn mounted(workload: &Value) -> Vec<(&'static Resource, &str)> {
    let containers = items(workload, "/spec/template/spec/containers");
    let mounts: BTreeSet<&str> = containers
        .iter()
        .flat_map(|container| items(container, "/volumeMounts"))
        .filter_map(|mount| text(mount, "/name"))
        .collect();
    let mut found = Vec::new();
    for volume in items(workload, "/spec/template/spec/volumes") {
        if !text(volume, "/name").is_some_and(|name| mounts.contains(name)) {
            continue;
        }
        let projected = items(volume, "/projected/sources")
            .iter()
            .flat_map(|source| {
                [
                    text(source, "/configMap/name").map(|name| (&CONFIG_MAPS, name)),
                    text(source, "/secret/name").map(|name| (&SECRETS, name)),
                ]
            });
        let own = [
            text(volume, "/configMap/name").map(|name| (&CONFIG_MAPS, name)),
            text(volume, "/secret/secretName").map(|name| (&SECRETS, name)),
            text(volume, "/persistentVolumeClaim/claimName").map(|name| (&CLAIMS, name)),
        ];
        found.extend(own.into_iter().chain(projected).flatten());
    }
    found
}

fn replicas(workload: &Value) -> u64 {
    workload
        .pointer("/spec/replicas")
        .and_then(Value::as_u64)
        .unwrap_or(1)
}

fn text<'v>(value: &'v Value, pointer: &str) -> Option<&'v str> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn items<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value
        .pointer(pointer)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
