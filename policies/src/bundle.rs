//! What one evaluation can see: raw objects, and what the caller knows about objects that are not among them.

use core::cell::{Cell, RefCell};
use core::net::IpAddr;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use crate::json;

/// Kinds of the core and `apps` groups (and a few more) that are not in a namespace.
const CLUSTER_SCOPED: &[&str] = &[
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterIssuer",
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "RuntimeClass",
    "StorageClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// Index of an object in its [`Bundle`], in the order of the input.
pub type ObjectId = usize;

/// One Kubernetes object: raw JSON, never a typed value printed again.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// The object as it was read.
    pub value: Value,
    /// Why the object must not be edited, when it must not, as the end of a sentence about it: `is shaped by parameters
    /// of a Template`, say. Its faults are reported all the same.
    pub frozen: Option<&'static str>,
    /// The file that it comes from, a path with `/`: what lies nearer to another object is the more likely to be meant by it.
    /// `None` for an object of a cluster, where a name means one object.
    pub origin: Option<Arc<str>>,
}

impl Object {
    /// An object that may be edited.
    pub fn new(value: Value) -> Self {
        Self {
            value,
            frozen: None,
            origin: None,
        }
    }

    /// The same object, from this file.
    #[must_use]
    pub fn from_file(mut self, path: &Arc<str>) -> Self {
        self.origin = Some(Arc::clone(path));
        self
    }

    /// `apiVersion`, or the empty string.
    pub fn api_version(&self) -> &str {
        self.text("/apiVersion")
    }

    /// The API group: empty for the core group.
    pub fn group(&self) -> &str {
        self.api_version()
            .rsplit_once('/')
            .map_or("", |(group, _)| group)
    }

    /// `kind`, or the empty string.
    pub fn kind(&self) -> &str {
        self.text("/kind")
    }

    /// `metadata.name`, or the empty string.
    pub fn name(&self) -> &str {
        self.text("/metadata/name")
    }

    /// The sentence about an object that must not be edited: `ConfigMap nats is immutable`.
    pub fn hindrance(&self) -> Option<String> {
        let why = self.frozen?;
        Some(format!("{} {} {why}", self.kind(), self.name()))
    }

    /// Whether it says too little to be the workload that it names: kustomize's patches look like that.
    fn is_patch(&self) -> bool {
        let is_workload = matches!(self.kind(), "StatefulSet" | "Deployment" | "DaemonSet");
        let has = |pointer: &str| {
            self.value
                .pointer(pointer)
                .is_some_and(|value| !value.is_null())
        };
        let is_whole = has("/spec/selector") && has("/spec/template/spec/containers/0");
        self.group() == "apps" && is_workload && !is_whole
    }

    /// Whether objects of this kind are outside namespaces.
    pub fn is_cluster_scoped(&self) -> bool {
        CLUSTER_SCOPED.binary_search(&self.kind()).is_ok()
    }

    fn text(&self, pointer: &str) -> &str {
        self.value
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
}

/// What is known about an object that was asked for.
#[derive(Debug, Clone, Copy)]
pub enum Lookup<'a> {
    /// It is in the bundle.
    Found(ObjectId, &'a Object),
    /// The caller asked the cluster, and it is not there.
    Absent,
    /// It is not in the bundle, or more than one may be meant; it may exist.
    Unknown,
}

impl<'a> Lookup<'a> {
    /// The object, when there is one.
    pub fn found(self) -> Option<(ObjectId, &'a Object)> {
        match self {
            Self::Found(id, object) => Some((id, object)),
            Self::Absent | Self::Unknown => None,
        }
    }
}

/// Who refers to an object by its name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Referrer<'a> {
    /// Its namespace, where one is stated.
    pub namespace: Option<&'a str>,
    /// The file that it comes from.
    pub origin: Option<&'a str>,
}

/// Something that the bundle could not answer: an object by name, or all objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The API group: empty for the core group.
    pub group: String,
    /// The kind.
    pub kind: String,
    /// The namespace: empty for a cluster-scoped kind. Of PersistentVolumes: those that a claim from there is, or may be, bound
    /// to.
    pub namespace: String,
    /// The name; all objects when absent.
    pub name: Option<String>,
}

/// Group, kind, namespace (empty when cluster-scoped or not stated) and name.
type Key = (String, String, String, String);

