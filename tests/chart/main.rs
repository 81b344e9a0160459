//! The chart: what it renders, what its values allow, and what its matchConditions let through.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work ends and says why"
)]

mod cel;
mod cost;
mod helm;
mod kinds;
mod matching;
mod program;
mod readme;
mod render;
mod servers;
mod telemetry;
mod values;
mod webhooks;
