//! The one evaluation: admission, `check`, `fix`, `scan` and the controller all call it, and nothing else decides.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::bundle::{Asker, Bundle, ObjectId};
use crate::conf;
use crate::context::Context;
use crate::json;
use crate::policy::{Action, Edit, Finding, List, Place, Policy, Syntax};
use crate::routes::neighbours::Neighbours;
use crate::routes::plan::edit_words;
use crate::rules::{POLICIES, find};
use crate::settings::Settings;
use crate::workload::{Configuration, Kind, Workload, discover, mounts};

/// After so many rounds of repair something is wrong with a fix; it is left unfinished and reported.
const MAX_ROUNDS: usize = 8;

/// A finding and what is done about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// What is done: never [`Action::Off`].
    pub action: Action,
    /// The object that keeps it from being repaired, because it must not be edited.
    pub frozen: Option<ObjectId>,
}

/// A finding that the platform lets through.
#[derive(Debug, Clone, PartialEq)]
pub struct Exempted {
    /// The finding.
    pub finding: Finding,
    /// Why it is let through: the first exemption's word.
    pub reason: String,
    /// The last day of that.
    pub expires: Option<String>,
    /// The indices of the exemptions that let it through. When the first expires the next does.
    pub exemptions: Vec<usize>,
}

/// The outcome of one evaluation, in the order of the objects.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Report {
    /// What was found.
    pub findings: Vec<Judged>,
    /// What was found and is let through.
    pub exempted: Vec<Exempted>,
    /// What could not be judged.
    pub unchecked: Vec<Finding>,
    /// How many objects were looked at.
    pub objects: usize,
}

impl Report {
    /// How many findings have this action.
    pub fn count(&self, action: Action) -> usize {
        self.findings
            .iter()
            .filter(|judged| judged.action == action)
            .count()
    }

    /// The strongest action of all findings.
    pub fn worst(&self) -> Option<Action> {
        self.findings.iter().map(|judged| judged.action).max()
    }
}

/// Repaired objects.
#[derive(Debug, Clone)]
pub struct Repaired {
    /// The objects, in the order they had.
    pub bundle: Bundle,
    /// What was repaired. The places are those of the objects before it.
    pub mended: Vec<Judged>,
    /// Warnings that belong to a repair and went with what was repaired: they hold all the same. Their places are those
    /// of the objects before it.
    pub beside: Vec<Judged>,
    /// What stands after the repair.
    pub report: Report,
}

/// Evaluates every policy on every workload of a bundle.
pub fn evaluate(bundle: &Bundle, settings: &Settings) -> Report {
    let mut report = evaluate_for_each(bundle, settings).0;
    // Workloads that share an object can't be judged for the same reason.
    let mut said = BTreeSet::new();
    report.unchecked.retain(|finding| {
        said.insert((
            finding.policy,
            finding.place.object,
            finding.place.pointer.clone(),
            finding.detail.clone(),
        ))
    });
    report
}

/// Of the same evaluation what one workload of the bundle is at fault with.
pub fn evaluate_one(bundle: &Bundle, settings: &Settings, workload: ObjectId) -> Report {
    let (mut report, at_fault) = evaluate_for_each(bundle, settings);
    let findings = report.findings.into_iter().zip(at_fault.findings);
    let exempted = report.exempted.into_iter().zip(at_fault.exempted);
    report.findings = findings
        .filter_map(|(judged, of)| of.contains(&workload).then_some(judged))
        .collect();
    report.exempted = exempted
        .filter_map(|(exempted, of)| (of == workload).then_some(exempted))
        .collect();
    let unchecked = report.unchecked.into_iter().zip(at_fault.unchecked);
    report.unchecked = unchecked
        .filter_map(|(unchecked, of)| (of == workload).then_some(unchecked))
        .collect();
    report
}

/// Which workloads are at fault, for each entry of a report.
#[derive(Default)]
struct AtFault {
    findings: Vec<Vec<ObjectId>>,
    exempted: Vec<ObjectId>,
    unchecked: Vec<ObjectId>,
}