/// The objects of one group, kind and name, by the namespace that they state (empty when they state none).
type Namesakes = BTreeMap<String, Vec<ObjectId>>;

/// The objects of one evaluation and the facts about others.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    objects: Vec<Object>,
    /// By group, kind and name.
    index: BTreeMap<String, BTreeMap<String, BTreeMap<String, Namesakes>>>,
    kinds: BTreeMap<(String, String), Vec<ObjectId>>,
    /// The PersistentVolumes that name a claim, by the claim's name.
    volumes: BTreeMap<String, Vec<ObjectId>>,
    /// The Services by their addresses.
    addresses: BTreeMap<IpAddr, Vec<ObjectId>>,
    /// What an autoscaler sets the number of pods of, by kind and name: the namespaces of the autoscalers.
    scaled: BTreeMap<(String, String), BTreeSet<Option<String>>>,
    absent: BTreeSet<Key>,
    listed: BTreeSet<(String, String, String)>,
    namespace: Option<String>,
    is_live: bool,
    focus: Option<Focus>,
    asker: Cell<Asker>,
    questions: RefCell<BTreeMap<Question, Asker>>,
}

/// Whose questions are of interest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Focus {
    /// The workloads that are judged.
    pub own: BTreeSet<ObjectId>,
    /// Those that share something with them.
    pub siblings: BTreeSet<ObjectId>,
}

/// Who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// A workload that is judged.
    #[default]
    Own,
    /// A workload that shares something with one.
    Sibling,
    /// Nobody who matters: the question is not kept.
    Nobody,
}

impl Bundle {
    /// A bundle of these objects, in this order. Objects without a namespace are in `namespace`; without one it is not known
    /// in which they are.
    pub fn new(objects: Vec<Object>, namespace: Option<&str>) -> Self {
        let mut bundle = Self {
            objects,
            namespace: namespace.map(str::to_owned),
            ..Self::default()
        };
        let mut index: BTreeMap<_, BTreeMap<_, BTreeMap<_, Namesakes>>> = BTreeMap::new();
        let mut volumes: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut scaled: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut kinds: BTreeMap<_, Vec<ObjectId>> = BTreeMap::new();
        for (id, object) in bundle.objects.iter().enumerate() {
            if object.kind() == "PersistentVolume"
                && object.group().is_empty()
                && let Some(claim) = json::text(&object.value, &["spec", "claimRef", "name"])
            {
                volumes.entry(claim.to_owned()).or_default().push(id);
            }
            if object.kind() == "Service" && object.group().is_empty() {
                for address in addresses_of(object) {
                    let services: &mut Vec<_> = addresses.entry(address).or_default();
                    if services.last() != Some(&id) {
                        services.push(id);
                    }
                }
            }
            if object.kind() == "HorizontalPodAutoscaler" && object.group() == "autoscaling" {
                let target = |field| json::text(&object.value, &["spec", "scaleTargetRef", field]);
                if let (Some(kind), Some(name)) = (target("kind"), target("name")) {
                    scaled
                        .entry((kind.to_owned(), name.to_owned()))
                        .or_default()
                        .insert(bundle.namespace(object).map(str::to_owned));
                }
            }
            index
                .entry(object.group().to_owned())
                .or_default()
                .entry(object.kind().to_owned())
                .or_default()
                .entry(object.name().to_owned())
                .or_default()
                .entry(bundle.namespace(object).unwrap_or_default().to_owned())
                .or_default()
                .push(id);
            kinds
                .entry((object.group().to_owned(), object.kind().to_owned()))
                .or_default()
                .push(id);
        }
        bundle.index = index;
        bundle.kinds = kinds;
        bundle.volumes = volumes;
        bundle.addresses = addresses;
        bundle.scaled = scaled;
        bundle.freeze_repeated();
        bundle
    }

    /// Of an object that stands in the input more than once nobody may know which fields count.
    fn freeze_repeated(&mut self) {
        let is_repeated: Vec<ObjectId> = self
            .index
            .values()
            .flat_map(BTreeMap::values)
            .flat_map(BTreeMap::values)
            .filter(|namesakes| namesakes.values().flatten().nth(1).is_some())
            .flat_map(Namesakes::values)
            .flatten()
            .copied()
            .filter(|id| self.is_repeated(*id))
            .collect();
        for id in is_repeated {
            if let Some(object) = self.objects.get_mut(id) {
                object
                    .frozen
                    .get_or_insert("stands in the input more than once");
            }
        }
    }

