//! What the list of routes should say, entry by entry. Three policies report it; none of them decides alone.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::bundle::ObjectId;
use crate::certificate::Certificate;
use crate::conf;
use crate::policy::Edit;
use crate::routes::domain;
use crate::routes::list::{Entry, Home, Routes};
use crate::routes::name::{self, Form, Named, Names};
use crate::routes::neighbours::{Neighbours, Peer};
use crate::routes::url::Route;
use crate::workload::{Governing, Kind, Workload};

/// More pods than any NATS cluster has: a list for them all would be a mistyped number's doing.
const MAX_PODS: u32 = 1000;

/// What is wrong with one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It names a Service, an address or a bare host of this workload.
    Service,
    /// It may: the Service it names is not in the input.
    UnknownService,
    /// It names a pod, and not by its full name.
    Short,
    /// It names a pod by its full name, at a port where its server does not listen, or at none.
    Port,
    /// It names a pod that does not exist.
    Ghost,
    /// It names a pod that another entry names already.
    Repeated,
}

/// One entry with what is wrong and what should stand there.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The entry.
    pub entry: Entry,
    /// What is wrong: `None` when it is right or not ours.
    pub fault: Option<Fault>,
    /// What should stand in its place: `None` when that can't be said safely.
    pub with: Option<Vec<String>>,
}

/// The verification of hosts by cluster TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verification {
    /// No TLS, or `insecure: true`.
    Off,
    /// Hosts are checked against this certificate.
    On(Rc<Certificate>),
}

impl Verification {
    /// The certificate that hosts are checked against, where it can be looked at.
    fn seen(&self) -> Option<&Certificate> {
        match self {
            Self::On(certificate) if **certificate != Certificate::Unseen => Some(certificate),
            Self::On(_) | Self::Off => None,
        }
    }

    /// Whether a host is known to pass.
    fn admits(&self, host: &str) -> bool {
        match self {
            Self::On(certificate) => certificate.covers(host),
            Self::Off => true,
        }
    }
}

/// The whole list, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Where the list is.
    pub home: Home,
    /// Each entry.
    pub decisions: Vec<Decision>,
    /// Pods without a route, by name.
    pub missing: Vec<String>,
    /// What to add for them: `None` when that can't be said safely.
    pub append: Option<Vec<String>>,
    /// What the certificate must hold for the names that are, or should be, in the list, and is not known to hold.
    pub uncovered: Option<String>,
    /// Whether the certificate could be looked at.
    pub certificate_seen: bool,
    /// Whether the port the server listens on is set where it can't be read.
    pub port_unseen: bool,
    /// Whether a Service leads to more pods than may be named in all.
    pub is_crowded: bool,
    /// The DNS domain of the cluster, where it is known or shown.
    pub domain: Option<String>,
    /// Why pods are not named in full, where something is not known.
    pub unknown: Option<&'static str>,
}

impl Plan {
    /// A detail with what is not known of the names that a repair writes.
    pub fn detail(&self, detail: String, is_written: bool) -> String {
        match self.unknown.filter(|_| is_written) {
            Some(unknown) => format!("{detail}; {unknown}"),
            None => detail,
        }
    }

    /// How many faults there are to tell.
    pub fn faults(&self) -> usize {
        let faulty = |decision: &&Decision| decision.fault.is_some();
        self.decisions.iter().filter(faulty).count() + self.missing.len()
    }

    /// The edit that puts the decision's answer in the place of entry `index`.
    pub fn edit(&self, index: usize) -> Vec<Edit> {
        let with = self
            .decisions
            .get(index)
            .and_then(|decision| decision.with.clone());
        match (&self.home, with) {
            (Home::List(list, _), Some(with)) => vec![Edit::Element {
                list: list.clone(),
                index,
                with,
            }],
            _ => Vec::new(),
        }
    }

    /// The edit that adds the missing pods.
    pub fn addition(&self) -> Vec<Edit> {
        match (&self.home, self.append.clone()) {
            (Home::List(list, _), Some(with)) => vec![Edit::Append {
                list: list.clone(),
                with,
            }],
            (Home::Cluster(map, _), Some(with)) => vec![Edit::Insert {
                object: map.object,
                pointer: map.pointer.clone(),
                map: map.start..map.end,
                key: "routes",
                with,
            }],
            _ => Vec::new(),
        }
    }
}

