//! Leading, watching and reviewing against an apiserver in this process, in simulated time.

mod apiserver;
mod leading;
mod watching;
