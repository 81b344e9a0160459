//! The DNS domain in which the names of the cluster end, where nobody states it: what the input shows of it.

use std::collections::BTreeSet;

use crate::certificate::Certificate;
use crate::conf;
use crate::json;
use crate::routes::list::Entry;
use crate::routes::url::Route;
use crate::workload::Workload;

/// The domain that names of the input end in: those of the workload's own pods and Service before all others. `None` where no
/// name shows one, or names of the same weight show two.
pub(super) fn shown(
    workload: &Workload<'_>,
    entries: &[Entry],
    certificate: Option<&Certificate>,
) -> Option<String> {
    let routes = entries.iter().map(|entry| Route::parse(&entry.text).host);
    let own = routes
        .clone()
        .filter(|host| is_own(workload, host))
        .filter_map(domain_of);
    if let Some(found) = only(own) {
        return found;
    }
    let certificate = certificate.into_iter().flat_map(Certificate::names);
    let env = json::items(workload.container, &["env"])
        .iter()
        .filter_map(|variable| json::text(variable, &["value"]))
        .flat_map(|value| value.split(','))
        .map(host_of);
    let all = routes
        .filter_map(domain_of)
        .chain(certificate.filter_map(domain_of))
        .chain(env.filter_map(domain_of))
        .chain(
            configured(workload)
                .iter()
                .filter_map(|host| domain_of(host)),
        )
        .collect::<Vec<_>>();
    only(all.into_iter()).flatten()
}

/// The one of these domains: `None` when there is none, `Some(None)` when there are several.
#[expect(
    clippy::option_option,
    reason = "no name at all, and names that disagree, are two things"
)]
fn only(domains: impl Iterator<Item = String>) -> Option<Option<String>> {
    let mut domains: BTreeSet<String> = domains.collect();
    let first = domains.pop_first()?;
    Some(domains.is_empty().then_some(first))
}

/// What follows `.svc.` in a name of a Service or of a pod behind one.
fn domain_of(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let (names, domain) = host.split_once(".svc.")?;
    let is_domain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    };
    (names.contains('.') && is_domain(domain)).then(|| domain.to_owned())
}

fn is_own(workload: &Workload<'_>, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let Some((names, _)) = host.split_once(".svc.") else {
        return false;
    };
    let labels: Vec<&str> = names.split('.').collect();
    let (service, namespace) = match labels.as_slice() {
        [service, namespace] | [_, service, namespace] => (*service, *namespace),
        _ => return false,
    };
    Some(service) == workload.service_name()
        && workload.namespace.is_none_or(|own| own == namespace)
}

/// The names that the server advertises, and those of its gateways.
fn configured(workload: &Workload<'_>) -> Vec<String> {
    let Some(values) = workload.values() else {
        return Vec::new();
    };
    let block = |name| values.find(&[name]).and_then(conf::Value::as_map);
    let blocks = [Some(values), block("cluster"), block("gateway")];
    let advertised = blocks.into_iter().flatten().filter_map(|map| {
        map.find(&["client_advertise", "cluster_advertise", "advertise"])?
            .as_str()
    });
    let gateways = block("gateway")
        .and_then(|gateway| gateway.find(&["gateways"])?.as_array())
        .unwrap_or_default()
        .iter()
        .filter_map(conf::Value::as_map)
        .filter_map(|gateway| gateway.find(&["urls", "url"]))
        .flat_map(|urls| match urls.as_array() {
            Some(urls) => urls.iter().collect(),
            None => vec![urls],
        })
        .filter_map(conf::Value::as_str);
    let flags = workload
        .command
        .last(&["cluster_advertise", "client_advertise"])
        .map(|flag| flag.value.as_str());
    advertised
        .chain(gateways)
        .chain(flags)
        .map(|text| host_of(text).to_owned())
        .collect()
}

/// The host of a URL, or of a name with a port.
fn host_of(text: &str) -> &str {
    Route::parse(text).host
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_what_follows_svc() {
        let domain = |host| domain_of(host);
        assert_eq!(
            domain("nats-0.nats.corp.svc.K8s.Example.net.").as_deref(),
            Some("k8s.example.net")
        );
        assert_eq!(
            domain("*.nats.corp.svc.cozy.local").as_deref(),
            Some("cozy.local")
        );
        for host in [
            "nats-0.nats.corp.svc",
            "nats-0.nats",
            "svc.example.org",
            "a.svc.example.org",
            "$(POD).nats.corp.svc.$(DOMAIN)",
        ] {
            assert_eq!(domain(host), None, "{host}");
        }
    }

    #[test]
    fn names_that_disagree_show_nothing() {
        let only = |names: &[&str]| only(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(only(&[]), None);
        assert_eq!(only(&["a", "a"]), Some(Some("a".to_owned())));
        assert_eq!(only(&["a", "b"]), Some(None));
    }
}
