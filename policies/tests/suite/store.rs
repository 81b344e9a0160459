//! Where the store lies, case by case; and the other policies of a workload's own fields.

use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};

use crate::support::{Cluster, bundle, check, findings, lines, set, settings};

/// A single server with a store in `/data/js`, on this volume (YAML flow), with more documents.
fn on_volume(volume: &str, more: &str) -> Vec<String> {
    let cluster = Cluster {
        replicas: 1,
        conf: "jetstream { store_dir: /data/js, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        volumes: format!(
            ", {{name: store, {volume}}}, {{name: logs, nfs: {{server: a, path: /}}}}"
        ),
        mounts: ", {name: store, mountPath: /data}, {name: logs, mountPath: /data/jslogs}"
            .to_owned(),
        more: more.to_owned(),
        ..Cluster::default()
    };
    only("network-filesystem", &cluster.findings())
}

/// The same on a claim template with this `spec`.
fn on_claim(spec: &str, more: &str) -> Vec<String> {
    let cluster = Cluster {
        replicas: 1,
        conf: "jetstream { store_dir: /data/js, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        spec: format!("  volumeClaimTemplates: [{{metadata: {{name: store}}, spec: {spec}}}]"),
        more: more.to_owned(),
        ..Cluster::default()
    };
    only("network-filesystem", &cluster.findings())
}

fn only(policy: &str, lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter(|line| line.contains(policy))
        .cloned()
        .collect()
}

fn inline(field: &str, what: &str) -> Vec<String> {
    vec![format!(
        "deny network-filesystem spec.template.spec.volumes[1].{field}: volume store of StatefulSet messaging/nats: {what}"
    )]
}

fn claimed(what: &str) -> Vec<String> {
    vec![format!(
        "deny network-filesystem spec.volumeClaimTemplates[0]: volume store of StatefulSet messaging/nats: {what}"
    )]
}

fn class(name: &str, rest: &str) -> String {
    format!(
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nmetadata: {{name: {name}}}\n{rest}\n"
    )
}

#[test]
fn inline_network_file_systems_are_refused() {
    assert_eq!(
        on_volume("nfs: {server: a, path: /}", ""),
        inline("nfs", "NFS: volume store, nfs")
    );
    assert_eq!(
        on_volume("glusterfs: {endpoints: a, path: b}", ""),
        inline("glusterfs", "GlusterFS: volume store, glusterfs")
    );
    assert_eq!(
        on_volume("cephfs: {monitors: [a]}", ""),
        inline("cephfs", "CephFS: volume store, cephfs")
    );
    assert_eq!(
        on_volume("azureFile: {secretName: a, shareName: b}", ""),
        inline("azureFile", "Azure Files (SMB): volume store, azureFile")
    );
    assert_eq!(
        on_volume("flexVolume: {driver: fstab/cifs}", ""),
        inline("flexVolume", "SMB: volume store, driver fstab/cifs")
    );
    assert_eq!(
        on_volume("csi: {driver: nfs.csi.k8s.io}", ""),
        inline("csi", "NFS: volume store, driver nfs.csi.k8s.io")
    );
}

#[test]
fn block_and_local_volumes_are_fine() {
    for volume in [
        "hostPath: {path: /data}",
        "awsElasticBlockStore: {volumeID: a}",
        "iscsi: {targetPortal: a, iqn: b, lun: 0}",
        "csi: {driver: ebs.csi.aws.com}",
        "csi: {driver: example.org/own}",
        "emptyDir: {}",
    ] {
        assert_eq!(on_volume(volume, ""), Vec::<String>::new(), "{volume}");
    }
}

#[test]
fn a_claim_template_is_followed_to_its_class() {
    let nfs = class("shared", "provisioner: nfs.csi.k8s.io");
    let through = claimed("NFS: StorageClass shared, provisioner nfs.csi.k8s.io");
    assert_eq!(on_claim("{storageClassName: shared}", &nfs), through);
    assert_eq!(
        on_claim(
            "{storageClassName: shared}",
            &class("shared", "provisioner: ebs.csi.aws.com")
        ),
        Vec::<String>::new()
    );
    assert_eq!(
        on_claim(
            "{storageClassName: odd}",
            &class(
                "odd",
                "provisioner: example.org/own\nmountOptions: [hard, nfsvers=4.1]"
            )
        ),
        claimed("NFS: StorageClass odd, provisioner example.org/own, mount option nfsvers=4.1")
    );
    assert_eq!(
        on_claim(
            "{storageClassName: nas}",
            &class(
                "nas",
                "provisioner: csi.trident.netapp.io\nparameters: {backendType: ontap-nas}"
            )
        ),
        claimed("NFS on ONTAP: StorageClass nas, provisioner csi.trident.netapp.io")
    );
}

