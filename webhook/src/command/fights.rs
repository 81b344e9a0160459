//! Says which objects are repaired again and again: in the log, in a metric, and as an Event where people look.

use std::sync::{Arc, Mutex, PoisonError};

use kube::Client;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::events;
use crate::admission::{Admission, Fight, Fights, Step};
use crate::server::{Deciding, Reviewer};
use crate::telemetry::metrics::Metrics;

/// So many fights wait to be told; more at once are told when they go on.
const WAITING: usize = 16;

/// Answers as [`Admission`] does, and has an eye on what it answers.
pub(super) struct Watched {
    admission: Admission,
    fights: Mutex<Fights>,
    told: Sender<Fight>,
}

/// Has an eye on reviews, as long as the result lives.
pub(super) fn watched(
    admission: Admission,
    client: Option<Client>,
    metrics: Arc<Metrics>,
) -> Watched {
    let (told, fights) = channel(WAITING);
    tokio::spawn(tell(fights, client, metrics));
    Watched {
        admission,
        fights: Mutex::default(),
        told,
    }
}

impl Reviewer for Watched {
    fn answer<'a>(&'a self, step: Step, body: &'a [u8], deadline: Instant) -> Deciding<'a> {
        Box::pin(async move {
            let answer = self.admission.answer(step, body, deadline).await;
            let mut fights = self.fights.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(fight) = fights.note(step, &answer.record, Instant::now()) {
                let _ = self.told.try_send(fight);
            }
            drop(fights);
            answer
        })
    }
}

async fn tell(mut fights: Receiver<Fight>, client: Option<Client>, metrics: Arc<Metrics>) {
    while let Some(fight) = fights.recv().await {
        metrics.fights.inc();
        let Fight {
            kind,
            namespace,
            name,
            policies,
            ..
        } = &fight;
        tracing::warn!(kind, namespace, name, policies, "{fight}");
        if let Some(client) = &client {
            events::warn(client, "RepairFight", &fight.to_string()).await;
        }
    }
}
