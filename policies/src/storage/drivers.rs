//! Which storage drivers are network file systems, which are block devices, and which are local. Data, not code.

use serde::{Deserialize, Serialize};

/// What kind of storage a driver gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Medium {
    /// NFS, SMB and other shared file systems: not for JetStream.
    NetworkFilesystem,
    /// A block device over the network: fine.
    NetworkBlock,
    /// A disk of the node: fine.
    Local,
}

/// When a row of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Always.
    Always,
    /// When the claim asks for `ReadWriteMany`.
    Shared,
    /// When a parameter of the StorageClass, or attribute of the volume, holds this text (in any case).
    Parameter(&'static str, &'static str),
}

/// One row: a driver or provisioner (`*` stands for anything at the beginning), when the row holds, the medium, and its name
/// for people.
#[derive(Debug, Clone, Copy)]
pub struct Driver {
    /// The name, perhaps with a leading `*`.
    pub name: &'static str,
    /// The condition.
    pub when: When,
    /// The medium.
    pub medium: Medium,
    /// What people call it.
    pub title: &'static str,
}

const fn row(name: &'static str, when: When, medium: Medium, title: &'static str) -> Driver {
    Driver {
        name,
        when,
        medium,
        title,
    }
}

use Medium::{Local, NetworkBlock, NetworkFilesystem};
use When::{Always, Parameter, Shared};