#[test]
fn the_default_class_is_meant_where_none_is_named() {
    let default = class(
        "d, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}",
        "provisioner: efs.csi.aws.com",
    );
    let through = claimed("Amazon EFS (NFS): StorageClass d, provisioner efs.csi.aws.com");
    assert_eq!(on_claim("{}", &default), through);
    assert_eq!(
        on_claim("{storageClassName: ''}", &default),
        Vec::<String>::new()
    );
    assert_eq!(
        on_claim("{storageClassName: other}", &default),
        Vec::<String>::new()
    );
}

#[test]
fn the_old_annotation_names_a_class() {
    let cluster = Cluster {
        replicas: 1,
        conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        spec: "  volumeClaimTemplates: [{metadata: {name: store, annotations: \
               {volume.beta.kubernetes.io/storage-class: shared}}, spec: {}}]"
            .to_owned(),
        more: class("shared", "provisioner: smb.csi.k8s.io"),
        ..Cluster::default()
    };
    assert_eq!(
        only("network-filesystem", &cluster.findings()),
        claimed("SMB: StorageClass shared, provisioner smb.csi.k8s.io")
    );
}

#[test]
fn a_claim_is_followed_to_its_volume() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: store-nats-0, namespace: messaging}\n\
                 spec: {volumeName: pv-7}\n---\n";
    let volume = |source: &str| {
        format!(
            "{claim}apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: pv-7}}\nspec: {source}\n"
        )
    };
    assert_eq!(
        on_claim("{}", &volume("{nfs: {server: a, path: /}}")),
        claimed("NFS: PersistentVolume pv-7, nfs")
    );
    assert_eq!(
        on_claim(
            "{}",
            &volume("{csi: {driver: rook-ceph.cephfs.csi.ceph.com}}")
        ),
        claimed("CephFS: PersistentVolume pv-7, driver rook-ceph.cephfs.csi.ceph.com")
    );
    assert_eq!(
        on_claim("{}", &volume("{local: {path: /disk}}")),
        Vec::<String>::new()
    );
    let reference = "{claimRef: {name: own, namespace: messaging}, nfs: {server: a, path: /}}";
    assert_eq!(
        on_volume(
            "persistentVolumeClaim: {claimName: own}",
            &volume(reference)
        ),
        inline("persistentVolumeClaim", "NFS: PersistentVolume pv-7, nfs")
    );
}

#[test]
fn a_generic_ephemeral_volume_is_followed_to_its_class() {
    assert_eq!(
        on_volume(
            "ephemeral: {volumeClaimTemplate: {spec: {storageClassName: shared}}}",
            &class("shared", "provisioner: nfs.csi.k8s.io")
        ),
        inline(
            "ephemeral",
            "NFS: StorageClass shared, provisioner nfs.csi.k8s.io"
        )
    );
}

