//! What is behind the directory of the store: from the mount to the volume, the claim, the class and its driver.

use serde_json::{Map, Value};

use crate::bundle::{Lookup, Object};
use crate::json;
use crate::policy::Place;
use crate::settings::Settings;
use crate::storage::claims;
use crate::storage::drivers::{self, Medium};
use crate::storage::sharing::{self, Share};
use crate::workload::mounts::mount_of;
use crate::workload::{Kind, Workload};

/// The annotations that mark the default class.
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
    /// What the pods have in the volume: `None` for the container's own file system.
    pub share: Option<Share>,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nature {
    /// A network file system: what it is and how that is known, `NFS: StorageClass shared, provisioner nfs.csi.k8s.io`.
    NetworkFilesystem(String),
    /// A block device over the network, or a disk of the node.
    Durable,
    /// A directory of the node that the pod happens to be on.
    HostPath,
    /// Gone with the pod or the container: what it is.
    Ephemeral(&'static str),
    /// A class that can't be seen, by a name that stands for a network file system elsewhere.
    Suspect(String),
    /// It can't be told.
    Unknown,
}

/// What a directory of the server's container lies on.
pub fn of(workload: &Workload<'_>, settings: &Settings, directory: &str) -> Backing {
    Backing {
        share: sharing::of(workload, directory),
        ..behind(workload, settings, directory)
    }
}

fn behind(workload: &Workload<'_>, settings: &Settings, directory: &str) -> Backing {
    let Some(mount) = mount_of(workload.container, directory) else {
        return Backing {
            place: workload.own_place(workload.container_pointer.clone()),
            volume: None,
            nature: Nature::Ephemeral("the container's own file system"),
            request: None,
            share: None,
        };
    };
    let reader = Reader { workload, settings };
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
            reader.volume(&pointer, mount.volume, volume)
        }
        None => Backing {
            place: workload.own_place(format!(
                "{}/volumeMounts/{}",
                workload.container_pointer, mount.index
            )),
            volume: Some(mount.volume.to_owned()),
            nature: Nature::Unknown,
            request: None,
            share: None,
        },
    }
}

