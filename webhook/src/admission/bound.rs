//! What leads to more objects than are read for one review. Nobody can say that it is sound, whoever asks again: were it let
//! through, mounting much would lift every policy.

use std::collections::BTreeSet;

use natsguard_policies::bundle::{Asker, Bundle, Object, ObjectId};
use natsguard_policies::engine::evaluate;
use natsguard_policies::policy::{Action, Policy};
use natsguard_policies::rules::POLICIES;
use natsguard_policies::settings::Settings;

use super::decision::Case;
use super::message;
use crate::facts::{Query, Select};

/// Why a workload is refused, if a policy that may refuse it needs what was not read, and an update brings that in.
pub(super) fn unread(case: &Case<'_>, bundle: &Bundle, id: ObjectId) -> Option<String> {
    // Of a part others lead to what is not its own; what it includes is the workload's to answer for.
    if !case.subject.is_workload() || case.facts.beyond().next().is_none() {
        return None;
    }
    let settings = refusing(case.settings)?;
    let missed = missed(case, bundle, &settings);
    let first = missed.first()?;
    let was_there = case.old.is_some_and(|old| {
        let old = case
            .facts
            .bundle(&case.subject, Some(Object::new(old.clone())));
        !self::missed(case, &old, &settings).is_empty()
    });
    let object = bundle.object(id).filter(|_| !was_there)?;
    let name = match &first.select {
        Select::Named(name) => format!(" {name}"),
        Select::All => "s".to_owned(),
    };
    let title = format!(
        "{} {}/{}",
        object.kind(),
        case.subject.namespace,
        object.name()
    );
    Some(message::unread(
        &title,
        &format!("{}{name}", first.resource.kind),
        missed.len() - 1,
    ))
}

/// What a workload leads to and was not read, because it is too much.
fn missed(case: &Case<'_>, bundle: &Bundle, settings: &Settings) -> BTreeSet<Query> {
    let beyond: BTreeSet<&Query> = case.facts.beyond().collect();
    bundle.take_questions();
    evaluate(bundle, settings);
    let questions = bundle.take_questions().into_iter();
    questions
        .filter(|(_, asker)| *asker == Asker::Own)
        .filter_map(|(question, _)| Query::of(question))
        .filter(|query| beyond.contains(query))
        .collect()
}

/// The settings with no policy but those that may refuse: `None` when there are none.
fn refusing(settings: &Settings) -> Option<Settings> {
    let may_refuse = |policy: &Policy| match settings.action(policy) {
        Action::Deny => true,
        Action::Fix => policy.otherwise == Action::Deny,
        Action::Warn | Action::Off => false,
    };
    let (refusing, others): (Vec<_>, Vec<_>) = POLICIES
        .iter()
        .copied()
        .partition(|policy| may_refuse(policy));
    let mut settings = settings.clone();
    for policy in &others {
        let of = settings.policies.entry(policy.id.to_owned()).or_default();
        of.action = Some(Action::Off);
    }
    (!refusing.is_empty()).then_some(settings)
}