/// Judges the routes of a StatefulSet: `None` for other kinds and where there is no list to judge.
pub fn plan<'a>(
    workload: &'a Workload<'a>,
    neighbours: &'a Neighbours<'a>,
    routes: &Routes,
    domain: Option<&str>,
) -> Option<Plan> {
    if workload.kind != Kind::StatefulSet || !name::are_possible(workload) {
        return None;
    }
    let Routes::Listed { home, entries } = routes else {
        return None;
    };
    let verification = verification(workload, neighbours);
    let shown = || domain::shown(workload, entries, verification.seen());
    let domain = domain.map(str::to_owned).or_else(shown);
    let mut planner = Planner::new(workload, neighbours, domain.as_deref(), verification);
    planner.written = entries.iter().map(|entry| entry.text.clone()).collect();
    Some(planner.plan(home.clone(), entries.clone()))
}

struct Planner<'a, 'd> {
    names: Names<'a, 'd>,
    workload: &'a Workload<'a>,
    neighbours: &'a Neighbours<'a>,
    governing: Governing,
    verification: Verification,
    port: Option<String>,
    is_port_unseen: bool,
    is_crowded: Cell<bool>,
    domain: Option<&'d str>,
    /// The routes of the list, as written.
    written: BTreeSet<String>,
    /// The numbers of the pods, when they are known and there are any.
    pods: Option<BTreeSet<u32>>,
}

impl<'a, 'd> Planner<'a, 'd> {
    fn new(
        workload: &'a Workload<'a>,
        neighbours: &'a Neighbours<'a>,
        domain: Option<&'d str>,
        verification: Verification,
    ) -> Self {
        let first = workload.first_ordinal;
        Self {
            names: Names::new(workload, domain),
            workload,
            neighbours,
            governing: workload.governing(),
            verification,
            port: listen_port(workload),
            is_port_unseen: is_port_unseen(workload),
            is_crowded: Cell::new(false),
            domain,
            written: BTreeSet::new(),
            pods: workload
                .replicas
                .filter(|replicas| (1..=MAX_PODS).contains(replicas))
                .map(|replicas| (first..first.saturating_add(replicas)).collect()),
        }
    }

    fn plan(&self, home: Home, entries: Vec<Entry>) -> Plan {
        let named: Vec<Named> = entries
            .iter()
            .map(|entry| self.names.read(Route::parse(&entry.text).host))
            .collect();
        let keepers = self.keepers(&entries, &named);
        let style = named.iter().find_map(|named| match named {
            Named::Pod {
                ordinal: Some(_),
                form,
            } if self.names.forms().contains(form) => Some(*form),
            _ => None,
        });
        let listed: BTreeSet<u32> = named
            .iter()
            .filter_map(|named| match named {
                Named::Pod { ordinal, .. } => *ordinal,
                Named::DistantPod(ordinal) => Some(*ordinal),
                _ => None,
            })
            .collect();
        let missing: Vec<u32> = self
            .pods
            .iter()
            .flatten()
            .filter(|pod| !listed.contains(pod))
            .copied()
            .collect();
        // All have a name that the certificate covers, or no route to the Service can be repaired.
        let mut unplaced: Option<Vec<String>> =
            missing.iter().map(|pod| self.best_host(*pod)).collect();
        let mut decisions = Vec::with_capacity(entries.len());
        for (index, (entry, named)) in entries.into_iter().zip(&named).enumerate() {
            let route = Route::parse(&entry.text);
            let (fault, with) = match *named {
                Named::Pod {
                    ordinal: Some(pod),
                    form,
                } if self.has(pod) => {
                    if keepers.get(&pod) == Some(&index) {
                        self.one_pod(&route, pod, form)
                    } else {
                        (Some(Fault::Repeated), Some(Vec::new()))
                    }
                }
                Named::Pod { .. } if self.pods.is_some() => (Some(Fault::Ghost), Some(Vec::new())),
                Named::Service | Named::Loopback => {
                    let hosts = unplaced.as_deref();
                    let with = hosts.and_then(|hosts| self.all_pods(&route, hosts));
                    if with.is_some() {
                        unplaced = Some(Vec::new());
                    }
                    (Some(Fault::Service), with)
                }
                Named::UnknownService => (Some(Fault::UnknownService), None),
                Named::Pod { .. } | Named::DistantPod(_) | Named::Foreign => (None, None),
            };
            decisions.push(Decision { entry, fault, with });
        }
        let waits = decisions
            .iter()
            .any(|decision| matches!(decision.fault, Some(Fault::Service | Fault::UnknownService)));
        let is_alone = self.pods.as_ref().is_none_or(|pods| pods.len() < 2);
        let left = if waits || is_alone {
            Vec::new()
        } else {
            missing
        };
        let append = self.addition(&decisions, &left, style);
        let missing = left
            .iter()
            .map(|pod| format!("{}-{pod}", self.workload.name()))
            .collect();
        let (uncovered, certificate_seen) = self.uncovered(&decisions);
        Plan {
            home,
            decisions,
            missing,
            append,
            uncovered,
            certificate_seen,
            port_unseen: self.is_port_unseen,
            is_crowded: self.is_crowded.get(),
            domain: self.domain.map(str::to_owned),
            unknown: self.names.unknown(),
        }
    }

