//! The keeper against an apiserver that keeps the rules of optimistic concurrency, in simulated time.

mod apiserver;
mod bed;
mod files;
mod healing;
mod rotation;
