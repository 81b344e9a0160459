//! What the workloads of a bundle are to each other: the pods behind the same Service, and lists that several share.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::bundle::{Bundle, Lookup, Object, ObjectId};
use crate::routes::list::Home;
use crate::workload::{Kind, Workload};

/// So many pods of others may be named in the repairs of one evaluation. Each of n workloads behind one Service names the
/// pods of all n.
const MAX_NAMED: usize = 1 << 17;

/// So many routes of lists that were judged before, for another workload, are judged again.
const MAX_SHARED: usize = 1 << 17;

/// So often a Service's selector is held against a StatefulSet.
const MAX_COMPARED: usize = 1 << 20;

/// A fault costs as much as so many routes that have none.
pub const FAULT: usize = 8;

/// The workloads of a bundle, as each of them sees the others, and what may still be spent on what they share. A hostile
/// namespace would take minutes and all memory otherwise.
#[derive(Debug)]
pub struct Neighbours<'a> {
    bundle: &'a Bundle,
    sets: BTreeMap<&'a str, Vec<&'a Workload<'a>>>,
    peers: RefCell<BTreeMap<ObjectId, Option<Rc<Peer>>>>,
    selected: RefCell<BTreeMap<ObjectId, Siblings<'a>>>,
    lists: RefCell<BTreeSet<(ObjectId, String, Option<usize>)>>,
    compared: Cell<usize>,
    named: Cell<usize>,
    shared: Cell<usize>,
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
        let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for workload in workloads {
            // Of several of one name the last counts.
            let found = bundle.lookup(
                "apps",
                Kind::StatefulSet.name(),
                workload.namespace,
                workload.name(),
            );
            if workload.kind == Kind::StatefulSet
                && matches!(found, Lookup::Found(id, _) if id == workload.id)
            {
                sets.entry(workload.namespace).or_default().push(workload);
            }
        }
        Self {
            bundle,
            sets,
            peers: RefCell::default(),
            selected: RefCell::default(),
            compared: Cell::new(MAX_COMPARED),
            lists: RefCell::default(),
            named: Cell::new(MAX_NAMED),
            shared: Cell::new(MAX_SHARED),
        }
    }

    /// The NATS StatefulSets of a Service's namespace whose pods it selects, in the order of the input: `None` when too many
    /// were looked at.
    pub fn behind(&self, id: ObjectId, service: &Object) -> Option<Siblings<'a>> {
        if let Some(known) = self.selected.borrow().get(&id) {
            return Some(Rc::clone(known));
        }
        let namespace = self.bundle.namespace(service).unwrap_or_default();
        let all = self.sets.get(namespace).map_or(&[][..], Vec::as_slice);
        if !spend(&self.compared, all.len()) {
            return None;
        }
        let selected = all.iter().filter(|set| set.is_selected_by(service));
        let selected = Rc::new(selected.copied().collect());
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

    /// Whether so many more pods may be named.
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
}

fn spend(left: &Cell<usize>, cost: usize) -> bool {
    let rest = left.get().checked_sub(cost);
    left.set(rest.unwrap_or(left.get()));
    rest.is_some()
}
