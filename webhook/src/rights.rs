//! The rights that natsguard needs, the webhook and the controller each their own: `doctor` asks for them, and the chart grants
//! these and no more.

use crate::facts::resource::{NEEDED, SECRETS};

/// Where a right is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// In every namespace, or outside of namespaces.
    Cluster,
    /// In natsguard's own namespace.
    Own,
    /// In natsguard's own namespace, the Secret that holds the CA, by its name.
    Ca,
    /// The webhook configurations, by name.
    Configuration,
    /// In natsguard's own namespace, the controller's Lease, by its name.
    Lease,
}

/// One verb on one resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right {
    /// The API group: empty for the core group.
    pub group: &'static str,
    /// The name in paths and in RBAC rules.
    pub resource: &'static str,
    /// What is done with it.
    pub verb: &'static str,
    /// Where.
    pub reach: Reach,
    /// What doesn't work without it.
    pub without: &'static str,
}

/// What the webhook of an installation does that not every one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// It makes its own certificate: `tls.mode` is `self`.
    pub ca: bool,
    /// It looks at files in Secrets: `secrets.enabled`.
    pub secrets: bool,
    /// There is a controller, whose Lease `doctor` looks at: `controller.enabled`.
    pub controller: bool,
}

/// What the controller of an installation does that not every one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tasks {
    /// It looks at files in Secrets: `secrets.enabled`.
    pub secrets: bool,
    /// It writes `reports.openreports.io`: `controller.reports`.
    pub openreports: bool,
    /// It writes `policyreports.wgpolicyk8s.io`: `controller.reports`.
    pub policyreports: bool,
}

/// What is lost without the right to read an object that reviews refer to.
pub const FACTS: &str = "policies that need these don't know them and stay silent";

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
];
const LEASES: (&str, &str) = ("coordination.k8s.io", "leases");

/// Everything that the webhook asks the apiserver for, and `doctor` in its name.
pub fn webhook(uses: Uses) -> Vec<Right> {
    let mut rights = facts(uses.secrets);
    if uses.ca {
        let without = "in tls.mode self the CA can't be kept";
        let secrets = ("", "secrets");
        // No name limits a create: the object has none yet when that is decided.
        rights.extend(each(secrets, &["create"], Reach::Own, without));
        rights.extend(each(secrets, &["get", "update"], Reach::Ca, without));
    }
    let (verbs, without): (&[_], _) = if uses.ca {
        (
            &["get", "patch"],
            "in tls.mode self the CA bundle can't be set",
        )
    } else {
        (&["get"], "doctor can't look at it")
    };
    for resource in CONFIGURATIONS {
        let resource = ("admissionregistration.k8s.io", resource);
        rights.extend(each(resource, verbs, Reach::Configuration, without));
    }
    rights.extend(settings());
    if uses.controller {
        let without = "doctor can't tell whether the controller works";
        rights.extend(each(LEASES, &["get"], Reach::Lease, without));
    }
    rights
}

/// Everything that the controller asks the apiserver for.
pub fn controller(tasks: Tasks) -> Vec<Right> {
    const WORKLOADS: &str = "workloads of these kinds are not looked at";
    const TOUCH: &str = "what is wrong with these is reported and not repaired";
    const SCOPE: &str = "where webhook.namespaceSelector is set, nothing is looked at";
    const LATE: &str = "a workload that comes before these is looked at again after minutes only";
    const RESTART: &str = "pods that started with a wrong file are not restarted";
    const EVENTS: &str = "what the controller does is said in the log only";
    const REPORTS: &str = "standing faults are not reported";
    const STALE: &str = "reports that are out of date stay";
    const LEAD: &str = "the controller does nothing";

    let mut rights = facts(tasks.secrets);
    // Without their labels it is not known where to look at all.
    rights.retain(|right| right.resource != "namespaces");
    rights.extend(each(("", "namespaces"), &["get"], Reach::Cluster, SCOPE));
    let mut add = |resource, verbs, without| {
        rights.extend(each(resource, verbs, Reach::Cluster, without));
    };
    add(("apps", "statefulsets"), &["watch"], WORKLOADS);
    add(("apps", "deployments"), &["list"], WORKLOADS);
    add(("apps", "daemonsets"), &["list"], WORKLOADS);
    add(("", "configmaps"), &["list", "watch"], LATE);
    add(("", "services"), &["watch"], LATE);
    add(("", "persistentvolumeclaims"), &["list", "watch"], LATE);
    add(("storage.k8s.io", "storageclasses"), &["watch"], LATE);
    add(("", "configmaps"), &["patch"], TOUCH);
    add(("", "services"), &["patch"], TOUCH);
    if tasks.secrets {
        add(("", "secrets"), &["patch"], TOUCH);
    }
    add(("", "pods"), &["list", "delete"], RESTART);
    add(("events.k8s.io", "events"), &["create", "patch"], EVENTS);
    let kinds = [
        (("openreports.io", "reports"), tasks.openreports),
        (("wgpolicyk8s.io", "policyreports"), tasks.policyreports),
    ];
    for (kind, is_written) in kinds {
        add(kind, &["list", "delete"], STALE);
        if is_written {
            add(kind, &["create", "patch"], REPORTS);
        }
    }
    rights.extend(each(LEASES, &["create"], Reach::Own, LEAD));
    rights.extend(each(LEASES, &["get", "update"], Reach::Lease, LEAD));
    rights.extend(settings());
    rights
}

/// What it takes to say that the settings can't be used.
fn settings() -> impl Iterator<Item = Right> {
    let without = "settings that can't be used are said in the log only";
    each(("", "events"), &["create"], Reach::Own, without)
}

/// What it takes to see a workload as the rules do.
fn facts(secrets: bool) -> Vec<Right> {
    NEEDED
        .iter()
        .filter(|resource| ***resource != SECRETS || secrets)
        .flat_map(|resource| {
            each(
                (resource.group, resource.plural),
                resource.verbs,
                Reach::Cluster,
                FACTS,
            )
        })
        .collect()
}

fn each(
    (group, resource): (&'static str, &'static str),
    verbs: &[&'static str],
    reach: Reach,
    without: &'static str,
) -> impl Iterator<Item = Right> {
    verbs.iter().map(move |verb| Right {
        group,
        resource,
        verb,
        reach,
        without,
    })
}
