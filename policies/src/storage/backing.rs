//! What is behind the directory of the store: from the mount to the volume, the claim, the class and its driver.

use serde_json::{Map, Value};

use crate::bundle::{Lookup, Object};
use crate::json;
use crate::policy::Place;
use crate::settings::Settings;
use crate::storage::claims;
use crate::storage::drivers::{self, Medium};
use crate::workload::mounts::mount_of;
use crate::workload::{Kind, Workload};

/// The annotations that named a class before `storageClassName`, and that mark the default one.
const CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_ANNOTATIONS: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];

/// What a directory lies on.
#[derive(Debug, Clone, PartialEq)]
pub struct Backing {
    /// The field that says so.
    pub place: Place,
    /// The name of the volume: `None` for the container's own file system.
    pub volume: Option<String>,
    /// What it is.
    pub nature: Nature,
    /// The bytes asked for, of a claim.
    pub request: Option<i128>,
    /// Whether all replicas share one volume that many can write to.
    pub shared_by_replicas: bool,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    /// A network file system: what it is and how that is known, `NFS: StorageClass shared, provisioner nfs.csi.k8s.io`.
    NetworkFilesystem(String),
    /// A block device over the network, or a disk of the node.
    Durable,
    /// Gone with the pod or the container: what it is.
    Ephemeral(&'static str),
    /// A class that can't be seen, by a name that stands for a network file system elsewhere.
    Suspect(String),
    /// It can't be told.
    Unknown,
}

/// What a directory of the server's container lies on.
pub fn of(workload: &Workload<'_>, settings: &Settings, directory: &str) -> Backing {
    let Some(mount) = mount_of(workload.container, directory) else {
        return Backing {
            place: workload.own_place(workload.container_pointer.clone()),
            volume: None,
            nature: Nature::Ephemeral("the container's own file system"),
            request: None,
            shared_by_replicas: false,
        };
    };
    let reader = Reader { workload, settings };
    let own_directory = json::get(mount.value, &["subPathExpr"]).is_some();
    // A claim template takes the place of a volume of the same name.
    if workload.kind == Kind::StatefulSet {
        let templates = json::items(&workload.object.value, &["spec", "volumeClaimTemplates"]);
        let named =
            |template: &&Value| json::text(template, &["metadata", "name"]) == Some(mount.volume);
        if let Some((index, template)) = templates
            .iter()
            .enumerate()
            .find(|(_, template)| named(template))
        {
            let pointer = format!("/spec/volumeClaimTemplates/{index}");
            let claims: Vec<String> = claims::of_templates(workload, &[mount.volume])
                .map(|(_, claim)| claim)
                .collect();
            return reader.claim(&pointer, mount.volume, template, &claims);
        }
    }
    let volumes = json::items(workload.pod, &["volumes"]);
    let named = |volume: &&Value| json::text(volume, &["name"]) == Some(mount.volume);
    match volumes.iter().enumerate().find(|(_, volume)| named(volume)) {
        Some((index, volume)) => {
            let pointer = format!("{}/volumes/{index}", workload.pod_pointer);
            reader.volume(&pointer, mount.volume, volume, own_directory)
        }
        None => Backing {
            place: workload.own_place(format!(
                "{}/volumeMounts/{}",
                workload.container_pointer, mount.index
            )),
            volume: Some(mount.volume.to_owned()),
            nature: Nature::Unknown,
            request: None,
            shared_by_replicas: false,
        },
    }
}

struct Reader<'a> {
    workload: &'a Workload<'a>,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn volume(&self, pointer: &str, name: &str, volume: &Value, own_directory: bool) -> Backing {
        let backing = |pointer: String, nature| Backing {
            place: self.workload.own_place(pointer),
            volume: Some(name.to_owned()),
            nature,
            request: None,
            shared_by_replicas: false,
        };
        if let Some(claim) = json::text(volume, &["persistentVolumeClaim", "claimName"]) {
            let pointer = format!("{pointer}/persistentVolumeClaim");
            return match self.workload.bundle.lookup(
                "",
                "PersistentVolumeClaim",
                self.workload.namespace,
                claim,
            ) {
                Lookup::Found(_, object) => {
                    let mut backing =
                        self.claim(&pointer, name, &object.value, &[claim.to_owned()]);
                    backing.shared_by_replicas = !own_directory
                        && is_shared(&object.value)
                        && self.workload.replicas.is_none_or(|replicas| replicas > 1);
                    backing
                }
                Lookup::Absent | Lookup::Unknown => {
                    let volume = claims::volume_of(self.workload, claim);
                    let nature = volume.map_or(Nature::Unknown, |volume| {
                        self.persistent_volume(volume, false)
                    });
                    backing(pointer, nature)
                }
            };
        }
        if let Some(template) = json::get(volume, &["ephemeral", "volumeClaimTemplate"]) {
            let pointer = format!("{pointer}/ephemeral");
            let mut backing = self.claim(&pointer, name, template, &[]);
            if !matches!(backing.nature, Nature::NetworkFilesystem(_)) {
                backing.nature = Nature::Ephemeral("a generic ephemeral volume");
            }
            return backing;
        }
        let (key, nature) = self.source(volume, false, |source| format!("volume {name}, {source}"));
        let nature = match (key, nature) {
            // A CSI volume without a claim lives and dies with its pod.
            (Some("csi"), Nature::Durable) => Nature::Ephemeral("an inline CSI volume"),
            (_, nature) => nature,
        };
        backing(
            key.map_or_else(|| pointer.to_owned(), |key| format!("{pointer}/{key}")),
            nature,
        )
    }

