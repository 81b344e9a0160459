//! The last things of a kind: so many, and no more.

use std::collections::VecDeque;

/// More are not remembered: the first is forgotten.
const MOST: usize = 4096;

/// Things in the order in which they came.
#[derive(Debug)]
pub(super) struct Recent<K>(VecDeque<K>);

impl<K> Default for Recent<K> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<K: PartialEq> Recent<K> {
    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.contains(key)
    }

    /// Whether this was not there before; now it is.
    pub(super) fn is_new(&mut self, key: K) -> bool {
        if self.contains(&key) {
            return false;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(key);
        true
    }

    pub(super) fn forget(&mut self, key: &K) {
        self.0.retain(|known| known != key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thing_too_many_makes_one_be_said_again() {
        let mut said = Recent::default();
        for number in 0..MOST {
            assert!(said.is_new(number.to_string()));
        }
        assert!(said.is_new("more".to_owned()));
        assert!(!said.is_new("1".to_owned()));
        assert!(said.is_new("0".to_owned()));
        said.forget(&"more".to_owned());
        assert!(said.is_new("more".to_owned()));
    }
}
