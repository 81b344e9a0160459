//! What the platform decides: an action for each policy, its parameters, and exemptions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::bundle::{Bundle, Object};
use crate::policy::{Action, Policy};
use crate::rules::{self, POLICIES};
use crate::selector::LabelSelector;
use crate::storage::drivers::Medium;

/// Everything that can be set. Unknown keys are refused.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The DNS domain of the cluster, where it is not the one that is found.
    #[serde(default)]
    pub cluster_domain: Option<String>,
    /// The DNS domain as whoever runs in the cluster finds it.
    #[serde(skip)]
    pub found_domain: Option<String>,
    /// The action of every policy that names none of its own: `warn` tries natsguard out, `deny` repairs nothing.
    #[serde(default)]
    pub action: Option<Action>,
    /// Settings by policy id.
    #[serde(default)]
    pub policies: BTreeMap<String, PolicySettings>,
    /// What is let through all the same.
    #[serde(default)]
    pub exemptions: Vec<Exemption>,
    /// Today, `YYYY-MM-DD` in UTC, from whoever has a clock; without it no exemption expires.
    #[serde(skip)]
    pub today: Option<String>,
}

/// The settings of one policy.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PolicySettings {
    /// What is done about its findings.
    #[serde(default)]
    pub action: Option<Action>,
    /// `network-filesystem` only: what drivers are, by name; these go before the built-in table.
    #[serde(default)]
    pub drivers: BTreeMap<String, Medium>,
}

/// Workloads that are let through although a policy speaks against them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exemption {
    /// The id of the policy.
    pub policy: String,
    /// Their namespace; empty where `selector` alone says which.
    #[serde(default)]
    pub namespace: String,
    /// The name of the one workload; all when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// What labels their namespace has. The labels of a workload are its tenant's to write, and lift nothing.
    #[serde(default)]
    pub selector: Option<LabelSelector>,
    /// Why. It is shown wherever the exemption is used.
    pub reason: String,
    /// The last day on which it holds, `YYYY-MM-DD`.
    #[serde(default)]
    pub expires: Option<String>,
}

/// What exemptions know a workload by.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidate<'a> {
    /// Its namespace, where one is stated.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
    /// Its Namespace as an object, where that is known.
    pub home: Option<&'a Value>,
}

/// What an exemption is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It lifts a fault, or may when its policy is no longer off.
    Used,
    /// Its last day is over.
    Expired,
    /// It holds, and there is no fault that it lifts.
    Unused,
}

impl Standing {
    /// As a metric label has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Expired => "expired",
            Self::Unused => "unused",
        }
    }
}

/// Settings that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// An id that no policy has.
    #[error("{place}: there is no policy {id}; the policies are {}", ids())]
    UnknownPolicy {
        /// Where it is named.
        place: String,
        /// The id.
        id: String,
    },
    /// A parameter of another policy.
    #[error("policies.{id}.drivers: only network-filesystem has drivers; move them there")]
    MisplacedDrivers {
        /// The policy that has no such parameter.
        id: String,
    },
    /// A date that is none.
    #[error("exemptions[{index}].expires: {date} is no date; write YYYY-MM-DD")]
    BadDate {
        /// Which exemption.
        index: usize,
        /// What stands there.
        date: String,
    },
    /// An exemption that says nothing.
    #[error("exemptions[{index}].{field} is empty; say {meaning}")]
    Empty {
        /// Which exemption.
        index: usize,
        /// Which field.
        field: &'static str,
        /// What belongs there.
        meaning: &'static str,
    },
    /// A selector that is meant for workloads.
    #[error(
        "exemptions[{index}].selector matches labels of namespaces, as those of a workload are its tenant's to write, and name is \
         one workload's; leave one of the two out"
    )]
    SelectorOfWorkload {
        /// Which exemption.
        index: usize,
    },
    /// A domain that is none.
    #[error("clusterDomain: {domain} is no DNS domain; write one such as cluster.local")]
    BadDomain {
        /// What stands there.
        domain: String,
    },
}