fn evaluate_for_each(bundle: &Bundle, settings: &Settings) -> (Report, AtFault) {
    let mut report = Report {
        objects: bundle.objects().len(),
        ..Report::default()
    };
    let mut at_fault = AtFault::default();
    let mut found = Vec::new();
    let workloads = discover(bundle);
    let neighbours = Neighbours::new(bundle, &workloads);
    for workload in &workloads {
        bundle.set_asker(bundle.asker(workload.id));
        bundle.ask_again(&workload.questions);
        find_faults(&neighbours, workload, settings, &mut report);
        ask_for_sharers(workload, &report.findings);
        let findings = report.findings.drain(..);
        found.extend(findings.map(|judged| (judged, vec![workload.id])));
        at_fault.exempted.resize(report.exempted.len(), workload.id);
        at_fault
            .unchecked
            .resize(report.unchecked.len(), workload.id);
    }
    bundle.set_asker(Asker::Own);
    found.sort_by(|(a, _), (b, _)| order(a).cmp(&order(b)));
    // Two workloads that share a file share its faults.
    found.dedup_by(|(later, its), (earlier, all)| {
        let is_same = later == earlier;
        if is_same {
            all.append(its);
        }
        is_same
    });
    (report.findings, at_fault.findings) = found.into_iter().unzip();
    withdraw_disputed(settings, &mut report);
    withdraw_impossible(bundle, settings, &mut report.findings);
    (report, at_fault)
}

/// Adds what a workload is at fault with.
fn find_faults<'a>(
    neighbours: &'a Neighbours<'a>,
    workload: &'a Workload<'a>,
    settings: &'a Settings,
    report: &mut Report,
) {
    let context = Context::new(workload, neighbours, settings);
    let candidate = settings.candidate(workload.bundle, workload.object);
    let assumption = workload.assumption();
    for policy in POLICIES {
        let configured = settings.action(policy);
        if configured == Action::Off {
            continue;
        }
        let exemptions: Vec<_> = settings.exemptions(policy.id, candidate).collect();
        for mut finding in (policy.evaluate)(&context) {
            if let Some(assumption) = &assumption {
                finding.detail = format!("{}; {assumption}", finding.detail);
            }
            if finding.is_unchecked {
                if exemptions.is_empty() {
                    report.unchecked.push(finding);
                }
                continue;
            }
            let frozen = frozen(workload.bundle, &finding);
            if let Some((_, why)) = &frozen {
                finding.fix = None;
                finding.remedy = format!("{}; {why}", finding.remedy);
            }
            let undecided = settings.undecided(policy.id, candidate);
            if let Some(index) = undecided.filter(|_| exemptions.is_empty()) {
                finding.remedy = format!(
                    "{}; exemptions[{index}] is for labels of namespaces, and Namespace {} {}",
                    finding.remedy,
                    workload.namespace.unwrap_or_default(),
                    workload.bundle.unseen("Namespace", "")
                );
            }
            if let Some((_, exemption)) = exemptions.first() {
                report.exempted.push(Exempted {
                    finding,
                    reason: exemption.reason.clone(),
                    expires: exemption.expires.clone(),
                    exemptions: exemptions.iter().map(|(index, _)| *index).collect(),
                });
                continue;
            }
            let action = action(policy, configured, &finding);
            let frozen = frozen.filter(|_| configured == Action::Fix);
            report.findings.push(Judged {
                finding,
                action,
                frozen: frozen.map(|(object, _)| object),
            });
        }
    }
}

/// A repair of an object that others may use as well is made only when it suits them, too: asks for them.
fn ask_for_sharers(workload: &Workload<'_>, findings: &[Judged]) {
    let mut edits = findings
        .iter()
        .flat_map(|judged| &judged.finding.fix)
        .flat_map(|fix| &fix.edits);
    if edits.any(|edit| edit.target().0 != workload.id) {
        let kind = Kind::StatefulSet.name();
        let _ = workload.bundle.all("apps", kind, workload.namespace);
    }
}

