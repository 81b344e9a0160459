//! What the platform decides: an action for each policy, its parameters, and exemptions.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::json;
use crate::policy::{Action, Policy};
use crate::rules::{self, POLICIES};
use crate::storage::drivers::Medium;

/// The DNS domain of a cluster of which nothing else is known.
pub const DEFAULT_CLUSTER_DOMAIN: &str = "cluster.local";

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

/// A workload that is let through although a policy speaks against it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exemption {
    /// The id of the policy.
    pub policy: String,
    /// The namespace of the workload.
    pub namespace: String,
    /// The name of the workload; any when absent.
    #[serde(default)]
    pub name: Option<String>,
    /// A label selector on the workload; any when absent.
    #[serde(default)]
    pub selector: Option<Value>,
    /// Why. It is shown wherever the exemption is used.
    pub reason: String,
    /// The last day on which it holds, `YYYY-MM-DD`.
    #[serde(default)]
    pub expires: Option<String>,
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
    /// The DNS domain in which the names of Services end.
    pub fn domain(&self) -> &str {
        let known = self.cluster_domain.as_ref().or(self.found_domain.as_ref());
        known.map_or(DEFAULT_CLUSTER_DOMAIN, String::as_str)
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
        if !is_domain(self.domain()) {
            return Err(SettingsError::BadDomain {
                domain: self.domain().to_owned(),
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
            if exemption.namespace.is_empty() {
                return Err(empty("namespace", "which namespace is exempt"));
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

    /// The exemptions that lift a policy from a workload and still hold, each with its index.
    pub fn exemptions(
        &self,
        policy: &str,
        namespace: &str,
        name: &str,
        workload: &Value,
    ) -> impl Iterator<Item = (usize, &Exemption)> {
        let all = self.exemptions.iter().enumerate();
        all.filter(move |(_, exemption)| {
            !self.is_expired(exemption) && exemption.covers(policy, namespace, name, workload)
        })
    }

    /// The exemption that would lift a policy from a workload, had it not expired.
    pub fn expired(
        &self,
        policy: &str,
        namespace: &str,
        name: &str,
        workload: &Value,
    ) -> Option<&Exemption> {
        self.exemptions.iter().find(|exemption| {
            self.is_expired(exemption) && exemption.covers(policy, namespace, name, workload)
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
    /// Whether it speaks of this policy and this workload.
    fn covers(&self, policy: &str, namespace: &str, name: &str, workload: &Value) -> bool {
        let labels = json::map(workload, &["metadata", "labels"]);
        let selected = |selector| json::selector_matches(Some(selector), labels);
        self.policy == policy
            && self.namespace == namespace
            && self.name.as_deref().is_none_or(|wanted| wanted == name)
            && self.selector.as_ref().is_none_or(selected)
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
        assert!(
            error(json!({"policies": {"nfs": {}}}))
                .starts_with("policies: there is no policy nfs; the policies are service-route,")
        );
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
    fn an_exemption_holds_until_its_last_day() {
        let mut settings = settings(json!({"exemptions": [{
            "policy": "network-filesystem", "namespace": "legacy", "name": "nats",
            "selector": {"matchLabels": {"app": "nats"}},
            "reason": "moves in June", "expires": "2027-06-30"
        }]}))
        .unwrap();
        let workload = json!({"metadata": {"labels": {"app": "nats"}}});
        let exempt = |settings: &Settings, policy: &str, namespace: &str, name: &str| {
            settings
                .exemptions(policy, namespace, name, &workload)
                .next()
                .is_some()
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
            let expired = settings.expired("short-route", "legacy", name, &json!({}));
            expired.and_then(|exemption| exemption.expires.as_deref())
        };
        assert_eq!(
            ["a", "b", "c"].map(expired),
            [None, Some("2027-06-29"), None]
        );
    }
}
