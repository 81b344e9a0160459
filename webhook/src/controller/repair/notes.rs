//! Events, each said once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, Recorder, Reporter};
use serde_json::Value;

use super::objects::{refusal, timely};
use super::recent::Recent;
use super::words::Note;
use crate::kubernetes::MANAGER;

/// Says things, and remembers what it said.
pub(super) struct Notes {
    recorder: Recorder,
    said: Mutex<Recent<String>>,
}

impl Notes {
    /// `instance` is the pod that says it.
    pub(super) fn new(client: Client, instance: Option<String>) -> Self {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance,
        };
        Self {
            recorder: Recorder::new(client, reporter),
            said: Mutex::default(),
        }
    }

    /// Says something about an object, and of which other one it is true. `occasion` tells apart what is said again, with
    /// the same words, for another reason.
    ///
    /// An Event is not worth a failed review: what could not be said is logged, and said the next time.
    pub(super) async fn say(
        &self,
        note: Note,
        about: &Value,
        other: Option<&Value>,
        occasion: &str,
    ) {
        let mut about = reference(about);
        about.resource_version = None;
        let other = other.map(reference);
        let uid = |object: &ObjectReference| object.uid.clone().unwrap_or_default();
        let other_uid = other.as_ref().map(uid).unwrap_or_default();
        let key = format!("{} {} {other_uid} {occasion}", note.reason, uid(&about));
        if !self.said().is_new(key.clone()) {
            return;
        }
        let event = Event {
            type_: note.kind,
            reason: note.reason.to_owned(),
            note: Some(note.text),
            action: note.reason.to_owned(),
            secondary: other,
        };
        if let Err(error) = timely(self.recorder.publish(&event, &about)).await {
            let error = refusal(&error);
            tracing::debug!(reason = note.reason, error, "an Event was not taken");
            self.said().forget(&key);
        }
    }

    fn said(&self) -> MutexGuard<'_, Recent<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An object by name and version: Events about another version are no repetition.
fn reference(object: &Value) -> ObjectReference {
    let text = |pointer| {
        let text = object.pointer(pointer).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    ObjectReference {
        api_version: text("/apiVersion"),
        kind: text("/kind"),
        name: text("/metadata/name"),
        namespace: text("/metadata/namespace"),
        resource_version: text("/metadata/resourceVersion"),
        uid: text("/metadata/uid"),
        field_path: None,
    }
}
