//! Room in a map that must not grow for ever.

use std::collections::BTreeMap;

/// Makes room for a key that is not there yet where `most` are: the one that is worth least is forgotten.
pub(crate) fn make<K: Ord + Clone, V, W: Ord>(
    map: &mut BTreeMap<K, V>,
    key: &K,
    most: usize,
    worth: impl Fn(&V) -> W,
) {
    if map.len() < most || map.contains_key(key) {
        return;
    }
    let least = map.iter().min_by_key(|(_, value)| worth(value));
    if let Some(least) = least.map(|(key, _)| key.clone()) {
        map.remove(&least);
    }
}
