//! Whether the server is ready, serving or on its way out.

use std::collections::BTreeSet;

use tokio::sync::watch;

/// What the parts of the server tell each other about its state.
#[derive(Debug)]
pub struct Lifecycle {
    state: watch::Sender<State>,
}

#[derive(Debug, Clone, Default)]
struct State {
    draining: bool,
    missing: BTreeSet<&'static str>,
}

impl Lifecycle {
    /// Ready once all these are there.
    pub fn new(needs: &[&'static str]) -> Self {
        let missing = needs.iter().copied().collect();
        let (state, _) = watch::channel(State {
            draining: false,
            missing,
        });
        Self { state }
    }

    /// Notes whether something needed is there.
    pub fn note(&self, what: &'static str, there: bool) {
        self.state.send_if_modified(|state| {
            if there {
                state.missing.remove(what)
            } else {
                state.missing.insert(what)
            }
        });
    }

    /// Begins the end: not ready any more, and each answer closes its connection.
    pub fn drain(&self) {
        self.state.send_modify(|state| state.draining = true);
    }

    /// Whether the end began.
    pub fn is_draining(&self) -> bool {
        self.state.borrow().draining
    }

    /// Waits for the end to begin.
    pub async fn draining(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`.
        let _ = state.wait_for(|state| state.draining).await;
    }

    /// Waits for something needed to be there.
    pub async fn has(&self, what: &'static str) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| !state.missing.contains(what)).await;
    }

    /// What keeps the server from being ready.
    pub fn missing(&self) -> Vec<&'static str> {
        let state = self.state.borrow();
        let mut missing: Vec<_> = state.missing.iter().copied().collect();
        if state.draining {
            missing.push("shutting down");
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_nothing_is_missing_and_nothing_ends() {
        let lifecycle = Lifecycle::new(&["certificate", "ca-bundle"]);
        assert_eq!(lifecycle.missing(), ["ca-bundle", "certificate"]);
        lifecycle.note("certificate", true);
        assert_eq!(lifecycle.missing(), ["ca-bundle"]);
        lifecycle.note("ca-bundle", true);
        assert!(lifecycle.missing().is_empty());
        lifecycle.drain();
        assert_eq!(lifecycle.missing(), ["shutting down"]);
    }
}