fn ids() -> String {
    POLICIES
        .iter()
        .map(|policy| policy.id)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Settings {
    /// The DNS domain in which the names of Services end: `None` where nobody states it.
    pub fn domain(&self) -> Option<&str> {
        let known = self.cluster_domain.as_ref().or(self.found_domain.as_ref());
        known.map(String::as_str)
    }

    /// Checks what the type can't: ids, dates, names.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let known = |place: String, id: &str| {
            rules::find(id)
                .map(|_| ())
                .ok_or_else(|| SettingsError::UnknownPolicy {
                    place,
                    id: id.to_owned(),
                })
        };
        if let Some(domain) = self.domain().filter(|domain| !is_domain(domain)) {
            return Err(SettingsError::BadDomain {
                domain: domain.to_owned(),
            });
        }
        for (id, settings) in &self.policies {
            known("policies".to_owned(), id)?;
            if !settings.drivers.is_empty() && id != rules::network_filesystem::POLICY.id {
                return Err(SettingsError::MisplacedDrivers { id: id.clone() });
            }
        }
        for (index, exemption) in self.exemptions.iter().enumerate() {
            known(format!("exemptions[{index}].policy"), &exemption.policy)?;
            let empty = |field, meaning| SettingsError::Empty {
                index,
                field,
                meaning,
            };
            match &exemption.selector {
                None if exemption.namespace.is_empty() => {
                    return Err(empty("namespace", "which namespace is exempt"));
                }
                Some(selector) if selector.is_empty() => {
                    return Err(empty("selector", "what labels the exempt namespaces have"));
                }
                Some(_) if exemption.name.is_some() => {
                    return Err(SettingsError::SelectorOfWorkload { index });
                }
                _ => {}
            }
            if exemption.reason.trim().is_empty() {
                return Err(empty("reason", "why it is exempt"));
            }
            if let Some(date) = exemption.expires.as_ref().filter(|date| !is_date(date)) {
                return Err(SettingsError::BadDate {
                    index,
                    date: date.clone(),
                });
            }
        }
        Ok(())
    }

    /// What these settings say and what can't come true, a sentence each: nothing is refused for it.
    pub fn remarks(&self) -> Vec<String> {
        let repairs = self.policies.iter().filter_map(|(id, settings)| {
            let policy = rules::find(id)?;
            let is_impossible =
                settings.action == Some(Action::Fix) && policy.action != Action::Fix;
            is_impossible.then(|| {
                format!(
                    "policies.{id}.action: this policy has no repair, so fix means {}; write off, warn or deny",
                    policy.otherwise
                )
            })
        });
        let namespaces = self.exemptions.iter().enumerate();
        let patterns = namespaces.filter_map(|(index, Exemption { namespace, .. })| {
            let is_pattern = !namespace
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
            is_pattern.then(|| {
                format!(
                    "exemptions[{index}].namespace: {namespace} is no name of a namespace, so it exempts none; write one name, or \
                     select namespaces by their labels with selector"
                )
            })
        });
        repairs.chain(patterns).collect()
    }

    /// What these settings say about a policy.
    pub fn action(&self, policy: &Policy) -> Action {
        self.policies
            .get(policy.id)
            .and_then(|settings| settings.action)
            .or(self.action)
            .unwrap_or(policy.action)
    }

    /// Drivers the platform knows and the table doesn't.
    pub fn drivers(&self) -> &BTreeMap<String, Medium> {
        static NONE: BTreeMap<String, Medium> = BTreeMap::new();
        self.policies
            .get(rules::network_filesystem::POLICY.id)
            .map_or(&NONE, |settings| &settings.drivers)
    }

    /// A workload of a bundle as exemptions know it. Its namespace is looked at only where that matters.
    pub fn candidate<'a>(&self, bundle: &'a Bundle, workload: &'a Object) -> Candidate<'a> {
        let namespace = bundle.namespace(workload);
        let has_selectors = self
            .exemptions
            .iter()
            .any(|exemption| exemption.selector.is_some());
        let home = namespace.filter(|_| has_selectors).and_then(|namespace| {
            let home = bundle.lookup(bundle.referrer(workload), "", "Namespace", namespace);
            home.found().map(|(_, home)| &home.value)
        });
        Candidate {
            namespace,
            name: workload.name(),
            home,
        }
    }

    /// The exemptions that lift a policy from a workload and still hold, each with its index.
    pub fn exemptions<'a>(
        &'a self,
        policy: &'a str,
        workload: Candidate<'a>,
    ) -> impl Iterator<Item = (usize, &'a Exemption)> {
        let all = self.exemptions.iter().enumerate();
        all.filter(move |(_, exemption)| {
            !self.is_expired(exemption) && exemption.covers(policy, workload) == Some(true)
        })
    }

    /// The exemption that would lift a policy from a workload, had it not expired.
    pub fn expired(&self, policy: &str, workload: Candidate<'_>) -> Option<&Exemption> {
        self.exemptions.iter().find(|exemption| {
            self.is_expired(exemption) && exemption.covers(policy, workload) == Some(true)
        })
    }

    /// The index of an exemption that lifts a policy from a workload if its namespace has some labels, which are not known.
    pub fn undecided(&self, policy: &str, workload: Candidate<'_>) -> Option<usize> {
        self.exemptions.iter().position(|exemption| {
            !self.is_expired(exemption) && exemption.covers(policy, workload).is_none()
        })
    }

    /// What each exemption is good for, `used` being those that lifted something ([`crate::engine::Exempted::exemptions`]).
    pub fn standings(&self, used: &BTreeSet<usize>) -> Vec<Standing> {
        let is_off = |exemption: &Exemption| {
            rules::find(&exemption.policy).is_some_and(|policy| self.action(policy) == Action::Off)
        };
        let standing = |(index, exemption): (usize, &Exemption)| {
            if self.is_expired(exemption) {
                Standing::Expired
            } else if used.contains(&index) || is_off(exemption) {
                Standing::Used
            } else {
                Standing::Unused
            }
        };
        self.exemptions.iter().enumerate().map(standing).collect()
    }

    fn is_expired(&self, exemption: &Exemption) -> bool {
        matches!((&exemption.expires, &self.today), (Some(expires), Some(today)) if today > expires)
    }
}