    /// Whether it is not known what an object is in the end: it stands in its file more than once, or there is a patch of it.
    pub fn is_repeated(&self, id: ObjectId) -> bool {
        self.repetition(id).is_some()
    }

    /// The object that makes another one [repeated](Self::is_repeated).
    pub fn repetition(&self, id: ObjectId) -> Option<ObjectId> {
        let object = self
            .objects
            .get(id)
            .filter(|object| !object.name().is_empty())?;
        let namespace = self.namespace(object).unwrap_or_default();
        let namesakes = self.namesakes(object.group(), object.kind(), object.name())?;
        let others = |of: &str| {
            let ids = namesakes.get(of).into_iter().flatten().copied();
            ids.filter(|other| *other != id)
                .filter_map(|other| Some((other, self.objects.get(other)?)))
        };
        let in_its_file = others(namespace).find(|(_, other)| other.origin == object.origin);
        // A patch need not name the namespace of what it changes.
        in_its_file
            .or_else(|| others(namespace).find(|(_, other)| other.is_patch()))
            .or_else(|| others("").find(|(_, other)| other.is_patch()))
            .map(|(other, _)| other)
    }

    /// Notes that the cluster was asked for this object and has none.
    pub fn set_absent(&mut self, group: &str, kind: &str, namespace: &str, name: &str) {
        self.absent.insert(key(group, kind, namespace, name));
    }

    /// Notes that all objects of a kind in a namespace (empty for a cluster-scoped kind) are here.
    pub fn set_listed(&mut self, group: &str, kind: &str, namespace: &str) {
        let [group, kind, namespace] = [group, kind, namespace].map(str::to_owned);
        self.listed.insert((group, kind, namespace));
    }

    /// Only what these workloads lead to is asked for.
    pub fn set_focus(&mut self, focus: Focus) {
        self.focus = Some(focus);
    }

    /// As whom a workload asks.
    pub(crate) fn asker(&self, workload: ObjectId) -> Asker {
        match &self.focus {
            None => Asker::Own,
            Some(focus) if focus.own.contains(&workload) => Asker::Own,
            Some(focus) if focus.siblings.contains(&workload) => Asker::Sibling,
            Some(_) => Asker::Nobody,
        }
    }

    /// Notes that these are objects of a cluster: what is not among them can't be passed as well.
    pub fn set_live(&mut self) {
        self.is_live = true;
    }

    /// Whether these are objects of a cluster.
    pub const fn is_live(&self) -> bool {
        self.is_live
    }