/// The table; the first row that holds counts, so conditions come before the rule.
pub const DRIVERS: &[Driver] = &[
    // NFS
    row("nfs.csi.k8s.io", Always, NetworkFilesystem, "NFS"),
    row(
        "*nfs-subdir-external-provisioner",
        Always,
        NetworkFilesystem,
        "NFS",
    ),
    row("*nfs-client-provisioner", Always, NetworkFilesystem, "NFS"),
    row("*nfs-provisioner", Always, NetworkFilesystem, "NFS"),
    row("*nfs-server-provisioner", Always, NetworkFilesystem, "NFS"),
    row("fuseim.pri/ifs", Always, NetworkFilesystem, "NFS"),
    row("nfs.openebs.io", Always, NetworkFilesystem, "NFS"),
    row("openebs.io/nfsrwx", Always, NetworkFilesystem, "NFS"),
    row(
        "*nfs.csi.ceph.com",
        Always,
        NetworkFilesystem,
        "NFS on Ceph",
    ),
    row("*democratic-csi.nfs", Always, NetworkFilesystem, "NFS"),
    row("*freenas-nfs", Always, NetworkFilesystem, "NFS"),
    row("*truenas-nfs", Always, NetworkFilesystem, "NFS"),
    row(
        "csi-isilon.dellemc.com",
        Always,
        NetworkFilesystem,
        "NFS on PowerScale",
    ),
    row("csi.vastdata.com", Always, NetworkFilesystem, "NFS on VAST"),
    row(
        "efs.csi.aws.com",
        Always,
        NetworkFilesystem,
        "Amazon EFS (NFS)",
    ),
    row("*aws-efs", Always, NetworkFilesystem, "Amazon EFS (NFS)"),
    row(
        "fsx.openzfs.csi.aws.com",
        Always,
        NetworkFilesystem,
        "Amazon FSx for OpenZFS (NFS)",
    ),
    row(
        "filestore.csi.storage.gke.io",
        Always,
        NetworkFilesystem,
        "Google Filestore (NFS)",
    ),
    row(
        "fss.csi.oraclecloud.com",
        Always,
        NetworkFilesystem,
        "OCI File Storage (NFS)",
    ),
    row(
        "nasplugin.csi.alibabacloud.com",
        Always,
        NetworkFilesystem,
        "Alibaba NAS (NFS)",
    ),
    row(
        "com.tencent.cloud.csi.cfs",
        Always,
        NetworkFilesystem,
        "Tencent CFS (NFS)",
    ),
    row(
        "sfsturbo.csi.everest.io",
        Always,
        NetworkFilesystem,
        "Huawei SFS Turbo (NFS)",
    ),
    row(
        "nas.csi.everest.io",
        Always,
        NetworkFilesystem,
        "Huawei SFS (NFS)",
    ),
    row(
        "vpc.file.csi.ibm.io",
        Always,
        NetworkFilesystem,
        "IBM Cloud File Storage (NFS)",
    ),
    row(
        "ibm.io/ibmc-file",
        Always,
        NetworkFilesystem,
        "IBM Cloud File Storage (NFS)",
    ),
    row(
        "*manila.csi.openstack.org",
        Always,
        NetworkFilesystem,
        "OpenStack Manila",
    ),
    row(
        "csi.trident.netapp.io",
        Parameter("backendType", "nas"),
        NetworkFilesystem,
        "NFS on ONTAP",
    ),
    row(
        "netapp.io/trident",
        Parameter("backendType", "nas"),
        NetworkFilesystem,
        "NFS on ONTAP",
    ),
    row(
        "com.nutanix.csi",
        Parameter("storageType", "nutanixfiles"),
        NetworkFilesystem,
        "Nutanix Files (NFS)",
    ),
    row(
        "csi.nutanix.com",
        Parameter("storageType", "nutanixfiles"),
        NetworkFilesystem,
        "Nutanix Files (NFS)",
    ),
    row(
        "driver.longhorn.io",
        Shared,
        NetworkFilesystem,
        "Longhorn ReadWriteMany (NFS)",
    ),
    row(
        "csi.vsphere.vmware.com",
        Shared,
        NetworkFilesystem,
        "vSAN file volume (NFS)",
    ),
    row(
        "pxd.portworx.com",
        Parameter("sharedv4", "true"),
        NetworkFilesystem,
        "Portworx sharedv4 (NFS)",
    ),
    row(
        "kubernetes.io/portworx-volume",
        Parameter("sharedv4", "true"),
        NetworkFilesystem,
        "Portworx sharedv4 (NFS)",
    ),
    row(
        "kubernetes.io/portworx-volume",
        Parameter("shared", "true"),
        NetworkFilesystem,
        "Portworx shared (NFS)",
    ),
    // SMB
    row("smb.csi.k8s.io", Always, NetworkFilesystem, "SMB"),
    row(
        "file.csi.azure.com",
        Always,
        NetworkFilesystem,
        "Azure Files (SMB or NFS)",
    ),
    row(
        "kubernetes.io/azure-file",
        Always,
        NetworkFilesystem,
        "Azure Files (SMB)",
    ),
    row("*cifs", Always, NetworkFilesystem, "SMB"),
    row("*smb", Always, NetworkFilesystem, "SMB"),
    // Other shared file systems
    row("*cephfs.csi.ceph.com", Always, NetworkFilesystem, "CephFS"),
    row("kubernetes.io/cephfs", Always, NetworkFilesystem, "CephFS"),
    row("ceph.com/cephfs", Always, NetworkFilesystem, "CephFS"),
    row(
        "kubernetes.io/glusterfs",
        Always,
        NetworkFilesystem,
        "GlusterFS",
    ),
    row(
        "*gluster.org/glusterfs",
        Always,
        NetworkFilesystem,
        "GlusterFS",
    ),
    row(
        "org.gluster.glusterfs",
        Always,
        NetworkFilesystem,
        "GlusterFS",
    ),
    row(
        "kubernetes.io/quobyte",
        Always,
        NetworkFilesystem,
        "Quobyte",
    ),
    row("csi.quobyte.com", Always, NetworkFilesystem, "Quobyte"),
    row(
        "fsx.csi.aws.com",
        Always,
        NetworkFilesystem,
        "Amazon FSx for Lustre",
    ),
    row(
        "lustre.csi.storage.gke.io",
        Always,
        NetworkFilesystem,
        "Lustre",
    ),
    row(
        "azurelustre.csi.azure.com",
        Always,
        NetworkFilesystem,
        "Lustre",
    ),
    row("beegfs.csi.netapp.com", Always, NetworkFilesystem, "BeeGFS"),
    row(
        "spectrumscale.csi.ibm.com",
        Always,
        NetworkFilesystem,
        "IBM Storage Scale",
    ),
    row("csi.weka.io", Always, NetworkFilesystem, "WekaFS"),
    row("csi.juicefs.com", Always, NetworkFilesystem, "JuiceFS"),
    row(
        "com.tuxera.csi.moosefs",
        Always,
        NetworkFilesystem,
        "MooseFS",
    ),
    row(
        "seaweedfs-csi-driver",
        Always,
        NetworkFilesystem,
        "SeaweedFS",
    ),
    row(
        "blob.csi.azure.com",
        Always,
        NetworkFilesystem,
        "Azure Blob (NFS or FUSE)",
    ),
    row(
        "gcsfuse.csi.storage.gke.io",
        Always,
        NetworkFilesystem,
        "Cloud Storage FUSE",
    ),
    row(
        "s3.csi.aws.com",
        Always,
        NetworkFilesystem,
        "Mountpoint for S3",
    ),
    // Network block
    row("ebs.csi.aws.com", Always, NetworkBlock, "Amazon EBS"),
    row(
        "ebs.csi.eks.amazonaws.com",
        Always,
        NetworkBlock,
        "Amazon EBS",
    ),
    row("kubernetes.io/aws-ebs", Always, NetworkBlock, "Amazon EBS"),
    row(
        "pd.csi.storage.gke.io",
        Always,
        NetworkBlock,
        "Google Persistent Disk",
    ),
    row(
        "kubernetes.io/gce-pd",
        Always,
        NetworkBlock,
        "Google Persistent Disk",
    ),
    row("disk.csi.azure.com", Always, NetworkBlock, "Azure Disk"),
    row(
        "kubernetes.io/azure-disk",
        Always,
        NetworkBlock,
        "Azure Disk",
    ),
    row("*rbd.csi.ceph.com", Always, NetworkBlock, "Ceph RBD"),
    row("kubernetes.io/rbd", Always, NetworkBlock, "Ceph RBD"),
    row(
        "cinder.csi.openstack.org",
        Always,
        NetworkBlock,
        "OpenStack Cinder",
    ),
    row(
        "kubernetes.io/cinder",
        Always,
        NetworkBlock,
        "OpenStack Cinder",
    ),
    row(
        "csi.vsphere.vmware.com",
        Always,
        NetworkBlock,
        "vSphere disk",
    ),
    row(
        "kubernetes.io/vsphere-volume",
        Always,
        NetworkBlock,
        "vSphere disk",
    ),
    row("driver.longhorn.io", Always, NetworkBlock, "Longhorn"),
    row("pxd.portworx.com", Always, NetworkBlock, "Portworx"),
    row(
        "kubernetes.io/portworx-volume",
        Always,
        NetworkBlock,
        "Portworx",
    ),
    row(
        "csi.trident.netapp.io",
        Parameter("backendType", "san"),
        NetworkBlock,
        "ONTAP SAN",
    ),
    row(
        "dobs.csi.digitalocean.com",
        Always,
        NetworkBlock,
        "DigitalOcean Volume",
    ),
    row(
        "linodebs.csi.linode.com",
        Always,
        NetworkBlock,
        "Linode Volume",
    ),
    row("csi.hetzner.cloud", Always, NetworkBlock, "Hetzner Volume"),
    row("csi.scaleway.com", Always, NetworkBlock, "Scaleway Volume"),
    row("linstor.csi.linbit.com", Always, NetworkBlock, "LINSTOR"),
    row(
        "io.openebs.csi-mayastor",
        Always,
        NetworkBlock,
        "OpenEBS Mayastor",
    ),
    row(
        "cstor.csi.openebs.io",
        Always,
        NetworkBlock,
        "OpenEBS cStor",
    ),
    row(
        "blockvolume.csi.oraclecloud.com",
        Always,
        NetworkBlock,
        "OCI Block Volume",
    ),
    row(
        "diskplugin.csi.alibabacloud.com",
        Always,
        NetworkBlock,
        "Alibaba Disk",
    ),
    row(
        "vpc.block.csi.ibm.io",
        Always,
        NetworkBlock,
        "IBM Cloud Block Storage",
    ),
    // Local
    row(
        "kubernetes.io/no-provisioner",
        Always,
        Local,
        "local volume",
    ),
    row("rancher.io/local-path", Always, Local, "local path"),
    row("topolvm.io", Always, Local, "TopoLVM"),
    row("topolvm.cybozu.com", Always, Local, "TopoLVM"),
    row("local.csi.openebs.io", Always, Local, "OpenEBS LocalPV"),
    row("zfs.csi.openebs.io", Always, Local, "OpenEBS ZFS"),
    row("openebs.io/local", Always, Local, "OpenEBS LocalPV"),
    row("hostpath.csi.k8s.io", Always, Local, "host path"),
    row("k8s.io/minikube-hostpath", Always, Local, "host path"),
    row("docker.io/hostpath", Always, Local, "host path"),
    row("microk8s.io/hostpath", Always, Local, "host path"),
];