    fn has(&self, pod: u32) -> bool {
        self.pods.as_ref().is_none_or(|pods| pods.contains(&pod))
    }

    /// For each pod the entry that stays: one whose name the certificate covers before others, one that is right before
    /// one that is to be changed, the first before the rest.
    fn keepers(&self, entries: &[Entry], named: &[Named]) -> BTreeMap<u32, usize> {
        let mut keepers: BTreeMap<u32, (bool, bool, usize)> = BTreeMap::new();
        for (index, (entry, named)) in entries.iter().zip(named).enumerate() {
            let Named::Pod {
                ordinal: Some(pod),
                form,
            } = *named
            else {
                continue;
            };
            let route = Route::parse(&entry.text);
            let is_uncovered = self
                .verification
                .seen()
                .is_some_and(|certificate| !certificate.covers(route.host));
            let rank = (
                is_uncovered,
                self.one_pod(&route, pod, form).0.is_some(),
                index,
            );
            keepers
                .entry(pod)
                .and_modify(|best| *best = rank.min(*best))
                .or_insert(rank);
        }
        keepers
            .into_iter()
            .map(|(pod, (_, _, index))| (pod, index))
            .collect()
    }

    /// Judges an entry that names one pod.
    fn one_pod(
        &self,
        route: &Route<'_>,
        pod: u32,
        form: Form,
    ) -> (Option<Fault>, Option<Vec<String>>) {
        let Some(port) = self.port.as_deref().or(route.port) else {
            return (Some(Fault::Port), None);
        };
        if form == Form::Bare {
            let host = self.best_host(pod).filter(|_| self.can_name_pods());
            return (
                Some(Fault::Service),
                host.map(|host| vec![route.to(&host, port)]),
            );
        }
        if form == Form::Full || form == self.names.longest() {
            let is_right = route.port == Some(port) && route.scheme.is_some();
            let with = (!is_right).then(|| vec![route.to(route.host, port)]);
            return (with.is_some().then_some(Fault::Port), with);
        }
        let host = self.names.host(pod, self.names.longest());
        let is_covered = self.verification.admits(&host);
        let resolves = !matches!(
            self.governing,
            Governing::Unnamed | Governing::NotHeadless(_)
        );
        (
            Some(Fault::Short),
            (is_covered && resolves).then(|| vec![route.to(&host, port)]),
        )
    }