/// The nats.conf files with cluster routes in ConfigMaps that no workload of the bundle uses: nobody can say whose routes
/// they are, so they are not checked. Where each stands.
pub fn unused_files(bundle: &Bundle) -> Vec<Place> {
    let mut used = BTreeSet::new();
    for workload in discover(bundle) {
        if let Configuration::Known { sources, .. } = workload.configuration {
            used.extend(
                sources
                    .into_iter()
                    .map(|source| (source.object, source.pointer)),
            );
        }
    }
    let mut unused = Vec::new();
    for (object, map) in bundle.of_kind("", "ConfigMap") {
        for (key, text) in json::map(&map.value, &["data"]).into_iter().flatten() {
            let pointer = json::join("/data", key);
            let Some(text) = text.as_str().filter(|text| text.contains("routes")) else {
                continue;
            };
            if used.contains(&(object, pointer.clone())) {
                continue;
            }
            let config = conf::read(text.as_bytes(), &mut |_, _| conf::Included::Unknown);
            let cluster = config.root.find(&["cluster"]).and_then(conf::Value::as_map);
            if cluster
                .and_then(|cluster| cluster.find(&["routes"]))
                .is_some()
            {
                unused.push(Place {
                    object,
                    field: json::field(&pointer),
                    pointer,
                    span: None,
                });
            }
        }
    }
    unused
}

/// Makes every repair that is safe, until there is nothing left to repair.
pub fn repair(bundle: &Bundle, settings: &Settings) -> Repaired {
    repair_where(bundle, settings, &|_, _| true)
}

/// Makes the repairs that are safe and whose edits may all be made; the others stand in the report.
pub fn repair_where(
    bundle: &Bundle,
    settings: &Settings,
    may: &dyn Fn(&Finding, &Edit) -> bool,
) -> Repaired {
    let is_due = |judged: &&Judged| {
        let finding = &judged.finding;
        let mut edits = finding.fix.iter().flat_map(|fix| &fix.edits);
        judged.action == Action::Fix && edits.all(|edit| may(finding, edit))
    };
    let before = evaluate(bundle, settings);
    let mut bundle = bundle.clone();
    let mut report = before.clone();
    for _ in 0..MAX_ROUNDS {
        if !Batch::new(report.findings.iter().filter(is_due)).apply(&mut bundle) {
            break;
        }
        report = evaluate(&bundle, settings);
    }
    let key = |judged: &Judged| (judged.finding.policy, judged.finding.place.object);
    let left: BTreeSet<_> = report
        .findings
        .iter()
        .map(|left| (key(left), left.finding.reason))
        .collect();
    let touched: BTreeSet<_> = before.findings.iter().filter(is_due).map(key).collect();
    let beside = before
        .findings
        .iter()
        .filter(|judged| {
            judged.action == Action::Warn
                && touched.contains(&key(judged))
                && !left.contains(&(key(judged), judged.finding.reason))
        })
        .cloned()
        .collect();
    let standing: BTreeSet<_> = report
        .findings
        .iter()
        .map(|left| (key(left), left.finding.reason, left.finding.detail.as_str()))
        .collect();
    let mended = before
        .findings
        .iter()
        .filter(is_due)
        .filter(|judged| {
            let finding = &judged.finding;
            !standing.contains(&(key(judged), finding.reason, finding.detail.as_str()))
        })
        .cloned()
        .collect();
    Repaired {
        bundle,
        mended,
        beside,
        report,
    }
}

/// A file that several workloads share is repaired only when the same answer holds for them all.
fn withdraw_disputed(settings: &Settings, report: &mut Report) {
    let key = |finding: &Finding| {
        let Place {
            object,
            pointer,
            span,
            ..
        } = &finding.place;
        (
            *object,
            pointer.clone(),
            span.as_ref().map(|span| span.start),
            finding.policy,
            finding.reason,
        )
    };
    let against: BTreeSet<_> = report
        .findings
        .iter()
        .filter(|judged| judged.action != Action::Fix)
        .map(|judged| key(&judged.finding))
        .chain(
            report
                .exempted
                .iter()
                .map(|exempted| key(&exempted.finding)),
        )
        .collect();
    withdraw(settings, &mut report.findings, |judged| {
        against.contains(&key(&judged.finding))
    });
}

/// A repair that can't be made is none: its finding is answered as one without.
fn withdraw_impossible(bundle: &Bundle, settings: &Settings, findings: &mut [Judged]) {
    let refused: BTreeSet<(ObjectId, String)> = Batch::new(findings.iter())
        .refused(bundle)
        .into_iter()
        .map(|(object, pointer)| (object, pointer.to_owned()))
        .collect();
    if refused.is_empty() {
        return;
    }
    withdraw(settings, findings, |judged| {
        let mut edits = judged
            .finding
            .fix
            .iter()
            .flat_map(|fix| &fix.edits)
            .map(Edit::target);
        edits.any(|(object, pointer)| refused.contains(&(object, pointer.to_owned())))
    });
}