/// Names under which managed clusters and well-known charts ship a StorageClass on a network file system, with its
/// provisioner. A class of such a name that can't be seen is worth a word, no more.
pub const CLASSES: &[(&str, &str)] = &[
    ("azurefile", "file.csi.azure.com"),
    ("azurefile-csi", "file.csi.azure.com"),
    ("azurefile-csi-nfs", "file.csi.azure.com"),
    ("azurefile-csi-premium", "file.csi.azure.com"),
    ("azurefile-premium", "file.csi.azure.com"),
    ("efs-sc", "efs.csi.aws.com"),
    ("enterprise-rwx", "filestore.csi.storage.gke.io"),
    ("nfs-client", "nfs-subdir-external-provisioner"),
    ("nfs-csi", "nfs.csi.k8s.io"),
    (
        "ocs-storagecluster-cephfs",
        "openshift-storage.cephfs.csi.ceph.com",
    ),
    ("premium-rwx", "filestore.csi.storage.gke.io"),
    ("rook-cephfs", "rook-ceph.cephfs.csi.ceph.com"),
    ("standard-rwx", "filestore.csi.storage.gke.io"),
    ("zonal-rwx", "filestore.csi.storage.gke.io"),
];

/// Words in the names of drivers that nobody has listed, and what such a driver mounts.
const WORDS: [(&str, &str); 4] = [
    ("nfs", "NFS"),
    ("smb", "SMB"),
    ("cifs", "SMB"),
    ("efs", "Amazon EFS (NFS)"),
];