#[test]
fn a_claim_is_followed_to_a_volume_that_it_may_get() {
    let volume = |rest: &str| {
        format!(
            "apiVersion: v1\nkind: PersistentVolume\nmetadata: {{name: pv-7, labels: {{use: nats}}}}\n\
             spec: {{nfs: {{server: a, path: /}}, capacity: {{storage: 10Gi}}, accessModes: [ReadWriteOnce]{rest}}}\n"
        )
    };
    let manual = volume(", storageClassName: manual");
    let through = claimed("NFS: PersistentVolume pv-7, nfs");
    let ask = |rest: &str| format!("{{accessModes: [ReadWriteOnce]{rest}}}");
    assert_eq!(
        on_claim(&ask(", storageClassName: manual"), &manual),
        through
    );
    assert_eq!(
        on_claim(
            &ask(", storageClassName: '', selector: {matchLabels: {use: nats}}"),
            &volume("")
        ),
        through
    );
    assert_eq!(
        on_claim(&ask(", selector: {matchLabels: {use: nats}}"), &volume("")),
        through
    );
    let default = class(
        "d, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}",
        "provisioner: ebs.csi.aws.com",
    );
    let of_default = format!("{default}---\n{}", volume(", storageClassName: d"));
    assert_eq!(on_claim(&ask(""), &of_default), through);
    for (spec, volume) in [
        (ask(", storageClassName: other"), manual.clone()),
        (
            ask(", storageClassName: manual, resources: {requests: {storage: 11Gi}}"),
            manual.clone(),
        ),
        (
            ask(", storageClassName: manual, selector: {matchLabels: {use: other}}"),
            manual.clone(),
        ),
        (
            ask(", storageClassName: manual"),
            volume(", storageClassName: manual, claimRef: {name: other, namespace: messaging}"),
        ),
        (ask(""), format!("{default}---\n{}", volume(""))),
    ] {
        assert_eq!(
            on_claim(&spec, &volume),
            Vec::<String>::new(),
            "{spec} {volume}"
        );
    }
    let disk = volume(", storageClassName: manual")
        .replace("pv-7", "pv-8")
        .replace("nfs: {server: a, path: /}", "local: {path: /disk}");
    assert_eq!(
        on_claim(
            &ask(", storageClassName: manual"),
            &format!("{manual}---\n{disk}")
        ),
        [
            "warn network-filesystem spec.volumeClaimTemplates[0]: volume store of StatefulSet messaging/nats: \
          the claim may be bound to NFS: PersistentVolume pv-7, nfs"
        ]
    );
}

#[test]
fn a_claim_that_is_there_has_a_class_of_its_own() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: store-nats-1, namespace: messaging}\n\
                 spec: {storageClassName: shared}\n---\n";
    let classes = class("shared", "provisioner: nfs.example.org");
    let cluster = Cluster {
        conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        spec:
            "  volumeClaimTemplates: [{metadata: {name: store}, spec: {storageClassName: disks}}]"
                .to_owned(),
        more: format!("{claim}{classes}"),
        ..Cluster::default()
    };
    assert_eq!(
        only("network-filesystem", &cluster.findings()),
        [
            "deny network-filesystem spec.storageClassName: volume store of StatefulSet messaging/nats: \
          NFS: StorageClass shared, provisioner nfs.example.org"
        ]
    );
}

#[test]
fn a_claim_for_many_nodes_of_which_nothing_is_known_is_pointed_out() {
    let many = "{accessModes: [ReadWriteMany], storageClassName: fast}";
    assert_eq!(
        on_claim(many, ""),
        [
            "warn network-filesystem spec.volumeClaimTemplates[0]: volume store of StatefulSet messaging/nats: \
          its claim is ReadWriteMany, which block devices and disks hardly ever are"
        ]
    );
    let local = class("fast", "provisioner: rancher.io/local-path");
    assert_eq!(on_claim(many, &local), Vec::<String>::new());
}

#[test]
fn a_class_that_can_not_be_seen_is_not_guessed() {
    assert_eq!(
        on_claim("{storageClassName: fast}", ""),
        Vec::<String>::new()
    );
    assert_eq!(
        on_claim("{storageClassName: azurefile-csi}", ""),
        [
            "warn network-filesystem spec.volumeClaimTemplates[0]: volume store of StatefulSet messaging/nats: \
          StorageClass azurefile-csi is not in the input; the one that platforms ship by this name is provisioned by \
          file.csi.azure.com"
        ]
    );
}

#[test]
fn the_platform_can_add_drivers() {
    let settings: Settings = serde_json::from_value(json!({
        "policies": {"network-filesystem": {"drivers": {"example.org/own": "network-filesystem", "nfs.csi.k8s.io": "local"}}}
    }))
    .unwrap();
    let with = |driver: &str| {
        let cluster = Cluster {
            replicas: 1,
            conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
            volumes: format!(", {{name: store, csi: {{driver: {driver}}}}}"),
            mounts: ", {name: store, mountPath: /data}".to_owned(),
            ..Cluster::default()
        };
        only(
            "network-filesystem",
            &lines(&check(&cluster.bundle(), &settings).0),
        )
    };
    assert_eq!(
        with("example.org/own"),
        inline(
            "csi",
            "a network file system: volume store, driver example.org/own"
        )
    );
    assert_eq!(with("nfs.csi.k8s.io"), Vec::<String>::new());
}

