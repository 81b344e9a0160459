//! Reviews, from the StatefulSet to what an apiserver keeps.