/// Takes repairs back: their findings are answered as those without.
fn withdraw(settings: &Settings, findings: &mut [Judged], is_refused: impl Fn(&Judged) -> bool) {
    for judged in findings {
        if judged.action == Action::Fix
            && is_refused(judged)
            && let Some(policy) = find(judged.finding.policy)
        {
            judged.finding.fix = None;
            judged.action = action(policy, settings.action(policy), &judged.finding);
        }
    }
}

/// By place, then by policy, then by what is said.
fn order(judged: &Judged) -> impl Ord + '_ {
    let Finding {
        place,
        policy,
        detail,
        ..
    } = &judged.finding;
    let rank = POLICIES.iter().position(|known| known.id == *policy);
    (
        place.object,
        place.span.as_ref().map(|span| span.start),
        rank,
        &place.pointer,
        detail,
    )
}

fn action(policy: &Policy, configured: Action, finding: &Finding) -> Action {
    match (configured, &finding.fix) {
        (Action::Fix, Some(_)) => Action::Fix,
        (Action::Fix, None) => finding.otherwise.unwrap_or(policy.otherwise),
        (action, _) => finding
            .otherwise
            .map_or(action, |otherwise| otherwise.min(action)),
    }
}

/// The object that a repair would edit and must not, and the sentence about it.
fn frozen(bundle: &Bundle, finding: &Finding) -> Option<(ObjectId, String)> {
    let mut edits = finding.fix.iter().flat_map(|fix| &fix.edits);
    edits.find_map(|edit| {
        let (id, _) = edit.target();
        Some((id, bundle.object(id)?.hindrance()?))
    })
}

/// The edits of one list, from however many findings.
#[derive(Default)]
struct ListEdit {
    elements: BTreeMap<usize, Vec<String>>,
    append: Vec<String>,
}

/// The edits of one string.
#[derive(Default)]
struct TextEdit<'e> {
    lists: BTreeMap<&'e List, ListEdit>,
    insert: Option<(&'e core::ops::Range<usize>, &'static str, &'e [String])>,
}

/// A field of an object.
type Target<'e> = (ObjectId, &'e str);

/// Edits that were all found in the same state of a bundle, by the field they change. Where two want the same place the
/// first has it; the other is found again when that one is made.
#[derive(Default)]
struct Batch<'e> {
    sets: BTreeMap<Target<'e>, &'e Value>,
    texts: BTreeMap<Target<'e>, TextEdit<'e>>,
}

impl<'e> Batch<'e> {
    fn new(findings: impl Iterator<Item = &'e Judged>) -> Self {
        let mut batch = Self::default();
        let due = findings.filter(|judged| judged.action == Action::Fix);
        for edit in due.flat_map(|judged| judged.finding.fix.iter().flat_map(|fix| &fix.edits)) {
            batch.add(edit);
        }
        batch
    }

    fn add(&mut self, edit: &'e Edit) {
        match edit {
            Edit::Set {
                object,
                pointer,
                value,
            } => {
                self.sets.entry((*object, pointer)).or_insert(value);
            }
            Edit::Element { list, index, with } => {
                let text = self.texts.entry((list.object, &list.pointer)).or_default();
                text.lists
                    .entry(list)
                    .or_default()
                    .elements
                    .entry(*index)
                    .or_insert_with(|| with.clone());
            }
            Edit::Append { list, with } => {
                let text = self.texts.entry((list.object, &list.pointer)).or_default();
                let append = &mut text.lists.entry(list).or_default().append;
                for word in with {
                    if !append.contains(word) {
                        append.push(word.clone());
                    }
                }
            }
            Edit::Insert {
                object,
                pointer,
                map,
                key,
                with,
            } => {
                let text = self.texts.entry((*object, pointer)).or_default();
                text.insert.get_or_insert((map, key, with));
            }
        }
    }