    /// What a route to the Service becomes: one to each pod that has none, at these hosts.
    fn all_pods(&self, route: &Route<'_>, hosts: &[String]) -> Option<Vec<String>> {
        let port = self.port.as_deref().or(route.port)?;
        // A Service may map its port to another one; where the server's own can't be read nobody knows which.
        if self.pods.is_none() || !self.can_name_pods() || self.is_port_unseen {
            return None;
        }
        // The Service may lead to the pods of several workloads, which are one cluster then. They stand in the order of the
        // input, so that each of the workloads asks for the same.
        let mut routes: Vec<(ObjectId, Vec<String>)> = Vec::new();
        let service = route.host.split('.').next().unwrap_or_default();
        let found = self.workload.lookup("", "Service", service).found();
        let behind = match found {
            Some((id, service)) => {
                let behind = self.neighbours.behind(id, service);
                if behind.is_none() {
                    self.is_crowded.set(true);
                }
                Some(behind?)
            }
            None => None,
        };
        let others = behind.iter().flat_map(|behind| behind.iter());
        for sibling in others.filter(|sibling| sibling.id != self.workload.id) {
            let peer = self.neighbours.peer(sibling.id, || {
                let verification = verification(sibling, self.neighbours);
                Planner::new(sibling, self.neighbours, self.domain, verification).peer()
            })?;
            if !self.neighbours.may_name(peer.hosts.len()) {
                self.is_crowded.set(true);
                return None;
            }
            let port = peer.port.as_deref().unwrap_or(port);
            let theirs = peer.hosts.iter().map(|host| route.to(host, port));
            let theirs = theirs.filter(|with| !self.written.contains(with));
            routes.push((sibling.id, theirs.collect()));
        }
        let own = hosts.iter().map(|host| route.to(host, port)).collect();
        routes.push((self.workload.id, own));
        routes.sort_by_key(|(id, _)| *id);
        Some(routes.into_iter().flat_map(|(_, routes)| routes).collect())
    }

    /// The pods as those of other workloads name them.
    fn peer(self) -> Option<Peer> {
        if !name::are_possible(self.workload) || !self.can_name_pods() {
            return None;
        }
        let pods = self.pods.iter().flatten();
        let hosts: Option<Vec<_>> = pods.map(|pod| self.best_host(*pod)).collect();
        Some(Peer {
            hosts: hosts.filter(|_| self.pods.is_some())?,
            port: self.port,
        })
    }

    /// Pods have names of their own only behind a headless Service; one that can't be seen may be none.
    fn can_name_pods(&self) -> bool {
        match self.governing {
            Governing::Headless(id) => self
                .workload
                .bundle
                .object(id)
                .is_some_and(|service| self.workload.is_selected_by(service)),
            _ => false,
        }
    }

    /// The longest name that the certificate in hand is good for, `None` when it is good for none; the full name where
    /// none is in hand.
    fn best_host(&self, pod: u32) -> Option<String> {
        match self.verification.seen() {
            Some(certificate) => self
                .names
                .forms()
                .iter()
                .map(|form| self.names.host(pod, *form))
                .find(|host| certificate.covers(host)),
            None => Some(self.names.host(pod, self.names.longest())),
        }
    }

    /// Routes to the pods that have none, in the manner of their neighbours.
    fn addition(
        &self,
        decisions: &[Decision],
        pods: &[u32],
        style: Option<Form>,
    ) -> Option<Vec<String>> {
        if pods.is_empty() || !(self.can_name_pods() || (style.is_some() && self.may_name_pods())) {
            return None;
        }
        let neighbour = decisions
            .iter()
            .rev()
            .find(|decision| {
                let named = self.names.read(Route::parse(&decision.entry.text).host);
                matches!(named, Named::Pod { .. } | Named::DistantPod(_))
            })
            .or_else(|| decisions.last());
        // Without a neighbour to take the credentials from, a route into a cluster that asks for some is refused.
        if neighbour.is_none() && self.asks_for_credentials() {
            return None;
        }
        let route = Route::parse(neighbour.map_or("nats://", |decision| &decision.entry.text));
        let port = self.port.as_deref().or(route.port)?;
        Some(
            pods.iter()
                .map(|pod| route.to(&self.neighbourly_host(*pod, style), port))
                .collect(),
        )
    }

    /// The full name; under TLS a form that is known to be good, or else the one the neighbours have.
    fn neighbourly_host(&self, pod: u32, style: Option<Form>) -> String {
        let form = style.unwrap_or_else(|| self.names.longest());
        self.best_host(pod)
            .filter(|host| self.verification.admits(host))
            .unwrap_or_else(|| self.names.host(pod, form))
    }

    fn may_name_pods(&self) -> bool {
        matches!(
            self.governing,
            Governing::Headless(_) | Governing::Unknown | Governing::Absent
        )
    }