    /// What a volume source says: the key that names it, of a pod's volume or a PersistentVolume's `spec`.
    fn source(
        &self,
        source: &Value,
        shared: bool,
        how: impl Fn(&str) -> String,
    ) -> (Option<&'static str>, Nature) {
        const FILESYSTEMS: [(&str, &str); 5] = [
            ("nfs", "NFS"),
            ("glusterfs", "GlusterFS"),
            ("cephfs", "CephFS"),
            ("azureFile", "Azure Files (SMB)"),
            ("quobyte", "Quobyte"),
        ];
        const DURABLE: [&str; 15] = [
            "hostPath",
            "local",
            "awsElasticBlockStore",
            "gcePersistentDisk",
            "azureDisk",
            "cinder",
            "rbd",
            "iscsi",
            "fc",
            "vsphereVolume",
            "portworxVolume",
            "photonPersistentDisk",
            "scaleIO",
            "storageos",
            "flocker",
        ];
        const EPHEMERAL: [(&str, &str); 7] = [
            ("image", "an image"),
            ("emptyDir", "an emptyDir"),
            ("configMap", "a ConfigMap"),
            ("secret", "a Secret"),
            ("projected", "a projected volume"),
            ("downwardAPI", "a downwardAPI volume"),
            ("gitRepo", "a gitRepo"),
        ];
        for (key, title) in FILESYSTEMS {
            if json::get(source, &[key]).is_some() {
                return (
                    Some(key),
                    Nature::NetworkFilesystem(format!("{title}: {}", how(key))),
                );
            }
        }
        for (key, attributes) in [("csi", "volumeAttributes"), ("flexVolume", "options")] {
            let Some(value) = json::get(source, &[key]) else {
                continue;
            };
            let driver = json::text(value, &["driver"]).unwrap_or_default();
            let parameter = |name: &str| json::text(value, &[attributes, name]);
            let nature = self.driver(driver, shared, parameter, &how(&format!("driver {driver}")));
            return (Some(key), nature);
        }
        for key in DURABLE {
            if json::get(source, &[key]).is_some() {
                return (Some(key), Nature::Durable);
            }
        }
        for (key, title) in EPHEMERAL {
            if json::get(source, &[key]).is_some() {
                return (Some(key), Nature::Ephemeral(title));
            }
        }
        (None, Nature::Unknown)
    }