#[test]
fn an_exemption_lets_a_workload_through() {
    let settings: Settings = serde_json::from_value(json!({"exemptions": [
        {"policy": "network-filesystem", "namespace": "messaging", "name": "nats", "reason": "moves next month"}
    ]}))
    .unwrap();
    let cluster = Cluster {
        replicas: 1,
        conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        volumes: ", {name: store, nfs: {server: a, path: /}}".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        ..Cluster::default()
    };
    let (report, _) = check(&cluster.bundle(), &settings);
    assert_eq!(lines(&report), Vec::<String>::new());
    assert_eq!(report.exempted[0].reason, "moves next month");
    let mut twice = settings.clone();
    let mut narrow = twice.exemptions[0].clone();
    narrow.reason = "stays".to_owned();
    twice.exemptions.push(narrow);
    let (report, _) = check(&cluster.bundle(), &twice);
    assert_eq!(report.exempted[0].reason, "moves next month");
    assert_eq!(report.exempted[0].exemptions, [0, 1]);
}

#[test]
fn an_exemption_by_the_labels_of_a_namespace_holds_where_they_are_known() {
    let settings: Settings = serde_json::from_value(json!({"exemptions": [
        {"policy": "network-filesystem", "selector": {"matchLabels": {"tier": "sandbox"}}, "reason": "nothing is kept"}
    ]}))
    .unwrap();
    let cluster = Cluster {
        replicas: 1,
        conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        volumes: ", {name: store, nfs: {server: a, path: /}}".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        ..Cluster::default()
    };
    let with = |labels: Option<Value>| {
        let mut objects: Vec<Object> = cluster.bundle().objects().to_vec();
        // The tenant's own labels are no namespace's.
        for object in &mut objects {
            object.value["metadata"]["labels"] = json!({"tier": "sandbox"});
        }
        objects.extend(labels.map(|labels| {
            Object::new(json!({
                "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "messaging", "labels": labels}
            }))
        }));
        let (report, _) = check(&Bundle::new(objects, Some("messaging")), &settings);
        let remedies = report
            .findings
            .into_iter()
            .map(|judged| judged.finding.remedy);
        (remedies.collect::<Vec<_>>(), report.exempted.len())
    };
    let remedy =
        "put the store on a local disk or a block device, as a StorageClass of such volumes gives";
    assert_eq!(with(Some(json!({"tier": "sandbox"}))), (vec![], 1));
    assert_eq!(
        with(Some(json!({"tier": "gold"}))),
        (vec![remedy.to_owned()], 0)
    );
    let unknown = format!(
        "{remedy}; exemptions[0] is for labels of namespaces, and Namespace messaging is not in the input"
    );
    assert_eq!(with(None), (vec![unknown], 0));
}

fn store(conf: &str) -> Vec<String> {
    let cluster = Cluster {
        replicas: 1,
        conf: conf.to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        spec: "  volumeClaimTemplates: [{metadata: {name: store}, spec: {resources: {requests: {storage: 10Gi}}}}]"
            .to_owned(),
        ..Cluster::default()
    };
    cluster.findings()
}

#[test]
fn limits_are_read_as_the_server_reads_them() {
    let too_large = |name: &str, bytes: &str| {
        vec![format!(
            "warn unbounded-store data[\"nats.conf\"].jetstream.{name}: {name} of StatefulSet messaging/nats is {bytes} \
             bytes, the claim 10737418240"
        )]
    };
    let file = |size: &str| {
        store(&format!(
            "jetstream {{ store_dir: /data, max_mem: 1Gi, max_file: {size} }}"
        ))
    };
    assert_eq!(file("9Gi"), Vec::<String>::new());
    assert_eq!(file("10Gi"), too_large("max_file_store", "10737418240"));
    assert_eq!(file("11G"), too_large("max_file_store", "11000000000"));
    assert_eq!(file("9G"), Vec::<String>::new());
    assert_eq!(file("\"11G\""), too_large("max_file_store", "11811160064"));
    assert_eq!(file("0"), Vec::<String>::new());
    assert_eq!(file("$SIZE"), Vec::<String>::new());
}

