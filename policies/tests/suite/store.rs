//! Where the store lies, case by case; and the other policies of a workload's own fields.

use natsguard_policies::settings::Settings;
use serde_json::json;

use crate::support::{Cluster, bundle, check, findings, lines, set};

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
fn a_shared_claim_of_several_replicas_is_refused() {
    let claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: own, namespace: messaging}\n\
                 spec: {accessModes: [ReadWriteMany]}\n";
    let cluster = |replicas| Cluster {
        replicas,
        conf: "jetstream { store_dir: /data, max_mem: 1Gi, max_file: 1Gi }".to_owned(),
        volumes: ", {name: store, persistentVolumeClaim: {claimName: own}}".to_owned(),
        mounts: ", {name: store, mountPath: /data}".to_owned(),
        more: claim.to_owned(),
        ..Cluster::default()
    };
    assert_eq!(
        only("network-filesystem", &cluster(3).findings()),
        inline(
            "persistentVolumeClaim",
            "each server needs a directory of its own"
        )
    );
    assert_eq!(
        only("network-filesystem", &cluster(1).findings()),
        Vec::<String>::new()
    );
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
    assert_eq!(file("10Gi"), Vec::<String>::new());
    assert_eq!(file("11G"), too_large("max_file_store", "11000000000"));
    assert_eq!(file("10G"), Vec::<String>::new());
    assert_eq!(file("\"11G\""), too_large("max_file_store", "11811160064"));
    assert_eq!(file("0"), Vec::<String>::new());
    assert_eq!(file("$SIZE"), Vec::<String>::new());
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

#[test]
fn replicas_are_kept_apart_by_what_is_added_to_what_is_there() {
    let zone = "      affinity:\n        nodeAffinity:\n        podAntiAffinity:\n          \
                requiredDuringSchedulingIgnoredDuringExecution:\n          \
                - {topologyKey: topology.kubernetes.io/zone, labelSelector: {matchLabels: {app: nats}}}\n";
    let (_, repaired) = check(&bundle(&set(zone)), &Settings::default());
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
    let spread = |how: &str| {
        format!(
            "      topologySpreadConstraints: [{{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: {how}, \
             labelSelector: {own}}}]\n"
        )
    };
    assert!(fine(&spread("DoNotSchedule")));
    assert!(!fine(&spread("ScheduleAnyway")));
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
        check(&bundle(&text), &Settings::default());
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