    fn driver<'p>(
        &self,
        driver: &str,
        shared: bool,
        parameter: impl Fn(&str) -> Option<&'p str>,
        how: &str,
    ) -> Nature {
        let own = self.settings.drivers();
        let (medium, title) = match (own.get(driver), drivers::find(driver, shared, parameter)) {
            (Some(medium), _) => (*medium, "a network file system"),
            (None, Some(row)) => (row.medium, row.title),
            (None, None) => return Nature::Unknown,
        };
        match medium {
            Medium::NetworkFilesystem => Nature::NetworkFilesystem(format!("{title}: {how}")),
            Medium::NetworkBlock | Medium::Local => Nature::Durable,
        }
    }

    /// A claim, or the template of one; `claims` are the names of those that may exist for it.
    fn claim(&self, pointer: &str, volume: &str, claim: &Value, claims: &[String]) -> Backing {
        let shared = is_shared(claim);
        let of_pods = claims
            .iter()
            .filter_map(|claim| claims::volume_of(self.workload, claim));
        let named =
            json::text(claim, &["spec", "volumeName"]).and_then(|name| self.volume_named(name));
        let natures: Vec<Nature> = of_pods
            .chain(named)
            .map(|volume| self.persistent_volume(volume, shared))
            .filter(|nature| *nature != Nature::Unknown)
            .collect();
        // One bad volume is enough.
        let worst = natures
            .iter()
            .find(|nature| matches!(nature, Nature::NetworkFilesystem(_)));
        let nature = worst
            .or_else(|| natures.first())
            .cloned()
            .unwrap_or_else(|| self.class(claim, shared));
        Backing {
            place: self.workload.own_place(pointer),
            volume: Some(volume.to_owned()),
            nature,
            request: json::get(claim, &["spec", "resources", "requests", "storage"])
                .and_then(json::quantity),
            shared_by_replicas: false,
        }
    }

    fn volume_named(&self, name: &str) -> Option<&Object> {
        self.workload
            .bundle
            .lookup("", "PersistentVolume", "", name)
            .found()
            .map(|(_, volume)| volume)
    }

    fn persistent_volume(&self, volume: &Object, shared: bool) -> Nature {
        let how = |source: &str| format!("PersistentVolume {}, {source}", volume.name());
        let Some(spec) = volume.value.get("spec") else {
            return Nature::Unknown;
        };
        if let Some(option) = nfs_option(json::items(spec, &["mountOptions"])) {
            return Nature::NetworkFilesystem(format!(
                "NFS: {}",
                how(&format!("mount option {option}"))
            ));
        }
        self.source(spec, shared || is_shared(&volume.value), how).1
    }

    /// The class of a claim.
    fn class(&self, claim: &Value, shared: bool) -> Nature {
        let named = json::text(claim, &["metadata", "annotations", CLASS_ANNOTATION])
            .or_else(|| json::text(claim, &["spec", "storageClassName"]));
        let class = match named {
            // The empty name asks for a volume that exists, of no class.
            Some("") => return Nature::Unknown,
            Some(name) => self
                .workload
                .bundle
                .lookup("storage.k8s.io", "StorageClass", "", name)
                .found(),
            None => {
                let mut defaults = self
                    .workload
                    .bundle
                    .of_kind("storage.k8s.io", "StorageClass")
                    .filter(|(_, class)| {
                        is_default(json::map(&class.value, &["metadata", "annotations"]))
                    });
                // Of two default classes the newer counts, and nobody knows here which that is.
                defaults.next().filter(|_| defaults.next().is_none())
            }
        };
        let Some((_, class)) = class else {
            let name = named.unwrap_or_default();
            return drivers::CLASSES.iter().find(|(class, _)| *class == name).map_or(
                Nature::Unknown,
                |(class, driver)| {
                    Nature::Suspect(format!(
                        "StorageClass {class} {}; the one that platforms ship by this name is provisioned by {driver}",
                        self.workload.bundle.unseen()
                    ))
                },
            );
        };
        let provisioner = json::text(&class.value, &["provisioner"]).unwrap_or_default();
        let how = format!("StorageClass {}, provisioner {provisioner}", class.name());
        if let Some(option) = nfs_option(json::items(&class.value, &["mountOptions"])) {
            return Nature::NetworkFilesystem(format!("NFS: {how}, mount option {option}"));
        }
        let parameter = |name: &str| json::text(&class.value, &["parameters", name]);
        self.driver(provisioner, shared, parameter, &how)
    }
}

/// A mount option that only NFS has.
fn nfs_option(options: &[Value]) -> Option<&str> {
    options
        .iter()
        .filter_map(Value::as_str)
        .flat_map(|options| options.split(','))
        .map(str::trim)
        .find(|option| option.starts_with("nfsvers="))
}

fn is_default(annotations: Option<&Map<String, Value>>) -> bool {
    DEFAULT_ANNOTATIONS.iter().any(|name| {
        annotations
            .and_then(|annotations| annotations.get(*name))
            .and_then(Value::as_str)
            == Some("true")
    })
}

/// Whether a claim or volume can be written from many nodes.
fn is_shared(value: &Value) -> bool {
    json::items(value, &["spec", "accessModes"])
        .iter()
        .any(|mode| mode == "ReadWriteMany")
}
