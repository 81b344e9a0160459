//! The command line as people and pipes use it: the real binary on real files.

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

mod apiserver;
mod bad_input;
mod check;
mod conf;
mod controller;
mod doctor;
mod fix;
mod input;
mod scan;
mod schema;
mod secrets;
mod support;
mod traces;
mod webhook;