struct Reader<'a> {
    workload: &'a Workload<'a>,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn volume(&self, pointer: &str, name: &str, volume: &Value) -> Backing {
        let backing = |pointer: String, nature| Backing {
            place: self.workload.own_place(pointer),
            volume: Some(name.to_owned()),
            nature,
            request: None,
            share: None,
        };
        if let Some(claim) = json::text(volume, &["persistentVolumeClaim", "claimName"]) {
            let pointer = format!("{pointer}/persistentVolumeClaim");
            return match self.workload.lookup("", "PersistentVolumeClaim", claim) {
                Lookup::Found(_, object) => {
                    self.claim(&pointer, name, &object.value, &[claim.to_owned()])
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
        const DURABLE: [&str; 14] = [
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
        if json::get(source, &["hostPath"]).is_some() {
            return (Some("hostPath"), Nature::HostPath);
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
        let own = self.settings.drivers().get(driver);
        let row = drivers::find(driver, shared, parameter);
        let (medium, title) = match (own, row, drivers::told(driver)) {
            (Some(medium), ..) => (*medium, "a network file system"),
            (_, Some(row), _) => (row.medium, row.title),
            (.., Some(title)) => (Medium::NetworkFilesystem, title),
            _ => return Nature::Unknown,
        };
        match medium {
            Medium::NetworkFilesystem => Nature::NetworkFilesystem(format!("{title}: {how}")),
            Medium::NetworkBlock | Medium::Local => Nature::Durable,
        }
    }

    /// A claim, or the template of one; `claims` are the names of those that may exist for it.
    fn claim(&self, pointer: &str, volume: &str, claim: &Value, claims: &[String]) -> Backing {
        let shared = is_shared(claim);
        let here = self.workload.own_place(pointer);
        let of_pods = claims.iter().map(|name| {
            let bound = claims::volume_of(self.workload, name);
            let nature = bound.map(|volume| self.persistent_volume(volume, shared));
            let found = self.workload.lookup("", "PersistentVolumeClaim", name);
            match (nature, found) {
                (Some(nature), _) => (nature, here.clone()),
                // A claim that is there is taken as it is, whatever the template says.
                (None, Lookup::Found(id, claim)) => (
                    self.unbound(&claim.value),
                    self.workload.place_in(id, "/spec/storageClassName", None),
                ),
                (None, Lookup::Absent | Lookup::Unknown) => (Nature::Unknown, here.clone()),
            }
        });
        let named =
            json::text(claim, &["spec", "volumeName"]).and_then(|name| self.volume_named(name));
        let named = named.map(|volume| (self.persistent_volume(volume, shared), here.clone()));
        let natures: Vec<_> = of_pods
            .chain(named)
            .filter(|(nature, _)| *nature != Nature::Unknown)
            .collect();
        // One bad volume is enough.
        let worst = natures
            .iter()
            .find(|(nature, _)| matches!(nature, Nature::NetworkFilesystem(_)));
        let (nature, place) = worst
            .or_else(|| natures.first())
            .cloned()
            .unwrap_or_else(|| {
                // Of claims that a cluster has still to tell of, only the class is known.
                let is_known = |name: &String| {
                    let found = self.workload.lookup("", "PersistentVolumeClaim", name);
                    !matches!(found, Lookup::Unknown)
                };
                let is_told = !self.workload.bundle.is_live()
                    || claims.is_empty()
                    || claims.iter().any(is_known);
                let nature = if is_told {
                    self.unbound(claim)
                } else {
                    self.class(claim, shared)
                };
                (nature, here.clone())
            });
        Backing {
            place,
            volume: Some(volume.to_owned()),
            nature,
            request: json::get(claim, &["spec", "resources", "requests", "storage"])
                .and_then(json::quantity),
            share: None,
        }
    }

    /// What a claim that has no volume yet may be bound to: a volume that is there comes before a new one of its class.
    fn unbound(&self, claim: &Value) -> Nature {
        let shared = is_shared(claim);
        if claims::volume_name(claim).is_some() && self.workload.bundle.is_live() {
            return self.class(claim, shared);
        }
        let default = || self.default_class().map(Object::name);
        let class = claims::class_of(claim).or_else(default);
        // Without a class the claim gets the default one, unless there is none; with a selector no new volume is made.
        let is_certain = class.is_some() || json::get(claim, &["spec", "selector"]).is_some();
        let bundle = self.workload.bundle;
        let volumes = bundle.all("", "PersistentVolume", self.workload.namespace);
        let natures: Vec<Nature> = volumes
            .filter(|(_, volume)| claims::may_bind(claim, class.unwrap_or_default(), &volume.value))
            .map(|(_, volume)| self.persistent_volume(volume, shared))
            .collect();
        let is_bad = |nature: &Nature| matches!(nature, Nature::NetworkFilesystem(_));
        if let Some(Nature::NetworkFilesystem(what)) = natures.iter().find(|nature| is_bad(nature))
        {
            return if is_certain && natures.iter().all(is_bad) {
                Nature::NetworkFilesystem(what.clone())
            } else {
                Nature::Suspect(format!("the claim may be bound to {what}"))
            };
        }
        match self.class(claim, shared) {
            Nature::Unknown if shared => Nature::Suspect(
                "its claim is ReadWriteMany, which block devices and disks hardly ever are"
                    .to_owned(),
            ),
            nature => nature,
        }
    }

    fn volume_named(&self, name: &str) -> Option<&Object> {
        self.workload
            .lookup("", "PersistentVolume", name)
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
        match self.source(spec, shared || is_shared(&volume.value), how).1 {
            // The one node of a test cluster, or of the volume's nodeAffinity.
            Nature::HostPath => Nature::Durable,
            nature => nature,
        }
    }

    /// Of two default classes the newer counts, and nobody knows here which that is.
    fn default_class(&self) -> Option<&Object> {
        let classes = self
            .workload
            .bundle
            .all("storage.k8s.io", "StorageClass", None);
        let mut defaults = classes
            .map(|(_, class)| class)
            .filter(|class| is_default(json::map(&class.value, &["metadata", "annotations"])));
        defaults.next().filter(|_| defaults.next().is_none())
    }

    /// The class of a claim.
    fn class(&self, claim: &Value, shared: bool) -> Nature {
        let named = claims::class_of(claim);
        let class = match named {
            // The empty name asks for a volume that exists, of no class.
            Some("") => return Nature::Unknown,
            Some(name) => self
                .workload
                .lookup("storage.k8s.io", "StorageClass", name)
                .found()
                .map(|(_, class)| class),
            None => self.default_class(),
        };
        let Some(class) = class else {
            let name = named.unwrap_or_default();
            return drivers::CLASSES.iter().find(|(class, _)| *class == name).map_or(
                Nature::Unknown,
                |(class, driver)| {
                    Nature::Suspect(format!(
                        "StorageClass {class} {}; the one that platforms ship by this name is provisioned by {driver}",
                        self.workload.bundle.unseen("StorageClass", class)
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
