//! The keeper of certificates against an apiserver that keeps the rules of optimistic concurrency.