/// The network file system that the name of a driver tells of, which the table does not have.
pub fn told(driver: &str) -> Option<&'static str> {
    let mut words = driver.split(|c: char| !c.is_ascii_alphanumeric());
    words.find_map(|word| {
        let known = WORDS
            .iter()
            .find(|(known, _)| word.eq_ignore_ascii_case(known))?;
        Some(known.1)
    })
}

/// The row for a driver; `parameter` reads a parameter of the class or an attribute of the volume.
pub fn find<'p>(
    driver: &str,
    shared: bool,
    parameter: impl Fn(&str) -> Option<&'p str>,
) -> Option<&'static Driver> {
    DRIVERS.iter().find(|row| {
        let is_named = match row.name.strip_prefix('*') {
            Some(end) => driver.ends_with(end),
            None => driver == row.name,
        };
        is_named
            && match row.when {
                Always => true,
                Shared => shared,
                Parameter(key, text) => {
                    parameter(key).is_some_and(|value| value.to_ascii_lowercase().contains(text))
                }
            }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium(driver: &str, shared: bool, parameters: &[(&str, &str)]) -> Option<Medium> {
        let read = |key: &str| {
            parameters
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, value)| *value)
        };
        find(driver, shared, read).map(|row| row.medium)
    }

    #[test]
    fn a_driver_is_found_by_name_or_by_the_end_of_it() {
        assert_eq!(
            medium("nfs.csi.k8s.io", false, &[]),
            Some(NetworkFilesystem)
        );
        assert_eq!(
            medium(
                "cluster.local/nfs-nfs-subdir-external-provisioner",
                false,
                &[]
            ),
            Some(NetworkFilesystem)
        );
        assert_eq!(
            medium("openshift-storage.rbd.csi.ceph.com", false, &[]),
            Some(NetworkBlock)
        );
        assert_eq!(
            medium("rook-ceph.cephfs.csi.ceph.com", false, &[]),
            Some(NetworkFilesystem)
        );
        assert_eq!(medium("rancher.io/local-path", false, &[]), Some(Local));
        assert_eq!(medium("example.org/own", false, &[]), None);
    }

    #[test]
    fn a_driver_that_is_not_listed_is_told_by_a_word() {
        assert_eq!(told("nfs.example.org"), Some("NFS"));
        assert_eq!(told("example.org/own-NFS_v4"), Some("NFS"));
        assert_eq!(told("cluster.local/cifs"), Some("SMB"));
        assert_eq!(told("example.org/infs"), None);
        assert_eq!(told("nfsless.example.org"), None);
    }

    #[test]
    fn some_drivers_are_file_systems_on_a_condition_only() {
        assert_eq!(
            medium("driver.longhorn.io", true, &[]),
            Some(NetworkFilesystem)
        );
        assert_eq!(medium("driver.longhorn.io", false, &[]), Some(NetworkBlock));
        assert_eq!(
            medium(
                "csi.trident.netapp.io",
                false,
                &[("backendType", "ontap-NAS")]
            ),
            Some(NetworkFilesystem)
        );
        assert_eq!(
            medium(
                "csi.trident.netapp.io",
                false,
                &[("backendType", "ontap-san")]
            ),
            Some(NetworkBlock)
        );
        assert_eq!(medium("csi.trident.netapp.io", false, &[]), None);
    }

    #[test]
    fn every_named_class_has_a_driver_of_the_table() {
        for (class, driver) in CLASSES {
            assert_eq!(
                medium(driver, false, &[]),
                Some(NetworkFilesystem),
                "{class}"
            );
        }
    }

    #[test]
    fn no_row_hides_another() {
        for (index, row) in DRIVERS.iter().enumerate() {
            let hidden = DRIVERS[..index]
                .iter()
                .any(|before| before.name == row.name && before.when == Always);
            assert!(!hidden, "{}", row.name);
        }
    }
}
