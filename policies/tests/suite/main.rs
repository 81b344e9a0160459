//! Tests across the crate.

#![allow(
    clippy::assigning_clones,
    clippy::expect_used,
    clippy::format_collect,
    clippy::format_push_string,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test that can't go on has failed, and says so"
)]

mod conf;
mod crowd;
mod part;
mod peers;
mod placement;
mod properties;
mod purity;
mod registry;
mod routes;
mod server;
mod start;
mod store;
mod support;
