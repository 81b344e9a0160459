//! The harness of the tests that need more than Rust.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a harness that cannot do its work ends the test and says why"
)]

pub mod bed;
pub mod cluster;
pub mod go;
pub mod oracle;
pub mod server;