fn remedies(container: &str, conf: &str) -> Vec<String> {
    let text = set("").replace(
        "args: [-m, '8222']",
        &format!("args: [-c, /c/nats.conf], volumeMounts: [{{name: c, mountPath: /c}}]{container}"),
    );
    let text = text.replace("replicas: 3", "replicas: 1").replace(
        "      containers:",
        "      volumes: [{name: c, configMap: {name: c}}]\n      containers:",
    );
    let map = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\ndata: {{nats.conf: '{conf}'}}\n---\n"
    );
    let (report, _) = check(&bundle(&format!("{map}{text}")), &Settings::default());
    let of_limits = report
        .findings
        .iter()
        .filter(|judged| judged.finding.policy == "unbounded-store");
    of_limits
        .map(|judged| judged.finding.remedy.clone())
        .collect()
}

#[test]
fn a_memory_store_leaves_room_in_the_container() {
    let of = |memory: &str, env: &str| {
        remedies(
            &format!(", resources: {{limits: {{memory: 1Gi}}}}{env}"),
            &format!("jetstream {{ store_dir: /data, max_mem: {memory}, max_file: 1Gi }}"),
        )
    };
    let bounded = "set max_memory_store to at most 768Mi (75% of the container's memory limit), or raise the container's \
                   memory limit";
    assert_eq!(of("768Mi", ""), [""; 0]);
    assert_eq!(of("1Gi", ""), [bounded]);
    assert_eq!(of("2Gi", ""), [bounded]);
    let told = ", env: [{name: GOMEMLIMIT, value: 800MiB}]";
    assert_eq!(of("600Mi", told), [""; 0]);
    assert_eq!(
        of("700Mi", told),
        ["set max_memory_store to at most 600Mi (75% of GOMEMLIMIT), or raise GOMEMLIMIT"]
    );
    assert_eq!(
        of("-1", ""),
        ["set max_memory_store to a size of at most 768Mi (75% of the container's memory limit)"]
    );
}

#[test]
fn limits_that_are_not_set_are_pointed_out() {
    assert_eq!(
        store("jetstream { store_dir: /data, max_file: -1 }"),
        [
            "warn unbounded-store data[\"nats.conf\"].jetstream: \
             without max_memory_store StatefulSet messaging/nats takes 75% of the node's memory",
            "warn unbounded-store data[\"nats.conf\"].jetstream.max_file_store: \
             StatefulSet messaging/nats takes 75% of the space that is free when it starts",
        ]
    );
}

#[test]
fn a_store_that_goes_with_the_pod_is_pointed_out() {
    let limits = "max_mem: 1Gi, max_file: 1Gi";
    assert_eq!(
        store(&format!("jetstream {{ {limits} }}")),
        [
            "warn ephemeral-store data[\"nats.conf\"].jetstream: StatefulSet messaging/nats has no store_dir, \
          so the store is /tmp/nats/jetstream on the container's own file system"
        ]
    );
    assert_eq!(
        store(&format!("jetstream {{ store_dir: /var/data, {limits} }}")),
        [
            "warn ephemeral-store spec.template.spec.containers[0]: /var/data/jetstream of StatefulSet messaging/nats is on \
          the container's own file system"
        ]
    );
    assert_eq!(
        store("jetstream { store_dir: /var/data, max_mem: 1Gi, max_file: 0 }"),
        Vec::<String>::new()
    );
    assert_eq!(store("jetstream: disabled"), Vec::<String>::new());
    assert_eq!(
        store(&format!("store_dir: /data\njetstream {{ {limits} }}")),
        Vec::<String>::new()
    );
}

/// A workload of this kind with a store in `/data`, on this volume.
fn workload(kind: &str, spec: &str, container: &str, volume: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: nats}}\nspec:\n  {spec}\n  selector: {{matchLabels: {{app: \
         nats}}}}\n  template:\n    metadata: {{labels: {{app: nats}}}}\n    spec:\n      containers: [{{name: nats, image: \
         'nats:2.14.5', args: [-js, -sd, /data]{container}}}]\n      volumes: [{{name: store, {volume}}}]\n"
    )
}

