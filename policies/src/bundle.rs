//! What one evaluation can see: raw objects, and what the caller knows about objects that are not among them.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::json;

/// The namespace of an object that names none, as `kubectl` has it.
pub const DEFAULT_NAMESPACE: &str = "default";

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
}

impl Object {
    /// An object that may be edited.
    pub fn new(value: Value) -> Self {
        Self {
            value,
            frozen: None,
        }
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
    /// It is not in the bundle; it may exist.
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

/// Group, kind, namespace (empty when cluster-scoped) and name.
type Key = (String, String, String, String);

/// The objects of one evaluation and the facts about others.
#[derive(Debug, Clone, Default)]
pub struct Bundle {
    objects: Vec<Object>,
    index: BTreeMap<Key, ObjectId>,
    kinds: BTreeMap<(String, String), Vec<ObjectId>>,
    /// The PersistentVolume that names a claim, by the claim's namespace and name.
    volumes: BTreeMap<(String, String), ObjectId>,
    /// The Services by their addresses.
    addresses: BTreeMap<IpAddr, Vec<ObjectId>>,
    /// What an autoscaler sets the number of pods of: namespace, kind and name.
    scaled: BTreeSet<(String, String, String)>,
    absent: BTreeSet<Key>,
    namespace: Option<String>,
    is_live: bool,
}

impl Bundle {
    /// A bundle of these objects, in this order. Objects without a namespace are taken to be in `namespace`.
    pub fn new(objects: Vec<Object>, namespace: Option<&str>) -> Self {
        let mut bundle = Self {
            objects,
            namespace: namespace.map(str::to_owned),
            ..Self::default()
        };
        let mut index = BTreeMap::new();
        let mut volumes = BTreeMap::new();
        let mut addresses = BTreeMap::new();
        let mut scaled = BTreeSet::new();
        let mut kinds: BTreeMap<_, Vec<ObjectId>> = BTreeMap::new();
        for (id, object) in bundle.objects.iter().enumerate() {
            if object.kind() == "PersistentVolume" && object.group().is_empty() {
                let claim = |field| {
                    object
                        .value
                        .pointer(field)
                        .and_then(Value::as_str)
                        .map(str::to_owned)
                };
                if let (Some(namespace), Some(name)) = (
                    claim("/spec/claimRef/namespace"),
                    claim("/spec/claimRef/name"),
                ) {
                    volumes.insert((namespace, name), id);
                }
            }
            if object.kind() == "Service" && object.group().is_empty() {
                for address in addresses_of(object) {
                    let services: &mut Vec<_> = addresses.entry(address).or_default();
                    if services.last() != Some(&id) {
                        services.push(id);
                    }
                }
            }
            if object.kind() == "HorizontalPodAutoscaler"
                && object.group() == "autoscaling"
                && let Some(namespace) = bundle.namespace(object)
            {
                let target = |field| json::text(&object.value, &["spec", "scaleTargetRef", field]);
                if let (Some(kind), Some(name)) = (target("kind"), target("name")) {
                    scaled.insert((namespace.to_owned(), kind.to_owned(), name.to_owned()));
                }
            }
            index.insert(bundle.key(object), id);
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
        bundle
    }

    /// Notes that the cluster was asked for this object and has none.
    pub fn set_absent(&mut self, group: &str, kind: &str, namespace: &str, name: &str) {
        self.absent.insert(key(group, kind, namespace, name));
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
    pub const fn unseen(&self) -> &'static str {
        if self.is_live {
            "could not be read"
        } else {
            "is not in the input"
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

    /// The namespace an object is in: its own, the bundle's, or `default`; `None` for a cluster-scoped kind.
    pub fn namespace<'a>(&'a self, object: &'a Object) -> Option<&'a str> {
        if object.is_cluster_scoped() {
            return None;
        }
        let own = object.text("/metadata/namespace");
        if own.is_empty() {
            Some(self.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE))
        } else {
            Some(own)
        }
    }

    /// Looks an object up by group, kind, namespace (empty for a cluster-scoped kind) and name.
    pub fn lookup(&self, group: &str, kind: &str, namespace: &str, name: &str) -> Lookup<'_> {
        let key = key(group, kind, namespace, name);
        if let Some(id) = self.index.get(&key)
            && let Some(object) = self.objects.get(*id)
        {
            return Lookup::Found(*id, object);
        }
        if self.absent.contains(&key) {
            Lookup::Absent
        } else {
            Lookup::Unknown
        }
    }

    /// The PersistentVolume whose `claimRef` names a claim.
    pub fn volume_of_claim(&self, namespace: &str, claim: &str) -> Option<&Object> {
        let id = self
            .volumes
            .get(&(namespace.to_owned(), claim.to_owned()))?;
        self.objects.get(*id)
    }

    /// The Services that have an address.
    pub fn services_at(&self, address: IpAddr) -> impl Iterator<Item = &Object> {
        let ids = self.addresses.get(&address).map_or(&[][..], Vec::as_slice);
        ids.iter().filter_map(|id| self.objects.get(*id))
    }

    /// Whether an autoscaler of the bundle sets the number of pods, so that `replicas` does not tell it.
    pub fn is_autoscaled(&self, namespace: &str, object: &Object) -> bool {
        let [kind, name] = [object.kind(), object.name()].map(str::to_owned);
        self.scaled.contains(&(namespace.to_owned(), kind, name))
    }

    /// The objects of one kind, with their ids.
    pub fn of_kind(&self, group: &str, kind: &str) -> impl Iterator<Item = (ObjectId, &Object)> {
        let ids = self
            .kinds
            .get(&(group.to_owned(), kind.to_owned()))
            .map_or(&[][..], Vec::as_slice);
        ids.iter()
            .filter_map(|id| Some((*id, self.objects.get(*id)?)))
    }

    /// The same facts about objects that were edited. Names, kinds and addresses must be as they were.
    pub(crate) fn object_mut(&mut self, id: ObjectId) -> Option<&mut Object> {
        self.objects.get_mut(id)
    }

    fn key(&self, object: &Object) -> Key {
        let namespace = self.namespace(object).unwrap_or_default();
        key(object.group(), object.kind(), namespace, object.name())
    }
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

    #[test]
    fn an_object_that_is_not_there_is_unknown_until_the_caller_knows_better() {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "nats"}});
        let mut bundle = Bundle::new(vec![Object::new(service)], Some("messaging"));
        assert!(matches!(
            bundle.lookup("", "Service", "messaging", "nats"),
            Lookup::Found(0, _)
        ));
        assert!(matches!(
            bundle.lookup("", "Service", "default", "nats"),
            Lookup::Unknown
        ));
        bundle.set_absent("", "Service", "default", "nats");
        assert!(matches!(
            bundle.lookup("", "Service", "default", "nats"),
            Lookup::Absent
        ));
    }

    #[test]
    fn a_service_of_another_group_is_not_a_service() {
        let knative = json!({
            "apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "nats"}
        });
        let bundle = Bundle::new(vec![Object::new(knative)], None);
        assert!(matches!(
            bundle.lookup("", "Service", "default", "nats"),
            Lookup::Unknown
        ));
    }
}
