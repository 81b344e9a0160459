//! Memory for bodies: a shared amount, taken as bytes arrive.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: usize = 1024;

/// The memory that all bodies share.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    units: Arc<Semaphore>,
}

/// Bytes taken from a budget; given back when dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    permit: Option<OwnedSemaphorePermit>,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            units: Arc::new(Semaphore::new(bytes / UNIT)),
        }
    }

    pub(super) fn hold(&self) -> Held {
        Held {
            budget: self.clone(),
            permit: None,
        }
    }
}

impl Held {
    /// Takes as much as is missing to hold so many bytes; false when there isn't enough.
    pub(super) fn grow(&mut self, bytes: usize) -> bool {
        let have = self
            .permit
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = bytes.div_ceil(UNIT).saturating_sub(have);
        let Ok(missing) = u32::try_from(missing) else {
            return false;
        };
        let Ok(more) = Arc::clone(&self.budget.units).try_acquire_many_owned(missing) else {
            return false;
        };
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_missing_elsewhere_until_it_is_given_back() {
        let budget = Budget::new(4 * UNIT);
        let (mut one, mut other) = (budget.hold(), budget.hold());
        assert!(one.grow(1) && one.grow(UNIT) && one.grow(3 * UNIT));
        assert!(other.grow(UNIT));
        assert!(!other.grow(UNIT + 1) && !one.grow(4 * UNIT));
        drop(one);
        assert!(other.grow(4 * UNIT));
    }
}