const MOUNT: &str = ", volumeMounts: [{name: store, mountPath: /data}]";

fn told(policy: &str, text: &str) -> Vec<String> {
    let (report, _) = check(&bundle(text), &Settings::default());
    report
        .findings
        .iter()
        .map(|judged| &judged.finding)
        .filter(|finding| finding.policy == policy)
        .map(|finding| format!("{}; {}", finding.detail, finding.remedy))
        .collect()
}

#[test]
fn a_remedy_can_be_followed() {
    let on = |kind: &str, replicas: &str| {
        told(
            "ephemeral-store",
            &workload(kind, replicas, MOUNT, "emptyDir: {}"),
        )
    };
    assert_eq!(
        on("StatefulSet", "replicas: 1"),
        [
            "/data/jetstream of StatefulSet default/nats is on an emptyDir; mount a volumeClaimTemplate there"
        ]
    );
    assert_eq!(
        on("Deployment", "replicas: 1"),
        [
            "/data/jetstream of Deployment default/nats is on an emptyDir; run it as a StatefulSet with a volumeClaimTemplate, or \
          mount a PersistentVolumeClaim there (strategy: Recreate)"
        ]
    );
    let limits = told(
        "unbounded-store",
        &workload("Deployment", "replicas: 1", MOUNT, "emptyDir: {}"),
    );
    assert_eq!(
        limits[0],
        "without max_file_store Deployment default/nats takes 75% of the space that is free when it starts; set \
         max_file_store to a size, in a file passed with -c"
    );
    let followed = workload(
        "Deployment",
        "replicas: 1\n  strategy: {type: Recreate}",
        MOUNT,
        "persistentVolumeClaim: {claimName: nats}",
    );
    assert_eq!(told("ephemeral-store", &followed), [""; 0]);
    assert_eq!(told("shared-store", &followed), [""; 0]);
}

#[test]
fn a_host_path_stays_when_a_pod_moves() {
    let on = |kind: &str, spec: &str| {
        told(
            "ephemeral-store",
            &workload(kind, spec, MOUNT, "hostPath: {path: /data}"),
        )
        .len()
    };
    assert_eq!(on("StatefulSet", "replicas: 3"), 1);
    assert_eq!(on("StatefulSet", "replicas: 1"), 0);
    assert_eq!(on("DaemonSet", "minReadySeconds: 0"), 0);
}

#[test]
fn servers_that_share_a_volume_are_refused() {
    let on = |kind: &str, spec: &str, volume: &str| {
        told("shared-store", &workload(kind, spec, MOUNT, volume))
    };
    let claim = "persistentVolumeClaim: {claimName: nats}";
    assert_eq!(
        on("StatefulSet", "replicas: 3", claim),
        [
            "volume store of StatefulSet default/nats: 3 replicas; give each replica a volume of its own: a volumeClaimTemplate"
        ]
    );
    assert_eq!(
        on("Deployment", "replicas: 2", "nfs: {server: a, path: /}"),
        [
            "volume store of Deployment default/nats: 2 replicas; run it as a StatefulSet with a volumeClaimTemplate"
        ]
    );
    assert_eq!(
        on("DaemonSet", "minReadySeconds: 0", claim),
        [
            "volume store of DaemonSet default/nats: one on each node; run it as a StatefulSet with a volumeClaimTemplate"
        ]
    );
    for (kind, spec, volume) in [
        ("StatefulSet", "replicas: 1", claim),
        ("StatefulSet", "replicas: 3", "emptyDir: {}"),
        ("StatefulSet", "replicas: 3", "hostPath: {path: /data}"),
        (
            "Deployment",
            "replicas: 2",
            "ephemeral: {volumeClaimTemplate: {spec: {}}}",
        ),
        ("Deployment", "replicas: 0", claim),
        (
            "Deployment",
            "replicas: 1\n  strategy: {rollingUpdate: {maxSurge: 0}}",
            claim,
        ),
    ] {
        assert_eq!(on(kind, spec, volume), [""; 0], "{kind} {spec} {volume}");
    }
    assert_eq!(
        on("Deployment", "replicas: 1", claim),
        [
            "Deployment default/nats is rolled out with a pod more; set spec.strategy.type: Recreate, or run it as a StatefulSet"
        ]
    );
}