    /// The fields that can't be changed as asked: text that is too odd to edit safely, a parent of another type.
    fn refused(&self, bundle: &Bundle) -> BTreeSet<Target<'e>> {
        let value = |target: &Target<'_>| bundle.object(target.0).map(|object| &object.value);
        let sets = self
            .sets
            .keys()
            .filter(|target| value(target).is_none_or(|value| !can_set(value, target.1)));
        let texts = self.texts.iter().filter(|(target, edit)| {
            value(target).is_none_or(|value| edited(value, target.1, edit).is_none())
        });
        sets.chain(texts.map(|(target, _)| target))
            .copied()
            .collect()
    }

    /// Makes the edits. Returns whether anything changed.
    fn apply(&self, bundle: &mut Bundle) -> bool {
        let mut changed = false;
        for ((object, pointer), value) in &self.sets {
            if let Some(object) = bundle.object_mut(*object) {
                changed |= set(&mut object.value, pointer, value);
            }
        }
        for ((object, pointer), edit) in &self.texts {
            let Some(object) = bundle.object_mut(*object) else {
                continue;
            };
            let Some(after) = edited(&object.value, pointer, edit) else {
                continue;
            };
            if let Some(target) = object.value.pointer_mut(pointer)
                && target.as_str() != Some(&after)
            {
                *target = Value::String(after);
                changed = true;
            }
        }
        changed
    }
}

/// The string at a pointer after its edits: `None` when they can't be made safely.
fn edited(value: &Value, pointer: &str, edit: &TextEdit<'_>) -> Option<String> {
    let text = value.pointer(pointer)?.as_str()?;
    if mounts::is_encoded(value, pointer) {
        Some(STANDARD.encode(edit_text(&mounts::decode(text)?, edit)?))
    } else {
        String::from_utf8(edit_text(text.as_bytes(), edit)?).ok()
    }
}

fn edit_text(text: &[u8], edit: &TextEdit<'_>) -> Option<Vec<u8>> {
    let mut edits: Option<conf::Edits> = None;
    let mut add = |more: conf::Edits| {
        edits = match edits.take() {
            None => Some(more),
            Some(edits) => edits.union(more).ok(),
        };
    };
    let document = conf::Document::parse(text);
    for (list, edit) in &edit.lists {
        let range = list.start..list.end;
        match list.syntax {
            Syntax::Array => {
                let elements: Vec<conf::Element> = (0..list.length)
                    .map(|index| {
                        edit.elements
                            .get(&index)
                            .map_or(conf::Element::Keep, |with| {
                                conf::Element::Replace(with.clone())
                            })
                    })
                    .collect();
                add(conf::edit_array(&document, range, &elements, &edit.append).ok()?);
            }
            Syntax::Commas => {
                let words = core::str::from_utf8(text.get(range.clone())?).ok()?;
                let with = edit_words(words, &edit.elements, &edit.append);
                add(conf::Edits::new(vec![conf::Splice {
                    range,
                    text: with.into_bytes(),
                }])
                .ok()?);
            }
        }
    }
    if let Some((map, key, with)) = edit.insert {
        let value = conf::NewValue::Array(with.to_vec());
        add(conf::insert_key(&document, Some(map.clone()), key, &value).ok()?);
    }
    edits.map(|edits| edits.apply(text))
}

/// Whether a value can be put at a JSON pointer: every step on the way is a map, an item that exists, or nothing yet.
fn can_set(value: &Value, pointer: &str) -> bool {
    let mut value = value;
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        let next = match value {
            Value::Null => return true,
            Value::Object(map) => map.get(&key),
            Value::Array(items) => {
                match key.parse::<usize>().ok().and_then(|index| items.get(index)) {
                    None => return false,
                    item => item,
                }
            }
            _ => return false,
        };
        let Some(next) = next else { return true };
        value = next;
    }
    true
}

/// Puts a value at a JSON pointer, making the maps on the way. Returns whether that changed anything.
fn set(target: &mut Value, pointer: &str, value: &Value) -> bool {
    let mut target = target;
    for step in pointer.split('/').skip(1) {
        let key = step.replace("~1", "/").replace("~0", "~");
        if target.is_null() {
            *target = Value::Object(serde_json::Map::new());
        }
        target = match target {
            Value::Object(map) => map.entry(key).or_insert(Value::Null),
            Value::Array(items) => {
                let Some(item) = key
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| items.get_mut(index))
                else {
                    return false;
                };
                item
            }
            _ => return false,
        };
    }
    let changed = target != value;
    if changed {
        value.clone_into(target);
    }
    changed
}
