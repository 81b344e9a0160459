//! The DNS domain of the cluster that this process runs in.

use std::fs;

use natsguard_policies::settings::is_domain;

/// What the kubelet tells the resolvers of pods.
const FILE: &str = "/etc/resolv.conf";

/// The domain in which the names of Services end; `None` outside a cluster, and where a pod has another resolver.
pub(crate) fn cluster_domain() -> Option<String> {
    domain(&fs::read_to_string(FILE).ok()?)
}

/// The kubelet has names searched in `<namespace>.svc.<domain>`, `svc.<domain>` and `<domain>`, in this order
/// (generateSearchesForDNSClusterFirst in pkg/kubelet/network/dns/dns.go). Of several such lines the last one counts.
fn domain(text: &str) -> Option<String> {
    let words = |line: &str| -> Option<Vec<String>> {
        let mut words = line.split_whitespace();
        (words.next() == Some("search")).then(|| words.map(str::to_ascii_lowercase).collect())
    };
    let searched = text.lines().filter_map(words).next_back()?;
    let domain = searched.windows(3).find_map(|searched| {
        let [namespace, services, domain] = searched else {
            return None;
        };
        let is_so =
            *services == format!("svc.{domain}") && namespace.ends_with(&format!(".{services}"));
        is_so.then(|| domain.trim_end_matches('.'))
    })?;
    is_domain(domain).then(|| domain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_domain_is_the_one_that_services_are_searched_in() {
        let of = |search: &str| {
            domain(&format!(
                "nameserver 10.96.0.10\nsearch {search}\noptions ndots:5\n"
            ))
        };
        assert_eq!(
            of("ops.svc.k8s.example.org svc.k8s.example.org k8s.example.org corp.example"),
            Some("k8s.example.org".to_owned())
        );
        assert_eq!(
            of("ops.svc.cluster.local svc.cluster.local cluster.local"),
            Some("cluster.local".to_owned())
        );
        // A namespace called svc.
        assert_eq!(of("svc.svc.a.b svc.a.b a.b"), Some("a.b".to_owned()));
        // The node's own come last.
        assert_eq!(of("a.svc.b.c svc.b.c b.c svc.b b"), Some("b.c".to_owned()));
    }

    #[test]
    fn without_a_cluster_there_is_none() {
        for text in [
            "",
            "nameserver 1.1.1.1\n",
            "search corp.example svc.other.example\n",
            "search a.svc._ svc._ _\n",
            "search a.svc.b.c svc.b.c b.c\nsearch corp.example\n",
            "search svc.corp.example corp.example\n",
        ] {
            assert_eq!(domain(text), None, "{text:?}");
        }
    }
}
