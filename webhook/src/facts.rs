//! What a review refers to, read on demand: what can't be read in time is unknown, and never an error.

mod cache;
pub mod cluster;
pub(crate) mod heft;
mod references;
pub mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use natsguard_policies::bundle::{Bundle, Object};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

pub(crate) use cluster::{Page, tidy};
pub use references::Subject;
use resource::{Resource, Scope};

/// References are followed so far: a claim leads to its volume, the volume to nothing more.
const MAX_ROUNDS: usize = 4;

/// One review asks no more than this, whatever its object names.
const MAX_QUERIES: usize = 64;

/// So many are asked at once by who has to answer soon.
const AT_ONCE: usize = 16;

/// The memory that the answers to one review may take. Whoever names many large objects gets no more of them.
const MAX_BYTES: usize = 8 << 20;

/// What a value takes beside its text: its place in a map, mostly.
const VALUE_BYTES: usize = 64;

/// Which objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Select {
    /// The object of this name.
    Named(String),
    /// All objects.
    All,
}

/// One question to the cluster: an object by name, or a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// Of which kind.
    pub resource: &'static Resource,
    /// In which namespace. Of PersistentVolumes: those that are claimed from there. Empty for other cluster-scoped kinds.
    pub namespace: String,
    /// Which.
    pub select: Select,
}

/// What the cluster answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    /// These objects, in the order of their names.
    Objects(Arc<Vec<Value>>),
    /// There is no such object.
    Absent,
    /// It could not be asked, or did not answer in time.
    Unknown,
    /// It is more than is read, so it stays unknown whoever asks again.
    TooMuch,
}

/// A boxed future, so that [`Cluster`] can be an object.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Known> + Send + 'a>>;

/// Whoever answers questions about the cluster.
pub trait Cluster: Send + Sync + 'static {
    /// Answers one question. The caller bounds the time.
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a>;

    /// So many questions may be under way together: each may hold an answer.
    fn at_once(&self) -> usize {
        AT_ONCE
    }
}

/// A cluster that can't be asked: everything is unknown.
#[derive(Debug, Clone, Copy)]
pub struct Nowhere;

impl Cluster for Nowhere {
    fn ask<'a>(&'a self, _: &'a Query) -> Answering<'a> {
        Box::pin(async { Known::Unknown })
    }
}

/// The answers to all questions of one review.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    answers: BTreeMap<Query, Known>,
}

impl Query {
    /// The object of a name.
    pub fn named(resource: &'static Resource, namespace: &str, name: &str) -> Self {
        let namespace = match resource.scope {
            Scope::Namespaced => namespace.to_owned(),
            Scope::Cluster => String::new(),
        };
        Self {
            resource,
            namespace,
            select: Select::Named(name.to_owned()),
        }
    }

    /// All objects of a namespace.
    pub fn all(resource: &'static Resource, namespace: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            select: Select::All,
        }
    }
}

impl Facts {
    /// Facts that are known already.
    pub fn new(answers: impl IntoIterator<Item = (Query, Known)>) -> Self {
        Self {
            answers: answers.into_iter().collect(),
        }
    }

    /// The answer to a question.
    pub fn get(&self, query: &Query) -> &Known {
        self.answers.get(query).unwrap_or(&Known::Unknown)
    }

    /// How many questions stayed without an answer.
    pub fn unknown(&self) -> usize {
        self.missing().count()
    }

    /// The questions that stayed without an answer.
    pub fn missing(&self) -> impl Iterator<Item = &Query> {
        self.of_which(|known| matches!(known, Known::Unknown | Known::TooMuch))
    }

    /// Those of them that may be answered another time.
    pub fn late(&self) -> impl Iterator<Item = &Query> {
        self.of_which(|known| matches!(known, Known::Unknown))
    }

    /// Those about objects that are not there.
    pub fn absent(&self) -> impl Iterator<Item = &Query> {
        self.of_which(|known| matches!(known, Known::Absent))
    }

    fn of_which(&self, is: fn(&Known) -> bool) -> impl Iterator<Item = &Query> {
        let answers = self.answers.iter();
        answers
            .filter(move |(_, known)| is(known))
            .map(|(query, _)| query)
    }

    /// All objects of one kind.
    pub fn of(&self, resource: &'static Resource) -> impl Iterator<Item = &Value> {
        self.answers
            .iter()
            .filter(move |(query, _)| query.resource == resource)
            .filter_map(|(_, known)| match known {
                Known::Objects(objects) => Some(objects.iter()),
                Known::Absent | Known::Unknown | Known::TooMuch => None,
            })
            .flatten()
    }