impl Exemption {
    /// Whether it speaks of this policy and this workload: `None` where that rests on labels that are not known.
    fn covers(&self, policy: &str, workload: Candidate<'_>) -> Option<bool> {
        let is_meant = self.policy == policy
            && (self.namespace.is_empty() || workload.namespace == Some(&self.namespace))
            && self
                .name
                .as_deref()
                .is_none_or(|name| name == workload.name);
        match &self.selector {
            Some(selector) if is_meant => Some(selector.matches(workload.home?)),
            _ => Some(is_meant),
        }
    }
}

/// Whether this can be a DNS domain, with a dot at the end or without.
pub fn is_domain(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    !domain.is_empty()
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}

fn is_date(date: &str) -> bool {
    let parts: Vec<&str> = date.split('-').collect();
    let number = |part: &str, length: usize| {
        (part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    number(year, 4).is_some()
        && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
        && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Result<Settings, String> {
        let settings: Settings =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        settings.validate().map_err(|error| error.to_string())?;
        Ok(settings)
    }

    #[test]
    fn nothing_set_is_the_default() {
        assert_eq!(settings(json!({})), Ok(Settings::default()));
    }

    #[test]
    fn the_nearest_action_counts() {
        let settings = settings(json!({
            "action": "warn", "policies": {"network-filesystem": {"action": "deny"}}
        }))
        .unwrap();
        assert_eq!(
            settings.action(&rules::network_filesystem::POLICY),
            Action::Deny
        );
        assert_eq!(settings.action(&rules::service_route::POLICY), Action::Warn);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let error = |value| settings(value).unwrap_err();
        assert!(error(json!({"polices": {}})).starts_with("unknown field `polices`"));
        assert!(error(json!({"policies": {"nfs": {}}})).starts_with(
            "policies: there is no policy nfs; the policies are refused-configuration,"
        ));
        assert_eq!(
            error(json!({"policies": {"short-route": {"drivers": {"a": "local"}}}})),
            "policies.short-route.drivers: only network-filesystem has drivers; move them there"
        );
        let exemption = |expires: &str, reason: &str| {
            json!({"exemptions": [{
                "policy": "network-filesystem", "namespace": "legacy", "reason": reason, "expires": expires
            }]})
        };
        assert_eq!(
            error(exemption("tomorrow", "x")),
            "exemptions[0].expires: tomorrow is no date; write YYYY-MM-DD"
        );
        assert_eq!(
            error(exemption("2027-01-01", " ")),
            "exemptions[0].reason is empty; say why it is exempt"
        );
        assert_eq!(
            error(json!({"clusterDomain": "a..b"})),
            "clusterDomain: a..b is no DNS domain; write one such as cluster.local"
        );
    }

    #[test]
    fn what_can_not_come_true_is_said() {
        let settings = settings(json!({
            "policies": {"network-filesystem": {"action": "fix"}, "short-route": {"action": "fix"}},
            "exemptions": [
                {"policy": "short-route", "namespace": "legacy-*", "reason": "x"},
                {"policy": "short-route", "namespace": "legacy-1", "reason": "x"}
            ]
        }))
        .unwrap();
        assert_eq!(
            settings.remarks(),
            [
                "policies.network-filesystem.action: this policy has no repair, so fix means deny; write off, warn or deny",
                "exemptions[0].namespace: legacy-* is no name of a namespace, so it exempts none; write one name, or select \
                 namespaces by their labels with selector"
            ]
        );
    }

    #[test]
    fn an_exemption_holds_until_its_last_day() {
        let mut settings = settings(json!({"exemptions": [{
            "policy": "network-filesystem", "namespace": "legacy", "name": "nats",
            "reason": "moves in June", "expires": "2027-06-30"
        }]}))
        .unwrap();
        let exempt = |settings: &Settings, policy: &str, namespace: &str, name: &str| {
            let workload = Candidate {
                namespace: Some(namespace),
                name,
                home: None,
            };
            settings.exemptions(policy, workload).next().is_some()
        };
        assert!(exempt(&settings, "network-filesystem", "legacy", "nats"));
        assert!(!exempt(&settings, "short-route", "legacy", "nats"));
        assert!(!exempt(&settings, "network-filesystem", "other", "nats"));
        assert!(!exempt(&settings, "network-filesystem", "legacy", "other"));
        settings.today = Some("2027-06-30".to_owned());
        assert!(exempt(&settings, "network-filesystem", "legacy", "nats"));
        settings.today = Some("2027-07-01".to_owned());
        assert!(!exempt(&settings, "network-filesystem", "legacy", "nats"));
    }

    #[test]
    fn a_selector_is_for_the_labels_of_the_namespace() {
        let settings = settings(json!({"exemptions": [
            {"policy": "short-route", "selector": {"matchLabels": {"tier": "legacy"}}, "reason": "x"},
            {"policy": "short-route", "namespace": "shop", "selector": {"matchLabels": {"tier": "legacy"}}, "reason": "x"}
        ]}))
        .unwrap();
        let home =
            |tier: &str| json!({"kind": "Namespace", "metadata": {"labels": {"tier": tier}}});
        let found = |namespace: &str, home: Option<&Value>| {
            let workload = Candidate {
                namespace: Some(namespace),
                name: "nats",
                home,
            };
            let exempt = settings.exemptions("short-route", workload);
            let exempt: Vec<usize> = exempt.map(|(index, _)| index).collect();
            (exempt, settings.undecided("short-route", workload))
        };
        assert_eq!(found("shop", Some(&home("legacy"))), (vec![0, 1], None));
        assert_eq!(found("bank", Some(&home("legacy"))), (vec![0], None));
        assert_eq!(found("shop", Some(&home("new"))), (vec![], None));
        assert_eq!(found("shop", Some(&json!({}))), (vec![], None));
        assert_eq!(found("shop", None), (vec![], Some(0)));
    }

    #[test]
    fn a_selector_that_is_none_or_a_workloads_is_a_mistake() {
        let error = |more: Value| {
            let mut exemption = json!({"policy": "short-route", "reason": "x"});
            let fields = exemption.as_object_mut().unwrap();
            fields.extend(more.as_object().unwrap().clone());
            settings(json!({"exemptions": [exemption]})).unwrap_err()
        };
        let labels = json!({"matchLabels": {"app": "nats"}});
        assert_eq!(
            error(json!({"namespace": "legacy", "name": "nats", "selector": labels})),
            "exemptions[0].selector matches labels of namespaces, as those of a workload are its tenant's to write, and name is \
             one workload's; leave one of the two out"
        );
        assert_eq!(
            error(json!({"name": "nats"})),
            "exemptions[0].namespace is empty; say which namespace is exempt"
        );
        assert_eq!(
            error(json!({"selector": {}})),
            "exemptions[0].selector is empty; say what labels the exempt namespaces have"
        );
        assert_eq!(
            error(json!({"selector": {"matchlabels": {}}})),
            "unknown field `matchlabels`, expected `matchLabels` or `matchExpressions`"
        );
    }

    #[test]
    fn an_exemption_is_used_expired_or_good_for_nothing() {
        let exemption = |name: &str, expires: &str| {
            json!({
                "policy": "short-route", "namespace": "legacy", "name": name, "reason": "x", "expires": expires
            })
        };
        let mut settings = settings(json!({"exemptions": [
            exemption("a", "2027-06-30"), exemption("b", "2027-06-29"), exemption("c", "2027-07-01")
        ]}))
        .unwrap();
        settings.today = Some("2027-06-30".to_owned());
        let used = BTreeSet::from([0]);
        assert_eq!(
            settings.standings(&used),
            [Standing::Used, Standing::Expired, Standing::Unused]
        );
        let off = PolicySettings {
            action: Some(Action::Off),
            ..PolicySettings::default()
        };
        let mut without = settings.clone();
        without.policies.insert("short-route".to_owned(), off);
        assert_eq!(
            without.standings(&used),
            [Standing::Used, Standing::Expired, Standing::Used],
            "nobody looked"
        );
        let expired = |name: &str| {
            let workload = Candidate {
                namespace: Some("legacy"),
                name,
                home: None,
            };
            let expired = settings.expired("short-route", workload);
            expired.and_then(|exemption| exemption.expires.as_deref())
        };
        assert_eq!(
            ["a", "b", "c"].map(expired),
            [None, Some("2027-06-29"), None]
        );
    }
}
