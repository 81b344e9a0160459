//! A problem that lasts is said once, and so is its end.

use std::time::Duration;

use kube::Error;
use kube::runtime::watcher;
use tokio::time::Instant;

use crate::kubernetes::words;

/// A problem that went unmentioned for so long is over: what is like it is a new one.
const MEMORY: Duration = Duration::from_mins(5);

/// What is wrong at the moment, if anything.
#[derive(Debug)]
pub(super) struct Problem {
    what: &'static str,
    last: Option<(String, Instant)>,
}

impl Problem {
    /// None yet. `what` is how it is logged.
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, last: None }
    }

    /// Logs a problem unless it is the one that was there already.
    pub(super) fn is(&mut self, problem: &str) {
        let now = Instant::now();
        let known = |(last, seen): &(String, Instant)| last == problem && now - *seen < MEMORY;
        if !self.last.as_ref().is_some_and(known) {
            tracing::warn!(problem, "{}; will try again", self.what);
        }
        self.last = Some((problem.to_owned(), now));
    }

    /// Notes that all is well, and logs it when it wasn't.
    pub(super) fn over(&mut self) {
        if self.last.take().is_some() {
            tracing::info!("all is well again, after: {}", self.what);
        }
    }
}

/// What a watch's error comes to.
pub(super) fn watch_words(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(status) => words(&Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}