    /// A bundle of the facts and the object under review, which takes the place of what the cluster has under its name;
    /// without `object` there is none of that name.
    pub fn bundle(&self, subject: &Subject<'_>, object: Option<Object>) -> Bundle {
        let mut objects: BTreeMap<(String, String, String), &Value> = BTreeMap::new();
        let own = identity(subject.group, subject.kind, subject.name);
        for known in self.answers.values() {
            let Known::Objects(found) = known else {
                continue;
            };
            for object in found.iter() {
                objects.insert(identity_of(object), object);
            }
        }
        objects.remove(&own);
        let kept = objects.into_iter().map(|(name, value)| {
            let (value, frozen) = (value.clone(), frozen(value));
            (name, Object { value, frozen })
        });
        // In the order of their names, whatever was asked first: routes of workloads that are one cluster stand in it.
        let mut objects: BTreeMap<_, Object> = kept.collect();
        objects.extend(object.map(|object| (own, object)));
        let objects = objects.into_values().collect();
        let mut bundle = Bundle::new(objects, Some(subject.namespace));
        bundle.set_live();
        for (query, known) in &self.answers {
            if let (Known::Absent, Select::Named(name)) = (known, &query.select) {
                let Resource { group, kind, .. } = *query.resource;
                bundle.set_absent(group, kind, &query.namespace, name);
            }
        }
        bundle
    }
}

/// Why an object that the cluster keeps can't be edited any more, when it can't: as [`Object::frozen`] has it.
pub(crate) fn frozen(kept: &Value) -> Option<&'static str> {
    (kept.get("immutable") == Some(&Value::Bool(true)))
        .then_some("is immutable: correct its source and make a new one")
}

fn identity(group: &str, kind: &str, name: &str) -> (String, String, String) {
    (group.to_owned(), kind.to_owned(), name.to_owned())
}

fn identity_of(object: &Value) -> (String, String, String) {
    let text = |pointer| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let group = text("/apiVersion")
        .rsplit_once('/')
        .map_or("", |(group, _)| group);
    identity(group, text("/kind"), text("/metadata/name"))
}

/// Reads what a review refers to. `objects` are the object under review and, of an update, the one before it.
pub async fn gather(
    cluster: &Arc<dyn Cluster>,
    subject: &Subject<'_>,
    objects: &[&Value],
    deadline: Instant,
) -> Facts {
    let mut facts = Facts::default();
    let mut bytes = 0;
    for _ in 0..MAX_ROUNDS {
        let left = MAX_QUERIES.saturating_sub(facts.answers.len());
        let wanted: BTreeSet<Query> = references::of(subject, objects, &facts)
            .into_iter()
            .filter(|query| !facts.answers.contains_key(query))
            .take(left)
            .collect();
        if wanted.is_empty() {
            break;
        }
        // All of them are questions, so that what is left out is unknown.
        let unknown = wanted.iter().cloned().map(|query| (query, Known::Unknown));
        facts.answers.extend(unknown);
        let mut wanted = wanted.into_iter().peekable();
        while wanted.peek().is_some() {
            let some = wanted.by_ref().take(cluster.at_once());
            // In the order of the questions: which answers fit must not depend on which came first.
            for (query, known) in ask(cluster, some, deadline).await {
                let weight = weight(&known);
                if weight <= MAX_BYTES - bytes {
                    bytes += weight;
                    facts.answers.insert(query, known);
                }
            }
        }
    }
    facts
}

/// Asks questions at the same time.
async fn ask(
    cluster: &Arc<dyn Cluster>,
    queries: impl Iterator<Item = Query>,
    deadline: Instant,
) -> BTreeMap<Query, Known> {
    let mut asked = JoinSet::new();
    for query in queries {
        let cluster = Arc::clone(cluster);
        asked.spawn(async move {
            let known = timeout_at(deadline, cluster.ask(&query)).await;
            (query, known.unwrap_or(Known::Unknown))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(answer) = asked.join_next().await {
        answers.extend(answer.ok());
    }
    answers
}

/// About the memory that an answer takes.
fn weight(known: &Known) -> usize {
    fn of(value: &Value) -> usize {
        VALUE_BYTES
            + match value {
                Value::String(text) => text.len(),
                Value::Array(items) => items.iter().map(of).sum(),
                Value::Object(map) => map.iter().map(|(key, value)| key.len() + of(value)).sum(),
                Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            }
    }
    match known {
        Known::Objects(objects) => objects.iter().map(of).sum(),
        Known::Absent | Known::Unknown | Known::TooMuch => 0,
    }
}

#[cfg(test)]
mod tests;
