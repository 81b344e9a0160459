//! The library behind the `natsguard` binary: all input and output, around the rules of `natsguard-policies`.

pub mod admission;
pub mod args;
pub mod certificates;
pub mod command;
pub mod controller;
pub mod diff;
pub mod facts;
#[cfg(test)]
mod fake;
pub mod input;
pub mod kubernetes;
pub mod listing;
pub mod live;
pub mod manifest;
pub mod mask;
pub mod output;
pub mod repair;
pub mod replace;
pub mod reports;
mod resolver;
pub mod rights;
mod room;
pub mod server;
pub mod settings;
pub mod telemetry;
