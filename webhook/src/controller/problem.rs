//! A problem that lasts is said once, and so is its end.

use std::time::Duration;

use kube::Error;
use kube::runtime::watcher;
use tokio::time::Instant;

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

/// What a client's error comes to: the apiserver's own words, or the innermost cause.
pub(super) fn words(error: &Error) -> String {
    if let Error::Api(status) = error {
        return if status.message.is_empty() {
            format!("{} {}", status.code, status.reason)
        } else {
            status.message.clone()
        };
    }
    innermost(error)
}

/// The same for a watch.
pub(super) fn watch_words(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => words(error),
        watcher::Error::WatchError(status) => words(&Error::Api(status.clone())),
        watcher::Error::NoResourceVersion => error.to_string(),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}
