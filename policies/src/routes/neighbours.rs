//! What the workloads of a bundle are to each other: the pods behind the same Service, and lists that several share.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::bundle::{Bundle, Object, ObjectId};
use crate::certificate::{self, Certificate};
use crate::routes::list::Home;
use crate::storage::sharing::{Share, Volumes};
use crate::workload::mounts::Found;
use crate::workload::{Kind, Workload};

/// So many pods of others may be named in the repairs of one evaluation. Each of n workloads behind one Service names the
/// pods of all n.
const MAX_NAMED: usize = 1 << 17;

/// So many routes of lists that were judged before, for another workload, are judged again.
const MAX_SHARED: usize = 1 << 17;

/// So often a Service's selector is held against a StatefulSet.
const MAX_COMPARED: usize = 1 << 20;

/// So much of what pods ask of nodes is held against them.
const MAX_PLACED: usize = 1 << 22;

/// A fault costs as much as so many routes that have none.
pub const FAULT: usize = 8;

/// The workloads of a bundle, as each of them sees the others, and what may still be spent on what they share. A hostile
/// namespace would take minutes and all memory otherwise.
#[derive(Debug)]
pub struct Neighbours<'a> {
    bundle: &'a Bundle,
    workloads: &'a [Workload<'a>],
    sets: BTreeMap<Option<&'a str>, Vec<&'a Workload<'a>>>,
    peers: RefCell<BTreeMap<ObjectId, Option<Rc<Peer>>>>,
    selected: RefCell<BTreeMap<ObjectId, Siblings<'a>>>,
    certificates: RefCell<BTreeMap<Holder, Rc<Certificate>>>,
    /// The object that has a Secret with a certificate written, by namespace and name of the Secret.
    promises: OnceCell<BTreeMap<(Option<&'a str>, &'a str), ObjectId>>,
    volumes: OnceCell<Volumes<'a>>,
    lists: RefCell<BTreeSet<(ObjectId, String, Option<usize>)>>,
    compared: Cell<usize>,
    named: Cell<usize>,
    shared: Cell<usize>,
    placed: Cell<usize>,
}

/// What holds a certificate.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    /// A string of an object.
    Text(ObjectId, String),
    /// An object that foretells it.
    Promise(ObjectId),
}

/// StatefulSets behind a Service.
type Siblings<'a> = Rc<Vec<&'a Workload<'a>>>;

/// A StatefulSet, for those who name its pods.
#[derive(Debug)]
pub struct Peer {
    /// The best host of each pod.
    pub hosts: Vec<String>,
    /// The port its servers listen on, where it can be read.
    pub port: Option<String>,
}

impl<'a> Neighbours<'a> {
    /// The workloads of one bundle.
    pub fn new(bundle: &'a Bundle, workloads: &'a [Workload<'a>]) -> Self {
        let mut sets: BTreeMap<_, Vec<&Workload<'_>>> = BTreeMap::new();
        for workload in workloads {
            // Of one that stands in its file more than once nobody knows which counts.
            if workload.kind == Kind::StatefulSet && !bundle.is_repeated(workload.id) {
                let sets = sets.entry(workload.namespace).or_default();
                // One of several servers in its pods stands for them all.
                if sets.last().is_none_or(|last| last.id != workload.id) {
                    sets.push(workload);
                }
            }
        }
        Self {
            bundle,
            workloads,
            volumes: OnceCell::new(),
            sets,
            peers: RefCell::default(),
            selected: RefCell::default(),
            certificates: RefCell::default(),
            promises: OnceCell::new(),
            compared: Cell::new(MAX_COMPARED),
            lists: RefCell::default(),
            named: Cell::new(MAX_NAMED),
            shared: Cell::new(MAX_SHARED),
            placed: Cell::new(MAX_PLACED),
        }
    }

    /// All workloads.
    pub const fn workloads(&self) -> &'a [Workload<'a>] {
        self.workloads
    }