#[test]
fn a_directory_of_its_own_for_each_server_is_a_warning() {
    let answer = |container: &str| {
        let text = workload(
            "StatefulSet",
            "replicas: 3",
            container,
            "persistentVolumeClaim: {claimName: nats}",
        );
        let found = only("shared-store", &findings(&bundle(&text)));
        found
            .first()
            .and_then(|line| line.split(' ').next())
            .map(str::to_owned)
    };
    let with = |sub_path: &str, env: &str| {
        answer(&format!(
            ", volumeMounts: [{{name: store, mountPath: /data, {sub_path}}}], env: [{env}]"
        ))
    };
    let field =
        |path: &str| format!("{{name: WHO, valueFrom: {{fieldRef: {{fieldPath: {path}}}}}}}");
    assert_eq!(
        with("subPathExpr: $(WHO)", &field("metadata.name")).unwrap(),
        "warn"
    );
    assert_eq!(
        with("subPathExpr: a/$(WHO)-x", &field("status.podIP")).unwrap(),
        "warn"
    );
    assert_eq!(
        with(
            "subPathExpr: $(OUR)",
            &format!(
                "{}, {{name: OUR, value: nats-$(WHO)}}",
                field("metadata.name")
            )
        )
        .unwrap(),
        "warn"
    );
    assert_eq!(
        with("subPathExpr: $(WHO)", &field("metadata.namespace")).unwrap(),
        "deny"
    );
    assert_eq!(
        with("subPathExpr: $(WHOM)", &field("metadata.name")).unwrap(),
        "deny"
    );
    assert_eq!(
        with("subPathExpr: $(WHO)", "{name: WHO, value: nats}").unwrap(),
        "deny"
    );
    assert_eq!(with("subPath: nats", "").unwrap(), "deny");
}

#[test]
fn two_workloads_that_share_a_claim_are_refused() {
    let one = |name: &str, mount: &str| {
        workload(
            "StatefulSet",
            "replicas: 1",
            mount,
            "persistentVolumeClaim: {claimName: both}",
        )
        .replace(
            "metadata: {name: nats}",
            &format!("metadata: {{name: {name}}}"),
        )
    };
    let at = |path: &str| {
        format!(", volumeMounts: [{{name: store, mountPath: /data, subPath: {path}}}]")
    };
    let two = |a: &str, b: &str| {
        let text = format!("{}---\n{}", one("a", a), one("b", b));
        only("shared-store", &findings(&bundle(&text)))
    };
    let found = |action: &str| {
        ["a", "b"].map(|name| {
            let other = if name == "a" { "b" } else { "a" };
            format!(
                "{action} shared-store spec.template.spec.volumes[0].persistentVolumeClaim: volume store of StatefulSet \
                 default/{name}: StatefulSet default/{other}, too"
            )
        })
    };
    assert_eq!(two(MOUNT, MOUNT), found("deny"));
    assert_eq!(two(&at("x"), &at("x/")), found("deny"));
    assert_eq!(two(&at("x"), &at("y")), found("warn"));
    assert_eq!(two(&at("x"), ""), [""; 0]);
}

#[test]
fn what_shares_a_volume_is_not_forced_apart() {
    let text = workload(
        "StatefulSet",
        "replicas: 3",
        MOUNT,
        "persistentVolumeClaim: {claimName: nats}",
    );
    let (_, repaired) = check(&bundle(&text), &Settings::default());
    let anti = &repaired.bundle.objects()[0].value["spec"]["template"]["spec"]["affinity"]["podAntiAffinity"];
    assert!(anti["requiredDuringSchedulingIgnoredDuringExecution"].is_null());
    assert!(anti["preferredDuringSchedulingIgnoredDuringExecution"].is_array());
}