    fn asks_for_credentials(&self) -> bool {
        if let Some(flag) = self.workload.command.last(&["cluster", "cluster_listen"]) {
            // Without credentials of its own the flag clears those of the file.
            return Route::parse(&flag.value).userinfo.is_some();
        }
        self.workload
            .cluster()
            .and_then(|cluster| cluster.find(&["authorization"])?.as_map())
            .is_some_and(|authorization| authorization.find(&["user", "username"]).is_some())
    }

    /// What the certificate lacks for full names, where entries have, or should have, names of pods.
    fn uncovered(&self, decisions: &[Decision]) -> (Option<String>, bool) {
        if self.verification == Verification::Off {
            return (None, true);
        }
        let seen = self.verification.seen().is_some();
        let is_due = decisions.iter().any(|decision| match decision.fault {
            Some(Fault::Short) => true,
            Some(Fault::Service) => seen || decision.with.is_some(),
            // A full name is right; it is looked up only in a certificate that can be.
            Some(Fault::Port) | None => {
                let named = self.names.read(Route::parse(&decision.entry.text).host);
                seen && matches!(named, Named::Pod { form, .. } if form == self.names.longest())
            }
            Some(Fault::UnknownService | Fault::Ghost | Fault::Repeated) => false,
        });
        let first = [self.workload.first_ordinal];
        let mut pods = self
            .pods
            .iter()
            .flatten()
            .chain(first.iter().filter(|_| self.pods.is_none()));
        let longest = self.names.longest();
        let lacks =
            is_due && !pods.all(|pod| self.verification.admits(&self.names.host(*pod, longest)));
        (lacks.then(|| self.names.wildcard(longest)), seen)
    }
}

/// The port on which the server listens for routes.
fn listen_port(workload: &Workload<'_>) -> Option<String> {
    if let Some(flag) = workload.command.last(&["cluster", "cluster_listen"]) {
        return Route::parse(&flag.value)
            .port
            .filter(|port| is_port(port))
            .map(str::to_owned);
    }
    let cluster = workload.cluster()?;
    let port = match (cluster.find(&["listen"]), cluster.find(&["port"])) {
        (Some(listen), _) => match &listen.kind {
            conf::Kind::Integer(port) => port.to_string(),
            _ => listen.as_str()?.rsplit_once(':')?.1.to_owned(),
        },
        (None, Some(port)) => port.as_i64()?.to_string(),
        (None, None) => return None,
    };
    is_port(&port).then_some(port)
}

/// Whether the port is set, and comes from a variable.
fn is_port_unseen(workload: &Workload<'_>) -> bool {
    listen_port(workload).is_none()
        && workload.cluster().is_some_and(|cluster| {
            cluster
                .find(&["listen", "port"])
                .is_some_and(|value| value.origin.variable)
        })
}

fn is_port(port: &str) -> bool {
    port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Whether cluster TLS checks the names of hosts, and against what.
/// nats-server verifies in both directions unless `insecure` is set (server/opts.go `GenTLSConfig`, server/route.go).
pub(crate) fn verification<'a>(
    workload: &Workload<'a>,
    neighbours: &Neighbours<'a>,
) -> Verification {
    let Some(tls) = workload
        .cluster()
        .and_then(|cluster| cluster.find(&["tls"]))
    else {
        return Verification::Off;
    };
    let Some(tls) = tls.as_map() else {
        return Verification::On(Rc::new(Certificate::Unseen));
    };
    if tls.find(&["insecure"]).and_then(conf::Value::as_bool) == Some(true) {
        return Verification::Off;
    }
    let path = tls.find(&["cert_file"]).and_then(conf::Value::as_str);
    Verification::On(path.map_or_else(
        || Rc::new(Certificate::Unseen),
        |path| neighbours.certificate(workload, path),
    ))
}

/// Puts edits of one comma list into its text: `with[i]` stands for word `i` when it is there.
pub(crate) fn edit_words(
    text: &str,
    with: &BTreeMap<usize, Vec<String>>,
    append: &[String],
) -> String {
    let words = crate::routes::list::words(text)
        .enumerate()
        .flat_map(|(index, word)| {
            with.get(&index)
                .cloned()
                .unwrap_or_else(|| vec![word.to_owned()])
        });
    words
        .chain(append.iter().cloned())
        .collect::<Vec<_>>()
        .join(",")
}