    /// What to say of an object of which nothing is known.
    pub fn unseen(&self, kind: &str, name: &str) -> &'static str {
        if self.is_live {
            "could not be read"
        } else {
            match self.namesakes("", kind, name) {
                None => "is not in the input",
                Some(all) if all.values().any(|ids| ids.len() > 1) => {
                    "stands in the input more than once, and none is nearer than the others"
                }
                Some(_) => "is in the input in another namespace only",
            }
        }
    }

    /// The end of a remedy that more input would be, too.
    pub fn or_pass(&self, what: &str) -> String {
        if self.is_live {
            String::new()
        } else {
            format!(", or pass {what} as well")
        }
    }

    /// The objects, in the order of the input.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// One object.
    pub fn object(&self, id: ObjectId) -> Option<&Object> {
        self.objects.get(id)
    }

    /// The namespace an object is in: its own or the bundle's; `None` for a cluster-scoped kind, and where none is stated.
    pub fn namespace<'a>(&'a self, object: &'a Object) -> Option<&'a str> {
        if object.is_cluster_scoped() {
            return None;
        }
        let own = object.text("/metadata/namespace");
        if own.is_empty() {
            self.namespace.as_deref()
        } else {
            Some(own)
        }
    }

    /// An object as one that refers to others.
    pub fn referrer<'a>(&'a self, object: &'a Object) -> Referrer<'a> {
        Referrer {
            namespace: self.namespace(object),
            origin: object.origin.as_deref(),
        }
    }

    /// Looks an object up that another one refers to, by group, kind and name. The nearest of several counts, those of its
    /// stated namespace first; an object without a namespace may be the one that is meant where it is the only candidate. Two
    /// that are equally near are not known apart.
    pub fn lookup(&self, by: Referrer<'_>, group: &str, kind: &str, name: &str) -> Lookup<'_> {
        self.look(by, group, kind, name, Some(name))
    }

    /// The same, where one of many names may be asked for: the question is for all objects of the kind.
    pub fn find(&self, by: Referrer<'_>, group: &str, kind: &str, name: &str) -> Lookup<'_> {
        self.look(by, group, kind, name, None)
    }

    fn look(
        &self,
        by: Referrer<'_>,
        group: &str,
        kind: &str,
        name: &str,
        question: Option<&str>,
    ) -> Lookup<'_> {
        let namesakes = self.namesakes(group, kind, name);
        if let Some((id, object)) = namesakes.and_then(|namesakes| self.nearest(by, namesakes)) {
            return Lookup::Found(id, object);
        }
        let is_cluster_scoped = CLUSTER_SCOPED.binary_search(&kind).is_ok();
        let namespace = if is_cluster_scoped {
            None
        } else {
            by.namespace
        };
        let namespace = namespace.unwrap_or_default();
        if !self.absent.is_empty() && self.absent.contains(&key(group, kind, namespace, name)) {
            return Lookup::Absent;
        }
        self.ask(group, kind, namespace, question);
        Lookup::Unknown
    }

    /// The one of several objects of a name that is meant: `None` when two are equally near.
    fn nearest(&self, by: Referrer<'_>, namesakes: &Namesakes) -> Option<(ObjectId, &Object)> {
        let unstated = || namesakes.get("");
        let candidates: Cow<'_, [ObjectId]> = match (by.namespace, unstated()) {
            (Some(namespace), unstated) => namesakes.get(namespace).or(unstated)?.into(),
            (None, Some(unstated)) => unstated.into(),
            (None, None) => namesakes.values().flatten().copied().collect(),
        };
        let near = |id: &ObjectId| {
            let object = self.objects.get(*id)?;
            Some((nearness(by.origin, object.origin.as_deref()), *id))
        };
        if let [only] = &*candidates {
            return Some((*only, self.objects.get(*only)?));
        }
        let (nearest, id) = candidates.iter().filter_map(near).max()?;
        let mut as_near = candidates.iter().filter_map(near);
        let is_tie = as_near.any(|(other, found)| other == nearest && found != id);
        Some((id, self.objects.get(id)?)).filter(|_| !is_tie)
    }

    fn namesakes(&self, group: &str, kind: &str, name: &str) -> Option<&Namesakes> {
        self.index.get(group)?.get(kind)?.get(name)
    }

    /// The PersistentVolumes whose `claimRef` names a claim; what is not here may be.
    pub fn volume_of_claim(&self, namespace: Option<&str>, claim: &str) -> Option<&Object> {
        let named = self.volumes.get(claim).map_or(&[][..], Vec::as_slice);
        let mut found = named
            .iter()
            .filter_map(|id| self.objects.get(*id))
            .filter(|volume| {
                let of = json::text(&volume.value, &["spec", "claimRef", "namespace"]);
                namespace.is_none() || of == namespace
            });
        match found.next() {
            None => {
                self.ask("", "PersistentVolume", namespace.unwrap_or_default(), None);
                None
            }
            found_one => found_one.filter(|_| namespace.is_some() || found.next().is_none()),
        }
    }

    /// The Services that have an address; those of a namespace matter.
    pub fn services_at(
        &self,
        namespace: Option<&str>,
        address: IpAddr,
    ) -> impl Iterator<Item = &Object> {
        self.ask("", "Service", namespace.unwrap_or_default(), None);
        let ids = self.addresses.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.objects.get(*id))
    }

    /// Whether an autoscaler of the bundle sets the number of pods, so that `replicas` does not tell it.
    pub fn is_autoscaled(&self, object: &Object) -> bool {
        let namespace = self.namespace(object);
        let [kind, name] = [object.kind(), object.name()].map(str::to_owned);
        self.scaled.get(&(kind, name)).is_some_and(|found| {
            found
                .iter()
                .any(|of| of.is_none() || namespace.is_none() || of.as_deref() == namespace)
        })
    }

    /// The objects of one kind that are here, with their ids.
    pub fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = (ObjectId, &Object)> {
        let ids = self
            .kinds
            .get(&(group.to_owned(), kind.to_owned()))
            .map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| Some((*id, self.objects.get(*id)?)))
    }

    /// The objects of one kind, where all of them matter: in a namespace (`None` for a cluster-scoped kind; for
    /// PersistentVolumes the namespace of the claims).
    pub fn all(
        &self,
        group: &str,
        kind: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = (ObjectId, &Object)> {
        self.ask(group, kind, namespace.unwrap_or_default(), None);
        self.of_kind(group, kind)
    }

    /// Whether all objects of a kind in a namespace are here.
    pub fn is_listed(&self, group: &str, kind: &str, namespace: Option<&str>) -> bool {
        let namespace = namespace.unwrap_or_default();
        let [group, kind, namespace] = [group, kind, namespace].map(str::to_owned);
        self.listed.contains(&(group, kind, namespace))
    }

    fn ask(&self, group: &str, kind: &str, namespace: &str, name: Option<&str>) {
        if !self.is_live || self.asker.get() == Asker::Nobody {
            return;
        }
        if name.is_none() && self.is_listed(group, kind, Some(namespace)) {
            return;
        }
        let [group, kind, namespace] = [group, kind, namespace].map(str::to_owned);
        self.note(Question {
            group,
            kind,
            namespace,
            name: name.map(str::to_owned),
        });
    }

    fn note(&self, question: Question) {
        let asker = self.asker.get();
        let mut questions = self.questions.borrow_mut();
        let first = questions.entry(question).or_insert(asker);
        *first = asker.min(*first);
    }

    /// What could not be answered since the last call, and by whom it was asked.
    pub fn take_questions(&self) -> BTreeMap<Question, Asker> {
        self.questions.take()
    }

    /// Asks these questions again, as the present asker.
    pub(crate) fn ask_again<'q>(&self, questions: impl IntoIterator<Item = &'q Question>) {
        if self.asker.get() != Asker::Nobody {
            questions
                .into_iter()
                .for_each(|question| self.note(question.clone()));
        }
    }

    /// Who asks from now on.
    pub(crate) fn set_asker(&self, asker: Asker) {
        self.asker.set(asker);
    }

    /// The same facts about objects that were edited. Names, kinds and addresses must be as they were.
    pub(crate) fn object_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        self.objects.get_mut(id)
    }
}

