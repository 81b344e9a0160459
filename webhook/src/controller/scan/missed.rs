//! Writes that were not made, and whether that is for us to mend.

use kube::Error;

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
        if is_refused(error) {
            self.refused += 1;
        } else {
            self.failures += 1;
        }
    }
}

fn is_refused(error: &Error) -> bool {
    let Error::Api(status) = error else {
        return false;
    };
    match status.code {
        401 | 408 | 429 => false,
        // `User "…" cannot patch resource …`: a right is missing.
        403 => !status.message.contains("\" cannot "),
        code => (400..500).contains(&code),
    }
}
