//! The controller: what admission can't see, because nobody writes it.

pub mod scan;