/// How near two files are: the same one before all, else the number of folders that they have in common.
fn nearness(one: Option<&str>, other: Option<&str>) -> usize {
    if one == other {
        return usize::MAX;
    }
    let (Some(one), Some(other)) = (one, other) else {
        return 0;
    };
    let folders = |path| {
        str::rsplit_once(path, '/')
            .map_or("", |(folder, _)| folder)
            .split('/')
    };
    folders(one)
        .zip(folders(other))
        .take_while(|(one, other)| one == other)
        .count()
}

fn addresses_of(service: &Object) -> impl Iterator<Item = IpAddr> {
    let listed = json::items(&service.value, &["spec", "clusterIPs"])
        .iter()
        .filter_map(Value::as_str);
    json::text(&service.value, &["spec", "clusterIP"])
        .into_iter()
        .chain(listed)
        .filter_map(|ip| ip.parse().ok())
}

fn key(group: &str, kind: &str, namespace: &str, name: &str) -> Key {
    (
        group.to_owned(),
        kind.to_owned(),
        namespace.to_owned(),
        name.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cluster_scoped_kinds_are_sorted() {
        assert!(CLUSTER_SCOPED.is_sorted());
    }

    const MESSAGING: Referrer<'static> = Referrer {
        namespace: Some("messaging"),
        origin: None,
    };

    fn service(namespace: Option<&str>, path: &str) -> Object {
        let mut service =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nats"}});
        if let Some(namespace) = namespace {
            service["metadata"]["namespace"] = json!(namespace);
        }
        Object::new(service).from_file(&Arc::from(path))
    }

    fn found(objects: Vec<Object>, namespace: Option<&str>, path: &str) -> Option<ObjectId> {
        let bundle = Bundle::new(objects, None);
        let by = Referrer {
            namespace,
            origin: Some(path),
        };
        let (id, _) = bundle.lookup(by, "", "Service", "nats").found()?;
        Some(id)
    }

    #[test]
    fn an_object_that_is_not_there_is_unknown_until_the_caller_knows_better() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nats"}});
        let mut bundle = Bundle::new(vec![Object::new(service)], Some("messaging"));
        bundle.set_live();
        let elsewhere = Referrer {
            namespace: Some("default"),
            origin: None,
        };
        let look = |bundle: &Bundle, by, name| match bundle.lookup(by, "", "Service", name) {
            Lookup::Found(id, _) => id.to_string(),
            Lookup::Absent => "absent".to_owned(),
            Lookup::Unknown => "unknown".to_owned(),
        };
        assert_eq!(look(&bundle, MESSAGING, "nats"), "0");
        assert_eq!(look(&bundle, elsewhere, "other"), "unknown");
        bundle.set_absent("", "Service", "default", "other");
        assert_eq!(look(&bundle, elsewhere, "other"), "absent");
        assert_eq!(look(&bundle, MESSAGING, "other"), "unknown");
        let asked: Vec<Question> = bundle.take_questions().into_keys().collect();
        let names: Vec<_> = asked
            .iter()
            .map(|asked| (asked.namespace.as_str(), asked.name.as_deref()))
            .collect();
        assert_eq!(
            names,
            [("default", Some("other")), ("messaging", Some("other"))]
        );
        assert!(bundle.take_questions().is_empty());
    }

    #[test]
    fn many_names_of_a_kind_are_one_question() {
        let mut bundle = Bundle::new(Vec::new(), None);
        bundle.set_live();
        bundle.find(MESSAGING, "", "Service", "a");
        bundle.find(MESSAGING, "", "Service", "b");
        assert_eq!(bundle.take_questions().len(), 1);
        bundle.set_listed("", "Service", "messaging");
        bundle.find(MESSAGING, "", "Service", "a");
        assert!(bundle.take_questions().is_empty());
    }

    #[test]
    fn the_nearest_of_a_name_is_meant() {
        let two = |one, other| vec![service(None, one), service(None, other)];
        let near = |objects| found(objects, None, "deploy/prod/set.yaml");
        assert_eq!(
            near(two("deploy/prod/set.yaml", "deploy/prod/a.yaml")),
            Some(0)
        );
        assert_eq!(
            near(two("deploy/dev/a.yaml", "deploy/prod/a.yaml")),
            Some(1)
        );
        assert_eq!(near(two("deploy/a.yaml", "other/a.yaml")), Some(0));
        assert_eq!(near(two("deploy/dev/a.yaml", "deploy/qa/a.yaml")), None);
        assert_eq!(near(two("deploy/prod/a.yaml", "deploy/prod/b.yaml")), None);
        assert_eq!(
            near(two("deploy/prod/set.yaml", "deploy/prod/set.yaml")),
            None
        );
    }

    #[test]
    fn a_stated_namespace_comes_before_one_that_is_not_known() {
        let file = "a.yaml";
        let of = |namespaces: &[Option<&str>]| -> Vec<Object> {
            namespaces
                .iter()
                .map(|namespace| service(*namespace, file))
                .collect()
        };
        let desk = Some("desk");
        assert_eq!(found(of(&[None, desk]), desk, file), Some(1));
        assert_eq!(found(of(&[None, Some("lab")]), desk, file), Some(0));
        assert_eq!(found(of(&[Some("lab")]), desk, file), None);
        assert_eq!(found(of(&[desk]), None, file), Some(0));
        assert_eq!(found(of(&[desk, None]), None, file), Some(1));
        assert_eq!(found(of(&[desk, Some("lab")]), None, file), None);
    }

    #[test]
    fn what_stands_twice_in_one_file_is_not_edited() {
        let objects = vec![
            service(None, "a.yaml"),
            service(None, "a.yaml"),
            service(None, "b.yaml"),
        ];
        let bundle = Bundle::new(objects, None);
        let frozen: Vec<bool> = bundle
            .objects()
            .iter()
            .map(|object| object.frozen.is_some())
            .collect();
        assert_eq!(frozen, [true, true, false]);
    }

    #[test]
    fn a_service_of_another_group_is_not_a_service() {
        let knative = json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "nats"}
        });
        let bundle = Bundle::new(vec![Object::new(knative)], None);
        assert!(matches!(
            bundle.lookup(MESSAGING, "", "Service", "nats"),
            Lookup::Unknown
        ));
    }
}
