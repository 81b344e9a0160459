//! What a review refers to, read on demand: the rules are asked, what they could not look up is read, and they are asked again.
//! So what is read is what is used. What can't be read in time is unknown, and never an error.

mod cache;
pub mod cluster;
pub(crate) mod heft;
mod references;
pub mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use natsguard_policies::bundle::{Asker, Bundle, Object, Question};
use natsguard_policies::engine::evaluate;
use natsguard_policies::settings::Settings;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};

pub(crate) use cluster::{Page, tidy};
pub use references::Subject;
use resource::{NEEDED, Resource, STATEFUL_SETS, Scope};

/// References are followed so far. A file that makes a container a server leads to the files that it includes, these to more,
/// the store to a claim, to its volume and to its class.
const MAX_ROUNDS: usize = 12;

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
    /// In which namespace. Of PersistentVolumes: those that are claimed from there, or by nobody. Empty for other cluster-scoped
    /// kinds.
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
    /// What the object under review leads to and was not read, as it is more than the bound.
    beyond: BTreeSet<Query>,
}

/// What facts are gathered about: the object of a review.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// Group, kind, namespace and name of the object.
    name: [String; 4],
    /// The object and, of an update, the one before it.
    objects: Vec<Arc<Value>>,
    /// What the rules go by.
    settings: Arc<Settings>,
    /// Bounds how often the rules are asked at the same time.
    turns: Arc<Semaphore>,
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

    /// What the rules could not look up, where it is of a kind that is read.
    pub(crate) fn of(question: Question) -> Option<Self> {
        let resource = NEEDED
            .iter()
            .find(|known| known.group == question.group && known.kind == question.kind)?;
        match question.name {
            Some(name) => Some(Self::named(resource, &question.namespace, &name)),
            None => Some(Self::all(resource, &question.namespace)),
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
            beyond: BTreeSet::new(),
        }
    }

    /// What the object under review leads to beyond the bound: nobody can say that it is sound, whoever asks again.
    pub fn beyond(&self) -> impl Iterator<Item = &Query> {
        let too_much = self.answers.iter().filter(|(query, known)| {
            matches!((known, &query.select), (Known::TooMuch, Select::Named(_)))
        });
        self.beyond.iter().chain(too_much.map(|(query, _)| query))
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
            let object = Object {
                frozen,
                ..Object::new(value)
            };
            (name, object)
        });
        // In the order of their names, whatever was asked first: routes of workloads that are one cluster stand in it.
        let mut objects: BTreeMap<_, Object> = kept.collect();
        objects.extend(object.map(|object| (own, object)));
        let objects = objects.into_values().collect();
        let mut bundle = Bundle::new(objects, Some(subject.namespace));
        bundle.set_live();
        bundle.set_focus(references::focus(subject, &bundle));
        for (query, known) in &self.answers {
            let Resource { group, kind, .. } = *query.resource;
            match (known, &query.select) {
                (Known::Absent, Select::Named(name)) => {
                    bundle.set_absent(group, kind, &query.namespace, name);
                }
                // What could not be read is not asked for again.
                (_, Select::All) => bundle.set_listed(group, kind, &query.namespace),
                (_, Select::Named(_)) => {}
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

/// Reads what an object leads to.
pub async fn gather(cluster: &Arc<dyn Cluster>, inquiry: Inquiry, deadline: Instant) -> Facts {
    let inquiry = Arc::new(inquiry);
    let mut facts = Facts::default();
    let mut bytes = 0;
    for round in 0..=MAX_ROUNDS {
        let about = Arc::clone(&inquiry);
        let turn = Arc::clone(&inquiry.turns).acquire_owned().await;
        let asked = spawn_blocking(move || {
            let _turn = turn;
            let wanted = about.wanted(&facts);
            (facts, wanted)
        });
        // The process is ending, or the rules are at fault: then nothing more is known.
        let Ok((known, wanted)) = asked.await else {
            return Facts::default();
        };
        facts = known;
        let left = match round {
            MAX_ROUNDS => 0,
            _ => MAX_QUERIES.saturating_sub(facts.answers.len()),
        };
        let mut wanted = wanted.into_iter();
        let asked: Vec<Wanted> = wanted.by_ref().take(left).collect();
        let own = wanted.filter(|wanted| wanted.asker == Asker::Own);
        facts.beyond.extend(own.map(|wanted| wanted.query));
        if asked.is_empty() {
            break;
        }
        // All of them are questions, so that what is left out is unknown.
        let unknown = asked
            .iter()
            .map(|wanted| (wanted.query.clone(), Known::Unknown));
        facts.answers.extend(unknown);
        let own: BTreeSet<Query> = asked
            .iter()
            .filter(|wanted| wanted.asker == Asker::Own)
            .map(|wanted| wanted.query.clone())
            .collect();
        let mut asked = asked.into_iter().map(|wanted| wanted.query).peekable();
        while asked.peek().is_some() {
            let some = asked.by_ref().take(cluster.at_once());
            // In the order of the questions: which answers fit must not depend on which came first.
            for (query, known) in ask(cluster, some, deadline).await {
                let weight = weight(&known);
                if weight <= MAX_BYTES - bytes {
                    bytes += weight;
                    facts.answers.insert(query, known);
                } else if own.contains(&query) {
                    facts.beyond.insert(query);
                }
            }
        }
    }
    facts
}

/// A question of the rules to the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    /// Those of a workload that is judged come first.
    asker: Asker,
    /// A list answers for many names, so lists come before names.
    is_named: bool,
    query: Query,
}

impl Inquiry {
    /// About `objects`: the object of this name and, of an update, the one before it.
    pub fn new(
        subject: &Subject<'_>,
        objects: Vec<Arc<Value>>,
        settings: Arc<Settings>,
        turns: Arc<Semaphore>,
    ) -> Self {
        let Subject {
            group,
            kind,
            namespace,
            name,
        } = *subject;
        Self {
            name: [group, kind, namespace, name].map(str::to_owned),
            objects,
            settings,
            turns,
        }
    }

    fn subject(&self) -> Subject<'_> {
        let [group, kind, namespace, name] = &self.name;
        Subject {
            group,
            kind,
            namespace,
            name,
        }
    }

    /// The questions that what is known so far leads to, the most important first.
    fn wanted(&self, facts: &Facts) -> BTreeSet<Wanted> {
        let subject = self.subject();
        let mut questions: BTreeMap<Query, Asker> = BTreeMap::new();
        if !subject.is_workload() {
            // Who refers to a part.
            let sets = Query::all(&STATEFUL_SETS, subject.namespace);
            questions.insert(sets, Asker::Own);
        }
        for object in &self.objects {
            let object = Object::new(Value::clone(object));
            let bundle = facts.bundle(&subject, Some(object));
            evaluate(&bundle, &self.settings);
            for (question, asker) in bundle.take_questions() {
                if let Some(query) = Query::of(question) {
                    let first = questions.entry(query).or_insert(asker);
                    *first = asker.min(*first);
                }
            }
        }
        questions
            .into_iter()
            .filter(|(query, _)| !facts.answers.contains_key(query))
            .map(|(query, asker)| Wanted {
                asker,
                is_named: query.select != Select::All,
                query,
            })
            .collect()
    }
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
