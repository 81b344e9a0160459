//! Writes that were not made, and whether that is for us to mend.

use kube::Error;

use crate::kubernetes::is_refused;

/// What was not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Missed {
    /// It may be written the next time.
    pub(super) failures: usize,
    /// The apiserver will not have it: a quota, a namespace that ends, a name that is too long. A tenant can bring that about.
    pub(super) refused: usize,
}

impl Missed {
    pub(super) fn count(&mut self, error: &Error) {
        if is_refused(error) && !is_right(error) {
            self.refused += 1;
        } else {
            self.failures += 1;
        }
    }
}

/// `User "…" cannot patch resource …`: a right is missing, which is for us to mend.
fn is_right(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 403 && status.message.contains("\" cannot "))
}
