//! Reviews as the apiserver sends them, answered with a cluster made of manifests.

#![allow(
    clippy::expect_used,
    clippy::format_collect,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that can't go on has failed, and says so"
)]

mod bound;
mod create;
mod equal;
mod hostile;
mod manifests;
mod parts;
mod properties;
mod scale;
mod servers;
mod support;
mod update;