#[test]
fn replicas_are_kept_apart_by_what_is_added_to_what_is_there() {
    let zone = "      affinity:\n        nodeAffinity:\n        podAntiAffinity:\n          \
                requiredDuringSchedulingIgnoredDuringExecution:\n          \
                - {topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: nats}}}\n";
    let (_, repaired) = check(&bundle(&set(zone)), &settings());
    let affinity = &repaired.bundle.objects()[0].value["spec"]["template"]["spec"]["affinity"];
    let selector = json!({"matchLabels": {"app": "nats"}});
    assert_eq!(
        affinity["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"],
        json!([
            {"topologyKey": "topology.kubernetes.io/zone", "labelSelector": selector},
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": selector}
        ])
    );
}

#[test]
fn a_rule_counts_only_when_it_keeps_these_pods_apart() {
    let term = |selector: &str, rest: &str| {
        format!(
            "      affinity: {{podAntiAffinity: {{preferredDuringSchedulingIgnoredDuringExecution: [{{weight: 1, podAffinityTerm: \
             {{labelSelector: {selector}, topologyKey: kubernetes.io/hostname{rest}}}}}]}}}}\n"
        )
    };
    let own = "{matchLabels: {app: nats}}";
    let fine = |spec: &str| findings(&bundle(&set(spec))).is_empty();
    assert!(fine(&term(own, "")));
    assert!(fine(&term(own, ", namespaces: [default]")));
    assert!(fine(&term(own, ", namespaceSelector: {}")));
    assert!(fine(&term(
        "{matchExpressions: [{key: app, operator: In, values: [nats]}]}",
        ""
    )));
    assert!(!fine(&term("{matchLabels: {app: other}}", "")));
    assert!(!fine(&term(own, ", namespaces: [other]")));
    let spread = |skew: u32, how: &str| {
        format!(
            "      topologySpreadConstraints: [{{maxSkew: {skew}, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: {how}, \
             labelSelector: {own}}}]\n"
        )
    };
    assert!(fine(&spread(1, "DoNotSchedule")));
    assert!(!fine(&spread(2, "DoNotSchedule")));
    assert!(!fine(&spread(3, "DoNotSchedule")));
    assert!(!fine(&spread(1, "ScheduleAnyway")));
}

#[test]
fn credentials_in_arguments_are_pointed_out_and_not_told() {
    let with = |args: &str| {
        let text = set("")
            .replace("[-m, '8222']", args)
            .replace("replicas: 3", "replicas: 1");
        only("exposed-credentials", &findings(&bundle(&text)))
    };
    assert_eq!(
        with("['--routes=nats://a:6222,nats://user:hunter2@b:6222', --pass, hunter3]"),
        [
            "warn exposed-credentials spec.template.spec.containers[0].args[0]: --routes of StatefulSet default/nats",
            "warn exposed-credentials spec.template.spec.containers[0].args[2]: --pass of StatefulSet default/nats",
        ]
    );
    for args in [
        "['--routes=nats://user@b:6222']",
        "['--cluster=nats://$(U):$(P)@a:6222', --pass, $(P)]",
        "[--user, a]",
    ] {
        assert_eq!(with(args), Vec::<String>::new(), "{args}");
    }
}

#[test]
fn odd_input_has_an_answer() {
    for spec in [
        "spec: {}",
        "spec: null",
        "spec: {template: {spec: {containers: null}}}",
        "spec: {volumeClaimTemplates: null, replicas: null, template: {spec: {containers: [{image: nats, args: [-js, -sd, /data]}]}}}",
        "spec: {replicas: -1, template: {spec: {containers: [{image: nats}, 7, null]}}}",
        "spec: {replicas: 3, serviceName: 7, selector: [], template: {spec: {containers: [{image: nats, args: [1, null]}]}}}",
        "spec: {replicas: 1e9, template: {spec: {volumes: {}, containers: [{image: nats, command: [nats-server, -c, /x]}]}}}",
        "spec: {replicas: 4000000000, template: {spec: {containers: [{image: nats, args: [--cluster, 'nats://a:1']}]}}}",
    ] {
        let text =
            format!("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {{name: nats}}\n{spec}\n");
        check(&bundle(&text), &settings());
    }
    let no_selector = set("").replace("  selector: {matchLabels: {app: nats}}\n", "");
    assert_eq!(
        findings(&bundle(&no_selector)),
        [
            "warn co-located-replicas spec.template.spec.affinity.podAntiAffinity: \
          StatefulSet default/nats has no selector that matches its pods"
        ]
    );
}