    /// The NATS StatefulSets of a Service's namespace whose pods it selects, in the order of the input: `None` when too many
    /// were looked at.
    pub fn behind(&self, id: ObjectId, service: &Object) -> Option<Siblings<'a>> {
        if let Some(known) = self.selected.borrow().get(&id) {
            return Some(Rc::clone(known));
        }
        let namespace = self.bundle.namespace(service);
        let unstated = namespace.and_then(|_| self.sets.get(&None));
        let all = self.sets.get(&namespace).into_iter().chain(unstated);
        let count = all.clone().map(Vec::len).sum();
        if !spend(&self.compared, count) {
            return None;
        }
        // What the cluster has of them decides about the routes.
        let _ = self.bundle.all("apps", Kind::StatefulSet.name(), namespace);
        let name = service.name();
        let mut selected: Vec<&Workload<'_>> = all
            .flatten()
            .copied()
            .filter(|set| set.is_selected_by(service))
            .filter(|set| {
                let found = set.lookup("", "Service", name).found();
                found.is_some_and(|(found, _)| found == id)
            })
            .collect();
        selected.sort_by_key(|set| set.id);
        for sibling in &selected {
            self.bundle.ask_again(&sibling.questions);
        }
        let selected = Rc::new(selected);
        self.selected.borrow_mut().insert(id, Rc::clone(&selected));
        Some(selected)
    }

    /// How the pods of a workload are named, found out once: `None` when they can't be.
    pub fn peer(
        &self,
        workload: ObjectId,
        find: impl FnOnce() -> Option<Peer>,
    ) -> Option<Rc<Peer>> {
        let mut peers = self.peers.borrow_mut();
        let peer = peers.entry(workload).or_insert_with(|| find().map(Rc::new));
        peer.clone()
    }

    /// The certificate at a path of a server's container, read once however many show it: from the mounted Secret, or
    /// foretold by what will have that Secret written.
    pub fn certificate(&self, workload: &Workload<'a>, path: &str) -> Rc<Certificate> {
        let found = workload.file(path);
        let promise = match &found {
            Found::NotInBundle("Secret", secret) => self.promise(workload.namespace, secret),
            _ => None,
        };
        let holder = match (&found, promise) {
            (Found::Text(text), _) => Holder::Text(text.object, text.pointer.clone()),
            (_, Some(id)) => Holder::Promise(id),
            (_, None) => return Rc::new(Certificate::Unseen),
        };
        let read = || match (&found, promise.and_then(|id| self.bundle.object(id))) {
            (Found::Text(text), _) => Certificate::of_file(text),
            (_, Some(object)) => Certificate::promised(object, self.bundle),
            (_, None) => Certificate::Unseen,
        };
        let mut certificates = self.certificates.borrow_mut();
        Rc::clone(
            certificates
                .entry(holder)
                .or_insert_with(|| Rc::new(read())),
        )
    }

    fn promise(&self, namespace: Option<&str>, secret: &str) -> Option<ObjectId> {
        let bundle = self.bundle;
        let promises = self.promises.get_or_init(|| {
            let mut promises = BTreeMap::new();
            let certificates = bundle.of_kind("cert-manager.io", "Certificate");
            let services = bundle.of_kind("", "Service");
            for (id, object) in certificates.chain(services) {
                if let Some(secret) = certificate::secret_of(object) {
                    let key = (bundle.namespace(object), secret);
                    promises.entry(key).or_insert(id);
                }
            }
            promises
        });
        let own = promises.get(&(namespace, secret));
        own.or_else(|| promises.get(&(None, secret))).copied()
    }

    /// Another workload, or server of the same pod, with its store on the same volume, and where.
    pub fn on_the_volume_of(
        &self,
        workload: &Workload<'_>,
        share: &Share,
    ) -> Option<&(&'a Workload<'a>, Share)> {
        if self.workloads.len() < 2 {
            return None;
        }
        let volumes = self.volumes.get_or_init(|| Volumes::new(self.workloads));
        volumes.other(workload, share)
    }

    /// Whether so many more pods may be named. Where they may not, nothing is refused and no other repair is taken back.
    pub fn may_name(&self, pods: usize) -> bool {
        spend(&self.named, pods)
    }

    /// Whether nobody has read this list yet.
    pub fn is_first(&self, home: &Home) -> bool {
        let place = home.place();
        let start = place.span.as_ref().map(|span| span.start);
        self.lists
            .borrow_mut()
            .insert((place.object, place.pointer.clone(), start))
    }

    /// Whether so many routes of a list that was read before may be judged again.
    pub fn may_judge(&self, routes: usize) -> bool {
        spend(&self.shared, routes)
    }

    /// Whether so much more of what a pod asks may be held against a node.
    pub fn may_place(&self, demands: usize) -> bool {
        spend(&self.placed, demands)
    }
}

fn spend(left: &Cell<usize>, cost: usize) -> bool {
    let rest = left.get().checked_sub(cost);
    left.set(rest.unwrap_or(left.get()));
    rest.is_some()
}
