//! The rights that natsguard needs: `doctor` asks for each, and the chart grants these and no more.

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

/// What an installation does that not every one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uses {
    /// It makes its own certificate: `tls.mode` is `self`.
    pub ca: bool,
    /// It looks at files in Secrets: `secrets.enabled`.
    pub secrets: bool,
}

/// What is lost without the right to read an object that reviews refer to.
pub const FACTS: &str = "policies that need these don't know them and stay silent";

const CONFIGURATIONS: [&str; 2] = [
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
];

/// Everything that natsguard asks the apiserver for.
pub fn needed(uses: Uses) -> Vec<Right> {
    let mut rights = Vec::new();
    for resource in NEEDED {
        if **resource == SECRETS && !uses.secrets {
            continue;
        }
        rights.extend(resource.verbs.iter().map(|verb| Right {
            group: resource.group,
            resource: resource.plural,
            verb,
            reach: Reach::Cluster,
            without: FACTS,
        }));
    }
    if uses.ca {
        // No name limits a create: the object has none yet when that is decided.
        let verbs = [
            ("create", Reach::Own),
            ("get", Reach::Ca),
            ("update", Reach::Ca),
        ];
        rights.extend(verbs.map(|(verb, reach)| Right {
            group: "",
            resource: "secrets",
            verb,
            reach,
            without: "in tls.mode self the CA can't be kept",
        }));
    }
    for resource in CONFIGURATIONS {
        let configuration = |verb, without| Right {
            group: "admissionregistration.k8s.io",
            resource,
            verb,
            reach: Reach::Configuration,
            without,
        };
        if uses.ca {
            let without = "in tls.mode self the CA bundle can't be set";
            rights.extend(["get", "patch"].map(|verb| configuration(verb, without)));
        } else {
            rights.push(configuration("get", "doctor can't look at it"));
        }
    }
    rights.push(Right {
        group: "",
        resource: "events",
        verb: "create",
        reach: Reach::Own,
        without: "settings that can't be used are said in the log only",
    });
    rights
}
